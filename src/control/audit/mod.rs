//! stub
#![allow(missing_docs)]
use guideway_contract::Timestamp;
use smol_str::SmolStr;
use std::path::Path;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Start,
    Stop,
    Request,
    Refused,
    Dry,
    Begin,
    Write,
    Written,
    ReadBack,
    Release,
    Released,
    End,
    Switch,
    Note,
}
pub struct Row {
    pub time: Timestamp,
    pub what: What,
    pub id: SmolStr,
    pub fields: serde_json::Map<String, serde_json::Value>,
}
pub struct Stamp {
    pub number: u64,
    pub hash: SmolStr,
}
pub struct Record {
    pub number: u64,
    pub row: Row,
    pub hash: SmolStr,
}
pub struct Audit;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct AuditError;
impl Audit {
    pub fn open(_: &Path, _visit: impl FnMut(Record)) -> Result<Self, AuditError> {
        Ok(Self)
    }
    pub fn nowhere() -> Self {
        Self
    }
    pub fn append(&self, _row: Row, _d: bool) -> std::io::Result<Stamp> {
        Ok(Stamp { number: 1, hash: SmolStr::default() })
    }
}
