//! stub
#![allow(missing_docs)]
use guideway_contract::Timestamp;
use smol_str::SmolStr;
use std::path::Path;
pub struct Written {
    pub by: SmolStr,
    pub reason: String,
    pub time: Timestamp,
}
pub fn read(_p: &Path) -> Option<Written> {
    None
}
pub fn write(_p: &Path, _w: &Written) -> std::io::Result<()> {
    Ok(())
}
pub fn remove(_p: &Path) -> std::io::Result<()> {
    Ok(())
}
