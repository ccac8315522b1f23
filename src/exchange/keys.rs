//! Whose key is whose: this site's own, and those of its peers, which are believed from the first contact on and only change
//! with the old key's word or a person's.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{Engine, EngineError, caller};
use crate::case::evidence::{Context, Endorsement, KeyFault, PublicKey, SigningKey};
use crate::case::{Action, Alias};
use crate::config::site_key::KeyFile;
use crate::protocol::ProblemType;
use crate::protocol::key::{KeyList, KeyRow};
use crate::store::history::{KeyStanding, KnownKey, Note};

/// The site's own key pair, and where it is kept; nowhere in a world that is simulated.
pub struct SiteKey {
    pub key: SigningKey,
    pub file: Option<KeyFile>,
}

impl SiteKey {
    /// A pair for an engine that keeps none.
    pub fn unkept() -> Result<Self, KeyFault> {
        Ok(Self { key: SigningKey::make()?, file: None })
    }
}

/// The same in a running engine.
pub(super) struct Own {
    key: Arc<SigningKey>,
    /// How the key came to speak for the site.
    endorsements: Vec<Endorsement>,
    /// Whether the history knows of it.
    is_noted: bool,
}

impl Own {
    pub fn of(key: SigningKey, known: &[KnownKey]) -> Self {
        let is_noted = known.iter().any(|one| one.standing == KeyStanding::Present && one.key == key.public());
        Self { endorsements: endorsements(known), key: Arc::new(key), is_noted }
    }
}

fn endorsements(known: &[KnownKey]) -> Vec<Endorsement> {
    let all: Vec<Endorsement> = known.iter().filter_map(|one| one.endorsement.clone()).collect();
    all[all.len().saturating_sub(Endorsement::LIMIT)..].to_vec()
}

impl Engine {
    /// The key that this site signs with, and the words by which it follows those before it.
    pub(super) fn own_key(&self) -> (Arc<SigningKey>, Vec<Endorsement>) {
        let own = self.0.own_key.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&own.key), own.endorsements.clone())
    }

    /// What `GET /v1/site` tells.
    pub fn public_key(&self) -> (PublicKey, Vec<Endorsement>) {
        let (key, endorsements) = self.own_key();
        (key.public(), endorsements)
    }

    /// Writes the site's own key into its history, once. Not at the start: a store that is locked for a while holds up
    /// nothing.
    pub(super) async fn note_own_key(&self) -> Result<(), EngineError> {
        let is_noted = || self.0.own_key.read().unwrap_or_else(PoisonError::into_inner).is_noted;
        if is_noted() {
            return Ok(());
        }
        let _alone = self.0.settling_keys.lock().await;
        if is_noted() {
            return Ok(());
        }
        let public = self.own_key().0.public();
        let before = self.store().keys(None).await?.into_iter().rfind(|one| one.standing == KeyStanding::Present);
        let print = public.fingerprint();
        let detail = match &before {
            None => format!("the site signs with key {print}"),
            Some(before) => {
                let known = before.key.fingerprint();
                warn!(event = "site_key_changed", key = %public, "peers take no receipts before they confirm the new key");
                format!("the site signs with key {print}; nobody has endorsed it in place of {known}")
            }
        };
        let note = self.key_note(Action::KeyMade, "casebridge", None, detail, before.map(|one| one.key), public);
        self.store().set_key(self.known_key(None, public, KeyStanding::Present), note).await?;
        self.0.own_key.write().unwrap_or_else(PoisonError::into_inner).is_noted = true;
        Ok(())
    }

    /// Makes a new key, with the old one's word for it.
    pub async fn rotate_key(&self, operator: &str) -> Result<PublicKey, EngineError> {
        let Some(file) = self.0.key_file.clone() else {
            return Err(ProblemType::Action.with("this site has no file for its key").into());
        };
        self.note_own_key().await?;
        let _alone = self.0.settling_keys.lock().await;
        let old = self.own_key().0;
        let refused = |fault: String| EngineError::from(ProblemType::Action.with(fault));
        let new = file.prepare().map_err(|fault| refused(fault.to_string()))?;
        let public = new.public();
        let endorsement = old.endorse(public, self.now()).map_err(|fault| refused(fault.to_string()))?;
        let detail = format!("the site signs with key {}", public.fingerprint());
        let note = self.key_note(Action::KeyRotated, &caller::who(operator), None, detail, Some(old.public()), public);
        let known = KnownKey { endorsement: Some(endorsement), ..self.known_key(None, public, KeyStanding::Present) };
        self.store().set_key(known, note).await?;
        let known = self.store().keys(None).await?;
        *self.0.own_key.write().unwrap_or_else(PoisonError::into_inner) = Own::of(new, &known);
        info!(event = "site_key_rotated", key = %public, "the site signs with a new key");
        file.settle().map_err(|fault| refused(fault.to_string()))?;
        Ok(public)
    }

    /// Believes a peer's key, or does not: pinned on the first contact, named by the settings, or endorsed by the one before.
    pub(super) async fn meet_key(
        &self,
        peer: &Alias,
        key: PublicKey,
        endorsements: &[Endorsement],
    ) -> Result<bool, EngineError> {
        let present_of =
            |known: &[KnownKey]| known.iter().rfind(|one| one.standing == KeyStanding::Present).map(|one| one.key);
        let known = self.store().keys(Some(peer)).await?;
        if present_of(&known) == Some(key) && self.settings().peer_key(peer).is_none_or(|named| named == key) {
            return Ok(true);
        }
        let _alone = self.0.settling_keys.lock().await;
        let known = self.store().keys(Some(peer)).await?;
        let present = present_of(&known);
        let configured = self.settings().peer_key(peer);
        let trusted = configured.or(present);
        let leads = |from: PublicKey| from == key || Endorsement::lead(endorsements, from, key);
        match trusted {
            Some(trusted) if !leads(trusted) => {}
            _ if present == Some(key) => return Ok(true),
            trusted => {
                let print = key.fingerprint();
                let (action, detail) = match trusted {
                    None => (Action::KeyPinned, format!("key {print} of {peer} is believed from its first contact on")),
                    Some(one) if one == key => (Action::KeyPinned, format!("key {print} of {peer} is in the settings")),
                    Some(_) => (Action::KeyRotated, format!("key {print} of {peer}, endorsed by the one before it")),
                };
                let note = self.key_note(action, &format!("peer {peer}"), Some(peer), detail, present, key);
                self.store().set_key(self.known_key(Some(peer), key, KeyStanding::Present), note).await?;
                info!(event = "peer_key_pinned", peer = %peer, %key, "its receipts are believed");
                return Ok(true);
            }
        }
        let is_news = !known.iter().any(|one| one.standing == KeyStanding::Offered && one.key == key);
        // One that is past may not come back by itself either, and keeps its place.
        if is_news && !known.iter().any(|one| one.key == key) {
            let detail = format!("{peer} shows key {}, which nobody has endorsed", key.fingerprint());
            let note = self.key_note(Action::KeyOffered, &format!("peer {peer}"), Some(peer), detail, trusted, key);
            self.store().set_key(self.known_key(Some(peer), key, KeyStanding::Offered), note).await?;
        }
        // Told once it can be confirmed.
        let is_told = self.0.key_told.note(peer.clone(), Instant::now()).is_some();
        if is_news || is_told {
            error!(event = "peer_key_changed", peer = %peer, %key, "its receipts are not taken until a person confirms the key; see `casebridge key show`");
        }
        Ok(false)
    }

    /// A person says that a key is the peer's: the one that is named, or the one that the peer shows.
    pub async fn pin_key(
        &self,
        peer: &Alias,
        key: Option<PublicKey>,
        operator: &str,
    ) -> Result<PublicKey, EngineError> {
        let settings = self.settings();
        let is_peer =
            settings.upstream.iter().map(|one| &one.alias).chain(settings.clients.iter().map(|one| &one.alias));
        if !is_peer.into_iter().any(|alias| alias == peer) {
            return Err(ProblemType::NotFound.with(format!("the settings know no {peer}")).into());
        }
        let known = self.store().keys(Some(peer)).await?;
        let offered = known.iter().rfind(|one| one.standing == KeyStanding::Offered).map(|one| one.key);
        let Some(key) = key.or(offered) else {
            return Err(ProblemType::Action
                .with(format!("{peer} shows no key that waits for a person; name one"))
                .into());
        };
        if settings.peer_key(peer).is_some_and(|configured| configured != key) {
            let reason = format!("the settings name another key of {peer}; change `key` there");
            return Err(ProblemType::Action.with(reason).into());
        }
        let before = known.iter().rfind(|one| one.standing == KeyStanding::Present).map(|one| one.key);
        let detail = format!("key {} of {peer} is confirmed", key.fingerprint());
        let note = self.key_note(Action::KeyPinned, &caller::who(operator), Some(peer), detail, before, key);
        self.store().set_key(self.known_key(Some(peer), key, KeyStanding::Present), note).await?;
        info!(event = "peer_key_pinned", peer = %peer, %key, "its receipts are believed");
        self.0.receipts_due.notify_one();
        Ok(key)
    }

    /// The keys of this site, or of a peer, for people.
    pub async fn keys(&self, peer: Option<&Alias>) -> Result<KeyList, EngineError> {
        let row = |one: KnownKey| KeyRow {
            peer: one.peer.map(|peer| peer.to_string()),
            fingerprint: one.key.fingerprint(),
            key: one.key,
            standing: one.standing.as_str().to_owned(),
            since: one.since,
        };
        self.note_own_key().await?;
        Ok(KeyList { keys: self.store().keys(peer).await?.into_iter().map(row).collect() })
    }

    fn known_key(&self, peer: Option<&Alias>, key: PublicKey, standing: KeyStanding) -> KnownKey {
        KnownKey { peer: peer.cloned(), key, standing, since: self.now(), endorsement: None }
    }

    fn key_note(
        &self,
        action: Action,
        who: &str,
        peer: Option<&Alias>,
        detail: String,
        old: Option<PublicKey>,
        new: PublicKey,
    ) -> Note {
        let mut context = Context::default();
        context.note("key", old.map(|key| key.to_string()).as_deref(), Some(&new.to_string()));
        let at: Timestamp = self.now();
        Note { at, who: who.to_owned(), action, peer: peer.cloned(), detail, context }
    }
}
