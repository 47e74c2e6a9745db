//! Keys: what a requester signs with, and what proves that it was them.

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rand::TryRngCore as _;

/// Least length of a secret, in bytes: that of what HS256 makes of it (RFC 7518, 3.2).
pub const LEAST_SECRET: usize = 32;

/// Longest key file.
const MOST_FILE: u64 = 64 << 10;

/// What an Ed25519 private key has before its 32 bytes (PKCS #8, RFC 8410).
const ED25519_PRIVATE: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// What an Ed25519 public key has before its 32 bytes (SubjectPublicKeyInfo, RFC 8410).
const ED25519_PUBLIC: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// What a P-256 public key has before its two coordinates (SubjectPublicKeyInfo, RFC 5480).
const P256_PUBLIC: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\
    \x03\x01\x07\x03\x42\x00\x04";

/// Why a key cannot be used. Never repeats the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong, as the end of a sentence that begins with the key's name.
    pub what: String,
    /// What helps.
    pub cure: String,
}

impl Flaw {
    fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), cure: cure.into() }
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.what, self.cure)
    }
}

/// Proves signatures, of one algorithm only.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// A secret that both sides know: HS256. Its bytes are those of the text as it stands.
    ///
    /// # Errors
    /// When it is too short, or has white space around it.
    pub fn secret(secret: &str) -> Result<Self, Flaw> {
        check_secret(secret)?;
        Ok(Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.as_bytes()) })
    }

    /// A public key in PEM: Ed25519 (EdDSA) or P-256 (ES256).
    ///
    /// # Errors
    /// When it is another kind of key, a private one, or none.
    pub fn pem(pem: &[u8]) -> Result<Self, Flaw> {
        let label = label(pem);
        if label.contains("PRIVATE") {
            let cure = "name the public one, and leave the private one with who signs; \
                        `guideway control keygen --public FILE` prints the public one";
            return Err(Flaw::new("is a private key", cure));
        }
        if label != "PUBLIC KEY" {
            let cure = "name a file that begins with `-----BEGIN PUBLIC KEY-----`";
            return Err(Flaw::new("is no public key in PEM", cure));
        }
        let other = || {
            Flaw::new("is no key of Ed25519 or P-256", "`guideway control keygen --ed25519 FILE` makes one")
        };
        let found = DecodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key));
        let found = found.or_else(|_| DecodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)));
        let (algorithm, key) = found.map_err(|_| other())?;
        let length = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        let fits = match algorithm {
            // The library takes the length for granted.
            Algorithm::EdDSA => length == 32,
            _ => matches!(length, 33 | 65),
        };
        // Whether it is a point of the curve shows only when something is verified by it.
        if !fits || jsonwebtoken::crypto::verify("AA", b"", &key, algorithm).is_err() {
            return Err(other());
        }
        Ok(Self { algorithm, key })
    }

    /// As [`Self::pem`], out of a file.
    ///
    /// # Errors
    /// When it cannot be read, too.
    pub fn file(path: &Path) -> Result<Self, Flaw> {
        Self::pem(&read(path)?)
    }

    /// The one algorithm that it is for, as headers of signed requests write it.
    pub fn algorithm(&self) -> &'static str {
        name_of(self.algorithm)
    }

    /// Whether that is the signature (base64url) of the message. Takes as long for a wrong one as for a right one.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.key, self.algorithm).unwrap_or(false)
    }

    /// Whether it is the same key.
    pub fn is(&self, other: &Self) -> bool {
        let bytes = |key: &Self| key.key.try_get_as_bytes().map(<[u8]>::to_vec).ok();
        self.algorithm == other.algorithm && bytes(self) == bytes(other)
    }
}

/// Signs requests.
#[derive(Clone, Debug)]
pub struct SigningKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
}

impl SigningKey {
    /// A secret that both sides know: HS256.
    ///
    /// # Errors
    /// When it is too short, or has white space around it.
    pub fn secret(secret: &str) -> Result<Self, Flaw> {
        check_secret(secret)?;
        Ok(Self { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret.as_bytes()) })
    }

    /// A private key in PEM (PKCS #8): Ed25519 (EdDSA) or P-256 (ES256).
    ///
    /// # Errors
    /// When it is another kind of key, a public one, or none.
    pub fn pem(pem: &[u8]) -> Result<Self, Flaw> {
        match label(pem) {
            "PRIVATE KEY" => {}
            "EC PRIVATE KEY" => {
                let cure = "`openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW` makes it one";
                return Err(Flaw::new("is no PKCS #8", cure));
            }
            "ENCRYPTED PRIVATE KEY" => {
                let cure = "`openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW` makes one without a password";
                return Err(Flaw::new("is encrypted", cure));
            }
            _ => {
                let cure = "name a file that begins with `-----BEGIN PRIVATE KEY-----`";
                return Err(Flaw::new("is no private key in PEM", cure));
            }
        }
        let other = || {
            Flaw::new("is no key of Ed25519 or P-256", "`guideway control keygen --ed25519 FILE` makes one")
        };
        let found = EncodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key));
        let found = found.or_else(|_| EncodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)));
        let (algorithm, key) = found.map_err(|_| other())?;
        jsonwebtoken::crypto::sign(b"", &key, algorithm).map_err(|_| other())?;
        Ok(Self { algorithm, key })
    }

    /// As [`Self::pem`], out of a file.
    ///
    /// # Errors
    /// When it cannot be read, too.
    pub fn file(path: &Path) -> Result<Self, Flaw> {
        Self::pem(&read(path)?)
    }

    /// The public key that belongs to it, in PEM.
    ///
    /// # Errors
    /// A secret has none.
    pub fn public(&self) -> Result<String, Flaw> {
        let utilities = &DEFAULT_PROVIDER.key_utils;
        let private = self.key.as_bytes();
        let der = match self.algorithm {
            Algorithm::EdDSA => {
                let point = (utilities.ed_pub_components_from_private_key)(private, &EllipticCurve::Ed25519);
                point.map(|point| [ED25519_PUBLIC, &point].concat())
            }
            Algorithm::ES256 => (utilities.ec_pub_components_from_private_key)(private, Algorithm::ES256)
                .map(|(_, x, y)| [P256_PUBLIC, &x, &y].concat()),
            _ => return Err(Flaw::new("is a secret", "a secret has no public key")),
        };
        let der = der.map_err(|error| Flaw::new(format!("cannot be used: {error}"), "make a new one"))?;
        Ok(pem("PUBLIC KEY", &der))
    }
}

/// A new secret: 32 random bytes as base64url, 43 signs.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_secret() -> Result<String, String> {
    Ok(URL_SAFE_NO_PAD.encode(random()?))
}

/// A new Ed25519 key: the private one in PEM (PKCS #8).
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_ed25519() -> Result<String, String> {
    Ok(pem("PRIVATE KEY", &[ED25519_PRIVATE, &random()?].concat()))
}

fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    let filled = rand::rngs::OsRng.try_fill_bytes(&mut bytes);
    filled.map_err(|error| format!("the system gives no random numbers: {error}")).map(|()| bytes)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out + &format!("-----END {label}-----\n")
}

/// What kind of thing a PEM text says that it is; empty for other texts.
fn label(pem: &[u8]) -> &str {
    let text = std::str::from_utf8(pem).unwrap_or_default();
    let begins = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
    begins.map_or("", |(label, _)| label)
}

fn check_secret(secret: &str) -> Result<(), Flaw> {
    const CURE: &str = "`guideway control keygen` makes one";
    if secret.trim() != secret {
        return Err(Flaw::new(
            "has white space around it",
            "take the line's end away, wherever it comes from",
        ));
    }
    if secret.len() < LEAST_SECRET {
        let what = format!("has {} bytes; at least {LEAST_SECRET} are needed", secret.len());
        return Err(Flaw::new(what, CURE));
    }
    // What looks like a key in PEM was meant as one; its public half is known to everybody.
    if secret.contains("-----BEGIN") {
        return Err(Flaw::new("is a key in PEM", "name its file as `public_key`"));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Flaw> {
    let cannot = |error: std::io::Error| {
        let cure = match error.kind() {
            std::io::ErrorKind::NotFound => "mend the path",
            _ => "let this user read it",
        };
        Flaw::new(format!("cannot be read: `{}`: {error}", path.display()), cure)
    };
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(Flaw::new(format!("is no file: `{}`", path.display()), "name a file with a key in PEM"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(MOST_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MOST_FILE {
        return Err(Flaw::new(format!("is too long: `{}`", path.display()), "name a file with a key in PEM"));
    }
    Ok(bytes)
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HS256 => "HS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        // No key is made for any other.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_key_proves_what_its_other_half_has_signed_and_nothing_else() {
        let ed = SigningKey::pem(new_ed25519().unwrap().as_bytes()).unwrap();
        let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let theirs = ec.public_key_pem();
        let ec = SigningKey::pem(ec.serialize_pem().as_bytes()).unwrap();
        assert_eq!(ec.public().unwrap().replace('\n', ""), theirs.replace(['\r', '\n'], ""));
        let keys = [
            (VerifyingKey::pem(ed.public().unwrap().as_bytes()).unwrap(), ed, "EdDSA"),
            (VerifyingKey::pem(theirs.as_bytes()).unwrap(), ec, "ES256"),
            (VerifyingKey::secret(SECRET).unwrap(), SigningKey::secret(SECRET).unwrap(), "HS256"),
        ];
        for (verifying, signing, algorithm) in &keys {
            assert_eq!(verifying.algorithm(), *algorithm);
            let signature = jsonwebtoken::crypto::sign(b"feed", &signing.key, signing.algorithm).unwrap();
            assert!(verifying.verifies(b"feed", &signature), "{algorithm}");
            assert!(!verifying.verifies(b"Feed", &signature) && !verifying.verifies(b"feed", ""));
            assert!(!verifying.verifies(b"feed", &format!("{signature}=")));
            for (other, _, another) in keys.iter().filter(|(_, _, another)| another != algorithm) {
                assert!(!other.verifies(b"feed", &signature), "{another} takes {algorithm}");
                assert!(!other.is(verifying));
            }
            assert!(verifying.is(&verifying.clone()));
        }
    }

    #[test]
    fn keys_that_openssl_makes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let openssl = |arguments: &[&str]| {
            let done = std::process::Command::new("openssl").args(arguments).output();
            done.is_ok_and(|output| output.status.success())
        };
        for (kind, algorithm) in [("ed25519", "EdDSA"), ("EC", "ES256")] {
            let mut arguments = vec!["genpkey", "-algorithm", kind];
            if kind == "EC" {
                arguments.extend(["-pkeyopt", "ec_paramgen_curve:P-256"]);
            }
            let (private, public) = (path("private.pem"), path("public.pem"));
            arguments.extend(["-out", &private]);
            if !openssl(&arguments) {
                assert!(std::env::var_os("CI").is_none(), "the tests need openssl");
                return;
            }
            assert!(openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]));
            let signing = SigningKey::file(Path::new(&private)).unwrap();
            assert_eq!(signing.public().unwrap(), std::fs::read_to_string(&public).unwrap());
            assert_eq!(VerifyingKey::file(Path::new(&public)).unwrap().algorithm(), algorithm);
        }
    }

    #[test]
    fn a_key_of_ours_is_read_by_openssl() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("key.pem");
        let text = new_ed25519().unwrap();
        std::fs::write(&private, &text).unwrap();
        let mut openssl = std::process::Command::new("openssl");
        let Ok(output) = openssl.args(["pkey", "-pubout", "-in"]).arg(&private).output() else {
            assert!(std::env::var_os("CI").is_none(), "the tests need openssl");
            return;
        };
        let public = SigningKey::pem(text.as_bytes()).unwrap().public().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), public);
    }

    #[test]
    fn what_is_no_usable_key_is_refused_with_a_cure_and_never_repeated() {
        let private = new_ed25519().unwrap();
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let short = pem(
            "PUBLIC KEY",
            &[b"\x30\x0d\x30\x05\x06\x03\x2b\x65\x70\x03\x04\x00".as_slice(), b"abc"].concat(),
        );
        for (text, why) in [
            ("", "no public key in PEM"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "Ed25519 or P-256"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no public key"),
            (private.as_str(), "is a private key"),
            (p384.public_key_pem().as_str(), "Ed25519 or P-256"),
            (short.as_str(), "Ed25519 or P-256"),
        ] {
            let flaw = VerifyingKey::pem(text.as_bytes()).unwrap_err();
            assert!(flaw.what.contains(why), "{text}: {flaw}");
        }
        for (text, why) in [
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "PKCS #8"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no private key"),
            (p384.serialize_pem().as_str(), "Ed25519 or P-256"),
        ] {
            let flaw = SigningKey::pem(text.as_bytes()).unwrap_err();
            assert!(flaw.what.contains(why), "{text}: {flaw}");
        }
        for (secret, why) in [
            ("spindle", "has 7 bytes; at least 32"),
            ("", "at least 32"),
            ("0123456789abcdef0123456789abcdef\n", "white space"),
            (private.trim(), "is a key in PEM"),
        ] {
            let flaw = VerifyingKey::secret(secret).unwrap_err();
            assert!(flaw.what.contains(why) && !flaw.to_string().contains("spindle"), "{flaw}");
            assert_eq!(SigningKey::secret(secret).unwrap_err(), flaw);
        }
        assert!(
            VerifyingKey::file(Path::new("/nowhere/key.pem")).unwrap_err().what.contains("/nowhere/key.pem")
        );
        assert!(VerifyingKey::file(Path::new("/")).unwrap_err().what.contains("is no file"));
        let shown = format!("{:?}", VerifyingKey::secret(SECRET).unwrap());
        assert!(!shown.contains("0123456789"), "{shown}");
    }

    #[test]
    fn secrets_are_long_enough_and_not_the_same() {
        let secret = new_secret().unwrap();
        assert_eq!(secret.len(), 43);
        VerifyingKey::secret(&secret).unwrap();
        assert_ne!(secret, new_secret().unwrap());
    }
}
