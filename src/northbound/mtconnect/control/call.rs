//! A request to control something: who asks, what becomes of it, and how it is answered.

use std::sync::Arc;

use guideway_contract::Timestamp;
use serde_json::Value as Json;

use super::basic::{self, Authorization};
use super::{JSON, Target, answer, origin, status};
use crate::control::plain::Plain;
use crate::control::{Claim, Control, End, Face, Reason, State};
use crate::northbound::mtconnect::http::body::{self, Body};
use crate::northbound::mtconnect::http::head::Head;
use crate::northbound::mtconnect::http::reply::{Ready, Reply};
use crate::northbound::mtconnect::service::Service;

/// The device and command of a signed request that switches control off.
const OFF: (&str, &str) = ("*", "off");
/// Longest reason for switching off, in characters.
const MOST_REASON: usize = 200;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(in crate::northbound::mtconnect) struct Caller<'h> {
    /// On this computer.
    pub(in crate::northbound::mtconnect) is_local: bool,
    pub(in crate::northbound::mtconnect) origin: &'h str,
    pub(in crate::northbound::mtconnect) host: &'h str,
}

/// A request that is answered before control has taken it on its road.
struct Refused {
    end: Box<End>,
    /// Instead of the status that goes with the end.
    status: Option<u16>,
}

impl From<Box<End>> for Refused {
    fn from(end: Box<End>) -> Self {
        Self { end, status: None }
    }
}

impl Service {
    /// Does what is asked, and waits for the end of it, which comes within the command's own times.
    pub(in crate::northbound::mtconnect) async fn carry_out(
        &self,
        caller: Caller<'_>,
        head: &Head<'_>,
        target: Target,
        body: Body,
    ) -> Arc<Ready> {
        self.stats.requests.add(1);
        self.stats.commands.add(1);
        if body == Body::TooLate {
            self.stats.timeouts.add(1);
        }
        let Some(control) = self.taking() else {
            // Its options do not change while it runs.
            return Arc::new(Ready::new(&Reply::new(404, JSON, ""), &self.date()));
        };
        let asked = Asked { control, caller, head, target: &target };
        let (end, status) = match asked.end(body).await {
            Ok(end) => {
                let status = status::of(&end);
                (Box::new(end), status)
            }
            Err(Refused { end, status }) => {
                let status = status.unwrap_or_else(|| status::of(&end));
                (end, status)
            }
        };
        let mut reply = answer(status, &end.to_json());
        if status == 401 && caller.is_local {
            reply = reply.with("WWW-Authenticate", "Basic realm=\"control\", charset=\"UTF-8\"");
        }
        if status == 429 {
            // By then there is one more.
            reply =
                reply.with("Retry-After", 60_u32.div_ceil(control.options().per_minute.max(1)).to_string());
        }
        Arc::new(Ready::new(&reply, &self.date()))
    }
}

/// A request, with who it goes to.
struct Asked<'a> {
    control: &'a Control,
    caller: Caller<'a>,
    head: &'a Head<'a>,
    target: &'a Target,
}

impl Asked<'_> {
    async fn end(&self, body: Body) -> Result<End, Refused> {
        let refuse = |reason, status, detail: &str| {
            let end = self.refuse("", reason, detail);
            Err(Refused { status: Some(status), ..end })
        };
        if origin::is_foreign(self.caller.origin, self.caller.host) {
            return refuse(Reason::NotPermitted, 403, "a page of another origin has sent it");
        }
        if *self.target == Target::Nothing {
            let detail = "there are /control/DEVICE/COMMAND and /control/off";
            return refuse(Reason::UnknownCommand, 404, detail);
        }
        if !self.head.query().is_empty() {
            return refuse(Reason::Malformed, 400, "a request has no query; what it asks is in its body");
        }
        let body = match body {
            Body::Whole(body) => body,
            Body::NoLength => {
                return refuse(
                    Reason::Malformed,
                    411,
                    "a body of unknown length is not read; send Content-Length",
                );
            }
            Body::TooLong => {
                let detail = format!("a request has at most {} bytes", body::MOST);
                return refuse(Reason::Oversized, 413, &detail);
            }
            Body::TooLate => return refuse(Reason::Malformed, 408, "the body did not arrive in time"),
            Body::Gone => {
                return refuse(Reason::Malformed, 400, "the client went away before its body was here");
            }
        };
        let claim = match basic::read(self.head.authorization) {
            Authorization::Basic(name, password) => self.plain(&name, &password, &body).await?,
            Authorization::Other => {
                let detail =
                    "Authorization is not Basic with a name and a password; a signed request needs none";
                return Err(self.refuse("", Reason::Unauthenticated, detail));
            }
            Authorization::None if self.is_json() => {
                let detail = "nobody signed it; send a signed request (JWS), or from the gateway's own computer a \
                              password (HTTP Basic)";
                return Err(self.refuse("", Reason::Unauthenticated, detail));
            }
            Authorization::None => self.control.open(Face::Http, &body, Some(self.named()))?,
        };
        match self.target {
            Target::Off => self.switch_off(claim).await,
            _ => {
                let (id, device, command) = (claim.id.clone(), claim.device.clone(), claim.command.clone());
                // It never goes without an end; if it did, nobody would know.
                let lost = move |_| End {
                    state: State::TimedOut,
                    ..End::rejected(&id, &device, &command, Reason::GatewayStopped, "the gateway stops")
                };
                Ok(self.control.submit(claim).await.unwrap_or_else(lost))
            }
        }
    }

    /// The device and command that the address names.
    fn named(&self) -> (&str, &str) {
        match self.target {
            Target::Command(device, command) => (device, command),
            Target::Off | Target::Nothing => OFF,
        }
    }

    fn refuse(&self, id: &str, reason: Reason, detail: impl Into<String>) -> Refused {
        let (device, command) = match self.target {
            Target::Nothing => ("", ""),
            _ => self.named(),
        };
        self.control.refuse(Face::Http, End::rejected(id, device, command, reason, detail)).into()
    }

    fn is_json(&self) -> bool {
        let kind = self.head.content_type.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(JSON)
    }

    /// A request behind a password.
    async fn plain(&self, name: &str, password: &str, body: &[u8]) -> Result<Claim, Refused> {
        if !self.caller.is_local {
            let detail = "a password is taken from the gateway's own computer only; send a signed request";
            return Err(self.refuse("", Reason::Unauthenticated, detail));
        }
        let requester = self.control.login(Face::Http, name, password).await?;
        let plain = Plain::read(body).map_err(|what| self.refuse("", Reason::Malformed, what))?;
        let (device, command) = self.named();
        Ok(Claim {
            id: plain.id,
            device: device.into(),
            command: command.into(),
            arguments: plain.arguments,
            requester,
            expires: plain.expires,
            dry_run: plain.dry_run,
            reply_to: None,
        })
    }

    /// The panic switch: whoever may have any command carried out may have all of them stopped.
    async fn switch_off(&self, claim: Claim) -> Result<End, Refused> {
        let refuse = |reason, detail: String| Err(self.refuse(&claim.id, reason, detail));
        let now = Timestamp::now();
        if claim.expires <= now {
            return refuse(Reason::Expired, format!("it expired at {}, and now is {now}", claim.expires));
        }
        let most = i64::try_from(self.control.options().max_validity.as_nanos()).unwrap_or(i64::MAX);
        if claim.expires.nanos().saturating_sub(now.nanos()) > most {
            let detail = format!("it would be valid until {}, longer than max_validity", claim.expires);
            return refuse(Reason::ValidTooLong, detail);
        }
        if !self.control.may_switch_off(&claim.requester) {
            let detail = format!("no permit lets {:?} ask for anything", claim.requester.name);
            return refuse(Reason::NotPermitted, detail);
        }
        // A switch must not fail because of its words.
        let why = claim.arguments.get("reason").and_then(Json::as_str).unwrap_or_default();
        let mut end = End::rejected(&claim.id, OFF.0, OFF.1, Reason::Malformed, "control is off");
        (end.state, end.reason, end.dry_run) = (State::Done, None, claim.dry_run);
        if claim.dry_run {
            "would switch control off".clone_into(&mut end.detail);
            return Ok(end);
        }
        // Its file is synced to the disk.
        let (control, by) = (self.control.clone(), claim.requester.name.clone());
        let why: String =
            why.chars().take(MOST_REASON).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let switched = tokio::task::spawn_blocking(move || control.set_switch(false, &by, &why)).await;
        let failed = match switched {
            Ok(Ok(())) => return Ok(end),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        end.state = State::Failed;
        end.detail = format!(
            "control is off until the gateway is started again, for its file cannot be written: {failed}"
        );
        Ok(end)
    }
}
