//! A local command, run without a shell: the message on its standard input, a bounded time, a bounded output, an empty
//! environment, and nothing left of it afterwards.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::Undelivered;
use super::leftover::{self, Mark};
use crate::case::text::shown;

/// The most that a command may write, in bytes.
const OUTPUT_LIMIT: usize = 64 << 10;
/// What it has started may hold its output open for ever; what it wrote itself is there at once.
const LATE_OUTPUT: Duration = Duration::from_millis(500);
/// What is repeated of it when it fails.
const SHOWN: usize = 200;

/// The process group of a command. Everything in it ends with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Whoever is gone needs no signal.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a command. Exit status 0 means that it is done. `name` is that of the deed: what an attempt at it left running, over which
/// the daemon was killed, ends first.
pub async fn run(
    name: &str,
    program: &Path,
    arguments: &[String],
    within: Duration,
    environment: &[(&str, String)],
    message: &str,
) -> Result<(), Undelivered> {
    let mark = Mark::of(name);
    mark.kill(None).await;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env(leftover::VARIABLE, mark.value())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|fault| Undelivered::now(format!("{} does not start: {fault}", program.display())))?;
    let main = child.id().and_then(|id| Pid::from_raw(id as i32));
    let (group, has_ended) = (Group(main), AtomicBool::new(false));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async {
        if let Some(mut stdin) = stdin {
            // A command may leave it unread.
            let _ = stdin.write_all(message.as_bytes()).await;
        }
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = {
        let work = async {
            // Told apart from its end: a command that waits for the end of its input gets it, one that does not read goes on.
            let talk = async { tokio::join!(tell, read(stdout, &mut out), read(stderr, &mut err)) };
            let end = async {
                let status = child.wait().await;
                has_ended.store(true, Ordering::SeqCst);
                drop(group);
                mark.kill(None).await;
                status
            };
            tokio::pin!(talk, end);
            tokio::select! {
                _ = &mut talk => end.await,
                status = &mut end => {
                    let _ = tokio::time::timeout(LATE_OUTPUT, &mut talk).await;
                    status
                }
            }
        };
        tokio::pin!(work);
        tokio::select! {
            biased;
            status = &mut work => Some(status),
            () = tokio::time::sleep(within) => {
                // Its number may be another's after its end.
                mark.kill(main.filter(|_| !has_ended.load(Ordering::SeqCst))).await;
                None
            }
        }
    };
    match status {
        Some(status) => ended(status, &out, &err),
        None => Err(Undelivered::now(format!("it did not end within {} s and was killed", within.as_secs_f64()))),
    }
}

/// Takes what is written, and a byte more than may be.
async fn read(pipe: Option<impl AsyncRead + Unpin>, written: &mut Vec<u8>) {
    if let Some(pipe) = pipe {
        // A pipe that does not read is one that has ended.
        let _ = pipe.take(OUTPUT_LIMIT as u64 + 1).read_to_end(written).await;
    }
}

fn ended(status: std::io::Result<ExitStatus>, out: &[u8], err: &[u8]) -> Result<(), Undelivered> {
    if out.len().max(err.len()) > OUTPUT_LIMIT {
        return Err(Undelivered::now(format!("it wrote more than {} KiB", OUTPUT_LIMIT >> 10)));
    }
    let status = status.map_err(|fault| Undelivered::now(format!("its end is not known: {fault}")))?;
    if status.success() {
        return Ok(());
    }
    let said = if err.is_empty() { out } else { err };
    let said = String::from_utf8_lossy(said.get(..said.len().min(4 * SHOWN)).unwrap_or_default());
    match said.trim() {
        "" => Err(Undelivered::now(format!("it ended with {status}"))),
        said => Err(Undelivered::now(format!("it ended with {status}: \"{}\"", shown(said, SHOWN)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> String {
        uuid::Uuid::now_v7().to_string()
    }

    async fn sh(script: &str, within: Duration, message: &str) -> Result<(), Undelivered> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        run(&name(), Path::new("/bin/sh"), &arguments, within, &[("CASEBRIDGE_TRIGGER", "x".into())], message).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_49_a_command_gets_the_event_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("said");
        let script = format!("cat > {0}; env | sort >> {0}", file.display());
        sh(&script, LONG, "{\"a\": 1}").await.unwrap();
        let said = std::fs::read_to_string(&file).unwrap();
        assert!(said.starts_with("{\"a\": 1}"), "{said}");
        assert!(said.contains("CASEBRIDGE_TRIGGER=x") && !said.contains("HOME=") && !said.contains("CARGO"), "{said}");
    }

    #[tokio::test]
    async fn nothing_is_taken_for_a_shell() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        let arguments = [format!("$(touch {})", file.display()), "; touch x".into()];
        run(&name(), Path::new("/bin/echo"), &arguments, LONG, &[], "").await.unwrap();
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn a_command_that_fails_says_how() {
        let fault = sh("echo no such pager >&2; exit 3", LONG, "").await.unwrap_err();
        assert!(fault.reason.contains("exit status: 3") && fault.reason.contains("no such pager"), "{fault}");
        let fault = run(&name(), Path::new("/no/such/program"), &[], LONG, &[], "").await.unwrap_err();
        assert!(fault.reason.contains("/no/such/program does not start"), "{fault}");
        assert!(!fault.is_final);
    }

    #[tokio::test]
    async fn a_command_that_reads_nothing_is_not_waited_for() {
        sh("exit 0", LONG, &"x".repeat(1 << 20)).await.unwrap();
    }

    #[tokio::test]
    async fn a_command_that_floods_ends() {
        for script in ["yes", "yes >&2"] {
            let fault = sh(script, LONG, "").await.unwrap_err();
            assert!(fault.reason.contains("more than 64 KiB"), "{fault}");
        }
    }

    /// A session of its own is another process group; whoever empties the environment is still a child.
    #[tokio::test]
    async fn a_49_what_left_the_group_of_a_command_is_killed_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("child");
        let own = format!("setsid sh -c 'echo $$ > {}; exec sleep 1000' &", file.display());
        // The command has ended; what it left holds its output.
        sh(&format!("{own} until [ -s {} ]; do :; done", file.display()), LONG, "").await.unwrap();
        gone(&file).await;
        std::fs::remove_file(&file).unwrap();
        let fault = sh(&format!("env -i {own} wait"), Duration::from_secs(5), "").await.unwrap_err();
        assert!(fault.reason.contains("did not end within"), "{fault}");
        gone(&file).await;
    }

    /// It is done, whatever it left behind: run again, it would be done twice.
    #[tokio::test]
    async fn what_ended_well_is_done_though_something_holds_its_output() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("child");
        let own = format!("env -i setsid sh -c 'echo $$ > {}; exec sleep 1000' &", file.display());
        sh(&format!("{own} until [ -s {} ]; do :; done", file.display()), LONG, "").await.unwrap();
        let left = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        kill_process_group(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
    }

    /// With all that it started: none of it holds a pipe, or a lock, for ever.
    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("child");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let fault = sh(&script, Duration::from_millis(500), "").await.unwrap_err();
        assert!(fault.reason.contains("did not end within"), "{fault}");
        gone(&file).await;
        let script = format!("sleep 1000 & echo $! > {}", file.display());
        sh(&script, LONG, "").await.unwrap();
        gone(&file).await;
    }

    async fn gone(file: &Path) {
        let id: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        for _ in 0..500 {
            // What has ended and waits for its parent is as good as gone.
            let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{id} is still there");
    }
}
