//! What an adapter is to look for.

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

/// The place of a point in its adapter's [`PointTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PointId(pub u32);

impl PointId {
    /// As a slice index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which [`Value`](crate::Value) a point is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A number (SAMPLE, or an event with units).
    Number,
    /// Text (EVENT).
    Text,
    /// Three numbers.
    Vector3,
    /// Samples at a rate.
    TimeSeries,
    /// Keys with values.
    DataSet,
    /// Keys with rows.
    Table,
    /// A condition.
    Condition,
    /// A message with a native code.
    Message,
    /// An asset event: type and id.
    AssetEvent,
}

/// One thing to read from a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where it stands in the table.
    pub id: PointId,
    /// Its native address: an SHDR key, a register, a node id.
    pub address: SmolStr,
    /// What is expected there.
    pub shape: Shape,
    /// Whether its item has a ResetTrigger, so that a value may name what reset it (SHDR's
    /// `value:TRIGGER`). Data sets and tables may always be reset.
    pub resets: bool,
    /// Whether a command may write it.
    pub writable: bool,
    /// The poll or subscription group it belongs to; empty for the adapter's default.
    pub group: SmolStr,
}

/// A device within an adapter's points: sources that carry several devices on one connection name
/// it in front of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(u16);

/// All points of one adapter, found by device and key. Immutable; a changed model makes a new one.
#[derive(Debug, Default)]
pub struct PointTable {
    points: Vec<Point>,
    scopes: Vec<FxHashMap<SmolStr, PointId>>,
    scope_names: FxHashMap<SmolStr, Scope>,
    uuids: FxHashMap<Scope, SmolStr>,
}

impl PointTable {
    /// Starts an empty table.
    pub fn builder() -> PointTableBuilder {
        PointTableBuilder::default()
    }

    /// All points, in order of their ids.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The point of that id.
    pub fn get(&self, id: PointId) -> Option<&Point> {
        self.points.get(id.index())
    }

    /// The device called that (name, uuid or id).
    pub fn scope(&self, device: &str) -> Option<Scope> {
        self.scope_names.get(device).copied()
    }

    /// How many devices there are.
    pub fn scopes(&self) -> usize {
        self.scopes.len()
    }

    /// The uuid of a device, where the builder was told: sources may write `@` for it.
    pub fn uuid(&self, scope: Scope) -> Option<&str> {
        self.uuids.get(&scope).map(SmolStr::as_str)
    }

    /// The first device of the table: the one meant when a key names none.
    pub fn default_scope(&self) -> Option<Scope> {
        (!self.scopes.is_empty()).then_some(Scope(0))
    }

    /// The point known by `key` within a device.
    pub fn find(&self, scope: Scope, key: &str) -> Option<&Point> {
        let id = self.scopes.get(usize::from(scope.0))?.get(key)?;
        self.points.get(id.index())
    }
}

/// Puts a [`PointTable`] together.
#[derive(Debug, Default)]
pub struct PointTableBuilder {
    table: PointTable,
}

impl PointTableBuilder {
    /// Opens a device known by any of `names`; the points that follow are its own. The first
    /// device is the default one. An empty name, or one that is taken, is passed over.
    pub fn device<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> Scope {
        let scope = Scope(u16::try_from(self.table.scopes.len()).unwrap_or(u16::MAX));
        self.table.scopes.push(FxHashMap::default());
        for name in names {
            if !name.is_empty() {
                self.table.scope_names.entry(SmolStr::new(name)).or_insert(scope);
            }
        }
        scope
    }

    /// Says which of a device's names is its uuid.
    pub fn uuid(&mut self, scope: Scope, uuid: &str) {
        if !uuid.is_empty() {
            self.table.uuids.insert(scope, SmolStr::new(uuid));
        }
    }

    /// Adds a point to a device, found by its address and by any of `aliases`. Of two points with
    /// one key the first keeps it: add in order of precedence.
    pub fn point<'n>(
        &mut self,
        scope: Scope,
        address: &str,
        shape: Shape,
        aliases: impl IntoIterator<Item = &'n str>,
    ) -> PointId {
        let id = PointId(u32::try_from(self.table.points.len()).unwrap_or(u32::MAX));
        self.table.points.push(Point {
            id,
            address: SmolStr::new(address),
            shape,
            resets: false,
            writable: false,
            group: SmolStr::default(),
        });
        self.alias(scope, address, id);
        for key in aliases {
            self.alias(scope, key, id);
        }
        id
    }

    /// Another key for a point. A key that is taken keeps its first owner.
    pub fn alias(&mut self, scope: Scope, key: &str, id: PointId) {
        if let Some(keys) = self.table.scopes.get_mut(usize::from(scope.0))
            && !key.is_empty()
        {
            keys.entry(SmolStr::new(key)).or_insert(id);
        }
    }

    /// The point of that id, to set its group, make it writable or let it be reset.
    pub fn edit(&mut self, id: PointId) -> Option<&mut Point> {
        self.table.points.get_mut(id.index())
    }

    /// The finished table.
    pub fn build(self) -> PointTable {
        self.table
    }
}
