//! Structures by the definition that the server gives of them (OPC 10000-3, 8.48, and OPC 10000-6, 5.2.6).
//!
//! The library can do this too, but follows a structure that contains itself as deep as the server wishes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use guideway_contract::Native;
use opcua_types::type_loader::{ByteStringBody, Context, TypeLoader, TypeLoaderPriority};
use opcua_types::{
    BinaryDecodable, ByteString, ContextOwned, DataValue, DateTime, DynEncodable, EncodingResult, Error,
    ExpandedNodeId, ExtensionObject, Guid, LocalizedText, NodeId, ObjectId, QualifiedName, StatusCode,
    UAString, Variant, VariantScalarTypeId,
};
use smol_str::SmolStr;

use super::value;

/// Structures in structures are followed so deep.
const DEEPEST: usize = 16;
/// Most elements of all arrays of one structure.
const MOST_ELEMENTS: usize = 100_000;
/// Most bytes of one structure.
const MOST_BYTES: usize = 4 << 20;

/// For values in structures, whose own structures are not followed.
static NONE: LazyLock<Shapes> = LazyLock::new(Shapes::default);

/// How the fields of a structure follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All of them.
    Plain,
    /// Optional ones as a mask in front says.
    Optional,
    /// The one that a number in front says.
    Union,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    /// A built-in type.
    Scalar(VariantScalarTypeId),
    /// The structure with this data type.
    Structure(NodeId),
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: SmolStr,
    /// What it holds.
    pub holds: Holds,
    /// Dimensions; 0 for one value.
    pub dimensions: u8,
    /// Whether the mask says if it is there.
    pub optional: bool,
}

/// One structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// How its fields follow each other.
    pub layout: Layout,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// The structures of a server, by data type and by encoding.
#[derive(Debug, Default)]
pub struct Shapes {
    shapes: HashMap<NodeId, Arc<Shape>>,
    context: ContextOwned,
    /// Nanoseconds by which the server's clock is ahead of ours. The library has taken them from each time but those
    /// of sources and those in structures, which it does not read.
    pub ahead: i64,
}

impl Shapes {
    /// Adds a structure under its data type, and under its binary encoding where that is known.
    pub fn add(&mut self, data_type: NodeId, encoding: Option<NodeId>, shape: Shape) {
        let shape = Arc::new(shape);
        if let Some(encoding) = encoding.filter(|encoding| !encoding.is_null()) {
            self.shapes.insert(encoding, shape.clone());
        }
        self.shapes.insert(data_type, shape);
    }

    /// Whether a data type or encoding is known.
    pub fn knows(&self, id: &NodeId) -> bool {
        self.shapes.contains_key(id)
    }

    /// Reads the structure with that encoding or data type.
    ///
    /// # Errors
    /// Nobody knows the type, or the bytes are not of it.
    pub fn decode(&self, id: &NodeId, bytes: &[u8]) -> Result<Native, String> {
        let shape = self.shapes.get(id).ok_or_else(|| {
            format!("a structure with the encoding {id}, and the server does not say how it is made up")
        })?;
        let mut reader =
            Reader { rest: bytes, left: MOST_ELEMENTS, shapes: self, context: self.context.context() };
        reader.structure(shape, 0).map_err(|cause| format!("the structure cannot be read: {cause}"))
    }

    /// A structure of every kind of field, which contains itself.
    pub(super) fn for_fuzz() -> Self {
        let mut shapes = Self::default();
        let own = NodeId::new(1, 1_u32);
        let mut fields: Vec<Field> = (1..=25_u32)
            .filter_map(|kind| VariantScalarTypeId::try_from(kind).ok())
            .map(|kind| Field {
                name: SmolStr::new(kind.to_string()),
                holds: Holds::Scalar(kind),
                dimensions: 0,
                optional: true,
            })
            .collect();
        let inner = Holds::Structure(own.clone());
        fields.push(Field { name: "Self".into(), holds: inner, dimensions: 1, optional: true });
        shapes.add(own, Some(NodeId::new(1, 2_u32)), Shape { layout: Layout::Optional, fields });
        shapes
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
    shapes: &'a Shapes,
    context: Context<'a>,
}

impl Reader<'_> {
    fn get<T: BinaryDecodable>(&mut self) -> Result<T, String> {
        T::decode(&mut self.rest, &self.context).map_err(|error| error.to_string())
    }

    fn structure(&mut self, shape: &Shape, depth: usize) -> Result<Native, String> {
        if depth > DEEPEST {
            return Err("it is nested too deep".into());
        }
        // A type may be made of nothing but types: their number is limited too.
        self.left = self.left.checked_sub(1).ok_or("too many elements")?;
        let mut fields = Vec::with_capacity(shape.fields.len());
        match shape.layout {
            Layout::Union => {
                let which = self.get::<u32>()? as usize;
                let Some(which) = which.checked_sub(1) else { return Ok(Native::Null) };
                let field = shape.fields.get(which).ok_or("the union has no such field")?;
                fields.push((field.name.clone(), self.field(field, depth)?));
            }
            Layout::Plain => {
                for field in &shape.fields {
                    fields.push((field.name.clone(), self.field(field, depth)?));
                }
            }
            Layout::Optional => {
                let mut mask = self.get::<u32>()?;
                for field in &shape.fields {
                    let mut there = true;
                    if field.optional {
                        there = mask & 1 == 1;
                        mask >>= 1;
                    }
                    let value = if there { self.field(field, depth)? } else { Native::Null };
                    fields.push((field.name.clone(), value));
                }
            }
        }
        Ok(Native::Record(fields.into()))
    }

    fn field(&mut self, field: &Field, depth: usize) -> Result<Native, String> {
        match field.dimensions {
            0 => self.one(&field.holds, depth),
            1 => {
                let length = self.get::<i32>()?;
                self.list(&field.holds, length, depth)
            }
            // Dimensions, then the elements, the last dimension fastest.
            more => {
                let count = self.get::<i32>()?;
                if count != i32::from(more) {
                    return Err(format!("{count} dimensions in place of {more}"));
                }
                let mut length = 1_i32;
                for _ in 0..count {
                    length = length.checked_mul(self.get::<i32>()?).ok_or("too many elements")?;
                }
                self.list(&field.holds, length, depth)
            }
        }
    }

    fn list(&mut self, holds: &Holds, length: i32, depth: usize) -> Result<Native, String> {
        let Ok(length) = usize::try_from(length) else { return Ok(Native::Null) };
        self.left = self.left.checked_sub(length).ok_or("too many elements")?;
        let mut values = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            values.push(self.one(holds, depth)?);
        }
        Ok(Native::List(values.into()))
    }

    fn one(&mut self, holds: &Holds, depth: usize) -> Result<Native, String> {
        let kind = match holds {
            Holds::Scalar(kind) => *kind,
            Holds::Structure(data_type) => {
                let shapes = self.shapes;
                let shape =
                    shapes.shapes.get(data_type).ok_or_else(|| format!("{data_type} is not known"))?;
                return self.structure(shape, depth + 1);
            }
        };
        let read = match kind {
            VariantScalarTypeId::Boolean => Variant::from(self.get::<bool>()?),
            VariantScalarTypeId::SByte => Variant::from(self.get::<i8>()?),
            VariantScalarTypeId::Byte => Variant::from(self.get::<u8>()?),
            VariantScalarTypeId::Int16 => Variant::from(self.get::<i16>()?),
            VariantScalarTypeId::UInt16 => Variant::from(self.get::<u16>()?),
            VariantScalarTypeId::Int32 => Variant::from(self.get::<i32>()?),
            VariantScalarTypeId::UInt32 => Variant::from(self.get::<u32>()?),
            VariantScalarTypeId::Int64 => Variant::from(self.get::<i64>()?),
            VariantScalarTypeId::UInt64 => Variant::from(self.get::<u64>()?),
            VariantScalarTypeId::Float => Variant::from(self.get::<f32>()?),
            VariantScalarTypeId::Double => Variant::from(self.get::<f64>()?),
            VariantScalarTypeId::String | VariantScalarTypeId::XmlElement => {
                Variant::from(self.get::<UAString>()?)
            }
            VariantScalarTypeId::DateTime => Variant::from(self.get::<DateTime>()?),
            VariantScalarTypeId::Guid => Variant::from(self.get::<Guid>()?),
            VariantScalarTypeId::ByteString => Variant::from(self.get::<ByteString>()?),
            VariantScalarTypeId::NodeId => Variant::from(self.get::<NodeId>()?),
            VariantScalarTypeId::ExpandedNodeId => Variant::from(self.get::<ExpandedNodeId>()?),
            VariantScalarTypeId::StatusCode => Variant::from(self.get::<StatusCode>()?),
            VariantScalarTypeId::QualifiedName => Variant::from(self.get::<QualifiedName>()?),
            VariantScalarTypeId::LocalizedText => Variant::from(self.get::<LocalizedText>()?),
            VariantScalarTypeId::DataValue => Variant::from(self.get::<DataValue>()?),
            VariantScalarTypeId::Variant => self.get::<Variant>()?,
            VariantScalarTypeId::DiagnosticInfo => return Err("diagnostic information is no value".into()),
            // A structure of a type that its own encoding tells. It is not followed: it could contain itself.
            VariantScalarTypeId::ExtensionObject => {
                self.get::<ExtensionObject>()?;
                return Ok(Native::bad("a structure of any type in a structure is not read"));
            }
        };
        Ok(match read {
            Variant::ExtensionObject(_) => Native::bad("a structure of any type in a structure is not read"),
            other => value::native(&other, &NONE),
        })
    }
}

/// Leaves structures as they came, but for those of OPC UA itself that the adapter reads.
#[derive(Debug)]
pub struct Keep;

impl Keep {
    /// Encodings of what the library is to read: notifications, and what tells of types and units.
    const READ: [ObjectId; 10] = [
        ObjectId::DataChangeNotification_Encoding_DefaultBinary,
        ObjectId::StatusChangeNotification_Encoding_DefaultBinary,
        ObjectId::EventNotificationList_Encoding_DefaultBinary,
        ObjectId::EnumDefinition_Encoding_DefaultBinary,
        ObjectId::StructureDefinition_Encoding_DefaultBinary,
        ObjectId::Argument_Encoding_DefaultBinary,
        ObjectId::EUInformation_Encoding_DefaultBinary,
        ObjectId::Range_Encoding_DefaultBinary,
        ObjectId::EnumValueType_Encoding_DefaultBinary,
        ObjectId::EphemeralKeyType_Encoding_DefaultBinary,
    ];
}

impl TypeLoader for Keep {
    fn load_from_binary(
        &self,
        node_id: &NodeId,
        stream: &mut dyn std::io::Read,
        _: &Context<'_>,
        length: Option<usize>,
    ) -> Option<EncodingResult<Box<dyn DynEncodable>>> {
        if node_id.as_object_id().is_ok_and(|id| Self::READ.contains(&id)) {
            return None;
        }
        let length = length?;
        if length > MOST_BYTES {
            return Some(Err(Error::decoding(format!("a structure of {length} bytes is too large"))));
        }
        let mut bytes = vec![0; length];
        if let Err(error) = stream.read_exact(&mut bytes) {
            return Some(Err(error.into()));
        }
        Some(Ok(Box::new(ByteStringBody::new(ByteString::from(bytes), node_id.clone()))))
    }

    fn priority(&self) -> TypeLoaderPriority {
        TypeLoaderPriority::Core
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: VariantScalarTypeId, dimensions: u8, optional: bool) -> Field {
        Field { name: name.into(), holds: Holds::Scalar(kind), dimensions, optional }
    }

    fn decoded(layout: Layout, fields: Vec<Field>, bytes: &[u8]) -> Result<String, String> {
        let mut shapes = Shapes::default();
        shapes.add(NodeId::new(1, 1_u32), Some(NodeId::new(1, 2_u32)), Shape { layout, fields });
        shapes.decode(&NodeId::new(1, 2_u32), bytes).map(|value| value.to_string())
    }

    #[test]
    fn fields_are_read_in_order() {
        let fields = || {
            vec![
                field("n", VariantScalarTypeId::Int16, 0, false),
                field("list", VariantScalarTypeId::Byte, 1, false),
                field("text", VariantScalarTypeId::String, 0, false),
            ]
        };
        let bytes = [7, 0, 2, 0, 0, 0, 5, 6, 1, 0, 0, 0, b'x'];
        assert_eq!(decoded(Layout::Plain, fields(), &bytes).unwrap(), "{n: 7, list: [5, 6], text: x}");
        assert!(decoded(Layout::Plain, fields(), &bytes[..8]).is_err());
    }

    #[test]
    fn optional_fields_and_unions_follow_the_number_in_front() {
        let fields = || {
            vec![
                field("a", VariantScalarTypeId::Byte, 0, true),
                field("b", VariantScalarTypeId::Byte, 0, false),
                field("c", VariantScalarTypeId::Byte, 0, true),
            ]
        };
        assert_eq!(
            decoded(Layout::Optional, fields(), &[2, 0, 0, 0, 8, 9]).unwrap(),
            "{a: null, b: 8, c: 9}"
        );
        assert_eq!(decoded(Layout::Union, fields(), &[2, 0, 0, 0, 8]).unwrap(), "{b: 8}");
        assert!(decoded(Layout::Union, fields(), &[9, 0, 0, 0, 8]).is_err());
    }

    #[test]
    fn a_structure_that_contains_itself_is_followed_to_a_depth() {
        let mut shapes = Shapes::default();
        let own = NodeId::new(1, 1_u32);
        let inner =
            Field { name: "x".into(), holds: Holds::Structure(own.clone()), dimensions: 1, optional: false };
        shapes.add(own.clone(), None, Shape { layout: Layout::Plain, fields: vec![inner] });
        let endless = [1, 0, 0, 0].repeat(100_000);
        assert!(shapes.decode(&own, &endless).unwrap_err().contains("too deep"));
        let wide = [255, 255, 255, 0];
        assert!(shapes.decode(&own, &wide).unwrap_err().contains("too many"));
    }
}
