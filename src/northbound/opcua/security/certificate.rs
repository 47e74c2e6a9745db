//! An application instance certificate (part 6, 6.2.2): reading any, making our own.

use std::path::Path;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use guideway_contract::Timestamp;
use opcua_crypto::{CertificateStore, Thumbprint, X509};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::rand_core::{OsRng, RngCore as _};
use rsa::sha2::{Digest as _, Sha256};
use x509_cert::builder::{Builder as _, CertificateBuilder, Profile};
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;

/// The organization in certificates of our own making: by it they are known again.
const ORGANIZATION: &str = "Guideway";

/// How long our own certificates hold: ten years.
const VALID_FOR: Duration = Duration::from_secs(3_652 * 86_400);

/// Clocks of clients may be behind by as much.
const BACKDATED: Duration = Duration::from_secs(86_400);

/// Files that are larger are no certificates.
const MOST_BYTES: u64 = 64 << 10;

/// A certificate, and what people want to know of it.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
    known: X509,
}

impl Certificate {
    /// Reads a file in DER or PEM, whatever its name.
    ///
    /// # Errors
    /// Why it cannot be read, without the path.
    pub fn read(path: &Path) -> Result<Self, String> {
        let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
        if size > MOST_BYTES {
            return Err(format!("is no certificate: it has {size} bytes"));
        }
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        Self::from_bytes(&bytes).ok_or_else(|| "is no X.509 certificate in DER or PEM".to_owned())
    }

    /// From DER or PEM; `None` when it is neither.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let known = if bytes.starts_with(b"-----") { X509::from_pem(bytes) } else { X509::from_der(bytes) };
        let known = known.ok()?;
        let der = known.to_der().ok()?;
        Some(Self { parsed: x509_cert::Certificate::from_der(&der).ok()?, der, known })
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-1 of the DER form, which names a certificate in OPC UA; 40 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.known.thumbprint().as_hex_string()
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.known.thumbprint()
    }

    /// The only file name under which the server looks for it in a trust list.
    pub fn file_name(&self) -> String {
        CertificateStore::cert_file_name(&self.known)
    }

    /// Its subject, fit to be shown.
    pub fn subject(&self) -> String {
        printable(&self.parsed.tbs_certificate.subject.to_string())
    }

    /// The ApplicationUri, fit to be shown; empty when there is none.
    pub fn application_uri(&self) -> String {
        let uri = self.names().into_iter().find_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(printable(uri.as_str())),
            _ => None,
        });
        uri.unwrap_or_default()
    }

    /// Host names and IP addresses, fit to be shown, in lower case and in order.
    pub fn hosts(&self) -> Vec<String> {
        let host = |name| match name {
            GeneralName::DnsName(name) => Some(printable(name.as_str()).to_ascii_lowercase()),
            GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
                [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
                long => <[u8; 16]>::try_from(long).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
            },
            _ => None,
        };
        let mut hosts: Vec<String> = self.names().into_iter().filter_map(host).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// From when it holds.
    pub fn valid_from(&self) -> Timestamp {
        timestamp(self.parsed.tbs_certificate.validity.not_before)
    }

    /// Until when it holds.
    pub fn valid_until(&self) -> Timestamp {
        timestamp(self.parsed.tbs_certificate.validity.not_after)
    }

    /// Whether it holds at that time.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.valid_from() <= at && at <= self.valid_until()
    }

    /// Length of its RSA key in bits; 0 when it has none.
    pub fn key_bits(&self) -> usize {
        self.known.key_length().unwrap_or_default()
    }

    /// Whether its key is that private key's other half.
    pub(crate) fn belongs_to(&self, key: &RsaPrivateKey) -> bool {
        let own = key.to_public_key().to_public_key_der().ok();
        let its = self.parsed.tbs_certificate.subject_public_key_info.to_der().ok();
        own.is_some_and(|own| its.as_deref() == Some(own.as_bytes()))
    }

    /// Whether we made it: then we may make a new one in its place.
    pub(crate) fn is_ours(&self) -> bool {
        let tbs = &self.parsed.tbs_certificate;
        tbs.issuer == tbs.subject && tbs.subject.to_string().contains(&format!("O={ORGANIZATION}"))
    }

    fn names(&self) -> Vec<GeneralName> {
        let names = self.parsed.tbs_certificate.get::<SubjectAltName>().ok().flatten();
        names.map(|(_, names)| names.0).unwrap_or_default()
    }
}

/// For whom a certificate is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Shown to whoever is asked to trust it.
    pub(crate) common_name: String,
    /// The server's ApplicationUri.
    pub(crate) application_uri: String,
    /// DNS names and IP addresses.
    pub(crate) hosts: Vec<String>,
}

/// A self-signed certificate, in DER.
pub(crate) fn make(key: &RsaPrivateKey, subject: &Subject) -> Result<Vec<u8>, String> {
    build(key, subject).map_err(|error| format!("no certificate can be made for {subject:?}: {error}"))
}

fn build(key: &RsaPrivateKey, subject: &Subject) -> Result<Vec<u8>, x509_cert::builder::Error> {
    let common_name: String = subject.common_name.chars().take(64).collect();
    let name = Name::from_str(&format!("CN={},O={ORGANIZATION}", escaped(&common_name)))?;
    let public = SubjectPublicKeyInfoOwned::from_key(key.to_public_key())?;
    let now = SystemTime::now();
    let validity =
        Validity { not_before: (now - BACKDATED).try_into()?, not_after: (now + VALID_FOR).try_into()? };
    // Issuer and serial number together are unique, so that clients tell a renewed certificate from
    // the one before. The first bit is clear (positive), the second set (sixteen bytes).
    let mut serial = [0; 16];
    OsRng.fill_bytes(&mut serial);
    serial[0] = serial[0] & 0x3F | 0x40;
    let serial = SerialNumber::new(&serial)?;
    // RFC 7093, 2, method 1.
    let digest = Sha256::digest(public.subject_public_key.raw_bytes());
    let key_id = OctetString::new(&digest[..20])?;

    let signer = SigningKey::<Sha256>::new(key.clone());
    let profile = Profile::Manual { issuer: None };
    let mut builder =
        CertificateBuilder::new(profile, serial.clone(), validity, name.clone(), public, &signer)?;
    builder.add_extension(&SubjectKeyIdentifier(key_id.clone()))?;
    builder.add_extension(&AuthorityKeyIdentifier {
        key_identifier: Some(key_id),
        authority_cert_issuer: Some(vec![GeneralName::DirectoryName(name)]),
        authority_cert_serial_number: Some(serial),
    })?;
    builder.add_extension(&BasicConstraints { ca: false, path_len_constraint: None })?;
    // A self-signed one signs itself, hence the last.
    let usage = KeyUsages::DigitalSignature
        | KeyUsages::NonRepudiation
        | KeyUsages::KeyEncipherment
        | KeyUsages::DataEncipherment
        | KeyUsages::KeyCertSign;
    builder.add_extension(&KeyUsage(usage))?;
    // serverAuth, and clientAuth for the registration at a discovery server.
    let purposes = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"].map(ObjectIdentifier::new_unwrap);
    builder.add_extension(&ExtendedKeyUsage(purposes.to_vec()))?;
    // Clients look for the URI in the first place.
    let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(&subject.application_uri)?);
    let hosts = subject.hosts.iter().map(|host| match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => Ok(GeneralName::IpAddress(OctetString::new(ip.octets())?)),
        Ok(std::net::IpAddr::V6(ip)) => Ok(GeneralName::IpAddress(OctetString::new(ip.octets())?)),
        Err(_) => Ok(GeneralName::DnsName(Ia5String::new(host)?)),
    });
    let names = std::iter::once(Ok(uri)).chain(hosts).collect::<Result<_, x509_cert::der::Error>>()?;
    builder.add_extension(&SubjectAltName(names))?;
    Ok(builder.build::<rsa::pkcs1v15::Signature>()?.to_der()?)
}

/// As a value in a distinguished name (RFC 4514, 2.4).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        let outer = at == 0 || at + c.len_utf8() == text.len();
        if ",+\"\\<>;=".contains(c) || (at == 0 && c == '#') || (outer && c == ' ') {
            out.push('\\');
        }
        out.push(if c.is_control() { '?' } else { c });
    }
    out
}

/// What a stranger wrote, without anything that a terminal would obey, and not too long.
fn printable(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn timestamp(time: x509_cert::time::Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000), 0)
}

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::OnceLock;

    use super::*;

    /// One key for all tests: it takes a while to make one.
    pub(crate) fn key() -> &'static RsaPrivateKey {
        static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
        KEY.get_or_init(|| RsaPrivateKey::new(&mut OsRng, 2_048).unwrap())
    }

    /// The certificate of a client.
    pub(crate) fn client(common_name: &str) -> Certificate {
        let subject = Subject {
            common_name: common_name.into(),
            application_uri: "urn:client".into(),
            hosts: vec!["client".into()],
        };
        Certificate::from_bytes(&make(key(), &subject).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_what_it_was_made_for() {
        let subject = Subject {
            common_name: "Guideway \"hall 3\", north = best; #1 ".into(),
            application_uri: "urn:guideway:hall%203".into(),
            hosts: vec!["Mill.example".into(), "10.0.0.7".into(), "fe80::1".into()],
        };
        let made = Certificate::from_bytes(&make(testing::key(), &subject).unwrap()).unwrap();
        assert!(made.subject().contains("hall 3"), "{}", made.subject());
        assert_eq!(made.application_uri(), "urn:guideway:hall%203");
        assert_eq!(made.hosts(), ["10.0.0.7", "fe80::1", "mill.example"]);
        assert!(made.is_ours() && made.belongs_to(testing::key()));
        assert!(made.holds(Timestamp::now()));
        let years = (made.valid_until().nanos() - made.valid_from().nanos()) / 1_000_000_000 / 86_400 / 365;
        assert_eq!(years, 10);
        assert_eq!(made.fingerprint().len(), 40);
    }

    #[test]
    fn two_certificates_for_the_same_subject_differ_in_their_serial_number() {
        let serial = |certificate: Certificate| certificate.parsed.tbs_certificate.serial_number;
        assert_ne!(serial(testing::client("a")), serial(testing::client("a")));
    }

    #[test]
    fn what_a_stranger_wrote_cannot_take_the_terminal_over() {
        let hostile = testing::client("\u{1b}[2J\u{7}bell");
        assert!(!hostile.subject().contains(|c: char| c.is_control()), "{:?}", hostile.subject());
    }

    #[test]
    fn bytes_that_are_no_certificate_are_none() {
        for bytes in [b"".as_slice(), b"-----BEGIN", b"\x30\x82\xff\xff", &[0; 100]] {
            assert!(Certificate::from_bytes(bytes).is_none());
        }
    }
}
