//! How many nodes go into a request.

use std::ops::Range;

/// What a server says of its limits (`Server.ServerCapabilities.OperationLimits`, OPC 10000-5, 6.3.11), and what the
/// configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes in a Read.
    pub read: usize,
    /// Nodes in a Write.
    pub write: usize,
    /// Methods in a Call.
    pub call: usize,
    /// Nodes in a Browse.
    pub browse: usize,
    /// Paths in a TranslateBrowsePathsToNodeIds.
    pub translate: usize,
    /// Items in a CreateMonitoredItems.
    pub items: usize,
}

impl Limits {
    /// The nodes of the server that tell its limits, in the order in which [`learn`](Self::learn) takes them:
    /// MaxNodesPerRead, -Write, -MethodCall, -Browse, -TranslateBrowsePathsToNodeIds, MaxMonitoredItemsPerCall.
    pub const NODES: [u32; 6] = [11_705, 11_707, 11_709, 11_710, 11_712, 11_714];

    /// Where the server says nothing.
    pub fn new(most: u32) -> Self {
        let most = (most as usize).max(1);
        Self { read: most, write: most, call: most, browse: most, translate: most, items: most }
    }

    /// Keeps to what the server says; 0 and nothing mean that it has no limit.
    pub fn learn(&mut self, said: impl IntoIterator<Item = Option<u32>>) {
        let own = [
            &mut self.read,
            &mut self.write,
            &mut self.call,
            &mut self.browse,
            &mut self.translate,
            &mut self.items,
        ];
        for (own, said) in own.into_iter().zip(said) {
            if let Some(said) = said.filter(|said| *said > 0) {
                *own = (*own).min(said as usize);
            }
        }
    }
}

/// The stretches of a list that go into one request each.
pub fn requests(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let most = most.max(1);
    (0..count).step_by(most).map(move |start| start..(start + most).min(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_limits_are_kept_and_nothing_means_none() {
        let mut limits = Limits::new(1_000);
        limits.learn([Some(100), None, Some(0), Some(5_000)]);
        assert_eq!(limits, Limits { read: 100, ..Limits::new(1_000) });
        assert_eq!(Limits::new(0).read, 1);
    }

    proptest::proptest! {
        #[test]
        fn no_request_is_larger_than_the_limit_and_nothing_is_left_out(count in 0_usize..5_000, most in 0_usize..1_200) {
            let all: Vec<usize> = requests(count, most)
                .inspect(|request| assert!(!request.is_empty() && request.len() <= most.max(1)))
                .flatten()
                .collect();
            proptest::prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
