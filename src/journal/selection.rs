//! Which data items a reader wants.

use guideway_contract::ItemIndex;

/// A set of data items.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Every item, also those a later model adds.
    All,
    /// These: bit `i % 64` of word `i / 64`.
    Items(Vec<u64>),
}

impl Selection {
    /// Exactly these items.
    pub fn of(items: impl IntoIterator<Item = ItemIndex>) -> Self {
        let mut words = Vec::new();
        for item in items {
            let word = item.index() / 64;
            if words.len() <= word {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (item.index() % 64);
        }
        Self::Items(words)
    }

    /// Whether the item is wanted.
    pub fn contains(&self, item: ItemIndex) -> bool {
        match self {
            Self::All => true,
            Self::Items(words) => {
                words.get(item.index() / 64).is_some_and(|word| word >> (item.index() % 64) & 1 == 1)
            }
        }
    }
}
