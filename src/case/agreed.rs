//! What both sites hold alike once an exchange is at rest, in a form in which the two can be compared: what the rules of
//! the tables make different on purpose is levelled out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::apply::{RESOLVED_ELSEWHERE, is_remark};
use super::attachment::ContentDigest;
use super::derive::Towards;
use super::ending::Ending;
use super::fields::{FieldMap, FieldName};
use super::hide::{hide_addresses, hide_in_case};
use super::id::{Alias, ExchangeId};
use super::incident::{Case, Comment, Incident, Work};
use super::milestone::{Fact, Milestone};
use super::ownership::Field;
use super::phase::{CompletionCode, PhaseGroup};
use super::state::CaseState;

/// One exchange's record, as both sites should have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agreed {
    /// `resolution`, `validation` or `done`.
    pub phase: String,
    pub solution: Option<String>,
    /// `withdrawn` stands for both words of a Cancel.
    pub completion_code: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expected_resolution: Option<Timestamp>,
    pub case: Option<Case>,
    /// The ID of each comment with a digest of its text.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub comments: BTreeMap<Uuid, String>,
    /// The name of each announced file with the first half of its SHA-256, until the case is over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// A digest over the IDs of the milestones that no operation stands for; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub milestones: String,
    /// The fields that this site's map keeps from travelling both ways: in them the two may differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A field in which two records differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub field: Subject,
    pub ours: Option<String>,
    pub theirs: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Phase,
    Solution,
    CompletionCode,
    ExpectedResolution,
    Case,
    Comment(Uuid),
    Milestones,
    File(String),
}

impl Subject {
    pub fn as_str(&self) -> &'static str {
        match self {
            Subject::Phase => "phase",
            Subject::Solution => "solution",
            Subject::CompletionCode => "completion code",
            Subject::ExpectedResolution => "expected resolution",
            Subject::Case => "case",
            Subject::Comment(_) => "comment",
            Subject::Milestones => "milestones",
            Subject::File(_) => "attachment",
        }
    }

    /// The field that somebody owns, where it is one.
    pub fn owned(&self) -> Option<Field> {
        match self {
            Subject::Phase => Some(Field::Phase),
            Subject::Solution => Some(Field::Solution),
            Subject::CompletionCode => Some(Field::CompletionCode),
            Subject::ExpectedResolution => Some(Field::ExpectedResolution),
            Subject::Case | Subject::Comment(_) | Subject::Milestones | Subject::File(_) => None,
        }
    }

    /// Its name in a field map, where it can be left out.
    fn name(&self) -> Option<FieldName> {
        match self {
            Subject::Solution => Some(FieldName::Solution),
            Subject::CompletionCode => Some(FieldName::CompletionCode),
            Subject::ExpectedResolution => Some(FieldName::ExpectedResolution),
            Subject::Comment(_) => Some(FieldName::Comments),
            Subject::Phase | Subject::Case | Subject::Milestones | Subject::File(_) => None,
        }
    }
}

const LEVELLED: [FieldName; 4] =
    [FieldName::Solution, FieldName::CompletionCode, FieldName::ExpectedResolution, FieldName::Comments];

/// Both words of a Cancel: the one of the site that it comes from, and the one that it leaves.
const WITHDRAWN: &str = "withdrawn";

/// The word that travels; one that has none is on its way to a person, and is compared as it is.
fn travelling(fields: &FieldMap, field: FieldName, value: &str) -> String {
    fields.word(field, value).unwrap_or_else(|| value.to_owned())
}

/// How texts are compared: part of the wire protocol, and the same at both sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Word by word: neither site hides anything from the other.
    Whole,
    /// Without addresses, since they may be hidden from one of the two.
    Hidden,
}

impl Texts {
    fn of(self, text: &str) -> String {
        match self {
            Texts::Whole => text.to_owned(),
            Texts::Hidden => hide_addresses(text),
        }
    }
}

/// The exchange whose two sides are compared.
#[derive(Debug, Clone, Copy)]
pub struct Between<'a> {
    pub peer: &'a Alias,
    pub exchange: ExchangeId,
    pub towards: Towards,
    pub fields: &'a FieldMap,
    pub texts: Texts,
    /// Whether a Cancel ended it, also where the record does not show that any more; see [`may_be_canceled`].
    pub canceled: bool,
}

/// Whether a record that does not look canceled may be: nobody hears of another solution or code after a Cancel.
pub fn may_be_canceled(work: &Work) -> bool {
    work.phase.group() != PhaseGroup::Resolution
        && work.completion_code == Some(CompletionCode::AbandonedByUser)
        && Ending::of(work).is_none()
}

impl Between<'_> {
    /// What the peer said in an earlier exchange of the same incident is in its record of that one (C-18, C-50).
    fn has(&self, origin: Option<&Alias>, came_in: Option<ExchangeId>) -> bool {
        origin != Some(self.peer) || came_in.is_none_or(|exchange| exchange == self.exchange)
    }
}

impl Agreed {
    /// The record as it is held alike with the site on the other side, in the words that travel between the two.
    pub fn of(incident: &Incident, between: Between<'_>) -> Self {
        let Between { towards, fields, texts, .. } = between;
        let work = &incident.work;
        let group = work.phase.group();
        let in_resolution = group == PhaseGroup::Resolution;
        // Where the solution does not pass, the one that a Cancel leaves is not to be seen.
        let unseen = may_be_canceled(work) && (between.canceled || !fields.is_shared(FieldName::Solution));
        let withdrawn = unseen || Ending::told(work, towards) == Some(Ending::Cancel);
        // A Resolve or Close without a solution leaves the fixed one at the receiver alone (C-15).
        let is_given = |text: &&String| !withdrawn && !text.trim().is_empty() && *text != RESOLVED_ELSEWHERE;
        // A code alone does not travel while the work goes on, an expectation not when it is over (C-05, C-07).
        let is_told = |code: &CompletionCode| !fields.is_none_there(FieldName::CompletionCode, code.as_str());
        let code = match work.completion_code.filter(is_told).unwrap_or(CompletionCode::Fulfilled) {
            _ if in_resolution => None,
            _ if withdrawn => Some(WITHDRAWN.to_owned()),
            code => Some(travelling(fields, FieldName::CompletionCode, code.as_str())),
        };
        // What came after a Cancel waits at its site for the Reopen (C-13).
        let is_told_on = !withdrawn;
        // An internal comment stays at its site, or is internal at the other as well; a rule writes at the receiver alone.
        let shared = |comment: &&Comment| {
            !comment.internal && !is_remark(comment) && between.has(comment.origin.as_ref(), comment.came_in)
        };
        // A relay may show its client another case than the one that it is told of.
        let case = incident.case_told(towards);
        // An older site does not know whose it is.
        let told = |case: Case| Case {
            status: travelling(fields, FieldName::CaseStatus, &case.status),
            contact: None,
            ..case
        };
        let both_ways = |field| fields.is_shared(field);
        Self {
            phase: match group {
                PhaseGroup::Resolution => "resolution".into(),
                PhaseGroup::Validation => "validation".into(),
                PhaseGroup::Done => "done".into(),
            },
            solution: work
                .solution
                .as_ref()
                .filter(is_given)
                .filter(|_| both_ways(FieldName::Solution))
                .map(|text| texts.of(text)),
            completion_code: code.filter(|_| both_ways(FieldName::CompletionCode)),
            expected_resolution: work
                .expected_resolution
                .filter(|_| in_resolution && both_ways(FieldName::ExpectedResolution)),
            case: case.filter(|_| is_told_on).cloned().map(told).map(|case| match texts {
                Texts::Whole => case,
                Texts::Hidden => hide_in_case(case),
            }),
            comments: incident
                .comments
                .iter()
                .filter(shared)
                .filter(|_| is_told_on && both_ways(FieldName::Comments))
                .map(|comment| {
                    (comment.id, hex(&if comment.deleted { String::new() } else { texts.of(&comment.text) }))
                })
                .collect(),
            files: BTreeMap::new(),
            milestones: if is_told_on { facts(incident, between) } else { String::new() },
            left_out: LEVELLED.into_iter().filter(|field| !both_ways(*field)).map(|one| one.as_str().into()).collect(),
        }
    }

    /// With the files that were announced between the two. When a case is over, the next one may have them.
    pub fn with_files(mut self, files: Option<&BTreeMap<String, ContentDigest>>) -> Self {
        let short = |digest: &ContentDigest| digest.as_str().chars().take(32).collect();
        if self.phase != "done" {
            self.files = files.into_iter().flatten().map(|(name, digest)| (name.clone(), short(digest))).collect();
        }
        self
    }

    /// Whether the case is over, and was not completed.
    pub fn is_withdrawn(&self) -> bool {
        self.phase == "done" && self.completion_code.as_deref() == Some(WITHDRAWN)
    }

    /// The same for equal records, whichever site makes it; part of the wire protocol.
    pub fn digest(&self) -> u64 {
        // What is left out has no value here; that it was left out may be the settings of one site alone.
        let told = match self.left_out.is_empty() {
            true => Cow::Borrowed(self),
            false => Cow::Owned(Self { left_out: Vec::new(), ..self.clone() }),
        };
        // Only maps with keys that are no strings, and I/O, can fail; there is neither.
        let text = serde_json::to_vec(&told).unwrap_or_default();
        first(&Sha256::digest(text))
    }

    /// What differs, field by field, apart from what one of the two leaves out.
    pub fn differences(&self, theirs: &Agreed) -> Vec<Difference> {
        let left_out = |field: &Subject| {
            let name = field.name().map(FieldName::as_str);
            name.is_some_and(|name| self.left_out.iter().chain(&theirs.left_out).any(|left| left == name))
        };
        let mut differences = Vec::new();
        let mut field = |field: Subject, ours: Option<String>, theirs: Option<String>| {
            if ours != theirs && !left_out(&field) {
                differences.push(Difference { field, ours, theirs });
            }
        };
        field(Subject::Phase, Some(self.phase.clone()), Some(theirs.phase.clone()));
        field(Subject::Solution, self.solution.clone(), theirs.solution.clone());
        field(Subject::CompletionCode, self.completion_code.clone(), theirs.completion_code.clone());
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        field(Subject::ExpectedResolution, time(self.expected_resolution), time(theirs.expected_resolution));
        field(Subject::Case, self.case.as_ref().map(shown), theirs.case.as_ref().map(shown));
        let ids: std::collections::BTreeSet<_> = self.comments.keys().chain(theirs.comments.keys()).collect();
        for id in ids {
            field(Subject::Comment(*id), self.comments.get(id).cloned(), theirs.comments.get(id).cloned());
        }
        let told = |digest: &String| Some(digest.clone()).filter(|digest| !digest.is_empty());
        field(Subject::Milestones, told(&self.milestones), told(&theirs.milestones));
        let names: std::collections::BTreeSet<_> = self.files.keys().chain(theirs.files.keys()).collect();
        for name in names {
            field(Subject::File(name.clone()), self.files.get(name).cloned(), theirs.files.get(name).cloned());
        }
        differences
    }
}

/// One digest for many, in their order.
pub fn together(exchanges: &[(ExchangeId, u64)]) -> u64 {
    let mut hash = Sha256::new();
    for (exchange, digest) in exchanges {
        hash.update(exchange.as_bytes());
        hash.update(digest.to_be_bytes());
    }
    first(&hash.finalize())
}

fn facts(incident: &Incident, between: Between<'_>) -> String {
    // A peer that does not tell of milestones moves a case by its operations, and each site notes that for itself.
    let moved = |one: &&Milestone| match one.fact {
        Fact::State(state) => state.group() == PhaseGroup::Resolution && state != CaseState::Reopened,
        _ => true,
    };
    let has = |one: &&Milestone| between.has(one.origin.as_ref(), one.came_in);
    let told = incident.milestones.iter().filter(moved).filter(has);
    let ids: std::collections::BTreeSet<Uuid> = told.map(|one| one.id).collect();
    if ids.is_empty() {
        return String::new();
    }
    let mut hash = Sha256::new();
    ids.iter().for_each(|id| hash.update(id.as_bytes()));
    format!("{:016x}", first(&hash.finalize()))
}

fn shown(case: &Case) -> String {
    let link = case.link.as_ref().map(|link| format!(" at {link}")).unwrap_or_default();
    format!("{} is {}{link}", case.id, case.status)
}

fn first(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn hex(text: &str) -> String {
    format!("{:016x}", first(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::{comment, incident, peer};
    use crate::case::{
        Arrival, Changes, Counterpart, Groups, Holder, Operation, Phase, Shadow, Towards, apply, derive_operations,
    };

    const DOWN: Towards = Towards::Client;

    fn exchange() -> ExchangeId {
        ExchangeId::from_bytes([7; 16])
    }

    fn of(incident: &Incident, towards: Towards, fields: &FieldMap) -> Agreed {
        between(incident, towards, fields, Texts::Hidden)
    }

    fn between(incident: &Incident, towards: Towards, fields: &FieldMap, texts: Texts) -> Agreed {
        Agreed::of(incident, Between { peer: &peer(), exchange: exchange(), towards, fields, texts, canceled: false })
    }

    /// What one site does, and what the other makes of the operations.
    fn agree(name: &str, before: fn(&mut Incident), change: fn(&mut Incident)) {
        let mut sender = incident();
        before(&mut sender);
        let mut receiver = sender.clone();
        let shadow = Shadow::of(&sender, None);
        change(&mut sender);
        let (groups, client) = (Groups::default(), peer());
        let (towards, holder) = (Towards::Client, Holder::Us);
        let across =
            Counterpart { peer: &client, towards, holder, groups: &groups, internal: false, fields: FieldMap::plain() };
        for (seq, operation) in derive_operations(&shadow, &sender, across).iter().enumerate() {
            let at = Arrival { peer: &peer(), exchange: exchange(), seq: seq as u64 + 1, at: sender.created_at };
            let edit = apply(operation, &receiver.work, at);
            receiver.work.phase = edit.phase.unwrap_or(receiver.work.phase);
            receiver.work.solution = edit.solution.unwrap_or(receiver.work.solution);
            receiver.work.completion_code = edit.completion_code.unwrap_or(receiver.work.completion_code);
            receiver.work.expected_resolution = edit.expected_resolution.unwrap_or(receiver.work.expected_resolution);
            receiver.case = edit.case.or(receiver.case);
            receiver.comments.extend(edit.comments);
            receiver.milestones.extend(edit.milestones);
        }
        let (ours, theirs) =
            (of(&sender, DOWN, FieldMap::plain()), of(&receiver, Towards::Upstream, FieldMap::plain()));
        assert_eq!(ours.differences(&theirs), [], "{name}");
        assert_eq!(ours.digest(), theirs.digest(), "{name}");
    }

    fn open(_: &mut Incident) {}

    fn milestone(number: u128) -> Milestone {
        let at = Timestamp::from_second(1_790_000_000).unwrap();
        Milestone { position: 1, ..Milestone::new(Uuid::from_u128(number), at, Fact::State(CaseState::OnHold)) }
    }

    fn reviewed(record: &mut Incident) {
        record.work.phase = Phase::Review;
        record.work.completion_code = Some(CompletionCode::Fulfilled);
    }

    fn withdrawn(record: &mut Incident) {
        record.work.phase = Phase::Close;
        record.work.completion_code = Some(CompletionCode::WithdrawnByUser);
    }

    fn closed(record: &mut Incident) {
        record.work.phase = Phase::Close;
        record.work.completion_code = Some(CompletionCode::Fulfilled);
    }

    #[test]
    fn what_the_tables_make_of_a_change_is_agreed_on() {
        agree("a solution", open, |r| r.work.solution = Some("Reseated".into()));
        agree("an expectation", open, |r| r.work.expected_resolution = Some(r.created_at));
        agree("a comment", open, |r| r.comments.push(comment(9, None)));
        agree("an internal comment", open, |r| r.comments.push(Comment { internal: true, ..comment(9, None) }));
        agree("a deleted comment", open, |r| r.comments.push(Comment { deleted: true, ..comment(9, None) }));
        agree("a code alone", open, |r| r.work.completion_code = Some(CompletionCode::Fulfilled));
        agree("resolved without a solution", open, |r| r.work.phase = Phase::Review);
        agree("a milestone", open, |r| r.milestones.push(milestone(3)));
        agree("escalated", open, |r| r.work.phase = Phase::Escalate);
        agree("closed with everything", open, |r| (closed(r), r.work.solution = Some("Done".into())).0);
        agree("withdrawn", closed, |r| r.work.completion_code = Some(CompletionCode::WithdrawnByUser));
        agree("withdrawn in review", reviewed, |r| (withdrawn(r), r.work.phase = Phase::Close).0);
        agree("a comment afterwards", withdrawn, |r| r.comments.push(comment(9, None)));
        agree("a milestone afterwards", withdrawn, |r| r.milestones.push(milestone(3)));
        agree("reopened, with the comment", withdrawn, |r| {
            r.comments.push(comment(9, None));
            r.work = Default::default();
        });
        agree("reopened", closed, |r| r.work = Default::default());
        agree("an expectation when all is over", closed, |r| r.work.expected_resolution = Some(r.created_at));
    }

    #[test]
    fn a_case_that_was_closed_as_abandoned_is_compared_whole() {
        let mut ours = incident();
        ours.work = Work {
            phase: Phase::Close,
            completion_code: Some(CompletionCode::AbandonedByUser),
            solution: Some("Nobody answered".into()),
            ..Work::default()
        };
        ours.comments = vec![comment(9, None)];
        let mut theirs = ours.clone();
        theirs.work.solution = Some("Reseated".into());
        theirs.comments.clear();
        let differences = of(&ours, DOWN, FieldMap::plain()).differences(&of(&theirs, DOWN, FieldMap::plain()));
        let fields: Vec<_> = differences.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["solution", "comment"]);
        // One that a Cancel ended is over, whatever was written into it since.
        let (peer, fields) = (peer(), FieldMap::plain());
        let canceled =
            Between { peer: &peer, exchange: exchange(), towards: DOWN, fields, texts: Texts::Whole, canceled: true };
        assert_eq!(Agreed::of(&ours, canceled), Agreed::of(&theirs, canceled));
    }

    #[test]
    fn what_is_hidden_from_one_of_the_two_is_no_difference() {
        let (mut ours, mut theirs) = (incident(), incident());
        ours.work.solution = Some("Rerouted by 192.0.2.7.".into());
        ours.comments = vec![Comment { text: "See 192.0.2.7".into(), ..comment(9, None) }];
        theirs.work.solution = ours.work.solution.as_deref().map(hide_addresses);
        theirs.comments = vec![Comment { text: hide_addresses("See 192.0.2.7"), ..comment(9, Some(peer())) }];
        assert_eq!(
            of(&ours, DOWN, FieldMap::plain()).differences(&of(&theirs, Towards::Upstream, FieldMap::plain())),
            []
        );
        let told = serde_json::to_string(&of(&ours, DOWN, FieldMap::plain())).unwrap();
        assert!(!told.contains("192.0.2.7"), "{told}");
        // Where neither hides anything, another address is another text.
        let whole = |record: &Incident| between(record, DOWN, FieldMap::plain(), Texts::Whole);
        let mut other = ours.clone();
        other.work.solution = Some("Rerouted by 192.0.2.8.".into());
        other.comments[0].text = "See 192.0.2.8".into();
        let fields: Vec<_> = whole(&ours).differences(&whole(&other)).iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["solution", "comment"]);
    }

    #[test]
    fn what_the_peer_said_in_an_earlier_exchange_is_no_part_of_the_next_one() {
        let mut record = incident();
        let earlier = Some(ExchangeId::from_bytes([6; 16]));
        record.comments = vec![Comment { came_in: earlier, ..comment(9, Some(peer())) }];
        record.milestones = vec![Milestone { came_in: earlier, origin: Some(peer()), ..milestone(3) }];
        let plain = of(&incident(), DOWN, FieldMap::plain());
        assert_eq!(of(&record, DOWN, FieldMap::plain()), plain);
        // What somebody else said travels with the next one.
        let other: Alias = "another".parse().unwrap();
        record.comments[0].origin = Some(other.clone());
        record.milestones[0].origin = Some(other);
        let differences = of(&record, DOWN, FieldMap::plain()).differences(&plain);
        assert_eq!(differences.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["comment", "milestones"]);
    }

    #[test]
    fn a_changed_field_is_named_with_both_values() {
        let record = incident();
        let mut other = record.clone();
        other.work.phase = Phase::Review;
        other.work.solution = Some("Reseated".into());
        other.case = Some(Case { id: "CASE-7".parse().unwrap(), link: None, status: "Open".into(), contact: None });
        other.comments.push(comment(9, None));
        let differences = of(&record, DOWN, FieldMap::plain()).differences(&of(&other, DOWN, FieldMap::plain()));
        let told: Vec<_> = differences.iter().map(|one| (one.field.as_str(), one.theirs.as_deref())).collect();
        assert_eq!(told[..2], [("phase", Some("validation")), ("solution", Some("Reseated"))]);
        assert_eq!(told[2..4], [("completion code", Some("fulfilled")), ("case", Some("CASE-7 is Open"))]);
        assert_eq!(differences[4].field, Subject::Comment(comment(9, None).id));
    }

    #[test]
    fn what_a_rule_wrote_at_the_receiver_alone_is_no_difference() {
        let mut record = incident();
        let at = Arrival { peer: &peer(), exchange: exchange(), seq: 300, at: record.created_at };
        record.comments = apply(&Operation::Assign(Changes::default()), &record.work, at).comments;
        assert_eq!(record.comments.len(), 1);
        assert_eq!(of(&record, DOWN, FieldMap::plain()), of(&incident(), DOWN, FieldMap::plain()));
    }

    #[test]
    fn the_digest_of_many_tells_their_order() {
        let (one, two) = ((exchange(), 1), (ExchangeId::from_bytes([8; 16]), 2));
        assert_ne!(together(&[one, two]), together(&[two, one]));
        assert_ne!(together(&[one]), together(&[one, two]));
    }
}
