//! Bringing observations into the order of the document.

use crate::journal::Recorded;

/// Indices into `observations`, sorted by `key` and, within one key, as they came. `keys` is how
/// many keys there are; observations whose key is not below it are left out.
pub(super) fn order(
    observations: &[Recorded],
    keys: usize,
    key: impl Fn(&Recorded) -> u32,
) -> Vec<(u32, u32)> {
    let numbered = (0_u32..).zip(observations);
    if keys > observations.len().saturating_mul(4) + 64 {
        let mut order: Vec<(u32, u32)> = numbered
            .map(|(at, observation)| (key(observation), at))
            .filter(|(key, _)| (*key as usize) < keys)
            .collect();
        order.sort_unstable();
        return order;
    }
    // A counting sort: two passes, no comparison.
    let mut starts = vec![0_u32; keys + 1];
    let mut found = Vec::with_capacity(observations.len());
    for observation in observations {
        let key = key(observation);
        found.push(key);
        if let Some(count) = starts.get_mut(key as usize + 1) {
            *count += 1;
        }
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut order = vec![(0, 0); starts[keys] as usize];
    for (at, key) in (0_u32..).zip(found) {
        if (key as usize) < keys {
            let place = &mut starts[key as usize];
            order[*place as usize] = (key, at);
            *place += 1;
        }
    }
    order
}
