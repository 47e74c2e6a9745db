//! `$NAME` and `${NAME}` in values.

/// Puts in what `lookup` knows. A name that it does not know is left as it stands and returned in
/// the second place. `$$` is a dollar sign where `escapes`; a `$` before anything else is one too.
pub(crate) fn expand(
    text: &str,
    escapes: bool,
    mut lookup: impl FnMut(&str) -> Option<String>,
) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut unknown = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if escapes && after.starts_with('$') {
            out.push('$');
            rest = &after[1..];
            continue;
        }
        let (name, length) = match after.strip_prefix('{') {
            Some(braced) => match braced.find('}') {
                Some(end) => (&braced[..end], end + 2),
                None => ("", 0),
            },
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = &after[..end.unwrap_or(after.len())];
                (name, name.len())
            }
        };
        if name.is_empty() {
            out.push('$');
            rest = after;
            continue;
        }
        match lookup(name) {
            Some(value) => out.push_str(&value),
            None => {
                out.push_str(&rest[at..at + 1 + length]);
                unknown.push(name.to_owned());
            }
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    (out, unknown)
}

/// A variable of the environment; one that is not text counts as not set.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// As [`expand`], for names in braces alone: any other `$` is an ordinary sign.
pub(crate) fn braced(text: &str, mut lookup: impl FnMut(&str) -> Option<String>) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut unknown = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        match lookup(name.trim()) {
            Some(value) => out.push_str(&value),
            None => unknown.push(name.trim().to_owned()),
        }
        rest = behind;
    }
    out.push_str(rest);
    (out, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        (name == "HOST_1").then(|| "mill".to_owned())
    }

    #[test]
    fn variables_are_put_in_with_and_without_braces() {
        assert_eq!(expand("a $HOST_1/${HOST_1}b", true, known), ("a mill/millb".into(), vec![]));
    }

    #[test]
    fn what_is_not_known_stays_and_is_named() {
        assert_eq!(
            expand("$NO-${NO_2}", true, known),
            ("$NO-${NO_2}".into(), vec!["NO".into(), "NO_2".into()])
        );
    }

    #[test]
    fn names_in_braces_alone_leave_other_dollar_signs() {
        assert_eq!(braced("^DB${HOST_1}$ $HOST_1 ${", known), ("^DBmill$ $HOST_1 ${".into(), vec![]));
        assert_eq!(braced("a${no}b", known), ("ab".into(), vec!["no".into()]));
    }

    #[test]
    fn a_dollar_sign_that_names_nothing_is_a_dollar_sign() {
        assert_eq!(expand("5$ $$HOST_1 ${ $/x", true, known), ("5$ $HOST_1 ${ $/x".into(), vec![]));
        assert_eq!(expand("$$HOST_1", false, known).0, "$mill");
    }
}
