//! No text makes the reader of device profiles panic, hang or grow without bound, alone or as a machine.
#![no_main]

use std::sync::Arc;

use guideway::profile;
use guideway::reading::Source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (report, machine) = profile::check(&Arc::new(Source::new("profile.toml", text)));
    for finding in &report.findings {
        // A finding has a place that can be shown.
        assert!(finding.line() >= 1 && finding.column() >= 1);
        let _ = finding.to_string();
    }
    if let Some(machine) = machine {
        // By point, both.
        assert_eq!(machine.accesses().len(), machine.addresses().len());
        let _ = machine.adapter();
    }
});
