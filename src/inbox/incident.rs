//! Incidents as JSON, for everything that is not a bundle.
//!
//! ```json
//! {
//!   "event": {"host_event_id": "edge1-JN11-20261121-120000-1", "kind": "event", "synopsis": "Chassis alarm"},
//!   "group": "north",
//!   "form": {"priority": "2 - High", "cc": ["noc@north.example"]},
//!   "files": [
//!     {"name": "show-chassis.txt", "media_type": "text/plain", "content_base64": "..."},
//!     {"name": "messages.0.gz", "listed": true}
//!   ]
//! }
//! ```
//!
//! Only `event` is mandatory, and of it `host_event_id` and `synopsis`. A key that is not known is refused: it is more
//! often a misspelling than a wish.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::encoding::{EncodingFault, utf8};
use super::shown::{SHOWN_LIMIT, shortened, shown};
use super::time;
use crate::case::{Deposit, DepositedFile, Event, FileContent, Form, Kind, Priority, form};

/// Why a JSON incident cannot be read. What it repeats of the document is short and harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncidentFault {
    #[error(transparent)]
    Encoding(#[from] EncodingFault),
    #[error("line {line}, column {column}: the JSON is malformed: {problem}")]
    Malformed { line: usize, column: usize, problem: String },
    #[error("line {line}, column {column}: {path}: {problem}")]
    Content { path: String, line: usize, column: usize, problem: String },
    #[error("files[{index}] {problem}")]
    File { index: usize, problem: &'static str },
    #[error("there are {given} files; at most {} are allowed", Deposit::FILE_LIMIT)]
    TooManyFiles { given: usize },
}

/// Reads one incident. Texts are checked for structure only; [`Event::check`] and [`Form::check`] do the rest.
pub fn read_incident(bytes: &[u8]) -> Result<Deposit, IncidentFault> {
    let mut json = serde_json::Deserializer::from_str(utf8(bytes)?);
    let document: Document = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        fault(&path, error.inner())
    })?;
    json.end().map_err(|error| fault("", &error))?;
    if document.files.len() > Deposit::FILE_LIMIT {
        return Err(IncidentFault::TooManyFiles { given: document.files.len() });
    }
    let files = document
        .files
        .into_iter()
        .enumerate()
        .map(|(index, file)| file.read().map_err(|problem| IncidentFault::File { index, problem }));
    Ok(Deposit {
        event: document.event,
        group: document.group,
        form: document.form,
        files: files.collect::<Result<_, _>>()?,
        ..Deposit::default()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(with = "StrictEvent")]
    event: Event,
    #[serde(default)]
    group: Option<String>,
    #[serde(default, deserialize_with = "form::strict")]
    form: Form,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    content_base64: Option<String>,
    #[serde(default)]
    listed: bool,
}

impl File {
    fn read(self) -> Result<DepositedFile, &'static str> {
        let content = match (self.content_base64, self.listed) {
            (Some(content), false) => {
                FileContent::Embedded(STANDARD.decode(content).map_err(|_| "content_base64 is not valid base64")?)
            }
            (None, true) => FileContent::Listed,
            (Some(_), true) => return Err("has content_base64 and is listed; it can only be one of them"),
            (None, false) => return Err("has neither content_base64 nor \"listed\": true"),
        };
        Ok(DepositedFile { name: self.name, media_type: self.media_type, content })
    }
}

/// An [`Event`] of which every key must be known, and whose time may be spelled as in a bundle. Towards a peer an event
/// is read more freely, because the peer may be newer than we are.
#[derive(Deserialize)]
#[serde(remote = "Event", deny_unknown_fields)]
struct StrictEvent {
    host_event_id: String,
    #[serde(default)]
    kind: Kind,
    synopsis: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    priority: Option<Priority>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    problem_class: Option<String>,
    #[serde(default)]
    service_type: Option<String>,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    event_type_group: Option<String>,
    #[serde(default, deserialize_with = "instant")]
    occurred_at: Option<Timestamp>,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    serial: Option<String>,
    #[serde(default)]
    manifest: BTreeMap<String, String>,
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let unreadable =
        || serde::de::Error::custom(format!("this is not a time that can be read; write {}", time::ACCEPTED));
    time::read(&text).map(Some).ok_or_else(unreadable)
}

fn fault(path: &str, error: &serde_json::Error) -> IncidentFault {
    let (line, column) = (error.line(), error.column());
    let whole = error.to_string();
    let position = format!(" at line {line} column {column}");
    let problem = calmed(whole.strip_suffix(&position).unwrap_or(&whole));
    if error.is_data() {
        let path = match own_part(path, &whole) {
            // The path of the document itself is written as a dot.
            "" | "." => "the incident".to_owned(),
            path => shown(path),
        };
        IncidentFault::Content { path, line, column, problem }
    } else {
        IncidentFault::Malformed { line, column, problem }
    }
}

/// The part of a place that is made of our own keys: what the document calls its entries may say anything, and is quoted
/// where it is at fault.
fn own_part<'p>(path: &'p str, problem: &str) -> &'p str {
    let key = problem.strip_prefix("unknown field `").and_then(|rest| Some(&rest[..rest.find("`, expected ")?]));
    let own = match key.filter(|key| !key.is_empty()) {
        Some(key) => path.strip_suffix(key).unwrap_or_default().trim_end_matches('.'),
        None => path,
    };
    const ENTRIES: &str = "event.manifest";
    if own.starts_with(ENTRIES) { ENTRIES } else { own }
}

/// A sentence of the JSON reader with what it quotes from the document cut short. The quotation begins at the first
/// quotation mark, and ends where the reader goes on to say what it expected, or at the end.
fn calmed(problem: &str) -> String {
    let Some(start) = problem.find(['`', '"']).map(|at| at + 1) else { return shortened(problem, 200) };
    let quoted = &problem[start..];
    let end = ["`, expected ", "\", expected "].iter().filter_map(|mark| quoted.rfind(mark)).max();
    let end = end.or_else(|| quoted.rfind(['`', '"'])).unwrap_or(quoted.len());
    let foreign = &quoted[..end];
    if foreign.chars().count() <= SHOWN_LIMIT && shown(foreign) == foreign {
        return problem.to_owned();
    }
    format!("{}{}{}", &problem[..start], shown(foreign), &quoted[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(json: &str) -> String {
        read_incident(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_incident_is_read() {
        let deposit = read_incident(
            br#"{"event":{"host_event_id":"e-1","kind":"event_rma","synopsis":"s","priority":"1 - Critical",
                "occurred_at":"2026-11-21 12:00:00 UTC","manifest":{"router/model":"MX480"}},
                "group":"north","form":{"site_id":"B1"},
                "files":[{"name":"a","content_base64":"YQ=="},{"name":"b","listed":true}]}"#,
        )
        .unwrap();
        assert_eq!(deposit.event.kind, Kind::EventRma);
        assert_eq!(deposit.event.occurred_at, "2026-11-21T12:00:00Z".parse().ok());
        assert_eq!(deposit.group.as_deref(), Some("north"));
        assert_eq!(deposit.form.site_id.as_deref(), Some("B1"));
        assert_eq!(deposit.files[0].content, FileContent::Embedded(b"a".to_vec()));
        assert_eq!(deposit.files[1].content, FileContent::Listed);
    }

    #[test]
    fn a_fault_names_the_place() {
        let fault = sentence("{\"event\":{\"host_event_id\":\"e\",\n \"synopsis\":7}}");
        assert!(fault.starts_with("line 2, column 13: event.synopsis: invalid type"), "{fault}");
        let fault = sentence(r#"{"event":{"host_event_id":"e","synopsis":"s","colour":"red"}}"#);
        assert!(fault.contains("column 53: event: unknown field `colour`, expected one of"), "{fault}");
        let fault = sentence(r#"{"event":{"host_event_id":"e","synopsis":"s","priority":"1 - critical"}}"#);
        assert!(fault.contains("event.priority: ") && fault.contains("`1 - Critical`"), "{fault}");
        let fault = sentence(r#"{"event":{"host_event_id":"e","synopsis":"s"},"form":{"cc":["noc"]}}"#);
        assert!(fault.contains("form.cc[0]: 'noc' in the CC list is not a mail address"), "{fault}");
        let fault = sentence(r#"{"event":{"host_event_id":"e","synopsis":"s"}} {}"#);
        assert!(fault.contains("malformed: trailing characters"), "{fault}");
        let fault = sentence(r#"{"event":{"host_event_id":"e","synopsis":"s"},"files":[{"name":"a"}]}"#);
        assert!(fault.starts_with("files[0] has neither"), "{fault}");
    }

    #[test]
    fn what_the_log_tells_of_a_fault_holds_no_word_of_the_document() {
        for json in [
            r#"{"Customer ACME. call Bob, password hunter2":1}"#,
            r#"{"event":{"hunter2`, expected ACME":1}}"#,
            r#"{"event":{"host_event_id":"e","synopsis":"s","manifest":{"ACME/hunter2":7}}}"#,
            r#"{"event":{"host_event_id":"e","synopsis":"s"},"files":[{"ACME":"hunter2"}]}"#,
            r#"{"event":{"host_event_id":"e","synopsis":"s","priority":"ACME"}}"#,
        ] {
            let told = crate::telemetry::discreet(&sentence(json)).into_owned();
            assert!(["ACME", "Bob", "hunter2"].iter().all(|word| !told.contains(word)), "{told}");
            assert!(told.starts_with("line 1, column "), "{told}");
        }
    }

    #[test]
    fn a_fault_repeats_little_of_the_document() {
        let long = "y`, expected x".repeat(2000);
        let value = serde_json::to_string(&long).unwrap();
        for json in [
            format!(r#"{{{value}:1}}"#),
            format!(r#"{{"event":{{{value}:1}}}}"#),
            format!(r#"{{"event":{value}}}"#),
            format!(r#"{{"event":{{"host_event_id":"e","synopsis":"s","priority":{value}}}}}"#),
            format!(r#"{{"event":{{"host_event_id":"e","synopsis":"s","occurred_at":{value}}}}}"#),
            format!(r#"{{"event":{{"host_event_id":"e","synopsis":"s","manifest":{{{value}:7}}}}}}"#),
            format!(r#"{{"event":{{"host_event_id":"e","synopsis":"s"}},"form":{{"cc":[{value}]}}}}"#),
        ] {
            let fault = sentence(&json);
            assert!(fault.chars().count() < 600, "{fault}");
        }
    }

    #[test]
    fn depth_cannot_exhaust_the_stack() {
        let deep = format!(r#"{{"event":{}"#, "[".repeat(1_000_000));
        assert!(read_incident(deep.as_bytes()).is_err());
    }
}
