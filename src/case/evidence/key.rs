//! Ed25519 keys: who signed something. A site has one pair; its public key has one spelling.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::case::ContentDigest;

/// The public half, in base64 wherever it is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// What a key says of a text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

/// Why a text or a file is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("a public key is 32 bytes in base64: 44 characters, as `casebridge key show` prints it")]
    Public,
    #[error("a signature is 64 bytes in base64")]
    Signature,
    #[error("it holds no Ed25519 key in PKCS #8 form")]
    Private,
    #[error("no key pair could be made")]
    Made,
}

impl PublicKey {
    pub fn verifies(&self, text: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(text, &signature.0).is_ok()
    }

    /// What people compare: the beginning of its SHA-256.
    pub fn fingerprint(&self) -> String {
        ContentDigest::of(&self.0).as_str().chars().take(16).collect()
    }
}

impl FromStr for PublicKey {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| KeyFault::Public)?;
        bytes.try_into().map(Self).map_err(|_| KeyFault::Public)
    }
}

impl FromStr for Signature {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| KeyFault::Signature)?;
        bytes.try_into().map(Self).map_err(|_| KeyFault::Signature)
    }
}

macro_rules! written_in_base64 {
    ($($name:ty)+) => {$(
        impl TryFrom<String> for $name {
            type Error = KeyFault;

            fn try_from(text: String) -> Result<Self, KeyFault> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(one: $name) -> Self {
                one.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE64_STANDARD.encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}
written_in_base64! { PublicKey Signature }

/// A site's own pair.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

impl SigningKey {
    /// A new pair.
    pub fn make() -> Result<Self, KeyFault> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| KeyFault::Made)?)
    }

    /// Reads PKCS #8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFault> {
        Self::of(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyFault::Private)?)
    }

    /// As it is kept, in DER.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, KeyFault> {
        self.pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()).map_err(|_| KeyFault::Private)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, KeyFault> {
        let public = pair.public_key().as_ref().try_into().map(PublicKey).map_err(|_| KeyFault::Private)?;
        Ok(Self { pair, public })
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub fn sign(&self, text: &[u8]) -> Result<Signature, KeyFault> {
        let signature = self.pair.try_sign(text).map_err(|_| KeyFault::Signature)?;
        signature.as_ref().try_into().map(Signature).map_err(|_| KeyFault::Signature)
    }

    /// Says that another key speaks for this site from now on.
    pub fn endorse(&self, new: PublicKey, at: Timestamp) -> Result<Endorsement, KeyFault> {
        let mut endorsement = Endorsement { old: self.public, new, at, signature: Signature([0; 64]) };
        endorsement.signature = self.sign(endorsement.text().as_bytes())?;
        Ok(endorsement)
    }
}

/// A key's word for the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endorsement {
    pub old: PublicKey,
    pub new: PublicKey,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By `old`, over the line `casebridge key OLD NEW AT`.
    pub signature: Signature,
}

impl Endorsement {
    /// The most that a site tells of; who was away for longer needs a person.
    pub const LIMIT: usize = 16;

    fn text(&self) -> String {
        format!("casebridge key {} {} {}", self.old, self.new, self.at)
    }

    pub fn is_sound(&self) -> bool {
        self.old.verifies(self.text().as_bytes(), &self.signature)
    }

    /// Whether `endorsements`, each in its turn, lead from one key to another.
    pub fn lead(endorsements: &[Endorsement], from: PublicKey, to: PublicKey) -> bool {
        let mut key = from;
        for one in endorsements.iter().take(Self::LIMIT) {
            if key == to {
                break;
            }
            if one.old == key && one.is_sound() {
                key = one.new;
            }
        }
        key == to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_text_and_its_key_only() {
        let (one, other) = (SigningKey::make().unwrap(), SigningKey::make().unwrap());
        let signature = one.sign(b"text").unwrap();
        assert!(one.public().verifies(b"text", &signature));
        assert!(!one.public().verifies(b"test", &signature));
        assert!(!other.public().verifies(b"text", &signature));
        let kept = SigningKey::from_pkcs8(&one.to_pkcs8().unwrap()).unwrap();
        assert_eq!(kept.public(), one.public());
    }

    #[test]
    fn a_key_has_one_spelling() {
        let key = SigningKey::make().unwrap().public();
        assert_eq!(key.to_string().parse(), Ok(key));
        let text = key.to_string();
        for wrong in
            ["", "AAAA", text.trim_end_matches('='), &text.to_lowercase().replace('=', "=="), &format!(" {text}")]
        {
            assert_eq!(wrong.parse::<PublicKey>(), Err(KeyFault::Public), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_followed_by_those_that_it_leads_to() {
        let keys: Vec<SigningKey> = (0..4).map(|_| SigningKey::make().unwrap()).collect();
        let at = Timestamp::UNIX_EPOCH;
        let chain: Vec<Endorsement> =
            keys.windows(2).map(|pair| pair[0].endorse(pair[1].public(), at).unwrap()).collect();
        let public = |index: usize| keys[index].public();
        assert!(Endorsement::lead(&chain, public(0), public(3)));
        assert!(Endorsement::lead(&chain, public(1), public(3)), "an older word before it does no harm");
        assert!(!Endorsement::lead(&chain, public(3), public(0)));
        assert!(!Endorsement::lead(&chain[1..], public(0), public(3)));
        let forged = Endorsement { new: public(3), ..chain[0].clone() };
        assert!(!Endorsement::lead(&[forged], public(0), public(3)));
    }
}
