//! `documents` and `upload`: the files of a case.

use std::path::PathBuf;

use clap::Args;

use super::{CaseAnswer, Failure, Local, Method, Target, Told, encoded, print};
use crate::cli::exit::Exit;
use crate::cli::print::{Column, Table};
use crate::protocol::cases::{Acting, CaseDocuments};

/// Of `documents`.
#[derive(Debug, Args)]
pub struct DocumentArguments {
    #[command(flatten)]
    target: Target,
    /// Fetch this document
    #[arg(long, value_name = "NAME", requires = "to", conflicts_with = "remove")]
    get: Option<String>,
    /// Where to write it; must not be there yet
    #[arg(long, value_name = "FILE", requires = "get")]
    to: Option<PathBuf>,
    /// Remove this document; what a peer has of it stays there
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
}

/// Of `upload`.
#[derive(Debug, Args)]
pub struct UploadArguments {
    #[command(flatten)]
    target: Target,
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name of the document; that of the file when left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

const COLUMNS: [Column; 5] = [
    Column::new("NAME", 12, 0),
    Column::new("STATE", 7, 1),
    Column::new("BYTES", 6, 2),
    Column::new("TYPE", 8, 3),
    Column::new("SHA-256", 12, 4),
];

pub async fn documents(local: &Local, arguments: DocumentArguments) -> Result<(), Failure> {
    let DocumentArguments { target, get, to, remove } = arguments;
    if let Some(name) = remove {
        let rest = format!("/documents/{}", encoded(&name));
        return target.change(local, Method::DELETE, &rest, &Acting::default(), "without that document").await;
    }
    if let (Some(name), Some(to)) = (get, to) {
        let what = format!("the document is not fetched to {}", to.display());
        let content = local.bytes(&what, &target.path(&format!("/documents/{}", encoded(&name)))).await?;
        let written =
            std::fs::File::create_new(&to).and_then(|mut file| std::io::Write::write_all(&mut file, &content));
        return written
            .map_err(|error| Failure::new(Exit::Failed, &what, error, "choose a file that is not there yet"));
    }
    let what = format!("the documents of case {} cannot be listed", target.case);
    let list: Told<CaseDocuments> = local.get(&what, &target.path("/documents")).await?;
    if target.output.json {
        return print::out(&print::json(&list)?);
    }
    let mut table = Table::new(&COLUMNS);
    for one in list.data.documents {
        let bytes = one.bytes.map(|bytes| bytes.to_string());
        table.row([Some(one.name), Some(one.state), bytes, one.media_type, one.sha256]);
    }
    print::out(&table.render(print::width()))
}

pub async fn upload(local: &Local, arguments: UploadArguments) -> Result<(), Failure> {
    let UploadArguments { target, file, name } = arguments;
    let what = format!("{} is not put to case {}", file.display(), target.case);
    let own = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let name =
        name.or(own).ok_or_else(|| Failure::new(Exit::Usage, &what, "it has no name", "give one with --name"))?;
    let content = std::fs::read(&file)
        .map_err(|error| Failure::new(Exit::Failed, &what, error, "give a file that you may read"))?;
    let path = target.path(&format!("/documents/{}", encoded(&name)));
    let answer: Told<CaseAnswer> = local
        .ask(&what, Method::PUT, &path, |request| {
            let request = target.conditional(request);
            request.header("Content-Type", "application/octet-stream").body(content)
        })
        .await?;
    target.done(&answer, "given the document")
}
