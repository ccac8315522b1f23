//! Which files of an incident go to a peer, and which of a peer's are taken (A-45, C-60). The filter belongs to the sender
//!

/// What one side of the configuration says about one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    pub send: Send,
    /// Whether IPv4 and IPv6 addresses are left out of every text that goes to the peer.
    pub hide_addresses: bool,
    /// The ends of names, without the dot, of files that neither go nor come.
    pub refuse_types: Vec<String>,
    /// The largest file that goes, in bytes.
    pub send_limit: u64,
    /// The largest file that is taken, in bytes.
    pub receive_limit: u64,
    /// Patterns of names: what a configuration is.
    pub configuration: Vec<String>,
    /// Patterns of names: what a list of features is.
    pub features: Vec<String>,
}

/// The levels of A-45.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    Nothing,
    /// All but what a pattern calls configuration.
    NoConfiguration,
    All,
    /// Only what a pattern calls a list of features.
    FeaturesOnly,
}

/// Why a file stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unshared {
    #[error("no attachments are sent there")]
    Nothing,
    #[error("it is a configuration, and those are not sent there")]
    Configuration,
    #[error("only lists of features are sent there")]
    NoFeatures,
    #[error("files of type {0} are refused")]
    Type(String),
    #[error("it is {bytes} bytes long; at most {limit} are allowed")]
    TooLarge { bytes: u64, limit: u64 },
}

impl Sharing {
    /// Whether a file of this name and length goes to the peer.
    pub fn may_send(&self, name: &str, bytes: u64) -> Result<(), Unshared> {
        match self.send {
            Send::Nothing => return Err(Unshared::Nothing),
            Send::NoConfiguration if is_one_of(&self.configuration, name) => return Err(Unshared::Configuration),
            Send::FeaturesOnly if !is_one_of(&self.features, name) => return Err(Unshared::NoFeatures),
            Send::NoConfiguration | Send::FeaturesOnly | Send::All => {}
        }
        self.check(name, bytes, self.send_limit)
    }

    /// Whether a file of this name and length is taken from the peer.
    pub fn may_receive(&self, name: &str, bytes: u64) -> Result<(), Unshared> {
        self.check(name, bytes, self.receive_limit)
    }

    fn check(&self, name: &str, bytes: u64, limit: u64) -> Result<(), Unshared> {
        let name = plain(name);
        let refused = |end: &&String| name.ends_with(&format!(".{}", end.to_lowercase()));
        if let Some(end) = self.refuse_types.iter().find(refused) {
            return Err(Unshared::Type(end.clone()));
        }
        if bytes > limit { Err(Unshared::TooLarge { bytes, limit }) } else { Ok(()) }
    }
}

/// A name without what hides its kind: some systems open "a.exe. " as "a.exe".
fn plain(name: &str) -> String {
    name.trim_end_matches(|letter: char| letter == '.' || letter.is_whitespace()).trim_start().to_lowercase()
}

/// Whether a name is one of these, with the folders before it or without.
fn is_one_of(patterns: &[String], name: &str) -> bool {
    let name = plain(name);
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim_start();
    let is_one = |pattern: &str| matches(pattern, &name) || matches(pattern, last);
    patterns.iter().any(|pattern| is_one(&pattern.to_lowercase()))
}

/// `*` stands for any characters, or none.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharing(send: Send) -> Sharing {
        Sharing { send, ..crate::case::example::sharing() }
    }

    #[test]
    fn a_45_each_level_lets_through_what_it_says() {
        let sent = |send| {
            ["configuration", "Router.CONF", "features", "core"]
                .map(|name| u8::from(sharing(send).may_send(name, 1).is_ok()))
        };
        assert_eq!(sent(Send::Nothing), [0, 0, 0, 0]);
        assert_eq!(sent(Send::NoConfiguration), [0, 0, 1, 1]);
        assert_eq!(sent(Send::All), [1, 1, 1, 1]);
        assert_eq!(sent(Send::FeaturesOnly), [0, 0, 1, 0]);
    }

    #[test]
    fn a_45_neither_a_folder_nor_a_dot_or_a_blank_at_its_end_makes_another_file_of_a_configuration() {
        let without = sharing(Send::NoConfiguration);
        for name in [
            "cfg/configuration",
            "c:\\cfg\\Configuration",
            "router.conf.",
            "router.conf ",
            " configuration",
            "a/b.conf. .",
        ] {
            assert_eq!(without.may_send(name, 1), Err(Unshared::Configuration), "{name}");
        }
        for name in ["router.conf.log", "conf", "cfg/core"] {
            assert_eq!(without.may_send(name, 1), Ok(()), "{name}");
        }
    }

    #[test]
    fn c_60_limits_and_types_count_for_each_direction() {
        let all = sharing(Send::All);
        assert_eq!(all.may_send("core", 101), Err(Unshared::TooLarge { bytes: 101, limit: 100 }));
        assert_eq!(all.may_receive("core", 11), Err(Unshared::TooLarge { bytes: 11, limit: 10 }));
        for name in ["a.exe", "A.EXE", "a.exe. .", "x.tar.gz"] {
            assert!(matches!(all.may_send(name, 1), Err(Unshared::Type(_))), "{name}");
            assert!(matches!(all.may_receive(name, 1), Err(Unshared::Type(_))), "{name}");
        }
        for name in ["exe", "a.exe.txt", "gz", "a.gz"] {
            assert_eq!(all.may_send(name, 1), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [("a*", "a"), ("*", ""), ("a*b*c", "aXbYc"), ("*a*", "xax"), ("a", "a"), ("a*a", "aa")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*a", "a"), ("a", "ab"), ("*b", "a"), ("a*b*c", "acb"), ("", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
