//! What a command leaves behind that is in its process group no more: whatever has the mark of the run in its environment,
//! which every process hands on to those that it starts, and all that descends from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The variable that has the mark.
pub const VARIABLE: &str = "CASEBRIDGE_RUN";
/// The most of an environment that is read.
const ENVIRONMENT: u64 = 1 << 20;
/// Looks at the processes: one that starts another while it is looked for is found by the next look.
const LOOKS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(10);

/// The mark of what is run under one name.
pub struct Mark(String);

impl Mark {
    pub fn of(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub fn value(&self) -> &str {
        &self.0
    }

    /// Kills what has the mark, until nothing has it. `main` is the command itself, as long as it was not waited for.
    pub async fn kill(&self, main: Option<Pid>) {
        let mark = self.0.clone();
        // Where it does not end, the processes are left: there is nothing else that could be done about them.
        let _ = tokio::task::spawn_blocking(move || {
            for _ in 0..LOOKS {
                let left = left_of(&mark, main.map(|main| main.as_raw_nonzero().get()));
                if left.is_empty() {
                    return;
                }
                for one in left.into_iter().filter_map(Pid::from_raw) {
                    // Whoever is gone needs no signal.
                    let _ = kill_process(one, Signal::KILL);
                }
                std::thread::sleep(BETWEEN);
            }
        })
        .await;
    }
}

/// The processes that have the mark or descend from such a one, the dead ones left out.
fn left_of(mark: &str, main: Option<i32>) -> BTreeSet<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parents: BTreeMap<i32, i32> = ids.filter_map(|id| Some((id, living_parent(id)?))).collect();
    let marked = format!("{VARIABLE}={mark}");
    let mut left: BTreeSet<i32> =
        parents.keys().copied().filter(|id| Some(*id) == main || has(*id, marked.as_bytes())).collect();
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(id, parent)| left.contains(parent) && !left.contains(id))
            .map(|(id, _)| *id)
            .collect();
        if more.is_empty() {
            return left;
        }
        left.extend(more);
    }
}

/// The parent of a process that has not ended.
fn living_parent(id: i32) -> Option<i32> {
    let stat = std::fs::read(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold anything.
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(stat.get(behind + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.next()?.parse().ok())?
}

fn has(id: i32, marked: &[u8]) -> bool {
    let mut environment = Vec::new();
    // That of another user's process does not read.
    let read =
        File::open(format!("/proc/{id}/environ")).and_then(|file| file.take(ENVIRONMENT).read_to_end(&mut environment));
    read.is_ok() && environment.split(|byte| *byte == 0).any(|variable| variable == marked)
}
