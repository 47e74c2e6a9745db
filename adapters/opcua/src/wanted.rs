//! What is wanted of a server: a profile's points, read and checked.

use std::time::Duration;

use guideway_contract::{Issue, Period, PointId, PointSpec, point_id};

use crate::address::Address;
use crate::codec::fit;
use crate::codec::select::Index;
use crate::config::{Config, Mode, Point};

/// How often a server looks at a value of which nobody says how often.
const SAMPLING: Duration = Duration::from_secs(1);

/// One point, ready to be looked up.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) id: PointId,
    pub(crate) spec: PointSpec<Point>,
    pub(crate) address: Address,
    /// The object whose method the address is.
    pub(crate) object: Option<Address>,
    pub(crate) index: Option<Index>,
}

impl Wanted {
    /// Reads a point.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub(crate) fn parse(config: &Config, place: usize, spec: &PointSpec<Point>) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let mut note = |key: &'static str, what: String| issues.push(Issue::new(key, what));
        let own = &spec.own;
        let start = own.start.as_deref();
        let address =
            Address::parse(&spec.address, start, &config.namespaces).map_err(|what| note("addr", what));
        let object = own.method.as_deref().map(|object| {
            Address::parse(object, None, &config.namespaces).map_err(|what| note("method", what))
        });
        let index = own.index.as_deref().map(|index| Index::parse(index).map_err(|what| note("index", what)));
        if !fit::is_known(spec.data_type.kind) {
            note("type", format!("OPC UA has no {}: write auto, or what the value is to be", spec.data_type));
        }
        if own.method.is_some() && spec.access.reads() {
            note("access", "a method is called, not read: write access = \"w\"".into());
        }
        if own.field.is_some() && spec.access.writes() {
            note("field", "a field of a structure is read only".into());
        }
        if own.queue == 0 {
            note("queue", "at least 1 value is kept".into());
        }
        if own.deadband.is_some_and(|deadband| !deadband.is_finite() || deadband < 0.0) {
            note("deadband", "a deadband is 0 or more".into());
        }
        match (address, object.transpose(), index.transpose()) {
            (Ok(address), Ok(object), Ok(index)) if issues.is_empty() => {
                Ok(Self { id: point_id(place), spec: spec.clone(), address, object, index })
            }
            _ => Err(issues),
        }
    }

    /// Whether the gateway reads it at its turn.
    pub(crate) fn is_polled(&self) -> bool {
        self.spec.own.mode == Mode::Poll || self.spec.period == Period::Once
    }

    /// How often its value is looked at.
    pub(crate) fn sampling(&self) -> Duration {
        match (self.spec.own.sampling, self.spec.period) {
            (Some(sampling), _) => sampling,
            (None, Period::Every(every)) => every,
            (None, Period::Once) => SAMPLING,
        }
    }
}

#[cfg(test)]
mod tests {
    use guideway_contract::{Access, DataType};

    use super::*;

    fn check(address: &str, data_type: &str, own: Point, access: Access) -> Vec<&'static str> {
        let spec = PointSpec { access, ..PointSpec::new(address, data_type.parse().unwrap(), own) };
        let issues = Wanted::parse(&Config::default(), 0, &spec).err().unwrap_or_default();
        issues.into_iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn everything_wrong_with_a_point_is_told() {
        let own = Point { method: Some("x".into()), index: Some("a".into()), queue: 0, ..Point::default() };
        assert_eq!(
            check("y", "bcd4", own, Access::Read),
            ["addr", "method", "index", "type", "access", "queue"]
        );
        let field = Point { field: Some("X".into()), deadband: Some(-1.0), ..Point::default() };
        assert_eq!(check("i=1", "auto", field, Access::ReadWrite), ["field", "deadband"]);
        assert_eq!(check("ns=2;s=x", "f64", Point::default(), Access::ReadWrite), [""; 0]);
    }

    #[test]
    fn a_point_is_sampled_as_its_group_says_unless_it_says_itself() {
        let sampling = |own: Point| {
            let spec = PointSpec::new("i=1", DataType::default(), own);
            Wanted::parse(&Config::default(), 0, &spec).unwrap().sampling()
        };
        assert_eq!(sampling(Point::default()), Duration::from_secs(1));
        let own = Point { sampling: Some(Duration::from_millis(50)), ..Point::default() };
        assert_eq!(sampling(own), Duration::from_millis(50));
    }
}
