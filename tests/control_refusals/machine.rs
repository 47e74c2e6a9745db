//! Requests that are right, of a machine that is not ready for them.

use std::time::Duration;

use guideway::control::{Face, Reason, State};
use guideway_contract::kit::Peer;
use serde_json::json;

use super::hall::{Hall, SOON, Wish};
use super::support::cell;

pub async fn interlocks(hall: &mut Hall) {
    use Reason::{Interlock, Stale, Unavailable};
    for (what, reason, lines, item, is, command, args) in [
        (
            "the machine works",
            Interlock,
            "set 1 holding 0 1",
            "Cell_exec",
            "ACTIVE",
            "relay",
            json!({ "on": true }),
        ),
        (
            "the machine is stopped",
            Interlock,
            "set 1 holding 0 2",
            "Cell_exec",
            "STOPPED",
            "load",
            json!({ "name": "O1", "job": 1 }),
        ),
        (
            "the state has no word",
            Unavailable,
            "set 1 holding 0 9",
            "Cell_exec",
            "Unavailable",
            "relay",
            json!({ "on": true }),
        ),
        (
            "the state cannot be read",
            Unavailable,
            "bad 1 holding 0",
            "Cell_exec",
            "Unavailable",
            "relay",
            json!({ "on": true }),
        ),
    ] {
        assert_eq!(hall.peer.say(lines).await, "ok");
        hall.until(what, || hall.item(item) == is).await;
        let wish = hall.wish(command, args);
        hall.refused(what, reason, &wish).await;
    }
    // Back from there, by a new session: an address that was bad is not asked for again at once.
    hall.peer.restart_ready().await;
    hall.until("it is ready again", || hall.item("Cell_exec") == "READY").await;
    for (what, line, back, item, is, was) in [
        (
            "the emergency stop is pressed",
            "set 1 coil 1 false",
            "set 1 coil 1 true",
            "Cell_estop",
            "TRIGGERED",
            "ARMED",
        ),
        ("there is a fault", "set 1 holding 2 7", "set 1 holding 2 0", "Cell_system", "Fault", "Normal"),
    ] {
        assert_eq!(hall.peer.say(line).await, "ok");
        hall.until(what, || hall.item(item) == is).await;
        let wish = hall.wish("relay", json!({ "on": true }));
        hall.refused(what, Interlock, &wish).await;
        assert_eq!(hall.peer.say(back).await, "ok");
        hall.until("it is well again", || hall.item(item) == was).await;
    }
    // Read once after each connect: older than half a second by now.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let wish = hall.wish("stale", json!({}));
    hall.refused("what it looks at was read long ago", Stale, &wish).await;
}

pub async fn states(hall: &mut Hall) {
    use Reason::{AnswerStands, Busy, ControlOff, Offline, ReleasePending, WriteRefused};
    let wish = Wish { device: "Gone".into(), ..hall.level() };
    hall.refused("a machine that was never there", Offline, &wish).await;

    let load = json!({ "name": "O1", "job": 1 });
    assert_eq!(hall.peer.say("set 1 holding 31 11").await, "ok");
    hall.until("the answer is seen", || !hall.control.is_ready("Cell", "load")).await;
    let wish = hall.wish("load", load.clone());
    hall.refused("the answer stands there already", AnswerStands, &wish).await;
    assert_eq!(hall.peer.say("set 1 holding 31 0").await, "ok");
    hall.until("it is gone", || hall.control.is_ready("Cell", "load")).await;

    // Nothing answers the handshake: it runs for eight seconds.
    let running = hall.wish("load", load.clone());
    let signed = hall.sign(&running);
    let claim = hall.control.open(Face::Mqtt, signed.as_bytes(), None).unwrap();
    let first = hall.control.submit(claim);
    let written = async { while hall.peer.say("get 1 holding 30 1").await != "11" {} };
    assert!(tokio::time::timeout(SOON, written).await.is_ok(), "not soon: all is written");
    let wish = hall.level();
    hall.refused("a second command while one runs", Busy, &wish).await;
    let wish = Wish { iss: "second".into(), ..hall.level() };
    hall.refused("somebody else's command while one runs", Busy, &wish).await;
    let claim = hall.control.open(Face::Mqtt, signed.as_bytes(), None).unwrap();
    let again = hall.control.submit(claim);
    let end = first.await.unwrap();
    assert_eq!((end.state, end.released), (State::TimedOut, Some(true)), "{end:?}");
    let again = again.await.unwrap();
    assert_eq!((again.state, again.replayed), (State::TimedOut, true), "one id has one end: {again:?}");

    assert_eq!(hall.peer.say("refuse 1 4").await, "ok");
    let wish = hall.wish("pick", json!({ "which": "A", "count": 1 }));
    let before_registers = hall.peer.say("get 1 holding 20 1").await;
    let end = hall.ask(Face::Mqtt, hall.sign(&wish).as_bytes()).await;
    assert_eq!((end.state, end.reason), (State::Rejected, Some(WriteRefused)), "{end:?}");
    assert_eq!(hall.peer.say("get 1 holding 20 1").await, before_registers);
    hall.seen.push(("the machine refuses the write".to_owned(), WriteRefused));
    assert_eq!(hall.peer.say("refuse 1 0").await, "ok");

    hall.control.set_switch(false, "test", "maintenance").unwrap();
    let wish = hall.level();
    hall.refused("control is off", ControlOff, &wish).await;
    let wish = Wish { more: [("dry_run".to_owned(), true.into())].into_iter().collect(), ..hall.level() };
    hall.refused("a dry run while control is off", ControlOff, &wish).await;
    hall.control.set_switch(true, "test", "").unwrap();
    std::fs::write(hall.folder.path().join("data/control.off"), "").unwrap();
    let wish = hall.level();
    hall.refused("somebody has made the file", ControlOff, &wish).await;
    std::fs::remove_file(hall.folder.path().join("data/control.off")).unwrap();
    let wish = hall.level();
    let end = hall.ask(Face::Mqtt, hall.sign(&wish).as_bytes()).await;
    assert_eq!(end.state, State::Done, "on again: {end:?}");

    // The machine does what it is told, and does not answer: the link goes, and so nothing lets go of it.
    assert_eq!(hall.peer.say("swallow 1").await, "ok");
    let wish = hall.wish("load", load);
    let end = hall.ask(Face::Mqtt, hall.sign(&wish).as_bytes()).await;
    assert_eq!((end.state, end.released), (State::TimedOut, Some(false)), "{end:?}");
    assert_eq!(end.reason, Some(Reason::NoAnswer), "{end:?}");
    let wish = hall.level();
    let end = hall.ask(Face::Mqtt, hall.sign(&wish).as_bytes()).await;
    assert_eq!((end.state, end.reason), (State::Rejected, Some(ReleasePending)), "{end:?}");
    hall.seen.push(("the release of the command before is not done".to_owned(), ReleasePending));
    assert_eq!(hall.peer.say("spit 1").await, "ok");
    hall.until("it is let go", || hall.control.status()[0].release_pending.is_none()).await;

    hall.peer.kill().await;
    hall.until("it is gone", || hall.item("Cell_exec") == "Unavailable").await;
    let wish = hall.level();
    let end = hall.ask(Face::Mqtt, hall.sign(&wish).as_bytes()).await;
    assert_eq!((end.state, end.reason), (State::Rejected, Some(Offline)), "{end:?}");
    hall.seen.push(("a machine that has gone".to_owned(), Offline));
}

/// A peer that begins anew, ready.
trait Ready {
    async fn restart_ready(&mut self);
}

impl Ready for Peer {
    async fn restart_ready(&mut self) {
        self.kill().await;
        self.restart().await;
        for line in cell::READY {
            assert_eq!(self.say(line).await, "ok", "{line}");
        }
    }
}
