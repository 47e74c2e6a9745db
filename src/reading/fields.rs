//! The keys that a serde struct takes, asked of the struct itself.
//!
//! The table of an adapter is shared between the gateway (name, devices, pipeline) and the
//! protocol's own configuration. serde's `flatten` cannot refuse unknown keys, so the reader splits
//! the table by key instead, and for that needs to know whose keys are whose.

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The keys of `T`; empty when `T` is no struct with named fields.
pub(crate) fn of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Always an error: nothing is read, only the names are taken note of.
    let _ = T::deserialize(Asking(&mut fields));
    fields
}

struct Asking<'a>(&'a mut &'static [&'static str]);

type Nothing = serde::de::value::Error;

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = Nothing;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Nothing> {
        *self.0 = fields;
        Err(Nothing::custom("only asked for its keys"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Nothing> {
        Err(Nothing::custom("only asked for its keys"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_struct_tells_its_keys_by_the_names_that_the_file_uses() {
        let keys = super::of::<crate::northbound::mqtt::Options>();
        assert!(keys.contains(&"url") && keys.contains(&"topic_prefix"));
        assert!(super::of::<u16>().is_empty());
    }
}
