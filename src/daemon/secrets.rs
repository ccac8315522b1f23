//! The files with credentials: which there are, and whether one of them was exchanged for another. A renewed certificate, a
//! new password or a revoked token counts without a signal.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Settings, Watched};

/// The files that the settings in force were made from.
pub struct Secrets {
    /// The text of the configuration. It counts again with new credentials; a new text waits for SIGHUP.
    text: String,
    files: Vec<Watched>,
    /// The tokens, which are always exchanged whole.
    tokens: PathBuf,
    interval: Duration,
}

impl Secrets {
    pub fn of(text: String, settings: &Settings) -> Self {
        let (files, tokens) = (settings.secrets.clone(), settings.site.tokens_file.clone());
        Self { text, files, tokens, interval: settings.site.reread_secrets }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// These settings were made from this text.
    pub fn took(&mut self, text: String, settings: &Settings) {
        self.text = text;
        self.files = settings.secrets.clone();
    }

    /// The files as they are now were of no use: they are not read again before they change.
    pub fn passed_over(&mut self) {
        self.files = self.files.iter().map(Watched::again).collect();
    }

    /// Returns when a file has changed and is left alone again: certificate and key are often exchanged one after the other.
    /// Tokens wait for nobody: one that was revoked lets nobody in any more, however many are made meanwhile.
    pub async fn changed(&self) {
        let mut before = self.files.clone();
        loop {
            tokio::time::sleep(self.interval).await;
            let files = self.files.clone();
            let look = move || files.iter().map(Watched::again).collect::<Vec<_>>();
            let Ok(now) = tokio::task::spawn_blocking(look).await else { continue };
            if now != self.files && (now == before || self.tokens_of(&now) != self.tokens_of(&self.files)) {
                return;
            }
            before = now;
        }
    }

    fn tokens_of<'a>(&self, files: &'a [Watched]) -> Option<&'a Watched> {
        files.iter().find(|file| file.is(&self.tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a program does it that hands out one short token after the other.
    #[tokio::test]
    async fn tokens_that_change_again_and_again_count_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = dir.path().join("tokens.json");
        std::fs::write(&tokens, "").unwrap();
        let secrets = Secrets {
            text: String::new(),
            files: vec![Watched::of(&tokens)],
            tokens: tokens.clone(),
            interval: Duration::from_millis(50),
        };
        let change = async {
            for length in 1.. {
                std::fs::write(&tokens, "x".repeat(length)).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let counted = async {
            tokio::select! {
                () = secrets.changed() => {}
                () = change => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(20), counted).await.expect("the revoked token is good for ever");
    }
}
