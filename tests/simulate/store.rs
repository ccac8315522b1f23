//! A store whose every call takes as long as the world wants, and which can be full. A call that is cut off by the death
//! of its site has taken effect, or has not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use casebridge::case::evidence::{Head, Kept, Receipt, root_of};
use casebridge::case::{
    Alias, Attachment, ContentDigest, Deposit, ExchangeId, HistoryLine, Incident, IncidentId, Instance, MailAddress,
    Party, PassTag, Reference, SiteId, Transfer, UserName,
};
use casebridge::store::history::{Arrived, HistoryStore, KnownKey, Marks, Note, Of, Taking, Unproved};
use casebridge::store::mail::{
    Deliveries, DueMail, MailNews, MailOutcome, MailQuery, MailRow, NewParty, NewsTaken, PartyAdded, StepTaken,
};
use casebridge::store::{
    Appended, AttachmentStore, AwaitedAttachment, Begun, BundleFile, CasePage, CaseQuery, CaseStore, ChangePage,
    Closed, Closing, Cursor, DeadlineStore, Deposited, Document, DueAttachment, Event, EventPage, EventStore, Expected,
    FilledForm, IncidentStore, Intake, LinkRule, ListPage, ListQuery, Loaded, MailStore, Moving, NewRun, Offered, Open,
    Opened, PageSeen, PageStore, Passing, Place, Prepared, Put, ReactionList, ReactionStore, Resolved, Run, RunEnd,
    RunPage, StoreError, StoredDocument, TakenMail, Timing, Untimed, Untold, UsedPass, Write, Written,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::bugs::Bug;
use super::disk::Disk;
use super::executor::{Gates, Wait};
use super::shelf::Shelf;

#[derive(Clone)]
pub struct Store {
    pub index: usize,
    pub site: SiteId,
    pub shelf: Arc<Mutex<Shelf>>,
    pub disk: Disk,
    pub gates: Gates,
    pub bug: Option<Bug>,
    pub happened: Arc<watch::Sender<()>>,
}

impl Store {
    async fn commit<T>(&self, work: impl FnOnce(&mut Shelf) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.gates.pass(Wait::Disk(self.index)).await;
        if self.disk.is_full() {
            return Err(StoreError::Busy("database or disk is full".into()));
        }
        let outcome = work(&mut self.shelf.lock().unwrap());
        self.happened.send_replace(());
        self.gates.pass(Wait::Disk(self.index)).await;
        outcome
    }

    fn read<T>(&self, look: impl FnOnce(&Shelf) -> T) -> T {
        look(&self.shelf.lock().unwrap())
    }
}

fn number(cursor: &Cursor) -> i64 {
    cursor.0.parse().unwrap_or(0)
}

fn loaded(incidents: Vec<Incident>) -> Loaded {
    Loaded { incidents, unreadable: Vec::new() }
}

#[async_trait]
impl IncidentStore for Store {
    fn site(&self) -> SiteId {
        self.site
    }

    async fn changes(&self, after: &Cursor, limit: usize) -> Result<ChangePage, StoreError> {
        Ok(self.read(|shelf| {
            let mut changed: Vec<(i64, IncidentId)> =
                shelf.changes.iter().map(|(id, at)| (*at, *id)).filter(|(at, _)| *at > number(after)).collect();
            changed.sort_unstable();
            changed.truncate(limit);
            let last = changed.last().map_or(number(after), |(at, _)| *at);
            if self.bug == Some(Bug::LeavesOutAChange) && last % 7 == 0 {
                changed.pop();
            }
            let incidents = changed.iter().map(|(_, id)| shelf.incidents[id].clone()).collect();
            ChangePage { loaded: loaded(incidents), cursor: Cursor(last.to_string()), more: changed.len() == limit }
        }))
    }

    async fn has_changes(&self, after: &Cursor) -> Result<bool, StoreError> {
        Ok(self.read(|shelf| shelf.changes.values().any(|at| *at > number(after))))
    }

    async fn load(&self, incidents: &[IncidentId]) -> Result<Loaded, StoreError> {
        self.gates.pass(Wait::Disk(self.index)).await;
        let mut wanted = incidents.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(self.read(|shelf| loaded(wanted.iter().filter_map(|id| shelf.incidents.get(id).cloned()).collect())))
    }

    async fn referenced(&self, peer: &Alias, after: Option<ExchangeId>, limit: usize) -> Result<Loaded, StoreError> {
        Ok(self.read(|shelf| {
            let mut found: Vec<(ExchangeId, Incident)> = Vec::new();
            for incident in shelf.incidents.values() {
                let of_peer = incident.references.iter().filter(|one| one.peer == *peer);
                found.extend(of_peer.map(|one| (one.exchange, incident.clone())));
            }
            found.retain(|(exchange, _)| after.is_none_or(|after| *exchange > after));
            found.sort_by_key(|(exchange, _)| *exchange);
            loaded(found.into_iter().take(limit).map(|(_, incident)| incident).collect())
        }))
    }

    async fn references(
        &self,
        peer: &Alias,
        after: Option<ExchangeId>,
        limit: usize,
    ) -> Result<Vec<(IncidentId, Reference)>, StoreError> {
        Ok(self.read(|shelf| {
            let all =
                shelf.incidents.values().flat_map(|one| one.references.iter().map(|reference| (one.id, reference)));
            let of_peer = all.filter(|(_, one)| one.peer == *peer && after.is_none_or(|after| one.exchange > after));
            let mut found: Vec<(IncidentId, Reference)> = of_peer.map(|(id, one)| (id, one.clone())).collect();
            found.sort_by_key(|(_, one)| one.exchange);
            found.truncate(limit);
            found
        }))
    }

    async fn deposit(&self, deposits: Vec<Deposit>, at: Timestamp) -> Result<Vec<Deposited>, StoreError> {
        self.commit(|shelf| Ok(shelf.deposit(deposits, at))).await
    }

    async fn open(&self, opens: Vec<Open>) -> Result<Vec<Opened>, StoreError> {
        self.commit(|shelf| shelf.open(opens, self.bug)).await
    }

    async fn link(&self, opens: Vec<Open>) -> Result<Vec<Option<Opened>>, StoreError> {
        Ok(opens.iter().map(|_| None).collect())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, StoreError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.commit(|shelf| Ok(shelf.write(writes, self.bug))).await
    }

    async fn list(&self, _: &ListQuery) -> Result<ListPage, StoreError> {
        Ok(ListPage::default())
    }

    async fn history(&self, incident: IncidentId, limit: usize) -> Result<Vec<HistoryLine>, StoreError> {
        let lines = self.read(|shelf| shelf.history.get(&incident).cloned()).unwrap_or_default();
        Ok(lines[lines.len().saturating_sub(limit)..].to_vec())
    }

    async fn attachments(&self, _: IncidentId) -> Result<Vec<Attachment>, StoreError> {
        Ok(Vec::new())
    }

    async fn awaited_attachments(&self, _: i64, _: usize) -> Result<Vec<AwaitedAttachment>, StoreError> {
        Ok(Vec::new())
    }

    async fn add_attachment(&self, _: i64, _: i64, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl EventStore for Store {
    async fn follow(&self, consumers: &[&'static str]) -> Result<(), StoreError> {
        self.commit(|shelf| {
            let end = shelf.events.len() as i64;
            consumers.iter().for_each(|consumer| _ = shelf.places.entry(consumer).or_insert(end));
            Ok(())
        })
        .await
    }

    async fn events(&self, consumer: &'static str, limit: usize) -> Result<EventPage, StoreError> {
        Ok(self.read(|shelf| {
            let place = shelf.places.get(consumer).copied();
            let after = place.unwrap_or(shelf.events.len() as i64);
            let lines = shelf.events.iter().enumerate().skip(after as usize).take(limit);
            let events: Vec<Event> =
                lines.map(|(index, line)| Event { number: index as i64 + 1, line: line.clone() }).collect();
            let seen = PageSeen { consumer, after, through: after + events.len() as i64 };
            EventPage { events, seen }
        }))
    }

    async fn pass(&self, seen: PageSeen) -> Result<bool, StoreError> {
        self.commit(|shelf| Ok(shelf.pass(&seen))).await
    }

    fn happenings(&self) -> watch::Receiver<()> {
        self.happened.subscribe()
    }

    /// Everything here was deposited or opened.
    async fn untold(&self, _: &[IncidentId]) -> Result<Vec<(IncidentId, Untold)>, StoreError> {
        Ok(Vec::new())
    }
}

/// Nobody reacts to anything in this world.
#[async_trait]
impl ReactionStore for Store {
    async fn reactions(&self) -> Result<ReactionList, StoreError> {
        Ok(ReactionList::default())
    }

    async fn set_reactions(&self, _: ReactionList) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn queue_runs(&self, seen: PageSeen, _: Vec<NewRun>, _: usize) -> Result<bool, StoreError> {
        self.pass(seen).await
    }

    async fn waiting_targets(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        Ok(Vec::new())
    }

    async fn due_run(&self, _: &str, _: Timestamp) -> Result<Option<Run>, StoreError> {
        Ok(None)
    }

    async fn run_ended(&self, _: i64, _: RunEnd, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn files(&self, _: IncidentId) -> Result<Vec<BundleFile>, StoreError> {
        Ok(Vec::new())
    }

    async fn runs(&self, _: usize) -> Result<RunPage, StoreError> {
        Ok(RunPage::default())
    }

    async fn retry_runs(&self, _: Option<i64>, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn forget_runs(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl HistoryStore for Store {
    async fn entries(&self, _: &Of, _: u64, _: usize) -> Result<Vec<Kept>, StoreError> {
        Ok(Vec::new())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(Head { number: 0, hash: root_of(&self.site.0.to_string()) })
    }

    async fn note(&self, _: Note) -> Result<(), StoreError> {
        Ok(())
    }

    async fn arrived(&self, _: &Alias, _: u64, _: usize) -> Result<Vec<Arrived>, StoreError> {
        Ok(Vec::new())
    }

    async fn take_receipt(&self, _: &Alias, _: &Receipt, _: Timestamp) -> Result<Taking, StoreError> {
        Ok(Taking::default())
    }

    async fn receipts_of(&self, _: &[u64]) -> Result<Vec<(u64, Receipt, usize)>, StoreError> {
        Ok(Vec::new())
    }

    async fn marks(&self, _: &Alias) -> Result<Marks, StoreError> {
        Ok(Marks::default())
    }

    async fn mark(&self, _: &Alias, _: Option<u64>, _: Option<u64>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn look_for_unproved(&self, _: &Alias, _: Timestamp, _: usize) -> Result<Unproved, StoreError> {
        Ok(Unproved::default())
    }

    async fn keys(&self, _: Option<&Alias>) -> Result<Vec<KnownKey>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_key(&self, _: KnownKey, _: Note) -> Result<(), StoreError> {
        Ok(())
    }
}

fn no_files<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("there are no files in this world".into()))
}

#[async_trait]
impl AttachmentStore for Store {
    async fn due_attachments(&self, _: usize) -> Result<Vec<DueAttachment>, StoreError> {
        Ok(Vec::new())
    }

    async fn prepared(&self, _: i64, _: Prepared, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn uploads(&self, _: &Alias, _: i64, _: usize) -> Result<Vec<Moving>, StoreError> {
        Ok(Vec::new())
    }

    async fn downloads(&self, _: &Alias, _: i64, _: usize) -> Result<Vec<Moving>, StoreError> {
        Ok(Vec::new())
    }

    async fn expected(&self, _: &Alias, _: ExchangeId, _: &ContentDigest) -> Result<Option<Expected>, StoreError> {
        Ok(None)
    }

    async fn offered(&self, _: &Alias, _: ExchangeId, _: &ContentDigest) -> Result<Option<Offered>, StoreError> {
        Ok(None)
    }

    async fn content(&self, _: i64, _: u64, _: usize) -> Result<Vec<u8>, StoreError> {
        no_files()
    }

    async fn append(&self, _: i64, _: u64, _: Vec<u8>, _: Timestamp) -> Result<Appended, StoreError> {
        no_files()
    }

    async fn begin_content(&self, _: &ContentDigest, _: u64) -> Result<Begun, StoreError> {
        no_files()
    }

    async fn gone(&self, _: i64, _: Result<(), String>, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn given_up(&self, _: i64, _: String, _: Timestamp) -> Result<(), StoreError> {
        no_files()
    }

    async fn announced_files(
        &self,
        _: &Alias,
        _: &[IncidentId],
    ) -> Result<HashMap<IncidentId, BTreeMap<String, ContentDigest>>, StoreError> {
        Ok(HashMap::new())
    }

    async fn ready_again(&self, _: IncidentId, _: &Alias, _: Vec<String>) -> Result<(), StoreError> {
        no_files()
    }

    async fn transfers(&self, _: IncidentId) -> Result<Vec<Transfer>, StoreError> {
        Ok(Vec::new())
    }
}

/// Nor do they serve pages.
#[async_trait]
impl PageStore for Store {
    async fn take_mail(&self, _: Intake, _: LinkRule, _: Timestamp) -> Result<TakenMail, StoreError> {
        Ok(TakenMail::TooMany)
    }

    async fn intake(&self, _: i64) -> Result<Option<Intake>, StoreError> {
        Ok(None)
    }

    async fn take_form(&self, _: FilledForm) -> Result<IncidentId, StoreError> {
        Err(StoreError::Failed("there are no forms here".into()))
    }

    async fn party(&self, _: IncidentId, _: i64) -> Result<Option<Party>, StoreError> {
        Ok(None)
    }

    async fn people_of_mails(&self, _: &[i64]) -> Result<Vec<(IncidentId, i64, MailAddress)>, StoreError> {
        Ok(Vec::new())
    }

    async fn mail_bounced(&self, _: i64, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn used_pass(&self, _: PassTag) -> Result<Option<UsedPass>, StoreError> {
        Ok(None)
    }
}

/// The simulated sites send no mail; what is asked of it is answered with nothing.
#[async_trait]
impl MailStore for Store {
    async fn add_party(&self, _: IncidentId, _: NewParty, _: HistoryLine) -> Result<PartyAdded, StoreError> {
        Ok(PartyAdded::Gone)
    }

    async fn remove_party(&self, _: IncidentId, _: &MailAddress, _: HistoryLine) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn parties(&self, _: IncidentId) -> Result<Vec<Party>, StoreError> {
        Ok(Vec::new())
    }

    async fn mail_news(&self, _: usize) -> Result<MailNews, StoreError> {
        Ok(MailNews::default())
    }

    async fn take_mail_news(&self, _: NewsTaken, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn due_mails(&self, _: Timestamp, _: usize) -> Result<Vec<DueMail>, StoreError> {
        Ok(Vec::new())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn settle_mail(
        &self,
        _: i64,
        _: MailOutcome,
        _: Option<HistoryLine>,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn deliveries(&self, _: IncidentId, _: &[String]) -> Result<Deliveries, StoreError> {
        Ok(Deliveries::default())
    }

    async fn due_reminders(&self, _: Timestamp, _: usize) -> Result<Vec<IncidentId>, StoreError> {
        Ok(Vec::new())
    }

    async fn look_again(&self, _: IncidentId, _: Option<Timestamp>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn leave_to_people(&self, _: IncidentId, _: &str, _: HistoryLine) -> Result<(), StoreError> {
        Ok(())
    }

    async fn left_to_people(&self, _: usize) -> Result<Vec<(IncidentId, String)>, StoreError> {
        Ok(Vec::new())
    }

    async fn take_step(&self, _: StepTaken) -> Result<Written, StoreError> {
        Ok(Written::Gone)
    }

    async fn retry_mails(&self, _: Option<i64>, _: &str, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn mails(&self, _: &MailQuery) -> Result<Vec<MailRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn mail_counts(&self, _: usize) -> Result<(u64, u64), StoreError> {
        Ok((0, 0))
    }
}

#[async_trait]
impl CaseStore for Store {
    async fn cases(&self, _: &CaseQuery) -> Result<CasePage, StoreError> {
        Ok(CasePage::default())
    }

    async fn instances(&self, _: &[IncidentId]) -> Result<HashMap<IncidentId, Result<Instance, String>>, StoreError> {
        Ok(HashMap::new())
    }

    async fn looked_at(&self, _: IncidentId, _: &UserName) -> Result<(), StoreError> {
        Ok(())
    }

    async fn document(&self, _: IncidentId, _: &str) -> Result<Option<StoredDocument>, StoreError> {
        Ok(None)
    }

    async fn put_document(&self, _: Document, _: HistoryLine) -> Result<Put, StoreError> {
        no_files()
    }

    async fn remove_document(&self, _: IncidentId, _: &str, _: HistoryLine) -> Result<Put, StoreError> {
        no_files()
    }
}

fn no_jobs<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("nothing is promised in this world".into()))
}

#[async_trait]
impl DeadlineStore for Store {
    async fn untimed(&self, _: IncidentId, _: usize) -> Result<Vec<Untimed>, StoreError> {
        Ok(Vec::new())
    }

    async fn time(&self, _: Vec<Timing>) -> Result<Vec<Written>, StoreError> {
        no_jobs()
    }

    async fn refresh_deadlines(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn passing(&self, _: Option<&str>, _: Timestamp, _: Place, _: usize) -> Result<Vec<Passing>, StoreError> {
        Ok(Vec::new())
    }

    async fn resolved(&self, _: &str, _: Timestamp, _: Place, _: usize) -> Result<Vec<Resolved>, StoreError> {
        Ok(Vec::new())
    }

    async fn queue_closings(&self, _: Vec<Resolved>, _: Timestamp) -> Result<u64, StoreError> {
        no_jobs()
    }

    async fn closings(&self, _: Timestamp, _: usize) -> Result<Vec<Closing>, StoreError> {
        Ok(Vec::new())
    }

    async fn closed(&self, _: i64, _: Closed) -> Result<(), StoreError> {
        no_jobs()
    }
}
