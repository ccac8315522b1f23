//! Both sites are compared from their stores: digests first, then what differs. What counts is shown before anything is
//! done: the case is the upstream's, and so are the other fields; a comment that one site lacks is told to it.

use std::collections::{HashMap, HashSet};

use tracing::{info, warn};
use uuid::Uuid;

use super::adopt::standpoint;
use super::detect::reference;
use super::digest::{Digests, Picture, SLICE, shown};
use super::fields::hear;
use super::forward::{Settled, forward};
use super::poll_case::FORGOTTEN;
use super::settle;
use super::{Engine, EngineError};
use crate::case::agreed::together;
use crate::case::attachment::name_of_clients;
use crate::case::hide::is_ours_hidden;
use crate::case::text::shown as cut;
use crate::case::{
    Action, Agreed, Alias, AttachmentNote, Changes, Comment, Difference, Edit, ExchangeId, FieldMap, HistoryLine,
    Incident, IncidentId, Leg, Milestone, Operation, Phase, Relayed, Subject, Texts, Towards, Upward, told,
};
use crate::peer::{PeerError, Upstream};
use crate::protocol::site::capability;
use crate::protocol::{DigestPart, DriftRow, ExchangeSnapshot, PART_LIMIT, ProblemType, ReconcileAnswer};
use crate::state::ExchangeKey;
use crate::store::{FailedFile, Write, Writer, Written};
use crate::telemetry::{CrashPoint, crash_point};

/// Exchanges that one run looks at closely.
const SUSPECTS: usize = 1_000;
/// Requests for digests in one run: enough to go through a million exchanges that all differ.
const REQUESTS: usize = 2_000;
/// Ranges that wait to be asked for: those beside the way down to one exchange, however many the peer says there are.
const RANGES: usize = 16 * PART_LIMIT;
const TAKE: &str = "take it from the peer";
const SEND: &str = "send it again";
/// Edits that an altered comment may have at the upstream, where nobody tells them: the author's text has more.
const AHEAD: u32 = 100;
/// Files that were given up, in one run.
const FAILED: usize = 1_000;
/// The most of a value that is shown, in bytes.
const SHOWN: usize = 200;

/// One exchange that differs, and both sides of it.
struct Drift {
    picture: Picture,
    theirs: ExchangeSnapshot,
    /// Their record in our words.
    record: Changes,
    differences: Vec<Difference>,
    /// Fields that this site owns: our value counts, and is told again (C-47).
    ours: Vec<Subject>,
    /// Files of ours that were given up on their way.
    failed: Vec<String>,
}

impl Engine {
    /// Compares one incident or all with the upstream. With an operator's name, what differs is repaired.
    pub async fn reconcile(
        &self,
        incident: Option<IncidentId>,
        operator: Option<&str>,
    ) -> Result<ReconcileAnswer, EngineError> {
        self.check_has_upstream()?;
        let (alias, upstream) = self.upstream_with(capability::RECONCILE).await?;
        let texts = self.compared_texts(&alias).await?;
        self.detect_all().await?;
        let mut answer = ReconcileAnswer::default();
        let suspects = match incident {
            Some(id) => {
                let exchange = self.upward_exchange(id, &alias).await?;
                answer.compared = 1;
                vec![exchange]
            }
            None => self.suspects(&alias, upstream.as_ref(), texts, &mut answer).await?,
        };
        let mut rest = suspects.as_slice();
        while !rest.is_empty() {
            let page = rest.get(..SLICE).unwrap_or(rest);
            let looked = self.look_closely(&alias, upstream.as_ref(), page, (operator, texts), &mut answer).await?;
            rest = rest.get(looked..).unwrap_or_default();
        }
        self.add_failed(&alias, incident, operator, &mut answer).await?;
        self.tell_drift(&alias, &answer);
        Ok(answer)
    }

    /// A site compares itself with the one above: one that has none is told who does it.
    fn check_has_upstream(&self) -> Result<(), EngineError> {
        /// Clients that are named.
        const NAMED: usize = 5;
        let settings = self.settings();
        if settings.upstream.is_some() || settings.clients.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = settings.clients.iter().take(NAMED).map(|client| client.alias.as_str()).collect();
        let more = if settings.clients.len() > NAMED { " and others" } else { "" };
        let detail = format!(
            "this site has no [upstream]; its clients compare themselves with it: `casebridge reconcile` at {}{more}",
            named.join(", ")
        );
        Err(ProblemType::NotConnected.with(detail).into())
    }

    /// Word by word, where neither of the two hides addresses from the other.
    async fn compared_texts(&self, alias: &Alias) -> Result<Texts, EngineError> {
        let peer = alias.clone();
        let record = self.state().read(move |view| view.peer(&peer)).await?;
        let shows = record.capabilities.iter().any(|one| one == capability::WHOLE_TEXTS);
        let hides = self.settings().hides_addresses_from(alias);
        Ok(if shows && !hides { Texts::Whole } else { Texts::Hidden })
    }

    /// The exchange of an incident with the upstream.
    pub(super) async fn upward_exchange(&self, id: IncidentId, alias: &Alias) -> Result<ExchangeId, EngineError> {
        let incident = self.incident(id).await?;
        settle::upward_key(&self.scene(), &incident)
            .map(|key| key.exchange)
            .filter(|exchange| incident.references.iter().any(|one| one.exchange == *exchange))
            .ok_or_else(|| ProblemType::Action.with(format!("incident {id} is in no exchange with {alias}")).into())
    }

    /// The exchanges whose digests differ, found by going down where the parts do.
    async fn suspects(
        &self,
        alias: &Alias,
        upstream: &dyn Upstream,
        texts: Texts,
        answer: &mut ReconcileAnswer,
    ) -> Result<Vec<ExchangeId>, EngineError> {
        let Digests { all: ours, superseded } =
            self.store_digests(alias, (Towards::Upstream, texts), None, None).await?;
        answer.compared = (ours.len() - superseded.len()) as u64;
        let mut suspects = Vec::new();
        let mut ranges = vec![(None, None)];
        let mut requests = 0;
        while let Some((after, through)) = ranges.pop() {
            if suspects.len() >= SUSPECTS || requests >= REQUESTS {
                answer.more = true;
                break;
            }
            requests += 1;
            let page = upstream.digests(after, through, texts).await?;
            if page.parts.is_empty() {
                let theirs = page.exchanges.iter().map(|one| (one.exchange, one.digest.clone()));
                let mut found = differing(within(&ours, after, through), theirs.collect());
                found.retain(|exchange| !superseded.contains(exchange));
                suspects.append(&mut found);
                continue;
            }
            // One part is no smaller than the whole was.
            if page.parts.len() == 1 || ranges.len() + page.parts.len() > RANGES {
                return Err(PeerError::Malformed("parts that lead nowhere".into()).into());
            }
            if !in_order(&page.parts, after, through) {
                return Err(PeerError::Malformed("parts that are not in order".into()).into());
            }
            let mut start = after;
            for part in &page.parts {
                let here = within(&ours, start, part.through);
                if (here.len() as u64, shown(together(here))) != (part.count, part.digest.clone()) {
                    ranges.push((start, part.through));
                }
                start = part.through;
            }
        }
        answer.more |= suspects.len() > SUSPECTS;
        suspects.truncate(SUSPECTS);
        Ok(suspects)
    }

    /// How many of them, from the first on, the upstream answered for: at least one.
    async fn look_closely(
        &self,
        alias: &Alias,
        upstream: &dyn Upstream,
        exchanges: &[ExchangeId],
        (operator, texts): (Option<&str>, Texts),
        answer: &mut ReconcileAnswer,
    ) -> Result<usize, EngineError> {
        let mut pictures: HashMap<ExchangeId, Picture> =
            self.pictures(alias, exchanges).await?.into_iter().map(|one| (one.key.exchange, one)).collect();
        let page = upstream.exchanges_of(exchanges, texts).await?;
        let last = page.exchanges.last().map(|one| one.exchange);
        let answered = match page.more {
            // A page that is full ends with the last one that it holds.
            true => exchanges.iter().position(|exchange| Some(*exchange) == last).map(|place| place + 1),
            false => Some(exchanges.len()),
        };
        let answered = answered.ok_or_else(|| PeerError::Malformed("a page that leads nowhere".into()))?;
        let mut theirs: HashMap<ExchangeId, ExchangeSnapshot> =
            page.exchanges.into_iter().map(|one| (one.exchange, one)).collect();
        let settings = self.settings();
        for exchange in exchanges.iter().take(answered) {
            match (pictures.remove(exchange), theirs.remove(exchange)) {
                (Some(picture), Some(snapshot)) => match drift(picture, snapshot, settings.fields(alias), texts) {
                    Compared::InMotion => answer.in_motion += 1,
                    Compared::Alike => {}
                    Compared::Drift(mut drift) => {
                        drift.ours = self.owned(&drift);
                        if let Some(incident) = &drift.picture.incident {
                            let failed = self.store().failed_files(Some(incident.id), FAILED).await?;
                            let goes = failed.into_iter().filter(|one| one.goes && one.peer == *alias);
                            drift.failed = goes.map(|one| one.name).collect();
                        }
                        let done = match operator {
                            Some(operator) => self.repair(alias, &drift, operator).await?,
                            None => false,
                        };
                        answer.differences.extend(rows(&drift, done));
                    }
                },
                (Some(picture), None) if is_given_back(&picture) => {}
                (Some(picture), None) if may_be_unknown(&picture) => answer.in_motion += 1,
                (Some(picture), None) => {
                    let (incident, is_open) = (picture.record.incident(), !picture.record.leg.is_over());
                    let repair = if is_open { "park it: a person talks to the peer" } else { "none: it is over" };
                    let repaired = operator.is_some() && is_open;
                    if repaired {
                        self.park(vec![(picture.key, FORGOTTEN.to_owned())]).await?;
                    }
                    let here = Some("known".to_owned());
                    answer.differences.push(DriftRow { here, repaired, ..lone(*exchange, incident, repair) });
                }
                (None, Some(_)) => {
                    let row = lone(*exchange, None, "none here: was an older store restored?");
                    answer.differences.push(DriftRow { there: Some("known".into()), ..row });
                }
                (None, None) => {}
            }
        }
        Ok(answered)
    }

    /// Files that were given up on their way, which both sites know and one of them lacks: no digest shows that.
    async fn add_failed(
        &self,
        alias: &Alias,
        incident: Option<IncidentId>,
        operator: Option<&str>,
        answer: &mut ReconcileAnswer,
    ) -> Result<(), EngineError> {
        let failed = self.store().failed_files(incident, FAILED).await?;
        answer.more |= failed.len() >= FAILED;
        let is_told = |one: &FailedFile, answer: &ReconcileAnswer| {
            answer.differences.iter().any(|row| {
                let file = row.field.strip_prefix("attachment ").unwrap_or_default();
                row.incident == Some(one.incident.0) && is_ours(file, &cut(&one.name, SHOWN))
            })
        };
        let mut again = HashSet::new();
        for one in failed.into_iter().filter(|one| one.peer == *alias) {
            if is_told(&one, answer) {
                continue;
            }
            let id = one.incident;
            if let Some(operator) = operator
                && again.insert(id)
            {
                self.retry_files(Some(id), operator).await?;
            }
            let reason = Some(cut(&format!("given up: {}", one.reason), SHOWN));
            answer.differences.push(DriftRow {
                incident: Some(id.0),
                exchange: one.exchange,
                field: format!("attachment {}", cut(&one.name, SHOWN)),
                here: reason,
                there: None,
                repair: format!("try it again: casebridge retry {id}"),
                repaired: operator.is_some(),
            });
        }
        Ok(())
    }

    /// The fields that differ and that this site owns, as the record stands here. Of a case that was canceled nothing more is
    /// told (C-13), and the upstream's values count.
    fn owned(&self, drift: &Drift) -> Vec<Subject> {
        let Some(incident) = &drift.picture.incident else { return Vec::new() };
        let is_canceled_there = drift.theirs.agreed.as_ref().is_some_and(Agreed::is_withdrawn);
        if is_canceled_there || drift.picture.record.shadow.is_canceled() {
            return Vec::new();
        }
        let settings = self.settings();
        let (phase, holder) = (incident.work.phase.group(), drift.picture.record.holder);
        let is_ours = |subject: &Subject| {
            let field = subject.owned()?;
            Some(settings.exchange.ownership.is_ours(field, phase, holder, Towards::Upstream))
        };
        // Told while addresses were hidden: theirs is ours with less in it.
        let is_hidden = |one: &Difference| {
            one.field == Subject::Solution && is_ours_hidden(one.ours.as_deref(), one.theirs.as_deref())
        };
        let counts = |one: &&Difference| is_ours(&one.field).unwrap_or(false) || is_hidden(one);
        drift.differences.iter().filter(counts).map(|one| one.field.clone()).collect()
    }

    /// The upstream's values come here, but for what this site owns; that, and what it lacks of our comments and files, goes
    /// there. False when the record changed at
    /// the same moment: the next run looks again.
    async fn repair(&self, alias: &Alias, drift: &Drift, operator: &str) -> Result<bool, EngineError> {
        let Drift { picture, theirs, record, differences, ours, failed } = drift;
        let Some(incident) = &picture.incident else { return Ok(false) };
        let (kept, come): (Vec<_>, Vec<_>) =
            differences.iter().cloned().partition(|difference| ours.contains(&difference.field));
        let again = Changes {
            comments: lacking(&incident.comments, differences, alias),
            attachments: lacking_files(incident, differences, alias),
            milestones: lacking_milestones(incident, differences, alias),
            ..Changes::default()
        };
        let mut told = taken(theirs, record, &come, &picture.key);
        told.comments.extend(misread(&incident.comments, record, &come, &picture.key));
        let is_known = |one: &Milestone| incident.milestones.iter().any(|known| known.id == one.id);
        told.milestones.retain(|one| !is_known(one) && !one.is_far_beyond(&incident.milestones));
        let in_words = told::received(&Operation::Update(Changes::default()), &picture.record.shadow, &told);
        let Ok(Relayed { edit, upstream_case, own_case }) = self.relayed(told, incident, false) else {
            return Ok(false);
        };
        let mut edit = edit;
        let yields = misread(&incident.comments, record, differences, &picture.key).map(|one| one.id).collect();
        edit.comments.extend(rewritten(&incident.comments, differences));
        let mut standpoint = standpoint(theirs, record, incident, &edit, Some(&picture.record.shadow));
        // As the upstream has it: so ours is a change, and goes there by the outgoing table.
        standpoint.shadow.follow(&taken(theirs, record, &kept, &picture.key));
        let standing = standpoint.leg.standing(edit.phase.unwrap_or(incident.work.phase) == Phase::Review);
        let line = HistoryLine {
            exchange: Some(picture.key.exchange),
            ..self.line(incident.id, Action::Reconciled, operator, format!("as at {alias}, {in_words}"))
        };
        let write = Write {
            expected_revision: Some(incident.revision),
            reference: Some(reference(&picture.key, Towards::Upstream, theirs.transaction.clone(), standing)),
            history: self.case_line(incident, &edit).into_iter().chain([line]).collect(),
            edit,
            yields,
            upstream_case,
            own_case,
            attachments: self.incoming(alias, &lost_files(record, differences)),
            ..Write::to(incident.id, Writer::Bridge)
        };
        let names = again.attachments.iter().map(|note| note.name.clone()).collect();
        let _undetected = self.0.detecting.lock().await;
        let between = self.between().await;
        if self.write_one(write).await? != Written::Done {
            return Ok(false);
        }
        self.store().ready_again(incident.id, alias, names).await?;
        if differences.iter().any(|difference| is_failed(failed, difference)) {
            self.retry_files(Some(incident.id), operator).await?;
        }
        crash_point(CrashPoint::Reconciled);
        let incident = self.incident(incident.id).await?;
        let (key, scene, relays) = (picture.key.clone(), self.scene(), between.relays());
        let settled = self
            .state()
            .transact::<_, EngineError, _>(move |transaction| {
                let mut settled = Settled::default();
                settle::adopted(transaction, &key, standpoint, &incident, &scene)?;
                settle::told_again(transaction, &key, again, &scene)?;
                if relays {
                    forward(transaction, &scene, &incident, Some(&key), &mut settled)?;
                }
                Ok(settled)
            })
            .await?;
        self.tell(settled).await?;
        self.0.to_push.notify_one();
        self.0.transfers.tell();
        Ok(true)
    }

    fn tell_drift(&self, alias: &Alias, answer: &ReconcileAnswer) {
        /// Incidents that are named.
        const NAMED: usize = 5;
        let (compared, in_motion) = (answer.compared, answer.in_motion);
        if answer.differences.is_empty() {
            info!(event = "reconciled", peer = %alias, compared, in_motion, "both sites agree");
            return;
        }
        let mut incidents: Vec<i64> = answer.differences.iter().filter_map(|row| row.incident).collect();
        incidents.dedup();
        let count = incidents.len();
        incidents.truncate(NAMED);
        let fields = answer.differences.len();
        warn!(
            event = "drift_found",
            peer = %alias,
            compared,
            in_motion,
            count,
            fields,
            ?incidents,
            "the two sites differ; see `casebridge reconcile`"
        );
    }
}

enum Compared {
    InMotion,
    Alike,
    Drift(Box<Drift>),
}

/// Two pictures of one exchange. They are compared when both sites have got everything from each other.
fn drift(picture: Picture, theirs: ExchangeSnapshot, fields: &FieldMap, texts: Texts) -> Compared {
    let record = &picture.record;
    let at_rest = !picture.in_motion && (record.sent, record.applied) == (theirs.applied, theirs.sent);
    match (&picture.incident, &theirs.agreed) {
        _ if is_given_back(&picture) => Compared::Alike,
        (Some(incident), Some(agreed)) if at_rest => {
            let differences = picture.agreed(incident, fields, texts).differences(agreed);
            match differences.is_empty() {
                true => Compared::Alike,
                false => {
                    let (record, _) = hear(fields, &theirs.record);
                    Compared::Drift(Box::new(Drift {
                        picture,
                        theirs,
                        record,
                        differences,
                        ours: Vec::new(),
                        failed: Vec::new(),
                    }))
                }
            }
        }
        _ => Compared::InMotion,
    }
}

/// Whether the upstream need not know of it yet.
fn may_be_unknown(picture: &Picture) -> bool {
    let waits = matches!(picture.record.leg, Leg::Upward { step: Upward::Creating | Upward::AwaitingTransaction, .. });
    waits || picture.in_motion
}

/// What was given back, or linked to nothing, is each site's own again.
fn is_given_back(picture: &Picture) -> bool {
    matches!(picture.record.leg, Leg::Upward { step: Upward::Rejected, .. })
}

/// What the upstream's record has and ours has not.
fn taken(theirs: &ExchangeSnapshot, record: &Changes, differences: &[Difference], key: &ExchangeKey) -> Edit {
    let mut edit = Edit::default();
    for difference in differences {
        match &difference.field {
            Subject::Phase => edit.phase = Some(phase(theirs)),
            Subject::Solution => edit.solution = Some(record.solution.clone().flatten()),
            Subject::CompletionCode => edit.completion_code = Some(record.completion_code.flatten()),
            Subject::ExpectedResolution => edit.expected_resolution = Some(record.expected_resolution.flatten()),
            Subject::Case => edit.case = record.case.clone(),
            Subject::Comment(id) if difference.ours.is_none() => edit.comments.extend(theirs_of(record, *id, key)),
            Subject::Milestones => {
                let sound = record.milestones.iter().filter(|one| one.check().is_ok());
                edit.milestones = sound
                    .map(|one| Milestone { origin: Some(key.peer.clone()), came_in: Some(key.exchange), ..one.clone() })
                    .collect();
            }
            Subject::Comment(_) | Subject::File(_) => {}
        }
    }
    edit
}

fn phase(theirs: &ExchangeSnapshot) -> Phase {
    match theirs.agreed.as_ref().map(|agreed| agreed.phase.as_str()) {
        Some("validation") => Phase::Review,
        Some("done") => Phase::Close,
        _ => Phase::InitialSupport,
    }
}

/// The upstream tells its own comments whole; of ours it has the digest alone.
fn theirs_of(record: &Changes, id: Uuid, key: &ExchangeKey) -> Option<Comment> {
    let comment = record.comments.iter().find(|comment| comment.id == id && comment.check().is_ok())?;
    Some(Comment { origin: Some(key.peer.clone()), came_in: Some(key.exchange), ..comment.clone() })
}

/// Milestones that the upstream may lack: which ones, the digest does not tell; each arrives once.
fn lacking_milestones(incident: &Incident, differences: &[Difference], alias: &Alias) -> Vec<Milestone> {
    let differ = differences.iter().any(|one| one.field == Subject::Milestones);
    let ours = incident.milestones.iter().filter(|one| differ && one.origin.as_ref() != Some(alias));
    ours.cloned().collect()
}

/// Our comments that the upstream has not got.
fn lacking(ours: &[Comment], differences: &[Difference], alias: &Alias) -> Vec<Comment> {
    let is_lacking = |id: Uuid| differences.iter().any(|one| one.field == Subject::Comment(id) && one.theirs.is_none());
    ours.iter().filter(|one| one.origin.as_ref() != Some(alias) && is_lacking(one.id)).cloned().collect()
}

/// Comments written here whose text there is another one: as edits, for an edit counts where the comment is known.
fn rewritten(ours: &[Comment], differences: &[Difference]) -> Vec<Comment> {
    let differs = |id: Uuid| {
        differences.iter().any(|one| one.field == Subject::Comment(id) && one.ours.is_some() && one.theirs.is_some())
    };
    let own = ours.iter().filter(|one| one.origin.is_none() && differs(one.id));
    own.map(|one| Comment { edits: one.edits.saturating_add(AHEAD), ..one.clone() }).collect()
}

/// Comments written there whose text here is another one, as their author's site has them.
fn misread<'a>(
    ours: &'a [Comment],
    record: &'a Changes,
    differences: &'a [Difference],
    key: &'a ExchangeKey,
) -> impl Iterator<Item = Comment> + 'a {
    let theirs = ours.iter().filter(|one| one.origin.as_ref() == Some(&key.peer));
    let differs = |id: Uuid| {
        differences.iter().any(|one| one.field == Subject::Comment(id) && one.ours.is_some() && one.theirs.is_some())
    };
    theirs.filter(move |one| differs(one.id)).filter_map(|one| theirs_of(record, one.id, key))
}

/// Our files that the upstream has not got.
fn lacking_files(ours: &Incident, differences: &[Difference], alias: &Alias) -> Vec<AttachmentNote> {
    let is_lacking = |name: &str| {
        differences
            .iter()
            .any(|one| matches!(&one.field, Subject::File(file) if is_ours(file, name)) && one.theirs != one.ours)
    };
    let to_them = ours.announced.iter().filter(|one| one.peer == *alias && is_lacking(&one.note.name));
    to_them.map(|one| one.note.clone()).collect()
}

/// Whether it is a file of ours that was given up on its way.
fn is_failed(failed: &[String], difference: &Difference) -> bool {
    matches!(&difference.field, Subject::File(file) if failed.iter().any(|name| is_ours(file, name)))
}

/// Whether a file that differs is the one of ours that has this name: alone, or beside one of the upstream's.
fn is_ours(file: &str, name: &str) -> bool {
    file == name || file == name_of_clients(name)
}

/// Their files that we have not got.
fn lost_files(record: &Changes, differences: &[Difference]) -> Vec<AttachmentNote> {
    let is_lost = |name: &str| {
        differences.iter().any(|one| matches!(&one.field, Subject::File(file) if file == name) && one.ours.is_none())
    };
    record.attachments.iter().filter(|note| is_lost(&note.name) && note.check().is_ok()).cloned().collect()
}

fn rows(drift: &Drift, done: bool) -> Vec<DriftRow> {
    let ours = drift.picture.incident.as_ref().map(|incident| incident.comments.as_slice()).unwrap_or_default();
    let alias = &drift.picture.key.peer;
    let row = |difference: &Difference| {
        let one = std::slice::from_ref(difference);
        let repair = match &difference.field {
            Subject::File(_) if !lost_files(&drift.record, one).is_empty() => Some(TAKE),
            Subject::File(_) if is_failed(&drift.failed, difference) => Some(SEND),
            Subject::File(_) => {
                let incident = drift.picture.incident.as_ref();
                incident.filter(|incident| !lacking_files(incident, one, alias).is_empty()).map(|_| SEND)
            }
            field if drift.ours.contains(field) => Some("tell the peer ours, which counts"),
            Subject::Comment(id) => match (&difference.ours, &difference.theirs) {
                (None, _) if theirs_of(&drift.record, *id, &drift.picture.key).is_some() => Some(TAKE),
                (_, None) if !lacking(ours, one, alias).is_empty() => Some("tell it the peer again"),
                _ if misread(ours, &drift.record, one, &drift.picture.key).next().is_some() => {
                    Some("take the text of the peer, its author's site")
                }
                _ if !rewritten(ours, one).is_empty() => Some("tell the peer the text of this site, its author's"),
                _ => None,
            },
            Subject::Milestones => Some("tell and take what the other lacks"),
            Subject::Case if drift.record.case.is_none() => None,
            _ => Some("take the peer's value"),
        };
        let by_hand = match &difference.field {
            Subject::Comment(_) => "none: edit the comment at the site where it was written",
            _ => "none: correct it by hand at one of the two sites",
        };
        let text = |value: &Option<String>| value.as_ref().map(|value| cut(value, SHOWN));
        DriftRow {
            incident: drift.picture.record.incident().map(|id| id.0),
            exchange: drift.picture.key.exchange,
            field: match &difference.field {
                Subject::Comment(id) => format!("comment {id}"),
                Subject::File(name) => format!("attachment {}", cut(name, SHOWN)),
                field => field.as_str().into(),
            },
            here: text(&difference.ours),
            there: text(&difference.theirs),
            repair: repair.unwrap_or(by_hand).into(),
            repaired: done && repair.is_some(),
        }
    };
    drift.differences.iter().map(row).collect()
}

/// An exchange that only one of the two sites knows.
fn lone(exchange: ExchangeId, incident: Option<IncidentId>, repair: &str) -> DriftRow {
    DriftRow {
        incident: incident.map(|id| id.0),
        exchange,
        field: "exchange".into(),
        here: None,
        there: None,
        repair: repair.into(),
        repaired: false,
    }
}

/// Whether each part begins where the one before ends, and the last alone ends where the range does: any other that did would
/// be the whole once more.
fn in_order(parts: &[DigestPart], after: Option<ExchangeId>, through: Option<ExchangeId>) -> bool {
    let Some((last, inner)) = parts.split_last() else { return false };
    let mut start = after;
    let goes_on = |part: &DigestPart| {
        let before = std::mem::replace(&mut start, part.through);
        part.through > before && through.is_none_or(|through| part.through < Some(through))
    };
    last.through == through && inner.iter().all(goes_on)
}

/// Those of a sorted list that come after the first bound and up to the second.
fn within(
    digests: &[(ExchangeId, u64)],
    after: Option<ExchangeId>,
    through: Option<ExchangeId>,
) -> &[(ExchangeId, u64)] {
    let start = after.map_or(0, |after| digests.partition_point(|(exchange, _)| *exchange <= after));
    let end = through.map_or(digests.len(), |through| digests.partition_point(|(exchange, _)| *exchange <= through));
    digests.get(start..end).unwrap_or_default()
}

/// The exchanges of one range that only one side has, or that differ.
fn differing(ours: &[(ExchangeId, u64)], mut theirs: HashMap<ExchangeId, String>) -> Vec<ExchangeId> {
    let mut found = Vec::new();
    for (exchange, digest) in ours {
        if theirs.remove(exchange) != Some(shown(*digest)) {
            found.push(*exchange);
        }
    }
    found.extend(theirs.into_keys());
    found
}
