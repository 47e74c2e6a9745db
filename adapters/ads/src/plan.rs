//! Which variables are read together.

/// The most bytes of one answer. The controller's router passes far larger ones, slowly.
pub const MOST_REPLY: usize = 64 << 10;

/// A variable to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place in the session's points.
    pub slot: usize,
    /// Index group.
    pub group: u32,
    /// Index offset.
    pub offset: u32,
    /// Bytes.
    pub size: usize,
    /// It made a sum read fail as a whole before: it is read by itself.
    pub alone: bool,
}

/// Items in batches of at most `most`, whose answers have at most [`MOST_REPLY`] bytes: a return code and the value
/// of each, and as much for one item more, by which a change of the program is noticed. A larger variable, and one
/// that has to be alone, is a batch of its own.
pub fn batches(items: Vec<Item>, most: usize) -> Vec<Vec<Item>> {
    let mut batches = Vec::new();
    let mut batch: Vec<Item> = Vec::new();
    let mut bytes = 0;
    for item in items {
        if item.alone {
            batches.push(vec![item]);
            continue;
        }
        let needs = 4 + item.size;
        if !batch.is_empty() && (batch.len() >= most || 8 + bytes + needs > MOST_REPLY) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += needs;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(slot: usize, size: usize) -> Item {
        Item { slot, group: 0x4040, offset: 0, size, alone: false }
    }

    proptest! {
        #[test]
        fn no_request_exceeds_the_limits_and_nothing_is_left_out(
            sizes in prop::collection::vec(1_usize..5_000, 0..2_000), most in 1_usize..=500,
        ) {
            let items: Vec<_> = sizes.iter().enumerate().map(|(slot, size)| item(slot, *size)).collect();
            let batches = batches(items, most);
            for batch in &batches {
                prop_assert!((1..=most).contains(&batch.len()));
                let reply: usize = 8 + batch.iter().map(|item| 4 + item.size).sum::<usize>();
                prop_assert!(reply <= MOST_REPLY);
            }
            let slots: Vec<_> = batches.concat().iter().map(|item| item.slot).collect();
            prop_assert_eq!(slots, (0..sizes.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_too_large_or_has_to_be_alone_is_alone() {
        let items = vec![item(0, 4), item(1, MOST_REPLY), Item { alone: true, ..item(2, 4) }, item(3, 4)];
        let slots = |batch: &Vec<Item>| batch.iter().map(|item| item.slot).collect::<Vec<_>>();
        let found: Vec<_> = batches(items, 500).iter().map(slots).collect();
        assert_eq!(found, [vec![0], vec![2], vec![1], vec![3]]);
    }
}
