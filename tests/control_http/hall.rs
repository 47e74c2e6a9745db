//! A gateway with a cell that takes commands over HTTP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use guideway::agent::{Agent, Surroundings};
use guideway::control::claims::Claims;
use guideway::control::key::SigningKey;
use guideway::control::{Control, password, token};
use guideway_contract::Timestamp;
use guideway_contract::kit::Peer;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::cell;

/// Long enough for anything to happen that will happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &str = "ssssssssssssssssssssssssssssssssssssssss";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status, state and reason.
    pub(crate) fn told(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (self.status, text("state"), text("reason"))
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.head.to_ascii_lowercase().contains(&field.to_ascii_lowercase())
    }
}

/// A connection that speaks bytes.
pub(crate) struct Client {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads up to the end of a head; what is behind it stays.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.more().await, "the connection ended: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        while self.read.len() < length {
            assert!(self.more().await, "a body is cut off: {head}");
        }
        let body = self.read.drain(..length).collect();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    /// Whether the gateway ends the connection and sends nothing more.
    pub(crate) async fn is_ended(&mut self) -> bool {
        self.read.is_empty() && !self.more().await
    }

    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.read)).await.expect("in time");
        read.is_ok_and(|length| length > 0)
    }
}

pub(crate) struct Hall {
    pub(crate) agent: Agent,
    pub(crate) control: Control,
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
    number: AtomicU32,
    #[expect(dead_code, reason = "goes with the hall")]
    folder: tempfile::TempDir,
}

impl Hall {
    pub(crate) async fn start() -> Self {
        Self::with("http = true\nburst = 1000", "address = \"127.0.0.1\"").await
    }

    /// With lines for `[control]` and for `[mtconnect]`.
    pub(crate) async fn with(control: &str, mtconnect: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut peer = Peer::python("modbus_peer.py", &[]).await;
        for line in cell::READY {
            assert_eq!(peer.say(line).await, "ok", "{line}");
        }
        cell::write_patient(folder.path());
        let text = format!(
            "[gateway]\nname = \"hall\"\nshutdown_timeout = \"100s\"\n[mtconnect]\nport = 0\n{mtconnect}\n[control]\n{control}\n\
             [[control.requester]]\nname = \"twin\"\nroles = [\"planner\"]\nsecret = \"{SECRET}\"\n\
             [[control.requester]]\nname = \"guest\"\nroles = [\"visitor\"]\nsecret = \"{}\"\n\
             [[control.requester]]\nname = \"anna\"\nroles = [\"planner\"]\npassword = '{}'\n\
             [[control.permit]]\nrole = \"planner\"\ndevices = [\"*\"]\ncommands = [\"*\"]\n{}",
            "g".repeat(40),
            password::hash("open sesame").unwrap(),
            cell::device("Cell", peer.port())
        );
        let loaded = guideway::config::load_text(&folder.path().join("guideway.toml"), text);
        let (configuration, _) = loaded.unwrap_or_else(|findings| panic!("{findings:?}"));
        let surroundings = Surroundings { data_dir: Some(folder.path().join("data")), simulated: false };
        let agent = Box::pin(Agent::start(configuration, surroundings)).await.unwrap();
        let control = agent.view().control.clone().unwrap();
        let address = agent.http_address().unwrap();
        let hall = Self { agent, control, peer, address, number: AtomicU32::new(0), folder };
        hall.until("the cell is ready", |hall| hall.control.is_ready("Cell", "load")).await;
        hall
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// An id that no request has had.
    pub(crate) fn id(&self) -> String {
        format!("id-{}", self.number.fetch_add(1, Ordering::Relaxed))
    }

    /// A request that the twin has signed, as `change` leaves it.
    pub(crate) fn signed_by(
        &self,
        device: &str,
        command: &str,
        args: Json,
        change: impl FnOnce(&mut Json),
    ) -> String {
        let id = self.id();
        let exp = Timestamp::from_nanos(Timestamp::now().nanos() + 60_000_000_000, 9);
        let Json::Object(args) = args else { panic!("{args}") };
        let claims =
            Claims { iss: "twin", aud: "hall", jti: &id, exp, device, command, args, dry_run: false };
        let mut claims = serde_json::to_value(&claims).unwrap();
        change(&mut claims);
        let secret = if claims["iss"] == "guest" { "g".repeat(40) } else { SECRET.to_owned() };
        let key = SigningKey::secret(&secret).unwrap_or_else(|flaw| panic!("{flaw}"));
        token::sign(&key, &claims).unwrap()
    }

    pub(crate) fn signed(&self, command: &str, args: Json) -> String {
        self.signed_by("Cell", command, args, |_| {})
    }

    /// A request that is not signed, good for a minute.
    pub(crate) fn plain(&self, arguments: &Json) -> String {
        let expires = jiff::Timestamp::now() + Duration::from_secs(60);
        json!({ "id": self.id(), "expires": expires.to_string(), "arguments": arguments }).to_string()
    }

    /// Asks on a connection of its own; `fields` are further lines of the head.
    pub(crate) async fn post(&self, target: &str, fields: &str, body: &str) -> Answer {
        let mut client = Client::new(self.address).await;
        client.send(post(target, fields, body)).await;
        client.answer().await
    }

    /// Asks for a command of the cell by a signed request.
    pub(crate) async fn ask(&self, command: &str, args: Json) -> Answer {
        self.post(&format!("/control/Cell/{command}"), "", &self.signed(command, args)).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        let mut client = Client::new(self.address).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: hall\r\n\r\n")).await;
        client.answer().await
    }

    /// How often somebody has written to the machine.
    pub(crate) async fn writes(&mut self) -> u32 {
        self.peer.say("writes").await.parse().unwrap()
    }

    pub(crate) async fn stop(self) {
        self.agent.stop().await.unwrap();
    }
}

/// A request as bytes.
pub(crate) fn post(target: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: hall\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

/// `Authorization: Basic`.
pub(crate) fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {both}\r\n")
}
