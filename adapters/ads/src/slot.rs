//! What a session knows of one point.

use guideway_contract::{Native, PointId, PointSpec, RawReading, SessionEnd, Timestamp, point_id};
use smol_str::SmolStr;

use crate::address::Address;
use crate::codec::return_code::{ReturnCode, state_word};
use crate::codec::symbol::SymbolEntry;
use crate::config::Point;
use crate::layout::Layout;
use crate::link::Link;
use crate::plan::Item;
use crate::resolve::Resolver;

/// Where a point's value is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the session: the ADS state.
    State,
    /// In the controller's memory.
    Memory(Target),
}

/// A place in the controller's memory.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) group: u32,
    pub(crate) offset: u32,
    pub(crate) layout: Layout,
    pub(crate) read_only: bool,
}

/// One point.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    pub(crate) spec: &'a PointSpec<Point>,
    pub(crate) id: PointId,
    pub(crate) address: Result<Address, SmolStr>,
    /// Where it is, or why it cannot be read.
    pub(crate) place: Result<Place, SmolStr>,
    /// The controller watches it by this handle.
    pub(crate) handle: Option<u32>,
    /// It is watched, and a value has come.
    pub(crate) sampled: bool,
    /// It is read by itself: together with others it made everything fail.
    pub(crate) alone: bool,
}

impl<'a> Slot<'a> {
    pub(crate) fn new(index: usize, spec: &'a PointSpec<Point>) -> Self {
        let address = spec.address.parse::<Address>().map_err(SmolStr::from);
        let place = match &address {
            Err(why) => Err(why.clone()),
            Ok(Address::State) => Ok(Place::State),
            Ok(Address::Symbol(_)) => Err(SmolStr::new_static("the program was not asked yet")),
            Ok(Address::Index { group, offset }) => match Layout::declared(spec.data_type) {
                Some(layout) => {
                    Ok(Place::Memory(Target { group: *group, offset: *offset, layout, read_only: false }))
                }
                None => Err(SmolStr::new_static("an index group and offset need a `type` such as \"i16\"")),
            },
        };
        Self { spec, id: point_id(index), address, place, handle: None, sampled: false, alone: false }
    }

    /// The name to ask for while the place is not known.
    pub(crate) fn wanted(&self) -> Option<&SmolStr> {
        match (&self.address, &self.place) {
            (Ok(Address::Symbol(name)), Err(_)) => Some(name),
            _ => None,
        }
    }

    /// Forgets what the program said: it has changed.
    pub(crate) fn forget(&mut self) {
        if let Ok(Address::Symbol(_)) = self.address {
            self.place = Err(SmolStr::new_static("the program has changed"));
        }
        self.handle = None;
        self.sampled = false;
        self.alone = false;
    }

    /// Takes the program's answer to the name.
    pub(crate) async fn resolve(
        &mut self,
        symbol: Result<SymbolEntry, String>,
        resolver: &mut Resolver,
        link: &mut Link,
    ) -> Result<(), SessionEnd> {
        self.place = match symbol {
            Err(why) => Err(why.into()),
            Ok(symbol) => {
                // Bytes need no layout of the program's, so that any structure can be had as bytes.
                let layout = match resolver.layout(link, &symbol).await? {
                    Err(why) if self.spec.data_type.kind == guideway_contract::Kind::Auto => Err(why),
                    Err(_) => Layout::Raw(symbol.size).agreed(self.spec.data_type, &symbol.type_name),
                    Ok(layout) => layout.agreed(self.spec.data_type, &symbol.type_name),
                };
                layout.map_err(SmolStr::from).map(|layout| {
                    let (group, offset, read_only) = (symbol.group, symbol.offset, symbol.is_read_only());
                    Place::Memory(Target { group, offset, layout, read_only })
                })
            }
        };
        Ok(())
    }

    /// As part of a batch; `None` where nothing is to be read from memory.
    pub(crate) fn item(&self, slot: usize) -> Option<Item> {
        match &self.place {
            Ok(Place::Memory(Target { group, offset, layout, .. })) => {
                Some(Item { slot, group: *group, offset: *offset, size: layout.size(), alone: self.alone })
            }
            _ => None,
        }
    }

    /// The reading of these bytes; `None` when they are not as many as the value has.
    pub(crate) fn read(&self, bytes: &[u8], time: Timestamp) -> Option<RawReading> {
        match &self.place {
            Ok(Place::Memory(target)) if bytes.len() == target.layout.size() => {
                let value = target.layout.decode(bytes);
                Some(value.map_or_else(
                    || RawReading::bad(self.id, "no such date", time),
                    |value| RawReading::good(self.id, value, time),
                ))
            }
            _ => None,
        }
    }

    /// The reading where no bytes are needed for it: the state, or why there is none.
    pub(crate) fn without_memory(&self, state: u16, time: Timestamp) -> Option<RawReading> {
        match &self.place {
            Ok(Place::State) => Some(RawReading::good(self.id, Native::text(state_word(state)), time)),
            Ok(Place::Memory(_)) => None,
            Err(why) => Some(RawReading::bad(self.id, why, time)),
        }
    }

    /// The reading when the controller refuses to read it. A symbol whose place is no longer good is asked for anew;
    /// the answer says whether that is so.
    pub(crate) fn refused(&mut self, code: ReturnCode, time: Timestamp) -> (RawReading, bool) {
        let words = SmolStr::from(code.to_string());
        let stale = code.is_stale() && matches!(self.address, Ok(Address::Symbol(_)));
        if stale {
            self.place = Err(words.clone());
        }
        (RawReading::bad(self.id, words, time), stale)
    }
}
