//! A reaction's mail: what happened in a few lines, and the incident's files where that is asked.

use serde_json::Value;

use super::Engine;
use crate::case::MailAddress;
use crate::case::text::shown;
use crate::notify::{Enclosure, MailError, Report, Undelivered};
use crate::store::{Run, StoreError};

/// The most that one mail takes with it, in bytes.
const ENCLOSED: u64 = 10 << 20;
/// Bytes read in one go.
const PIECE: usize = 1 << 20;

impl Engine {
    pub(super) async fn report(&self, run: &Run, id: &str, to: &[MailAddress]) -> Result<(), Undelivered> {
        let post = self.post().ok_or_else(|| Undelivered::now("this site has no [mail] in its settings"))?;
        let message: Value = serde_json::from_str(&run.message).unwrap_or_default();
        let (enclosures, left) = match run.attach_bundle {
            true => self.enclosures(run).await.map_err(|fault| Undelivered::now(fault.to_string()))?,
            false => (Vec::new(), Vec::new()),
        };
        let (subject, mut text) = written(&message);
        for name in left {
            text += &format!("\nNot enclosed, see the incident: {name}");
        }
        let report = Report { id, to, subject, text, enclosures, at: run.queued_at };
        let letter = post.report(report).map_err(|fault| Undelivered::ever(fault.to_string()))?;
        post.send(&letter).await.map_err(|fault| match fault {
            MailError::Server(reason) | MailError::Later(reason) => Undelivered::now(reason),
            MailError::Never(reason) => Undelivered::ever(reason),
        })
    }

    /// The files that fit into a mail, and the names of those that do not.
    async fn enclosures(&self, run: &Run) -> Result<(Vec<Enclosure>, Vec<String>), StoreError> {
        let (mut enclosures, mut left, mut room) = (Vec::new(), Vec::new(), ENCLOSED);
        for file in self.store().files(run.incident).await? {
            if file.bytes > room {
                left.push(shown(&file.name, 256));
                continue;
            }
            room -= file.bytes;
            let mut content = Vec::new();
            loop {
                let piece = self.store().content(file.content, content.len() as u64, PIECE).await?;
                if piece.is_empty() {
                    break;
                }
                content.extend(piece);
            }
            enclosures.push(Enclosure { name: file.name, content });
        }
        Ok((enclosures, left))
    }
}

/// Subject and text.
fn written(message: &Value) -> (String, String) {
    let text = |path: &str| match message.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let trigger = text("/type").replace('_', " ");
    let subject = format!("[{}] {trigger}: {}", text("/data/site"), text("/data/incident/synopsis"));
    let rows = [
        ("Incident", text("/data/incident/id")),
        ("Event", text("/data/incident/host_event_id")),
        ("Synopsis", text("/data/incident/synopsis")),
        ("Priority", text("/data/incident/priority")),
        ("Device", text("/data/incident/device")),
        ("Serial number", text("/data/incident/serial")),
        ("Client", text("/data/incident/client")),
        ("Case", text("/data/incident/case/id")),
        ("Status", text("/data/incident/case/status")),
        ("Link", text("/data/incident/case/link")),
        ("What happened", text("/data/detail")),
        ("Who", text("/data/who")),
        ("When", text("/timestamp")),
        ("Policy", text("/data/reaction")),
    ];
    let told = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let lines: Vec<String> = told.map(|(name, value)| format!("{name}: {value}")).collect();
    (shown(&subject, 200), lines.join("\n"))
}
