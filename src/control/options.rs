//! `[control]` in the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use smol_str::SmolStr;

use super::key::{Flaw, VerifyingKey};
use super::when::When;

/// `[control]`: who may have which commands carried out. Without this table nothing can be controlled.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether commands are taken at all.
    pub enabled: bool,
    /// Whether the HTTP face takes `POST /control/DEVICE/COMMAND`.
    pub http: bool,
    /// How far in the future a request's end may lie.
    #[serde(with = "crate::config::duration")]
    pub max_validity: Duration,
    /// Requests of one requester: so many at once, and then this many a minute.
    pub burst: u32,
    /// Requests of one requester a minute.
    pub per_minute: u32,
    /// How long a write may take until its outcome is unknown.
    #[serde(with = "crate::config::duration")]
    pub write_timeout: Duration,
    /// Beside `control.off` in the data directory: while this file is there nothing is carried out.
    pub off_file: Option<PathBuf>,
    /// `[[control.requester]]`
    pub requester: Vec<RequesterOptions>,
    /// `[[control.permit]]`
    pub permit: Vec<Permit>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            http: false,
            max_validity: Duration::from_secs(300),
            burst: 10,
            per_minute: 60,
            write_timeout: Duration::from_secs(5),
            off_file: None,
            requester: Vec::new(),
            permit: Vec::new(),
        }
    }
}

/// `[[control.requester]]`: somebody who may ask, and how to know that it is them.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequesterOptions {
    /// The `iss` of signed requests; of OPC UA users the login name.
    pub name: SmolStr,
    /// Roles that permits speak of.
    pub roles: Vec<SmolStr>,
    /// A secret that both sides know, for requests signed by HS256; at least 32 bytes, taken as they stand
    /// (`guideway control keygen` makes one). `$VAR` takes it from the environment.
    pub secret: Option<String>,
    /// A public key (PEM) for requests signed by EdDSA or ES256. Relative to the configuration file.
    pub public_key: Option<PathBuf>,
    /// An argon2 hash in PHC form: HTTP Basic is taken from the gateway's own computer.
    pub password: Option<String>,
}

impl std::fmt::Debug for RequesterOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, roles, secret, public_key, password } = self;
        let hidden = |text: &Option<String>| text.as_ref().map(|_| "…");
        f.debug_struct("RequesterOptions")
            .field("name", name)
            .field("roles", roles)
            .field("secret", &hidden(secret))
            .field("public_key", public_key)
            .field("password", &hidden(password))
            .finish()
    }
}

impl RequesterOptions {
    /// The key that proves its requests; `None` when it has neither secret nor public key. Reads the key's file.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn key(&self) -> Result<Option<VerifyingKey>, (&'static str, Flaw)> {
        match (&self.secret, &self.public_key) {
            (None, None) => Ok(None),
            (Some(secret), None) => VerifyingKey::secret(secret).map(Some).map_err(|flaw| ("secret", flaw)),
            (None, Some(path)) => VerifyingKey::file(path).map(Some).map_err(|flaw| ("public_key", flaw)),
            (Some(_), Some(_)) => {
                let what = "and secret are both there: which one proves a request is not said".to_owned();
                Err(("public_key", Flaw { what, cure: "keep one of them".to_owned() }))
            }
        }
    }
}

/// `[[control.permit]]`: what a role may ask for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permit {
    /// The role.
    pub role: SmolStr,
    /// Names of devices; `*` for all that permit something.
    pub devices: Vec<SmolStr>,
    /// Names of commands; `*` for all that the device permits.
    pub commands: Vec<SmolStr>,
    /// Faces: `http`, `mqtt`, `opcua`, `interface`. Default: all.
    pub faces: Vec<SmolStr>,
    /// Days on which it holds, such as `mon-fri,sun`, in the gateway's time zone. Default: every day.
    pub days: Option<String>,
    /// Hours between which it holds, such as `06:00-22:00`, in the gateway's time zone. Default: always.
    pub hours: Option<String>,
}

impl Permit {
    /// Its days and hours.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn when(&self) -> Result<When, (&'static str, String)> {
        When::new(self.days.as_deref(), self.hours.as_deref())
    }
}
