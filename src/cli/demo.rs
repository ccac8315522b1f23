//! `demo`: two real daemons on this machine, and one incident all the way.
//!
//! The daemons are processes of this same program, each with a configuration, a store and state of its own in a temporary
//! directory. The story is told through the same local API that the commands use.

mod ending;
mod home;
mod site;
mod story;
mod teller;

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Failure};
use home::Home;
use site::Site;
use teller::Teller;

/// Of `demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave configurations, stores, state and logs for a look around
    #[arg(long)]
    keep: bool,
}

/// How long the daemons may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Makes the sites, tells the story, stops the sites.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let home = Home::make()?;
    let teller = Teller::start();
    let mut sites = Vec::new();
    let (outcome, leave) = tokio::select! {
        // What went wrong is to be seen in the files.
        outcome = story::tell(&home, &mut sites, &teller) => { let failed = outcome.is_err(); (outcome, failed) }
        failure = interrupted() => (Err(failure), false),
    };
    stop(&mut sites).await;
    if !leave && !arguments.keep {
        home.remove()?;
    }
    match outcome {
        Ok(()) if arguments.keep => ending::paths(&home),
        Ok(()) => teller.line("The files are removed; `casebridge demo --keep` leaves them for a look around."),
        Err(failure) if leave || arguments.keep => {
            let text = format!("{failure}; everything is left in {}", home.dir().display());
            Err(Failure::said(failure.exit, text))
        }
        Err(failure) => Err(failure),
    }
}

/// Asks both to stop before waiting for either.
async fn stop(sites: &mut [Site]) {
    sites.iter().for_each(Site::ask_to_stop);
    for site in sites {
        site.wait_for_end(STOP_WITHIN).await;
    }
}

/// Ends when a person, the terminal or the system wants the demo to end.
async fn interrupted() -> Failure {
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => signal.recv().await,
        // Without a handler the signal ends the process by itself, and the daemons with their owner.
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        _ = wait(SignalKind::interrupt()) => {}
        _ = wait(SignalKind::terminate()) => {}
        _ = wait(SignalKind::hangup()) => {}
    }
    Failure::said(Exit::Failed, "the demo was interrupted; its daemons are stopped")
}
