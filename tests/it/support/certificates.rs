//! Certificates made on the spot.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate authority.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate chain and its key, both PEM.
pub struct Pem {
    pub certificate: String,
    pub key: String,
}

/// How long a certificate is good for.
pub fn in_days(days: i64) -> (i32, u8, u8) {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    let end = end.to_zoned(jiff::tz::TimeZone::UTC).date();
    (end.year().into(), end.month().try_into().unwrap(), end.day().try_into().unwrap())
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// What a host shows that is an authority as well, as `openssl req -x509` makes it when it is not told otherwise.
    pub fn serving(host: &str) -> Pem {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for this host name or address, good until the first day of `last_year`.
    pub fn issue(&self, host: &str, last_year: i32) -> Pem {
        self.issue_until(host, (last_year, 1, 1))
    }

    /// An authority of its own right, and the certificate that this one gave it.
    pub fn intermediate(&self, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this host name or address, good until that day.
    pub fn issue_until(&self, host: &str, (year, month, day): (i32, u8, u8)) -> Pem {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, month, day));
        let key = KeyPair::generate().unwrap();
        Pem { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}
