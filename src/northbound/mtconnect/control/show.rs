//! What there is to ask for, and how it stands: `GET /control`.

use serde_json::{Map, Value, json};

use crate::control::request::json as plain;
use crate::control::{Argument, Control, Controlled, Definition, DeviceStatus, End};

/// The switch, and every device.
pub(super) fn all(control: &Control) -> Value {
    let switch = control.switch().borrow().clone();
    let devices = control.machines().iter().zip(control.status());
    json!({
        "enabled": switch.on,
        "by": switch.by.as_str(),
        "reason": switch.reason,
        "since": switch.since.to_string(),
        "devices": devices.map(|(machine, status)| device(control, machine, status)).collect::<Vec<_>>(),
    })
}

/// The device of that name or uuid; `None` where there is none, or several.
pub(super) fn one(control: &Control, called: &str) -> Option<Value> {
    let devices = control.machines().iter().zip(control.status());
    let mut found = devices.filter(|(machine, _)| machine.name == called || machine.uuid == called);
    let (machine, status) = found.next()?;
    found.next().is_none().then(|| device(control, machine, status))
}

fn device(control: &Control, machine: &Controlled, status: DeviceStatus) -> Value {
    let running = status.running.map(|running| {
        json!({
            "id": running.id.as_str(), "command": running.command.as_str(),
            "requester": running.requester.as_str(), "since": running.since.to_string(),
        })
    });
    let commands = machine.commands.iter().map(|definition| {
        // A uuid names one device only.
        let is_ready = control.is_ready(&machine.uuid, &definition.name);
        command(definition, is_ready)
    });
    json!({
        "name": machine.name.as_str(),
        "uuid": machine.uuid.as_str(),
        "connected": status.is_up,
        "running": running,
        "releasePending": status.release_pending.as_deref(),
        "last": status.last.as_ref().map(End::to_json),
        "commands": commands.collect::<Vec<_>>(),
    })
}

fn command(definition: &Definition, is_ready: bool) -> Value {
    json!({
        "name": definition.name.as_str(),
        "about": definition.about,
        "risk": definition.risk.as_str(),
        "require": definition.require.as_ref().map(|require| require.text()),
        "ready": is_ready,
        "arguments": definition.arguments.iter().map(argument).collect::<Vec<_>>(),
    })
}

fn argument(argument: &Argument) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("name", argument.name.as_str().into());
    put("type", argument.kind.as_str().into());
    for (key, bound) in [("min", argument.min), ("max", argument.max)] {
        if let Some(bound) = bound {
            put(key, bound.into());
        }
    }
    if argument.kind == crate::control::Kind::Text {
        put("maxLength", argument.max_len.into());
    }
    if let Some(pattern) = argument.pattern_text() {
        put("pattern", pattern.into());
    }
    if !argument.one_of.is_empty() {
        put("oneOf", argument.one_of.iter().map(plain).collect::<Vec<_>>().into());
    }
    for (key, text) in [("units", argument.units.as_str()), ("about", argument.about.as_str())] {
        if !text.is_empty() {
            put(key, text.into());
        }
    }
    Value::Object(object)
}
