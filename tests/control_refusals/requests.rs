//! Requests of known requesters that are not theirs to make, come at the wrong time, or ask for what cannot be.

use guideway::control::{Face, Reason, State};
use serde_json::json;

use super::hall::{Hall, Wish, now};

/// Requests of known requesters that no permit covers, and targets that are not there.
pub async fn permits(hall: &mut Hall) {
    use Reason::{AmbiguousDevice, NotPermitted, UnknownCommand, UnknownDevice};
    for (what, who) in [
        ("a role without a permit", "viewer"),
        ("a permit for another face", "browser"),
        ("a permit for another device", "elsewhere"),
        ("a permit for another day", "sunday"),
        ("a permit for other hours", "owl"),
    ] {
        let wish = Wish { iss: who.into(), ..hall.level() };
        hall.refused(what, NotPermitted, &wish).await;
    }
    let wish = Wish { iss: "narrow".into(), ..hall.wish("relay", json!({ "on": true })) };
    hall.refused("a permit for another command", NotPermitted, &wish).await;
    for (what, reason, device, command) in [
        ("a device that is not there", UnknownDevice, "Lathe", "set_level"),
        ("a device that permits nothing", UnknownDevice, "Plain", "set_level"),
        ("a name that two devices have", AmbiguousDevice, "B1", "set_level"),
        ("a command that is not there", UnknownCommand, "Cell", "explode"),
        ("a command of the profile that the device does not permit", UnknownCommand, "Cell", "secret"),
        ("a point instead of a command", UnknownCommand, "Cell", "level"),
    ] {
        let wish = Wish { device: device.into(), command: command.into(), ..hall.level() };
        hall.refused(what, reason, &wish).await;
    }
}

pub async fn times_and_ids(hall: &mut Hall) {
    use Reason::{Expired, IdReused, RateLimited, ValidTooLong};
    for (what, reason, ahead) in [
        ("a request of a minute ago", Expired, -60.0),
        ("a request that has just expired", Expired, -0.002),
        ("a request that is valid for an hour", ValidTooLong, 3_600.0),
    ] {
        let wish = Wish { exp: now() + ahead, ..hall.level() };
        hall.refused(what, reason, &wish).await;
    }
    // One that is carried out, and comes again.
    let done = hall.level();
    let signed = hall.sign(&done);
    let end = hall.ask(Face::Mqtt, signed.as_bytes()).await;
    assert_eq!(end.state, State::Done, "{end:?}");
    let before = hall.machine().await;
    let again = hall.ask(Face::Http, signed.as_bytes()).await;
    assert!(again.replayed && again.state == State::Done && again.time == end.time, "{again:?}");
    assert_eq!(hall.machine().await, before, "a request that came again has acted");
    let other = Wish { args: json!({ "level": 51.0 }), jti: done.jti.clone(), ..hall.level() };
    hall.refused("the id of another request", IdReused, &other).await;
    let other = Wish { iss: "second".into(), jti: done.jti.clone(), ..hall.level() };
    hall.refused("the id of somebody else's request", IdReused, &other).await;
    let rejected = Wish { args: json!({}), ..hall.level() };
    hall.refused("a rejected request", Reason::BadArgument, &rejected).await;
    let mended = Wish { jti: rejected.jti.clone(), ..hall.level() };
    hall.refused("the id of a rejected request with other arguments", IdReused, &mended).await;

    let mut tries = 0;
    let limited = loop {
        let wish = Wish { iss: "eager".into(), args: json!({ "level": -1.0 }), ..hall.level() };
        let end = hall.ask(Face::Mqtt, hall.sign(&wish).as_bytes()).await;
        tries += 1;
        if end.reason == Some(RateLimited) || tries > 200 {
            break end;
        }
    };
    let before = hall.machine().await;
    hall.is_refused("more requests than a minute allows", RateLimited, &limited, &before).await;
    assert_eq!(tries, 151, "the burst is 150");
}

pub async fn arguments(hall: &mut Hall) {
    let long = "X".repeat(17);
    for (what, command, args) in [
        ("an argument that is missing", "relay", json!({})),
        ("an argument that is unknown", "relay", json!({ "on": true, "now": true })),
        ("text for a bool", "relay", json!({ "on": "true" })),
        ("a number for a bool", "relay", json!({ "on": 1 })),
        ("null for a bool", "relay", json!({ "on": null })),
        ("a list for a bool", "relay", json!({ "on": [true] })),
        ("text for a number", "set_level", json!({ "level": "50" })),
        ("a number that is too small", "set_level", json!({ "level": -0.001 })),
        ("a number that is too large", "set_level", json!({ "level": 100.5 })),
        ("a fraction for an int", "load", json!({ "name": "O1", "job": 1.5 })),
        ("an int of more than 64 bits", "load", json!({ "name": "O1", "job": 1e30 })),
        ("an int that is too large", "load", json!({ "name": "O1", "job": 1_000 })),
        ("an int that is too small", "load", json!({ "name": "O1", "job": 0 })),
        ("text that is too long", "load", json!({ "name": long, "job": 1 })),
        ("text that does not match", "load", json!({ "name": "o1", "job": 1 })),
        ("text that matches in part only", "load", json!({ "name": "O1;DROP", "job": 1 })),
        ("text that goes on in a second line", "load", json!({ "name": "O1\nX", "job": 1 })),
        ("empty text where some is needed", "load", json!({ "name": "", "job": 1 })),
        ("text that is none of those allowed", "pick", json!({ "which": "C", "count": 1 })),
        ("a number that is none of those allowed", "pick", json!({ "which": "A", "count": 3 })),
    ] {
        let wish = hall.wish(command, args);
        hall.refused(what, Reason::BadArgument, &wish).await;
    }
}
