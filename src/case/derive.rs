//! Which operations a local change means: the outgoing table C-03 to C-12, and the row that opens a case.

use serde::{Deserialize, Serialize};

use super::apply::{is_own_remark, is_remark};
use super::deadline::Deadline;
use super::ending::Ending;
use super::fields::{FieldMap, FieldName};
use super::form::Form;
use super::id::Alias;
use super::incident::{Comment, Incident, Work};
use super::milestone::Milestone;
use super::operation::{Changes, Create, Operation};
use super::ownership::{Groups, Holder};
use super::phase::{CompletionCode, Phase, PhaseGroup};
use super::shadow::{Mark, Shadow};
use super::state::CaseState;

/// Which way an exchange looks from this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Towards {
    /// To the site that we submit to. The case is theirs.
    Upstream,
    /// To a site that submits to us. The case is ours.
    Client,
}

impl Towards {
    pub fn as_str(self) -> &'static str {
        match self {
            Towards::Upstream => "upstream",
            Towards::Client => "client",
        }
    }

    /// The same way, seen from the other end.
    pub fn from_there(self) -> Self {
        match self {
            Towards::Upstream => Towards::Client,
            Towards::Client => Towards::Upstream,
        }
    }
}

/// The other side of an exchange, and what this site's settings say about it.
#[derive(Debug, Clone, Copy)]
pub struct Counterpart<'a> {
    pub peer: &'a Alias,
    pub towards: Towards,
    /// Who has the case in hand.
    pub holder: Holder,
    pub groups: &'a Groups,
    /// Whether internal comments may go there (C-33).
    pub internal: bool,
    /// Which fields go there.
    pub fields: &'a FieldMap,
}

impl Counterpart<'_> {
    /// Whether the record is assigned to a group of the other side's (C-02); none when nobody assigned it.
    pub fn has(&self, incident: &Incident) -> Option<bool> {
        incident.assignment.as_deref().map(|group| self.groups.is_external(group, self.peer))
    }

    /// A comment never travels back to the peer that wrote it (C-32), one that a rule wrote here not at all, and an
    /// internal one not without leave.
    fn may_have(&self, comment: &Comment) -> bool {
        self.fields.sends(FieldName::Comments)
            && !is_remark(comment)
            && !is_own_remark(comment)
            && comment.origin.as_ref() != Some(self.peer)
            && (self.internal || !comment.internal)
    }

    /// Solution and completion code as they are left, for an operation that states them whether they changed or not.
    fn outcome(&self, work: &Work) -> (Option<Option<String>>, Option<Option<CompletionCode>>) {
        let solution = work.solution.clone().filter(|_| self.fields.sends(FieldName::Solution));
        let code = work.completion_code.filter(|_| self.fields.sends(FieldName::CompletionCode));
        (solution.map(Some), code.map(Some))
    }
}

/// The operations, in order, that carry the difference between `before` and `after` to the other side. Nothing that no
/// row names is sent.
///
/// | phase afterwards | change | operations |
/// |---|---|---|
/// | Resolution | a case ID appears (towards a client) | Accept, with whatever else changed |
/// | Validation, Done, or back from there | a case ID appears (towards a client) | Accept, then what the other rows say |
/// | Resolution | assignment: internal to external group | Assign (C-03), with whatever else changed |
/// | Resolution | assignment: external to internal group | Accept (C-04), with whatever else changed |
/// | any | only the case's ID, link or status changes (towards a client), a milestone is reached, or a deadline promised | Update |
/// | Resolution | solution, expected resolution, comment, attachment, milestone | Update (C-05) |
/// | Resolution to Validation | with a solution | Update, Resolve (C-06) |
/// | Resolution to Validation | without | Resolve |
/// | Validation | solution, completion code, comment, attachment | Resolve (C-07) |
/// | Validation, Done | completion code becomes withdrawn by user | Cancel (C-08), instead of all others |
/// | Validation, Done | another peer canceled (C-19) | Cancel (C-52), instead of all others |
/// | Validation, Done | completion code becomes request rejected | Reject (C-09), towards the upstream Cancel; instead of all others |
/// | back to Resolution | | Reopen (C-10), with solution and completion code as they are left |
/// | Done to Validation | reopened and resolved again in one step | Reopen, Resolve |
/// | to Done | | Close |
/// | Done | solution, completion code, comment, attachment | Close (C-12) |
/// | Done | completed after all, after a Cancel | Reopen, Close |
/// | Validation, Done | anything else after a Cancel (C-13) | none, until it is reopened; the date of its end goes with the Cancel again |
pub fn derive_operations(before: &Shadow, after: &Incident, counterpart: Counterpart<'_>) -> Vec<Operation> {
    let mut changes = difference(before, after, counterpart);
    let group = after.work.phase.group();
    let ending = Ending::told(&after.work, counterpart.towards);
    if before.is_canceled() {
        return match group {
            PhaseGroup::Resolution => reopened(changes, after, counterpart),
            PhaseGroup::Validation if ending.is_none() => reopened(changes, after, counterpart),
            PhaseGroup::Done if after.work.completion_code == Some(CompletionCode::Fulfilled) => {
                reopened(changes, after, counterpart)
            }
            PhaseGroup::Validation | PhaseGroup::Done => dated_again(changes),
        };
    }
    let mut operations = overflow(&mut changes);
    let ends = before.phase.group() == PhaseGroup::Resolution || changes.completion_code.is_some();
    match ending {
        Some(Ending::Cancel) => {
            operations.push(Operation::Cancel(changes));
            return operations;
        }
        Some(Ending::Reject) if ends => {
            operations.push(Operation::Reject(changes));
            return operations;
        }
        Some(Ending::Reject) | None => {}
    }

    let accepts = before.case.is_none() && changes.case.is_some();
    let was = before.phase.group();
    let stays_open = (was, group) == (PhaseGroup::Resolution, PhaseGroup::Resolution);
    if accepts && !stays_open {
        operations.push(Operation::Accept(Changes { case: changes.case.take(), ..Changes::default() }));
    }
    match group {
        PhaseGroup::Resolution if !stays_open => {
            (changes.solution, changes.completion_code) = counterpart.outcome(&after.work);
            operations.push(Operation::Reopen(changes));
        }
        PhaseGroup::Resolution => {
            changes.completion_code = None;
            let assigned = counterpart.has(after).filter(|_| counterpart.has(after) != before.assigned);
            if accepts || (assigned == Some(false) && counterpart.holder == Holder::Peer) {
                operations.push(Operation::Accept(changes));
            } else if assigned == Some(true) && counterpart.holder == Holder::Us {
                operations.push(Operation::Assign(changes));
            } else if !changes.is_empty() {
                operations.push(Operation::Update(changes));
            }
        }
        PhaseGroup::Validation if was == PhaseGroup::Resolution => {
            if changes.solution.as_ref().is_some_and(Option::is_some) {
                let resolution = Changes {
                    solution: changes.solution.clone(),
                    completion_code: changes.completion_code.take(),
                    case: changes.case.take(),
                    milestones: std::mem::take(&mut changes.milestones),
                    deadlines: std::mem::take(&mut changes.deadlines),
                    ..Changes::default()
                };
                operations.push(Operation::Update(changes));
                operations.push(Operation::Resolve(resolution));
            } else {
                operations.push(Operation::Resolve(changes));
            }
        }
        PhaseGroup::Validation if was == PhaseGroup::Done => {
            operations.extend(ended_again(changes, after, counterpart))
        }
        PhaseGroup::Validation => operations.extend(listed(changes, Operation::Resolve)),
        PhaseGroup::Done if before.phase != Phase::Close => operations.push(Operation::Close(changes)),
        PhaseGroup::Done => operations.extend(listed(changes, Operation::Close)),
    }
    operations
}

/// A case that is opened again, and resolved or closed in one step.
fn ended_again(mut changes: Changes, after: &Incident, counterpart: Counterpart<'_>) -> [Operation; 2] {
    let (operation, state): (fn(Changes) -> Operation, _) = match after.work.phase.group() {
        PhaseGroup::Done => (Operation::Close, CaseState::Completed),
        PhaseGroup::Validation | PhaseGroup::Resolution => (Operation::Resolve, CaseState::Resolved),
    };
    let (solution, completion_code) = counterpart.outcome(&after.work);
    let ended = changes.milestones.iter().rposition(|one| one.state() == Some(state));
    let milestones = changes.milestones.split_off(ended.unwrap_or(changes.milestones.len()));
    let end = Changes { solution, completion_code, milestones, ..Changes::default() };
    let reopening = Changes { solution: None, completion_code: None, ..changes };
    [Operation::Reopen(reopening), operation(end)]
}

/// What was canceled goes on: the Reopen comes first, and brings what was written since.
fn reopened(mut changes: Changes, after: &Incident, counterpart: Counterpart<'_>) -> Vec<Operation> {
    let updates = overflow(&mut changes);
    let mut operations = match after.work.phase.group() {
        PhaseGroup::Resolution => {
            let (solution, completion_code) = counterpart.outcome(&after.work);
            vec![Operation::Reopen(Changes { solution, completion_code, ..changes })]
        }
        PhaseGroup::Validation | PhaseGroup::Done => ended_again(changes, after, counterpart).into(),
    };
    operations.extend(updates);
    operations
}

/// The site above says which of two ends counts by a milestone of its own: it goes where the Cancel went.
fn dated_again(changes: Changes) -> Vec<Operation> {
    let is_end = |one: &Milestone| one.state().is_some_and(|state| state.group() == PhaseGroup::Done);
    if !changes.milestones.iter().any(is_end) {
        return Vec::new();
    }
    let mut milestones = Changes { milestones: changes.milestones, ..Changes::default() };
    let mut operations = overflow(&mut milestones);
    operations.push(Operation::Cancel(milestones));
    operations
}

/// Rows C-07 and C-12, and the row for a change of the case, of its milestones, or of its deadlines, alone.
fn listed(mut changes: Changes, operation: fn(Changes) -> Operation) -> Option<Operation> {
    changes.expected_resolution = None;
    let alone = Changes {
        case: changes.case.clone(),
        milestones: changes.milestones.clone(),
        deadlines: changes.deadlines.clone(),
        ..Changes::default()
    };
    if changes.is_empty() {
        None
    } else if changes == alone {
        Some(Operation::Update(changes))
    } else {
        Some(operation(changes))
    }
}

/// The operation that opens a case for `incident` at the site above, with what of its comments does not fit into one.
pub fn derive_create(
    incident: &Incident,
    form: Form,
    trace_route: Vec<Alias>,
    counterpart: Counterpart<'_>,
) -> Vec<Operation> {
    let mut later = incident.comments.iter().filter(|comment| counterpart.may_have(comment)).map(sent);
    let create = Create {
        incident: incident.id,
        trace_route,
        event: incident.event.clone(),
        form,
        created_at: incident.created_at,
        comments: later.by_ref().take(Operation::COMMENT_LIMIT).collect(),
    };
    let deadlines = counterpart.told_deadlines(incident);
    let mut rest = Changes { comments: later.collect(), deadlines, ..Changes::default() };
    let mut operations = vec![Operation::Create(Box::new(create))];
    operations.extend(overflow(&mut rest));
    if !rest.is_empty() {
        operations.push(Operation::Update(rest));
    }
    operations
}

/// The comments, attachments, milestones and deadlines that are too many for one operation go ahead in Updates of their own.
fn overflow(changes: &mut Changes) -> Vec<Operation> {
    let mut updates = Vec::new();
    while changes.milestones.len() > Operation::MILESTONE_LIMIT {
        let milestones = changes.milestones.drain(..Operation::MILESTONE_LIMIT).collect();
        updates.push(Operation::Update(Changes { milestones, ..Changes::default() }));
    }
    while changes.deadlines.len() > Operation::DEADLINE_LIMIT {
        let deadlines = changes.deadlines.drain(..Operation::DEADLINE_LIMIT).collect();
        updates.push(Operation::Update(Changes { deadlines, ..Changes::default() }));
    }
    while changes.attachments.len() > Operation::ATTACHMENT_LIMIT {
        let attachments = changes.attachments.drain(..Operation::ATTACHMENT_LIMIT).collect();
        updates.push(Operation::Update(Changes { attachments, ..Changes::default() }));
    }
    while changes.comments.len() > Operation::COMMENT_LIMIT {
        let comments = changes.comments.drain(..Operation::COMMENT_LIMIT).collect();
        updates.push(Operation::Update(Changes { comments, ..Changes::default() }));
    }
    updates
}

impl Counterpart<'_> {
    /// What the other side may know of a record's comments.
    pub fn shared(&self, incident: &Incident) -> Vec<Comment> {
        incident.comments.iter().filter(|comment| self.may_have(comment)).map(sent).collect()
    }

    /// What it may know of the milestones: all but its own.
    pub fn told_milestones(&self, incident: &Incident) -> Vec<Milestone> {
        incident.milestones.iter().filter(|one| one.origin.as_ref() != Some(self.peer)).cloned().collect()
    }

    /// The same of the deadlines.
    pub fn told_deadlines(&self, incident: &Incident) -> Vec<Deadline> {
        incident.deadlines.iter().filter(|one| one.origin.as_ref() != Some(self.peer)).cloned().collect()
    }
}

/// What a deleted comment said stays where it was.
fn sent(comment: &Comment) -> Comment {
    Comment { text: if comment.deleted { String::new() } else { comment.text.clone() }, ..comment.clone() }
}

fn difference(before: &Shadow, after: &Incident, counterpart: Counterpart<'_>) -> Changes {
    let work = &after.work;
    let news = |field, changed: bool| (changed && counterpart.fields.sends(field)).then_some(());
    Changes {
        case: match counterpart.towards {
            Towards::Client if before.case != after.case => after.case.clone(),
            _ => None,
        },
        solution: news(FieldName::Solution, before.solution != work.solution.as_deref().map(Mark::of))
            .map(|()| work.solution.clone()),
        completion_code: news(FieldName::CompletionCode, before.completion_code != work.completion_code)
            .map(|()| work.completion_code),
        expected_resolution: news(
            FieldName::ExpectedResolution,
            before.expected_resolution != work.expected_resolution,
        )
        .map(|()| work.expected_resolution),
        comments: after
            .comments
            .iter()
            .filter(|comment| comment.position > before.comments && counterpart.may_have(comment))
            .map(sent)
            .collect(),
        attachments: after
            .announced
            .iter()
            .filter(|one| one.position > before.attachments && one.peer == *counterpart.peer)
            .map(|one| one.note.clone())
            .collect(),
        milestones: after
            .milestones
            .iter()
            .filter(|one| one.position > before.milestones && one.origin.as_ref() != Some(counterpart.peer))
            .cloned()
            .collect(),
        deadlines: after
            .deadlines
            .iter()
            .filter(|one| one.position > before.deadlines && one.origin.as_ref() != Some(counterpart.peer))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::apply::{CANCELED_ELSEWHERE, OWN_AUTHOR, reopened_remark};
    use crate::case::example::{announced, comment, incident, peer};
    use crate::case::incident::Case;
    use crate::case::milestone::Fact;

    /// One row of the outgoing table: the record before, the change, and exactly these operations, in this order.
    fn row(name: &str, towards: Towards, before: fn(&mut Incident), change: fn(&mut Incident), expected: &[&str]) {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        before(&mut record);
        let shadow = Shadow::of(&record, across(towards, &groups, &peer).has(&record));
        change(&mut record);
        let operations = derive_operations(&shadow, &record, across(towards, &groups, &peer));
        let kinds: Vec<_> = operations.iter().map(|operation| operation.kind().as_str()).collect();
        assert_eq!(kinds, expected, "{name}");
        let counterpart = across(towards, &groups, &peer);
        let agreed = shadow.after(&operations, &record, counterpart.has(&record), counterpart.fields);
        let settled = derive_operations(&agreed, &record, counterpart);
        assert!(settled.is_empty(), "{name}: once sent, nothing is left to send");
    }

    fn across<'a>(towards: Towards, groups: &'a Groups, peer: &'a Alias) -> Counterpart<'a> {
        Counterpart { peer, towards, holder: Holder::Us, groups, internal: false, fields: FieldMap::plain() }
    }

    #[test]
    fn c_04_a_case_that_another_site_has_in_hand_is_taken_back_once() {
        let (groups, peer) = (groups(), peer());
        let away = Counterpart { holder: Holder::Peer, ..across(Towards::Upstream, &groups, &peer) };
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        night_shift(&mut record);
        assert_eq!(derive_operations(&shadow, &record, away)[0].kind().as_str(), "accept");
        let shadow = Shadow::of(&record, away.has(&record));
        assert!(derive_operations(&shadow, &record, away).is_empty());
        vendor(&mut record);
        assert!(derive_operations(&shadow, &record, away).is_empty(), "it is there already");
    }

    fn groups() -> Groups {
        Groups([("Vendor NOC".to_owned(), peer())].into())
    }

    fn nothing(_: &mut Incident) {}

    fn vendor(record: &mut Incident) {
        record.assignment = Some("Vendor NOC".into());
    }

    fn night_shift(record: &mut Incident) {
        record.assignment = Some("Night shift".into());
    }

    fn in_review(record: &mut Incident) {
        record.work.phase = Phase::Review;
        record.work.solution = Some("Replaced the power supply".into());
    }

    fn closed(record: &mut Incident) {
        in_review(record);
        record.work.phase = Phase::Close;
    }

    fn withdrawn(record: &mut Incident) {
        closed(record);
        record.work.completion_code = Some(CompletionCode::WithdrawnByUser);
    }

    fn withdrawn_in_review(record: &mut Incident) {
        in_review(record);
        record.work.completion_code = Some(CompletionCode::WithdrawnByUser);
    }

    fn left_withdrawn(record: &mut Incident) {
        record.work.completion_code = Some(CompletionCode::WithdrawnByUser);
    }

    fn in_review_again(record: &mut Incident) {
        in_review(record);
        record.work.completion_code = Some(CompletionCode::Fulfilled);
    }

    fn canceled(record: &mut Incident) {
        record.work.phase = Phase::Close;
        record.work.solution = Some(CANCELED_ELSEWHERE.into());
        record.work.completion_code = Some(CompletionCode::AbandonedByUser);
    }

    fn reached(record: &mut Incident) {
        let fact = crate::case::Fact::Named("Technician on site".into());
        let one = Milestone::new(uuid::Uuid::from_u128(9), record.created_at, fact);
        record.milestones.push(Milestone { position: 9, ..one });
    }

    fn accept(record: &mut Incident) {
        record.case = Some(Case { id: "CASE-7".parse().unwrap(), link: None, status: "Open".into(), contact: None });
    }

    fn status(record: &mut Incident) {
        if let Some(case) = &mut record.case {
            case.status = "In Progress".into();
        }
    }

    #[test]
    fn outgoing_table() {
        use CompletionCode::*;
        let up = Towards::Upstream;
        let down = Towards::Client;
        row("nothing changed", down, nothing, nothing, &[]);
        row("a case ID appears", down, nothing, accept, &["accept"]);
        row(
            "accepted with a comment",
            down,
            nothing,
            |r| (accept(r), r.comments.push(comment(9, None))).1,
            &["accept"],
        );
        row("the case is the upstream's", up, nothing, accept, &[]);
        row("only the status changes", down, accept, status, &["update"]);
        row("status in review", down, |r| (in_review(r), accept(r)).0, status, &["update"]);
        row("C-03", up, nothing, vendor, &["assign"]);
        row("C-03 from an internal group", up, night_shift, vendor, &["assign"]);
        row("C-03 with a comment", up, nothing, |r| (vendor(r), r.comments.push(comment(9, None))).0, &["assign"]);
        row("C-04 is for what another site has in hand", up, vendor, night_shift, &[]);
        row("C-02 between internal groups", up, nothing, night_shift, &[]);
        row("C-03 counts in resolution only", up, in_review, vendor, &[]);
        row("C-05 solution", up, nothing, |r| r.work.solution = Some("Reseat the card".into()), &["update"]);
        row("C-05 expected resolution", up, nothing, |r| r.work.expected_resolution = Some(r.created_at), &["update"]);
        row("C-05 comment", up, nothing, |r| r.comments.push(comment(9, None)), &["update"]);
        row("C-05 attachment", up, nothing, |r| r.announced.push(announced(9, peer())), &["update"]);
        row("C-05 another peer's attachment", up, nothing, |r| r.announced.push(announced(9, other())), &[]);
        row("C-05 a code alone is not listed", up, nothing, |r| r.work.completion_code = Some(Fulfilled), &[]);
        row("C-06", up, nothing, in_review, &["update", "resolve"]);
        row("review without a solution", up, nothing, |r| r.work.phase = Phase::Review, &["resolve"]);
        row("C-07 solution", up, in_review, |r| r.work.solution = Some("Other".into()), &["resolve"]);
        row("C-07 code", up, in_review, |r| r.work.completion_code = Some(Fulfilled), &["resolve"]);
        row("C-07 comment", up, in_review, |r| r.comments.push(comment(9, None)), &["resolve"]);
        row("C-07 attachment", up, in_review, |r| r.announced.push(announced(9, peer())), &["resolve"]);
        row("review, unlisted", up, in_review, |r| r.work.expected_resolution = Some(r.created_at), &[]);
        row("C-08 review", up, in_review, |r| r.work.completion_code = Some(WithdrawnByUser), &["cancel"]);
        row("C-08 done", up, closed, |r| r.work.completion_code = Some(WithdrawnByUser), &["cancel"]);
        row("C-52 done", up, nothing, canceled, &["cancel"]);
        row("C-52 after review", up, in_review, canceled, &["cancel"]);
        row(
            "abandoned here",
            up,
            nothing,
            |r| (closed(r), r.work.completion_code = Some(AbandonedByUser)).0,
            &["close"],
        );
        row("C-08 with a code that was left", up, left_withdrawn, |r| r.work.phase = Phase::Review, &["cancel"]);
        row("C-08 is over at once", up, withdrawn_in_review, |r| r.work.phase = Phase::Close, &["cancel"]);
        for end in [withdrawn, canceled] {
            row("C-13 comment", up, end, |r| r.comments.push(comment(9, None)), &[]);
            row("C-13 attachment", up, end, |r| r.announced.push(announced(9, peer())), &[]);
            row("C-13 solution", up, end, |r| r.work.solution = Some("Other".into()), &[]);
            row("C-13 another code", up, end, |r| r.work.completion_code = Some(Fulfilled), &["reopen", "close"]);
            row("C-13 status", down, |r| (withdrawn(r), accept(r)).0, status, &[]);
            row("C-13 milestone", up, end, reached, &[]);
            row("C-13 until it is reopened", up, end, |r| r.work = Default::default(), &["reopen"]);
            row("C-13 reopened and resolved again", up, end, in_review_again, &["reopen", "resolve"]);
        }
        row("C-09 review", down, in_review, |r| r.work.completion_code = Some(RequestRejected), &["reject"]);
        row("C-09 done", down, closed, |r| r.work.completion_code = Some(RequestRejected), &["reject"]);
        row(
            "who submitted it takes it back",
            up,
            closed,
            |r| r.work.completion_code = Some(RequestRejected),
            &["cancel"],
        );
        row("C-10", up, in_review, |r| r.work = Default::default(), &["reopen"]);
        row("C-10 from done", up, closed, |r| r.work = Default::default(), &["reopen"]);
        row("reopened and resolved again", up, closed, in_review, &["reopen", "resolve"]);
        row("done from review", up, in_review, |r| r.work.phase = Phase::Close, &["close"]);
        row("done at once", up, nothing, closed, &["close"]);
        row("accepted and done at once", down, nothing, |r| (closed(r), accept(r)).0, &["accept", "close"]);
        row(
            "accepted and reopened at once",
            down,
            in_review,
            |r| (r.work = Default::default(), accept(r)).1,
            &["accept", "reopen"],
        );
        row("C-12 solution", up, closed, |r| r.work.solution = Some("Other".into()), &["close"]);
        row("C-12 code", up, closed, |r| r.work.completion_code = Some(Fulfilled), &["close"]);
        row("C-12 comment", up, closed, |r| r.comments.push(comment(9, None)), &["close"]);
        row("a milestone", up, nothing, reached, &["update"]);
        row("a milestone in review", up, in_review, reached, &["update"]);
        row("a milestone, afterwards", down, closed, reached, &["update"]);
        row("resolved, with its milestone", up, nothing, |r| (in_review(r), reached(r)).1, &["update", "resolve"]);
        row("C-12 attachment", up, closed, |r| r.announced.push(announced(9, peer())), &["close"]);
        row("done, unlisted", up, closed, |r| r.work.expected_resolution = Some(r.created_at), &[]);
    }

    #[test]
    fn c_13_a_reopen_comes_first_and_brings_what_was_written_after_the_cancel() {
        let (groups, peer) = (groups(), peer());
        let counterpart = across(Towards::Upstream, &groups, &peer);
        let mut record = incident();
        withdrawn(&mut record);
        let shadow = Shadow::of(&record, None);
        record.comments.extend((1..=150).map(|position| comment(position, None)));
        let agreed = shadow.after(&[], &record, None, counterpart.fields);
        assert_eq!(agreed, shadow, "it waits");
        record.work = Default::default();
        let operations = derive_operations(&agreed, &record, counterpart);
        let told: Vec<_> =
            operations.iter().map(|one| (one.kind().as_str(), one.changes().unwrap().comments.len())).collect();
        assert_eq!(told, [("reopen", 50), ("update", 100)]);
    }

    #[test]
    fn the_date_of_the_end_that_counts_goes_with_the_cancel_again() {
        let (groups, peer) = (groups(), peer());
        let counterpart = across(Towards::Client, &groups, &peer);
        let mut record = incident();
        canceled(&mut record);
        let shadow = Shadow::of(&record, None);
        record.comments.push(comment(9, None));
        let one = Milestone::new(uuid::Uuid::from_u128(1), record.created_at, Fact::State(CaseState::Canceled));
        record.milestones.push(Milestone { position: 3, ..one });
        let operations = derive_operations(&shadow, &record, counterpart);
        let [Operation::Cancel(changes)] = operations.as_slice() else { panic!("{operations:?}") };
        assert_eq!((changes.milestones.len(), changes.comments.len()), (1, 0));
        let agreed = shadow.after(&operations, &record, None, counterpart.fields);
        assert_eq!(derive_operations(&agreed, &record, counterpart), []);
    }

    fn other() -> Alias {
        "south".parse().unwrap()
    }

    #[test]
    fn attachments_beyond_the_limit_go_into_further_operations() {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        record.announced.extend((1..=250).map(|position| announced(position, peer.clone())));
        let operations = derive_operations(&shadow, &record, across(Towards::Upstream, &groups, &peer));
        let sizes: Vec<_> = operations.iter().filter_map(Operation::changes).map(|c| c.attachments.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn a_milestone_never_travels_back_and_goes_with_the_move_that_it_tells_of() {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        reached(&mut record);
        record.milestones[0].origin = Some(peer.clone());
        assert!(derive_operations(&shadow, &record, across(Towards::Upstream, &groups, &peer)).is_empty());
        record.milestones[0].origin = Some(other());
        in_review(&mut record);
        let operations = derive_operations(&shadow, &record, across(Towards::Upstream, &groups, &peer));
        let told: Vec<_> =
            operations.iter().map(|one| (one.kind().as_str(), one.changes().unwrap().milestones.len())).collect();
        assert_eq!(told, [("update", 0), ("resolve", 1)]);
    }

    #[test]
    fn what_was_reopened_and_resolved_again_goes_with_each_of_the_two() {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        closed(&mut record);
        let shadow = Shadow::of(&record, None);
        for (position, state) in [(1, CaseState::Reopened), (2, CaseState::Resolved)] {
            let one = Milestone::new(uuid::Uuid::from_u128(position), record.created_at, Fact::State(state));
            record.milestones.push(Milestone { position: position as i64, ..one });
        }
        record.work.phase = Phase::Review;
        let operations = derive_operations(&shadow, &record, across(Towards::Upstream, &groups, &peer));
        let told: Vec<_> =
            operations.iter().map(|one| (one.kind().as_str(), one.changes().unwrap().milestones[0].state())).collect();
        assert_eq!(told, [("reopen", Some(CaseState::Reopened)), ("resolve", Some(CaseState::Resolved))]);
    }

    #[test]
    fn a_comment_never_travels_back_to_the_peer_that_wrote_it() {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        record.comments.push(comment(9, Some(peer.clone())));
        assert!(derive_operations(&shadow, &record, across(Towards::Upstream, &groups, &peer)).is_empty());
    }

    #[test]
    fn c_33_an_internal_comment_leaves_only_where_the_settings_say_so() {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        record.comments.push(Comment { internal: true, ..comment(9, None) });
        let denied = across(Towards::Upstream, &groups, &peer);
        assert!(derive_operations(&shadow, &record, denied).is_empty());
        let Operation::Create(create) = &derive_create(&record, Form::default(), vec![], denied)[0] else { panic!() };
        assert!(create.comments.is_empty());
        let allowed = Counterpart { internal: true, ..denied };
        assert_eq!(derive_operations(&shadow, &record, allowed)[0].changes().unwrap().comments.len(), 1);
        // What a rule writes at the other site itself, and what keeps the case here, stay here all the same.
        let remark = Comment { text: reopened_remark("Reseated"), internal: true, ..comment(9, None) };
        let why = Comment { author: OWN_AUTHOR.into(), internal: true, ..comment(9, None) };
        for own in [remark, why] {
            record.comments = vec![own];
            assert!(derive_operations(&shadow, &record, allowed).is_empty());
        }
    }

    #[test]
    fn a_deleted_comment_takes_its_words_back() {
        let (groups, peer) = (groups(), peer());
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        record.comments.push(Comment { deleted: true, edits: 1, ..comment(9, None) });
        let operations = derive_operations(&shadow, &record, across(Towards::Upstream, &groups, &peer));
        let sent = &operations[0].changes().unwrap().comments[0];
        assert!(sent.deleted && sent.text.is_empty() && sent.check().is_ok());
    }

    #[test]
    fn what_a_rule_wrote_is_not_told_to_a_third_site_and_what_a_person_wrote_there_is() {
        let (groups, peer) = (groups(), peer());
        let above = across(Towards::Upstream, &groups, &peer);
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        let north: Alias = "north".parse().unwrap();
        let from_north = |text: &str, author: &str| Comment {
            text: text.into(),
            author: author.into(),
            ..comment(9, Some(north.clone()))
        };
        record.comments.push(from_north("Incident was reopened. Previous solution was: x.", "north"));
        assert!(derive_operations(&shadow, &record, above).is_empty());
        record.comments.push(from_north("Incident was reopened. Previous solution was: x.", "anna"));
        assert_eq!(derive_operations(&shadow, &record, above).len(), 1);
    }

    #[test]
    fn comments_beyond_the_limit_go_into_further_operations_and_none_is_lost() {
        let (groups, peer) = (groups(), peer());
        let counterpart = across(Towards::Upstream, &groups, &peer);
        let mut record = incident();
        let shadow = Shadow::of(&record, None);
        record.comments.extend((1..=250).map(|position| comment(position, None)));
        let operations = derive_operations(&shadow, &record, counterpart);
        let sizes: Vec<_> = operations.iter().filter_map(Operation::changes).map(|c| c.comments.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);

        let created = derive_create(&record, Form::default(), vec![], counterpart);
        let Operation::Create(create) = &created[0] else { panic!("the first is the Create") };
        assert_eq!((create.comments.len(), created.len()), (100, 3));
    }
}
