//! What the bridge keeps on the disk must not lie one in the other: an inbox would take the store for a deposit, and what is
//! set aside with the state would take the store along.

use std::path::PathBuf;

use super::faults::{Faults, Spot};
use super::item::quoted;
use super::origin::normalized;
use super::settings::{Inbox, MailInbox, Site, State, Store};

/// A place and the key that names it.
struct Named {
    section: &'static str,
    key: String,
    path: PathBuf,
}

pub(super) fn check(
    site: Option<&Site>,
    store: &Store,
    state: &State,
    (inboxes, mail_inboxes): (&[Inbox], &[MailInbox]),
    spot_of: impl Fn(&str) -> Spot,
    faults: &Faults,
) {
    let named = |section, key: &str, path: &PathBuf| Named { section, key: key.to_owned(), path: path.clone() };
    let mut places = vec![named("store", "store.path", &store.path), named("state", "state.path", &state.path)];
    places.extend(site.map(|site| named("site", "site.socket", &site.socket)));
    let numbered = inboxes.iter().enumerate();
    places.extend(numbered.map(|(index, inbox)| named("inbox", &format!("inbox[{}].dir", index + 1), &inbox.dir)));
    let numbered = mail_inboxes.iter().enumerate();
    places.extend(
        numbered.map(|(index, inbox)| named("mail_inbox", &format!("mail_inbox[{}].dir", index + 1), &inbox.dir)),
    );
    for (index, later) in places.iter().enumerate() {
        let mut earlier = places.iter().take(index);
        if let Some(other) = earlier.find(|one| one.path.starts_with(&later.path) || later.path.starts_with(&one.path))
            // Of two inboxes with one directory its section tells.
            && !(later.section == "inbox" && other.section == "inbox" && normalized(&later.path) == normalized(&other.path))
        {
            let message = format!(
                "{} and {} of {} lie one in the other",
                quoted(&later.path.to_string_lossy()),
                quoted(&other.path.to_string_lossy()),
                other.key
            );
            let help = "give each a place of its own: store, state, socket and inboxes are moved and cleared apart";
            faults.refuse(Spot { key: later.key.clone(), ..spot_of(later.section) }, message, help);
        }
    }
}
