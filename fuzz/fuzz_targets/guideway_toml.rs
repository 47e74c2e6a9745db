//! No text makes the reader of guideway.toml panic, hang or grow without bound.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for finding in match guideway::config::load_text(Path::new("guideway.toml"), text) {
        Ok((_, findings)) | Err(findings) => findings,
    } {
        // A finding has a place that can be shown.
        assert!(finding.line() >= 1 && finding.column() >= 1);
        let _ = finding.to_string();
    }
});
