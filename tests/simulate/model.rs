//! What people did, in the simplest words that say what must be there at the end.

use std::collections::BTreeMap;

use casebridge::case::PhaseGroup;
use uuid::Uuid;

/// Who writes comments. The rules write some in their own name.
pub const PERSON: &str = "a person";

/// One incident, by its event.
#[derive(Default)]
pub struct Expected {
    /// Every comment that a person wrote at any site.
    pub comments: BTreeMap<Uuid, String>,
    /// Only the site at the top writes these.
    pub solution: Option<String>,
    pub status: Option<String>,
    pub phase: Option<PhaseGroup>,
}

#[derive(Default)]
pub struct Model(pub BTreeMap<String, Expected>);
