//! One plain answer to a person's question: what does this incident wait for, on whose side, since when, when is it tried
//! next, what is at fault, and what is there to do?

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::hand_over::SWITCHED_OFF;
use super::inspect::Known;
use super::poll_case::FORGOTTEN;
use super::settle::{NO_PROGRESS, PAUSED};
use super::{Engine, EngineError, settle};
use crate::case::text::{counted, shown};
use crate::case::{
    Action, Alias, CaseState, Comment, Downward, Edit, ExchangeId, HistoryLine, Holder, Incident, IncidentId, Leg,
    OWN_AUTHOR, PhaseGroup, Standing, Submission, Towards, Upward, last_move,
};
use crate::protocol::{ProblemType, WhyAnswer};
use crate::store::{FailedFile, Write, Writer};

/// The most of a file's name that is shown, in bytes.
const NAME: usize = 100;

/// What keeps an incident, or one of its exchanges.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub waits_for: String,
    pub side: Side,
    pub since: Option<Timestamp>,
    pub next_try: Option<Timestamp>,
    pub cause: Option<String>,
    pub remedy: Option<String>,
}

/// Who has to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    Here,
    Peer(Alias),
    Nobody,
}

impl Engine {
    /// The answer for one incident; of several exchanges, for the one that is most in need.
    pub async fn why(&self, id: IncidentId) -> Result<WhyAnswer, EngineError> {
        /// Lines of history that are looked through for the last hold.
        const HISTORY: usize = 100;
        /// Files that were given up and are counted.
        const FILES: usize = 100;
        let loaded = self.store().load(&[id]).await?;
        if let Some((_, reason)) = loaded.unreadable.first() {
            return Ok(told(id, None, unreadable(reason)));
        }
        let Some(incident) = loaded.incidents.into_iter().next() else {
            return Err(ProblemType::NotFound.with(format!("there is no incident {id}")).into());
        };
        let (mut exchanges, scene) = (self.known(&incident).await?, self.scene());
        exchanges.retain(|known| {
            let towards = known.record.leg.towards();
            !settle::is_superseded(&scene, towards, known.key.exchange, &incident)
        });
        let given_back =
            exchanges.iter().filter(|known| matches!(known.record.leg, Leg::Upward { step: Upward::Rejected, .. }));
        let given_back = given_back.map(|known| known.record.since).max();
        let is_open =
            |known: &&Known| !known.record.leg.is_over() || known.needs_a_person() || !known.pending.is_empty();
        let asked_again = incident.client.is_none() && incident.submission != Submission::Requested;
        // A site between two waits for the one that has to act, and for its own people where neither has.
        let chosen = exchanges.iter().filter(|known| is_open(known) || !asked_again).min_by_key(|known| {
            let is_here = of_exchange(known, &incident).side == Side::Here;
            (!known.needs_a_person(), !is_open(known), is_here, known.record.leg.towards() == Towards::Client)
        });
        if let Some(known) = chosen {
            let mut answer = of_exchange(known, &incident);
            if known.record.paused {
                let history = self.store().history(id, HISTORY).await?;
                answer.since = history.iter().rfind(|line| line.detail == SWITCHED_OFF).map(|line| line.at);
            }
            let is_urgent = known.record.leg.is_over() || answer.side == Side::Here || answer.next_try.is_some();
            let files = if is_urgent { Vec::new() } else { self.store().failed_files(Some(id), FILES).await? };
            let answer = of_files(id, &files).unwrap_or(answer);
            return Ok(told(id, Some(known.key.exchange), answer));
        }
        let history = self.store().history(id, HISTORY).await?;
        let held = history.iter().rfind(|line| line.action == Action::Held.as_str());
        let settings = self.settings();
        let upstream = settings.upstream.as_ref().map(|upstream| &upstream.alias);
        Ok(told(id, None, of_incident(&incident, (held, given_back), upstream)))
    }
}

impl Engine {
    /// Where the settings want it, the answer goes into the case itself, for this site's own people.
    pub(super) async fn note_why(&self, incidents: Vec<IncidentId>) -> Result<(), EngineError> {
        if !self.settings().site.why_notes {
            return Ok(());
        }
        let mut writes = Vec::with_capacity(incidents.len());
        for id in incidents {
            let line = self.why(id).await?.line;
            let note = Comment {
                id: note_id(id, &line),
                author: OWN_AUTHOR.into(),
                written_at: self.now(),
                text: line,
                internal: true,
                ..Comment::default()
            };
            let edit = Edit { comments: vec![note], ..Edit::default() };
            writes.push(Write { edit, ..Write::to(id, Writer::Bridge) });
        }
        self.store().write(writes).await?;
        Ok(())
    }
}

/// The same for the same answer, which arrives once then, whoever asked at the same moment (C-31).
fn note_id(incident: IncidentId, line: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(format!("why {incident} {line}")).into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Uuid::new_v8(bytes)
}

fn told(incident: IncidentId, exchange: Option<ExchangeId>, answer: Answer) -> WhyAnswer {
    let line = answer.line(incident);
    WhyAnswer {
        incident: incident.0,
        exchange,
        waits_for: answer.waits_for,
        side: match answer.side {
            Side::Here => "here".into(),
            Side::Peer(alias) => alias.to_string(),
            Side::Nobody => "nobody".into(),
        },
        since: answer.since,
        next_try: answer.next_try,
        cause: answer.cause,
        remedy: answer.remedy,
        line,
    }
}

impl Answer {
    fn new(waits_for: impl Into<String>, side: Side, since: Option<Timestamp>) -> Self {
        Self { waits_for: waits_for.into(), side, since, next_try: None, cause: None, remedy: None }
    }

    fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    fn remedied_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// All of it in one line.
    pub fn line(&self, incident: IncidentId) -> String {
        let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let mut line = format!("incident {incident} waits for {}", self.waits_for);
        let parts = [
            self.since.map(|since| format!("since {}", time(since))),
            self.next_try.map(|next| format!("next try {}", time(next))),
            self.cause.as_ref().map(|cause| format!("because: {cause}")),
            self.remedy.as_ref().map(|remedy| format!("to do: {remedy}")),
        ];
        for part in parts.into_iter().flatten() {
            line.push_str("; ");
            line.push_str(&part);
        }
        line
    }
}

/// An incident without an exchange that could still move.
fn of_incident(
    incident: &Incident,
    (held, given_back): (Option<&HistoryLine>, Option<Timestamp>),
    upstream: Option<&Alias>,
) -> Answer {
    let (id, created) = (incident.id, Some(incident.created_at));
    if incident.state().group() == PhaseGroup::Done && incident.submission != Submission::Requested {
        let since = last_move(&incident.milestones).map(|one| one.at).or(created);
        return Answer::new("nothing", Side::Nobody, since).because("the case is closed here");
    }
    let person = || Answer::new("a person here: submit it or leave it", Side::Here, created);
    if let Some(client) = &incident.client {
        return match incident.references.iter().any(|one| one.peer == *client) {
            true => unknown(client),
            false => {
                Answer::new("nothing: it was entered here for a client and is in no exchange", Side::Nobody, created)
                    .remedied_by(format!("{client} links it with `casebridge link ID --transaction {id}`"))
            }
        };
    }
    if !incident.event.kind.is_submittable() {
        return Answer::new("nothing", Side::Nobody, created)
            .because(format!("an incident of kind {} never becomes a case", incident.event.kind.as_str()));
    }
    let Some(upstream) = upstream else {
        return Answer::new("nothing: it is worked on here", Side::Nobody, created)
            .because("this site has no [upstream] to submit to");
    };
    let submit = format!("casebridge submit {id}");
    let awaits_a_form = matches!(incident.submission, Submission::Draft | Submission::Held);
    if let Err(fault) = incident.event.check()
        && awaits_a_form
    {
        return person()
            .because(fault.to_string())
            .remedied_by(format!("correct its row in the incident store, then: {submit}"));
    }
    // A link that was refused stands in the history with its exchange; what a policy here held stands in none.
    let unlinked = held.filter(|line| line.exchange.is_some());
    match incident.submission {
        Submission::Undecided => Answer::new("the policies here, which look at it in a moment", Side::Here, created),
        Submission::Requested if incident.references.iter().any(|one| one.peer == *upstream) => unknown(upstream),
        Submission::Requested => Answer::new("the detector here, which queues it in a moment", Side::Here, created),
        Submission::Draft => person().because("its form is a draft").remedied_by(submit),
        Submission::Held if incident.references.iter().any(|one| one.standing == Standing::Rejected) => Answer {
            since: unlinked.map(|line| line.at).or(given_back).or(created),
            ..person()
                .because(unlinked.map_or_else(|| format!("{upstream} gave it back"), |line| line.detail.clone()))
                .remedied_by(format!("solve it here, or submit it anew: {submit}"))
        },
        Submission::Held => Answer {
            since: held.map(|line| line.at).or(created),
            cause: held.map(|line| line.detail.clone()).or_else(|| Some("no policy submits it".into())),
            ..person().remedied_by(submit)
        },
    }
}

/// Files that were given up on their way, the first of them with its reason.
fn of_files(id: IncidentId, files: &[FailedFile]) -> Option<Answer> {
    let FailedFile { name, peer, goes, reason, .. } = files.first()?;
    let way = if *goes { "to" } else { "from" };
    let more = match files.len() {
        1 => String::new(),
        many => format!(", and {} more", many - 1),
    };
    let name = shown(name, NAME);
    let what = format!("a person here: the file {name} {way} {peer} was given up{more}");
    Some(Answer::new(what, Side::Here, None).because(reason).remedied_by(format!("casebridge retry {id}")))
}

/// The store has a reference that state does not know (yet).
fn unknown(peer: &Alias) -> Answer {
    Answer::new(format!("the exchange with {peer} to be known again"), Side::Peer(peer.clone()), None)
        .because("state was lost, and the peer has not told yet how its exchanges stand")
        .remedied_by("see `casebridge status`")
}

fn unreadable(reason: &str) -> Answer {
    Answer::new("a person here: its row breaks a rule", Side::Here, None)
        .because(reason)
        .remedied_by("correct the row in the incident store")
}

/// One exchange.
pub(super) fn of_exchange(known: &Known, incident: &Incident) -> Answer {
    let (record, peer) = (&known.record, &known.key.peer);
    let id = record.incident().map_or_else(|| "ID".to_owned(), |id| id.to_string());
    if record.paused && !record.leg.is_over() {
        let answer = Answer::new("a person here: the exchange is switched off", Side::Here, None);
        let answer = match &record.held {
            Some(held) => answer.because(format!("news of {peer} waits since operation {}", held.seq)),
            None => answer,
        };
        return answer.remedied_by(format!("casebridge resume {id}"));
    }
    if let Some(parked) = record.parked.as_ref().or(record.held.as_ref()) {
        let whose = if record.parked.is_some() { "" } else { "of the peer's " };
        let what = format!("a person here: {} {} {whose}is parked", parked.operation, parked.seq);
        let remedy = match parked.reason.as_str() {
            FORGOTTEN => format!("talk to {peer}; when it has the case again: casebridge resync {id}"),
            reason if reason.starts_with(NO_PROGRESS) => format!(
                "find out at both sites which program changes the case over and over, and stop it; then: casebridge retry {id}"
            ),
            reason if reason.contains(ProblemType::Loop.title()) => {
                format!("no retry helps: solve it here, or change at {peer} where it sends such cases")
            }
            reason if reason.contains(ProblemType::Rejected.title()) => {
                let anew = if incident.client.is_some() { "escalate" } else { "submit" };
                format!("no retry helps: solve it here, or submit it anew: casebridge {anew} {id}")
            }
            _ => format!("remove the reason, then: casebridge retry {id}"),
        };
        return Answer::new(what, Side::Here, Some(parked.since)).because(&parked.reason).remedied_by(remedy);
    }
    let answer = step(known, incident);
    let tried = record.due.as_ref().filter(|due| due.attempts > 0 || due.last_error.is_some());
    let upward = record.leg.towards() == Towards::Upstream && answer.side != Side::Nobody;
    match (known.health.down_since.filter(|_| upward), tried) {
        (Some(since), _) => {
            let remedy = match known.health.unauthorized {
                true => "agree with the peer on user and password, then `systemctl reload casebridge`",
                false => "nothing, or look with `casebridge test-peer`",
            };
            Answer {
                waits_for: format!("{}; the peer does not answer", answer.waits_for),
                since: Some(since),
                next_try: known.health.next_attempt,
                cause: known.health.last_error.clone(),
                ..answer.remedied_by(remedy)
            }
        }
        (None, Some(due)) if due.last_error.as_ref().is_some_and(|error| error.contains(PAUSED)) => Answer {
            waits_for: format!("a person at {peer}: the exchange is switched off there"),
            side: Side::Peer(peer.clone()),
            next_try: Some(due.at),
            ..answer.because(format!("{peer} takes nothing of it")).remedied_by(format!(
                "ask {peer} to switch it on again: casebridge resume, with the number that the case has there"
            ))
        },
        (None, Some(due)) => {
            Answer { next_try: Some(due.at), cause: due.last_error.clone().or(answer.cause), ..answer }
        }
        (None, None) => answer,
    }
}

/// At a relay, that the site above has not taken the client's case, or gave it back.
fn given_back_above(incident: &Incident) -> String {
    let above = incident.references.iter().filter(|one| one.towards == Towards::Upstream);
    match above.max_by_key(|one| one.exchange).filter(|one| one.standing == Standing::Rejected) {
        Some(one) => {
            format!("; {} gave it back, and `casebridge escalate {}` hands it over anew", one.peer, incident.id)
        }
        None => String::new(),
    }
}

/// Where the exchange stands when nothing is wrong.
fn step(known: &Known, incident: &Incident) -> Answer {
    let (record, pending) = (&known.record, known.pending.len());
    let (peer, since) = (&known.key.peer, Some(record.since));
    let id = record.incident().map_or_else(|| "ID".to_owned(), |id| id.to_string());
    let is_solved = record.shadow.phase.group() == PhaseGroup::Validation;
    let theirs = |what: String| Answer::new(what, Side::Peer(peer.clone()), since);
    let ours = |what: String, remedy: &str| Answer::new(what, Side::Here, since).remedied_by(remedy.replace("ID", &id));
    let carried = |what: String| {
        let operations = counted(pending, "operation", "operations");
        if pending > 0 { format!("{what}, and {operations} to get through") } else { what }
    };
    let moved = last_move(&incident.milestones);
    let frozen = |answer: Answer| Answer { since: moved.map(|one| one.at).or(answer.since), ..answer };
    let is_held_there = moved.is_some_and(|one| one.origin.as_ref() == Some(peer));
    match &record.leg {
        Leg::Upward { step: Upward::Creating, .. } => {
            theirs(format!("the transaction ID: {peer} has not answered the Create yet"))
        }
        Leg::Upward { step: Upward::AwaitingTransaction, .. } => {
            theirs(format!("the transaction ID: {peer} has the Create and has not stored the incident yet"))
        }
        Leg::Upward { step: Upward::AwaitingCase { .. }, .. } => {
            theirs(carried(format!("the case ID and link: a person at {peer} decides")))
        }
        Leg::Upward { step: Upward::Open { .. }, .. } if is_solved => {
            ours(carried("a person here: the case is solved".into()), "casebridge close ID, or casebridge reopen ID")
        }
        Leg::Downward(Downward::Open { .. }) if is_solved => {
            theirs(carried(format!("{peer} to close the case, or to reopen it: it is solved")))
                .remedied_by("nothing, or close it here")
        }
        Leg::Upward { step: Upward::Open { .. }, .. } if record.holder == Holder::Us => ours(
            carried(format!("a person here, who has the case in hand and not {peer}")),
            "solve it, or hand it back: casebridge assign ID GROUP",
        ),
        Leg::Downward(Downward::Open { .. }) if record.holder == Holder::Peer => {
            theirs(carried(format!("{peer}, who has the case in hand")))
        }
        Leg::Upward { step: Upward::Open { .. }, .. } | Leg::Downward(Downward::Open { .. })
            if incident.state() == CaseState::OnHold =>
        {
            match is_held_there {
                true => frozen(theirs(carried(format!("{peer} to go on: the case is on hold there")))),
                false => frozen(ours(
                    carried("a person here to go on: the case is on hold".into()),
                    "casebridge case process ID",
                )),
            }
        }
        Leg::Upward { step: Upward::Open { .. }, .. } if incident.state() == CaseState::InputRequested => frozen(ours(
            carried(format!("a person here: {peer} asked for input")),
            "answer it: casebridge comment ID TEXT",
        )),
        Leg::Downward(Downward::Open { .. }) if incident.state() == CaseState::InputRequested => {
            frozen(theirs(carried(format!("the answer of {peer}, who was asked for input"))))
                .remedied_by("nothing, or go on without it: casebridge case process ID".replace("ID", &id))
        }
        Leg::Upward { step: Upward::Open { .. }, .. } => theirs(carried(format!("updates from {peer}"))),
        Leg::Downward(Downward::Received) => Answer::new("our own incident store", Side::Here, since)
            .because("the store did not take the incident in time")
            .remedied_by("look who locks the store"),
        Leg::Downward(Downward::Deciding { .. }) => {
            let what = carried(format!("a person here: accept or reject it{}", given_back_above(incident)));
            ours(what, "casebridge accept ID, or casebridge reject ID")
        }
        Leg::Downward(Downward::Open { .. }) => {
            let what = carried(format!("the work on the case here{}", given_back_above(incident)));
            ours(what, "casebridge update ID, resolve ID or close ID")
        }
        _ if pending > 0 => theirs(format!("{peer} to fetch {}", counted(pending, "operation", "operations"))),
        Leg::Upward { step: Upward::Closed { .. }, .. } | Leg::Downward(Downward::Closed { .. }) => {
            Answer::new("nothing", Side::Nobody, since).because("the case is closed")
        }
        Leg::Upward { step: Upward::Rejected, .. } | Leg::Downward(Downward::Rejected { .. }) => {
            Answer::new("nothing", Side::Nobody, since).because("the case was given back")
        }
    }
}

#[cfg(test)]
mod tests;
