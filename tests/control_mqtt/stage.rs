//! A machine, a broker, the gateway between them, and somebody who asks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use guideway_contract::kit::Peer;
use serde_json::{Value, json};

use crate::support::broker::Broker;
use crate::support::eventually;
use crate::support::gateway::{Gateway, free_port};

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const SOON: Duration = Duration::from_secs(20);
/// Everything of control is below this.
pub const BASE: &str = "guideway/hall/control";

const CELL: &str = r#"
schema = 1
id = "cell"
version = "1.0.0"
groups = { fast = "50ms" }
[adapter]
kind = "modbus"
timeout = "2s"
[points]
job = { addr = "holding:100", type = "u16", group = "fast", access = "rw" }
start = { addr = "holding:101", type = "u16", group = "fast", access = "rw" }
started = { addr = "holding:102", type = "u16", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
job = { at = "Controller/Path[path]", type = "LINE_NUMBER.ABSOLUTE", value = "int(job)" }
[commands.set_job]
risk = "setpoint"
args = { value = { type = "int", min = 0, max = 999 } }
write = [{ point = "job", value = "args.value" }]
verify = { point = "job", equals = "args.value", within = "10s" }
# The machine, which is the test here, says when it has started.
[commands.start]
risk = "motion"
write = [{ point = "start", value = "1" }]
verify = { point = "started", equals = "1", within = "30s" }
finally = [{ point = "start", value = "0" }]
"#;

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub machine: Peer,
    pub broker: Broker,
    http: u16,
    configuration: PathBuf,
    gateway: Option<Gateway>,
}

impl Stage {
    /// Everything runs, and the machine is read. `more` are keys of `[[control.mqtt]]`.
    pub async fn set(more: &str) -> Self {
        Self::behind(more, None, |_| "allow_anonymous true".to_owned()).await
    }

    /// The same with a broker that has these lines, and the gateway connected to it by way of `between`.
    pub async fn behind(more: &str, between: Option<&Between>, access: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start_with(folder.path(), &access(folder.path()));
        let port = between.map_or(broker.port, |between| between.lead_to(broker.port));
        let mut machine = Peer::python("modbus_peer.py", &[]).await;
        assert_eq!(machine.say("set 1 holding 100 0 0 0").await, "ok");
        std::fs::write(folder.path().join("cell.toml"), CELL).unwrap();
        let http = free_port();
        let text = format!(
            "[gateway]\nname = \"hall\"\n[model]\nagent_device = false\n\
             [mtconnect]\naddress = \"127.0.0.1\"\nport = {http}\n\
             [[device]]\nname = \"Cell-1\"\nprofile = \"./cell.toml\"\naddress = \"127.0.0.1:{}\"\n\
             commands = [\"set_job\", \"start\"]\n\
             [control]\nburst = 1000\nper_minute = 6000\n\
             [[control.requester]]\nname = \"scheduler\"\nroles = [\"scheduling\"]\nsecret = \"{SECRET}\"\n\
             [[control.permit]]\nrole = \"scheduling\"\ndevices = [\"*\"]\ncommands = [\"*\"]\nfaces = [\"mqtt\"]\n\
             [[control.mqtt]]\nname = \"plant\"\nurl = \"mqtt://127.0.0.1:{port}\"\n{more}\n",
            machine.port()
        );
        let configuration = folder.path().join("guideway.toml");
        std::fs::write(&configuration, text).unwrap();
        let mut stage = Self { folder, machine, broker, http, configuration, gateway: None };
        stage.start();
        stage
    }

    /// Starts the gateway (again).
    pub fn start(&mut self) {
        let gateway = Gateway::start(&self.configuration, self.folder.path(), self.http);
        eventually("the request topics are followed, and the machine is read", SOON, || {
            let health = gateway.health();
            let is_followed = health["controlMqtt"][0]["state"] == "connected";
            let current = gateway.get("/current");
            let document = roxmltree::Document::parse(&current).unwrap();
            let job = document.descendants().find(|node| node.attribute("dataItemId") == Some("Cell-1_job"));
            let is_read = job.and_then(|node| node.text()).is_some_and(|text| text != "UNAVAILABLE");
            (is_followed && is_read).then_some(())
        });
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

    /// How the face is doing.
    pub fn health(&self) -> Value {
        self.gateway().health()["controlMqtt"][0].clone()
    }

    /// Waits until the face's health is so.
    pub fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, SOON, || Some(self.health()).filter(|health| is(health)))
    }

    /// Requests that the machine has done, by the gateway's count.
    pub fn done(&self) -> u64 {
        self.gateway().health()["control"]["ends"]["done"].as_u64().unwrap()
    }

    /// A register of the machine.
    pub async fn register(&mut self, number: u16) -> u16 {
        self.machine.say(&format!("get 1 holding {number} 1")).await.parse().unwrap()
    }

    pub async fn set_register(&mut self, number: u16, value: u16) {
        assert_eq!(self.machine.say(&format!("set 1 holding {number} {value}")).await, "ok");
    }

    /// Waits until a register has this value.
    pub async fn until_register(&mut self, number: u16, value: u16) {
        let deadline = tokio::time::Instant::now() + SOON;
        while self.register(number).await != value {
            assert!(tokio::time::Instant::now() < deadline, "register {number} is never {value}");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.folder.path().join("gateway.log"));
            println!("{}", said.unwrap_or_default());
        }
    }
}

/// The request of the scheduler for `set_job`, good for a minute.
pub fn claims(id: &str, value: u16) -> Value {
    json!({
        "iss": "scheduler", "aud": "hall", "jti": id, "exp": now() + 60.0,
        "device": "Cell-1", "command": "set_job", "args": { "value": value },
    })
}

pub fn start_claims(id: &str) -> Value {
    let mut claims = claims(id, 0);
    claims["command"] = "start".into();
    claims.as_object_mut().unwrap().remove("args");
    claims
}

pub fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A message as it came to the requester.
#[derive(Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Value,
    pub retain: bool,
    pub qos: u64,
    pub correlation: Option<String>,
    pub content_type: Option<String>,
}

/// paho-mqtt and PyJWT.
pub struct Requester(Peer);

impl Requester {
    pub async fn new(broker: &Broker, arguments: &[&str]) -> Self {
        Self(Peer::python_on("mqtt_requester.py", &broker.port.to_string(), arguments).await)
    }

    pub async fn subscribe(&mut self, filter: &str) {
        assert_eq!(self.0.say(&format!("sub {filter}")).await, "ok");
    }

    pub async fn publish(&mut self, mut what: Value) {
        if what.get("secret").is_none() {
            what["secret"] = SECRET.into();
        }
        if what.get("topic").is_none() {
            what["topic"] = format!("{BASE}/request").into();
        }
        assert_eq!(self.0.say(&format!("pub {what}")).await, "ok", "{what}");
    }

    pub async fn sign(&mut self, claims: &Value) -> String {
        self.0.say(&format!("sign {}", json!({ "claims": claims, "secret": SECRET }))).await
    }

    /// The next message; it has to come.
    pub async fn next(&mut self) -> Message {
        let said = self.0.say("next 20").await;
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("no message came: {said}"));
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let payload = text("payload").unwrap();
        Message {
            topic: text("topic").unwrap(),
            payload: serde_json::from_str(&payload).unwrap_or(Value::String(payload)),
            retain: said["retain"] == true || said["retain"] == 1,
            qos: said["qos"].as_u64().unwrap(),
            correlation: text("correlation"),
            content_type: text("contentType"),
        }
    }

    /// Publishes a request, and waits for the next message.
    pub async fn ask(&mut self, what: Value) -> Message {
        self.publish(what).await;
        self.next().await
    }
}

/// Stands between the gateway and its broker: passes everything on, but can keep acknowledgements back and cut the
/// connection.
pub struct Between {
    listener: Mutex<Option<TcpListener>>,
    port: u16,
    swallow: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Between {
    pub fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (swallow, open) = (Arc::default(), Arc::default());
        Self { listener: Mutex::new(Some(listener)), port, swallow, open }
    }

    /// Goes to work; the port to connect to.
    fn lead_to(&self, broker: u16) -> u16 {
        let listener = self.listener.lock().unwrap().take().unwrap();
        let (swallow, open) = (self.swallow.clone(), self.open.clone());
        std::thread::spawn(move || {
            for gateway in listener.incoming() {
                let gateway = gateway.unwrap();
                let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let both = [gateway.try_clone().unwrap(), broker.try_clone().unwrap()];
                open.lock().unwrap().extend(both);
                let (mut from, mut to) = (broker.try_clone().unwrap(), gateway.try_clone().unwrap());
                std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
                let swallow = swallow.clone();
                std::thread::spawn(move || drop(pass(gateway, broker, &swallow)));
            }
        });
        self.port
    }

    /// From now on the gateway's acknowledgements do not reach the broker, or do again.
    pub fn swallow(&self, yes: bool) {
        self.swallow.store(yes, Ordering::SeqCst);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Passes packets on from the gateway to the broker, PUBACK perhaps not.
fn pass(mut from: TcpStream, mut to: TcpStream, swallow: &AtomicBool) -> std::io::Result<()> {
    loop {
        let mut head = vec![0];
        from.read_exact(&mut head)?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let mut byte = [0];
            from.read_exact(&mut byte)?;
            head.push(byte[0]);
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        if head[0] >> 4 == 4 && swallow.load(Ordering::SeqCst) {
            continue;
        }
        to.write_all(&head)?;
        to.write_all(&body)?;
    }
}
