//! Where each value stands in the file.

use std::collections::BTreeMap;
use std::ops::Range;

/// Key paths, such as `mqtt[1].tls.ca`, and the bytes where they are written.
#[derive(Debug, Default)]
pub(crate) struct Places {
    spans: BTreeMap<String, Range<usize>>,
    /// For each list of tables: the paths of those that were read; tables that were refused leave
    /// their numbers unused.
    elements: BTreeMap<&'static str, Vec<String>>,
}

impl Places {
    /// Takes note of a place.
    pub(crate) fn insert(&mut self, path: impl Into<String>, span: Range<usize>) {
        self.spans.insert(path.into(), span);
    }

    /// Whether the file says something there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.spans.contains_key(path)
    }

    /// Takes note of a table of a list that has become an element of the configuration.
    pub(crate) fn element(&mut self, list: &'static str, path: String) {
        self.elements.entry(list).or_default().push(path);
    }

    /// The path of the `index`th element of a list.
    pub(crate) fn path_of(&self, list: &str, index: usize) -> String {
        let known = self.elements.get(list).and_then(|paths| paths.get(index));
        known.cloned().unwrap_or_else(|| format!("{list}[{index}]"))
    }

    /// The place of a value, or of the nearest table around it; the start of the file for what is
    /// not in it at all.
    pub(crate) fn of(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(span) = self.spans.get(path) {
                return span.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0..0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_is_shown_at_the_table_around_it() {
        let mut places = Places::default();
        places.insert("mqtt[1]", 5..9);
        places.insert("mqtt[1].url", 12..20);
        assert_eq!(places.of("mqtt[1].url"), 12..20);
        assert_eq!(places.of("mqtt[1].tls.ca"), 5..9);
        assert_eq!(places.of("journal.buffer_size"), 0..0);
    }
}
