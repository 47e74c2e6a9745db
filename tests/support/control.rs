//! Somebody who asks for commands and hears what becomes of them, and what tests of control look at.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use guideway::control::audit::{self, Record};
use guideway::control::claims::Claims;
use guideway::control::key::SigningKey;
use guideway::control::token::sign;
use guideway_contract::Timestamp;
use guideway_contract::kit::Peer;
use serde_json::{Value as Json, json};

use super::broker::Broker;
use super::gateway::Gateway;

/// The name of the gateway in `support::opcua::Stage`.
pub const GATEWAY: &str = "test";
/// What the topics of control begin with there.
pub const BASE: &str = "guideway/test/control";
/// How soon things have to happen.
pub const SOON: Duration = Duration::from_secs(20);

/// Somebody who is known to the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    pub name: &'static str,
    pub role: &'static str,
}

impl Who {
    /// A secret of at least 32 bytes that nobody else has.
    pub fn secret(&self) -> String {
        format!("{:-<40}", self.name)
    }

    /// Their `[[control.requester]]`.
    pub fn table(&self) -> String {
        let Self { name, role } = self;
        format!(
            "[[control.requester]]\nname = \"{name}\"\nroles = [\"{role}\"]\nsecret = \"{}\"\n",
            self.secret()
        )
    }

    /// A signed request that is valid for `validity` seconds.
    pub fn request(&self, id: &str, device: &str, command: &str, args: &Json, validity: f64) -> String {
        let nanos = (validity * 1e9) as i64;
        let claims = Claims {
            iss: self.name,
            aud: GATEWAY,
            jti: id,
            exp: Timestamp::from_nanos(Timestamp::now().nanos() + nanos, 9),
            device,
            command,
            args: args.as_object().unwrap().clone(),
            dry_run: false,
        };
        sign(&SigningKey::secret(&self.secret()).unwrap(), &claims).unwrap()
    }
}

/// A message that was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    pub topic: String,
    pub retained: bool,
    pub payload: Json,
}

impl Heard {
    /// An observation's data item, in the layout `entity`.
    pub fn item(&self) -> &str {
        self.payload["dataItemId"].as_str().unwrap_or_default()
    }

    /// Its result, if that is text; of a condition its level.
    pub fn result(&self) -> &str {
        let text = |key: &str| self.payload[key].as_str();
        text("result").or_else(|| text("level")).unwrap_or_default()
    }

    /// Its number in the journal.
    pub fn sequence(&self) -> u64 {
        self.payload["sequence"].as_u64().unwrap_or_else(|| panic!("no observation: {self:?}"))
    }

    /// What an observation of a command says of the state of this request.
    pub fn state_of(&self, id: &str) -> Option<&str> {
        let set = &self.payload["result"];
        (set["id"] == id).then(|| set["state"].as_str()).flatten()
    }
}

/// A stub twin (or scheduler) on MQTT: paho-mqtt in a process of its own. It knows what it has heard, and nothing else.
pub struct Twin {
    peer: Peer,
    who: Who,
    pub heard: Vec<Heard>,
}

impl Twin {
    /// Connected, and following its own answers and what the filters say.
    pub async fn start(broker: &Broker, who: Who, filters: &[&str]) -> Self {
        let peer = Peer::python_on("mqtt_requester.py", &broker.port.to_string(), &[]).await;
        let mut twin = Self { peer, who, heard: Vec::new() };
        twin.follow(&format!("{BASE}/response/{}/#", who.name)).await;
        for filter in filters {
            twin.follow(filter).await;
        }
        twin
    }

    async fn follow(&mut self, filter: &str) {
        assert_eq!(self.peer.say(&format!("sub {filter}")).await, "ok", "{filter}");
    }

    /// Waits for a message, among those that were heard since `from` and those that come.
    pub async fn until(&mut self, what: &str, from: usize, is_it: impl Fn(&Heard) -> bool) -> Heard {
        let mut at = from;
        loop {
            if let Some(found) = self.heard[at..].iter().find(|heard| is_it(heard)) {
                return found.clone();
            }
            at = self.heard.len();
            let said = self.peer.say(&format!("next {}", SOON.as_secs())).await;
            let said: Json = serde_json::from_str(&said)
                .unwrap_or_else(|_| panic!("{}: {what}: nothing more came", self.who.name));
            let payload = said["payload"].as_str().unwrap();
            self.heard.push(Heard {
                topic: said["topic"].as_str().unwrap().to_owned(),
                retained: said["retain"] == true || said["retain"] == 1,
                payload: serde_json::from_str(payload).unwrap_or_else(|_| payload.into()),
            });
        }
    }

    /// Waits until a data item has this result, or has had it since `from`.
    pub async fn sees(&mut self, item: &str, result: &str, from: usize) -> Heard {
        let what = format!("{item} = {result}");
        self.until(&what, from, |heard| heard.item() == item && heard.result() == result).await
    }

    /// What it knows of a data item: the last that it has heard.
    pub fn knows(&self, item: &str) -> Option<&str> {
        self.heard.iter().rev().find(|heard| heard.item() == item).map(Heard::result)
    }

    /// Publishes a signed request and waits for its end.
    pub async fn send(&mut self, request: &str) -> Json {
        let from = self.heard.len();
        let publish = json!({ "topic": format!("{BASE}/request"), "text": request });
        assert_eq!(self.peer.say(&format!("pub {publish}")).await, "ok");
        let own = format!("{BASE}/response/{}/", self.who.name);
        let answer = self.until("an answer", from, |heard| heard.topic.starts_with(&own)).await;
        answer.payload
    }

    /// Asks for a command and waits for its end.
    pub async fn ask(&mut self, id: &str, device: &str, command: &str, args: &Json) -> Json {
        let request = self.who.request(id, device, command, args, 60.0);
        self.send(&request).await
    }
}

/// `[[control.mqtt]]` and a destination of observations, both at the broker.
pub fn mqtt(broker: &Broker) -> String {
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    format!(
        "[[control.mqtt]]\nname = \"plant\"\nurl = \"{url}\"\n\
         [[mqtt]]\nname = \"twins\"\nurl = \"{url}\"\nlayout = \"entity\"\n"
    )
}

/// Sends a signed request over HTTP; the status and the end.
pub fn post(address: SocketAddr, device: &str, command: &str, request: &str) -> (u16, Json) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let length = request.len();
    let whole = format!(
        "POST /control/{device}/{command} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Content-Type: application/jose\r\nContent-Length: {length}\r\n\r\n{request}"
    );
    stream.write_all(whole.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

/// The text of a data item in a document of streams; of a condition the element's name.
pub fn value_in(document: &str, item: &str) -> Option<String> {
    let document = roxmltree::Document::parse(document).unwrap();
    let node = document.descendants().find(|node| node.attribute("dataItemId") == Some(item))?;
    let is_condition = node.parent().is_some_and(|parent| parent.tag_name().name() == "Condition");
    match is_condition {
        true => Some(node.tag_name().name().to_owned()),
        false => node.text().map(str::to_owned),
    }
}

/// The same in `/current`.
pub fn current(gateway: &Gateway, item: &str) -> Option<String> {
    value_in(&gateway.get("/current"), item)
}

/// The rows of the audit, whose chain has to be whole.
pub fn audited(folder: &Path) -> Vec<Record> {
    let mut rows = Vec::new();
    audit::read(&folder.join("data"), |row| rows.push(row)).unwrap_or_else(|error| panic!("{error}"));
    rows
}

/// What rows of the audit say of a request: (what, its fields as JSON).
pub fn rows_of(rows: &[Record], id: &str) -> Vec<(&'static str, String)> {
    let of = |record: &&Record| record.row.id == id;
    let shown = |record: &Record| {
        (record.row.what.as_str(), serde_json::Value::Object(record.row.fields.clone()).to_string())
    };
    rows.iter().filter(of).map(shown).collect()
}
