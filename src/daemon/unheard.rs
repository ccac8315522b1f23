//! What nobody would hear of: that there are no file descriptors left, without which the door accepts nobody and says nothing;
//! and that lines of the log were lost.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::warn;

use crate::exchange::{Engine, Strain};
use crate::telemetry::{Seldom, lines_lost};

/// Between two looks.
const EACH: Duration = Duration::from_secs(5);

/// Looks now and then, and tells of it once a minute.
pub async fn watch(engine: Engine) {
    let (told, mut lost) = (Seldom::default(), 0);
    loop {
        tokio::time::sleep(EACH).await;
        if lines_lost() > lost && told.note("lines", Instant::now()).is_some() {
            lost = lines_lost();
            warn!(event = "log_lines_lost", lines = lost, "nobody read the log in time");
        }
        let Err(fault) = File::open("/dev/null") else { continue };
        if ![Errno::MFILE, Errno::NFILE].iter().any(|none| fault.raw_os_error() == Some(none.raw_os_error())) {
            continue;
        }
        engine.ran_out(Strain::Descriptors);
        if told.note("descriptors", Instant::now()).is_some() {
            warn!(event = "descriptors_exhausted", reason = %fault, "no file and no connection can be opened");
        }
    }
}
