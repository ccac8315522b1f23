//! What people do at the site and to no case stands in its history, too.

use std::collections::{BTreeMap, HashSet};

use tracing::warn;

use super::{Engine, EngineError, caller};
use crate::case::Action;
use crate::case::evidence::Context;
use crate::config::Settings;
use crate::store::history::Note;

impl Engine {
    /// The entry of a command.
    pub(super) fn command_note(&self, action: Action, operator: &str, detail: String) -> Note {
        self.site_note(action, caller::who(operator), detail)
    }

    /// The settings were read again: whoever may send the daemon a signal wanted it.
    pub async fn note_settings_read(&self) {
        let note = self.site_note(Action::SettingsRead, "casebridge".into(), "after SIGHUP".into());
        note_down(self.store().note(note).await.map_err(EngineError::from));
    }

    /// Tokens were made or revoked since the history told of it last, perhaps while the daemon was stopped.
    pub async fn note_tokens(&self) {
        note_down(self.tell_of_tokens().await);
    }

    async fn tell_of_tokens(&self) -> Result<(), EngineError> {
        let _alone = self.0.noting_tokens.lock().await;
        let noted: BTreeMap<String, bool> = self.store().noted_tokens().await?.into_iter().collect();
        let news = token_news(&self.settings(), &noted);
        if news.is_empty() {
            return Ok(());
        }
        let note = |one: &TokenNews| self.site_note(Action::TokensChanged, one.by.clone(), one.detail.clone());
        let notes = news.iter().map(note).collect();
        let noted = news.into_iter().map(|one| (one.id, one.revoked)).collect::<BTreeMap<_, _>>();
        Ok(self.store().note_tokens(noted.into_iter().collect(), notes).await?)
    }

    fn site_note(&self, action: Action, who: String, detail: String) -> Note {
        Note { at: self.now(), who, action, peer: None, detail, context: Context::default() }
    }
}

/// A token that was made or revoked, and that the history does not tell of.
#[derive(Debug, PartialEq, Eq)]
struct TokenNews {
    id: String,
    revoked: bool,
    by: String,
    detail: String,
}

/// What the file of tokens says, and `noted` does not. One that was made and revoked in between is told of twice.
fn token_news(settings: &Settings, noted: &BTreeMap<String, bool>) -> Vec<TokenNews> {
    let mut ids: Vec<&str> = settings.token_changes.iter().map(|one| one.id.as_str()).collect();
    ids.extend(settings.tokens.iter().map(|token| token.id.as_str()));
    ids.extend(noted.keys().map(String::as_str));
    let present: HashSet<&str> = settings.tokens.iter().map(|token| token.id.as_str()).collect();
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    let mut news = Vec::new();
    for id in ids {
        let (is_there, was_there) = (present.contains(id), noted.get(id).map(|revoked| !revoked));
        if was_there.is_none() || is_there && was_there == Some(false) {
            news.push(of_token(settings, id, false));
        }
        if !is_there && was_there != Some(false) {
            news.push(of_token(settings, id, true));
        }
    }
    news
}

fn of_token(settings: &Settings, id: &str, revoked: bool) -> TokenNews {
    let what = if revoked { "revoked" } else { "made" };
    let change = settings.token_changes.iter().rfind(|one| (one.id.as_str(), one.revoked) == (id, revoked));
    let (by, detail) = match change {
        Some(one) => (one.by.clone(), format!("token {id} of {} {what} at {}", one.of, one.at)),
        None => ("casebridge".to_owned(), format!("token {id} found {what}; its file does not say by whom")),
    };
    TokenNews { id: id.to_owned(), revoked, by, detail }
}

/// What is in force already is not taken back for a store that is busy.
fn note_down(outcome: Result<(), EngineError>) {
    if let Err(fault) = outcome {
        warn!(event = "not_noted", reason = %fault, "the history lacks a change of settings or tokens");
    }
}
