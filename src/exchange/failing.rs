//! What does not work at the moment and is tried again, for whoever asks for `status`: a folder that is gone, a store that
//! is locked. The log said it once, when it began.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::Engine;

/// The reasons, by what it is.
#[derive(Default)]
pub(super) struct Failing(Mutex<BTreeMap<String, String>>);

impl Failing {
    fn set(&self, what: String, reason: Option<&str>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => _ = failing.insert(what, reason.to_owned()),
            None => _ = failing.remove(&what),
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing.iter().map(|(what, reason)| format!("{what}: {reason}")).collect()
    }
}

impl Engine {
    /// One of the daemon's tasks fails for a reason and is tried again each second, or works again.
    pub fn task_fails(&self, task: &str, reason: Option<&str>) {
        self.0.failing.set(format!("the task \"{task}\" is tried again each second"), reason);
    }

    /// A directory of deposits or mails cannot be used for a reason, or can be again.
    pub fn inbox_blocked(&self, dir: &Path, reason: Option<&str>) {
        self.0.failing.set(format!("nothing is taken from {}", dir.display()), reason);
    }
}
