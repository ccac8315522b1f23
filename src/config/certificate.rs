//! What a certificate says: until when, and for whom.

use jiff::Timestamp;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::Target;

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
