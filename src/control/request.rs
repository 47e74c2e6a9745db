//! What is asked of control, and how it ends.

use guideway_contract::{Native, Timestamp};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::words::words;

words! {
    /// Through which face something was asked.
    pub enum Face {
        /// `POST /control/…`
        Http = "http",
        /// A request topic.
        Mqtt = "mqtt",
        /// A method, or a variable that is bound to a command.
        OpcUa = "opcua",
        /// An MTConnect interface: a REQUEST data item of another device.
        Interface = "interface",
        /// The command line or a file, on the gateway's own computer.
        Local = "local",
    }
}

/// Somebody whose identity a face has proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Who.
    pub name: SmolStr,
    /// Through which face.
    pub face: Face,
    /// The roles that permits speak of.
    pub roles: Vec<SmolStr>,
}

/// Where an answer is to go that its requester does not wait for on a connection; kept in the audit, so that an
/// answer can be given after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// Which destination of the face.
    pub destination: SmolStr,
    /// The topic.
    pub topic: SmolStr,
    /// MQTT 5 correlation data.
    pub correlation: Option<Vec<u8>>,
}

/// A request of a requester who is known.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Names the request for ever; chosen by the requester.
    pub id: SmolStr,
    /// Name or uuid of the device.
    pub device: SmolStr,
    /// The command.
    pub command: SmolStr,
    /// Arguments by name.
    pub arguments: Map<String, Json>,
    /// Who asks.
    pub requester: Requester,
    /// After this it is not acted on any more.
    pub expires: Timestamp,
    /// Everything but the writes.
    pub dry_run: bool,
    /// Where the answer goes, beside to the caller.
    pub reply_to: Option<ReplyTo>,
}

words! {
    /// How a request ended. There is no fifth way.
    pub enum State {
        /// The machine took it, and what had to be read back was.
        Done = "done",
        /// Nothing was written.
        Rejected = "rejected",
        /// Something was, or may have been, written and the machine did not do it; which is known.
        Failed = "failed",
        /// Nobody knows whether the machine did it. It is not tried again.
        TimedOut = "timed-out",
    }
}

words! {
    /// Why a request did not end well: a word that programs can go by.
    pub enum Reason {
        /// The request cannot be read.
        Malformed = "malformed",
        /// The request is larger than control takes.
        Oversized = "oversized",
        /// Nobody known asks, or cannot prove it.
        Unauthenticated = "unauthenticated",
        /// No permit covers requester, device, command, face and time.
        NotPermitted = "not-permitted",
        /// There is no such device, or it permits nothing.
        UnknownDevice = "unknown-device",
        /// Several devices are called so.
        AmbiguousDevice = "ambiguous-device",
        /// The device does not permit such a command.
        UnknownCommand = "unknown-command",
        /// Its time is over.
        Expired = "expired",
        /// It would be valid for longer than `max_validity`.
        ValidTooLong = "valid-too-long",
        /// Another request had this id.
        IdReused = "id-reused",
        /// An argument is missing, unknown, of the wrong type or out of range.
        BadArgument = "bad-argument",
        /// The requester has asked too often lately.
        RateLimited = "rate-limited",
        /// The panic switch is off, or control cannot run.
        ControlOff = "control-off",
        /// The device has no session.
        Offline = "offline",
        /// Another command of the device is running.
        Busy = "busy",
        /// What the interlock looks at is older than it may be.
        Stale = "stale",
        /// What the interlock looks at has no value.
        Unavailable = "unavailable",
        /// The interlock is false, or cannot be computed.
        Interlock = "interlock",
        /// The answer that the command waits for stands there already.
        AnswerStands = "answer-stands",
        /// The release steps of the command before are not done yet.
        ReleasePending = "release-pending",
        /// The machine, or the adapter, said no to a write.
        WriteRefused = "write-refused",
        /// A write did not leave the gateway.
        NotSent = "not-sent",
        /// A write left, and no answer came.
        NoAnswer = "no-answer",
        /// What had to be read back was not, in time.
        NotReadBack = "not-read-back",
        /// The machine answered that it refuses.
        MachineRefused = "machine-refused",
        /// The gateway stopped meanwhile.
        GatewayStopped = "gateway-stopped",
        /// The audit cannot be written: then nothing is done.
        AuditFailed = "audit-failed",
    }
}

/// How a request ended, as its requester is told.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The request's id; empty when it could not be read.
    pub id: SmolStr,
    /// The device it named.
    pub device: SmolStr,
    /// The command it named.
    pub command: SmolStr,
    /// How it ended.
    pub state: State,
    /// Why not well.
    pub reason: Option<Reason>,
    /// The same for people, with the cure; may be empty.
    pub detail: String,
    /// Nothing was to be written.
    pub dry_run: bool,
    /// This is the end that an earlier request of this id had.
    pub replayed: bool,
    /// What was read back: the point's name and value.
    pub read_back: Option<(SmolStr, Native)>,
    /// Whether the release steps are done; `None` where there are none, or nothing was written.
    pub released: Option<bool>,
    /// When it was known.
    pub time: Timestamp,
    /// Number and hash of its last row in the audit; zero and empty when there is none.
    pub audit: (u64, SmolStr),
}

impl End {
    /// A request that is not acted on.
    pub fn rejected(
        id: &str,
        device: &str,
        command: &str,
        reason: Reason,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            device: device.into(),
            command: command.into(),
            state: State::Rejected,
            reason: Some(reason),
            detail: detail.into(),
            dry_run: false,
            replayed: false,
            read_back: None,
            released: None,
            time: Timestamp::now(),
            audit: (0, SmolStr::default()),
        }
    }

    /// As HTTP and MQTT answer it.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        let mut put = |key: &str, value: Json| drop(object.insert(key.to_owned(), value));
        put("id", self.id.as_str().into());
        put("device", self.device.as_str().into());
        put("command", self.command.as_str().into());
        put("state", self.state.as_str().into());
        if let Some(reason) = self.reason {
            put("reason", reason.as_str().into());
        }
        if !self.detail.is_empty() {
            put("detail", self.detail.as_str().into());
        }
        if self.dry_run {
            put("dryRun", true.into());
        }
        if self.replayed {
            put("replayed", true.into());
        }
        if let Some((point, value)) = &self.read_back {
            put("readBack", serde_json::json!({ point.as_str(): json(value) }));
        }
        if let Some(released) = self.released {
            put("released", released.into());
        }
        put("time", self.time.to_string().into());
        if self.audit.0 > 0 {
            put("audit", serde_json::json!({ "row": self.audit.0, "hash": self.audit.1.as_str() }));
        }
        Json::Object(object)
    }
}

/// A raw value as JSON has it; what JSON has not is text.
pub fn json(value: &Native) -> Json {
    match value {
        Native::Null => Json::Null,
        Native::Bool(set) => (*set).into(),
        Native::Int(number) => (*number).into(),
        Native::UInt(number) => (*number).into(),
        Native::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Native::Text(text) => text.as_str().into(),
        Native::List(values) => values.iter().map(json).collect::<Vec<_>>().into(),
        other => other.to_string().into(),
    }
}
