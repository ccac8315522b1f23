//! What people did, in the simplest words that say what must be there at the end.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Who writes comments. The rules write some in their own name.
pub const PERSON: &str = "a person";

/// What people at the top did, as their lines of the history tell it.
pub const RESOLVED: &str = "resolved";
pub const REOPENED: &str = "reopened";
/// By command, in the engine's words.
pub const COMPLETED: &str = "closed";
pub const CANCELED: &str = "canceled";
pub const STATUS: &str = "status";
/// What a site did whose people did not answer, in its own words.
pub const UNANSWERED: &str = "closed, since nobody answered";
/// The same of a site that may not close the case.
pub const ASKED: &str = "nobody answered; the site that has the case in hand is asked to close it";
/// The same, by the site that has the case in hand.
pub const UNANSWERED_BELOW: &str = "closed for the other site, whose people did not answer";

/// One incident, by its event.
#[derive(Default)]
pub struct Expected {
    /// Every comment that a person wrote at any site.
    pub comments: BTreeMap<Uuid, String>,
    /// Only the site at the top writes these.
    pub solution: Option<String>,
    pub status: Option<String>,
}

#[derive(Default)]
pub struct Model(pub BTreeMap<String, Expected>);
