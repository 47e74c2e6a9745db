//! Keys to points, quickly.

use std::hash::{BuildHasher, BuildHasherDefault};

use guideway_contract::{PointId, PointTable, Scope, Shape};
use rustc_hash::FxHasher;
use smol_str::SmolStr;

/// What the decoder needs to know of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) point: PointId,
    pub(super) shape: Shape,
    pub(super) resets: bool,
}

/// Remembers which key led to which point, and which key came after it the last time: sources send
/// their keys in the same order again and again, so one comparison is mostly enough.
///
/// The memory is bounded by the number of points; what sources send that is not mapped is not kept.
#[derive(Debug, Default)]
pub(super) struct Keys {
    slots: Vec<Slot>,
    last: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    key: SmolStr,
    scope: Option<Scope>,
    target: Target,
    next: u32,
}

const NOBODY: Target = Target { point: PointId(u32::MAX), shape: Shape::Text, resets: false };

impl Keys {
    /// Forgets everything: the table has changed.
    pub(super) fn clear(&mut self, table: &PointTable) {
        let size = (table.points().len() * 2).next_power_of_two().clamp(16, 1 << 14);
        self.slots.clear();
        // An empty key is never looked up, so an empty slot matches nothing.
        self.slots.resize(size, Slot { key: SmolStr::default(), scope: None, target: NOBODY, next: 0 });
        self.last = 0;
    }

    /// The point meant by `[device:]key`, with `scope` as the device where none is named. A key that
    /// holds a colon of its own is found, too, where its beginning names no device.
    #[inline]
    pub(super) fn find(&mut self, table: &PointTable, scope: Option<Scope>, key: &str) -> Option<Target> {
        let guess = self.slots.get(self.last)?.next as usize;
        let slot = self.slots.get(guess)?;
        if slot.key == key && slot.scope == scope && !key.is_empty() {
            self.last = guess;
            return Some(slot.target);
        }
        self.find_slowly(table, scope, key)
    }

    fn find_slowly(&mut self, table: &PointTable, scope: Option<Scope>, key: &str) -> Option<Target> {
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one((scope, key));
        // The upper half: the hasher leaves its entropy there.
        let at = (hash >> 32) as usize & (self.slots.len() - 1);
        let slot = &self.slots[at];
        let target = if slot.key == key && slot.scope == scope && !key.is_empty() {
            slot.target
        } else {
            let target = resolve(table, scope, key)?;
            self.slots[at] = Slot { key: SmolStr::new(key), scope, target, next: 0 };
            target
        };
        if let Some(last) = self.slots.get_mut(self.last) {
            last.next = u32::try_from(at).unwrap_or(0);
        }
        self.last = at;
        Some(target)
    }
}

fn resolve(table: &PointTable, scope: Option<Scope>, key: &str) -> Option<Target> {
    let named = || {
        let (device, key) = key.split_once(':')?;
        table.find(table.scope(device.trim_ascii())?, key.trim_ascii())
    };
    let point = named().or_else(|| table.find(scope?, key))?;
    Some(Target { point: point.id, shape: point.shape, resets: point.resets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PointTable {
        let mut builder = PointTable::builder();
        let mill = builder.device(["mill", "uuid-1"]);
        builder.point(mill, "x", Shape::Number, ["Xact"]);
        builder.point(mill, "urn:y", Shape::Text, []);
        let lathe = builder.device(["lathe"]);
        builder.point(lathe, "x", Shape::Condition, []);
        builder.build()
    }

    #[test]
    fn a_key_is_found_in_its_device_again_and_again() {
        let table = table();
        let (mill, lathe) = (table.scope("mill"), table.scope("lathe"));
        let mut keys = Keys::default();
        keys.clear(&table);
        for _ in 0..3 {
            for (scope, key, point) in [
                (mill, "x", Some(0)),
                (mill, "Xact", Some(0)),
                (lathe, "x", Some(2)),
                (mill, "lathe:x", Some(2)),
                (lathe, "uuid-1 : x", Some(0)),
                (mill, "urn:y", Some(1)),
                (lathe, "Xact", None),
                (mill, "press:x", None),
                (mill, "", None),
                (None, "x", None),
                (None, "mill:x", Some(0)),
            ] {
                let found = keys.find(&table, scope, key).map(|target| target.point.0);
                assert_eq!(found, point, "{scope:?} {key}");
            }
        }
    }
}
