//! stub
#![allow(missing_docs)]
use super::{Options, Reason};
use guideway_contract::Timestamp;
use smol_str::SmolStr;
pub struct Tokens;
pub struct Opened {
    pub id: SmolStr,
    pub device: SmolStr,
    pub command: SmolStr,
    pub arguments: serde_json::Map<String, serde_json::Value>,
    pub requester: SmolStr,
    pub roles: Vec<SmolStr>,
    pub expires: Timestamp,
    pub issued: Option<Timestamp>,
    pub dry_run: bool,
}
pub struct Claimed {
    pub id: SmolStr,
    pub device: SmolStr,
    pub command: SmolStr,
    pub requester: SmolStr,
}
pub struct Refused {
    pub reason: Reason,
    pub detail: String,
    pub claimed: Claimed,
}
impl Tokens {
    pub fn new(_g: &str, _o: &Options) -> Result<Self, String> {
        Ok(Self)
    }
    pub fn open(&self, _s: &[u8]) -> Result<Opened, Refused> {
        Err(Refused {
            reason: Reason::Malformed,
            detail: String::new(),
            claimed: Claimed { id: "".into(), device: "".into(), command: "".into(), requester: "".into() },
        })
    }
    pub async fn login(&self, _n: &str, _p: &str) -> Option<Vec<SmolStr>> {
        None
    }
}
