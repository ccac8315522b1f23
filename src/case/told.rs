//! What an operation changes, in a sentence for the history: each field with its old and its new value.

use super::apply::Edit;
use super::incident::Case;
use super::milestone::Fact;
use super::operation::{Operation, OperationKind};
use super::phase::Phase;
use super::shadow::{Mark, Shadow};
use super::teller;
use super::text::shown;

/// The most of one value that is repeated, in bytes; the record has it whole.
const SHOWN: usize = 160;

/// An operation of ours, as it differs from what both sides agreed on before.
pub fn sent(operation: &Operation, before: &Shadow) -> String {
    let Some(changes) = operation.changes() else { return operation.kind().to_string() };
    let edit = Edit {
        phase: reached(operation.kind()),
        solution: changes.solution.clone(),
        completion_code: changes.completion_code,
        expected_resolution: changes.expected_resolution,
        case: changes.case.clone(),
        comments: changes.comments.clone(),
        milestones: changes.milestones.clone(),
        deadlines: changes.deadlines.clone(),
        ..Edit::default()
    };
    received(operation, before, &edit)
}

/// An operation of the peer's, and what it changes here.
pub fn received(operation: &Operation, before: &Shadow, edit: &Edit) -> String {
    let kind = operation.kind();
    let mut told = Vec::new();
    let mut field = |name: &str, old: Option<&str>, new: Option<&str>| {
        if old != new {
            told.push(format!("{name} {} -> {}", value(old), value(new)));
        }
    };
    if let Some(case) = &edit.case {
        let old = before.case.as_ref();
        field("case", old.map(|case| case.id.as_str()), Some(case.id.as_str()));
        let link = |case: &super::Case| case.link.as_ref().map(ToString::to_string);
        field("link", old.and_then(link).as_deref(), link(case).as_deref());
        field("status", old.map(|case| case.status.as_str()), Some(&case.status));
        let contact = |case: &Case| case.contact.as_ref().map(ToString::to_string);
        field("contact", old.and_then(contact).as_deref(), contact(case).as_deref());
    }
    if let Some(phase) = edit.phase {
        field("phase", Some(before.phase.as_str()), Some(phase.as_str()));
    }
    if let Some(solution) = &edit.solution {
        let (old, new) = (&before.solution, solution.as_deref().map(Mark::of));
        if *old != new {
            let old = old.as_ref().map(|mark| mark.text().unwrap_or("(a longer text)"));
            field("solution", old, solution.as_deref());
        }
    }
    if let Some(code) = edit.completion_code {
        field("completion code", before.completion_code.map(|code| code.as_str()), code.map(|code| code.as_str()));
    }
    if let Some(expected) = edit.expected_resolution {
        let (old, new) = (before.expected_resolution.map(|at| at.to_string()), expected.map(|at| at.to_string()));
        field("expected resolution", old.as_deref(), new.as_deref());
    }
    for (count, thing) in [
        (edit.comments.len(), "comment"),
        (operation.attachments().len(), "attachment"),
        (edit.deadlines.len(), "deadline"),
    ] {
        match count {
            0 => {}
            1 => told.push(format!("1 {thing}")),
            more => told.push(format!("{more} {thing}s")),
        }
    }
    told.extend(edit.milestones.iter().map(|one| milestone(&one.fact)));
    if told.is_empty() { kind.to_string() } else { format!("{kind}: {}", told.join(", ")) }
}

fn milestone(fact: &Fact) -> String {
    match fact {
        Fact::State(state) => format!("state {}", state.as_str()),
        Fact::Notice(name) => teller::shown(name)
            .map_or_else(|| format!("notice {}", value(Some(name))), |told| format!("notice: {told}")),
        Fact::Deadline { passed, .. } => format!("deadline {}", passed.as_str()),
        Fact::Named(name) => format!("milestone {}", value(Some(name))),
    }
}

/// The phase that an operation stands for.
fn reached(kind: OperationKind) -> Option<Phase> {
    match kind {
        OperationKind::Resolve => Some(Phase::Review),
        OperationKind::Close | OperationKind::Cancel => Some(Phase::Close),
        OperationKind::Reopen => Some(Phase::InitialSupport),
        OperationKind::Create
        | OperationKind::Assign
        | OperationKind::Accept
        | OperationKind::Update
        | OperationKind::Reject => None,
    }
}

fn value(value: Option<&str>) -> String {
    value.map_or_else(|| "none".to_owned(), |text| format!("\"{}\"", shown(text, SHOWN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::{comment, incident};
    use crate::case::{Case, Changes, CompletionCode};

    #[test]
    fn each_field_is_told_with_its_old_and_its_new_value() {
        let mut record = incident();
        record.work.solution = Some("Reseat the card".into());
        record.case = Some(Case { id: "CASE-7".parse().unwrap(), link: None, status: "Open".into(), contact: None });
        let before = Shadow::of(&record, None);
        let changes = Changes {
            case: Some(Case { id: "CASE-7".parse().unwrap(), link: None, status: "Solved".into(), contact: None }),
            solution: Some(Some("Replaced".into())),
            completion_code: Some(Some(CompletionCode::Fulfilled)),
            expected_resolution: Some(None),
            comments: vec![comment(1, None)],
            ..Changes::default()
        };
        assert_eq!(
            sent(&Operation::Resolve(changes), &before),
            "resolve: status \"Open\" -> \"Solved\", phase \"initial_support\" -> \"review\", solution \"Reseat the \
             card\" -> \"Replaced\", completion code none -> \"fulfilled\", 1 comment"
        );
        assert_eq!(sent(&Operation::Update(Changes::default()), &before), "update");
    }

    #[test]
    fn a_long_text_is_cut() {
        let mut record = incident();
        record.work.solution = Some("x".repeat(1000));
        let before = Shadow::of(&record, None);
        let edit = Edit { solution: Some(Some("y".repeat(1000))), ..Edit::default() };
        let told = received(&Operation::Update(Changes::default()), &before, &edit);
        assert!(told.starts_with("update: solution \"(a longer text)\" -> \"yyy") && told.len() < 300, "{told}");
    }
}
