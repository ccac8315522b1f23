//! Which site writes to somebody who is in a case at more than one of its sites: the one that was the first to say that
//! it does. It says so by a milestone that holds no address, only a digest of one, keyed with the milestone's own ID: who
//! has the address sees that it is the same, and nothing tells that two cases have one person. All sites put the
//! milestones of a case in one order, and so come to the same answer without asking one another.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::form::MailAddress;
use super::milestone::{Fact, Milestone};

/// The names of the notices, before the digest and before the ID of what is taken back.
pub const TELLS: &str = "tells-";
pub const LEAVES: &str = "leaves-";
/// Keeps the digest apart from every other one.
const DOMAIN: &[u8] = b"casebridge teller\0";
/// Bytes of the digest.
const DIGEST: usize = 16;
/// The most of such words that are looked at for one case: what a peer sends is bounded.
const LIMIT: usize = 500;

/// A site's word that it writes to whoever has this address, about this case, from now on.
pub fn tells(id: Uuid, at: Timestamp, address: &MailAddress) -> Milestone {
    Milestone::new(id, at, Fact::Notice(format!("{TELLS}{}", digest(id, address))))
}

/// Takes such a word back: the site's own, or that of one that is away.
pub fn leaves(id: Uuid, at: Timestamp, word: &Milestone) -> Milestone {
    Milestone::new(id, at, Fact::Notice(format!("{LEAVES}{}", word.id.simple())))
}

/// What such a notice says to people, without the digest.
pub fn shown(name: &str) -> Option<&'static str> {
    match name {
        _ if name.starts_with(TELLS) => Some("it writes to a person of the case"),
        _ if name.starts_with(LEAVES) => Some("another site writes to a person of the case"),
        _ => None,
    }
}

/// The words that were not taken back, the first one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tellers<'m>(Vec<(&'m Milestone, &'m str)>);

impl<'m> Tellers<'m> {
    /// Of the milestones that count; those of an exchange that is over do not, while the case goes on here.
    pub fn of(milestones: impl IntoIterator<Item = &'m Milestone>) -> Self {
        let named = |one: &'m Milestone| match &one.fact {
            Fact::Notice(name) => Some((one, name.as_str())),
            _ => None,
        };
        let notices: Vec<(&Milestone, &str)> = milestones.into_iter().filter_map(named).collect();
        let left: Vec<&str> = notices.iter().filter_map(|(_, name)| name.strip_prefix(LEAVES)).take(LIMIT).collect();
        let words = notices.iter().filter_map(|(one, name)| Some((*one, name.strip_prefix(TELLS)?)));
        let mut words: Vec<_> =
            words.filter(|(one, _)| !left.contains(&one.id.simple().to_string().as_str())).take(LIMIT).collect();
        words.sort_by_key(|(one, _)| (one.n, one.id));
        Self(words)
    }

    /// The word of the site that writes to this person; none while nobody has given it.
    pub fn of_person(&self, address: &MailAddress) -> Option<&'m Milestone> {
        self.0.iter().find(|(one, told)| digest(one.id, address) == *told).map(|(one, _)| *one)
    }

    /// All words.
    pub fn all(&self) -> impl Iterator<Item = &'m Milestone> + '_ {
        self.0.iter().map(|(one, _)| *one)
    }

    /// This site's own words for one person.
    pub fn ours(&self, address: &MailAddress) -> impl Iterator<Item = &'m Milestone> + '_ {
        let address = address.clone();
        let ours = self.0.iter().filter(|(one, _)| one.origin.is_none());
        ours.filter(move |(one, told)| digest(one.id, &address) == *told).map(|(one, _)| *one)
    }
}

/// Two spellings of one address are one person.
fn digest(id: Uuid, address: &MailAddress) -> String {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(id.as_bytes());
    hash.update(address.as_str().to_lowercase());
    hash.finalize().iter().take(DIGEST).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> MailAddress {
        "anna@customer.example".parse().unwrap()
    }

    fn word(n: u32, id: u128, address: &MailAddress) -> Milestone {
        Milestone { n, ..tells(Uuid::from_u128(id), Timestamp::UNIX_EPOCH, address) }
    }

    fn from_north(one: Milestone) -> Milestone {
        Milestone { origin: Some("north".parse().unwrap()), ..one }
    }

    #[test]
    fn r_07_who_said_so_first_writes_whatever_the_order_of_arrival() {
        let (ours, theirs) = (word(4, 9, &anna()), from_north(word(4, 7, &anna())));
        for all in [[&ours, &theirs], [&theirs, &ours]] {
            assert_eq!(Tellers::of(all).of_person(&anna()), Some(&theirs));
        }
        let other = "Anna@Customer.example".parse().unwrap();
        assert_eq!(Tellers::of([&theirs]).of_person(&other), Some(&theirs), "one person, two spellings");
        assert_eq!(Tellers::of([&theirs]).of_person(&"bert@customer.example".parse().unwrap()), None);
        assert_eq!(Tellers::of([&ours, &theirs]).ours(&anna()).collect::<Vec<_>>(), [&ours]);
    }

    #[test]
    fn r_07_a_word_that_was_taken_back_leaves_the_person_to_the_next_site() {
        let (ours, theirs) = (word(4, 9, &anna()), from_north(word(4, 7, &anna())));
        let end = Milestone { n: 5, ..leaves(Uuid::from_u128(1), Timestamp::UNIX_EPOCH, &theirs) };
        assert_eq!(Tellers::of([&ours, &theirs, &end]).of_person(&anna()), Some(&ours));
        assert_eq!(Tellers::of([&theirs, &end]).of_person(&anna()), None);
        let again = from_north(word(6, 2, &anna()));
        assert_eq!(Tellers::of([&theirs, &end, &again]).of_person(&anna()), Some(&again), "another word counts again");
    }

    #[test]
    fn r_07_a_word_holds_no_address_and_nothing_that_two_cases_have_in_common() {
        let (one, two) = (word(1, 1, &anna()), word(1, 2, &anna()));
        assert_ne!(one.fact, two.fact);
        for milestone in [&one, &leaves(Uuid::from_u128(3), Timestamp::UNIX_EPOCH, &one)] {
            assert_eq!(milestone.check(), Ok(()));
            let Fact::Notice(name) = &milestone.fact else { panic!("no notice") };
            assert!(
                !name.contains("anna") && shown(name).is_some_and(|told| !told.contains(char::is_numeric)),
                "{name}"
            );
            assert_eq!(super::super::hide::hide_addresses(name), *name, "a peer that sees no addresses has it whole");
        }
    }

    #[test]
    fn r_07_what_a_peer_makes_up_is_nobodys_and_bounded() {
        let made_up = |id: u128| {
            let notice = Fact::Notice(format!("{TELLS}{id:x}"));
            from_north(Milestone::new(Uuid::from_u128(id), Timestamp::UNIX_EPOCH, notice))
        };
        let flood: Vec<Milestone> = (0..2_000).map(made_up).collect();
        let tellers = Tellers::of(&flood);
        assert_eq!((tellers.of_person(&anna()), tellers.all().count()), (None, LIMIT));
    }
}
