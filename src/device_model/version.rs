//! Versions of the MTConnect schemas.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A version of the standard, e.g. 2.7. Ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SchemaVersion {
    /// The number before the dot.
    pub major: u8,
    /// The number after the dot.
    pub minor: u8,
}

impl SchemaVersion {
    /// The newest version known here, and the default.
    pub const NEWEST: Self = Self::new(2, 7);

    /// A version by its numbers.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Whether documents can be made for it: 1.0 to 1.8 and 2.0 to 2.7.
    pub const fn is_known(self) -> bool {
        matches!((self.major, self.minor), (1, 0..=8) | (2, 0..=7))
    }
}

impl Default for SchemaVersion {
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for SchemaVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("`{text}` is not an MTConnect version; write one of 1.0 to 1.8 or 2.0 to 2.7");
        let (major, rest) = text.trim().split_once('.').ok_or_else(refused)?;
        // Some files carry a build number (`1.8.0.3`); it says nothing about the schema.
        let minor = rest.split('.').next().unwrap_or(rest);
        let version = Self::new(major.parse().map_err(|_| refused())?, minor.parse().map_err(|_| refused())?);
        if version.is_known() { Ok(version) } else { Err(refused()) }
    }
}

impl TryFrom<String> for SchemaVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_written_and_ordered() {
        let old: SchemaVersion = "1.3".parse().expect("known");
        assert_eq!(old.to_string(), "1.3");
        assert!(old < SchemaVersion::NEWEST);
        assert!("2.8".parse::<SchemaVersion>().is_err());
        assert!("x".parse::<SchemaVersion>().is_err());
    }
}
