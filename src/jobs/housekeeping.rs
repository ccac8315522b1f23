//! Once a day: done deposits that are old enough go.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tracing::{error, warn};

use super::Job;
use crate::exchange::Engine;

/// Works by the settings in force when it runs.
pub struct Housekeeping {
    engine: Engine,
}

impl Housekeeping {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for Housekeeping {
    fn name(&self) -> &'static str {
        "housekeeping"
    }

    async fn run(&self) -> String {
        let settings = self.engine.settings();
        if self.engine.state_has_blobs() {
            error!(event = "state_unsafe", "the state database writes files that it does not sync; report this");
        }
        let keep = settings.schedule.keep_done;
        let mails = settings.mail_inboxes.iter().map(|inbox| &inbox.dir);
        let dirs = settings.inboxes.iter().map(|inbox| &inbox.dir).chain(mails);
        let done: Vec<PathBuf> = dirs.map(|dir| dir.join("done")).collect();
        let removed = tokio::task::spawn_blocking(move || {
            done.iter().map(|dir| remove_older(dir, keep, SystemTime::now())).sum::<usize>()
        });
        let forgotten = match self.engine.forget_reactions().await {
            Ok(forgotten) => forgotten,
            Err(fault) => {
                warn!(event = "housekeeping_failed", reason = %fault, "what reactions have done stays");
                0
            }
        };
        format!("{} done deposits and {forgotten} done reactions removed", removed.await.unwrap_or(0))
    }
}

/// Removes the files of a directory that were last changed before `keep` ago. Quarantined ones are a person's affair.
fn remove_older(dir: &Path, keep: Duration, now: SystemTime) -> usize {
    /// Files looked at in one run.
    const LIMIT: usize = 100_000;
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten().take(LIMIT) {
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        if !metadata.is_file() || age.is_none_or(|age| age < keep) {
            continue;
        }
        match std::fs::remove_file(entry.path()) {
            Ok(()) => removed += 1,
            Err(error) => warn!(event = "housekeeping_failed", reason = %error, "a done deposit stays"),
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, age) in [("old.xml", 31), ("new.xml", 29)] {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(age * 86_400)).unwrap();
        }
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        assert_eq!(remove_older(dir.path(), Duration::from_secs(30 * 86_400), now), 1);
        assert!(!dir.path().join("old.xml").exists());
        assert!(dir.path().join("new.xml").exists() && dir.path().join("folder").exists());
    }
}
