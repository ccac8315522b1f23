//! Settings into parts: store, state, upstream, engine, jobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::DaemonError;
use super::late::LateAttachments;
use crate::case::evidence::Context;
use crate::case::{Action, Links, SiteId};
use crate::clock::Clock;
use crate::config::settings::OnDamage;
use crate::config::site_key::KeyFile;
use crate::config::{Cron, Settings, page_key};
use crate::exchange::{Engine, Parts, SiteKey};
use crate::jobs::{AutoClose, CaseCheck, DueDateCheck, ExpiryCheck, Housekeeping, Job, Reconcile, Scheduled, SlaCheck};
use crate::notify::Post;
use crate::peer::{HttpUpstream, Upstream};
use crate::state::{OpenError, State, set_aside};
use crate::store::history::{HistoryStore, KeyStanding, Note};
use crate::store::{IncidentStore, SqliteStore};

pub async fn engine(settings: Settings) -> Result<Engine, DaemonError> {
    let store = SqliteStore::open(&settings.store).await?;
    let opening = settings.clone();
    let site = store.site();
    let state = tokio::task::spawn_blocking(move || open_state(&opening, site))
        .await
        .map_err(|error| DaemonError::StateFailed(error.to_string()))??;
    let store = store.claimed(&settings.store)?;
    let key = site_key(&settings, &store).await?;
    let (post, links) = (post(&settings, site)?, links(&settings)?);
    let parts =
        Parts { upstream: upstream(&settings)?, settings, store: Arc::new(store), state, clock: Clock::system(), key };
    let engine = Engine::start(parts).await?;
    engine.set_links(links);
    engine.set_post(post);
    Ok(engine)
}

/// The site's mails, where there are any.
pub fn post(settings: &Settings, site: SiteId) -> Result<Option<Arc<Post>>, DaemonError> {
    let Some(mail) = &settings.mail else { return Ok(None) };
    Ok(Some(Arc::new(Post::new(mail, &settings.site.alias, site)?)))
}

/// What makes the links of the site's pages, where it has any.
pub fn links(settings: &Settings) -> Result<Option<Arc<Links>>, DaemonError> {
    let Some(pages) = &settings.pages else { return Ok(None) };
    let key = page_key(&settings.site.data_dir)?;
    Ok(Some(Arc::new(Links::new(key, pages.address.clone()))))
}

/// The key that the site signs with; made at the first start.
async fn site_key(settings: &Settings, store: &SqliteStore) -> Result<SiteKey, DaemonError> {
    let known = store.keys(None).await?;
    let present = known.iter().rfind(|one| one.standing == KeyStanding::Present).map(|one| one.key);
    let file = KeyFile::of(&settings.history);
    let opening = file.clone();
    let opened = tokio::task::spawn_blocking(move || opening.open(present)).await;
    let (key, is_new) = opened.map_err(|error| DaemonError::Key(error.to_string()))?.map_err(DaemonError::key)?;
    if is_new {
        info!(event = "site_key_made", key = %key.public(), "the site has a key to sign with");
    }
    Ok(SiteKey { key, file: Some(file) })
}

/// The way to the upstream, where there is one.
pub fn upstream(settings: &Settings) -> Result<Option<Arc<dyn Upstream>>, DaemonError> {
    match &settings.upstream {
        Some(upstream) => {
            if upstream.is_exposed {
                warn!(event = "plain_http", peer = %upstream.alias, address = upstream.url, "credentials and cases travel unencrypted");
            }
            Ok(Some(Arc::new(HttpUpstream::new(upstream)?)))
        }
        None => Ok(None),
    }
}

fn open_state(settings: &Settings, site: SiteId) -> Result<State, OpenError> {
    let state = &settings.state;
    match State::open(state, site, Timestamp::now()) {
        Err(OpenError::Damaged { path, reason }) if state.on_damage == OnDamage::Rebuild => {
            let io = |error: std::io::Error| OpenError::Io { path: path.clone(), reason: error.to_string() };
            let aside = set_aside(&path, Timestamp::now()).map_err(io)?;
            error!(
                event = "state_damaged",
                reason,
                kept = %aside.display(),
                "the state is damaged; it is set aside and rebuilt from the store and the peers"
            );
            State::open(state, site, Timestamp::now())
        }
        other => other,
    }
}

pub fn set_state_aside(settings: &Settings) -> Result<PathBuf, DaemonError> {
    let path = &settings.state.path;
    let refused = |reason: String| DaemonError::SetAside { path: path.clone(), reason };
    if !path.exists() {
        return Err(refused("there is no state".into()));
    }
    if !path.is_dir() {
        return Err(OpenError::NotADirectory { path: path.clone() }.into());
    }
    // sled locks its file; whoever has it is a running daemon. Without the file there is only what is left of a state.
    let file = match std::fs::File::options().read(true).write(true).open(path.join("db")) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(refused(error.to_string())),
    };
    if file.is_some_and(|file| file.try_lock().is_err()) {
        return Err(refused("a daemon uses it; stop the daemon first".into()));
    }
    let aside = set_aside(path, Timestamp::now()).map_err(|error| refused(error.to_string()))?;
    info!(event = "state_set_aside", kept = %aside.display(), "the next start rebuilds the state");
    Ok(aside)
}

/// The entry of a state that `who` has set aside.
pub async fn note_set_aside(settings: &Settings, who: String, aside: &Path) -> Result<(), DaemonError> {
    // One that were made here might be another user's than the daemon's.
    if !settings.store.path.exists() {
        return Ok(());
    }
    let store = SqliteStore::open(&settings.store).await?;
    let detail = format!("the state was set aside as {}", aside.display());
    let at = Timestamp::now();
    let note = Note { at, who, action: Action::StateSetAside, peer: None, detail, context: Context::default() };
    Ok(store.note(note).await?)
}

pub fn jobs(engine: &Engine, settings: &Settings) -> Vec<Scheduled> {
    let schedule = &settings.schedule;
    let at = |cron: &Cron, job: Arc<dyn Job>| Scheduled { cron: cron.clone(), job };
    let mut jobs = vec![
        at(&schedule.case_check, Arc::new(CaseCheck::new(engine.clone()))),
        at(&schedule.housekeeping, Arc::new(Housekeeping::new(engine.clone()))),
        at(&schedule.expiry_check, Arc::new(ExpiryCheck::new(engine.clone()))),
        at(&schedule.late_attachments, Arc::new(LateAttachments::new(engine, &settings.inboxes))),
        at(&schedule.auto_close, Arc::new(AutoClose::new(engine.clone()))),
        at(&schedule.due_date_check, Arc::new(DueDateCheck::new(engine.clone()))),
        at(&schedule.sla_check, Arc::new(SlaCheck::new(engine.clone()))),
    ];
    if settings.upstream.is_some() {
        jobs.push(at(&schedule.reconcile, Arc::new(Reconcile::new(engine.clone()))));
    }
    jobs
}
