//! Text: characters that documents can carry, and upper case.

use guideway_contract::{Cell, Condition, DataSet, Entry, Message, Value};
use smol_str::{SmolStr, StrExt};

use std::sync::Arc;

/// Whether XML 1.0 (clause 2.2) can carry every character of the text.
#[inline]
pub(super) fn is_clean(text: &str) -> bool {
    // U+FFFE and U+FFFF begin with 0xEF in UTF-8, which is rare enough to look closer.
    text.bytes().all(|byte| byte >= 0x20 && byte != 0xEF) || text.chars().all(is_allowed)
}

fn is_allowed(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// The text with every character that XML cannot carry replaced by U+FFFD.
fn clean(text: &str) -> SmolStr {
    text.chars().map(|c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn clean_in(text: &mut SmolStr) {
    if !is_clean(text) {
        *text = clean(text);
    }
}

/// Makes every text in the value one that documents can carry. Returns whether it had to.
pub(super) fn clean_value(value: &mut Value) -> bool {
    match value {
        Value::Text(text) if !is_clean(text) => *text = clean(text),
        Value::Message(message) if !is_clean(&message.native_code) || !is_clean(&message.text) => {
            let (native_code, text) = (clean(&message.native_code), clean(&message.text));
            *message = Arc::new(Message { native_code, text });
        }
        Value::Condition(condition) if !condition_texts(condition).into_iter().all(|t| is_clean(t)) => {
            let mut cleaned = (**condition).clone();
            clean_in(&mut cleaned.native_code);
            clean_in(&mut cleaned.native_severity);
            clean_in(&mut cleaned.message);
            clean_in(&mut cleaned.condition_id);
            *condition = Arc::new(cleaned);
        }
        Value::DataSet(set) if !set.entries().iter().all(is_clean_entry) => {
            let mut entries = set.entries().to_vec();
            entries.iter_mut().for_each(clean_entry);
            *set = Arc::new(DataSet::new(set.reset.clone(), entries));
        }
        _ => return false,
    }
    true
}

fn condition_texts(condition: &Condition) -> [&SmolStr; 4] {
    [&condition.native_code, &condition.native_severity, &condition.message, &condition.condition_id]
}

fn is_clean_entry(entry: &Entry) -> bool {
    is_clean(&entry.key)
        && match &entry.cell {
            Cell::Text(text) => is_clean(text),
            Cell::Row(cells) => cells.iter().all(is_clean_entry),
            Cell::Removed | Cell::Integer(_) | Cell::Number(_) => true,
        }
}

fn clean_entry(entry: &mut Entry) {
    clean_in(&mut entry.key);
    match &mut entry.cell {
        Cell::Text(text) => clean_in(text),
        Cell::Row(cells) => cells.iter_mut().for_each(clean_entry),
        Cell::Removed | Cell::Integer(_) | Cell::Number(_) => {}
    }
}

/// The text in upper case (ASCII letters only: a locale's rules would change what machines say), or
/// `None` when it is so already.
pub(super) fn upcase(text: &SmolStr) -> Option<SmolStr> {
    text.bytes().any(|byte| byte.is_ascii_lowercase()).then(|| text.to_ascii_uppercase_smolstr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_line_ends_and_every_script_stay_as_they_are() {
        for text in ["", "a\tb\r\nc", "Fräser läuft", "主軸", "\u{FFFD}", "\u{FEFF}x", "😀"] {
            let mut value = Value::text(text);
            assert!(!clean_value(&mut value), "{text:?}");
            assert_eq!(value, Value::text(text));
        }
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_replaced() {
        let mut value = Value::text("a\u{0}b\u{1B}[31m\u{FFFF}");
        assert!(clean_value(&mut value));
        assert_eq!(value, Value::text("a\u{FFFD}b\u{FFFD}[31m\u{FFFD}"));
    }

    #[test]
    fn conditions_messages_and_data_sets_are_cleaned_within() {
        let row = Cell::Row(vec![Entry { key: "k".into(), cell: Cell::Text("\u{2}".into()) }]);
        let set = DataSet::new(None, vec![Entry { key: "a\u{1}".into(), cell: row }]);
        let mut value = Value::DataSet(Arc::new(set));
        assert!(clean_value(&mut value));
        let Value::DataSet(set) = value else { panic!("still a data set") };
        assert!(set.entries().iter().all(is_clean_entry));

        let mut value =
            Value::Message(Arc::new(Message { native_code: "1".into(), text: "\u{3}stop".into() }));
        assert!(clean_value(&mut value));
        assert!(matches!(&value, Value::Message(message) if message.text == "\u{FFFD}stop"));
        assert!(!clean_value(&mut value));
    }

    #[test]
    fn upper_case_is_for_ascii_letters_and_knows_when_nothing_is_to_do() {
        assert_eq!(upcase(&"Ready".into()).as_deref(), Some("READY"));
        assert_eq!(upcase(&"grün".into()).as_deref(), Some("GRüN"));
        assert_eq!(upcase(&"READY 12".into()), None);
    }
}
