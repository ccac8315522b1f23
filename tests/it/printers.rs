//! Whatever text stands wherever in an answer of the daemon's, no command prints what steers a terminal.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::Site;
use crate::support::command::{finish, program};
use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, eventually};

/// Clears the screen, names the window, turns the text around, and ends a line where none should end.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}1m\r\u{0}";

/// A daemon that gives every question the same answer.
struct Puppet {
    answer: Arc<Mutex<String>>,
}

impl Puppet {
    fn at(site: &Site) -> Self {
        let listener = UnixListener::bind(site.path("puppet")).unwrap();
        let answer = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 65536];
                let _ = stream.read(&mut request);
                let body = said.lock().unwrap().clone();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
                let _ = stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes());
            }
        });
        Self { answer }
    }
}

/// Every place with a text in a value.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            items.iter().take(3).enumerate().for_each(|(index, item)| texts(item, &format!("{at}/{index}"), found))
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, item)| texts(item, &format!("{at}/{}", name.replace('/', "~1")), found));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_an_answer_steers_the_terminal_wherever_it_stands() {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 2).await;
    pair.wait_all_open(2).await;
    let site = &pair.end_user;
    site.act("/v1/incidents/1/comments", json!({"text": "on its way", "operator": "anna"})).await;
    eventually("a line of it", || async {
        (site.count("SELECT count(*) FROM history WHERE action = 'comment_added'").await > 0
            || site.count("SELECT count(*) FROM history").await > 4)
            .then_some(())
    })
    .await;
    let mut status = site.get("/v1/status").await.body;
    status["warnings"] = json!(["a warning"]);
    status["peers"][0]["last_error"] = json!("an error");
    let row = json!({"peer": "partner", "position": 1, "exchange": "0".repeat(32), "incident": 1, "seq": 1,
        "operation": "create", "queued_at": "2026-11-21T10:00:00Z", "changes": "status: Open to Closed", "attempts": 1,
        "last_error": "no answer"});
    let parked = json!({"incident": 1, "exchange": "0".repeat(32), "peer": "partner", "operation": "create", "seq": 1,
        "since": "2026-11-21T10:00:00Z", "reason": "no"});
    let shown = site.get("/v1/incidents/1").await.body;
    let done = json!({"incident": 1, "message": "incident 1 is done"});
    let rows: Vec<(&[&str], Value)> = vec![
        (&["status"], status),
        (&["incidents"], site.get("/v1/incidents").await.body),
        (&["show", "1"], shown.clone()),
        (&["show", "1", "--json"], shown),
        (&["why", "1"], site.get("/v1/incidents/1/why").await.body),
        (&["outbox"], json!({"operations": [row], "total": 1})),
        (&["parked"], json!({"parked": [parked], "total": 1})),
        (&["update", "1", "--comment", "x"], done.clone()),
        (&["assign", "1", "partner"], done.clone()),
        (&["comment", "1", "x"], done.clone()),
        (&["link", "1", "--transaction", "1"], done.clone()),
        (&["open", "--synopsis", "x"], done.clone()),
        (&["submit", "1"], done.clone()),
        (&["pause", "1"], done.clone()),
        (&["override", "1", "--clear"], done),
        (&["job", "list"], site.get("/v1/jobs").await.body),
        (&["key", "show"], site.get("/v1/keys").await.body),
        (&["reconcile"], site.post("/v1/reconcile", json!({"operator": "anna"})).await.body),
    ];
    let puppet = Puppet::at(site);
    let mut tried = 0;
    for (arguments, answer) in rows {
        let mut places = Vec::new();
        texts(&answer, "", &mut places);
        assert!(!places.is_empty() || arguments == ["reconcile"], "{arguments:?}: {answer}");
        for place in places {
            let mut hostile = answer.clone();
            let text = hostile.pointer_mut(&place).unwrap();
            *text = json!(format!("{}{HOSTILE}", text.as_str().unwrap()));
            *puppet.answer.lock().unwrap() = hostile.to_string();
            let mut command = program(arguments);
            command.arg("--socket").arg(site.path("puppet"));
            let done = finish(command);
            let steers = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
            let printed = format!("{}{}", done.out, done.err);
            assert_eq!(printed.chars().find(steers), None, "{arguments:?} {place}: {}", printed.escape_debug());
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried} places");
}
