//! `Authorization: Basic`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest name and password together, as they are sent.
const MOST: usize = 1_024;

/// What the field says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Authorization {
    /// There is no such field.
    None,
    /// A name and a password.
    Basic(String, String),
    /// Something else.
    Other,
}

/// Reads the field.
pub(super) fn read(field: &str) -> Authorization {
    if field.is_empty() {
        return Authorization::None;
    }
    let read = || {
        let (scheme, rest) = field.split_once(' ')?;
        let rest = rest.trim();
        if !scheme.eq_ignore_ascii_case("basic") || rest.len() > MOST {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        let is_plain = !text.chars().any(char::is_control);
        (is_plain && !name.is_empty()).then(|| Authorization::Basic(name.to_owned(), password.to_owned()))
    };
    read().unwrap_or(Authorization::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_have_colons_and_a_name_may_not() {
        let basic = |name: &str, password: &str| Authorization::Basic(name.into(), password.into());
        assert_eq!(read("Basic YW5uYTpzOjE="), basic("anna", "s:1"));
        assert_eq!(read("basic  YW5uYTo="), basic("anna", ""));
        assert_eq!(read(""), Authorization::None);
        // No colon, no name, a line feed, no base64, no text.
        for other in
            ["Basic YW5uYQ==", "Basic OmE=", "Basic YW5uYTphCg==", "Basic ****", "Basic /////w==", "Bearer x"]
        {
            assert_eq!(read(other), Authorization::Other, "{other}");
        }
        assert_eq!(read(&format!("Basic {}", "YWE6".repeat(300))), Authorization::Other);
    }
}
