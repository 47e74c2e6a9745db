//! From values of OPC UA to raw values of points and back: pure functions, apart from all I/O.

pub mod fit;
pub mod select;
pub mod structure;
pub mod value;
pub mod write;

use opcua_types::{BinaryDecodable as _, ContextOwned, DataValue, NodeId};

/// Decodes bytes as a value, and as a structure that nests in itself; for the fuzz target.
pub fn fuzz(data: &[u8]) {
    let context = ContextOwned::default();
    let shapes = structure::Shapes::for_fuzz();
    if let Ok(value) = DataValue::decode(&mut &data[..], &context.context())
        && let Some(value) = &value.value
    {
        let native = value::native(value, &shapes);
        for kind in ["bool", "i16", "u64", "f32", "string[8]", "u8[3]"] {
            let Ok(data_type) = kind.parse() else { continue };
            drop(fit::fit(data_type, native.clone()));
        }
        if let Some(target) = write::Target::of(value) {
            drop(write::variant(&native, target));
        }
        if let Ok(index) = select::Index::parse("1:2,0") {
            drop(index.of(&native));
        }
    }
    drop(shapes.decode(&NodeId::new(1, 2_u32), data));
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            super::fuzz(&data);
        }
    }
}
