//! Which requests there have been: the same id never acts twice.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use rustc_hash::{FxBuildHasher, FxHashMap};
use smol_str::SmolStr;

use super::request::{Claim, End};

/// Requests that are remembered. A request is valid for minutes, so one that is older comes back only as expired; this
/// many are remembered beyond that.
const MOST_REMEMBERED: usize = 100_000;
/// Ends that are kept to be told again.
const MOST_ENDS: usize = 5_000;

/// What a request asks for, in short: the same id with other contents is another request.
fn fingerprint(claim: &Claim) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    (&claim.requester.name, &claim.device, &claim.command, claim.dry_run).hash(&mut hasher);
    let mut arguments: Vec<(&String, String)> =
        claim.arguments.iter().map(|(name, value)| (name, value.to_string())).collect();
    arguments.sort();
    arguments.hash(&mut hasher);
    hasher.finish()
}

/// What is known of an id.
#[derive(Debug)]
pub(super) enum Known {
    /// It is new.
    New,
    /// The same request is on its way.
    Running,
    /// The same request has ended so.
    Ended(Box<End>),
    /// The same request has ended; how is in the audit only.
    Forgotten,
    /// Another request had this id.
    Other,
}

/// Ids, oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By id: the fingerprint, the end if it is kept, and whether there is one.
    known: FxHashMap<SmolStr, (u64, Option<Box<End>>, bool)>,
    order: VecDeque<SmolStr>,
    ended: VecDeque<SmolStr>,
}

impl Memory {
    /// What is known of a claim's id.
    pub(super) fn find(&self, claim: &Claim) -> Known {
        let print = fingerprint(claim);
        match self.known.get(&claim.id) {
            Some((known, ..)) if *known != print => Known::Other,
            Some((_, Some(end), _)) => Known::Ended(end.clone()),
            Some((_, None, true)) => Known::Forgotten,
            Some((_, None, false)) => Known::Running,
            None => Known::New,
        }
    }

    /// Whether there has been a request of that id.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// A request begins, perhaps in an earlier run: its id is used from now on. Whether it was not before.
    pub(super) fn begin(&mut self, claim: &Claim) -> bool {
        if self.known.contains_key(&claim.id) {
            return false;
        }
        self.known.insert(claim.id.clone(), (fingerprint(claim), None, false));
        self.order.push_back(claim.id.clone());
        while self.order.len() > MOST_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        true
    }

    /// A request has ended.
    pub(super) fn end(&mut self, end: &End) {
        if let Some((_, kept, has_ended)) = self.known.get_mut(&end.id) {
            (*kept, *has_ended) = (Some(Box::new(end.clone())), true);
            self.ended.push_back(end.id.clone());
        }
        while self.ended.len() > MOST_ENDS {
            if let Some((_, kept, _)) = self.ended.pop_front().and_then(|oldest| self.known.get_mut(&oldest))
            {
                *kept = None;
            }
        }
    }
}
