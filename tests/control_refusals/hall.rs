//! A gateway with a cell, requesters who may more or less, and a table of what was refused.

use std::time::Duration;

use guideway::agent::{Agent, Surroundings};
use guideway::control::audit::{self, What};
use guideway::control::key::SigningKey;
use guideway::control::token::sign;
use guideway::control::{Control, End, Face, Reason, State};
use guideway::journal::{ItemState, Selection};
use guideway_contract::kit::Peer;
use guideway_contract::{Timestamp, Value};
use serde_json::{Value as Json, json};

use super::support::cell;

pub const SECRET: &str = "0123456789abcdef0123456789abcdef-twin";
pub const OTHER: &str = "another secret that is long enough, 37";
pub const SOON: Duration = Duration::from_secs(30);

/// Who may what. Every requester but the planner lacks something.
pub const WHO: &str = r#"
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

pub const REQUESTERS: [(&str, &str); 9] = [
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

pub struct Hall {
    pub agent: Agent,
    pub control: Control,
    pub peer: Peer,
    pub folder: tempfile::TempDir,
    pub key: SigningKey,
    pub number: u32,
    pub seen: Vec<(String, Reason)>,
}

/// A request as it is signed, to be spoilt.
pub struct Wish {
    pub iss: String,
    pub aud: String,
    pub jti: String,
    pub exp: f64,
    pub device: String,
    pub command: String,
    pub args: Json,
    pub more: serde_json::Map<String, Json>,
    pub without: Vec<&'static str>,
}

impl Wish {
    pub fn json(&self) -> Json {
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
pub fn now() -> f64 {
    (Timestamp::now().nanos() / 1_000_000) as f64 / 1_000.0
}

impl Hall {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut peer = Peer::python("modbus_peer.py", &[]).await;
        for line in cell::READY {
            assert_eq!(peer.say(line).await, "ok", "{line}");
        }
        cell::write_patient(folder.path());
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
        hall.until("the cell is ready", || hall.control.is_ready("Cell", "load")).await;
        hall
    }

    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let mut changes = self.agent.view().journal.changes();
        let wait = async {
            while !is_so() {
                let _ = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await;
            }
        };
        assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "not soon: {what}");
    }

    /// The value of a data item as text; of a condition its level.
    pub fn item(&self, id: &str) -> String {
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

    pub fn wish(&mut self, command: &str, args: Json) -> Wish {
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

    pub fn level(&mut self) -> Wish {
        self.wish("set_level", json!({ "level": 50.0 }))
    }

    /// Asks by a signed request through a face.
    pub async fn ask(&self, face: Face, signed: &[u8]) -> End {
        match self.control.open(face, signed, None) {
            Ok(claim) => self.control.submit(claim).await.unwrap(),
            Err(end) => *end,
        }
    }

    pub fn sign(&self, wish: &Wish) -> String {
        let key = match wish.iss.as_str() {
            "twin" => return sign(&self.key, &wish.json()).unwrap(),
            "second" => OTHER.to_owned(),
            name => format!("{SECRET}-{name}"),
        };
        sign(&SigningKey::secret(&key).unwrap(), &wish.json()).unwrap()
    }

    /// What the machine has: registers that commands write, and how many writes came.
    pub async fn machine(&mut self) -> String {
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
    pub async fn refused(&mut self, what: &str, wanted: Reason, wish: &Wish) {
        let signed = self.sign(wish);
        self.refused_through(what, Face::Mqtt, wanted, signed.as_bytes()).await;
    }

    pub async fn refused_through(&mut self, what: &str, face: Face, wanted: Reason, signed: &[u8]) {
        let before = self.machine().await;
        let end = self.ask(face, signed).await;
        self.is_refused(what, wanted, &end, &before).await;
    }

    pub async fn is_refused(&mut self, what: &str, wanted: Reason, end: &End, before: &str) {
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
pub fn jiff_now() -> (usize, usize) {
    let output = std::process::Command::new("date").arg("+%u %H").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut parts = text.split_whitespace().map(|part| part.parse::<usize>().unwrap());
    (parts.next().unwrap() - 1, parts.next().unwrap())
}
