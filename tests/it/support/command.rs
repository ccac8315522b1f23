//! The program as a person uses it: arguments in, text and an exit code out.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::Site;

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// What it printed. Fails when it did not succeed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The JSON that it printed. Fails when it did not succeed.
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}"))
    }

    /// Fails unless it ended with this code and said all of this on standard error.
    pub fn refused(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for part in said {
            assert!(self.err.contains(part), "\"{part}\" is said: {self:?}");
        }
        self
    }
}

/// The program with these arguments, in a plain environment.
pub fn program(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casebridge"));
    command.args(arguments).env("USER", "anna").stdin(Stdio::null());
    for name in ["SUDO_USER", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "CASEBRIDGE_CRASH_AT"] {
        command.env_remove(name);
    }
    command
}

/// Somebody at the site's socket, as the history tells of them: whatever they call themselves, the user is this one.
pub fn operator(name: &str) -> String {
    format!("operator {name} (uid {})", rustix::process::getuid().as_raw())
}

/// Runs a command to its end. One that does not come to it is killed, and its code is -1.
pub fn finish(mut command: Command) -> Done {
    const LIMIT: Duration = Duration::from_secs(60);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let (ended, waiting) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            Command::new("kill").args(["-KILL", &id]).status().unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    watch.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("only UTF-8 is printed");
    Done { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program without a site.
pub fn casebridge(arguments: &[&str]) -> Done {
    finish(program(arguments))
}

impl Site {
    /// Runs a command for this site.
    pub fn command(&self, arguments: &[&str]) -> Done {
        let mut command = program(arguments);
        command.arg("--config").arg(self.path("config.toml"));
        finish(command)
    }
}
