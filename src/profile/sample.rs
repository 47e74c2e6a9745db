//! Values of a point's type, for trying expressions before there is a machine.

use guideway_contract::{DataType, Kind, Native};

/// A value of that type; `None` where only the machine knows what comes.
pub(super) fn value(data_type: DataType) -> Option<Native> {
    let one = match data_type.kind {
        Kind::Auto | Kind::Fields => return None,
        Kind::Bool => Native::Bool(false),
        Kind::F32 | Kind::F64 => Native::Float(1.5),
        Kind::Text(_) | Kind::WideText(_) | Kind::Chars(_) => Native::text("1"),
        Kind::Bits(_) | Kind::Bytes(_) => {
            Native::Bytes(vec![0; data_type.element_bytes().unwrap_or(1) as usize].into())
        }
        Kind::U64 => return None,
        _ => Native::Int(1),
    };
    Some(match data_type.count {
        Some(count) => Native::List(vec![one; count as usize].into()),
        None => one,
    })
}

/// The least and the greatest raw value of an integer type.
pub(super) fn range(data_type: DataType) -> Option<(f64, f64)> {
    Some(match data_type.kind {
        Kind::I8 => (-128.0, 127.0),
        Kind::U8 => (0.0, 255.0),
        Kind::I16 => (-32_768.0, 32_767.0),
        Kind::U16 => (0.0, 65_535.0),
        Kind::I32 => (-2_147_483_648.0, 2_147_483_647.0),
        Kind::U32 => (0.0, 4_294_967_295.0),
        _ => return None,
    })
}
