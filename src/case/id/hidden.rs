//! A name in place of a client's, for the sites above that are not to know it. It is the same for every case, says
//! nothing to anybody who does not know the site's ID, and this site knows it again.

use sha2::{Digest, Sha256};

use super::{Alias, SiteId};

const BEGINS: &str = "client-";

impl Alias {
    /// The name that stands for this one above `site`.
    pub fn hidden(&self, site: SiteId) -> Alias {
        Alias(format!("{}{}", mark(site), digits(&["client", self.as_str()], site, 8)))
    }

    /// Whether it stands for another one already, whichever site hid that.
    pub fn is_hidden(&self) -> bool {
        let Some((mark, name)) = self.0.strip_prefix(BEGINS).and_then(|rest| rest.split_once('-')) else {
            return false;
        };
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits(mark, 8) && digits(name, 16)
    }

    /// Whether `site` hid a client behind it: the case has passed there.
    pub fn is_hidden_by(&self, site: SiteId) -> bool {
        self.is_hidden() && self.0.starts_with(&mark(site))
    }
}

fn mark(site: SiteId) -> String {
    format!("{BEGINS}{}-", digits(&["site"], site, 4))
}

fn digits(parts: &[&str], site: SiteId, bytes: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(b"casebridge hidden 1");
    hash.update(site.0.as_bytes());
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_hidden_name_is_stable_tells_clients_apart_and_is_known_again_by_its_site_alone() {
        let (here, there) = (SiteId(Uuid::from_u128(7)), SiteId(Uuid::from_u128(8)));
        let [north, south]: [Alias; 2] = ["north", "south"].map(|name| name.parse().unwrap());
        let hidden = north.hidden(here);
        assert_eq!(hidden, north.hidden(here));
        assert_ne!(hidden, south.hidden(here));
        assert_ne!(hidden, north.hidden(there));
        assert!(hidden.is_hidden() && hidden.is_hidden_by(here) && !hidden.is_hidden_by(there));
        assert_eq!(hidden.as_str().parse::<Alias>().as_ref(), Ok(&hidden), "it is an alias like any other");
        for plain in ["north", "client-north", "client-1-2"] {
            assert!(!plain.parse::<Alias>().unwrap().is_hidden(), "{plain}");
        }
    }
}
