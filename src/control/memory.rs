//! Which requests there have been: the same id never acts twice.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use guideway_contract::Timestamp;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smol_str::SmolStr;

use super::request::{Claim, End};

/// Requests that are remembered. What is forgotten has expired, so that it comes back as expired only.
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

/// What is remembered of a request.
#[derive(Debug)]
struct Request {
    fingerprint: u64,
    expires: Timestamp,
    has_ended: bool,
    /// While it is kept.
    end: Option<Box<End>>,
}

/// Whether a request may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Its id was not used, and is from now on.
    New,
    /// Its id was used.
    Known,
    /// Every id that is remembered could come again: none may be forgotten for it.
    Full,
}

/// Ids, oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: FxHashMap<SmolStr, Request>,
    order: VecDeque<SmolStr>,
    ended: VecDeque<SmolStr>,
}

impl Memory {
    /// What is known of a claim's id.
    pub(super) fn find(&self, claim: &Claim) -> Known {
        let print = fingerprint(claim);
        match self.known.get(&claim.id) {
            None => Known::New,
            Some(Request { fingerprint, .. }) if *fingerprint != print => Known::Other,
            Some(Request { end: Some(end), .. }) => Known::Ended(end.clone()),
            Some(Request { has_ended: true, .. }) => Known::Forgotten,
            Some(_) => Known::Running,
        }
    }

    /// A request begins at a time, perhaps in an earlier run. The oldest one is forgotten for it that could not act any
    /// more if it came again.
    pub(super) fn begin(&mut self, claim: &Claim, now: Timestamp) -> Begun {
        if self.known.contains_key(&claim.id) {
            return Begun::Known;
        }
        if self.order.len() >= MOST_REMEMBERED {
            let is_over = |id: &SmolStr| {
                self.known.get(id).is_none_or(|it| it.has_ended && it.expires.nanos() < now.nanos())
            };
            let Some(at) = self.order.iter().position(is_over) else { return Begun::Full };
            if let Some(oldest) = self.order.remove(at) {
                self.known.remove(&oldest);
            }
        }
        let fingerprint = fingerprint(claim);
        let request = Request { fingerprint, expires: claim.expires, has_ended: false, end: None };
        self.known.insert(claim.id.clone(), request);
        self.order.push_back(claim.id.clone());
        Begun::New
    }

    /// A request has ended.
    pub(super) fn end(&mut self, end: &End) {
        if let Some(request) = self.known.get_mut(&end.id) {
            (request.end, request.has_ended) = (Some(Box::new(end.clone())), true);
            self.ended.push_back(end.id.clone());
        }
        while self.ended.len() > MOST_ENDS {
            if let Some(request) = self.ended.pop_front().and_then(|oldest| self.known.get_mut(&oldest)) {
                request.end = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Face, Reason, Requester};
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000, 6);

    fn claim(number: usize, seconds: i64) -> Claim {
        Claim {
            id: format!("r{number}").into(),
            device: "Cell".into(),
            command: "load".into(),
            arguments: serde_json::Map::new(),
            requester: Requester { name: "twin".into(), face: Face::Local, roles: Vec::new() },
            expires: NOW.shifted(seconds * 1_000_000_000),
            dry_run: false,
            reply_to: None,
        }
    }

    fn end(claim: &Claim) -> End {
        End::rejected(&claim.id, &claim.device, &claim.command, Reason::Busy, "")
    }

    #[test]
    fn no_id_is_forgotten_that_could_still_act() {
        let mut memory = Memory::default();
        for number in 0..MOST_REMEMBERED {
            let claim = claim(number, 60);
            assert_eq!(memory.begin(&claim, NOW), Begun::New);
            memory.end(&end(&claim));
        }
        assert_eq!(memory.begin(&claim(0, 60), NOW), Begun::Known);
        assert_eq!(memory.begin(&claim(MOST_REMEMBERED, 60), NOW), Begun::Full);
        assert_eq!(memory.begin(&claim(MOST_REMEMBERED, 200), NOW.shifted(61_000_000_000)), Begun::New);
        assert!(matches!(memory.find(&claim(0, 60)), Known::New), "the oldest has made room");
        assert!(matches!(memory.find(&claim(1, 60)), Known::Forgotten));
        assert!(matches!(memory.find(&claim(MOST_REMEMBERED - 1, 60)), Known::Ended(_)));
        assert_eq!(memory.known.len(), MOST_REMEMBERED);
    }
}
