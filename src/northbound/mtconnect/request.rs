//! Requests with their parameters, read and checked as far as that goes without the journal.

use std::time::Duration;

use smol_str::SmolStr;

use super::edition::{DeviceKind, Scope};
use super::query::Query;
use super::refusal::{Refusal, out_of_range, problem, signed_out_of_range};
use super::route::Route;
use crate::documents::{Format, ProblemKind};

/// Longest interval and heartbeat, in milliseconds: some 24 days, as much as 31 bits hold.
const MAX_MILLIS: u64 = i32::MAX as u64;
/// `count`, where a request does not say.
const DEFAULT_COUNT: i64 = 100;
/// `heartbeat`, where a request does not say, in milliseconds.
const DEFAULT_HEARTBEAT: u64 = 10_000;

/// How a document is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Style {
    pub(super) format: Format,
    pub(super) pretty: bool,
}

/// A request of the REST interface.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) style: Style,
    pub(super) what: What,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Probe(Scope),
    Current { scope: Scope, at: Option<u64> },
    CurrentStream { scope: Scope, interval: Duration },
    Sample { scope: Scope, from: Option<u64>, to: Option<u64>, count: i64 },
    SampleStream { scope: Scope, from: Option<u64>, count: usize, interval: Duration, heartbeat: Duration },
    Assets { device: Option<SmolStr>, asset_type: Option<SmolStr>, removed: bool, count: usize },
    AssetIds(Vec<SmolStr>),
}

/// What a request is checked against and filled up with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) pretty: bool,
    /// JSON or XML, as the client's `Accept` has it.
    pub(super) format: Format,
    /// The JSON form that is configured.
    pub(super) json: Format,
    pub(super) buffer_size: u32,
    pub(super) first: u64,
    pub(super) next: u64,
}

impl Request {
    /// The style even of a request that is otherwise wrong, so that its error document can have it.
    pub(super) fn style(query: &mut Query<'_>, defaults: &Defaults) -> Style {
        let pretty = query.boolean("pretty").unwrap_or(defaults.pretty);
        let format = match query.word("format", &["xml", "json"]) {
            Some("json") => defaults.json,
            Some(_) => Format::Xml,
            None => defaults.format,
        };
        Style { format, pretty }
    }

    /// Reads the parameters of a route.
    pub(super) fn read(
        route: Route,
        mut query: Query<'_>,
        style: Style,
        defaults: &Defaults,
    ) -> Result<Self, Refusal> {
        let what = match route {
            Route::Probe(device) => What::Probe(scope(&mut query, device)),
            Route::Current(device) => current(&mut query, device, defaults),
            Route::Sample(device) => sample(&mut query, device, defaults),
            Route::Assets(device) => assets(&mut query, device),
            Route::AssetIds(ids) => What::AssetIds(ids),
        };
        query.finish().map(|()| Self { style, what })
    }
}

fn scope(query: &mut Query<'_>, device: Option<SmolStr>) -> Scope {
    let kind = query.word("deviceType", &["Device", "Agent"]);
    let kind = kind.map(|kind| if kind == "Agent" { DeviceKind::Agent } else { DeviceKind::Device });
    Scope { device, kind, path: query.text("path").map(SmolStr::new) }
}

fn current(query: &mut Query<'_>, device: Option<SmolStr>, defaults: &Defaults) -> What {
    let scope = scope(query, device);
    let last = defaults.next.saturating_sub(1);
    let at = ranged(query, "at", defaults.first, last);
    match ranged(query, "interval", 1, MAX_MILLIS) {
        Some(_) if at.is_some() => {
            let message = "'at' cannot go with 'interval': the state at one point never changes";
            query.note(problem(ProblemKind::InvalidRequest, message));
            What::Current { scope, at }
        }
        Some(interval) => What::CurrentStream { scope, interval: Duration::from_millis(interval) },
        None => What::Current { scope, at },
    }
}

fn sample(query: &mut Query<'_>, device: Option<SmolStr>, defaults: &Defaults) -> What {
    let scope = scope(query, device);
    let from = ranged(query, "from", defaults.first, defaults.next);
    // As an upper bound that is part of the answer, it lies behind the beginning.
    let to = ranged(query, "to", from.unwrap_or(defaults.first).saturating_add(1), defaults.next);
    let interval = ranged(query, "interval", 0, MAX_MILLIS);
    let heartbeat = ranged(query, "heartbeat", 2, MAX_MILLIS).unwrap_or(DEFAULT_HEARTBEAT);
    let forward_only = query.text("to").is_some() || query.text("interval").is_some();
    let count = count(query, i64::from(defaults.buffer_size), forward_only);
    match interval {
        Some(_) if query.text("to").is_some() => {
            let message = "'to' cannot go with 'interval': a stream has no end";
            query.note(problem(ProblemKind::InvalidRequest, message));
            What::Sample { scope, from, to, count }
        }
        Some(interval) => What::SampleStream {
            scope,
            from,
            count: usize::try_from(count).unwrap_or(1),
            interval: Duration::from_millis(interval),
            heartbeat: Duration::from_millis(heartbeat),
        },
        None => What::Sample { scope, from, to, count },
    }
}

fn assets(query: &mut Query<'_>, device: Option<SmolStr>) -> What {
    let count = ranged(query, "count", 1, MAX_MILLIS).and_then(|count| usize::try_from(count).ok());
    let given = query.text("device").map(SmolStr::new);
    if device.is_some() && given.is_some() {
        let message = "'device' is given as a parameter and in the path";
        query.note(problem(ProblemKind::InvalidRequest, message));
    }
    What::Assets {
        device: device.or(given),
        asset_type: query.text("type").map(SmolStr::new),
        removed: query.boolean("removed").unwrap_or(false),
        count: count.unwrap_or(100),
    }
}

/// A number between limits, both included.
fn ranged(query: &mut Query<'_>, name: &'static str, minimum: u64, maximum: u64) -> Option<u64> {
    let number = query.integer(name)?;
    let fits = u64::try_from(number).ok().filter(|number| (minimum..=maximum).contains(number));
    if fits.is_none() {
        query.note(out_of_range(name, number, minimum, maximum));
    }
    fits
}

/// `count`: not zero, within the buffer's size in either direction.
fn count(query: &mut Query<'_>, limit: i64, forward_only: bool) -> i64 {
    // A buffer may be smaller than the default count.
    let default = DEFAULT_COUNT.min(limit);
    let Some(number) = query.integer("count") else { return default };
    let minimum = if forward_only { 1 } else { -limit };
    match i64::try_from(number).ok().filter(|number| (minimum..=limit).contains(number)) {
        Some(0) => {
            let mut zero = signed_out_of_range("count", 0, minimum, limit);
            zero.message = "'count' must not be 0".to_owned();
            query.note(zero);
            default
        }
        Some(number) => number,
        None => {
            query.note(signed_out_of_range("count", number, minimum, limit));
            default
        }
    }
}
