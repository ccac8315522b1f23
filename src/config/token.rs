//! Tokens: credentials that this site hands out. What is kept is a digest of each, in a file that `casebridge token` writes
//! and the daemon reads; a token itself is shown once, to whoever made it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::item::quoted;
use super::secret;
use crate::case::text::{TextFault, line};
use crate::case::{Alias, Permissions, UserName};

/// What every token begins with: a token that was left lying about is found by it.
const PREFIX: &str = "cbt_";
/// The longest file, in bytes: twice as many tokens as there can be clients.
const FILE_LIMIT: u64 = 8 << 20;
/// The longest name of an operator, a group or a role, in bytes.
const NAME_LIMIT: usize = UserName::LIMIT;
/// The most groups of one operator.
pub const GROUP_LIMIT: usize = 100;

/// One token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Token {
    /// Names it in lists and logs; no secret.
    pub id: String,
    pub holder: Holder,
    pub sha256: TokenDigest,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub note: Option<String>,
}

/// Whom a token lets in, and so where: a client to the exchange between sites, an operator to the cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Client(Alias),
    Operator(Operator),
}

/// A person, or a program of this site's own, and what it may do (M-03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// As cases name it: initiator, assigned user, watcher, author.
    pub name: String,
    pub groups: Vec<String>,
    /// What the token itself allows.
    pub scopes: Permissions,
    /// The `[[role]]` that allows more.
    pub role: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Client(alias) => write!(f, "client {alias}"),
            Holder::Operator(operator) => write!(f, "operator {}", operator.name),
        }
    }
}

impl Token {
    /// The client that it lets in, if it is a client's.
    pub fn client(&self) -> Option<&Alias> {
        match &self.holder {
            Holder::Client(alias) => Some(alias),
            Holder::Operator(_) => None,
        }
    }
}

/// A token as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<Alias>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Permissions::is_none")]
    scopes: Permissions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    sha256: TokenDigest,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl TryFrom<Written> for Token {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { id, client, owner, scopes, role, groups, sha256, created_at, expires_at, note } = written;
        let holder = match (client, owner) {
            (Some(alias), None) if scopes.is_none() && role.is_none() && groups.is_empty() => Holder::Client(alias),
            (None, Some(owner)) => {
                let names = groups.iter().chain(&role).map(String::as_str).chain([owner.as_str()]);
                if groups.len() > GROUP_LIMIT || names.into_iter().any(|text| name(text).is_err()) {
                    return Err("a name is not one line of at most 128 bytes, or there are too many groups");
                }
                Holder::Operator(Operator { name: owner, groups, scopes, role })
            }
            _ => return Err("a token has a client, or an owner with scopes"),
        };
        Ok(Token { id, holder, sha256, created_at, expires_at, note })
    }
}

impl From<Token> for Written {
    fn from(token: Token) -> Self {
        let Token { id, holder, sha256, created_at, expires_at, note } = token;
        let (client, operator) = match holder {
            Holder::Client(alias) => (Some(alias), None),
            Holder::Operator(operator) => (None, Some(operator)),
        };
        let (owner, groups, scopes, role) = match operator {
            Some(operator) => (Some(operator.name), operator.groups, operator.scopes, operator.role),
            None => (None, Vec::new(), Permissions::NONE, None),
        };
        Self { id, client, owner, scopes, role, groups, sha256, created_at, expires_at, note }
    }
}

/// The name of an operator, a group or a role: one line.
pub fn name(text: &str) -> Result<&str, TextFault> {
    line(text, NAME_LIMIT)
}

/// The SHA-256 of a token. Tokens are random and long: no slower digest makes them harder to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> String {
        digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fault = "a digest has 64 hexadecimal digits";
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(fault);
        }
        for (byte, pair) in digest.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).map_err(|_| fault)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| fault)?;
        }
        Ok(Self(digest))
    }
}

/// A token that was made or revoked: what the history tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenChange {
    /// The ID of the token.
    pub id: String,
    /// Whom it lets in.
    pub of: String,
    pub revoked: bool,
    pub at: Timestamp,
    /// As the history tells of people.
    pub by: String,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    pub list: Vec<Token>,
    /// The last ones, the oldest first.
    pub changes: Vec<TokenChange>,
}

impl Tokens {
    /// The changes that are kept. The daemon has told of them long before so many more were made.
    const CHANGES: usize = 1000;

    /// Adds what `by` has changed since the file held `before`.
    fn note(&mut self, before: &[Token], by: &str, at: Timestamp) {
        let lacks = |list: &[Token], token: &Token| list.iter().all(|one| one.id != token.id);
        let change = |token: &Token, revoked| TokenChange {
            id: token.id.clone(),
            of: token.holder.to_string(),
            revoked,
            at,
            by: by.to_owned(),
        };
        let made = self.list.iter().filter(|one| lacks(before, one)).map(|one| change(one, false));
        let revoked = before.iter().filter(|one| lacks(&self.list, one)).map(|one| change(one, true));
        let changes: Vec<TokenChange> = made.chain(revoked).collect();
        self.changes.extend(changes);
        self.changes.drain(..self.changes.len().saturating_sub(Self::CHANGES));
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    tokens: Vec<Token>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<TokenChange>,
}

/// What is wrong with the file of tokens, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}; {help}")]
pub struct TokenFault {
    pub message: String,
    pub help: String,
}

/// Whether a text has the form of a token.
pub fn is_token(text: &str) -> bool {
    let secret = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).map(|(_, secret)| secret);
    secret.is_some_and(|secret| secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Makes a token: what is kept of it, and the token.
pub fn new(
    holder: Holder,
    now: Timestamp,
    expires_at: Option<Timestamp>,
    note: Option<String>,
) -> (Token, SecretString) {
    let random = || Uuid::new_v4().simple().to_string();
    let id: String = random().chars().take(8).collect();
    let text = format!("{PREFIX}{id}_{}{}", random(), random());
    let token = Token { id, holder, sha256: TokenDigest::of(&text), created_at: now, expires_at, note };
    (token, text.into())
}

/// The tokens in a file; none where there is no file.
pub fn read(path: &Path) -> Result<Tokens, TokenFault> {
    if fs::metadata(path).is_err_and(|fault| fault.kind() == io::ErrorKind::NotFound) {
        return Ok(Tokens::default());
    }
    let wrong = |fault: secret::Fault| TokenFault { message: fault.message, help: fault.help };
    let bytes = secret::read_private(path, FILE_LIMIT).map_err(wrong)?;
    parse(&bytes, path)
}

/// The tokens in the text of a file.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Tokens, TokenFault> {
    let shown = quoted(&path.to_string_lossy());
    let fault = |message: String| TokenFault {
        message,
        help: "put back a copy of the file, or remove it and make new tokens with `casebridge token new`".to_owned(),
    };
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|wrong| fault(format!("{shown} holds no tokens: line {}, column {}", wrong.line(), wrong.column())))?;
    if document.version != 1 {
        return Err(fault(format!("{shown} is of version {}, and this program knows version 1", document.version)));
    }
    Ok(Tokens { list: document.tokens, changes: document.changes })
}

/// Changes the tokens of a file, as one step: whoever reads it sees those of before or those of after. `by` is who wants it, as
/// the history tells of people.
pub fn change<T>(
    path: &Path,
    by: &str,
    at: Timestamp,
    change: impl FnOnce(&mut Vec<Token>) -> T,
) -> Result<T, TokenFault> {
    let shown = quoted(&path.to_string_lossy());
    let io = |fault: io::Error| TokenFault {
        message: format!("{shown} cannot be written: {}", secret::reason(&fault)),
        help: "run the command as root or as the user of the daemon".to_owned(),
    };
    let parent = path.parent().unwrap_or(Path::new("."));
    let directory = File::open(parent).map_err(|fault| match fault.kind() {
        // Made here, it could be a directory that the daemon's user may not write to.
        io::ErrorKind::NotFound => TokenFault {
            message: format!("{shown} cannot be written: the directory of the site's data is not there yet"),
            help: "start the daemon once, which makes it, and give the command again".to_owned(),
        },
        _ => io(fault),
    })?;
    // Two who change it at once take turns.
    directory.lock().map_err(io)?;
    let mut tokens = read(path)?;
    let before = tokens.list.clone();
    let outcome = change(&mut tokens.list);
    tokens.note(&before, by, at);
    write(path, &directory, &tokens).map_err(io)?;
    Ok(outcome)
}

/// The text of a file with these tokens.
pub(super) fn text(tokens: &Tokens) -> io::Result<Vec<u8>> {
    let document = Document { version: 1, tokens: tokens.list.clone(), changes: tokens.changes.clone() };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn write(path: &Path, directory: &File, tokens: &Tokens) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o640).open(&beside)?;
    // Root makes it for the daemon, which the directory belongs to.
    let owner = directory.metadata()?;
    if (owner.uid(), owner.gid()) != (file.metadata()?.uid(), file.metadata()?.gid()) {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.write_all(&text(tokens)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    directory.sync_all()
}

/// The text of a token that was just made.
pub fn shown(token: &SecretString) -> &str {
    token.expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "operator ann (uid 0)";

    fn north() -> Holder {
        Holder::Client("north".parse().unwrap())
    }

    #[test]
    fn before_the_first_start_it_is_said_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("data/tokens.json");
        let fault = change(&missing, ANN, Timestamp::UNIX_EPOCH, Vec::clear).unwrap_err();
        assert!(fault.message.contains("not there yet") && fault.help.contains("start the daemon once"), "{fault:?}");
    }

    #[test]
    fn a_token_is_kept_as_its_digest_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        assert_eq!(read(&path).unwrap(), Tokens::default(), "no file, no tokens");
        let (token, text) = new(north(), Timestamp::UNIX_EPOCH, None, Some("for May".into()));
        assert!(is_token(shown(&text)) && token.sha256 == TokenDigest::of(shown(&text)));
        let change = |wanted: &dyn Fn(&mut Vec<Token>)| {
            super::change(&path, ANN, Timestamp::UNIX_EPOCH, |tokens| wanted(tokens)).unwrap();
        };
        change(&|tokens| tokens.push(token.clone()));
        let kept = fs::read_to_string(&path).unwrap();
        assert!(!kept.contains(shown(&text)) && kept.contains(&String::from(token.sha256)), "{kept}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(read(&path).unwrap().list, std::slice::from_ref(&token));
        let (other, _) = new(Holder::Client("south".parse().unwrap()), Timestamp::UNIX_EPOCH, None, None);
        change(&|tokens| tokens.push(other.clone()));
        change(&|tokens| tokens.retain(|one| one.id != token.id));
        let kept = read(&path).unwrap();
        assert_eq!(kept.list, std::slice::from_ref(&other));
        let told: Vec<_> =
            kept.changes.iter().map(|one| (&one.id, one.of.as_str(), one.revoked, one.by.as_str())).collect();
        let (first, second) = ((&token.id, "client north"), (&other.id, "client south"));
        let expected = [(first, false), (second, false), (first, true)];
        assert_eq!(told, expected.map(|((id, of), revoked)| (id, of, revoked, ANN)));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let texts: std::collections::HashSet<String> =
            (0..1000).map(|_| shown(&new(north(), Timestamp::UNIX_EPOCH, None, None).1).to_owned()).collect();
        assert_eq!(texts.len(), 1000);
    }

    #[test]
    fn what_is_no_file_of_tokens_is_refused_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let with = |holder: &str| {
            let (digest, at) = ("0f".repeat(32), "2026-11-22T10:00:00Z");
            format!(
                "{{\"version\": 1, \"tokens\": [{{\"id\": \"1\", {holder}, \"sha256\": \"{digest}\", \"created_at\": \"{at}\"}}]}}"
            )
        };
        for (text, said) in [
            ("", "line 1"),
            ("{\"version\": 2, \"tokens\": []}", "version 2"),
            ("{\"version\": 1, \"tokens\": [{\"id\": \"hunter22\"}]}", "line 1"),
            ("{\"version\": 1, \"tokens\": [], \"scopes\": \"hunter22\"}", "line 1"),
            (&with("\"client\": \"north\", \"owner\": \"hunter\""), "line 1"),
            (&with("\"client\": \"north\", \"scopes\": [\"CASE_VIEW\"]"), "line 1"),
            (&with("\"owner\": \"hunter\", \"scopes\": [\"CASE_HUNTER\"]"), "line 1"),
            (&with("\"owner\": \"hunter\\u0000\""), "line 1"),
            (&with("\"note\": \"nobody's\""), "line 1"),
        ] {
            let _ = fs::remove_file(&path);
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let fault = read(&path).unwrap_err().to_string();
            assert!(fault.contains(said) && !fault.contains("hunter"), "{fault}");
        }
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("open to every user"));
    }

    #[test]
    fn other_texts_are_no_tokens() {
        for text in ["", "cbt_", "cbt_1_2", "hunter22", &format!("cbt_1_{}", "g".repeat(64))] {
            assert!(!is_token(text), "{text}");
        }
    }
}
