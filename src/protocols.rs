//! The registry of protocols that device profiles can speak: an explicit table.
//!
//! A new protocol adds its crate to `Cargo.toml` and its line to [`DRIVERS`].

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use guideway_contract::{Access, Adapter, Issue, PointSpec, Protocol};
use schemars::{Schema, SchemaGenerator};
use toml::de::{DeTable, DeValue, ValueDeserializer};

pub(crate) use guideway_modbus::{Bus, BusConfig};

use crate::reading::{Document, Value, explain, fields};

/// A protocol whose types are not known to whom asks it.
pub(crate) trait Driver: Sync {
    /// The word in `[adapter] kind = "…"`.
    fn kind(&self) -> &'static str;

    /// The keys of `[adapter]` beside `kind`.
    fn config_keys(&self) -> &'static [&'static str];

    /// The keys of a point beside those that every protocol has.
    fn point_keys(&self) -> &'static [&'static str];

    /// Reads `[adapter]`, told as `label`; what is wrong goes into the document's findings.
    fn read(&self, document: &mut Document<'_>, label: &str, table: &Value<'_>) -> Option<Box<dyn Settings>>;

    /// Everything at its default.
    fn plain(&self) -> Option<Box<dyn Settings>>;

    /// The JSON Schemas of `[adapter]` and of a point's own keys.
    fn schemas(&self, generator: &mut SchemaGenerator) -> (Schema, Schema);
}

/// What is configured for one machine of a protocol, with its points.
pub(crate) trait Settings: fmt::Debug + Send + Sync {
    /// Puts the instance's own key over what the profile says.
    ///
    /// # Errors
    /// What is wrong with its value, and the cure.
    fn set(&mut self, profile: &DeTable<'_>, key: &str, value: &Value<'_>) -> Result<(), (String, String)>;

    /// Takes the instance's address.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    fn set_address(&mut self, address: &str) -> Result<(), String>;

    /// Everything wrong with what is configured, but for an address that is missing.
    fn issues(&self) -> Vec<Issue>;

    /// Adds a point: its own keys are in `own`, told as `label`. Everything wrong with it; `None` when its own
    /// keys could not be read, which has been told.
    fn add_point(
        &mut self,
        document: &mut Document<'_>,
        label: &str,
        own: &Value<'_>,
        common: PointSpec<()>,
        more: &[&str],
    ) -> Option<Vec<Issue>>;

    /// By point: whether it is read, written or both.
    fn accesses(&self) -> Vec<Access>;

    /// By point: its native address.
    fn addresses(&self) -> Vec<String>;

    /// The adapter. Does no I/O.
    fn adapter(&self) -> Box<dyn Adapter>;

    /// The adapter on a bus that it shares with others. `None` where the protocol has no buses.
    fn adapter_on(&self, bus: &Bus) -> Option<Box<dyn Adapter>>;
}

/// Every protocol, in the order of its name.
pub(crate) static DRIVERS: &[&dyn Driver] = &[
    &Of::<guideway_ads::Ads>(PhantomData),
    &Of::<guideway_ethernet_ip::EthernetIp>(PhantomData),
    #[cfg(feature = "focas")]
    &Of::<guideway_focas::Focas>(PhantomData),
    &Of::<guideway_haas::Haas>(PhantomData),
    &Of::<guideway_modbus::Modbus>(PhantomData),
    &Of::<guideway_mqtt::Mqtt>(PhantomData),
    &Of::<guideway_mtconnect::MtConnect>(PhantomData),
    &Of::<guideway_opcua::OpcUa>(PhantomData),
    &Of::<guideway_s7::S7>(PhantomData),
    &Of::<guideway_serial::Serial>(PhantomData),
    &Of::<guideway_shdr::Shdr>(PhantomData),
    &Of::<guideway_slmp::Slmp>(PhantomData),
];

/// The protocol of that name.
pub(crate) fn driver(kind: &str) -> Option<&'static dyn Driver> {
    DRIVERS.iter().copied().find(|driver| driver.kind() == kind)
}

/// A protocol whose types are known.
struct Of<P>(PhantomData<fn() -> P>);

/// What is configured for one machine that speaks `P`.
pub(crate) struct Configured<P: Protocol> {
    /// `[adapter]`, with what the instance says put over it.
    pub(crate) config: P::Config,
    /// Its points, in order of their ids.
    pub(crate) points: Vec<PointSpec<P::Point>>,
}

impl<P: Protocol> fmt::Debug for Configured<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} points", P::KIND, self.points.len())
    }
}

impl<P: Protocol> Driver for Of<P>
where
    P::Config: Sync,
    P::Point: Sync,
{
    fn kind(&self) -> &'static str {
        P::KIND
    }

    fn config_keys(&self) -> &'static [&'static str] {
        fields::of::<P::Config>()
    }

    fn point_keys(&self) -> &'static [&'static str] {
        fields::of::<P::Point>()
    }

    fn read(&self, document: &mut Document<'_>, label: &str, table: &Value<'_>) -> Option<Box<dyn Settings>> {
        let config: P::Config = document.section(label, table, &["kind"])?;
        Some(Box::new(Configured::<P> { config, points: Vec::new() }))
    }

    fn plain(&self) -> Option<Box<dyn Settings>> {
        let config = plain::<P::Config>()?;
        Some(Box::new(Configured::<P> { config, points: Vec::new() }))
    }

    fn schemas(&self, generator: &mut SchemaGenerator) -> (Schema, Schema) {
        (generator.root_schema_for::<P::Config>(), generator.root_schema_for::<P::Point>())
    }
}

/// What an empty table is read as.
fn plain<T: serde::de::DeserializeOwned>() -> Option<T> {
    T::deserialize(serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(std::iter::empty::<(
        &str,
        &str,
    )>()))
    .ok()
}

impl<P: Protocol> Settings for Configured<P>
where
    P::Config: Sync,
    P::Point: Sync,
{
    fn set(&mut self, profile: &DeTable<'_>, key: &str, value: &Value<'_>) -> Result<(), (String, String)> {
        let mut merged = profile.clone();
        let name = toml::Spanned::new(value.span(), std::borrow::Cow::Owned(key.to_owned()));
        match (merged.get_mut(key).map(toml::Spanned::get_mut), value.get_ref()) {
            // A table is put together key by key: the profile says the baud rate, the instance the parity.
            (Some(DeValue::Table(old)), DeValue::Table(new)) => {
                for (key, value) in new {
                    old.insert(key.clone(), value.clone());
                }
            }
            _ => {
                merged.insert(name, value.clone());
            }
        }
        let merged = toml::Spanned::new(value.span(), DeValue::Table(merged));
        match serde::Deserialize::deserialize(ValueDeserializer::from(merged)) {
            Ok(config) => {
                self.config = config;
                Ok(())
            }
            Err(error) => {
                let explained = explain::serde_message(error.message(), Some(key), &[]);
                Err((explained.what, explained.cure))
            }
        }
    }

    fn set_address(&mut self, address: &str) -> Result<(), String> {
        P::set_address(&mut self.config, address)
    }

    fn issues(&self) -> Vec<Issue> {
        P::check(&self.config)
    }

    fn add_point(
        &mut self,
        document: &mut Document<'_>,
        label: &str,
        own: &Value<'_>,
        common: PointSpec<()>,
        more: &[&str],
    ) -> Option<Vec<Issue>> {
        let own: P::Point = document.section(label, own, more)?;
        let point = with(common, own);
        let issues = P::check_point(&self.config, &point);
        self.points.push(point);
        Some(issues)
    }

    fn accesses(&self) -> Vec<Access> {
        self.points.iter().map(|point| point.access).collect()
    }

    fn addresses(&self) -> Vec<String> {
        self.points.iter().map(|point| point.address.to_string()).collect()
    }

    fn adapter(&self) -> Box<dyn Adapter> {
        P::adapter(self.config.clone(), self.points.clone())
    }

    fn adapter_on(&self, bus: &Bus) -> Option<Box<dyn Adapter>> {
        let own: &dyn Any = self;
        let modbus = own.downcast_ref::<Configured<guideway_modbus::Modbus>>()?;
        Some(guideway_modbus::adapter_on(bus.clone(), modbus.config.clone(), &modbus.points))
    }
}

fn with<P>(common: PointSpec<()>, own: P) -> PointSpec<P> {
    let PointSpec { name, address, data_type, period, access, own: () } = common;
    PointSpec { name, address, data_type, period, access, own }
}
