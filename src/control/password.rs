//! Passwords: kept as argon2 hashes, never as themselves.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params};

/// Most memory that checking a password may take, in KiB: 256 MiB.
const MOST_MEMORY: u32 = 256 << 10;

/// Makes what stands in the configuration: argon2id in PHC form, with a salt of its own.
///
/// # Errors
/// When the system gives no random numbers.
pub fn hash(password: &str) -> Result<String, String> {
    let salt = SaltString::generate(&mut OsRng);
    let hashed = Argon2::default().hash_password(password.as_bytes(), &salt);
    hashed.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether that is a hash that can be used.
///
/// # Errors
/// What is wrong with it. Does not repeat it: it may be a password.
pub fn check(hash: &str) -> Result<(), &'static str> {
    let parsed = PasswordHash::new(hash).map_err(|_| "it is no hash in PHC form")?;
    if Algorithm::try_from(parsed.algorithm).is_err() {
        return Err("it is no argon2 hash");
    }
    let params = Params::try_from(&parsed).map_err(|_| "its parameters are out of range")?;
    if params.m_cost() > MOST_MEMORY {
        return Err("it asks for more than 256 MiB of memory");
    }
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err("its salt or its hash is missing");
    }
    Ok(())
}

/// Whether it is the password of that hash. Takes some 20 ms and 19 MiB with default parameters.
pub fn matches(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let made = hash("spindle").unwrap();
        assert!(made.starts_with("$argon2id$v=19$"), "{made}");
        check(&made).unwrap();
        assert!(matches("spindle", &made));
        assert!(!matches("Spindle", &made) && !matches("", &made) && !matches("spindle", "spindle"));
        assert_ne!(made, hash("spindle").unwrap());
    }

    #[test]
    fn what_is_no_usable_hash_is_refused() {
        for (hash, why) in [
            ("secret", "no hash in PHC form"),
            ("", "no hash in PHC form"),
            ("$2b$12$abcdefghijklmnopqrstuv", "PHC form"),
            ("$pbkdf2-sha256$i=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "no argon2"),
            ("$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "256 MiB"),
            ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ", "missing"),
        ] {
            let said = check(hash).unwrap_err();
            assert!(said.contains(why), "{hash}: {said}");
        }
    }
}
