//! A machine, a broker, a gateway that dies, and somebody who asks over both faces.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use guideway::control::audit::{self, Record, What};
use guideway::control::key::SigningKey;
use guideway::control::token::sign;
use guideway_contract::kit::Peer;
use serde_json::{Value as Json, json};

use crate::support::broker::Broker;
use crate::support::gateway::{Gateway, free_port};
use crate::support::{cell, eventually, http};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const SOON: Duration = Duration::from_secs(20);

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub machine: Peer,
    requester: Peer,
    gateway: Option<Gateway>,
    port: u16,
    configuration: PathBuf,
    key: SigningKey,
    _broker: Broker,
}

impl Stage {
    pub async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(folder.path());
        let machine = Peer::python("modbus_peer.py", &[]).await;
        let mut requester = Peer::python_on("mqtt_requester.py", &broker.port.to_string(), &[]).await;
        assert_eq!(requester.say("sub guideway/hall/control/response/scheduler/#").await, "ok");
        // Long enough for whoever is to hit it while it waits for an answer.
        let profile = cell::PROFILE.replace("timeout = \"2s\"", "timeout = \"5s\"");
        assert_ne!(profile, cell::PROFILE);
        std::fs::write(folder.path().join("cell.toml"), profile).unwrap();
        let port = free_port();
        let text = format!(
            "[gateway]\nname = \"hall\"\n[model]\nagent_device = false\n\
             [mtconnect]\naddress = \"127.0.0.1\"\nport = {port}\n{}\
             [control]\nhttp = true\nburst = 1000\nper_minute = 6000\nmax_validity = \"1h\"\nwrite_timeout = \"5s\"\n\
             [[control.requester]]\nname = \"scheduler\"\nroles = [\"scheduling\"]\nsecret = \"{SECRET}\"\n\
             [[control.permit]]\nrole = \"scheduling\"\ndevices = [\"*\"]\ncommands = [\"*\"]\n\
             [[control.mqtt]]\nname = \"plant\"\nurl = \"mqtt://127.0.0.1:{}\"\n",
            cell::device("Cell", machine.port()),
            broker.port
        );
        let configuration = folder.path().join("guideway.toml");
        std::fs::write(&configuration, text).unwrap();
        let key = SigningKey::secret(SECRET).unwrap();
        Self { folder, machine, requester, gateway: None, port, configuration, key, _broker: broker }
    }

    /// The machine is idle, and does what it is told.
    pub async fn tidy(&mut self) {
        for line in ["spit 1", "refuse 1 0", "lag 1 0", "echo 1 30 31 20"].into_iter().chain(cell::READY) {
            self.tell(line).await;
        }
        self.tell("set 1 holding 20 0").await;
        self.tell("set 1 holding 40 0 0 0 0 0 0 0 0").await;
    }

    pub async fn tell(&mut self, line: &str) {
        assert_eq!(self.machine.say(line).await, "ok", "{line}");
    }

    pub async fn register(&mut self, number: u16) -> u16 {
        self.machine.say(&format!("get 1 holding {number} 1")).await.parse().unwrap()
    }

    pub async fn until_register(&mut self, number: u16, value: u16) {
        let deadline = tokio::time::Instant::now() + SOON;
        while self.register(number).await != value {
            assert!(tokio::time::Instant::now() < deadline, "register {number} is never {value}");
        }
    }

    pub async fn writes(&mut self) -> u64 {
        self.machine.say("writes").await.parse().unwrap()
    }

    /// Starts the gateway, which perhaps kills itself after that row of its audit.
    pub fn start(&mut self, halt: Option<&str>) {
        assert!(self.gateway.is_none());
        let gateway = Gateway::start_halting(&self.configuration, self.folder.path(), self.port, halt);
        self.gateway = Some(gateway);
    }

    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.gateway.take().unwrap().kill();
    }

    /// SIGTERM.
    pub fn stop(&mut self) {
        let (status, _) = self.gateway.take().unwrap().terminate();
        assert!(status.success());
    }

    /// Waits until it has killed itself.
    pub fn dies(&mut self) {
        self.gateway.take().unwrap().dies();
    }

    /// How the machine stands, as `GET /control` has it.
    pub fn cell(&self) -> Json {
        serde_json::from_str(&self.gateway().get("/control/Cell")).unwrap()
    }

    /// Waits until `load` could be carried out, and requests over MQTT are taken.
    pub fn ready(&self) {
        eventually("the machine is ready", SOON, || {
            let cell = self.cell();
            let commands = cell["commands"].as_array().unwrap();
            let load = commands.iter().find(|command| command["name"] == "load").unwrap();
            (load["ready"] == true && self.gateway().health()["controlMqtt"][0]["state"] == "connected")
                .then_some(())
        });
    }

    /// A signed request for `load`.
    pub fn request(&self, id: &str, job: u16) -> String {
        self.signed(id, "load", &json!({ "name": "O1234", "job": job }))
    }

    pub fn signed(&self, id: &str, command: &str, args: &Json) -> String {
        signed(&self.key, id, command, args)
    }

    /// Signs requests for `load` elsewhere.
    pub fn signer(&self) -> impl Fn(&str, u16) -> String + Send + 'static {
        let key = SigningKey::secret(SECRET).unwrap();
        move |id, job| signed(&key, id, "load", &json!({ "name": "O1234", "job": job }))
    }

    /// Publishes a request.
    pub async fn publish(&mut self, signed: &str) {
        let what = json!({ "topic": "guideway/hall/control/request", "text": signed, "correlation": "00ff" });
        assert_eq!(self.requester.say(&format!("pub {what}")).await, "ok");
    }

    /// The next answer over MQTT.
    pub async fn answer(&mut self, within: u32) -> Option<Json> {
        let said: Json = serde_json::from_str(&self.requester.say(&format!("next {within}")).await).ok()?;
        assert_eq!(said["correlation"], "00ff", "{said}");
        serde_json::from_str(said["payload"].as_str().unwrap()).ok()
    }

    /// Asks over HTTP and waits for the end.
    pub fn ask(&self, signed: &str, command: &str) -> Option<Json> {
        http::try_control(self.gateway().address, &format!("/control/Cell/{command}"), signed)
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.gateway().address
    }

    /// The rows of a request; the whole audit is looked over for it.
    pub fn rows(&self, id: &str) -> Vec<Record> {
        let mut rows = Vec::new();
        let data = self.folder.path().join("data");
        audit::read(&data, |record| rows.push(record)).unwrap_or_else(|error| panic!("{error}"));
        rows.retain(|record| record.row.id == id);
        rows
    }

    /// The one end of a request, when it is there.
    pub fn end(&self, id: &str) -> Option<Json> {
        let mut ends = self.rows(id);
        ends.retain(|record| record.row.what == What::End && !record.row.fields.contains_key("replayed"));
        assert!(ends.len() <= 1, "{id} has several ends: {ends:?}");
        ends.pop().map(|record| Json::Object(record.row.fields))
    }

    /// The end of every request; none has two.
    pub fn ends(&self) -> BTreeMap<String, Json> {
        let mut ends = BTreeMap::new();
        let data = self.folder.path().join("data");
        let take = |record: Record| {
            // Another request with a used id is refused, and has its row, too.
            let is_other = record.row.fields.get("reason") == Some(&"id-reused".into());
            if record.row.what == What::End && !record.row.fields.contains_key("replayed") && !is_other {
                let before = ends.insert(record.row.id.to_string(), Json::Object(record.row.fields));
                assert_eq!(before, None, "{} has two ends", record.row.id);
            }
        };
        audit::read(&data, take).unwrap_or_else(|error| panic!("{error}"));
        ends
    }

    /// How often a request has such a row.
    pub fn count(&self, id: &str, what: What) -> usize {
        self.rows(id).iter().filter(|record| record.row.what == what).count()
    }

    /// Whether the audit says that the release steps of a request are done.
    pub fn is_released(&self, id: &str) -> bool {
        let is_it =
            |record: &Record| record.row.what == What::Released && record.row.fields.contains_key("done");
        self.rows(id).iter().any(is_it)
    }

    /// What the journal says of the machine's last command: its id and state.
    pub fn told(&self) -> Option<(String, String)> {
        let document = self.gateway().get("/current");
        let document = roxmltree::Document::parse(&document).unwrap();
        let told = document
            .descendants()
            .find(|node| node.attribute("dataItemId").is_some_and(|id| id.ends_with("_command")))?;
        let entry = |key: &str| {
            let entry = told.children().find(|node| node.attribute("key") == Some(key))?;
            entry.text().map(str::to_owned)
        };
        Some((entry("id")?, entry("state")?))
    }
}

/// The same request has the same bytes only if it is kept: its time runs from now.
fn signed(key: &SigningKey, id: &str, command: &str, args: &Json) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let claims = json!({
        "iss": "scheduler", "aud": "hall", "jti": id, "exp": now + 1_800.0,
        "device": "Cell", "command": command, "args": args,
    });
    sign(key, &claims).unwrap()
}
