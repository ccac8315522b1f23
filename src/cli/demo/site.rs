//! One daemon of the demo: a process of this same program.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::home::Home;
use super::teller::Side;
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::Local;
use crate::cli::status;

/// How long one answer of a daemon may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a daemon may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running daemon. It is killed when this is dropped.
pub struct Site {
    pub side: Side,
    pub local: Local,
    log: PathBuf,
    child: Child,
}

/// Why a daemon does not answer.
pub enum NotReady {
    /// It ended by itself; the end of its log says why.
    Ended(Failure),
    Silent(Failure),
}

impl Site {
    /// Starts the process; [`Site::ready`] waits until it answers.
    pub fn start(home: &Home, side: Side) -> Result<Self, Failure> {
        let log = home.log(side);
        let spawn = || -> io::Result<Child> {
            let file = OpenOptions::new().create(true).append(true).open(&log)?;
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["run", "--with-parent", &std::process::id().to_string(), "--config"]).arg(home.config(side));
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
            // What systemd told us is not meant for it, and neither is Ctrl-C at the terminal: we pass on what it needs.
            for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "CREDENTIALS_DIRECTORY"] {
                command.env_remove(name);
            }
            command.process_group(0).kill_on_drop(true).spawn()
        };
        let child = spawn().map_err(|error| {
            let what = format!("the daemon of {} cannot be started", side.alias());
            Failure::new(Exit::Failed, what, error, "free memory, or raise the limit of processes (ulimit -u)")
        })?;
        let local = Local::new(home.socket(side), Some(&home.config(side)), ANSWER_WITHIN)?;
        Ok(Self { side, local, log, child })
    }

    /// Waits until the daemon answers.
    pub async fn ready(&mut self) -> Result<(), NotReady> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let failure = match status::fetch(&self.local).await {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            if let Ok(Some(code)) = self.child.try_wait() {
                let what = format!("the daemon of {} did not start", self.side.alias());
                return Err(NotReady::Ended(Failure::said(
                    Exit::Failed,
                    format!("{what}; {code}, after \"{}\"; its log is {}", self.last_words(), self.log.display()),
                )));
            }
            if Instant::now() >= deadline {
                let what = format!("the daemon of {} does not answer", self.side.alias());
                let why = format!("{} s passed, and {failure}", READY_WITHIN.as_secs());
                return Err(NotReady::Silent(Failure::new(Exit::Failed, what, why, self.look_at_log())));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What to do when something did not happen here.
    pub fn look_at_log(&self) -> String {
        format!("look at the log of {}, {}", self.side.alias(), self.log.display())
    }

    /// SIGTERM: the daemon finishes what is in flight.
    pub fn ask_to_stop(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended a moment ago; the wait that follows tells.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for the daemon's end, and makes one when it does not come.
    pub async fn wait_for_end(&mut self, within: Duration) {
        if tokio::time::timeout(within, self.child.wait()).await.is_err() {
            // Nothing more can be done for a process that SIGKILL does not end.
            let _ = self.child.kill().await;
        }
    }

    /// The end of the log, in one line.
    fn last_words(&self) -> String {
        const TAIL: u64 = 400;
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut tail = Vec::new();
            file.take(TAIL).read_to_end(&mut tail)?;
            Ok(tail)
        };
        let tail = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
        tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing in its log").trim().to_owned()
    }
}
