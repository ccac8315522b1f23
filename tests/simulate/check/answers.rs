//! What people answered: each answer that a site took is a comment, once, at every site; one that it did not take is none.

use std::collections::BTreeMap;

use casebridge::case::{Fact, Incident, reminder};

use crate::site::Site;

/// What the answers of this site's people say.
fn answers(incident: &Incident) -> impl Iterator<Item = &str> {
    let texts = incident.comments.iter().map(|one| one.text.as_str());
    texts.filter(|text| text.starts_with("answer "))
}

/// However often a mail is read, or a button pressed.
pub fn taken_once(incident: &Incident, site: &Site) {
    let mut seen = std::collections::BTreeSet::new();
    for text in answers(incident) {
        assert!(seen.insert(text), "{text} was taken twice in {} at {}", incident.id, site.alias);
    }
}

/// Nothing that was taken is lost, and nothing that was refused stands anywhere.
pub fn none_lost(sites: &[Site], records: &[Incident]) {
    let mut said = BTreeMap::new();
    for (site, record) in sites.iter().zip(records) {
        let people = site.people.lock().unwrap();
        assert!(people.waiting.is_empty(), "an answer waits at {}", site.alias);
        let of_this = answers(record).filter_map(|text| Some((text.to_owned(), *people.settled.get(text)?)));
        said.extend(of_this);
        for (text, taken) in &people.settled {
            let is_of_this = text.ends_with(&record.event.host_event_id);
            let stands = answers(record).any(|one| one == text);
            assert!(!is_of_this || stands == *taken, "{text}: taken {taken}, and stands there: {stands}");
        }
    }
    for (record, site) in records.iter().zip(sites) {
        for (text, taken) in &said {
            let stands = answers(record).any(|one| one == text);
            assert!(*taken && stands, "{text} is not at {}", site.alias);
        }
        assert_eq!(answers(record).count(), said.len(), "what people answered, at {}", site.alias);
    }
}

/// Its people have answered after it was resolved: a person closes it, or nobody.
pub fn is_left(incident: &Incident) -> bool {
    let last = |is: &dyn Fn(&Fact) -> bool| {
        incident.milestones.iter().filter(|one| is(&one.fact)).map(|one| (one.n, one.id)).max()
    };
    let answered = last(&|fact| *fact == Fact::Notice(reminder::ANSWERED.into()));
    answered.is_some() && answered > last(&|fact| matches!(fact, Fact::State(_)))
}
