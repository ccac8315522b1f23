//! The names of a case: its number, the GUID that is made of it, and the display ID that people say (M-01).

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::id::{Alias, IncidentId, SiteId};

/// A case as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseName {
    Number(IncidentId),
    Guid(Uuid),
    /// What stands before the number has to be the client's name, or the site's own.
    Display {
        prefix: String,
        number: IncidentId,
    },
}

impl CaseName {
    /// `7`, a GUID, or `CMnorth-7`. None is no name of any case.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| plain).map(IncidentId)
        };
        if let Some(number) = number(text) {
            return Some(CaseName::Number(number));
        }
        if let Some((prefix, digits)) = text.strip_prefix("CM").and_then(|rest| rest.rsplit_once('-')) {
            return Some(CaseName::Display { prefix: prefix.to_owned(), number: number(digits)? });
        }
        Uuid::try_parse(text).ok().map(CaseName::Guid)
    }

    /// The number that it holds, if it can be of a case of this site.
    pub fn number(&self, site: SiteId) -> Option<IncidentId> {
        match self {
            CaseName::Number(number) | CaseName::Display { number, .. } => Some(*number),
            CaseName::Guid(id) => {
                let bytes = id.as_bytes();
                let high = u64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
                let low = u64::from(bytes[6] & 0x0f) << 8 | u64::from(bytes[7]);
                let number = IncidentId(i64::try_from(high << 12 | low).ok()?);
                (guid(site, number) == *id).then_some(number)
            }
        }
    }

    /// Whether it is a name of this case: the display ID of another client's is none.
    pub fn is_of(&self, client: Option<&Alias>, own: &Alias) -> bool {
        match self {
            CaseName::Display { prefix, .. } => *prefix == client.unwrap_or(own).as_str(),
            CaseName::Number(_) | CaseName::Guid(_) => true,
        }
    }
}

/// The GUID of a case: a UUID v8 that holds its number and a digest of site and number, so that no table is needed to find
/// the one by the other.
pub fn guid(site: SiteId, number: IncidentId) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"casebridge case 1");
    hash.update(site.0.as_bytes());
    hash.update(number.0.to_be_bytes());
    let digest = hash.finalize();
    let mut id = [0; 16];
    let (high, low) = (number.0 >> 12, number.0 & 0xfff);
    id[..6].copy_from_slice(&high.to_be_bytes()[2..]);
    id[6..8].copy_from_slice(&low.to_be_bytes()[6..]);
    id[8..].copy_from_slice(&digest[..8]);
    Uuid::new_v8(id)
}

/// `CM[client]-[number]`; a case of the site's own has the site's name in the client's place.
pub fn display_id(client: Option<&Alias>, own: &Alias, number: IncidentId) -> String {
    format!("CM{}-{number}", client.unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_found_by_each_of_its_names_and_by_no_other() {
        let (here, there) = (SiteId(Uuid::from_u128(7)), SiteId(Uuid::from_u128(8)));
        let [own, north]: [Alias; 2] = ["partner", "north-2"].map(|name| name.parse().unwrap());
        for number in [1, 4095, 4096, 123_456_789, (1 << 53) - 1].map(IncidentId) {
            let id = guid(here, number);
            assert_eq!(id, guid(here, number));
            assert_eq!(id.get_version_num(), 8);
            let read = CaseName::parse(&id.to_string()).unwrap();
            assert_eq!((read.number(here), read.number(there)), (Some(number), None));
            for client in [None, Some(&north)] {
                let shown = CaseName::parse(&display_id(client, &own, number)).unwrap();
                assert_eq!(shown.number(here), Some(number));
                assert!(shown.is_of(client, &own) && !shown.is_of(Some(&"south".parse().unwrap()), &own));
            }
            assert_eq!(CaseName::parse(&number.to_string()), Some(CaseName::Number(number)));
        }
        assert_eq!(display_id(Some(&north), &own, IncidentId(7)), "CMnorth-2-7");
        for wrong in ["", "-1", "+1", "1.0", "CM-", "CMnorth-", "CM-x", "north-1", "99999999999999999999"] {
            assert_eq!(CaseName::parse(wrong), None, "{wrong}");
        }
        assert_eq!(CaseName::Guid(Uuid::nil()).number(here), None);
    }
}
