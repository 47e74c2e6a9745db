//! The patterns of the Like operator (part 4, 7.7.3, table 124).

/// One place of a pattern.
enum Piece {
    /// `%`: any text, also none.
    Any,
    /// `_`: one character, whichever.
    One,
    /// A character as it stands, or behind `\`.
    Exactly(char),
    /// `[abc]`, `[a-c]` or, with `except`, `[^abc]`: one character of them, or none of them.
    Class {
        /// Ranges, both ends included; a single character is a range of its own.
        ranges: Vec<(char, char)>,
        /// Whether the class is turned round.
        except: bool,
    },
}

impl Piece {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Exactly(own) => *own == character,
            Self::Class { ranges, except } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *except
            }
        }
    }
}

/// Whether the whole `text` is as `pattern` says. A class that does not end goes to the end of the
/// pattern. Takes at most characters × pieces steps.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let pieces = pieces(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut piece) = (0, 0);
    // Where to go on when what was tried after the last `%` leads nowhere.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                retry = Some((at, piece + 1));
                piece += 1;
            }
            Some(single) if single.takes(text[at]) => {
                at += 1;
                piece += 1;
            }
            _ => {
                let Some((from, after)) = retry else { return false };
                retry = Some((from + 1, after));
                (at, piece) = (from + 1, after);
            }
        }
    }
    pieces[piece..].iter().all(|rest| matches!(rest, Piece::Any))
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut characters = pattern.chars().peekable();
    let mut pieces = Vec::with_capacity(pattern.len());
    while let Some(character) = characters.next() {
        pieces.push(match character {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Exactly(characters.next().unwrap_or('\\')),
            '[' => {
                let except = characters.next_if_eq(&'^').is_some();
                let mut ranges: Vec<(char, char)> = Vec::new();
                while let Some(member) = characters.next() {
                    let member = match member {
                        ']' => break,
                        '\\' => characters.next().unwrap_or('\\'),
                        '-' if !ranges.is_empty() => match characters.peek() {
                            Some(high) if *high != ']' => {
                                if let Some(range) = ranges.last_mut() {
                                    range.1 = *high;
                                }
                                characters.next();
                                continue;
                            }
                            _ => '-',
                        },
                        other => other,
                    };
                    ranges.push((member, member));
                }
                Piece::Class { ranges, except }
            }
            other => Piece::Exactly(other),
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn patterns_are_as_the_standard_gives_them() {
        let cases = [
            ("Spindle over temperature", "%temp%", true),
            ("Spindle over temperature", "Spindle%", true),
            ("Spindle over temperature", "spindle%", false),
            ("main", "main", true),
            ("main", "mai", false),
            ("", "%", true),
            ("", "", true),
            ("a", "", false),
            ("100%", "100\\%", true),
            ("100x", "100\\%", false),
            ("Thin", "Th[ia][ts]%", false),
            ("Things", "Th[ia]n%", true),
            ("Thxn", "Th[^ia]n", true),
            ("Thin", "Th[^ia]n", false),
            ("E404", "E[0-9][0-9][0-9]", true),
            ("Ex04", "E[0-9][0-9][0-9]", false),
            ("a-b", "a[-]b", true),
            ("a]b", "a[\\]]b", true),
            ("ab", "a_", true),
            ("a", "a_", false),
            ("aXbXc", "a%b%c", true),
            ("aXbX", "a%b%c", false),
            ("Öl fehlt", "_l%", true),
        ];
        for (text, pattern, is) in cases {
            assert_eq!(matches(text, pattern), is, "{text:?} like {pattern:?}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        assert!(!matches(&"a".repeat(10_000), &format!("{}b", "%a".repeat(100))));
    }

    proptest! {
        #[test]
        fn a_text_is_like_itself_behind_backslashes(text in "\\PC{0,20}") {
            let pattern: String = text.chars().flat_map(|character| ['\\', character]).collect();
            prop_assert!(matches(&text, &pattern));
        }

        #[test]
        fn no_pattern_panics(text in any::<String>(), pattern in "[-a%_\\\\\\[\\]^]{0,20}") {
            matches(&text, &pattern);
        }
    }
}
