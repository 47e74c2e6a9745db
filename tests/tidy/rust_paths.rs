//! Which modules a Rust file names: enough of a reader for `crate::…` and `super::…`, whether in a
//! `use` or in the middle of the code. Comments and texts in quotes do not count.

/// A path that a file names, from the root of its crate: `["journal", "Options"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The segments; a glob is left out.
    pub(crate) path: Vec<String>,
}

/// The module that a file is, from its path below `src`: `journal/ring.rs` is `journal::ring`.
pub(crate) fn module_of(below_src: &str) -> Vec<String> {
    let mut module: Vec<_> = below_src.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// Every path through `crate` and `super` in the text of `module`.
pub(crate) fn paths(module: &[String], text: &str) -> Vec<Named> {
    let tokens = tokens(text);
    let mut named = Vec::new();
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let (token, line) = (&tokens[at].0, tokens[at].1);
        match token.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last().is_some_and(|(_, opened)| *opened > depth) {
                    inner.pop();
                }
            }
            "mod" if tokens.get(at + 2).is_some_and(|(next, _)| next == "{") => {
                inner.push((tokens[at + 1].0.clone(), (depth + 1)));
            }
            // `pub(crate)` and `pub(super)` name nothing, nor does the end of a path (`a::super`).
            "crate" | "super" | "self"
                if tokens.get(at + 1).is_some_and(|(next, _)| next == "::")
                    && !(at > 0 && tokens[at - 1].0 == "::") =>
            {
                let mut base: Vec<String> = module.to_vec();
                base.extend(inner.iter().map(|(name, _)| name.clone()));
                let mut next = at;
                if token == "crate" {
                    base.clear();
                    next += 2;
                }
                while tokens.get(next).is_some_and(|(token, _)| matches!(token.as_str(), "super" | "self")) {
                    if tokens[next].0 == "super" {
                        base.pop();
                    }
                    next += 2;
                }
                tree(&tokens, &mut next, &base, line, &mut named, 0);
            }
            _ => {}
        }
        at += 1;
    }
    named
}

/// `a::b`, `a::{b, c::d}`, `*`.
fn tree(
    tokens: &[(String, usize)],
    at: &mut usize,
    base: &[String],
    line: usize,
    named: &mut Vec<Named>,
    level: usize,
) {
    let mut path = base.to_vec();
    while let Some((token, line_here)) = tokens.get(*at) {
        if token == "{" && level < 32 {
            *at += 1;
            while tokens.get(*at).is_some_and(|(token, _)| token != "}") {
                let before = *at;
                tree(tokens, at, &path, *line_here, named, level + 1);
                while tokens.get(*at).is_some_and(|(token, _)| token != "," && token != "}") {
                    *at += 1; // `as name`
                }
                if tokens.get(*at).is_some_and(|(token, _)| token == ",") {
                    *at += 1;
                }
                if *at == before {
                    return;
                }
            }
            *at += 1;
            return;
        }
        if !token.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            break;
        }
        if token != "self" {
            path.push(token.clone());
        }
        *at += 1;
        if tokens.get(*at).is_some_and(|(token, _)| token == "::") {
            *at += 1;
        } else {
            break;
        }
    }
    named.push(Named { line, path });
}

/// Words, `::` and single signs, each with its line; without comments, texts and characters.
fn tokens(text: &str) -> Vec<(String, usize)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = quoted(rest) {
            length
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push((rest[..length].to_owned(), line));
            length
        } else if rest.starts_with("::") {
            tokens.push(("::".to_owned(), line));
            2
        } else {
            if !first.is_whitespace() {
                tokens.push((first.to_string(), line));
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a text or character in quotes at the beginning, prefix included.
fn quoted(text: &str) -> Option<usize> {
    let prefix = text.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let raw = text[..prefix].contains('r');
    let after = &text[prefix..];
    if raw {
        let hashes = after.find(|c| c != '#')?;
        if !after[hashes..].starts_with('"') {
            return None;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let body = prefix + hashes + 1;
        return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
    }
    if after.starts_with('"') {
        return Some(prefix + until(after, '"'));
    }
    // A lifetime has no closing quote behind its one character.
    let mut characters = after.strip_prefix('\'')?.chars();
    match characters.next()? {
        '\\' => Some(prefix + until(after, '\'')),
        character if characters.next() == Some('\'') => Some(prefix + 2 + character.len_utf8()),
        _ => None,
    }
}

/// The length up to and with the closing quote.
fn until(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + quote.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn read(module: &str, text: &str) -> Vec<String> {
    let module: Vec<_> = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    paths(&module, text).into_iter().map(|named| named.path.join("::")).collect()
}

#[test]
fn paths_are_found_in_uses_and_in_code() {
    let text = "use crate::journal::{self, Options, ring::{Ring, State as S}};\nfn f() -> crate::agent::X { super::y() }";
    let expected =
        ["journal", "journal::Options", "journal::ring::Ring", "journal::ring::State", "agent::X", "a::y"];
    assert_eq!(read("a::b", text), expected);
}

#[test]
fn comments_and_texts_name_nothing() {
    let text = "// crate::a\n/* crate::b /* */ crate::c */ \"crate::d \\\" crate::e\" r#\"crate::f\"# b\"crate::g\" '\"' crate::h";
    assert_eq!(read("", text), ["h"]);
    assert_eq!(read("", "fn f<'a>(x: &'a str) { crate::g('\\'') } // '"), ["g"]);
}

#[test]
fn super_means_the_module_around_it() {
    let text = "mod tests { use super::*; use super::super::other; }\npub(super) fn f() { self::g(); super::super::h() }";
    assert_eq!(read("a::b", text), ["a::b", "a::other", "a::b::g", "h"]);
}

#[test]
fn lines_count_from_one() {
    let named = paths(&[], "\n\"two\nlines\"\nuse crate::a;\nuse crate::{\n  b,\n  c,\n};\n");
    let lines: Vec<_> = named.iter().map(|named| named.line).collect();
    assert_eq!(lines, [4, 5, 5]);
}

#[test]
fn a_file_is_its_module() {
    assert_eq!(module_of("journal/ring.rs"), ["journal", "ring"]);
    assert_eq!(module_of("journal/mod.rs"), ["journal"]);
    assert_eq!(module_of("lib.rs"), [""; 0]);
}
