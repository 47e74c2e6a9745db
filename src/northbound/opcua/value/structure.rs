//! The structures of the companion specification, as they go over the wire.

use std::io::Write;

use opcua_types::{
    BinaryEncodable, Context, EncodingResult, ExpandedMessageInfo, ExpandedNodeId, ExtensionObject, NodeId,
    UAString, Variant,
};

/// A structured value of a data item. Fields are in the order of their DataTypeDefinition.
#[derive(Clone, Debug)]
pub(super) enum Structure {
    /// ThreeSpaceSampleDataType: X, Y, Z; NaN for an axis that is not given.
    ThreeSpace([f64; 3]),
    /// MessageDataType, a structure with optional fields.
    Message {
        /// Optional: null leaves it out.
        native_code: UAString,
        /// The message.
        text: UAString,
    },
    /// AssetEventDataType.
    AssetEvent {
        /// Which asset.
        asset_id: UAString,
        /// Of which type.
        asset_type: UAString,
    },
}

/// A structure with the namespace of its type, whose index is known at run time only.
#[derive(Clone, Debug, PartialEq)]
struct Placed {
    namespace: u16,
    structure: Structure,
}

/// The structure as a value; `namespace` is the index of the companion specification.
pub(super) fn variant(namespace: u16, structure: Structure) -> Variant {
    Variant::ExtensionObject(ExtensionObject::new(Placed { namespace, structure }))
}

impl PartialEq for Structure {
    /// By what goes over the wire: NaN is as good as any other NaN of the same bits, or an item with a
    /// missing axis would seem to change with every look at it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ThreeSpace(a), Self::ThreeSpace(b)) => a.map(f64::to_bits) == b.map(f64::to_bits),
            (Self::Message { native_code: a, text: b }, Self::Message { native_code: c, text: d })
            | (
                Self::AssetEvent { asset_id: a, asset_type: b },
                Self::AssetEvent { asset_id: c, asset_type: d },
            ) => a == c && b == d,
            _ => false,
        }
    }
}

impl Placed {
    fn id(&self, three_space: u32, message: u32, asset_event: u32) -> ExpandedNodeId {
        let id = match self.structure {
            Structure::ThreeSpace(_) => three_space,
            Structure::Message { .. } => message,
            Structure::AssetEvent { .. } => asset_event,
        };
        ExpandedNodeId::new(NodeId::new(self.namespace, id))
    }
}

impl ExpandedMessageInfo for Placed {
    fn full_type_id(&self) -> ExpandedNodeId {
        self.id(2_909, 2_903, 2_745)
    }

    fn full_json_type_id(&self) -> ExpandedNodeId {
        self.full_data_type_id()
    }

    fn full_xml_type_id(&self) -> ExpandedNodeId {
        self.full_data_type_id()
    }

    fn full_data_type_id(&self) -> ExpandedNodeId {
        self.id(2_637, 2_653, 2_618)
    }
}

impl BinaryEncodable for Placed {
    fn byte_len(&self, context: &Context<'_>) -> usize {
        match &self.structure {
            Structure::ThreeSpace(_) => 24,
            Structure::Message { native_code, text } => {
                let code = if native_code.is_null() { 0 } else { native_code.byte_len(context) };
                4 + code + text.byte_len(context)
            }
            Structure::AssetEvent { asset_id, asset_type } => {
                asset_id.byte_len(context) + asset_type.byte_len(context)
            }
        }
    }

    fn encode<S: Write + ?Sized>(&self, stream: &mut S, context: &Context<'_>) -> EncodingResult<()> {
        match &self.structure {
            Structure::ThreeSpace(axes) => axes.iter().try_for_each(|axis| axis.encode(stream, context)),
            Structure::Message { native_code, text } => {
                // The mask of the optional fields that are there (part 6, 5.2.7).
                u32::from(!native_code.is_null()).encode(stream, context)?;
                if !native_code.is_null() {
                    native_code.encode(stream, context)?;
                }
                text.encode(stream, context)
            }
            Structure::AssetEvent { asset_id, asset_type } => {
                asset_id.encode(stream, context)?;
                asset_type.encode(stream, context)
            }
        }
    }
}
