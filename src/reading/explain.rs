//! serde's messages in the words of somebody who writes a configuration.

use super::suggest;

/// A message and what can be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explained {
    pub(crate) what: String,
    pub(crate) cure: String,
    /// The key that is missing, where that is what is wrong.
    pub(crate) missing: Option<String>,
}

/// Explains a message of serde's about the entry `key`. `more` names further keys that are allowed.
pub(crate) fn serde_message(message: &str, key: Option<&str>, more: &[&str]) -> Explained {
    let message = message.trim();
    let quoted = names(message);
    let explained = |what: String, cure: String| Explained { what, cure, missing: None };
    if message.starts_with("unknown field")
        && let Some((field, known)) = quoted.split_first()
    {
        let known = known.iter().copied().chain(more.iter().copied());
        return explained(format!("unknown key `{field}`"), suggest::cure(field, known));
    }
    if message.starts_with("unknown variant")
        && let Some((variant, known)) = quoted.split_first()
    {
        let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
        let cure = suggest::cure(variant, known.iter().copied());
        return explained(format!("{key}`{variant}` is not one of the choices"), cure);
    }
    if message.starts_with("missing field")
        && let Some(field) = quoted.first()
    {
        return Explained {
            what: format!("`{field}` is missing"),
            cure: format!("add `{field} = …`"),
            missing: Some((*field).to_owned()),
        };
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected "))
        && let Some((least, most)) = range(expected)
    {
        let number = names(found).first().map_or(found, |number| number).to_owned();
        let key = key.unwrap_or("the number");
        return explained(
            format!("{key} {number} is out of range ({least}-{most})"),
            format!("write a number from {least} to {most}"),
        );
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let key = key.unwrap_or("this");
        return explained(
            format!("{key}: {found} where {} is expected", article(expected)),
            kind_cure(expected),
        );
    }
    let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
    explained(format!("{key}{message}"), String::new())
}

/// What stands between backticks.
fn names(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn range(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "u8" => ("0", "255"),
        "u16" => ("0", "65535"),
        "u32" => ("0", "4294967295"),
        "u64" | "usize" => ("0", "9223372036854775807"),
        _ => return None,
    })
}

fn article(kind: &str) -> &str {
    match kind {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "a string" | "path string" | "string" => "text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "f64" => "a number",
        other if other.starts_with("struct ") || other == "a map" => "a table",
        other => other,
    }
}

fn kind_cure(kind: &str) -> String {
    match article(kind) {
        "text in quotes" => "put it in quotes".to_owned(),
        "true or false" => "write `true` or `false`, without quotes".to_owned(),
        "a list" => "write a list in square brackets, such as `[\"one\"]`".to_owned(),
        "a whole number" => "write digits only, without quotes".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_told_with_the_one_that_was_meant() {
        let message = "unknown field `prot`, expected one of `host`, `port`";
        let explained = serde_message(message, Some("prot"), &["name"]);
        assert_eq!(explained.what, "unknown key `prot`");
        assert_eq!(explained.cure, "did you mean `port`?");
        let message = "unknown field `upcse`, expected `host`";
        assert_eq!(serde_message(message, None, &["upcase"]).cure, "did you mean `upcase`?");
    }

    #[test]
    fn a_number_out_of_range_is_told_with_the_range() {
        let message = "invalid value: integer `70000`, expected u16";
        let explained = serde_message(message, Some("port"), &[]);
        assert_eq!(explained.what, "port 70000 is out of range (0-65535)");
    }

    #[test]
    fn a_wrong_type_is_told_in_plain_words() {
        let explained = serde_message("invalid type: string \"5000\", expected u16", Some("port"), &[]);
        assert_eq!(explained.what, "port: string \"5000\" where a whole number is expected");
        assert_eq!(explained.cure, "write digits only, without quotes");
    }

    #[test]
    fn a_missing_key_is_named() {
        assert_eq!(serde_message("missing field `url`", None, &[]).missing.as_deref(), Some("url"));
    }
}
