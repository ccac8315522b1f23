//! Every credential that lets somebody in. Whatever is shown costs one digest and one look, so that neither the time nor the
//! answer tells an unknown name from a wrong password, or a wrong token from one that has ended.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::Presented;
use crate::case::{Alias, Permissions};
use crate::config::Settings;
use crate::config::token::{Holder, Operator, TokenDigest};

/// The digest under which a credential is kept. It is made with a secret of this process, so nobody can choose it.
type Fingerprint = [u8; 32];

/// The credentials of one set of settings.
struct Keyring {
    settings: Arc<Settings>,
    keys: HashMap<Fingerprint, Key>,
    /// The clients to whom their certificate is enough, by its name.
    certificates: HashMap<String, Alias>,
}

struct Key {
    /// Compared once more, whatever the look found.
    fingerprint: Fingerprint,
    who: Who,
    ends: Option<Timestamp>,
    /// The certificate that has to come with it.
    certificate: Option<String>,
    used: Used,
}

/// The networks from which somebody came in with a credential since the start, the latest ones.
#[derive(Default)]
struct Used(Mutex<VecDeque<IpAddr>>);

impl Used {
    /// A site asks from one network, or from a few.
    const KEPT: usize = 16;

    fn has(&self, from: IpAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&from)
    }

    fn add(&self, from: IpAddr) {
        let mut networks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if networks.contains(&from) {
            return;
        }
        if networks.len() == Self::KEPT {
            networks.pop_front();
        }
        networks.push_back(from);
    }

    fn again(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

/// The credentials of the settings that are in force.
pub struct Keyrings {
    secret: [u8; 32],
    current: RwLock<Option<Arc<Keyring>>>,
}

/// Whom a credential belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Client(Alias),
    Operator(Arc<Entitled>),
}

/// An operator, with what these settings let it do.
#[derive(Debug, PartialEq, Eq)]
pub struct Entitled {
    pub operator: Operator,
    pub permissions: Permissions,
    /// The ID of the token.
    pub token: String,
}

/// What a caller showed, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// Who this is, and whether it was let in with the same from the same network before.
    Known {
        who: Who,
        before: bool,
    },
    Unknown,
}

/// What a request brings along.
pub struct Shown<'r> {
    /// The header `Authorization`.
    pub header: Option<&'r str>,
    pub presented: Option<&'r Presented>,
    /// The network that it comes from.
    pub from: IpAddr,
}

impl Who {
    /// Whether it is the same one, whatever it may do now.
    fn is(&self, other: &Who) -> bool {
        match (self, other) {
            (Who::Client(one), Who::Client(other)) => one == other,
            (Who::Operator(one), Who::Operator(other)) => one.token == other.token,
            _ => false,
        }
    }
}

impl Default for Keyrings {
    fn default() -> Self {
        let mut secret = [0; 32];
        let (first, second) = secret.split_at_mut(16);
        first.copy_from_slice(Uuid::new_v4().as_bytes());
        second.copy_from_slice(Uuid::new_v4().as_bytes());
        Self { secret, current: RwLock::new(None) }
    }
}

impl Keyrings {
    /// Who this is. `now` decides about what has ended.
    pub fn judge(&self, settings: &Arc<Settings>, shown: &Shown<'_>, now: Timestamp) -> Judged {
        let keyring = self.of(settings);
        let credential = shown.header.map(credential);
        // Without a credential there is as much to do.
        let fingerprint = self.fingerprint(&credential.clone().unwrap_or(Credential::None));
        let found = keyring.keys.get(&fingerprint);
        let kept = found.map_or(&self.secret, |key| &key.fingerprint);
        let is_it = bool::from(kept.as_slice().ct_eq(fingerprint.as_slice()));
        let presented = shown.presented.filter(|presented| presented.counts(now));
        let names = presented.map(|presented| presented.names.as_slice()).unwrap_or_default();
        match found {
            Some(key) if is_it => {
                let ended = key.ends.is_some_and(|ends| ends <= now);
                let bound = key.certificate.as_ref().is_none_or(|name| names.contains(name));
                if ended || !bound {
                    return Judged::Unknown;
                }
                Judged::Known { who: key.who.clone(), before: key.used.has(shown.from) }
            }
            None if credential.is_none() => {
                let alias = names.iter().find_map(|name| keyring.certificates.get(name));
                alias.map_or(Judged::Unknown, |alias| Judged::Known { who: Who::Client(alias.clone()), before: true })
            }
            _ => Judged::Unknown,
        }
    }

    /// Remembers that somebody came in with this from there.
    pub fn used(&self, settings: &Arc<Settings>, shown: &Shown<'_>) {
        let Some(credential) = shown.header.map(credential) else { return };
        if let Some(key) = self.of(settings).keys.get(&self.fingerprint(&credential)) {
            key.used.add(shown.from);
        }
    }

    fn of(&self, settings: &Arc<Settings>) -> Arc<Keyring> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        match current {
            Some(keyring) if Arc::ptr_eq(&keyring.settings, settings) => keyring,
            before => {
                let keyring = Arc::new(self.make(settings, before.as_deref()));
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keyring));
                keyring
            }
        }
    }

    fn make(&self, settings: &Arc<Settings>, before: Option<&Keyring>) -> Keyring {
        let mut keyring =
            Keyring { settings: Arc::clone(settings), keys: HashMap::new(), certificates: HashMap::new() };
        let mut add = |credential: Credential, who: Who, ends: Option<Timestamp>, certificate: &Option<String>| {
            let fingerprint = self.fingerprint(&credential);
            let used = before
                .and_then(|before| before.keys.get(&fingerprint))
                .filter(|key| key.who.is(&who))
                .map_or_else(Used::default, |key| key.used.again());
            let key = Key { fingerprint, who, ends, certificate: certificate.clone(), used };
            keyring.keys.insert(fingerprint, key);
        };
        for token in &settings.tokens {
            if let Holder::Operator(operator) = &token.holder {
                let entitled = Entitled {
                    operator: operator.clone(),
                    permissions: settings.permissions(operator),
                    token: token.id.clone(),
                };
                add(Credential::Token(token.sha256), Who::Operator(Arc::new(entitled)), token.expires_at, &None);
            }
        }
        for client in &settings.clients {
            let who = Who::Client(client.alias.clone());
            for token in settings.tokens.iter().filter(|token| token.client() == Some(&client.alias)) {
                add(Credential::Token(token.sha256), who.clone(), token.expires_at, &client.certificate_name);
            }
            let Some(login) = &client.login else {
                let certificate = client.certificate_name.clone();
                keyring.certificates.extend(certificate.map(|name| (name, client.alias.clone())));
                continue;
            };
            for password in std::iter::once(&login.password).chain(&login.previous_password) {
                let credential = Credential::password(&login.user, password.expose_secret());
                add(credential, who.clone(), None, &client.certificate_name);
            }
        }
        keyring
    }

    fn fingerprint(&self, credential: &Credential) -> Fingerprint {
        let (kind, digest) = match credential {
            Credential::None => (0, [0; 32]),
            Credential::Password(digest) => (1, *digest),
            Credential::Token(TokenDigest(digest)) => (2, *digest),
        };
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update([kind]);
        hash.update(digest);
        hash.finalize().into()
    }
}

/// What a caller shows: a digest of it, of one length whatever it was.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    None,
    Password([u8; 32]),
    Token(TokenDigest),
}

impl Credential {
    fn password(user: &str, password: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((user.len() as u64).to_be_bytes());
        hash.update(user);
        hash.update(password);
        Self::Password(hash.finalize().into())
    }
}

/// RFC 7617 and RFC 6750. What is neither is a credential that nobody has.
fn credential(header: &str) -> Credential {
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Credential::Token(TokenDigest::of(rest));
    }
    let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    match decoded.split_once(':') {
        Some((user, password)) if scheme.eq_ignore_ascii_case("basic") => Credential::password(user, password),
        _ => Credential::None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::token;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[derive(Debug)]
    struct Word(bool);

    impl crate::api::Vouched for Word {
        fn holds(&self) -> bool {
            self.0
        }
    }

    fn presented(names: &[&str], vouched: bool) -> Presented {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Presented { names, ends: Timestamp::MAX, vouched: Arc::new(Word(vouched)) }
    }

    /// Two clients: north with two passwords and a token that ends, south with a certificate alone.
    fn settings(dir: &Path) -> (Arc<Settings>, String) {
        use std::os::unix::fs::PermissionsExt;
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("north", "password-north");
        write("before", "password-before");
        write("ca.pem", "-----BEGIN CERTIFICATE-----\n");
        let text = "[site]\nalias = \"partner\"\ndata_dir = \".\"\n[listen]\naddress = \"[::]:1\"\n[listen.tls]\n\
            certificate = \"c\"\nkey = \"k\"\nclient_ca_file = \"ca.pem\"\n[[client]]\nalias = \"north\"\nuser = \"n\"\n\
            password_file = \"north\"\nprevious_password_file = \"before\"\n\
            [[client]]\nalias = \"south\"\ncertificate_name = \"South.example\"\n\
            [[client]]\nalias = \"west\"\n";
        let ends = Some(Timestamp::from_second(1000).unwrap());
        let (kept, secret) = token::new(Holder::Client("west".parse().unwrap()), Timestamp::UNIX_EPOCH, ends, None);
        token::change(&dir.join("tokens.json"), "operator ann", Timestamp::UNIX_EPOCH, |tokens| tokens.push(kept))
            .unwrap();
        let settings = Settings::parse(text, "partner.toml", dir).unwrap_or_else(|fault| panic!("{fault}"));
        (Arc::new(settings), token::shown(&secret).to_owned())
    }

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    /// What a stranger can put into the header.
    #[test]
    fn fuzz_authorization() {
        let words = &["Basic ", "Bearer ", "bearer\t", "bjpw", "bjpwYXNzd29yZC1ub3J0aA==", "cb_", ":", "=", " "];
        let target = crate::fuzz::Target { name: "authorization", words, samples: &[], tries: 4000 };
        let dir = tempfile::tempdir().unwrap();
        let (settings, _) = settings(dir.path());
        let keyrings = Keyrings::default();
        target.run(|bytes| {
            let header = String::from_utf8_lossy(bytes);
            let shown = Shown { header: Some(&header), presented: None, from: HERE };
            match (credential(&header), keyrings.judge(&settings, &shown, Timestamp::UNIX_EPOCH)) {
                (credential, Judged::Known { .. }) => {
                    let right = ["password-north", "password-before"].map(|one| Credential::password("n", one));
                    assert!(right.contains(&credential), "{header}");
                    "let in".into()
                }
                (Credential::None, _) => "no credential".into(),
                (Credential::Password(_), _) => "a password".into(),
                (Credential::Token(_), _) => "a token".into(),
            }
        });
    }

    #[test]
    fn only_what_was_agreed_on_lets_a_client_in_and_old_and_new_count_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, token) = settings(dir.path());
        let keyrings = Keyrings::default();
        let judge = |header: &str, second: i64| {
            let shown = Shown { header: Some(header), presented: None, from: HERE };
            match keyrings.judge(&settings, &shown, Timestamp::from_second(second).unwrap()) {
                Judged::Known { who: Who::Client(alias), .. } => alias.to_string(),
                Judged::Known { who, .. } => panic!("{who:?}"),
                Judged::Unknown => "nobody".to_owned(),
            }
        };
        assert_eq!(judge(&basic("n", "password-north"), 0), "north");
        assert_eq!(judge(&basic("n", "password-before"), 0), "north", "while it is being changed");
        assert_eq!(judge(&format!("bearer {token}"), 999), "west");
        assert_eq!(judge(&format!("Bearer {token}"), 1000), "nobody", "it has ended");
        for wrong in [
            basic("n", "password-wrong"),
            basic("west", &token),
            basic("", ""),
            basic("south", ""),
            format!("Bearer {}", &token[1..]),
            "Bearer".into(),
            "Basic !!!".into(),
            "Basic bm9jb2xvbg==".into(),
            String::new(),
        ] {
            assert_eq!(judge(&wrong, 0), "nobody", "{wrong}");
        }
    }

    #[test]
    fn a_certificate_is_bound_to_one_client() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, token) = settings(dir.path());
        let keyrings = Keyrings::default();
        let judge = |header: Option<&str>, names: &[&str]| {
            let presented = presented(names, true);
            keyrings.judge(&settings, &Shown { header, presented: Some(&presented), from: HERE }, Timestamp::UNIX_EPOCH)
        };
        let client = |alias: &str| Who::Client(alias.parse().unwrap());
        let south = Judged::Known { who: client("south"), before: true };
        assert_eq!(judge(None, &["south.example"]), south);
        assert_eq!(judge(None, &["north.example", "www.south.example"]), Judged::Unknown);
        assert_eq!(judge(Some("Basic x"), &["south.example"]), Judged::Unknown, "what is shown has to be right");
        let west = judge(Some(&format!("Bearer {token}")), &["south.example"]);
        assert_eq!(west, Judged::Known { who: client("west"), before: false }, "it needs none");
    }

    #[test]
    fn what_let_somebody_in_is_remembered_over_a_reload() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = settings(dir.path());
        let keyrings = Keyrings::default();
        let header = basic("n", "password-north");
        let from = |from: IpAddr| Shown { header: Some(&header), presented: None, from };
        let before = |settings: &Arc<Settings>, at| match keyrings.judge(settings, &from(at), Timestamp::UNIX_EPOCH) {
            Judged::Known { before, .. } => before,
            Judged::Unknown => panic!("it is right"),
        };
        assert!(!before(&first, HERE));
        keyrings.used(&first, &from(HERE));
        assert!(before(&first, HERE));
        let elsewhere = IpAddr::from([192, 0, 2, 9]);
        assert!(!before(&first, elsewhere), "there it is new");
        let (second, _) = settings(dir.path());
        assert!(before(&second, HERE) && !before(&second, elsewhere));
        for number in 0..=Used::KEPT as u8 {
            keyrings.used(&second, &from(IpAddr::from([198, 51, 100, number])));
        }
        assert!(!before(&second, HERE), "the latest ones are kept");
    }

    #[test]
    fn a_certificate_that_has_ended_or_that_nobody_vouches_for_any_more_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, _) = settings(dir.path());
        let keyrings = Keyrings::default();
        let judge = |presented: &Presented, second: i64| {
            let shown = Shown { header: None, presented: Some(presented), from: HERE };
            keyrings.judge(&settings, &shown, Timestamp::from_second(second).unwrap()) != Judged::Unknown
        };
        let ending = Presented { ends: Timestamp::from_second(500).unwrap(), ..presented(&["south.example"], true) };
        assert!(judge(&ending, 499) && !judge(&ending, 500));
        assert!(!judge(&presented(&["south.example"], false), 0));
    }
}
