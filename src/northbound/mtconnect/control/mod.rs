//! Control over HTTP: `POST /control/DEVICE/COMMAND`, `POST /control/off`, and `GET /control` for people.
//!
//! Only where `[control] http = true`; else these paths are not there. Who asks is proved by a signed request, or by a
//! password that comes from this computer. See docs/control.md.

mod basic;
mod call;
mod origin;
mod show;
mod status;

use smol_str::SmolStr;

use super::http::head::{Head, Method};
use super::http::reply::Reply;
use super::query;
use super::service::Service;
use crate::control::Control;

pub(super) use call::Caller;

/// Where all of it is.
const ROOT: &str = "/control";
const JSON: &str = "application/json";

/// What a request's address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A command of a device.
    Command(SmolStr, SmolStr),
    /// The panic switch.
    Off,
    /// Nothing that could be asked for.
    Nothing,
}

/// Whether a path belongs to control, which takes requests here.
pub(super) fn is_its_path(service: &Service, path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && service.taking().is_some()
}

/// What is behind `/control`, decoded; `None` where that is no text.
fn steps(path: &str) -> Option<Vec<SmolStr>> {
    let rest = path.strip_prefix(ROOT)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // Split before decoding, so that an encoded slash is part of a name.
    rest.split('/').skip(1).take(4).map(|step| query::decode(step, false).map(SmolStr::new)).collect()
}

impl Service {
    /// Control, if it takes requests through this face.
    fn taking(&self) -> Option<&Control> {
        self.context.control.as_ref().filter(|control| control.options().http)
    }

    /// What a request asks control for; `None` for one that is not control's.
    pub(super) fn controls(&self, head: &Head<'_>) -> Option<Target> {
        if head.method != Method::Post || !is_its_path(self, head.path()) {
            return None;
        }
        Some(match steps(head.path()).as_deref() {
            Some([device, command]) => Target::Command(device.clone(), command.clone()),
            Some([off]) if off == "off" => Target::Off,
            _ => Target::Nothing,
        })
    }

    /// The answer to a request about control that asks for nothing to be done; `None` for one that is not about
    /// control.
    pub(super) fn of_control(&self, head: &Head<'_>) -> Option<Reply> {
        let control = self.taking().filter(|_| is_its_path(self, head.path()))?;
        let steps = steps(head.path());
        let allow = match steps.as_deref() {
            Some([_, _]) => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        };
        Some(match (head.method, steps.as_deref()) {
            (Method::Options, _) => Reply::new(204, "", "").with("Allow", allow),
            (Method::Get | Method::Head, Some([])) => answer(200, &show::all(control)),
            (Method::Get | Method::Head, Some([device])) => match show::one(control, device) {
                Some(shown) => answer(200, &shown),
                None => complaint(404, "no device of that name or uuid permits commands"),
            },
            (Method::Get | Method::Head, Some([_, _])) => {
                complaint(405, "a command is asked for by POST").with("Allow", allow)
            }
            (Method::Get | Method::Head, _) => complaint(404, "there are /control and /control/DEVICE"),
            _ => {
                complaint(405, "commands are asked for by POST /control/DEVICE/COMMAND").with("Allow", allow)
            }
        })
    }
}

/// JSON for people too.
fn answer(status: u16, body: &serde_json::Value) -> Reply {
    Reply::new(status, JSON, format!("{body:#}\n"))
}

fn complaint(status: u16, detail: &str) -> Reply {
    answer(status, &serde_json::json!({ "detail": detail }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_decoded_one_by_one() {
        let of = |path: &str| steps(path).map(|steps| steps.join("|"));
        assert_eq!(of("/control").as_deref(), Some(""));
        assert_eq!(of("/control/").as_deref(), Some(""));
        assert_eq!(of("/control/Mill%201/go/").as_deref(), Some("Mill 1|go"));
        assert_eq!(of("/control/a%2Fb/go").as_deref(), Some("a/b|go"));
        assert_eq!(of("/control/%zz/go"), None);
        assert_eq!(steps(&format!("/control{}", "/x".repeat(10_000))).map(|steps| steps.len()), Some(4));
    }
}
