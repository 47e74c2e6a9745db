//! What somebody asks who has proved by a password who they are: JSON that names no requester and no device.

use guideway_contract::Timestamp;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::token::printable;
use super::{claims, strict};

/// Every key that it may have.
const KNOWN: [&str; 4] = ["id", "expires", "arguments", "dry_run"];

/// A request without a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    /// Names the request for ever.
    pub id: SmolStr,
    /// After this it is not acted on any more.
    pub expires: Timestamp,
    /// Arguments by name.
    pub arguments: Map<String, Json>,
    /// Everything but the writes.
    pub dry_run: bool,
}

impl Plain {
    /// Reads `{"id": "…", "expires": "2026-05-01T06:00:00Z" or seconds since 1970, "arguments": {…}, "dry_run": false}`,
    /// of which the first two have to be there. No key may be there twice.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let json = strict::read(body).map_err(|why| format!("the body: {why}"))?;
        let Json::Object(mut object) = json else { return Err("the body is no JSON object".to_owned()) };
        if let Some(unknown) = object.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            let unknown = printable(unknown);
            return Err(format!("unknown key `{unknown}`; a request may have: {}", KNOWN.join(", ")));
        }
        let arguments = match object.remove("arguments") {
            None => Map::new(),
            Some(Json::Object(arguments)) if arguments.len() <= claims::MOST_ARGUMENTS => arguments,
            Some(Json::Object(arguments)) => {
                let most = claims::MOST_ARGUMENTS;
                return Err(format!("arguments has {} members; at most {most} are taken", arguments.len()));
            }
            Some(_) => return Err("arguments is no JSON object".to_owned()),
        };
        let dry_run = match object.get("dry_run") {
            None => false,
            Some(Json::Bool(dry_run)) => *dry_run,
            Some(_) => return Err("dry_run is neither true nor false".to_owned()),
        };
        let text = |key: &str| match object.get(key) {
            None => Err(format!("`{key}` is missing")),
            Some(value) => Ok(value),
        };
        let Json::String(id) = text("id")? else { return Err("id is no text".to_owned()) };
        if !claims::is_id(id) {
            return Err("id has to be 1 to 64 visible ASCII characters without quotes".to_owned());
        }
        let expires = claims::time("expires", text("expires")?).map_err(|(_, what)| what)?;
        Ok(Self { id: id.into(), expires, arguments, dry_run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_an_id_an_end_and_what_else_it_needs() {
        let text = r#"{"id": "a-1", "expires": 1777777777.5, "arguments": {"on": true}, "dry_run": true}"#;
        let plain = Plain::read(text.as_bytes()).unwrap();
        assert_eq!((plain.id.as_str(), plain.dry_run, plain.arguments.len()), ("a-1", true, 1));
        assert_eq!(plain.expires.nanos(), 1_777_777_777_500_000_000);
        let text = r#"{"expires": "2026-05-03T03:09:37.5Z", "id": "a-1"}"#;
        assert_eq!(Plain::read(text.as_bytes()).unwrap().expires.nanos(), plain.expires.nanos());
    }

    #[test]
    fn what_is_missing_unknown_or_there_twice_is_refused() {
        for (text, said) in [
            ("", "the body: "),
            ("[]", "no JSON object"),
            ("{}", "`id` is missing"),
            (r#"{"id": "a"}"#, "`expires` is missing"),
            (r#"{"id": 1, "expires": 1}"#, "id is no text"),
            (r#"{"id": "a b", "expires": 1}"#, "id has to be"),
            (r#"{"id": "", "expires": 1}"#, "id has to be"),
            (r#"{"id": "a", "expires": "soon"}"#, "expires is no time"),
            (r#"{"id": "a", "expires": 1, "arguments": []}"#, "arguments is no JSON object"),
            (r#"{"id": "a", "expires": 1, "dry_run": 1}"#, "neither true nor false"),
            (r#"{"id": "a", "expires": 1, "dryRun": true}"#, "unknown key `dryRun`"),
            (r#"{"id": "a", "expires": 1, "requester": "b"}"#, "unknown key `requester`"),
            (r#"{"id": "a", "expires": 1, "id": "b"}"#, "`id` is there twice"),
        ] {
            let refused = Plain::read(text.as_bytes()).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
