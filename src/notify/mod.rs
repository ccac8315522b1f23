//! What goes out of the site. Mail: what the people of a case are told, in their language, over the site's mail server. And
//! what reactions lead to: reports by mail, webhooks, SNMP traps, local commands. What is sent, to whom and how often is
//! decided above, and so is what is tried again; here is how it reads and how it goes out, with a bound on every wait.

pub mod command;
mod leftover;
mod mail;
mod report;
mod smtp;
pub mod snmp;
mod template;
mod undelivered;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;

use crate::case::{Alias, SiteId};
use crate::config::settings;

pub use mail::{Letter, LetterFault, Sheet};
pub use report::{Enclosure, Report};
pub use smtp::Smtp;
pub use template::{CaseFields, CommentFields, Fields, LinkFields, PartyFields, TemplateFaults, Templates};
pub use undelivered::Undelivered;
pub use webhook::Webhooks;

/// Why a mail is not out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Nobody's mail goes out for now: the server is away, does not let us in or send, or broke off.
    #[error("{0}")]
    Server(String),
    /// The server does not take this one now.
    #[error("{0}")]
    Later(String),
    /// The server will never take this one.
    #[error("{0}")]
    Never(String),
}

/// The way out.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Returns when the server has taken the mail. Ends within the times of the settings.
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}

/// Why mails cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("[mail] templates: {0}")]
    Templates(#[from] TemplateFaults),
    #[error("[mail] ca_file cannot be used: {0}")]
    Authority(String),
}

/// A site's mails: how they read, and the way out.
pub struct Post {
    settings: settings::Mail,
    /// Name and number of the site.
    alias: Alias,
    site: SiteId,
    templates: Templates,
    mailer: Arc<dyn Mailer>,
}

impl Post {
    /// Over the mail server of the settings.
    pub fn new(settings: &settings::Mail, alias: &Alias, site: SiteId) -> Result<Self, PostError> {
        let smtp = Smtp::new(settings).map_err(|fault| PostError::Authority(fault.to_string()))?;
        Self::over(Arc::new(smtp), settings, alias, site)
    }

    /// Over another way out.
    pub fn over(
        mailer: Arc<dyn Mailer>,
        settings: &settings::Mail,
        alias: &Alias,
        site: SiteId,
    ) -> Result<Self, PostError> {
        let templates = Templates::load(settings.templates.as_deref())?;
        Ok(Self { settings: settings.clone(), alias: alias.clone(), site, templates, mailer })
    }

    pub fn alias(&self) -> &Alias {
        &self.alias
    }

    /// The mail as it goes out.
    pub fn letter(&self, sheet: &Sheet<'_>) -> Result<Letter, LetterFault> {
        let text = self.templates.render(sheet.notice, sheet.to.language, &sheet.fields)?;
        mail::letter(&self.settings, self.site, sheet, text)
    }

    /// The mail of a reaction.
    pub fn report(&self, report: Report<'_>) -> Result<Letter, LetterFault> {
        report::letter(&self.settings, report)
    }

    /// Hands the mail to the server.
    pub async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        self.mailer.send(letter).await
    }
}
