//! Any bytes as a devices file: a model or findings, never a panic. Whatever loads is also sent
//! once more as a change at run time.
#![no_main]

use std::path::{Path, PathBuf};

use guideway::device_model::{AgentAdapter, AgentInfo, DeviceModel, DuplicateIds, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(xml) = std::str::from_utf8(data) else { return };
    let options = Options { duplicate_ids: DuplicateIds::Prefix, ..Options::default() };
    let agent = AgentInfo {
        uuid: "agent".into(),
        name: "Agent".into(),
        adapters: vec![AgentAdapter { name: "a".into(), uri: "shdr://localhost:7878".into() }],
    };
    let sources = [(PathBuf::from("devices.xml"), xml.to_owned())];
    if let Ok(model) = DeviceModel::from_xml(&sources, &options, Some(agent)) {
        let _ = model.with_device_xml(Path::new("change"), xml);
    }
});
