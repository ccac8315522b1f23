//! Who has a case in hand, and what people sort it by: what the history tells, step by step, and nothing of another site's.

use std::collections::BTreeSet;

use casebridge::case::{Instance, UserName};

use crate::shelf::Shelf;
use crate::site::Site;

/// Nobody claims what somebody has, nobody gives back what they do not have, and whoever was told that something is done finds
/// it done.
pub fn as_told(site: &Site, shelf: &Shelf) {
    let tagged = site.tagged.lock().unwrap();
    for id in shelf.incidents.keys() {
        let whose = format!("{id} at {}", site.alias);
        let (mut users, mut tags) = (BTreeSet::new(), BTreeSet::new());
        for line in shelf.history.get(id).into_iter().flatten() {
            let Some(person) = line.who.strip_prefix("operator ") else { continue };
            match (line.detail.as_str(), line.detail.strip_prefix("assigned to ")) {
                ("claimed", _) => assert!(users.is_empty() && users.insert(name(person)), "{whose}: {person} claims"),
                ("unclaimed", _) => assert!(users.remove(&name(person)), "{whose}: {person} gives back"),
                (_, Some("nobody")) => users.clear(),
                (_, Some(other)) => users = [name(other)].into(),
                (detail, _) => tags.extend(detail.strip_prefix("tagged ").map(|tag| tag.parse().expect("a tag"))),
            }
        }
        let none = Instance::default();
        let instance = shelf.instances.get(id).unwrap_or(&none);
        assert_eq!(instance.assigned_users, users, "who has {whose}");
        assert_eq!(instance.tags, tags, "the tags of {whose}");
        for (_, tag) in tagged.iter().filter(|(tagged, _)| tagged == id) {
            assert!(tags.contains(tag), "{tag} was said to be a tag of {whose}");
        }
    }
}

fn name(text: &str) -> UserName {
    text.parse().expect("a name")
}
