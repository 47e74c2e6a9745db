//! Signed requests: JWS in its compact form (RFC 7515), whose claims are the request (RFC 7519).
//!
//! Who asks is proved before anything of what they say is looked at, but the name under which their key is found.
//! Each requester has one key, and a key is for one algorithm: what the header says has to be that one, so that
//! neither `none` nor a public key in the place of a secret opens anything.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guideway_contract::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::claims;
use super::key::{SigningKey, VerifyingKey};
use super::options::Options;
use super::{Reason, strict};

/// Longest signed request, in bytes.
pub const MOST_BYTES: usize = 16 << 10;

/// Longest header, in bytes of base64url.
const MOST_HEADER: usize = 2 << 10;

/// Characters of a claim that are kept for the audit when nothing proves it.
const MOST_CLAIMED: usize = 64;

/// The same words whoever is not known and whatever does not fit: they tell nobody whose name exists.
const NOT_PROVED: &str =
    "nothing proves who asks: no requester of that name has a key that fits the signature";

/// Opens signed requests. Made once, when the gateway starts.
#[derive(Clone, Debug)]
pub struct Tokens {
    gateway: SmolStr,
    requesters: HashMap<SmolStr, Known>,
    /// What a signature is compared with when nobody of that name is known, so that it takes its time too.
    nobody: VerifyingKey,
}

#[derive(Clone, Debug)]
struct Known {
    key: VerifyingKey,
    roles: Vec<SmolStr>,
}

/// A request whose requester is proved. It may have expired: control says so, and writes down who asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Names the request for ever (`jti`).
    pub id: SmolStr,
    /// The device (`device`).
    pub device: SmolStr,
    /// The command (`command`).
    pub command: SmolStr,
    /// Arguments by name (`args`).
    pub arguments: Map<String, Json>,
    /// Who asks (`iss`).
    pub requester: SmolStr,
    /// The roles that `[[control.requester]]` gives them.
    pub roles: Vec<SmolStr>,
    /// After this it is not acted on any more (`exp`).
    pub expires: Timestamp,
    /// When it was signed, if it says so (`iat`).
    pub issued: Option<Timestamp>,
    /// Everything but the writes (`dry_run`).
    pub dry_run: bool,
}

/// A request that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Malformed, oversized or unauthenticated.
    pub reason: Reason,
    /// The same for people, with the cure. May be told to anybody.
    pub detail: String,
    /// What did not fit, for the audit and the log only: told to who asks, it would help to guess. May be empty.
    pub why: &'static str,
    /// What it said, for the audit.
    pub claimed: Claimed,
}

/// What a request that is not taken said of itself; each cut to 64 printable characters. Never to be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// `jti`
    pub id: SmolStr,
    /// `device`
    pub device: SmolStr,
    /// `command`
    pub command: SmolStr,
    /// `iss`
    pub requester: SmolStr,
}

impl Tokens {
    /// The requesters that have a secret or a public key. Reads the keys' files.
    ///
    /// # Errors
    /// What is wrong with a requester or its key, with the cure.
    pub fn new(gateway: &str, options: &Options) -> Result<Self, String> {
        let mut requesters = HashMap::new();
        for requester in &options.requester {
            let refuse = |why: String| format!("[control]: requester {:?}: {why}", requester.name);
            let Some(key) = requester.key().map_err(|(field, flaw)| refuse(format!("{field} {flaw}")))?
            else {
                continue;
            };
            let known = Known { key, roles: requester.roles.clone() };
            if requesters.insert(requester.name.clone(), known).is_some() {
                return Err(refuse("is there twice; give each a name of its own".into()));
            }
        }
        let nobody = VerifyingKey::secret(&super::key::new_secret()?).map_err(|flaw| flaw.to_string())?;
        Ok(Self { gateway: gateway.into(), requesters, nobody })
    }

    /// Whether anybody can sign a request.
    pub fn is_empty(&self) -> bool {
        self.requesters.is_empty()
    }

    /// Reads a signed request, and proves who signed it. White space around it is passed over.
    ///
    /// # Errors
    /// Why it is not taken. One that has expired is no error here.
    #[expect(clippy::result_large_err, reason = "what is opened is larger still")]
    pub fn open(&self, signed: &[u8]) -> Result<Opened, Refused> {
        self.open_at(signed, Timestamp::now())
    }

    #[expect(clippy::result_large_err, reason = "what is opened is larger still")]
    fn open_at(&self, signed: &[u8], now: Timestamp) -> Result<Opened, Refused> {
        let refused =
            |reason, detail: String, why| Refused { reason, detail, why, claimed: Claimed::default() };
        if signed.len() > MOST_BYTES {
            let what = format!("it has {} bytes; at most {MOST_BYTES} are read", signed.len());
            return Err(refused(Reason::Oversized, what, ""));
        }
        let malformed = |what: String| refused(Reason::Malformed, what, "");
        let parts = Parts::of(signed).map_err(malformed)?;
        let algorithm = parts.algorithm().map_err(malformed)?;
        let payload = decoded("claims", parts.payload).map_err(malformed)?;
        let names = Names::read(&payload).map_err(malformed)?;
        let claimed = names.claimed();
        let refused = |reason, detail, why| Refused { reason, detail, why, claimed: claimed.clone() };
        let known = names.iss.0.as_deref().and_then(|name| self.requesters.get(name));
        let (known, key) = match known {
            Some(known) if known.key.algorithm() == algorithm => (Ok(known), &known.key),
            Some(_) => (Err("the algorithm is not that of the requester's key"), &self.nobody),
            None => (Err("no requester of that name has a key"), &self.nobody),
        };
        let fits = key.verifies(parts.message, parts.signature);
        let known = match known {
            Ok(known) if fits => known,
            Ok(_) => {
                let why = "the signature does not fit";
                return Err(refused(Reason::Unauthenticated, NOT_PROVED.into(), why));
            }
            Err(why) => return Err(refused(Reason::Unauthenticated, NOT_PROVED.into(), why)),
        };
        let said = claims::read(&payload, &self.gateway, now)
            .map_err(|(reason, detail)| refused(reason, detail, "the signature fits"))?;
        Ok(Opened {
            id: said.id,
            device: said.device,
            command: said.command,
            arguments: said.arguments,
            requester: said.requester,
            roles: known.roles.clone(),
            expires: said.expires,
            issued: said.issued,
            dry_run: said.dry_run,
        })
    }
}

/// Signs claims: see [`super::claims::Claims`].
///
/// # Errors
/// When they are longer than control takes.
pub fn sign(key: &SigningKey, claims: &impl Serialize) -> Result<String, String> {
    let header = jsonwebtoken::Header::new(key.algorithm);
    let signed = jsonwebtoken::encode(&header, claims, &key.key).map_err(|error| error.to_string())?;
    if signed.len() > MOST_BYTES {
        return Err(format!("the request has {} bytes; at most {MOST_BYTES} are taken", signed.len()));
    }
    Ok(signed)
}

/// The three parts of the compact form.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What is signed: the first two parts with the point between them.
    message: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(signed: &'a [u8]) -> Result<Self, String> {
        let signed = signed.trim_ascii();
        let no_jws =
            || "it is no JWS in compact form: three parts in base64url with points between".to_owned();
        let sign = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let text = std::str::from_utf8(signed).ok().filter(|_| signed.iter().all(sign)).ok_or_else(no_jws)?;
        let (message, signature) = text.rsplit_once('.').ok_or_else(no_jws)?;
        let (header, payload) = message.split_once('.').ok_or_else(no_jws)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(no_jws());
        }
        if header.len() > MOST_HEADER {
            return Err(format!("its header has {} bytes; at most {MOST_HEADER} are read", header.len()));
        }
        Ok(Self { header, payload, signature, message: message.as_bytes() })
    }

    /// The algorithm that the header names. What else stands in it is passed over, unless it says that it must
    /// not be.
    fn algorithm(&self) -> Result<SmolStr, String> {
        let json =
            strict::read(&decoded("header", self.header)?).map_err(|why| format!("the header: {why}"))?;
        let Json::Object(header) = json else { return Err("the header is no JSON object".into()) };
        if let Some(key) = ["crit", "b64"].into_iter().find(|key| header.contains_key(*key)) {
            return Err(format!("the header has `{key}`: extensions are not understood here"));
        }
        match header.get("alg") {
            Some(Json::String(algorithm)) => Ok(SmolStr::new(algorithm)),
            _ => Err("the header names no algorithm: `alg` is missing".into()),
        }
    }
}

fn decoded(part: &str, text: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(text).map_err(|error| format!("the {part}: no base64url: {error}"))
}

/// What is read of claims that nothing proves yet: the name under which the key is found, and what the audit shows
/// of a request that is not taken.
#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    iss: Text,
    #[serde(default)]
    jti: Text,
    #[serde(default)]
    device: Text,
    #[serde(default)]
    command: Text,
}

/// A text; anything else is none.
#[derive(Default)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Other(serde::de::IgnoredAny),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Text(text) => Self(Some(text)),
            Either::Other(_) => Self(None),
        })
    }
}

impl Names {
    fn read(payload: &[u8]) -> Result<Self, String> {
        // A list would be taken for a struct's fields in order.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err("the claims are no JSON object".into());
        }
        serde_json::from_slice(payload).map_err(|error| format!("the claims: {error}"))
    }

    fn claimed(&self) -> Claimed {
        let cut = |text: &Text| text.0.as_deref().map(printable).unwrap_or_default();
        Claimed {
            id: cut(&self.jti),
            device: cut(&self.device),
            command: cut(&self.command),
            requester: cut(&self.iss),
        }
    }
}

/// A text of somebody who is not trusted, fit for logs and the audit: 64 characters at most, each that cannot be
/// printed as `?`.
pub(super) fn printable(text: &str) -> SmolStr {
    // Signs that turn the direction of writing, or show nothing, make one name look like another.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().take(MOST_CLAIMED).map(|c| if hidden(c) { '?' } else { c }).collect()
}

/// Any bytes as a signed request, as its header, and as claims behind a signature that fits.
pub fn fuzz(data: &[u8]) {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let requester = super::options::RequesterOptions {
        name: "fuzz".into(),
        secret: Some(SECRET.into()),
        ..Default::default()
    };
    let options = Options { requester: vec![requester], ..Options::default() };
    let (Ok(tokens), Ok(key)) = (Tokens::new("gateway", &options), SigningKey::secret(SECRET)) else {
        return;
    };
    let _ = tokens.open(data);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    for (header, claims) in [(&b"{\"alg\":\"HS256\"}"[..], data), (data, b"{\"iss\":\"fuzz\"}")] {
        let message = format!("{}.{}", encode(header), encode(claims));
        if let Ok(signature) = jsonwebtoken::crypto::sign(message.as_bytes(), &key.key, key.algorithm) {
            let _ = tokens.open(format!("{message}.{signature}").as_bytes());
        }
    }
    if let Ok(said) = claims::read(data, "gateway", Timestamp::now()) {
        assert!(claims::is_id(&said.id) && said.arguments.len() <= claims::MOST_ARGUMENTS);
    }
}

#[cfg(test)]
mod tests;
