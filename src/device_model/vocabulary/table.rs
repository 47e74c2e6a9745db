//! Reads the tables. What does not fit their layout is left out; a test sees to it that nothing is.

use smol_str::SmolStr;

use super::super::{Category, SchemaVersion};
use super::{TypeFacts, ValueKind, pascal};

/// Words with the version that brought each.
pub(super) struct Known(Vec<(&'static str, SchemaVersion)>);

impl Known {
    /// Words that stand, indented, below a line `<heading> <version>`.
    pub(super) fn new(text: &'static str, heading: &str) -> Self {
        let mut known = Vec::new();
        let mut since = None;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if !line.starts_with(' ') {
                since = line.strip_prefix(heading).and_then(|version| version.trim().parse().ok());
            } else if let Some(since) = since {
                known.extend(line.split_ascii_whitespace().map(|word| (word, since)));
            }
        }
        known.sort_unstable();
        Self(known)
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }

    pub(super) fn since(&self, word: &str) -> Option<SchemaVersion> {
        let found = self.0.binary_search_by(|(known, _)| (*known).cmp(word)).ok()?;
        self.0.get(found).map(|(_, since)| *since)
    }
}

/// The types of `types.txt`, sorted by name.
pub(super) fn types(text: &'static str) -> Vec<TypeFacts> {
    let mut types: Vec<TypeFacts> = Vec::with_capacity(320);
    let mut words_since = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_ascii_whitespace().peekable();
        if line.starts_with(' ') {
            // The words of the type above, from the version that stands before them.
            if let Some(version) = words.peek().and_then(|word| word.parse::<SchemaVersion>().ok()) {
                words_since = Some(version);
                words.next();
            }
            if let (Some(facts), Some(since)) = (types.last_mut(), words_since) {
                facts.values.extend(words.map(|word| (word, since)));
            }
        } else if let Some(facts) = one_type(words) {
            words_since = None;
            types.push(facts);
        }
    }
    types.sort_unstable_by_key(|facts| facts.name);
    types
}

fn one_type(mut words: impl Iterator<Item = &'static str>) -> Option<TypeFacts> {
    let name = words.next()?;
    let category = match words.next()? {
        "sample" => Category::Sample,
        "event" => Category::Event,
        "condition" => Category::Condition,
        _ => return None,
    };
    let value = match words.next()? {
        "float" => ValueKind::Float,
        "integer" => ValueKind::Integer,
        "3d" => ValueKind::ThreeSpace,
        "time" => ValueKind::Time,
        "text" => ValueKind::Text,
        "words" => ValueKind::Words,
        _ => return None,
    };
    let units = words.next()?;
    let mut facts = TypeFacts {
        name,
        element: pascal(name),
        category,
        value,
        units: if units == "-" { "" } else { units },
        since: words.next()?.parse().ok()?,
        until: SchemaVersion::NEWEST,
        deprecated: None,
        values: Vec::new(),
    };
    while let Some(key) = words.next() {
        let value = words.next()?;
        match key {
            "until" => facts.until = value.parse().ok()?,
            "deprecated" => facts.deprecated = Some(value.parse().ok()?),
            "element" => facts.element = SmolStr::new_static(value),
            _ => return None,
        }
    }
    Some(facts)
}
