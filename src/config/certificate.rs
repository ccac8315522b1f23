//! What a certificate says: until when, for whom, and whether a private key is its own.

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The end of each certificate of a PEM file.
pub fn ends(pem: &[u8]) -> Vec<Timestamp> {
    Pem::iter_from_buffer(pem).flatten().filter_map(|pem| Some(read(&pem.contents)?.ends)).collect()
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The DNS names that it was issued for, in small letters.
    pub names: Vec<String>,
    pub ends: Timestamp,
}

/// Reads a certificate in DER form.
pub fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let ends = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    Some(Certificate { names: names.iter().filter_map(dns).collect(), ends })
}

/// Why a certificate and a private key cannot be shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairFault {
    #[error("the certificate cannot be read; its file must hold certificates in PEM form, the site's own first")]
    Certificate,
    #[error("the key cannot be read; its file must hold one private key in PEM form, without a passphrase")]
    Key,
    #[error(
        "certificate and key do not belong together; name the key that the first certificate of the file was made with"
    )]
    Mismatch,
}

/// Reads a certificate chain, the site's own certificate first, and the private key of that one, both PEM.
pub fn pair(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, PairFault> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|_| PairFault::Certificate)?;
    if chain.is_empty() {
        return Err(PairFault::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairFault::Key)?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).map_err(|_| PairFault::Key)?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(PairFault::Mismatch),
        Err(Error::InconsistentKeys(_)) => Err(PairFault::Key),
        Err(_) => Err(PairFault::Certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::Target;

    #[test]
    fn a_certificate_is_shown_with_its_own_key_only() {
        let made = || rcgen::generate_simple_self_signed(["noc.example".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let (certificate, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let fault = |certificate: &str, key: &str| pair(certificate.as_bytes(), key.as_bytes()).err();
        assert_eq!(fault(&certificate, &key), None);
        assert_eq!(fault(&certificate, &other.signing_key.serialize_pem()), Some(PairFault::Mismatch));
        let garbage = |kind: &str| format!("-----BEGIN {kind}-----\nZ2FyYmFnZQ==\n-----END {kind}-----\n");
        for bad in [String::new(), "garbage".into(), garbage("CERTIFICATE")] {
            assert_eq!(fault(&bad, &key), Some(PairFault::Certificate), "{bad}");
        }
        for bad in [String::new(), "garbage".into(), garbage("PRIVATE KEY")] {
            assert_eq!(fault(&certificate, &bad), Some(PairFault::Key), "{bad}");
        }
    }

    /// What a peer shows before anybody knows who it is.
    #[test]
    fn fuzz_certificates() {
        let words = &["\u{30}\u{1}", "\u{6}\u{3}\u{55}\u{1d}\u{11}", "a.example", "271231235959Z", "99991231235959Z"];
        let target = Target { name: "certificate", words, samples: &[], tries: 4000 };
        target.run(|bytes| match super::read(bytes) {
            Some(one) => {
                assert!(one.names.iter().all(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase())));
                format!("a certificate for {} names", one.names.len())
            }
            None => format!("none, {} in PEM", super::ends(bytes).len()),
        });
    }

    #[test]
    fn end_and_names_are_read() {
        let mut parameters = rcgen::CertificateParams::new(vec!["NOC.example".into(), "192.0.2.1".into()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let end = "2027-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(ends(certificate.pem().as_bytes()), [end]);
        let read = read(certificate.der()).unwrap();
        assert_eq!((read.names, read.ends), (vec!["noc.example".to_owned()], end));
        assert!(ends(b"no certificate").is_empty() && super::read(b"no certificate").is_none());
    }
}
