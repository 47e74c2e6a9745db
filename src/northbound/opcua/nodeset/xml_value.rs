//! Values in NodeSet2 files (part 6, 5.3).

use opcua_types::{
    Argument, Array, ByteString, DateTime, EUInformation, EnumValueType, ExtensionObject, LocalizedText,
    NodeId, QualifiedName, Range, StatusCode, UAString, Variant, VariantScalarTypeId,
};

use super::xml::{Element, Fault};

/// The value in an element of its type, such as `<Int32>` or `<ListOfString>`; `None` when the type is not
/// known here. `namespaces` is how many namespaces the file names: no id or name in the value is beyond.
pub(super) fn value(element: &Element, namespaces: usize) -> Result<Option<Variant>, Fault> {
    let Some(kind) = element.name.strip_prefix("ListOf") else {
        return scalar(element, namespaces);
    };
    let Some(kind) = scalar_type(kind) else { return Ok(None) };
    let mut items = Vec::with_capacity(element.children.len());
    for child in &element.children {
        match scalar(child, namespaces)? {
            Some(item) => items.push(item),
            None => return Ok(None),
        }
    }
    let array =
        Array::new(kind, items).map_err(|error| element.fault(format!("a list of mixed types: {error}")))?;
    Ok(Some(Variant::from(array)))
}

fn scalar_type(name: &str) -> Option<VariantScalarTypeId> {
    use VariantScalarTypeId as Type;
    Some(match name {
        "Boolean" => Type::Boolean,
        "SByte" => Type::SByte,
        "Byte" => Type::Byte,
        "Int16" => Type::Int16,
        "UInt16" => Type::UInt16,
        "Int32" => Type::Int32,
        "UInt32" => Type::UInt32,
        "Int64" => Type::Int64,
        "UInt64" => Type::UInt64,
        "Float" => Type::Float,
        "Double" => Type::Double,
        "String" => Type::String,
        "DateTime" => Type::DateTime,
        "Guid" => Type::Guid,
        "ByteString" => Type::ByteString,
        "NodeId" => Type::NodeId,
        "StatusCode" => Type::StatusCode,
        "QualifiedName" => Type::QualifiedName,
        "LocalizedText" => Type::LocalizedText,
        "ExtensionObject" => Type::ExtensionObject,
        _ => return None,
    })
}

fn scalar(element: &Element, namespaces: usize) -> Result<Option<Variant>, Fault> {
    Ok(Some(match element.name.as_str() {
        "Boolean" => match element.text.trim() {
            "true" | "1" => Variant::Boolean(true),
            "false" | "0" => Variant::Boolean(false),
            other => return Err(element.fault(format!("`{other}` for a Boolean"))),
        },
        "SByte" => Variant::SByte(number(element)?),
        "Byte" => Variant::Byte(number(element)?),
        "Int16" => Variant::Int16(number(element)?),
        "UInt16" => Variant::UInt16(number(element)?),
        "Int32" => Variant::Int32(number(element)?),
        "UInt32" => Variant::UInt32(number(element)?),
        "Int64" => Variant::Int64(number(element)?),
        "UInt64" => Variant::UInt64(number(element)?),
        "Float" => Variant::Float(number(element)?),
        "Double" => Variant::Double(number(element)?),
        "String" => Variant::String(element.text.as_str().into()),
        "DateTime" => Variant::from(date_time(element)?),
        "Guid" => {
            let text = element.child_text("String").trim();
            let guid: Result<opcua_types::Guid, _> = text.parse();
            Variant::from(guid.map_err(|_| element.fault(format!("`{text}` is not a GUID")))?)
        }
        "ByteString" => {
            let bytes = ByteString::from_base64_ignore_whitespace(element.text.clone());
            Variant::from(bytes.ok_or_else(|| element.fault("a ByteString that is not base64"))?)
        }
        "NodeId" => Variant::from(id(element, namespaces)?),
        "StatusCode" => match element.child("Code") {
            Some(code) => Variant::StatusCode(StatusCode::from(number::<u32>(code)?)),
            None => Variant::StatusCode(StatusCode::Good),
        },
        "QualifiedName" => Variant::from(QualifiedName {
            namespace_index: match element.child("NamespaceIndex") {
                Some(index) => known(index, number(index)?, namespaces)?,
                None => 0,
            },
            name: element.child_text("Name").trim().into(),
        }),
        "LocalizedText" => Variant::from(text(element)),
        "ExtensionObject" => {
            let body = element.child("Body").and_then(|body| body.children.first());
            let Some(body) = body else { return Ok(None) };
            match structure(body, namespaces)? {
                Some(object) => Variant::from(object),
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    }))
}

fn structure(body: &Element, namespaces: usize) -> Result<Option<ExtensionObject>, Fault> {
    let child = |name: &str| body.child(name);
    let localized = |name: &str| child(name).map_or_else(LocalizedText::null, text);
    Ok(Some(match body.name.as_str() {
        "Argument" => ExtensionObject::from_message(Argument {
            name: body.child_text("Name").into(),
            data_type: child("DataType")
                .map_or_else(|| Ok(NodeId::null()), |element| id(element, namespaces))?,
            value_rank: child("ValueRank").map_or(Ok(-1), number)?,
            array_dimensions: match child("ArrayDimensions") {
                Some(list) if !list.children.is_empty() => {
                    Some(list.children.iter().map(number).collect::<Result<_, _>>()?)
                }
                _ => None,
            },
            description: localized("Description"),
        }),
        "EnumValueType" => ExtensionObject::from_message(EnumValueType {
            value: child("Value").map_or(Ok(0), number)?,
            display_name: localized("DisplayName"),
            description: localized("Description"),
        }),
        "EUInformation" => ExtensionObject::from_message(EUInformation {
            namespace_uri: body.child_text("NamespaceUri").into(),
            unit_id: child("UnitId").map_or(Ok(0), number)?,
            display_name: localized("DisplayName"),
            description: localized("Description"),
        }),
        "Range" => ExtensionObject::from_message(Range {
            low: child("Low").map_or(Ok(0.0), number)?,
            high: child("High").map_or(Ok(0.0), number)?,
        }),
        _ => return Ok(None),
    }))
}

/// Also `INF` and `-INF`, which XML Schema has.
fn number<N: std::str::FromStr>(element: &Element) -> Result<N, Fault> {
    let text = element.text.trim();
    text.parse().map_err(|_| element.fault(format!("`{text}` does not fit <{}>", element.name)))
}

fn date_time(element: &Element) -> Result<DateTime, Fault> {
    let text = element.text.trim();
    // Without a zone it is UTC.
    let read =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}Z")));
    read.map_err(|_| element.fault(format!("`{text}` is not a time such as 2026-05-01T00:00:00Z")))
}

fn id(element: &Element, namespaces: usize) -> Result<NodeId, Fault> {
    let text = element.child_text("Identifier").trim();
    if text.is_empty() {
        return Ok(NodeId::null());
    }
    let id: NodeId = text.parse().map_err(|_| element.fault(format!("`{text}` is not a NodeId")))?;
    known(element, id.namespace, namespaces)?;
    Ok(id)
}

fn known(element: &Element, index: u16, namespaces: usize) -> Result<u16, Fault> {
    if usize::from(index) < namespaces {
        Ok(index)
    } else {
        Err(element
            .fault(format!("namespace index {index}, but the file names only {namespaces} namespaces")))
    }
}

fn text(element: &Element) -> LocalizedText {
    let locale = element.child_text("Locale").trim();
    LocalizedText {
        locale: if locale.is_empty() { UAString::null() } else { locale.into() },
        text: element.child_text("Text").into(),
    }
}
