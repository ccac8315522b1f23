//! `show` and `activities`: everything about one case.

use clap::Args;
use jiff::Timestamp;

use super::{CaseAnswer, Failure, Local, Method, Target, Told, print, who};
use crate::case::Fact;
use crate::cli::print::{Column, Marks, Table, safe, safe_lines, time};
use crate::protocol::cases::{CaseActivities, CaseDetail, CaseSla, FlagRequest};

/// Of `show` and `activities`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
}

/// Prints the case. Whom it was put before has then looked at it.
pub async fn run(local: &Local, Arguments { target }: Arguments) -> Result<(), Failure> {
    let what = format!("case {} cannot be shown", target.case);
    let mut case: Told<CaseDetail> = local.get(&what, &target.path("")).await?;
    if target.output.json {
        return print::out(&print::json(&case)?);
    }
    let user = who::operator();
    if case.data.row.flags.iter().any(|flag| flag.unread && flag.user.as_str() == user) {
        let request = FlagRequest { users: None, read: true, operator: user };
        let unread = "the case stays unread";
        let _: CaseAnswer =
            local.ask(unread, Method::PUT, &target.path("/flags"), |builder| builder.json(&request)).await?;
        // What is shown is the revision afterwards, on which somebody may decide.
        case = local.get(&what, &target.path("")).await?;
    }
    print::out(&shown(&case.data))
}

/// Prints who did what.
pub async fn activities(local: &Local, Arguments { target }: Arguments) -> Result<(), Failure> {
    const COLUMNS: [Column; 4] =
        [Column::new("AT", 20, 0), Column::new("WHO", 10, 1), Column::new("WHAT", 10, 2), Column::new("DETAIL", 12, 3)];
    let what = format!("the activities of case {} cannot be listed", target.case);
    let list: Told<CaseActivities> = local.get(&what, &target.path("/activities")).await?;
    if target.output.json {
        return print::out(&print::json(&list)?);
    }
    let mut table = Table::new(&COLUMNS);
    for line in list.data.activities {
        table.row([Some(time(line.at)), Some(line.who), Some(line.action), Some(line.detail)]);
    }
    print::out(&table.render(print::width()))
}

fn due(at: Timestamp, stands_still: bool, is_missed: bool) -> String {
    let missed = if is_missed { ", missed" } else { "" };
    format!("{}{missed}{}", time(at), if stands_still { " (its clock stands still)" } else { "" })
}

fn sla(one: &CaseSla) -> String {
    let due = match one.due_at {
        Some(at) => format!("{} due {}", one.goal, time(at)),
        None => format!("{}, its clock stands still", one.goal),
    };
    let how = match (one.missed, one.warned, one.warns_at) {
        (true, ..) => ", missed".to_owned(),
        (false, true, _) => ", warned of".to_owned(),
        (false, false, Some(at)) => format!(", warning at {}", time(at)),
        (false, false, None) => String::new(),
    };
    format!("{}: {due}{how}", one.name)
}

fn told(fact: &Fact, case: &CaseDetail) -> String {
    match fact {
        Fact::State(state) => state.label().to_owned(),
        Fact::Notice(name) => format!("notice {name}"),
        Fact::Named(name) => name.clone(),
        Fact::Deadline { deadline, passed } => {
            let sla = case.slas.iter().find(|one| one.id == *deadline);
            format!("{} {}", sla.map_or("a deadline", |one| one.name.as_str()), passed.as_str())
        }
    }
}

fn shown(case: &CaseDetail) -> String {
    let row = &case.row;
    let mut text = format!("case {}: {}\n", safe(&row.display_id), safe(&row.details));
    let list = |names: Vec<String>| Some(names.join(", ")).filter(|names| !names.is_empty());
    fn texts<T: ToString>(names: &[T]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }
    let initiator = row.initiator_id.as_ref().map(|id| {
        let names = [&row.first_name, &row.last_name];
        let names: Vec<&str> = names.into_iter().filter_map(Option::as_deref).collect();
        if names.is_empty() { id.to_string() } else { format!("{id} ({})", names.join(" ")) }
    });
    let flag = |flag: &crate::protocol::cases::CaseFlag| match flag.unread {
        true => format!("{} (unread)", flag.user),
        false => flag.user.to_string(),
    };
    let process = case.process_name.as_ref().map(|process| match &case.solution_name {
        Some(solution) => format!("{process}, of {solution}"),
        None => process.clone(),
    });
    let fields: [(&str, Option<String>); 26] = [
        ("GUID", Some(row.id.to_string())),
        ("incident", Some(row.number.to_string())),
        ("revision", Some(row.revision.to_string())),
        ("type", row.case_type_name.as_ref().map(ToString::to_string)),
        ("process", process),
        ("state", Some(row.state_label.clone())),
        ("priority", row.priority.map(|priority| priority.to_string())),
        ("client", row.client.clone()),
        ("device group", row.device_group.clone()),
        ("device", row.device.clone()),
        ("initiator", initiator),
        ("entered by", row.created_by.as_ref().map(ToString::to_string)),
        ("assigned to", list(texts(&row.assigned_to_users))),
        ("assigned to groups", list(texts(&row.assigned_to_groups))),
        ("owner", row.owner.as_ref().map(|owner| format!("{owner}, {}", row.owner_status))),
        ("flagged to", list(row.flags.iter().map(flag).collect())),
        ("watchers", list(texts(&row.watchers))),
        ("tags", list(texts(&row.tags))),
        ("location", row.location.clone()),
        ("location ID", row.location_id.map(|id| id.to_string())),
        ("location code", row.location_code.clone()),
        ("completed", Some(format!("{} %", row.completed_percent.get()))),
        (
            "resolved",
            row.resolution_date.map(|at| match &row.resolved_by {
                Some(by) => format!("{} by {by}", time(at)),
                None => time(at),
            }),
        ),
        ("came from", row.case_relation.as_ref().map(|one| format!("{}: {}", one.display_id, one.details))),
        ("due", row.due_date.map(|at| due(at, row.due_date_stands_still, case.marked_due_date_exceeded))),
        ("stored", Some(time(row.created_at))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<20} {}\n", safe(&value)));
        }
    }
    for one in &case.slas {
        text.push_str(&format!("  {:<20} {}\n", "SLA", safe(&sla(one))));
    }
    for one in &case.milestones {
        text.push_str(&format!("  {:<20} {} {}\n", "milestone", time(one.at), safe(&told(&one.fact, case))));
    }
    for one in case.documents.iter().flatten() {
        text.push_str(&format!("  {:<20} {}, {}\n", "document", safe(&one.name), safe(&one.state)));
    }
    if !row.active {
        text.push_str("  (deleted from the lists)\n");
    }
    for (title, body) in [("description", Some(case.description.as_str())), ("resolution", case.resolution.as_deref())]
    {
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            text.push_str(&format!("  {title}\n{}", safe_lines(body, "    ")));
        }
    }
    for comment in case.comments.iter().flatten().filter(|comment| !comment.deleted) {
        let marks = Marks {
            initiator: comment.initiator,
            internal: comment.internal,
            language: comment.language.as_deref(),
            origin: comment.origin.as_deref(),
        };
        text.push_str(&format!("  {}\n", print::comment(comment.written_at, &comment.author, marks)));
        text.push_str(&safe_lines(&comment.text, "    "));
    }
    text
}
