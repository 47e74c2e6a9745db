//! Why the controller did not do what was asked, in words for an operator.

use crate::address::{Area, Place};

/// A controller's no: to one item, or to a whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Return code of one item; 0xFF, which is yes, is none.
    Item(u8),
    /// Error class and code of the whole request.
    Request(u8, u8),
}

impl Denial {
    /// Whether nothing of the data block or area can be had, so that looking for the bad part is idle.
    pub const fn of_whole_area(self) -> bool {
        matches!(self, Self::Item(0x0A) | Self::Request(0x81, 0x04))
    }

    /// What is wrong with reading or writing up to byte `end` (not included) of a place.
    pub fn about(self, place: Place, end: u32) -> String {
        const PERMIT: &str = "PUT/GET is not permitted: TIA Portal > CPU properties > Protection & Security > \
                              Connection mechanisms";
        let area = place.to_string();
        let data = place.area == Area::Data;
        match self {
            Self::Item(0x05) if data => {
                format!("{area} is shorter than {end} bytes, or its \"Optimized block access\" is on")
            }
            Self::Item(0x05) if place.area.counted() => {
                format!("the controller has no {area}{}", place.start / 2)
            }
            Self::Item(0x05) => format!("area {area} is shorter than {end} bytes"),
            Self::Item(0x0A) if data => {
                format!("the controller has no {area}, or its \"Optimized block access\" is on, or {PERMIT}")
            }
            Self::Item(0x0A) => format!("the controller does not give out area {area}"),
            Self::Item(0x03) => format!("access to {area} is denied: {area} is protected, or {PERMIT}"),
            Self::Item(0x01) => format!("{area}: hardware error"),
            Self::Item(0x06 | 0x07) => format!("{area}: the data type is not supported or does not fit"),
            Self::Item(code) => format!("{area}: the controller answers with return code {code:#04x}"),
            Self::Request(0x81, 0x04) => format!("the controller does not do that; most likely {PERMIT}"),
            Self::Request(0x85, _) => "the controller finds the telegram too long; lower `pdu`".to_owned(),
            Self::Request(0x84, 0x04) => format!("{area}: the controller cannot access it up to byte {end}"),
            Self::Request(0xD6, _) | Self::Request(0xD2, 0x41) => {
                format!("{area}: the controller's protection level forbids it")
            }
            Self::Request(class, code) => {
                format!("the controller refuses the request (error class {class:#04x}, code {code:#04x})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_name_the_block_and_the_cure() {
        let place = Place { area: Area::Data, db: 5, start: 8 };
        assert_eq!(
            Denial::Item(5).about(place, 12),
            "DB5 is shorter than 12 bytes, or its \"Optimized block access\" is on"
        );
        assert!(Denial::Item(0x0A).about(place, 12).starts_with("the controller has no DB5"));
        for denial in [Denial::Item(3), Denial::Item(0x0A), Denial::Request(0x81, 4)] {
            assert!(denial.about(place, 12).contains("PUT/GET"), "{denial:?}");
        }
        let timer = Place { area: Area::Timers, db: 0, start: 600 };
        assert_eq!(Denial::Item(5).about(timer, 602), "the controller has no T300");
    }
}
