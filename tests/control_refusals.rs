//! What control does not do: each refusal leaves the machine alone, and stands in the audit.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use guideway::agent::{Agent, Surroundings};
use guideway::control::audit::{self, What};
use guideway::control::claims::Claims;
use guideway::control::key::SigningKey;
use guideway::control::token::sign;
use guideway::control::{Control, End, Face, Reason, State};
use guideway::journal::{ItemState, Selection};
use guideway_contract::kit::Peer;
use guideway_contract::{Timestamp, Value};
use serde_json::{Value as Json, json};
use support::cell;

const SECRET: &str = "0123456789abcdef0123456789abcdef-twin";
const OTHER: &str = "another secret that is long enough, 37";
const SOON: Duration = Duration::from_secs(10);

/// Who may what. Every requester but the planner lacks something.
const WHO: &str = r#"
[control]
burst = 150
per_minute = 1
max_validity = "5m"
[[control.permit]]
role = "planner"
devices = ["*"]
commands = ["*"]
[[control.permit]]
role = "over-http"
devices = ["*"]
commands = ["*"]
faces = ["http"]
[[control.permit]]
role = "one-command"
devices = ["Cell"]
commands = ["set_level"]
[[control.permit]]
role = "one-device"
devices = ["Gone"]
commands = ["*"]
[[control.permit]]
role = "never"
devices = ["*"]
commands = ["*"]
days = "@DAY"
[[control.permit]]
role = "night"
devices = ["*"]
commands = ["*"]
hours = "@HOURS"
"#;

const REQUESTERS: [(&str, &str); 9] = [
    ("twin", "planner"),
    ("eager", "planner"),
    ("viewer", "nothing"),
    ("browser", "over-http"),
    ("narrow", "one-command"),
    ("elsewhere", "one-device"),
    ("sunday", "never"),
    ("owl", "night"),
    ("second", "planner"),
];

struct Hall {
    agent: Agent,
    control: Control,
    peer: Peer,
    folder: tempfile::TempDir,
    key: SigningKey,
    number: u32,
    seen: Vec<(String, Reason)>,
}

/// A request as it is signed, to be spoilt.
struct Wish {
    iss: String,
    aud: String,
    jti: String,
    exp: f64,
    device: String,
    command: String,
    args: Json,
    more: serde_json::Map<String, Json>,
    without: Vec<&'static str>,
}

impl Wish {
    fn json(&self) -> Json {
        let mut all = json!({
            "iss": self.iss, "aud": self.aud, "jti": self.jti, "exp": self.exp,
            "device": self.device, "command": self.command, "args": self.args,
        });
        let object = all.as_object_mut().unwrap();
        object.extend(self.more.clone());
        for name in &self.without {
            object.remove(*name);
        }
        all
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 42 bits")]
fn now() -> f64 {
    (Timestamp::now().nanos() / 1_000_000) as f64 / 1_000.0
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(SIGNS[(word >> (18 - 6 * place) & 63) as usize].into());
        }
    }
    text
}

impl Hall {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut peer = Peer::python("modbus_peer.py", &[]).await;
        for line in cell::READY {
            assert_eq!(peer.say(line).await, "ok", "{line}");
        }
        cell::write(folder.path());
        // A day and hours that are not now, in whatever zone this runs.
        let zoned = jiff_now();
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let who = WHO
            .replace("@DAY", days[(zoned.0 + 3) % 7])
            .replace("@HOURS", &format!("{:02}:00-{:02}:00", (zoned.1 + 6) % 24, (zoned.1 + 8) % 24));
        let mut text = format!(
            "[gateway]\nname = \"hall\"\n[mtconnect]\naddress = \"127.0.0.1\"\nport = 0\n[journal]\ndurable = true\n{who}"
        );
        for (name, role) in REQUESTERS {
            let secret = if name == "second" { OTHER.to_owned() } else { format!("{SECRET}-{name}") };
            text += &format!(
                "[[control.requester]]\nname = \"{name}\"\nroles = [\"{role}\"]\nsecret = \"{secret}\"\n"
            );
        }
        text += &cell::device("Cell", peer.port());
        // Nobody listens there.
        text += &cell::device("Gone", 1);
        text += &cell::device("A1", 1);
        text += "uuid = \"B1\"\n";
        text += &cell::device("B1", 1);
        text += &cell::device("Plain", 1).replace("commands", "#");
        let loaded = guideway::config::load_text(&folder.path().join("guideway.toml"), text);
        let (configuration, _) = loaded.unwrap_or_else(|found| {
            panic!("{}", found.iter().map(|one| format!("{} {}\n", one.what, one.cure)).collect::<String>())
        });
        let surroundings = Surroundings { data_dir: Some(folder.path().join("data")), simulated: false };
        let agent = Box::pin(Agent::start(configuration, surroundings)).await.unwrap();
        let control = agent.view().control.clone().unwrap();
        let key = SigningKey::secret(&format!("{SECRET}-twin")).unwrap();
        let hall = Self { agent, control, peer, folder, key, number: 0, seen: Vec::new() };
        hall.until("the cell is ready", || {
            hall.control.is_ready("Cell", "load_nothing") || hall.item("Cell_exec") == "READY"
        })
        .await;
        hall
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let mut changes = self.agent.view().journal.changes();
        let wait = async {
            while !is_so() {
                let _ = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await;
            }
        };
        assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "not soon: {what}");
    }

    /// The value of a data item as text; of a condition its level.
    fn item(&self, id: &str) -> String {
        let view = self.agent.view();
        let index = view.model.load().find_item(id).unwrap().index;
        let snapshot = view.journal.snapshot_of(None, &Selection::of([index])).unwrap();
        let value = match snapshot.get(index) {
            ItemState::Unknown => return String::new(),
            ItemState::Latest((_, observation)) => observation.value.clone(),
            ItemState::Chain(entries) => entries[0].1.value.clone(),
        };
        match value {
            Value::Text(text) => text.to_string(),
            Value::Condition(condition) => format!("{:?}", condition.level),
            other => format!("{other:?}"),
        }
    }

    fn wish(&mut self, command: &str, args: Json) -> Wish {
        self.number += 1;
        Wish {
            iss: "twin".into(),
            aud: "hall".into(),
            jti: format!("r{}", self.number),
            exp: now() + 60.0,
            device: "Cell".into(),
            command: command.into(),
            args,
            more: serde_json::Map::new(),
            without: Vec::new(),
        }
    }

    fn level(&mut self) -> Wish {
        self.wish("set_level", json!({ "level": 50.0 }))
    }

    /// Asks by a signed request through a face.
    async fn ask(&self, face: Face, signed: &[u8]) -> End {
        match self.control.open(face, signed, None) {
            Ok(claim) => self.control.submit(claim).await.unwrap(),
            Err(end) => *end,
        }
    }

    fn sign(&self, wish: &Wish) -> String {
        let key = match wish.iss.as_str() {
            "twin" => return sign(&self.key, &wish.json()).unwrap(),
            "second" => OTHER.to_owned(),
            name => format!("{SECRET}-{name}"),
        };
        sign(&SigningKey::secret(&key).unwrap(), &wish.json()).unwrap()
    }

    /// What the machine has: registers that commands write, and how many writes came.
    async fn machine(&mut self) -> String {
        let mut all = String::new();
        for line in [
            "get 1 coil 10 1",
            "get 1 holding 10 1",
            "get 1 holding 20 1",
            "get 1 holding 30 1",
            "get 1 holding 40 8",
            "writes",
        ] {
            all += &self.peer.say(line).await;
            all.push('|');
        }
        all
    }

    /// A row of the table: it ends so, the machine is as it was, and the audit has it.
    async fn refused(&mut self, what: &str, wanted: Reason, wish: &Wish) {
        let signed = self.sign(wish);
        self.refused_through(what, Face::Mqtt, wanted, signed.as_bytes()).await;
    }

    async fn refused_through(&mut self, what: &str, face: Face, wanted: Reason, signed: &[u8]) {
        let before = self.machine().await;
        let end = self.ask(face, signed).await;
        self.is_refused(what, wanted, &end, &before).await;
    }

    async fn is_refused(&mut self, what: &str, wanted: Reason, end: &End, before: &str) {
        assert_eq!((end.state, end.reason), (State::Rejected, Some(wanted)), "{what}: {end:?}");
        assert!(!end.detail.is_empty() || wanted == Reason::Unauthenticated, "{what}: {end:?}");
        assert_eq!(self.machine().await, before, "{what}: the machine was touched");
        let (mut found, row) = (false, end.audit.0);
        audit::read(&self.folder.path().join("data"), |record| {
            let has_reason = record.row.fields.get("reason") == Some(&wanted.as_str().into());
            let is_last = matches!(record.row.what, What::End | What::Refused);
            found |= record.number == row && has_reason && is_last && record.hash == end.audit.1;
        })
        .unwrap();
        assert!(found, "{what}: row {row} of the audit is another one");
        self.seen.push((what.to_owned(), wanted));
    }
}

/// Day of the week from Monday = 0, and hour, where this runs.
fn jiff_now() -> (usize, usize) {
    let output = std::process::Command::new("date").arg("+%u %H").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut parts = text.split_whitespace().map(|part| part.parse::<usize>().unwrap());
    (parts.next().unwrap() - 1, parts.next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_leaves_the_machine_alone_and_an_audit_row() {
    let mut hall = Hall::start().await;
    strangers(&mut hall).await;
    permits(&mut hall).await;
    times_and_ids(&mut hall).await;
    arguments(&mut hall).await;
    interlocks(&mut hall).await;
    states(&mut hall).await;
    println!("{} refusals", hall.seen.len());
    for (what, reason) in &hall.seen {
        println!("  {:<18} {what}", reason.as_str());
    }
    assert!(hall.seen.len() >= 60, "{}", hall.seen.len());
    hall.agent.stop().await.unwrap();
}

/// Spoils a request before it is signed.
type Spoil = fn(&mut Wish);

/// Requests that are not proved to come from anybody, or cannot be read.
async fn strangers(hall: &mut Hall) {
    use Reason::{Malformed, Oversized, Unauthenticated};
    for (what, bytes) in [
        ("nothing at all", Vec::new()),
        ("a word", b"hello".to_vec()),
        ("bytes that are no text", vec![0xff, 0xfe, 0x00, 0x80]),
        ("JSON without a signature", b"{\"device\":\"Cell\",\"command\":\"set_level\"}".to_vec()),
        ("two points and nothing between", b"..".to_vec()),
    ] {
        hall.refused_through(what, Face::Mqtt, Malformed, &bytes).await;
    }
    hall.refused_through("a megabyte", Face::Mqtt, Oversized, &vec![b'a'; 1 << 20]).await;

    let wish = hall.level();
    let good = hall.sign(&wish);
    let parts: Vec<&str> = good.split('.').collect();
    let payload = base64(wish.json().to_string().as_bytes());
    let none = format!("{}.{payload}.", base64(br#"{"alg":"none","typ":"JWT"}"#));
    let end = hall.ask(Face::Http, none.as_bytes()).await;
    assert!(matches!(end.reason, Some(Malformed | Unauthenticated)), "{end:?}");
    let reason = end.reason.unwrap();
    hall.refused_through("the algorithm none", Face::Http, reason, none.as_bytes()).await;
    let hs512 = format!("{}.{payload}.{}", base64(br#"{"alg":"HS512","typ":"JWT"}"#), parts[2]);
    let reason = hall.ask(Face::Http, hs512.as_bytes()).await.reason.unwrap();
    hall.refused_through("another algorithm", Face::Http, reason, hs512.as_bytes()).await;
    let other = json!({ "level": 99.0 });
    let forged = Wish { args: other, ..hall.level() };
    let forged = base64(forged.json().to_string().as_bytes());
    let text = format!("{}.{forged}.{}", parts[0], parts[2]);
    hall.refused_through(
        "claims that were changed after signing",
        Face::Http,
        Unauthenticated,
        text.as_bytes(),
    )
    .await;
    let cut = &good[..good.len() - 4];
    hall.refused_through("a signature that is cut", Face::Http, Unauthenticated, cut.as_bytes()).await;
    let text = format!("{}.{}.", parts[0], parts[1]);
    hall.refused_through("no signature", Face::Http, Unauthenticated, text.as_bytes()).await;
    let wish = hall.level();
    let stranger = sign(&SigningKey::secret(OTHER).unwrap(), &wish.json()).unwrap();
    hall.refused_through("somebody else's secret", Face::Mqtt, Unauthenticated, stranger.as_bytes()).await;
    let wish = Wish { iss: "nobody".into(), ..hall.level() };
    let unknown = sign(&SigningKey::secret(OTHER).unwrap(), &wish.json()).unwrap();
    hall.refused_through("a requester whom nobody knows", Face::Mqtt, Unauthenticated, unknown.as_bytes())
        .await;

    let spoilt: [(&str, Reason, Spoil); 18] = [
        ("a request for another gateway", Unauthenticated, |wish| wish.aud = "other".into()),
        ("a request for no gateway", Malformed, |wish| wish.without.push("aud")),
        ("no requester", Unauthenticated, |wish| wish.without.push("iss")),
        ("no id", Malformed, |wish| wish.without.push("jti")),
        ("an id with a space", Malformed, |wish| wish.jti = "a b".into()),
        ("an id that is too long", Malformed, |wish| wish.jti = "x".repeat(65)),
        ("no end", Malformed, |wish| wish.without.push("exp")),
        ("an end that is no time", Malformed, |wish| drop(wish.more.insert("exp".into(), "soon".into()))),
        ("no device", Malformed, |wish| wish.without.push("device")),
        ("no command", Malformed, |wish| wish.without.push("command")),
        ("arguments that are a list", Malformed, |wish| wish.args = json!([1])),
        ("a dry run that is a word", Malformed, |wish| {
            drop(wish.more.insert("dry_run".into(), "yes".into()));
        }),
        ("a misspelt dry run", Malformed, |wish| drop(wish.more.insert("dryrun".into(), true.into()))),
        ("not valid yet", Unauthenticated, |wish| {
            drop(wish.more.insert("nbf".into(), (now() + 60.0).into()));
        }),
        ("seventy arguments", Malformed, |wish| {
            wish.args =
                (0..70).map(|n| (format!("a{n}"), Json::from(n))).collect::<serde_json::Map<_, _>>().into();
        }),
        ("a device whose name is a list", Malformed, |wish| {
            drop(wish.more.insert("device".into(), json!(["Cell"])));
        }),
        ("an empty device", Malformed, |wish| wish.device = String::new()),
        ("an end that is no number", Malformed, |wish| drop(wish.more.insert("exp".into(), Json::Null))),
    ];
    for (what, reason, spoil) in spoilt {
        let mut wish = hall.level();
        spoil(&mut wish);
        let signed = sign(&hall.key, &wish.json()).unwrap();
        // Which of the two words it is, is the token's matter; that it is refused is ours.
        let end = hall.ask(Face::Mqtt, signed.as_bytes()).await;
        let told = end.reason.unwrap();
        assert!(told == reason || [Malformed, Unauthenticated].contains(&told), "{what}: {end:?}");
        hall.refused_through(what, Face::Mqtt, told, signed.as_bytes()).await;
    }

    for (what, path) in [
        ("an address of another device", ("Gone", "set_level")),
        ("an address of another command", ("Cell", "relay")),
    ] {
        let wish = hall.level();
        let signed = hall.sign(&wish);
        let before = hall.machine().await;
        let end = *hall.control.open(Face::Http, signed.as_bytes(), Some(path)).unwrap_err();
        hall.is_refused(what, Malformed, &end, &before).await;
    }
    let before = hall.machine().await;
    let end = *hall.control.login(Face::Http, "twin", "secret").await.unwrap_err();
    hall.is_refused("a password of somebody who has none", Unauthenticated, &end, &before).await;
}

/// Requests of known requesters that no permit covers, and targets that are not there.
async fn permits(hall: &mut Hall) {
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

async fn times_and_ids(hall: &mut Hall) {
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

async fn arguments(hall: &mut Hall) {
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

async fn interlocks(hall: &mut Hall) {
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

async fn states(hall: &mut Hall) {
    use Reason::{AnswerStands, Busy, ControlOff, Offline, ReleasePending, WriteRefused};
    let wish = Wish { device: "Gone".into(), ..hall.level() };
    hall.refused("a machine that was never there", Offline, &wish).await;

    let load = json!({ "name": "O1", "job": 1 });
    assert_eq!(hall.peer.say("set 1 holding 31 11").await, "ok");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let wish = hall.wish("load", load.clone());
    hall.refused("the answer stands there already", AnswerStands, &wish).await;
    assert_eq!(hall.peer.say("set 1 holding 31 0").await, "ok");
    tokio::time::sleep(Duration::from_millis(200)).await;

    // Nothing answers the handshake: it runs for a second.
    let running = hall.wish("load", load.clone());
    let signed = hall.sign(&running);
    let claim = hall.control.open(Face::Mqtt, signed.as_bytes(), None).unwrap();
    let first = hall.control.submit(claim);
    let status = || hall.control.status()[0].running.clone();
    hall.until("it runs, and all is written", || status().is_some()).await;
    while hall.peer.say("get 1 holding 30 1").await != "11" {}
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

#[test]
fn claims_of_the_library_are_those_of_the_table() {
    let claims = Claims {
        iss: "twin",
        aud: "hall",
        jti: "1",
        exp: Timestamp::from_nanos(1_000_000_000, 0),
        device: "Cell",
        command: "relay",
        args: serde_json::Map::new(),
        dry_run: false,
    };
    let written = serde_json::to_value(&claims).unwrap();
    let names: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(names, ["iss", "aud", "jti", "exp", "device", "command"]);
}
