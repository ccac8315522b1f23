//! The job that looks for attachments that were missing when their bundle came: a scheduled visit to the inboxes.

use async_trait::async_trait;
use std::sync::Arc;

use crate::config::settings;
use crate::exchange::Engine;
use crate::inbox::{Attachments, Depositor};
use crate::jobs::Job;

pub struct LateAttachments {
    inboxes: Vec<Attachments>,
}

impl LateAttachments {
    pub fn new(engine: &Engine, inboxes: &[settings::Inbox]) -> Self {
        let depositor: Arc<dyn Depositor> = Arc::new(engine.clone());
        let attachments = |inbox: &settings::Inbox| Attachments::new(inbox.clone(), Arc::clone(&depositor));
        Self { inboxes: inboxes.iter().map(attachments).collect() }
    }
}

#[async_trait]
impl Job for LateAttachments {
    fn name(&self) -> &'static str {
        "late_attachments"
    }

    async fn run(&self) -> String {
        let (mut awaited, mut added) = (0, 0);
        for inbox in &self.inboxes {
            let summary = inbox.fetch_awaited().await;
            awaited += summary.awaited;
            added += summary.added;
        }
        format!("{added} of {awaited} awaited attachments added")
    }
}
