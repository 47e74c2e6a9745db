//! stub
#![allow(missing_docs)]
use super::{Options, Requester};
use guideway_contract::Timestamp;
use smol_str::SmolStr;
pub struct Permits;
impl Permits {
    pub fn new(_o: &Options) -> Result<Self, String> {
        Ok(Self)
    }
    pub fn covers(&self, _r: &Requester, _d: &str, _c: &str, _n: Timestamp) -> Result<(), String> {
        Ok(())
    }
    pub fn roles_of(&self, _n: &str) -> Vec<SmolStr> {
        Vec::new()
    }
}
