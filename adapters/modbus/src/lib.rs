//! Modbus TCP and RTU: codec, shared buses, batched reads, writes.
//!
//! One task owns one line. A machine of its own has its connection in its session; units that share a line
//! (RS-485, or a gateway that takes only few connections) hold a [`Bus`], whose task takes their requests in turn.
//!
//! Modbus has little to tell a right answer from a wrong one, RTU less than TCP; so whatever there is is compared
//! ([`codec`]), and after a time-out or an answer that fits nothing the line is made clean before it is used again
//! (`Wire`).

mod address;
mod browse;
mod bus;
pub mod codec;
mod config;
mod field;
mod line;
mod plan;
mod session;
mod wire;

use guideway_contract::{Adapter, HostPort, Issue, PointSpec, Protocol, serial_path};

pub use address::{Address, Table};
pub use bus::Bus;
pub use config::{BusConfig, ByteOrder, Config, Framing, HalfByte, Parity, Point, Serial};
pub use session::adapter_on;

/// The URL schemes that an address may have.
const SCHEMES: &[&str] = &["modbus", "tcp"];

/// Modbus as a protocol of profiles.
#[derive(Clone, Copy, Debug)]
pub struct Modbus;

impl Protocol for Modbus {
    const KIND: &'static str = "modbus";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        let (place, query) = address.trim().split_once('?').unwrap_or((address.trim(), ""));
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "unit" => {
                    config.unit = value.parse().map_err(|_| "`unit` is a number from 0 to 255".to_owned())?;
                }
                "range" => drop(browse::Range::parse(value)?),
                _ => return Err(format!("`{key}` is unknown; there are `unit` and `range`")),
            }
        }
        let place = match place.strip_prefix("modbus://") {
            Some(path) if path.starts_with('/') => path,
            _ => place,
        };
        if let Some(path) = serial_path(place) {
            path.clone_into(&mut config.address);
            return Ok(());
        }
        let found = HostPort::parse(place, SCHEMES)?;
        config.port = found.port.unwrap_or(config.port);
        config.address = found.host;
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.check()
    }

    fn check_point(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        field::Field::read(config, point).err().unwrap_or_default()
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        session::adapter(config, &points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(address: &str) -> Result<Config, String> {
        let mut config = Config::default();
        Modbus::set_address(&mut config, address).map(|()| config)
    }

    #[test]
    fn an_address_is_a_host_a_url_or_a_device_file() {
        let config = set("plc:1502").unwrap();
        assert_eq!((config.address.as_str(), config.port), ("plc", 1502));
        let config = set("modbus://plc?unit=7&range=holding:0-9").unwrap();
        assert_eq!((config.address.as_str(), config.port, config.unit), ("plc", 502, 7));
        for address in ["/dev/ttyS1?unit=3", "modbus:///dev/ttyS1?unit=3", "serial:///dev/ttyS1?unit=3"] {
            let config = set(address).unwrap();
            assert_eq!(
                (config.address.as_str(), config.unit, config.framing()),
                ("/dev/ttyS1", 3, Framing::Rtu)
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is() {
        for address in ["", "http://plc", "plc?unit=256", "plc?units=1", "plc?range=7-9"] {
            assert!(set(address).is_err(), "{address}");
        }
    }
}
