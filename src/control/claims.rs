//! What a signed request says: the claims of a JWT, and which of them control takes.

use guideway_contract::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::Reason;
use super::strict;
use super::token::printable;

/// Longest id of a request, in characters.
pub const MOST_ID: usize = 64;

/// Most arguments of a request.
pub const MOST_ARGUMENTS: usize = 64;

/// Longest name of a device or command, in characters.
const MOST_NAME: usize = 256;

/// Every claim that a request may have.
const KNOWN: [&str; 11] =
    ["iss", "aud", "jti", "exp", "iat", "nbf", "typ", "device", "command", "args", "dry_run"];

/// What a requester signs. Other programs write the same with any JWT library.
#[derive(Clone, Debug, Serialize)]
pub struct Claims<'a> {
    /// Who asks: the name of a `[[control.requester]]`.
    pub iss: &'a str,
    /// The name of the gateway that is asked.
    pub aud: &'a str,
    /// Names the request for ever: 1 to 64 visible ASCII characters without quotes.
    pub jti: &'a str,
    /// After this it is not acted on any more. Written in seconds since 1970, with milliseconds behind the point.
    #[serde(serialize_with = "seconds")]
    pub exp: Timestamp,
    /// The device.
    pub device: &'a str,
    /// The command.
    pub command: &'a str,
    /// Arguments by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Json>,
    /// Everything but the writes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 42 bits")]
fn seconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = time.nanos().div_euclid(1_000_000);
    if millis % 1_000 == 0 {
        serializer.serialize_i64(millis / 1_000)
    } else {
        serializer.serialize_f64(millis as f64 / 1_000.0)
    }
}

/// What a signed request says, whose signature has been verified.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) id: SmolStr,
    pub(super) device: SmolStr,
    pub(super) command: SmolStr,
    pub(super) arguments: Map<String, Json>,
    pub(super) requester: SmolStr,
    pub(super) expires: Timestamp,
    pub(super) issued: Option<Timestamp>,
    pub(super) dry_run: bool,
}

/// Reads the payload of a request whose signature fits. Whether it has expired is not looked at.
pub(super) fn read(payload: &[u8], gateway: &str, now: Timestamp) -> Result<Said, (Reason, String)> {
    let json = strict::read(payload).map_err(|why| malformed(format!("the claims: {why}")))?;
    let Json::Object(mut object) = json else { return Err(malformed("the claims are no JSON object")) };
    if let Some(unknown) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let what =
            format!("unknown claim `{}`; a request may have: {}", printable(unknown), KNOWN.join(", "));
        return Err(malformed(what));
    }
    audience(object.get("aud"), gateway)?;
    if let Some(from) = object.get("nbf")
        && time("nbf", from)? > now
    {
        let what = format!("it is not valid yet: nbf is {from}, and here it is {now}");
        return Err((Reason::Unauthenticated, what));
    }
    if object.get("typ").is_some_and(|kind| !kind.is_string()) {
        return Err(malformed("typ is no text"));
    }
    let id = name(&object, "jti", MOST_ID)?;
    if !is_id(&id) {
        return Err(malformed("jti has a space, a quote or something that is no ASCII in it"));
    }
    let arguments = match object.remove("args") {
        None => Map::new(),
        Some(Json::Object(arguments)) if arguments.len() <= MOST_ARGUMENTS => arguments,
        Some(Json::Object(arguments)) => {
            let what = format!("args has {} members; at most {MOST_ARGUMENTS} are taken", arguments.len());
            return Err(malformed(what));
        }
        Some(_) => return Err(malformed("args is no JSON object")),
    };
    let dry_run = match object.get("dry_run") {
        None => false,
        Some(Json::Bool(dry_run)) => *dry_run,
        Some(_) => return Err(malformed("dry_run is neither true nor false")),
    };
    Ok(Said {
        id,
        device: name(&object, "device", MOST_NAME)?,
        command: name(&object, "command", MOST_NAME)?,
        arguments,
        requester: name(&object, "iss", MOST_NAME)?,
        expires: time("exp", object.get("exp").ok_or_else(|| missing("exp"))?)?,
        issued: object.get("iat").map(|issued| time("iat", issued)).transpose()?,
        dry_run,
    })
}

/// Whether it may name a request: visible ASCII without quotes, 1 to 64 of them.
pub fn is_id(id: &str) -> bool {
    (1..=MOST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`'))
}

fn malformed(what: impl Into<String>) -> (Reason, String) {
    (Reason::Malformed, what.into())
}

fn missing(key: &str) -> (Reason, String) {
    malformed(format!("the claim `{key}` is missing"))
}

/// A request is for one gateway: what several would take could be brought to a second one by whoever saw it.
fn audience(claim: Option<&Json>, gateway: &str) -> Result<(), (Reason, String)> {
    let named = match claim {
        None => return Err(missing("aud")),
        Some(Json::String(named)) => named,
        Some(Json::Array(names)) => match names.as_slice() {
            [Json::String(named)] => named,
            _ => return Err(malformed("aud is not the name of one gateway")),
        },
        Some(_) => return Err(malformed("aud is not the name of one gateway")),
    };
    if named == gateway {
        return Ok(());
    }
    let what = format!("it is for the gateway `{}`; this one is `{gateway}`", printable(named));
    Err((Reason::Unauthenticated, what))
}

pub(super) fn name(object: &Map<String, Json>, key: &str, most: usize) -> Result<SmolStr, (Reason, String)> {
    let Some(value) = object.get(key) else { return Err(missing(key)) };
    let Json::String(text) = value else { return Err(malformed(format!("{key} is no text"))) };
    if text.is_empty() {
        return Err(malformed(format!("{key} is empty")));
    }
    if text.chars().count() > most {
        return Err(malformed(format!("{key} has more than {most} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(malformed(format!("{key} has control characters in it")));
    }
    Ok(SmolStr::new(text))
}

/// Seconds since 1970, or text as RFC 3339 has it.
pub(super) fn time(key: &str, value: &Json) -> Result<Timestamp, (Reason, String)> {
    let read = match value {
        Json::Number(number) => match number.as_i64() {
            Some(seconds) => seconds.checked_mul(1_000_000_000).map(|nanos| Timestamp::from_nanos(nanos, 0)),
            None => number.as_f64().and_then(fraction),
        },
        Json::String(text) if text.len() <= 64 => zoned(text),
        _ => None,
    };
    read.ok_or_else(|| {
        malformed(format!("{key} is no time: write seconds since 1970, or text such as 2026-05-01T06:00:00Z"))
    })
}

/// Microseconds are kept: a double has no more in this century.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn fraction(seconds: f64) -> Option<Timestamp> {
    // What 64 bits of nanoseconds hold, with room.
    const MOST: f64 = 9_000_000_000.0;
    if !(-MOST..=MOST).contains(&seconds) {
        return None;
    }
    Some(Timestamp::from_nanos(((seconds * 1e6).round() as i64) * 1_000, 6))
}

/// A time without a zone could be anybody's.
fn zoned(text: &str) -> Option<Timestamp> {
    text.get(19..)?.contains(['Z', 'z', '+', '-']).then(|| Timestamp::parse(text))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000, 6);

    fn base() -> Map<String, Json> {
        let json = serde_json::json!({
            "iss": "scheduler", "aud": "cell-7", "jti": "a-1", "exp": 1_800_000_060,
            "device": "Mill-1", "command": "set_job",
        });
        json.as_object().unwrap().clone()
    }

    fn with(changes: &Json) -> Result<Said, (Reason, String)> {
        let mut claims = base();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Json::Null => drop(claims.shift_remove(key)),
                value => drop(claims.insert(key.clone(), value.clone())),
            }
        }
        read(&serde_json::to_vec(&claims).unwrap(), "cell-7", NOW)
    }

    #[test]
    fn the_least_that_a_request_says() {
        let said = with(&serde_json::json!({})).unwrap();
        assert_eq!((said.id.as_str(), said.requester.as_str()), ("a-1", "scheduler"));
        assert_eq!((said.device.as_str(), said.command.as_str()), ("Mill-1", "set_job"));
        assert!(said.arguments.is_empty() && !said.dry_run && said.issued.is_none());
        assert_eq!(said.expires, NOW.shifted(60_000_000_000));
    }

    #[test]
    fn everything_that_a_request_may_say() {
        let said = with(&serde_json::json!({
            "args": { "value": 12, "note": "x" }, "dry_run": true, "iat": 1_800_000_000.25, "typ": "JWT",
            "nbf": 1_800_000_000, "aud": ["cell-7"], "exp": "2027-01-15T09:01:00.5+01:00",
        }))
        .unwrap();
        assert!(said.dry_run && said.arguments.len() == 2);
        assert_eq!(said.issued, Some(NOW.shifted(250_000_000)));
        assert_eq!(said.expires, NOW.shifted(60_500_000_000));
    }

    #[test]
    fn one_that_has_expired_is_read_all_the_same() {
        assert_eq!(with(&serde_json::json!({ "exp": 1 })).unwrap().expires.nanos(), 1_000_000_000);
    }

    #[test]
    fn what_a_request_may_not_say_is_named() {
        let many: Map<String, Json> = (0..65).map(|index| (format!("a{index}"), Json::Null)).collect();
        for (changes, why) in [
            (serde_json::json!({ "dryrun": true }), "unknown claim `dryrun`"),
            (serde_json::json!({ "sub": "x" }), "unknown claim `sub`"),
            (serde_json::json!({ "dry_run": "true" }), "dry_run is neither"),
            (serde_json::json!({ "dry_run": 1 }), "dry_run is neither"),
            (serde_json::json!({ "jti": Json::Null }), "`jti` is missing"),
            (serde_json::json!({ "jti": 7 }), "jti is no text"),
            (serde_json::json!({ "jti": "" }), "jti is empty"),
            (serde_json::json!({ "jti": "a b" }), "jti has a space"),
            (serde_json::json!({ "jti": "a\"b" }), "jti has a space, a quote"),
            (serde_json::json!({ "jti": "ä" }), "no ASCII"),
            (serde_json::json!({ "jti": "x".repeat(65) }), "more than 64"),
            (serde_json::json!({ "exp": Json::Null }), "`exp` is missing"),
            (serde_json::json!({ "exp": true }), "exp is no time"),
            (serde_json::json!({ "exp": 1e300 }), "exp is no time"),
            (serde_json::json!({ "exp": u64::MAX }), "exp is no time"),
            (serde_json::json!({ "exp": i64::MIN }), "exp is no time"),
            (serde_json::json!({ "exp": "2027-01-15T09:01:00" }), "exp is no time"),
            (serde_json::json!({ "exp": "soon" }), "exp is no time"),
            (serde_json::json!({ "exp": "1800000060" }), "exp is no time"),
            (serde_json::json!({ "iat": "x" }), "iat is no time"),
            (serde_json::json!({ "nbf": [] }), "nbf is no time"),
            (serde_json::json!({ "typ": 1 }), "typ is no text"),
            (serde_json::json!({ "aud": Json::Null }), "`aud` is missing"),
            (serde_json::json!({ "aud": ["cell-7", "cell-8"] }), "aud is not the name of one"),
            (serde_json::json!({ "aud": {} }), "aud is not the name of one"),
            (serde_json::json!({ "device": Json::Null }), "`device` is missing"),
            (serde_json::json!({ "device": ["Mill-1"] }), "device is no text"),
            (serde_json::json!({ "device": "a\nb" }), "control characters"),
            (serde_json::json!({ "command": "x".repeat(257) }), "command has more than 256"),
            (serde_json::json!({ "args": [1] }), "args is no JSON object"),
            (serde_json::json!({ "args": many }), "args has 65 members"),
        ] {
            let (reason, said) = with(&changes).unwrap_err();
            assert_eq!(reason, Reason::Malformed, "{changes}");
            assert!(said.contains(why), "{changes}: {said}");
        }
        for (changes, why) in [
            (serde_json::json!({ "aud": "cell-8" }), "for the gateway `cell-8`; this one is `cell-7`"),
            (serde_json::json!({ "aud": "Cell-7" }), "for the gateway `Cell-7`"),
            (serde_json::json!({ "nbf": 1_800_000_001 }), "not valid yet"),
        ] {
            let (reason, said) = with(&changes).unwrap_err();
            assert_eq!(reason, Reason::Unauthenticated, "{changes}");
            assert!(said.contains(why), "{changes}: {said}");
        }
        for payload in ["", "[]", "\"x\"", "null", "{", "{\"iss\":1,\"iss\":2}"] {
            let (reason, _) = read(payload.as_bytes(), "cell-7", NOW).unwrap_err();
            assert_eq!(reason, Reason::Malformed, "{payload}");
        }
    }

    #[test]
    fn what_is_signed_here_is_read_here() {
        for (nanos, shown) in [(NOW.nanos(), "1800000000"), (NOW.nanos() + 125_999_999, "1800000000.125")] {
            let mut args = Map::new();
            args.insert("value".into(), 12.into());
            let exp = Timestamp::from_nanos(nanos, 9);
            let claims = Claims {
                iss: "scheduler",
                aud: "cell-7",
                jti: "7",
                exp,
                device: "Mill-1",
                command: "set_job",
                args: args.clone(),
                dry_run: true,
            };
            let text = serde_json::to_string(&claims).unwrap();
            assert!(text.contains(&format!("\"exp\":{shown},")), "{text}");
            let said = read(text.as_bytes(), "cell-7", NOW).unwrap();
            assert!(said.dry_run && said.arguments == args);
        }
    }

    #[test]
    fn a_signed_request_has_these_claims_and_no_empty_ones() {
        let claims = Claims {
            iss: "twin",
            aud: "hall",
            jti: "1",
            exp: Timestamp::from_nanos(1_000_000_000, 0),
            device: "Cell",
            command: "relay",
            args: serde_json::Map::new(),
            dry_run: false,
        };
        let written = serde_json::to_value(&claims).unwrap();
        let names: Vec<&String> = written.as_object().unwrap().keys().collect();
        assert_eq!(names, ["iss", "aud", "jti", "exp", "device", "command"]);
    }
}
