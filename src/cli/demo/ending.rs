//! The end of the demo: both records side by side, and where to look around.

use super::home::Home;
use super::teller::{Side, Teller};
use crate::case::{Attachment, AttachmentState};
use crate::cli::exit::Failure;
use crate::cli::print::{self, Column, Table};
use crate::protocol::operator::IncidentDetail;

/// Both records in two columns, the end user's first.
pub fn side_by_side(records: &[IncidentDetail; 2], teller: &Teller) -> Result<(), Failure> {
    /// The first column and two gaps.
    const MARGIN: usize = 15;
    let width = print::width();
    let half = width.map_or(0, |width| width.saturating_sub(MARGIN) / 2);
    let mut table = Table::new(&[
        Column::new("", 11, 0),
        Column::new("NORTH (END USER)", half, 1),
        Column::new("PARTNER", half, 1),
    ]);
    for (name, value) in VALUES {
        let [ours, theirs] = records.each_ref().map(value);
        table.row([Some((*name).to_owned()), ours, theirs]);
    }
    let seconds = format!("Done in {:.1} s. Both records side by side:", teller.seconds());
    teller.line("")?;
    teller.title(&seconds)?;
    print::out(&table.render(width))
}

type Value = fn(&IncidentDetail) -> Option<String>;

/// What is shown of a record.
const VALUES: &[(&str, Value)] = &[
    ("incident", |detail| Some(detail.row.incident.to_string())),
    ("event", |detail| Some(detail.row.host_event_id.clone())),
    ("synopsis", |detail| Some(detail.row.synopsis.clone())),
    ("device", |detail| detail.row.device.clone()),
    ("serial", |detail| detail.row.serial.clone()),
    ("priority", |detail| detail.row.priority.clone()),
    ("group", |detail| detail.row.group.clone()),
    ("client", |detail| detail.row.client.clone()),
    ("your number", |detail| detail.row.tracking_number.clone()),
    ("transaction", |detail| detail.exchanges.first()?.transaction.clone()),
    ("case ID", |detail| detail.row.case_id.clone()),
    ("case link", |detail| detail.row.case_link.clone()),
    ("case status", |detail| detail.row.case_status.clone()),
    ("exchange", |detail| Some(detail.exchanges.first()?.step.clone())),
    ("phase", |detail| Some(detail.row.phase.clone())),
    ("ended", |detail| detail.completion_code.clone()),
    ("solution", |detail| detail.solution.clone()),
    ("comments", |detail| Some(detail.comments.len().to_string())),
    ("attachments", |detail| Some(attachments(&detail.attachments))),
];

/// How many there are, and why some of them went nowhere.
fn attachments(all: &[Attachment]) -> String {
    let count = |is: fn(&AttachmentState) -> bool| all.iter().filter(|one| is(&one.state)).count();
    let stored = count(|state| matches!(state, AttachmentState::Stored { .. }));
    let not_here = [
        (count(|state| matches!(state, AttachmentState::Awaited)), "awaited"),
        (count(|state| matches!(state, AttachmentState::Failed { .. })), "not made by the device"),
    ];
    let told = not_here.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    format!("{stored}{}", told.collect::<String>())
}

/// What `--keep` leaves, and commands to look at it.
pub fn paths(home: &Home) -> Result<(), Failure> {
    let program = std::env::current_exe().map_or("casebridge".to_owned(), |path| path.display().to_string());
    let (north, partner) = (home.config(Side::North), home.config(Side::Partner));
    let (north, partner) = (north.display(), partner.display());
    let mut text = String::from("\nThe files are left for a look around:\n");
    for side in [Side::North, Side::Partner] {
        for (name, path) in [
            ("configuration", home.config(side)),
            ("store", home.store(side)),
            ("state", home.state(side)),
            ("log", home.log(side)),
        ] {
            text.push_str(&format!("  {:<8} {name:<14} {}\n", side.alias(), print::safe(&path.to_string_lossy())));
        }
    }
    text.push_str(&format!(
        "\nBoth daemons are stopped. To look around with them:\n  \
           {program} run --config {partner} &\n  \
           {program} run --config {north} &\n  \
           {program} show 1 --config {north}\n  \
           {program} status --config {partner}\n\
         And when you are done:\n  \
           rm -r {}\n",
        home.dir().display()
    ));
    print::out(&text)
}
