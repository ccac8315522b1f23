//! What people do at the site and to no case stands in its history, too.

use tracing::warn;

use super::{Engine, EngineError};
use crate::case::Action;
use crate::case::evidence::Context;
use crate::store::history::Note;

impl Engine {
    /// The entry of a command.
    pub(super) fn command_note(&self, action: Action, operator: &str, detail: String) -> Note {
        self.site_note(action, format!("operator {operator}"), detail)
    }

    /// The settings were read again: whoever may send the daemon a signal wanted it.
    pub async fn note_settings_read(&self) {
        let note = self.site_note(Action::SettingsRead, "casebridge".into(), "after SIGHUP".into());
        note_down(self.store().note(note).await.map_err(EngineError::from));
    }

    /// Tokens were made or revoked: whoever may write to their file did it.
    pub async fn note_tokens(&self, changes: Vec<String>) {
        if changes.is_empty() {
            return;
        }
        let detail = crate::case::text::shown(&changes.join(", "), Context::SHOWN);
        let note = self.site_note(Action::TokensChanged, "casebridge".into(), detail);
        note_down(self.store().note(note).await.map_err(EngineError::from));
    }

    fn site_note(&self, action: Action, who: String, detail: String) -> Note {
        Note { at: self.now(), who, action, peer: None, detail, context: Context::default() }
    }
}

/// What is in force already is not taken back for a store that is busy.
fn note_down(outcome: Result<(), EngineError>) {
    if let Err(fault) = outcome {
        warn!(event = "not_noted", reason = %fault, "the history lacks a change of settings or tokens");
    }
}
