//! AMS net ids: which ADS device, however it is reached.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Six bytes that name an ADS device; written `5.23.91.12.1.1`. By custom an IPv4 address and `.1.1`, but it need
/// not have anything to do with the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NetId(pub [u8; 6]);

impl NetId {
    /// The customary net id of an address: itself and `.1.1`. IPv6 addresses have none.
    pub fn of(address: IpAddr) -> Option<Self> {
        let v4 = match address {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => v6.to_ipv4_mapped()?,
        };
        let [a, b, c, d] = v4.octets();
        Some(Self([a, b, c, d, 1, 1]))
    }
}

impl FromStr for NetId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split('.');
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            *byte = parts.next().and_then(|part| part.parse().ok()).ok_or_else(|| wrong(text))?;
        }
        if parts.next().is_some() { Err(wrong(text)) } else { Ok(Self(bytes)) }
    }
}

fn wrong(text: &str) -> String {
    format!("`{text}` is no AMS net id: six numbers from 0 to 255 with dots, such as 5.23.91.12.1.1")
}

impl fmt::Display for NetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a}.{b}.{c}.{d}.{e}.{g}")
    }
}

impl<'de> Deserialize<'de> for NetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for NetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for NetId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NetId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An AMS net id: six numbers with dots.",
            "pattern": r"^\d{1,3}(\.\d{1,3}){5}$",
            "examples": ["5.23.91.12.1.1"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_id_is_six_numbers() {
        assert_eq!("5.23.91.12.1.1".parse::<NetId>().unwrap().to_string(), "5.23.91.12.1.1");
        for text in ["", "5.23.91.12", "5.23.91.12.1.256", "5.23.91.12.1.1.1", "a.b.c.d.e.f"] {
            assert!(text.parse::<NetId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_has_its_customary_net_id() {
        let of = |text: &str| NetId::of(text.parse().unwrap()).map(|id| id.to_string());
        assert_eq!(of("10.0.0.5").as_deref(), Some("10.0.0.5.1.1"));
        assert_eq!(of("::ffff:10.0.0.5").as_deref(), Some("10.0.0.5.1.1"));
        assert_eq!(of("fe80::1"), None);
    }
}
