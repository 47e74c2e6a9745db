//! Who a machine is: what its Description says.

use std::fmt::Write as _;

use crate::device_model::Device;

/// The nameplate.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Identity {
    /// Empty when not known; the same for the others.
    pub(super) manufacturer: String,
    pub(super) model: String,
    pub(super) serial_number: String,
    /// Unique in the world, and a URI.
    pub(super) instance_uri: String,
}

pub(super) fn of(device: &Device) -> Identity {
    let description = device.element.child("Description");
    let attribute = |name: &str| {
        let value = description.and_then(|description| description.attribute(name));
        value.unwrap_or_default().to_owned()
    };
    Identity {
        manufacturer: attribute("manufacturer"),
        model: attribute("model"),
        serial_number: attribute("serialNumber"),
        instance_uri: instance_uri(&device.uuid),
    }
}

/// A uuid of MTConnect may be any text.
fn instance_uri(uuid: &str) -> String {
    if uuid::Uuid::try_parse(uuid).is_ok() {
        return format!("urn:uuid:{}", uuid.trim_start_matches("urn:uuid:"));
    }
    let mut uri = "urn:guideway:machine:".to_owned();
    for byte in uuid.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                uri.push(char::from(byte));
            }
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_uri_is_a_uri_whatever_the_uuid_is() {
        let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(instance_uri(uuid), format!("urn:uuid:{uuid}"));
        assert_eq!(instance_uri("mill-1.shop"), "urn:guideway:machine:mill-1.shop");
        assert_eq!(instance_uri("Fräse 1"), "urn:guideway:machine:Fr%C3%A4se%201");
    }
}
