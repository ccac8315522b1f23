//! An end user and a partner, two processes on loopback with their own directories.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tempfile::TempDir;

/// The longest that any part may take.
pub const LIMIT: Duration = Duration::from_secs(600);

pub const ONE_BY_ONE: &str = "one by one";
pub const FILES: &str = "files";
/// The end user looks at its store every 20 ms, so that what a neighbour costs stands out of the looking.
pub const KEEN: &str = "keen";
/// The end user reaches the partner over another port, at which somebody counts.
pub const COUNTED: &str = "counted";
/// Both sites have targets of reactions that all fail.
pub const FAILING: &str = "failing";

/// A port at which nobody listens is refused, at the one that is given nobody answers.
fn failing(silent: u16) -> String {
    let webhook = |name: &str, port: u16| {
        format!(
            "[[reaction_target.webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/hook\"\n\
             secret_file = \"whsec\"\nwithin = \"2s\"\n"
        )
    };
    let command = |name: &str, command: &str| {
        format!("[[reaction_target.command]]\nname = \"{name}\"\ncommand = {command}\nwithin = \"2s\"\n")
    };
    [
        "[mail]\nhost = \"127.0.0.1\"\nport = 1\ntls = \"none\"\nfrom = \"support@desk.example\"\n".to_owned(),
        "[[reaction_target.mail]]\nname = \"mail\"\nto = [\"noc@desk.example\"]\n".to_owned(),
        webhook("hangs", silent),
        webhook("refuses", 1),
        command("fails", "[\"/bin/false\"]"),
        command("never ends", "[\"/bin/sleep\", \"1000\"]"),
    ]
    .concat()
}

pub struct Pair {
    pub end_user: Daemon,
    pub partner: Daemon,
    /// Where the partner listens.
    pub port: u16,
    store: SqlitePool,
}

impl Pair {
    pub async fn start(kind: &str) -> Self {
        Self::start_with(kind, 1).await
    }

    /// `other` is a port that takes connections and says nothing, or over which the partner is reached.
    pub async fn start_with(kind: &str, other: u16) -> Self {
        let targets = if kind == FAILING { failing(other) } else { String::new() };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let reached = if kind == COUNTED { other } else { port };
        let (common, inbox, upstream) = match kind {
            ONE_BY_ONE => ("[store]\nbatch = 1\n[state]\ngroup = 1\n", "", "batch = 1\nin_flight = 1\n"),
            FILES => ("", "[[inbox]]\ndir = \"DIR/inbox\"\nmax_attachment_size = \"1 GiB\"\nsettle = \"0s\"\n", ""),
            KEEN => ("[store]\npoll_interval = \"20ms\"\n", "", ""),
            _ => ("", "", ""),
        };
        let partner = Daemon::start(&format!(
            "[site]\nalias = \"partner\"\ndata_dir = \"DIR\"\nsocket = \"DIR/s\"\n{common}\
             [listen]\naddress = \"127.0.0.1:{port}\"\n\
             [[client]]\nalias = \"north\"\nuser = \"north\"\npassword_file = \"password\"\n\
             [[client]]\nalias = \"south\"\nuser = \"south\"\npassword_file = \"password\"\n\
             [case]\nlink_template = \"https://partner.example/{{case}}\"\n[[case.accept]]\nname = \"all\"\n{targets}"
        ))
        .await;
        let end_user = Daemon::start(&format!(
            "[site]\nalias = \"north\"\ndata_dir = \"DIR\"\nsocket = \"DIR/s\"\n{common}{inbox}\
             [upstream]\nalias = \"partner\"\nurl = \"http://127.0.0.1:{reached}\"\nuser = \"north\"\n\
             password_file = \"password\"\n{upstream}[[submit.policy]]\nname = \"all\"\n{targets}"
        ))
        .await;
        let options = SqliteConnectOptions::new().filename(end_user.path("incidents.db")).busy_timeout(LIMIT);
        let store = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        Self { end_user, partner, port, store }
    }

    /// Rows of about a kilobyte, in one transaction, as another program inserts them.
    pub async fn deposit(&self, first: usize, count: usize) {
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1 + ?2) \
             INSERT INTO incident (host_event_id, synopsis, description, device, serial, priority, severity, \
               problem_class, service_type, event_type, event_type_group, occurred_at, manifest) \
             SELECT 'edge1-JN119A7C1AFA-20261121-' || i, 'Chassis alarm on edge1: power supply ' || i || ' failed', \
               printf('%.600c', 'x'), 'edge1.ber.north.example', 'JN119A7C1AFA', '2 - High', 'major', 'Support', \
               'reactive', 'PSU_FAILURE', 'hardware', '2026-11-21T12:00:00Z', '{\"router/model\":\"mx960\"}' FROM n",
        )
        .bind(first as i64)
        .bind(count as i64)
        .execute(&self.store)
        .await
        .unwrap();
    }

    /// Until the first `count` incidents have their case. What has one is not looked at again: a benchmark that reads the
    /// whole store at each look measures itself.
    pub async fn wait_for_cases(&self, count: usize) {
        let (start, mut done) = (Instant::now(), 0_i64);
        loop {
            let open: Option<i64> =
                sqlx::query_scalar("SELECT id FROM incident WHERE id > ? AND case_id IS NULL ORDER BY id LIMIT 1")
                    .bind(done)
                    .fetch_optional(&self.store)
                    .await
                    .unwrap();
            done = open.map_or(count as i64, |open| open - 1);
            if done >= count as i64 {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{done} of {count} cases after {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(if count < 1000 { 2 } else { 10 })).await;
        }
    }

    /// Incidents one after the other, from the commit of each row to its case ID, in milliseconds: the median and the most.
    pub async fn single_incidents(&self, first: usize, count: usize) -> (f64, f64) {
        let mut times = Vec::with_capacity(count);
        for number in first..first + count {
            let start = Instant::now();
            self.deposit(number, 1).await;
            self.wait_for_cases(number + 1).await;
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            tokio::time::sleep(Duration::from_millis(137)).await;
        }
        times.sort_by(f64::total_cmp);
        (times[count / 2], times[count - 1])
    }

    /// CPU seconds of end user and partner so far.
    pub fn cpu(&self) -> (f64, f64) {
        (self.end_user.cpu(), self.partner.cpu())
    }
}

pub struct Daemon {
    dir: TempDir,
    child: Child,
}

impl Daemon {
    async fn start(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("cb-bench-").tempdir().unwrap();
        let config = config.replace("DIR", dir.path().to_str().unwrap());
        std::fs::create_dir_all(dir.path().join("inbox/attachments")).unwrap();
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        write_secret(&dir.path().join("password"), "correct horse battery");
        write_secret(&dir.path().join("whsec"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_casebridge"))
            .args(["run", "--config"])
            .arg(dir.path().join("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self { dir, child };
        let start = Instant::now();
        while !std::fs::read_to_string(daemon.path("log")).unwrap().contains("event=\"ready\"") {
            assert!(start.elapsed() < Duration::from_secs(30), "the daemon does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        daemon
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }

    /// Resident, in MiB.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS")
    }

    /// The most that ever was resident, in MiB.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM")
    }

    /// The store's WAL, in MiB: the file is used anew and never made shorter.
    pub fn wal(&self) -> u64 {
        std::fs::metadata(self.path("incidents.db-wal")).map_or(0, |file| file.len() >> 20)
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
