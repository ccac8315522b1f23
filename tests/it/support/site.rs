//! One site: a directory, a configuration, and a real daemon process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tempfile::TempDir;

use super::eventually;

/// The site's directory goes with it.
pub struct Site {
    pub alias: String,
    dir: TempDir,
    child: Option<Child>,
    client: reqwest::Client,
    /// Removed from the log before the next start, so that a test reads only what is new.
    crash_at: Option<String>,
    /// What the daemon finds in its environment.
    environment: Vec<(&'static str, String)>,
    /// The program that the daemon is started by, with its arguments. It becomes the daemon.
    wrapper: Vec<String>,
}

/// An answer of the daemon over its local socket.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Site {
    /// A site with this configuration; `{dir}` in it stands for its directory.
    pub fn new(alias: &str, config: &str) -> Self {
        Self::within(&std::env::temp_dir(), alias, config)
    }

    /// The same, on another file system perhaps.
    pub fn within(parent: &Path, alias: &str, config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("cb-").tempdir_in(parent).unwrap();
        std::fs::create_dir(dir.path().join("inbox")).unwrap();
        write_secret(&dir.path().join("password"), "correct horse battery");
        let config = config.replace("{dir}", dir.path().to_str().unwrap());
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let client = reqwest::Client::builder()
            .unix_socket(dir.path().join("s"))
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            alias: alias.into(),
            dir,
            child: None,
            client,
            crash_at: None,
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("config.toml")).unwrap();
        assert!(text.contains(from), "{from} is in the configuration");
        std::fs::write(self.path("config.toml"), text.replace(from, to)).unwrap();
    }

    /// The next start dies at this crash point.
    pub fn crash_at(&mut self, point: &str) {
        self.crash_at = Some(point.into());
    }

    /// The daemon finds this in its environment from the next start on.
    pub fn environment(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    /// The daemon is started by this from now on, which has to become it in the end (`exec`).
    pub fn under(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Starts the daemon and returns without waiting for it.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.alias);
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let daemon = env!("CARGO_BIN_EXE_casebridge").to_owned();
        let mut words = self.wrapper.iter().chain([&daemon]);
        let mut command = Command::new(words.next().expect("there is the daemon at least"));
        command.args(words);
        command.args(["run", "--config"]).arg(self.path("config.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for name in ["CASEBRIDGE_CRASH_AT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(point) = self.crash_at.take() {
            command.env("CASEBRIDGE_CRASH_AT", point);
        }
        self.child = Some(command.spawn().unwrap());
    }

    pub async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    pub async fn ready(&mut self) {
        let what = format!("{} to be ready", self.alias);
        eventually(&what, || async {
            let answer = self.client.get("http://local/readyz").send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(&mut self) -> i32 {
        self.signal("TERM");
        self.exited().await
    }

    /// SIGHUP, and then this event once more than before.
    pub async fn reload(&self, event: &str) {
        let event = format!("event=\"{event}\"");
        let logged = || self.log().matches(&event).count();
        let before = logged();
        self.signal("HUP");
        eventually(&event, || async { (logged() > before).then_some(()) }).await;
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("the daemon runs").id();
        let status = Command::new("kill").args([format!("-{signal}"), id.to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the process ends by itself.
    pub async fn exited(&mut self) -> i32 {
        let mut child = self.child.take().expect("the daemon runs");
        let what = format!("{} to end", self.alias);
        let status = loop_until_exit(&what, &mut child).await;
        status.code().unwrap_or(-1)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A request over the local socket, to be sent by whoever asks.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("http://local{path}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        let answer = self.client.get(format!("http://local{path}")).send().await.expect("the daemon answers");
        read(answer).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let answer = self.client.post(format!("http://local{path}")).json(&body).send().await;
        read(answer.expect("the daemon answers")).await
    }

    /// Does something that has to succeed.
    pub async fn act(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// The site's store, as another program sees it.
    pub async fn store(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(self.path("incidents.db"))
            .busy_timeout(Duration::from_secs(20))
            .foreign_keys(true);
        SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
    }

    /// One number out of the store.
    pub async fn count(&self, sql: &'static str) -> i64 {
        let store = self.store().await;
        let count = sqlx::query_scalar(sql).fetch_one(&store).await.unwrap();
        store.close().await;
        count
    }

    /// Inserts incidents as another program would, numbered from `first`.
    pub async fn insert(&self, first: usize, count: usize) {
        let store = self.store().await;
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1 + ?2) \
             INSERT INTO incident (host_event_id, synopsis, device, priority) \
             SELECT 'edge1-JN1-20261121-' || i, 'Chassis alarm ' || i, 'edge1', '2 - High' FROM n",
        )
        .bind(first as i64)
        .bind(count as i64)
        .execute(&store)
        .await
        .unwrap();
        store.close().await;
    }

    /// Deletes the sled directory, as a careless administrator would.
    pub fn lose_state(&self) {
        assert!(self.child.is_none(), "the daemon is down");
        std::fs::remove_dir_all(self.path("state")).unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.alias, excerpt(&self.log()));
        }
    }
}

/// Of each event the first and the last lines: what is told rarely does not drown in what is told often.
fn excerpt(log: &str) -> String {
    const SHOWN: usize = 8;
    let event = |line: &str| line.split_once("event=").map(|(_, rest)| rest.split(' ').next().map(str::to_owned));
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    for (place, line) in log.lines().enumerate() {
        places.entry(event(line)).or_default().push(place);
    }
    let mut shown: Vec<usize> = Vec::new();
    for places in places.values() {
        shown.extend(places.iter().take(SHOWN));
        shown.extend(places.iter().skip(SHOWN.max(places.len().saturating_sub(SHOWN))));
    }
    shown.sort_unstable();
    let lines: Vec<&str> = log.lines().collect();
    shown.into_iter().map(|place| lines[place]).collect::<Vec<_>>().join("\n")
}

async fn loop_until_exit(what: &str, child: &mut Child) -> std::process::ExitStatus {
    for _ in 0..6000 {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for: {what}");
}

async fn read(answer: reqwest::Response) -> Answer {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

pub fn write_secret(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
