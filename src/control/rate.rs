//! stub
#![allow(missing_docs)]
pub struct Rates;
impl Rates {
    pub fn new(_b: u32, _p: u32) -> Self {
        Self
    }
    pub fn take(&self, _r: &str) -> Result<(), std::time::Duration> {
        Ok(())
    }
}
