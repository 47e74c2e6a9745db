//! What a session knows of each point: its request, and what its replies have told.

use std::time::Duration;

use guideway_contract::{DataType, Kind, Native, PointSpec};
use tokio::time::Instant;

use crate::Point;
use crate::address::Address;
use crate::codec::cip::{self, service};
use crate::codec::template::Templates;
use crate::codec::value::{self, DWORD, Shape};

/// How soon a structure that is not described is looked for again: the program may have been changed.
const DESCRIBED_AGAIN: Duration = Duration::from_secs(30);

/// How the last index of an address is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// It counts elements.
    Elements,
    /// It counts bits of a BOOL array, which the controller keeps in words of 32.
    Bools,
}

/// A point with an address that can be read.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its address.
    pub(crate) address: Address,
    /// Its type.
    pub(crate) data_type: DataType,
    form: Form,
    /// The request that reads it.
    request: Vec<u8>,
    /// Whether the other form was tried since the last value.
    tried: bool,
    /// Type, handle and bytes of the last reply.
    pub(crate) known: Option<(Shape, usize)>,
    /// When its structure was last looked for in this session, and what came of it.
    pub(crate) described: Option<(Instant, Result<(), String>)>,
}

impl Target {
    pub(crate) fn new(point: &PointSpec<Point>) -> Result<Self, String> {
        let address: Address = point.address.parse()?;
        let form = if point.data_type.kind == Kind::Bool && point.data_type.count.is_some() {
            Form::Bools
        } else {
            Form::Elements
        };
        let data_type = point.data_type;
        let request = Vec::new();
        let mut target =
            Self { address, data_type, form, request, tried: false, known: None, described: None };
        target.build();
        Ok(target)
    }

    /// What was learned ends with the session: the program may be another one in the next.
    pub(crate) fn forget(&mut self) {
        (self.tried, self.known, self.described) = (false, None, None);
    }

    /// The index of the first bit, where the address is meant so.
    fn first_bool(&self) -> usize {
        self.address.last_index().map_or(0, |index| index as usize % 32)
    }

    /// The path that is read, and how many elements.
    pub(crate) fn place(&self) -> (Vec<u8>, u16) {
        let count = self.data_type.count;
        let (path, elements) = match self.form {
            Form::Bools => {
                let path = self.address.last_index().map_or_else(
                    || self.address.path(),
                    |index| self.address.with_last_index(index / 32).path(),
                );
                (path, (self.first_bool() + count.unwrap_or(1) as usize).div_ceil(32))
            }
            Form::Elements => {
                let elements = match self.data_type.kind {
                    Kind::Chars(length) | Kind::Bytes(length) => length,
                    Kind::Bits(length) => length.div_ceil(32),
                    _ => count.unwrap_or(1),
                };
                (self.address.path(), elements as usize)
            }
        };
        (path, u16::try_from(elements).unwrap_or(u16::MAX))
    }

    fn build(&mut self) {
        let (path, elements) = self.place();
        self.request = cip::request(service::READ, &path, &elements.to_le_bytes());
    }

    /// The request that reads it.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Bytes of a reply: as the last one had, else as the type lets expect.
    pub(crate) fn expected(&self) -> usize {
        if let Some((_, bytes)) = self.known {
            return bytes + 8;
        }
        let (_, elements) = self.place();
        let element = match self.data_type.kind {
            Kind::Text(length) => (length as usize).max(84) + 4,
            Kind::Chars(_) | Kind::Bytes(_) => 1,
            Kind::Bits(_) | Kind::Auto => 4,
            Kind::Bool if self.form == Form::Bools => 4,
            _ => self.data_type.element_bytes().unwrap_or(8) as usize,
        };
        8 + usize::from(elements) * element
    }

    /// Whether it is a single place that may turn out to be in a BOOL array, or the other way round.
    fn may_turn(&self) -> bool {
        let is_bool = matches!(self.data_type.kind, Kind::Bool | Kind::Auto) && self.address.bit.is_none();
        let is_array = self.data_type.count.is_some();
        !self.tried
            && is_bool
            && if is_array { self.data_type.kind == Kind::Bool } else { self.address.last_index().is_some() }
    }

    /// Reads it the other way; whether that is worth trying.
    pub(crate) fn turn(&mut self) -> bool {
        if !self.may_turn() {
            return false;
        }
        self.tried = true;
        self.form = if self.form == Form::Bools { Form::Elements } else { Form::Bools };
        self.build();
        true
    }

    /// Whether a reply of this shape says that the address was meant the other way.
    pub(crate) fn is_turned_by(&self, shape: Shape) -> bool {
        (shape == Shape::Atomic(DWORD)) != (self.form == Form::Bools) && self.may_turn()
    }

    /// Whether its value is a structure that has to be described before it can be read.
    pub(crate) fn wants_description(&self, shape: Shape, templates: &Templates) -> bool {
        let Shape::Structure(handle) = shape else { return false };
        self.data_type.kind == Kind::Auto
            && self.described.as_ref().is_none_or(|(when, _)| when.elapsed() > DESCRIBED_AGAIN)
            && !templates.is_string(handle)
            && templates.by_handle(handle).is_none()
    }

    /// Bits of a word or of a BOOL array: which bit of the element that [`place`](Self::place) names.
    pub(crate) fn bit(&self) -> Option<u8> {
        match self.form {
            Form::Bools if self.data_type.count.is_none() => u8::try_from(self.first_bool()).ok(),
            _ => self.address.bit,
        }
    }

    /// The value in a reply.
    pub(crate) fn value(
        &mut self,
        shape: Shape,
        data: &[u8],
        templates: &Templates,
    ) -> Result<Native, String> {
        self.known = Some((shape, data.len()));
        self.tried = false;
        if let (Some((_, Err(cause))), Shape::Structure(_), Kind::Auto) =
            (&self.described, shape, self.data_type.kind)
        {
            return Err(cause.clone());
        }
        if let Some(bit) = self.bit() {
            return value::bit(shape, data, bit);
        }
        match (self.form, self.data_type.count) {
            (Form::Bools, Some(count)) => value::bools(shape, data, self.first_bool(), count as usize),
            _ => value::decode(shape, data, self.data_type, templates),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: &str, data_type: &str) -> Target {
        Target::new(&PointSpec::new(address, data_type.parse().unwrap(), Point::default())).unwrap()
    }

    #[test]
    fn an_element_that_is_a_word_of_bits_is_read_as_a_bit() {
        let mut target = target("Flags[37]", "auto");
        assert_eq!(target.place(), ("Flags[37]".parse::<Address>().unwrap().path(), 1));
        assert!(target.is_turned_by(Shape::Atomic(DWORD)));
        assert!(target.turn());
        assert_eq!(target.place(), ("Flags[1]".parse::<Address>().unwrap().path(), 1));
        let value = target.value(Shape::Atomic(DWORD), &[0b10_0000, 0, 0, 0], &Templates::default());
        assert_eq!(value, Ok(Native::Bool(true)));
    }

    #[test]
    fn an_array_of_bools_is_read_in_words_that_hold_it() {
        let mut wide = target("Flags[30]", "bool[4]");
        assert_eq!(wide.place(), ("Flags[0]".parse::<Address>().unwrap().path(), 2));
        let value =
            wide.value(Shape::Atomic(DWORD), &[0, 0, 0, 0xC0, 1, 0, 0, 0], &Templates::default()).unwrap();
        assert_eq!(value.to_string(), "[true, true, true, false]");
        assert!(wide.is_turned_by(Shape::Atomic(0xC1)));
    }

    #[test]
    fn an_address_is_turned_once_only() {
        let mut target = target("Flags[37]", "bool");
        assert!(target.turn());
        assert!(!target.turn());
        assert!(!self::target("Rate", "auto").turn());
        assert!(!self::target("Rate[3]", "i32").turn());
    }

    #[test]
    fn what_a_reply_will_have_is_guessed_then_known() {
        let mut target = target("Table", "f32[100]");
        assert_eq!(target.expected(), 408);
        target.value(Shape::Atomic(0xCA), &[0; 400], &Templates::default()).unwrap();
        assert_eq!(target.expected(), 408);
    }
}
