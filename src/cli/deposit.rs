//! `deposit`: hands files to the daemon, one after the other.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::local::Local;
use super::{Output, print, query, who};
use crate::config::defaults;
use crate::protocol::operator::{DepositAnswer, DepositQuery};

/// Of `deposit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A bundle (XML) or an incident (JSON)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Tries every file; one that is refused does not keep the others.
pub async fn run(local: &Local, arguments: Arguments) -> Result<(), Failure> {
    let mut taken = Vec::new();
    let mut failed = Vec::new();
    for file in &arguments.files {
        match hand_in(local, file).await {
            Ok(answer) => {
                if !arguments.output.json {
                    print::out(&sentence(file, &answer))?;
                }
                taken.push(as_json(file, &answer));
            }
            Err(failure) => {
                if arguments.files.len() > 1 {
                    print::err(&failure.show(print::colour_err()));
                }
                failed.push(failure);
            }
        }
    }
    if arguments.output.json {
        print::out(&print::json(&taken)?)?;
    }
    match (failed.pop(), arguments.files.len()) {
        (None, _) => Ok(()),
        (Some(failure), 1) => Err(failure),
        (Some(last), all) => {
            let what = format!("{} of {all} files were not taken", failed.len() + 1);
            Err(Failure::new(last.exit, what, "each has its reason above", "correct them and hand them in again"))
        }
    }
}

async fn hand_in(local: &Local, file: &Path) -> Result<DepositAnswer, Failure> {
    let what = format!("{} is not taken", file.display());
    let bytes = read(file).map_err(|why| Failure::new(Exit::Failed, &what, why, "name another file"))?;
    let path = query::address("/v1/deposits", &DepositQuery { operator: who::operator() })?;
    local.post_file(&what, &path, bytes).await
}

/// No more than any setting lets the daemon read.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let limit = defaults::INBOX_MAX_SIZE.most;
    let metadata = std::fs::metadata(file).map_err(|error| format!("it cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > limit { Err(format!("it is larger than {limit} bytes")) } else { Ok(bytes) }
}

fn sentence(file: &Path, answer: &DepositAnswer) -> String {
    let how = if answer.new { "became" } else { "was there before, as" };
    let (file, event) = (file.to_string_lossy(), print::safe(&answer.host_event_id));
    format!("{} {how} incident {} (event {event})", print::safe(&file), answer.incident)
}

fn as_json(file: &Path, answer: &DepositAnswer) -> Value {
    json!({
        "file": file.to_string_lossy(),
        "incident": answer.incident,
        "host_event_id": answer.host_event_id,
        "new": answer.new,
    })
}
