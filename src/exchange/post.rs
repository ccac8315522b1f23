//! Mails go out, from their rows. Trouble with the mail server is its own state, not that of each mail: one try per back-off
//! step. A mail that was handed over and whose answer was lost goes out once more, with the same Message-ID: it is the one
//! doubt that SMTP leaves.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::retry::Backoff;
use super::{Engine, EngineError};
use crate::case::case_name::display_id;
use crate::case::pass::Subject;
use crate::case::reminder::Round;
use crate::case::text::counted;
use crate::case::{
    Action, CaseState, Comment, HistoryLine, Incident, IncidentId, Language, Links, Notice, Pass, Purpose,
};
use crate::config::settings::{Mail, Retry};
use crate::notify::{CaseFields, CommentFields, Fields, LetterFault, LinkFields, MailError, PartyFields, Post, Sheet};
use crate::store::mail::{DueMail, MailOutcome};
use crate::telemetry::{CrashPoint, crash_point};

/// Mails taken in one go.
const PAGE: usize = 50;
/// What of a comment or a solution stands in a mail, in bytes: the whole is in the case.
const TEXT_LIMIT: usize = 16 << 10;
/// How long the links of a mail are good.
const LINKS_LAST: jiff::SignedDuration = jiff::SignedDuration::from_hours(60 * 24);

/// How the mail server stands.
#[derive(Debug, Default)]
pub(super) struct ServerHealth {
    attempts: u32,
    /// Before it the server is left alone.
    rests_until: Option<Timestamp>,
}

impl Engine {
    /// Takes the site's mail, or none.
    pub fn set_post(&self, post: Option<Arc<Post>>) {
        *self.0.post.write().unwrap_or_else(PoisonError::into_inner) = post;
        self.0.is_new_post.store(true, Ordering::SeqCst);
        self.0.to_mail.notify_one();
    }

    /// Takes what signs the links in mails, once.
    pub fn set_links(&self, links: Option<Arc<Links>>) {
        if let Some(links) = links {
            // A second one would be the same: the key is kept in a file.
            let _ = self.0.links.set(links);
        }
    }

    pub(super) fn post(&self) -> Option<Arc<Post>> {
        self.0.post.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends what is due. Says when there is something to do next.
    pub async fn send_mails(&self) -> Result<Option<Timestamp>, EngineError> {
        let (Some(post), Some(settings)) = (self.post(), self.settings().mail.clone()) else { return Ok(None) };
        let mut server = self.0.mail_server.lock().await;
        if self.0.is_new_post.swap(false, Ordering::SeqCst) {
            server.rests_until = None;
        }
        loop {
            let now = self.now();
            if let Some(until) = server.rests_until.filter(|until| *until > now) {
                return Ok(Some(until));
            }
            let due = self.store().due_mails(now, PAGE).await?;
            if due.is_empty() {
                return Ok(self.store().next_due().await?);
            }
            for mut mail in due {
                // The ones before it may have taken their time, and it may have been withdrawn since.
                if !self.store().waits(mail.id).await? {
                    continue;
                }
                let outcome = self.send_one(&post, &mut mail).await?;
                let now = self.now();
                let backoff = backoff(&settings, self.settings().retry);
                let is_over = backoff.is_over(mail.made_at, now, mail.attempts.saturating_add(1));
                let (outcome, trouble) = match outcome {
                    Ok(outcome) => (outcome, None),
                    Err(MailError::Never(reason)) => (MailOutcome::Refused { reason }, None),
                    Err(MailError::Later(reason)) => {
                        let next = backoff.next(now, mail.attempts.saturating_add(1), None);
                        (unless(is_over, &mail, next, reason), None)
                    }
                    Err(MailError::Server(reason)) => {
                        // The server rests, and not this mail: it is not to come behind those after it.
                        let next = backoff.next(now, server.attempts.saturating_add(1), None);
                        (unless(is_over, &mail, now, reason.clone()), Some((next, reason)))
                    }
                };
                self.settle(&mail, outcome).await?;
                match trouble {
                    Some((next, reason)) => {
                        self.server_failed(&mut server, next, reason);
                        return Ok(Some(next));
                    }
                    None => self.server_answered(&mut server),
                }
            }
        }
    }

    /// One try. What asks for something that is over goes out as the comments that it brings, if it brings any.
    async fn send_one(&self, post: &Post, mail: &mut DueMail) -> Result<Result<MailOutcome, MailError>, EngineError> {
        let incident = match mail.incident {
            Some(id) => match self.store().load(&[id]).await?.incidents.pop() {
                Some(incident) => Some(incident),
                None => {
                    return Ok(Err(MailError::Later(format!(
                        "incident {id} does not read; `casebridge why {id}` says what to correct"
                    ))));
                }
            },
            None => None,
        };
        if let Some(incident) = &incident
            && let Some(reason) = pointless(mail, incident)
        {
            if mail.about.comments.is_empty() {
                return Ok(Ok(MailOutcome::Withdrawn { reason: reason.into() }));
            }
            (mail.notice, mail.about.state) = (Notice::Comment, None);
        }
        if let Some(incident) = &incident
            && mail.notice == Notice::Comment
            && !tells_something(mail, incident)
        {
            return Ok(Ok(MailOutcome::Withdrawn { reason: "the comment was taken back".into() }));
        }
        let name = self.mail_name(mail.id);
        let sheet = Sheet {
            name: name.clone(),
            notice: mail.notice,
            to: &mail.to,
            thread: mail
                .thread
                .iter()
                .map(|(mail, name)| name.clone().unwrap_or_else(|| self.mail_name(*mail)))
                .collect(),
            answers: self.answered_by(mail).await?,
            fields: self.fields_of(post, mail, incident.as_ref()),
            reply_to: self.reply_address(mail),
            at: self.now(),
        };
        let letter = match post.letter(&sheet) {
            Ok(letter) => letter,
            // Templates are mended, and the mail may be the notice without which nobody is to find the case closed.
            Err(LetterFault::Template(fault)) => {
                let (number, notice) = (mail.id, mail.notice.as_str());
                error!(event = "mail_template_failed", mail = number, notice, reason = %fault, "correct it, and reload");
                return Ok(Err(MailError::Later(LetterFault::Template(fault).to_string())));
            }
            Err(fault) => return Ok(Err(MailError::Never(fault.to_string()))),
        };
        let sent = post.send(&letter).await;
        if sent.is_ok() {
            crash_point(CrashPoint::MailAccepted);
        }
        Ok(sent.map(|()| MailOutcome::Sent { name }))
    }

    /// The Message-ID of the mail that this one answers, where it answers one.
    async fn answered_by(&self, mail: &DueMail) -> Result<Option<String>, EngineError> {
        let Some(intake) = mail.about.intake else { return Ok(None) };
        Ok(self.store().intake(intake).await?.and_then(|intake| intake.answerable))
    }

    async fn settle(&self, mail: &DueMail, outcome: MailOutcome) -> Result<(), EngineError> {
        let incident = mail.incident.map(|incident| incident.0);
        let (notice, number, attempt) = (mail.notice.as_str(), mail.id, mail.attempts.saturating_add(1));
        let line = match &outcome {
            MailOutcome::Sent { .. } => {
                info!(event = "mail_sent", mail = number, incident, notice, "the mail server has it");
                Some((Action::MailSent, format!("{notice} to {}", mail.to.address.as_str())))
            }
            MailOutcome::Refused { reason } => {
                warn!(event = "mail_refused", mail = number, incident, notice, "see `casebridge mails`");
                Some((Action::MailRefused, format!("{notice} to {}: {reason}", mail.to.address.as_str())))
            }
            MailOutcome::Later { next, .. } => {
                debug!(event = "mail_postponed", mail = number, incident, attempt, next_attempt = %next, "later");
                None
            }
            MailOutcome::Withdrawn { .. } => None,
        };
        let at = self.now();
        let line = line.zip(mail.incident).map(|((what, detail), id)| self.line_of_daemon(id, what, detail));
        Ok(self.store().settle_mail(mail.id, outcome, line, at).await?)
    }

    pub(super) fn line_of_daemon(&self, incident: IncidentId, action: Action, detail: String) -> HistoryLine {
        HistoryLine {
            incident,
            at: self.now(),
            who: "casebridge".into(),
            action: action.as_str().into(),
            exchange: None,
            seq: None,
            detail,
        }
    }

    fn server_failed(&self, server: &mut ServerHealth, next: Timestamp, reason: String) {
        server.attempts = server.attempts.saturating_add(1);
        server.rests_until = Some(next);
        let (attempt, next_attempt) = (server.attempts, next.to_string());
        let before = self.trouble().replace(reason.clone());
        if before.as_deref().map(gist) == Some(gist(&reason)) {
            debug!(event = "mail_server_still_down", attempt, next_attempt, reason, "still down");
        } else {
            warn!(event = "mail_server_down", attempt, next_attempt, reason, "no mail goes out for now");
        }
    }

    fn server_answered(&self, server: &mut ServerHealth) {
        if self.trouble().take().is_some() {
            info!(event = "mail_server_up", "mails go out again");
        }
        *server = ServerHealth::default();
    }

    /// Why no mail goes out.
    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.0.mail_trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a person sees of the mails in `status`.
    pub(super) async fn mail_warnings(&self) -> Result<Vec<String>, EngineError> {
        const COUNTED: usize = 10_000;
        let mut warnings = Vec::new();
        let (waiting, refused) = self.store().mail_counts(COUNTED).await?;
        if refused > 0 {
            let mails = counted(refused, "mail was", "mails were");
            warnings.push(format!("{mails} refused for good; see `casebridge mails --state refused`"));
        }
        let left = self.store().left_to_people(COUNTED).await?;
        if let Some((first, reason)) = left.first() {
            let more = if left.len() > 1 {
                format!(" (and {} more cases need a person)", left.len() - 1)
            } else {
                String::new()
            };
            warnings.push(format!("incident {first}: {reason}{more}"));
        }
        if let Some(reason) = self.trouble().as_deref() {
            warnings.push(format!("the mail server: {reason}; {}", counted(waiting, "mail waits", "mails wait")));
        }
        if waiting > 0 && self.post().is_none() {
            warnings.push(format!(
                "{}, and there is no [mail] in the settings",
                counted(waiting, "mail waits", "mails wait")
            ));
        }
        warnings.extend(self.0.silence.warning(self.now()));
        warnings.extend(self.deafness());
        Ok(warnings)
    }

    /// Does nothing until there may be something to tell: somebody said so, another program wrote it, or it is time.
    pub async fn wait_for_mail(&self, due: Option<Timestamp>, most: Duration) {
        let wait = due.map_or(most, |due| Duration::try_from(due.duration_since(self.now())).unwrap_or_default());
        let deadline = Instant::now() + wait.min(most);
        let poll = self.settings().store.poll_interval.max(Duration::from_millis(50));
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let told = tokio::time::timeout(left.min(poll), self.0.to_mail.notified()).await.is_ok();
            if told
                || left <= poll
                || self.post().is_some() && self.store().mail_news(1).await.is_ok_and(|news| news.is_news)
            {
                return;
            }
        }
    }

    fn fields_of(&self, post: &Post, mail: &DueMail, incident: Option<&Incident>) -> Fields {
        let language = mail.to.language;
        let state = mail.about.state.or(incident.map(Incident::state)).unwrap_or_default();
        let reminders = self.settings().mail.as_ref().map(|mail| mail.reminders.clone());
        let pace = reminders.map(|all| if is_closing(mail.notice) { all.closing } else { all.input });
        let comment = |id: &Uuid| {
            let comment = incident?.comments.iter().find(|one| one.id == *id)?;
            // What was taken back since is told nobody.
            (!comment.internal && !comment.deleted)
                .then(|| CommentFields { author: comment.author.clone(), text: cut(&comment.text) })
        };
        Fields {
            site: post.alias().to_string(),
            case: incident.map(|incident| CaseFields {
                id: display_id(incident.client.as_ref(), post.alias(), incident.id),
                number: incident.id.0,
                synopsis: incident.event.synopsis.clone(),
                device: incident.event.device.clone(),
                solution: incident.work.solution.as_deref().map(cut),
                their_id: incident.case.as_ref().map(|case| case.id.to_string()),
                link: incident.case.as_ref().and_then(|case| case.link.as_ref()).map(ToString::to_string),
            }),
            party: PartyFields { name: mail.to.name.clone(), role: mail.to.role.as_str().into() },
            state: state.as_str().into(),
            state_label: label(state, language).into(),
            comments: mail.about.comments.iter().filter_map(comment).collect(),
            reminder: mail.about.reminder,
            reminders: pace.as_ref().map_or(0, |pace| pace.reminders.len()),
            within: mail
                .about
                .within
                .map(Duration::from_millis)
                .or(pace.map(|pace| pace.close))
                .map_or(String::new(), |within| span(within, language)),
            links: self.links_of(mail),
        }
    }

    /// The pages that a mail leads to, where the site has pages.
    fn links_of(&self, mail: &DueMail) -> LinkFields {
        if let (Notice::Form, Some(intake)) = (mail.notice, mail.about.intake) {
            return LinkFields { form: self.form_link(mail, intake), ..LinkFields::default() };
        }
        if !mail.notice.asks() {
            return LinkFields::default();
        }
        let link = |purpose| {
            let pass = self.pass_of(mail, purpose)?;
            Some(self.0.links.get()?.url(&pass))
        };
        match is_closing(mail.notice) {
            true => LinkFields {
                confirm: link(Purpose::Confirm),
                not_solved: link(Purpose::NotSolved),
                ..LinkFields::default()
            },
            false => LinkFields { answer: link(Purpose::Answer), ..LinkFields::default() },
        }
    }

    /// The same at every try: one mail has one link.
    fn form_link(&self, mail: &DueMail, intake: i64) -> Option<String> {
        let lasts = jiff::SignedDuration::try_from(self.settings().pages.as_ref()?.form_expires).ok()?;
        let expires_at = mail.made_at.checked_add(lasts).ok()?;
        let subject = Subject::Intake(intake);
        let pass = Pass { purpose: Purpose::Form, subject, expires_at, serial: u64::try_from(mail.id).ok()? };
        Some(self.0.links.get()?.url(&pass))
    }

    /// What a Message-ID is made from. With pages, whose key signs it, nobody can make one up.
    fn mail_name(&self, mail: i64) -> String {
        self.0.links.get().map_or_else(|| mail.to_string(), |links| format!("{mail}.{}", links.mark(mail)))
    }

    /// The address under which an answer by mail finds its case, where mails are read.
    fn reply_address(&self, mail: &DueMail) -> Option<String> {
        let settings = self.settings();
        let own = settings.mail.as_ref().filter(|_| !settings.mail_inboxes.is_empty())?;
        let mailbox = own.reply_to.as_ref().unwrap_or(&own.from.address);
        self.0.links.get()?.reply_address(mailbox.as_str(), &self.pass_of(mail, Purpose::Reply)?)
    }

    fn pass_of(&self, mail: &DueMail, purpose: Purpose) -> Option<Pass> {
        // From when it was written: tried twice, it has the same links.
        let expires_at = mail.made_at.checked_add(LINKS_LAST).ok()?;
        let subject = Subject::Party { incident: mail.incident?, party: mail.to.id };
        Some(Pass { purpose, subject, expires_at, serial: u64::try_from(mail.id).ok()? })
    }
}

/// Tried again then, unless it was tried for long enough.
fn unless(is_over: bool, mail: &DueMail, next: Timestamp, reason: String) -> MailOutcome {
    match is_over {
        true => MailOutcome::Refused { reason: format!("in vain since {}: {reason}", mail.made_at) },
        false => MailOutcome::Later { next, reason },
    }
}

/// Whether one of the comments that it was written for is still there for everybody.
fn tells_something(mail: &DueMail, incident: &Incident) -> bool {
    let is_public = |one: &&Comment| !one.internal && !one.deleted;
    incident.comments.iter().filter(is_public).any(|one| mail.about.comments.contains(&one.id))
}

/// Why a mail is not worth sending any more.
fn pointless(mail: &DueMail, incident: &Incident) -> Option<&'static str> {
    let state = incident.state();
    let reminds = matches!(
        mail.notice,
        Notice::InputReminder | Notice::InputNotice | Notice::ClosingReminder | Notice::ClosingNotice
    );
    if reminds && Round::of(state, &incident.milestones).is_some_and(|round| round.is_over()) {
        return Some("an answer came");
    }
    let still = match is_closing(mail.notice) {
        true => state == CaseState::Resolved,
        false => state == CaseState::InputRequested,
    };
    (mail.notice.asks() && !still).then_some("the case went on")
}

fn is_closing(notice: Notice) -> bool {
    matches!(notice, Notice::ClosingAsked | Notice::ClosingReminder | Notice::ClosingNotice)
}

/// The site's back-off with the pace of its mails.
fn backoff(mail: &Mail, retry: Retry) -> Backoff {
    let own = mail.retry;
    Backoff::new(Retry {
        first: own.first,
        max: own.max,
        give_up_after: own.give_up_after,
        retry_after_max: own.max,
        ..retry
    })
}

/// A reason without what differs from try to try.
fn gist(reason: &str) -> &str {
    reason.split_once(" (").map_or(reason, |(gist, _)| gist)
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_LIMIT {
        return text.to_owned();
    }
    format!("{} …", &text[..text.floor_char_boundary(TEXT_LIMIT)])
}

fn label(state: CaseState, language: Language) -> &'static str {
    match language {
        Language::English => state.label(),
        Language::French => match state {
            CaseState::Opened => "Ouvert",
            CaseState::InProcess => "En cours de traitement",
            CaseState::InputRequested => "En attente de votre réponse",
            CaseState::OnHold => "Suspendu",
            CaseState::Resolved => "Résolu",
            CaseState::Completed => "Clos",
            CaseState::Canceled => "Annulé",
            CaseState::Reopened => "Rouvert",
        },
    }
}

/// A span as people say it: in hours, where it is so many; never longer than it is.
fn span(span: Duration, language: Language) -> String {
    let (seconds, minutes) = (span.as_secs(), span.as_secs() / 60);
    let (count, words) = match (minutes, seconds % 3600) {
        (60.., 0) => (minutes / 60, [["hour", "hours"], ["heure", "heures"]]),
        (1.., _) => (minutes, [["minute", "minutes"], ["minute", "minutes"]]),
        _ => (seconds, [["second", "seconds"], ["seconde", "secondes"]]),
    };
    let [english, french] = words;
    let [one, many] = match language {
        Language::English => english,
        Language::French => french,
    };
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_told_longer_than_it_is() {
        let told = |seconds| span(Duration::from_secs(seconds), Language::English);
        let spans = [(1, "1 second"), (20, "20 seconds"), (60, "1 minute"), (119, "1 minute"), (3600, "1 hour")];
        for (seconds, words) in spans.into_iter().chain([(5400, "90 minutes"), (86_400, "24 hours")]) {
            assert_eq!(told(seconds), words);
        }
        assert_eq!(span(Duration::from_secs(30), Language::French), "30 secondes");
    }
}
