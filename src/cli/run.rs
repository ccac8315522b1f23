//! `run`, and `state rebuild`: what hands over to the daemon room.

use std::path::Path;

use super::exit::{Exit, Failure};
use super::print;
use crate::config::{Problems, Settings};
use crate::daemon::{self, DaemonError};

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

fn failure(error: &DaemonError) -> Failure {
    Failure::said(Exit::from_code(error.exit_code()), error)
}
