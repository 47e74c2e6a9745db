//! Topic names made of values from the machines.

/// Adds `value` as (part of) one level of a topic: what separates levels (`/`), is a wildcard
/// (`+`, `#`) or is not allowed (NUL and other control characters; MQTT 5, 1.5.4 and 4.7.3) becomes
/// `_`.
pub(super) fn push_level(topic: &mut String, value: &str) {
    if value.bytes().all(|byte| !is_special(byte) && byte < 0x80) {
        topic.push_str(value);
        return;
    }
    topic.extend(value.chars().map(|c| match u8::try_from(c) {
        Ok(byte) if is_special(byte) || c.is_control() => '_',
        _ => c,
    }));
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, b'/' | b'+' | b'#' | 0..0x20 | 0x7f)
}

/// Adds `/` and the value as a level, or nothing when the value is empty.
pub(super) fn push_next_level(topic: &mut String, value: &str) {
    if value.is_empty() {
        return;
    }
    if !topic.is_empty() {
        topic.push('/');
    }
    push_level(topic, value);
}

/// Takes out empty levels that empty values left behind, except one before everything.
pub(super) fn drop_empty_levels(topic: &mut String) {
    if !topic.contains("//") && !topic.ends_with('/') {
        return;
    }
    let mut last = '\0';
    topic.retain(|c| {
        let keep = c != '/' || last != '/';
        last = c;
        keep
    });
    if topic.len() > 1 && topic.ends_with('/') {
        topic.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_stays_within_its_level() {
        let mut topic = String::from("plant");
        push_next_level(&mut topic, "a/b+c#d\0e\u{7f}");
        push_next_level(&mut topic, "");
        push_next_level(&mut topic, "Fräse 1");
        assert_eq!(topic, "plant/a_b_c_d_e_/Fräse 1");
    }

    #[test]
    fn empty_levels_go_and_a_leading_slash_stays() {
        for (before, after) in [("a//b///c", "a/b/c"), ("/a//b/", "/a/b"), ("a/b", "a/b"), ("/", "/")] {
            let mut topic = before.to_owned();
            drop_empty_levels(&mut topic);
            assert_eq!(topic, after);
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_a_topic_invalid(value in ".*") {
            let mut topic = String::new();
            push_level(&mut topic, &value);
            prop_assert!(!topic.contains(['/', '+', '#', '\0']));
            prop_assert!(!topic.chars().any(char::is_control));
            prop_assert_eq!(topic.chars().count(), value.chars().count());
        }
    }
}
