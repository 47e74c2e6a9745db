//! What a server says of a value, as a reading.

use guideway_contract::{Fault, Native, Outlet, Quality, RawReading, Timestamp};
use opcua_types::{DataValue, NumericRange, StatusCode};

use crate::codec::structure::Shapes;
use crate::codec::{fit, select, value};
use crate::config::Times;
use crate::nodes::Node;
use crate::wanted::Wanted;

/// The reading of a point.
pub(crate) fn reading(
    wanted: &Wanted,
    node: &Node,
    said: &DataValue,
    shapes: &Shapes,
    times: Times,
    arrival: Timestamp,
) -> RawReading {
    // The library leaves the source's times as they are.
    let source = || said.source_timestamp.as_ref().and_then(|time| value::time(time, 0));
    let server = || said.server_timestamp.as_ref().and_then(|time| value::time(time, shapes.ahead));
    let time = match times {
        Times::Source => source().or_else(server),
        Times::Server => server(),
        Times::Arrival => None,
    };
    let time = time.unwrap_or(arrival);
    let status = said.status.unwrap_or(StatusCode::Good);
    if status.is_bad() {
        return RawReading::bad(wanted.id, value::words(status), time);
    }
    let native = said.value.as_ref().map_or(Native::Null, |value| value::native(value, shapes));
    match refine(wanted, node, native) {
        Ok(Native::Bad(cause)) => RawReading::bad(wanted.id, cause, time),
        Err(cause) => RawReading::bad(wanted.id, cause, time),
        Ok(value) => {
            let quality = if status.is_good() { Quality::Good } else { Quality::Uncertain };
            RawReading { point: wanted.id, value, time, quality }
        }
    }
}

/// The element, the field and the type that the profile asks for.
fn refine(wanted: &Wanted, node: &Node, mut value: Native) -> Result<Native, String> {
    if matches!(value, Native::Bad(_) | Native::Null) {
        return Ok(value);
    }
    if let Some(index) = &wanted.index {
        value = match node.range {
            NumericRange::None => index.of(&value)?,
            _ => index.of_reply(value),
        };
    }
    if let Some(field) = &wanted.spec.own.field {
        value = select::field(&value, field)?;
    }
    fit::fit(wanted.spec.data_type, value)
}

/// Counts a value that its server could give but the profile cannot take.
pub(crate) fn count(outlet: &Outlet, wanted: &Wanted, said: &DataValue, reading: &RawReading) {
    let status = said.status.unwrap_or(StatusCode::Good);
    if let (Native::Bad(cause), false) = (&reading.value, status.is_bad()) {
        outlet.fault(Fault::Rejected, || format!("point {}: {cause}", wanted.spec.name));
    }
    if status.overflow() {
        outlet.fault(Fault::Oversized, || {
            format!("point {}: changes were lost at the server; set a larger `queue`", wanted.spec.name)
        });
    }
}
