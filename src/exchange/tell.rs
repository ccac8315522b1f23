//! What the people of a case are told: milestones and public comments, whoever made them, and that their case is open (R-01,
//! The store is read behind a cursor that moves in the transaction in which the mails are written; so each thing is
//! told once, and nothing internal is even looked at.

use std::collections::{BTreeMap, HashMap};

use super::{Engine, EngineError};
use crate::case::{CaseState, Comment, CompletionCode, Fact, Incident, IncidentId, Milestone, Notice, reminder};
use crate::store::mail::{About, Audience, MailNews, NewsTaken, Telling};

/// Milestones, comments and people read in one go.
const PAGE: usize = 500;

impl Engine {
    /// Writes the mails that are to be written. Without `[mail]` it does nothing.
    pub async fn tell_parties(&self) -> Result<(), EngineError> {
        if self.post().is_none() {
            return Ok(());
        }
        let _one = self.0.telling.lock().await;
        loop {
            let news = self.store().mail_news(PAGE).await?;
            if !news.is_news {
                return Ok(());
            }
            let mut ids: Vec<IncidentId> = news.milestones.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            ids.dedup();
            let loaded = self.store().load(&ids).await?;
            let incidents: HashMap<IncidentId, Incident> =
                loaded.incidents.into_iter().map(|incident| (incident.id, incident)).collect();
            self.store().take_mail_news(taken(news, &incidents), self.now()).await?;
            // The other sites are to know whom it was written to.
            self.0.changed.notify_one();
        }
    }
}

/// What the news come to: for each case one mail at most, with the state that it is in by now and all new comments.
fn taken(news: MailNews, incidents: &HashMap<IncidentId, Incident>) -> NewsTaken {
    let mut taken = NewsTaken { since: Some(news.since), cursor: news.cursor, ..NewsTaken::default() };
    for (incident, address) in news.ungreeted {
        taken.tellings.push(Telling {
            incident,
            reason: Notice::Opened.as_str().into(),
            notice: Notice::Opened,
            about: About::default(),
            audience: Audience::Only(address),
        });
    }
    let mut comments: BTreeMap<IncidentId, Vec<Comment>> = BTreeMap::new();
    for (incident, comment) in news.comments {
        comments.entry(incident).or_default().push(comment);
    }
    let mut states: BTreeMap<IncidentId, (Milestone, CaseState)> = BTreeMap::new();
    for (id, milestone) in news.milestones {
        // What the other site did is as good as a step of our own.
        if matches!(milestone.fact, Fact::State(_) | Fact::Notice(_)) {
            taken.look.push(id);
        }
        let Some(state) = milestone.state() else { continue };
        let Some(incident) = incidents.get(&id) else { continue };
        let now = incident.milestones.iter().filter(|one| one.state() == Some(incident.state()));
        taken.moved_on.push((id, now.max_by_key(|one| (one.n, one.id)).map(reminder::reason)));
        // A state that is over by now, or that lost against the other site's, is told of nobody.
        if incident.state() == state {
            states.insert(id, (milestone, state));
        }
    }
    for (incident, (milestone, state)) in states {
        let comments = comments.remove(&incident).unwrap_or_default();
        let unanswered = incidents.get(&incident).is_some_and(|incident| {
            incident.work.completion_code == Some(CompletionCode::AbandonedByUser)
                && reminder::ended_unanswered(&incident.milestones, &milestone)
        });
        taken.tellings.push(Telling {
            incident,
            reason: reminder::reason(&milestone),
            notice: match Notice::of(state) {
                Notice::Closed if unanswered => Notice::InputClosed,
                notice => notice,
            },
            about: About { state: Some(state), comments: ids(&comments), ..About::default() },
            audience: Audience::All,
        });
    }
    for (incident, comments) in comments {
        let Some(first) = comments.first() else { continue };
        taken.tellings.push(Telling {
            incident,
            reason: format!("comment {}", first.id.simple()),
            notice: Notice::Comment,
            about: About { comments: ids(&comments), ..About::default() },
            audience: authors(&comments),
        });
    }
    taken
}

fn ids(comments: &[Comment]) -> Vec<uuid::Uuid> {
    comments.iter().map(|comment| comment.id).collect()
}

/// Nobody is told what only they themselves wrote. Who did is known by their number alone: what a peer gives as the author of a
/// comment says nothing about the people of this site.
fn authors(comments: &[Comment]) -> Audience {
    match comments {
        [Comment { party: Some(author), .. }, rest @ ..] if rest.iter().all(|one| one.party == Some(*author)) => {
            Audience::Except(*author)
        }
        _ => Audience::All,
    }
}
