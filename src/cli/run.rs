//! `run`, and `state rebuild`: what hands over to the daemon room.

use std::path::Path;

use super::exit::{Exit, Failure};
use super::print;
use crate::config::{Problems, Settings};
use crate::daemon::{self, DaemonError};
use crate::notify::PostError;

/// Runs the daemon until it is told to stop.
pub async fn run(config: &Path) -> Result<(), Failure> {
    let text = Settings::text(config).map_err(problems)?;
    let settings = Settings::load_text(config, &text).map_err(problems)?;
    daemon::run(config, text, settings).await.map_err(|error| failure(&error))
}

/// Sets the state database aside.
pub fn rebuild_state(config: &Path) -> Result<(), Failure> {
    let aside = daemon::rebuild_state(&settings(config)?).map_err(|error| failure(&error))?;
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
