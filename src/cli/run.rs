//! `run`, and `state rebuild`: what hands over to the daemon room.

use std::path::Path;

use clap::Args;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::exit::{Exit, Failure};
use super::{print, who};
use crate::config::{Problems, Settings};
use crate::daemon::{self, DaemonError};
use crate::notify::PostError;

#[derive(Debug, Clone, Copy, Args)]
pub struct Arguments {
    /// Stop when the process with this number, which started it, ends, however that ends: for the daemons of the demo
    #[arg(long, hide = true, value_name = "PID")]
    with_parent: Option<i32>,
}

/// Runs the daemon until it is told to stop.
pub async fn run(config: &Path, arguments: Arguments) -> Result<(), Failure> {
    if let Some(parent) = arguments.with_parent {
        let cannot = |reason: String| {
            let what = "the daemon cannot be tied to the program that started it";
            Failure::new(Exit::Failed, what, reason, "start it without --with-parent")
        };
        set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| cannot(error.to_string()))?;
        // It may have ended before it was asked for.
        if getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != parent) {
            return Err(cannot(format!("process {parent} has ended")));
        }
    }
    let text = Settings::text(config).map_err(problems)?;
    // Whoever has to correct the file hears of a missing inbox as well, which alone keeps nobody from a start.
    let all = |found: Problems| problems(Settings::check(config).err().unwrap_or(found));
    let settings = Settings::load_text(config, &text).map_err(all)?;
    daemon::run(config, text, settings).await.map_err(|error| failure(&error))
}

/// Sets the state database aside.
pub async fn rebuild_state(config: &Path) -> Result<(), Failure> {
    let done = daemon::rebuild_state(&settings(config)?, who::here()).await;
    let (aside, untold) = done.map_err(|error| failure(&error))?;
    if let Some(fault) = untold {
        let reason = fault.to_string();
        print::err(&format!("The history does not tell of it: {}", print::safe(&reason)));
    }
    let aside = aside.to_string_lossy();
    print::out(&format!(
        "The state was set aside as {}.\n\
         Start the daemon: it takes up every open exchange again from the store and the peers. Nothing is sent twice.\n\
         When all is well, the directory can be removed.",
        print::safe(&aside)
    ))
}

/// The whole configuration, or its problems as people read them.
pub fn settings(config: &Path) -> Result<Settings, Failure> {
    Settings::load(config).map_err(problems)
}

fn problems(problems: Problems) -> Failure {
    Failure::rendered(Exit::Configuration, problems.render(print::colour_err()))
}

/// Why the daemon does not start, or would not.
pub fn failure(error: &DaemonError) -> Failure {
    match error {
        DaemonError::Post(fault) => post(fault),
        other => Failure::said(Exit::from_code(other.exit_code()), other),
    }
}

fn post(fault: &PostError) -> Failure {
    match fault {
        PostError::Templates(faults) => Failure::listed(
            Exit::Configuration,
            "the mails of [mail] templates cannot be used",
            faults.list(),
            "correct them, or take the files away: the program has its own",
        ),
        PostError::Authority(_) => {
            Failure::new(Exit::Configuration, "[mail] cannot be used", fault, "name another file, or take the key away")
        }
    }
}
