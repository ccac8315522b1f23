//! The two tables against each other: one record at two sites, which people change at random, and operations that cross, come
//! late and come twice. What no row names is not sent, and when all is said both sites hold the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use uuid::Uuid;

use super::agreed::{Agreed, Between, Texts};
use super::conflict::{Meeting, Touched, Winner};
use super::derive::{Counterpart, Towards, derive_operations};
use super::ending::Ending;
use super::example::{comment, incident};
use super::fields::FieldMap;
use super::id::{Alias, ExchangeId, IncidentId};
use super::incident::{Case, Comment, Incident, Work};
use super::leg::{Downward, Leg, Upward, legal};
use super::operation::{Changes, Operation, OperationKind};
use super::ownership::{Field, Groups, Holder, Owner, Ownership};
use super::phase::{CompletionCode, Phase, PhaseGroup};
use super::sequence::Sequence;
use super::shadow::Shadow;
use super::{Arrival, Edit, apply, completed};

const DEFAULT: &str = "Done";

/// The kinds of operations that may tell of a record that moved from one group of phases to another: the outgoing table,
/// read from its left side alone.
const ROWS: [(PhaseGroup, PhaseGroup, &[OperationKind]); 9] = {
    use OperationKind::{Accept, Assign, Cancel, Close, Reject, Reopen, Resolve, Update};
    use PhaseGroup::{Done, Resolution, Validation};
    [
        (Resolution, Resolution, &[Assign, Accept, Update]),
        (Resolution, Validation, &[Accept, Update, Resolve, Cancel, Reject]),
        (Resolution, Done, &[Accept, Close, Cancel, Reject]),
        (Validation, Resolution, &[Accept, Reopen]),
        (Validation, Validation, &[Accept, Update, Resolve, Cancel, Reject]),
        (Validation, Done, &[Accept, Close, Cancel, Reject]),
        (Done, Resolution, &[Accept, Reopen]),
        (Done, Validation, &[Accept, Reopen, Resolve, Cancel, Reject]),
        (Done, Done, &[Accept, Update, Reopen, Close, Cancel, Reject]),
    ]
};

/// What a person does with the record at one site.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Solution(u8),
    Expectation(u8),
    Code(Option<CompletionCode>),
    Comment,
    EditComment,
    DeleteComment,
    Resolve(Option<CompletionCode>),
    Close,
    Reopen {
        clears: bool,
    },
    Cancel,
    Reject,
    /// The code of a Reject, at the site below.
    Refuse,
    HandOver,
    TakeBack,
    AcceptCase,
    Status(u8),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Does(usize, Deed),
    Detects(usize),
    /// The next operation of this site's reaches the other.
    Arrives(usize),
    /// One that arrived long ago does so again, or one comes before its turn.
    Again(usize, u8),
}

struct Sent {
    seen: u64,
    operation: Operation,
}

struct Site {
    alias: Alias,
    towards: Towards,
    groups: Groups,
    record: Incident,
    shadow: Shadow,
    leg: Leg,
    holder: Holder,
    touched: Touched,
    unseen: Option<u64>,
    applied: u64,
    outbox: Vec<Sent>,
    /// The order of what is written here.
    position: i64,
}

fn alias(side: usize) -> Alias {
    ["north", "partner"][side].parse().unwrap()
}

fn exchange() -> ExchangeId {
    ExchangeId::from_bytes([7; 16])
}

impl Site {
    fn new(side: usize) -> Self {
        let record = incident();
        let (towards, leg) = match side {
            0 => {
                let transaction = "4711".parse().unwrap();
                (Towards::Upstream, Leg::Upward { incident: record.id, step: Upward::AwaitingCase { transaction } })
            }
            _ => (Towards::Client, Leg::Downward(Downward::Deciding { incident: IncidentId(1) })),
        };
        Self {
            alias: alias(side),
            towards,
            groups: Groups::default(),
            shadow: Shadow::of(&record, None),
            record,
            leg,
            holder: Holder::at_first(towards),
            touched: Touched::default(),
            unseen: None,
            applied: 0,
            outbox: Vec::new(),
            position: 0,
        }
    }

    fn peer(&self) -> Alias {
        alias(usize::from(self.towards == Towards::Upstream))
    }

    fn is_rejected(&self) -> bool {
        matches!(self.leg, Leg::Upward { step: Upward::Rejected, .. } | Leg::Downward(Downward::Rejected { .. }))
    }

    fn next(&mut self) -> i64 {
        self.position += 1;
        self.position
    }

    fn does(&mut self, deed: Deed) {
        let position = self.next();
        let open = self.record.work.phase.group() == PhaseGroup::Resolution;
        let number = position as u128 * 2 + u128::from(self.towards == Towards::Client);
        let has_case = self.towards == Towards::Upstream || self.record.case.is_some();
        let (ours, peer) = (self.alias.to_string(), self.peer().to_string());
        let work = &mut self.record.work;
        let own = self.record.comments.iter_mut().find(|one| one.origin.is_none() && !one.deleted);
        match deed {
            Deed::Solution(text) => work.solution = Some(format!("{ours} {text}")),
            Deed::Expectation(day) => {
                work.expected_resolution = Some(Timestamp::from_second(1_800_000_000 + i64::from(day)).unwrap());
            }
            // Another code in a canceled record, which nobody opened again, is its site's own until then.
            Deed::Code(code) if Ending::of(work) != Some(Ending::Cancel) && !self.shadow.is_canceled() => {
                work.completion_code = code;
            }
            Deed::Comment => {
                let one = Comment { id: Uuid::from_u128(number), position, ..comment(1, None) };
                self.record.comments.push(one);
            }
            Deed::EditComment => {
                if let Some(one) = own {
                    (one.edits, one.position, one.text) = (one.edits + 1, position, format!("edited {position}"));
                }
            }
            Deed::DeleteComment => {
                if let Some(one) = own {
                    (one.edits, one.position, one.deleted) = (one.edits + 1, position, true);
                }
            }
            Deed::Resolve(code) if open && has_case => {
                work.phase = Phase::Review;
                work.completion_code = code;
            }
            Deed::Close if has_case => work.phase = Phase::Close,
            Deed::Reopen { clears } if !open => {
                work.phase = Phase::InitialSupport;
                if clears {
                    (work.solution, work.completion_code) = (None, None);
                }
            }
            Deed::Cancel if open => {
                work.phase = Phase::Close;
                work.completion_code = Some(CompletionCode::WithdrawnByUser);
            }
            Deed::Reject if self.towards == Towards::Client && !self.shadow.is_canceled() => {
                work.phase = Phase::Close;
                work.completion_code = Some(CompletionCode::RequestRejected);
            }
            Deed::Refuse if self.towards == Towards::Upstream && !self.shadow.is_canceled() => {
                work.phase = Phase::Close;
                work.completion_code = Some(CompletionCode::RequestRejected);
            }
            Deed::HandOver => self.record.assignment = Some(peer),
            Deed::TakeBack => self.record.assignment = Some(ours),
            Deed::AcceptCase if self.towards == Towards::Client && self.record.case.is_none() => {
                let id = "CASE-7".parse().unwrap();
                self.record.case = Some(Case { id, link: None, status: "Open".into(), contact: None });
            }
            Deed::Status(word) if self.towards == Towards::Client => {
                if let Some(case) = &mut self.record.case {
                    case.status = format!("status {word}");
                }
            }
            _ => {}
        }
    }

    /// What is put into the record before it is compared, and what is then queued.
    fn detect(&mut self) {
        let edit = completed(&self.record.work, DEFAULT).unwrap_or_default();
        self.write(&edit);
        self.tell();
    }

    fn tell(&mut self) {
        if self.is_rejected() {
            return;
        }
        let (peer, groups) = (self.peer(), self.groups.clone());
        let (towards, holder) = (self.towards, self.holder);
        let across = |holder| Counterpart {
            peer: &peer,
            towards,
            holder,
            groups: &groups,
            internal: false,
            fields: FieldMap::plain(),
        };
        let operations = derive_operations(&self.shadow, &self.record, across(holder));
        self.check_rows(&operations);
        let after = self.shadow.after(&operations, &self.record, across(holder).has(&self.record), FieldMap::plain());
        self.shadow = after;
        for operation in operations {
            match operation.kind() {
                OperationKind::Assign => self.holder = Holder::Peer,
                OperationKind::Accept => self.holder = Holder::Us,
                _ => {}
            }
            if self.towards == Towards::Client {
                self.leg = self.leg.clone().operated(&operation).unwrap();
            }
            self.queue(operation);
        }
        let again = derive_operations(&self.shadow, &self.record, across(self.holder));
        assert!(self.is_rejected() || again.is_empty(), "once said, nothing is left to say: {again:?}");
    }

    fn queue(&mut self, operation: Operation) {
        let seen = self.unseen.take().map_or(self.applied, |unseen| (unseen - 1).min(self.applied));
        self.touched.note(&operation, self.outbox.len() as u64 + 1);
        self.outbox.push(Sent { seen, operation });
    }

    fn check_rows(&self, operations: &[Operation]) {
        let (was, now) = (self.shadow.phase.group(), self.record.work.phase.group());
        let (_, _, rows) = ROWS.iter().find(|row| (row.0, row.1) == (was, now)).unwrap();
        for (index, operation) in operations.iter().enumerate() {
            let kind = operation.kind();
            assert!(operation.check().is_ok(), "{operation:?}");
            if self.shadow.is_canceled() {
                let is_first = index == 0;
                let opens = (kind == OperationKind::Reopen) == is_first;
                assert!(opens, "after a Cancel: {operations:?}");
            }
            assert!(rows.contains(&kind), "{was:?} to {now:?}: {operations:?}");
            let changes = operation.changes().unwrap();
            let reopens = kind == OperationKind::Reopen;
            if now == PhaseGroup::Resolution {
                assert!(
                    changes.completion_code.is_none() || reopens,
                    "C-05: a code alone is not listed: {operation:?}"
                );
            }
            assert!(
                changes.case.is_none() || self.towards == Towards::Client,
                "the case is told by whom it was submitted to"
            );
            assert!(
                changes.comments.iter().all(|one| one.origin.is_none()),
                "nobody gets back what is his: {operation:?}"
            );
        }
    }

    fn write(&mut self, edit: &Edit) {
        let work = &mut self.record.work;
        work.phase = edit.phase.unwrap_or(work.phase);
        work.solution = edit.solution.clone().unwrap_or(work.solution.take());
        work.completion_code = edit.completion_code.unwrap_or(work.completion_code);
        work.expected_resolution = edit.expected_resolution.unwrap_or(work.expected_resolution);
        self.record.case = edit.case.clone().or(self.record.case.take());
        if let Some(assignment) = &edit.assignment {
            self.record.assignment.clone_from(assignment);
        }
        for one in &edit.comments {
            let position = self.next();
            match self.record.comments.iter_mut().find(|known| known.id == one.id) {
                Some(known) if one.edits > known.edits && known.origin == one.origin => {
                    *known = Comment { position, ..one.clone() };
                }
                Some(_) => {}
                None => self.record.comments.push(Comment { position, ..one.clone() }),
            }
        }
    }

    /// An operation of the peer's, in its turn.
    fn take(&mut self, seq: u64, sent: &Sent, rules: &Ownership) {
        let Sent { seen, operation } = sent;
        let decides = self.towards == Towards::Client;
        assert!(
            !decides || operation.kind() != OperationKind::Reject,
            "whoever submitted a case does not give it back"
        );
        if decides && *seen == self.outbox.len() as u64 {
            assert_eq!(legal(operation, &self.shadow, self.holder), Ok(()), "an honest site is never at fault");
        }
        let moved = self.leg.clone().operated(operation);
        assert!(moved.is_ok(), "{moved:?}");
        let peer = self.peer();
        let arrival = Arrival { peer: &peer, exchange: exchange(), seq, at: self.record.created_at };
        let edit = {
            let mut edit = apply(operation, &self.record.work, arrival);
            assert!(edit.without_foreign(&self.record, &peer).is_empty(), "nobody edits the other's words");
            edit
        };
        let phase = self.record.work.phase.group();
        let (holder, towards) = (self.holder, self.towards);
        let meet = |site: &Self| {
            Meeting {
                record: &site.record.work,
                shadow: &site.shadow,
                touched: site.touched,
                seen: Some(*seen),
                decides,
            }
            .merge(operation, edit.clone(), |field| {
                match (decides, rules.is_ours(field, phase, holder, towards)) {
                    (false, _) => Winner::Undecided,
                    (true, true) => Winner::Ours,
                    (true, false) => Winner::Theirs,
                }
            })
        };
        let said = self.outbox.len() as u64;
        let mut merged = meet(self);
        if decides && merged.conflicts.iter().any(|conflict| conflict.unsent) {
            self.tell();
            merged = meet(self);
        }
        if decides && merged.restates {
            let work = &self.record.work;
            let after = Work {
                phase: merged.edit.phase.unwrap_or(work.phase),
                solution: merged.edit.solution.clone().unwrap_or(work.solution.clone()),
                completion_code: merged.edit.completion_code.unwrap_or(work.completion_code),
                ..Work::default()
            };
            let missing = completed(&after, DEFAULT).unwrap_or_default();
            merged.edit.solution = missing.solution.or(merged.edit.solution);
            merged.edit.completion_code = missing.completion_code.or(merged.edit.completion_code);
        }
        // What met another change is told apart from its own repetition by the numbers of operations alone.
        let met = !merged.conflicts.is_empty() || merged.restates && operation.kind() != OperationKind::Reopen;
        let undisturbed = !met && !merged.keeps_phase && merged.edit == merged.agreed;
        self.write(&merged.edit);
        if undisturbed && completed(&self.record.work, DEFAULT).is_none() {
            let once = self.record.work.clone();
            let again = apply(operation, &once, arrival);
            self.write(&again);
            assert_eq!(self.record.work, once, "twice is as good as once: {operation:?}");
        }
        let moves = match operation.changes() {
            Some(changes) if merged.keeps_step() => Operation::Update(changes.clone()),
            _ => operation.clone(),
        };
        if let Ok(leg) = self.leg.clone().operated(&moves) {
            self.leg = leg;
        }
        match operation.kind() {
            _ if merged.keeps_holder || self.touched.hands_over_after(said) => {}
            OperationKind::Assign => self.holder = Holder::Us,
            OperationKind::Accept => self.holder = Holder::Peer,
            _ => {}
        }
        self.applied = seq;
        if merged.keeps_holder {
            self.queue(match self.holder {
                Holder::Us => Operation::Accept(Changes::default()),
                Holder::Peer => Operation::Assign(Changes::default()),
            });
        }
        self.shadow.follow(&merged.agreed);
        if merged.unsent {
            self.unseen.get_or_insert(seq);
        }
        if merged.restates {
            self.tell();
        }
        self.leg = self.leg.clone().in_phase(self.shadow.phase);
    }

    fn agreed(&self) -> Agreed {
        let between = Between {
            peer: &self.peer(),
            exchange: exchange(),
            towards: self.towards,
            fields: FieldMap::plain(),
            texts: Texts::Whole,
            canceled: true,
        };
        Agreed::of(&self.record, between)
    }
}

struct World {
    sites: [Site; 2],
    rules: Ownership,
}

impl World {
    fn new(rules: Ownership) -> Self {
        Self { sites: [Site::new(0), Site::new(1)], rules }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Does(side, deed) => self.sites[side].does(deed),
            Step::Detects(side) => self.sites[side].detect(),
            Step::Arrives(side) => _ = self.arrives(side, None),
            Step::Again(side, which) => _ = self.arrives(side, Some(u64::from(which))),
        }
    }

    /// The next operation of one site's, or another one, at the other. Says whether something arrived.
    fn arrives(&mut self, from: usize, seq: Option<u64>) -> bool {
        let [north, partner] = &mut self.sites;
        let (sender, receiver) = if from == 0 { (north, partner) } else { (partner, north) };
        let seq = seq.unwrap_or(receiver.applied + 1);
        let Some(sent) = seq.checked_sub(1).and_then(|index| sender.outbox.get(index as usize)) else { return false };
        if Sequence::of(seq, receiver.applied) != Sequence::Next {
            return false;
        }
        if receiver.is_rejected() {
            // The tombstone says so, and the sender is done with it.
            assert!(
                receiver.leg.clone().operated(&sent.operation).is_err()
                    || sent.operation.kind() == OperationKind::Reject
            );
            return false;
        }
        receiver.take(seq, sent, &self.rules);
        if sender.towards == Towards::Upstream {
            sender.leg = sender.leg.clone().arrived(&sent.operation, sender.shadow.phase);
        }
        true
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            self.sites.iter_mut().for_each(Site::detect);
            let arrived = [self.arrives(0, None), self.arrives(1, None)];
            if arrived == [false, false] {
                return;
            }
        }
        panic!("they talk for ever");
    }

    fn check(&self) {
        let [north, partner] = &self.sites;
        if partner.is_rejected() {
            assert!(north.is_rejected(), "both know that it was given back");
            let last = partner.outbox.iter().position(|one| one.operation.kind() == OperationKind::Reject);
            assert_eq!(last, Some(partner.outbox.len() - 1), "after a Reject there is the tombstone alone");
            return;
        }
        let (ours, theirs) = (north.agreed(), partner.agreed());
        let story = || {
            let told = |site: &Site| {
                site.outbox
                    .iter()
                    .map(|one| format!("{} sees {}: {:?}", site.alias, one.seen, one.operation))
                    .collect::<Vec<_>>()
            };
            format!("{:#?}\n{:?}\n{:?}", [told(north), told(partner)].concat(), north.record.work, partner.record.work)
        };
        assert_eq!(ours.differences(&theirs), [], "{}", story());
        assert_eq!(ours.digest(), theirs.digest(), "{}", story());
        assert_eq!(north.record.work.phase.group(), partner.record.work.phase.group(), "{}", story());
        assert_ne!(north.holder, partner.holder, "one of the two has it in hand: {}", story());
        let closed = north.record.work.phase == Phase::Close;
        assert_eq!([north.leg.is_over(), partner.leg.is_over()], [closed, closed], "{}", story());
    }
}

/// The same stories each time; `CASEBRIDGE_STORIES=17` tells others.
fn config() -> ProptestConfig {
    let seed = std::env::var("CASEBRIDGE_STORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

/// Both records are the same after these steps, and after all that follows from them.
fn ends_alike(done: Owner, steps: &[Step]) -> World {
    let mut world = World::new(Ownership { done, ..Ownership::default() });
    steps.iter().for_each(|step| world.step(*step));
    world.settle();
    world.check();
    world
}

#[test]
fn a_cancel_that_both_sites_give_while_a_reopening_is_on_its_way_leaves_one_state() {
    use Deed::{Cancel, Reopen, Resolve};
    use Step::{Arrives, Detects, Does};
    // The reopening of the site below counts above, and was taken back before anybody there could know.
    let reopens = Does(0, Reopen { clears: false });
    let steps = [Does(0, Resolve(None)), Does(1, Cancel), Detects(0), reopens, Detects(1), Detects(0), Does(0, Cancel)];
    ends_alike(Owner::Client, &[&steps[..], &[Arrives(1)]].concat());
}

#[test]
fn an_exchange_is_over_once_its_case_is_closed_at_both_sites_though_one_had_opened_it_again_and_not_said_so() {
    use Deed::{Cancel, Reopen, Resolve};
    use Step::{Arrives, Detects, Does};
    let reopens = Does(0, Reopen { clears: false });
    let steps = [Does(0, Resolve(None)), Does(1, Cancel), Detects(0), Arrives(0), reopens, Detects(1), Arrives(1)];
    ends_alike(Owner::Holder, &[&steps[..], &[Arrives(0), Arrives(1), Does(0, Cancel)]].concat());
}

#[test]
fn what_came_with_a_reopening_is_said_again_where_a_close_that_crossed_it_counts() {
    use Deed::{AcceptCase, Close, Reopen, Resolve, Solution};
    use Step::{Arrives, Detects, Does};
    let reopens = Does(1, Reopen { clears: false });
    let before = [Does(0, Resolve(None)), Detects(0), Arrives(0), Arrives(0), reopens, Does(1, AcceptCase)];
    let after = [Does(1, Solution(0)), Does(0, Close), Detects(1), Does(1, Resolve(None))];
    let world = ends_alike(Owner::Holder, &[&before[..], &after].concat());
    assert_eq!(world.sites.map(|site| site.record.work.solution), [Some("partner 0".into()), Some("partner 0".into())]);
}

#[test]
fn a_reopening_that_nobody_had_told_yet_gives_way_to_the_other_end_and_its_solution_is_said_again() {
    use Deed::{Comment, Reopen, Resolve, Solution};
    use Step::{Arrives, Detects, Does};
    let reopens = Does(1, Reopen { clears: false });
    let before = [Does(0, Resolve(None)), Does(0, Comment), Detects(0), Arrives(0), Arrives(0), reopens];
    let after = [Does(0, Comment), Detects(0), Does(1, Solution(0)), Arrives(0)];
    let mut world =
        World::new(Ownership { resolution: Owner::Client, validation: Owner::Holder, ..Ownership::default() });
    before.into_iter().chain(after).for_each(|step| world.step(step));
    world.settle();
    world.check();
}

fn deed() -> impl Strategy<Value = Deed> {
    let code = proptest::option::of(proptest::sample::select(CompletionCode::ALL.to_vec()));
    prop_oneof![
        3 => (0_u8..4).prop_map(Deed::Solution),
        1 => (0_u8..4).prop_map(Deed::Expectation),
        1 => code.clone().prop_filter("a code of its own", |code| *code != Some(CompletionCode::RequestRejected)).prop_map(Deed::Code),
        3 => Just(Deed::Comment),
        1 => Just(Deed::EditComment),
        1 => Just(Deed::DeleteComment),
        3 => code.prop_filter("the deed for that", |code| !code.is_some_and(CompletionCode::ends_at_once)).prop_map(Deed::Resolve),
        2 => Just(Deed::Close),
        3 => any::<bool>().prop_map(|clears| Deed::Reopen { clears }),
        2 => Just(Deed::Cancel),
        1 => Just(Deed::Refuse),
        1 => Just(Deed::HandOver),
        1 => Just(Deed::TakeBack),
        3 => Just(Deed::AcceptCase),
        1 => (0_u8..4).prop_map(Deed::Status),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_usize..2, deed()).prop_map(|(side, deed)| Step::Does(side, deed)),
        3 => (0_usize..2).prop_map(Step::Detects),
        4 => (0_usize..2).prop_map(Step::Arrives),
        1 => (0_usize..2, any::<u8>()).prop_map(|(side, which)| Step::Again(side, which % 12)),
    ]
}

fn rules() -> impl Strategy<Value = Ownership> {
    let owner = || proptest::sample::select(Owner::ALL.to_vec());
    (owner(), owner(), owner(), proptest::option::of(owner())).prop_map(|(resolution, validation, done, solution)| {
        Ownership {
            resolution,
            validation,
            done,
            fields: solution.map(|owner| BTreeMap::from([(Field::Solution, owner)])).unwrap_or_default(),
        }
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_two_people_do_both_records_are_the_same_in_the_end(
        rules in rules(),
        steps in proptest::collection::vec(step(), 0..50),
    ) {
        let mut world = World::new(rules);
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.check();
    }

    #[test]
    fn after_a_reject_there_is_nothing_but_the_tombstone(
        rules in rules(),
        before in proptest::collection::vec(step(), 0..20),
        after in proptest::collection::vec(step(), 0..20),
    ) {
        let mut world = World::new(rules);
        before.into_iter().for_each(|step| world.step(step));
        world.step(Step::Does(1, Deed::Reject));
        world.step(Step::Detects(1));
        after.into_iter().for_each(|step| world.step(step));
        world.settle();
        world.check();
    }

    #[test]
    fn c_13_after_a_cancel_nothing_is_said_by_either_site(
        rules in rules(),
        before in proptest::collection::vec(step(), 0..20),
        canceled_by in 0_usize..2,
        after in proptest::collection::vec(step(), 0..30),
    ) {
        let mut world = World::new(rules);
        before.into_iter().for_each(|step| world.step(step));
        world.settle();
        world.sites[canceled_by].does(Deed::Cancel);
        world.settle();
        prop_assume!(world.sites.iter().all(|site| site.shadow.is_canceled()));
        let said = |world: &World| world.sites.each_ref().map(|site| site.outbox.len());
        let before = said(&world);
        let stays_closed = |step: &Step| !matches!(step, Step::Does(_, Deed::Reopen { .. } | Deed::Code(_)));
        after.into_iter().filter(stays_closed).for_each(|step| world.step(step));
        world.settle();
        prop_assert_eq!(said(&world), before);
        world.check();
        world.step(Step::Does(1 - canceled_by, Deed::Reopen { clears: true }));
        world.settle();
        world.check();
    }
}
