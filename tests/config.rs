//! Whole configuration files: those of the documentation, the examples, and the test bed's own.

use std::path::Path;

use guideway::config::{self, Report};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_agent_cfg_of_the_test_bed_loads_with_warnings_only() {
    let testbed = root().join("../shared/testbed");
    let Ok(text) = std::fs::read_to_string(testbed.join("agent.cfg")) else {
        eprintln!("SKIPPED: {} is not there", testbed.display());
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.cfg");
    std::fs::copy(testbed.join("Devices.xml"), folder.path().join("Devices.xml")).unwrap();
    std::fs::write(&path, text.replace("/etc/mtconnect/agent/Devices.xml", "Devices.xml")).unwrap();

    let (read, _) = config::load(&path).unwrap();
    let names: Vec<_> = read.adapters.shdr.iter().map(|adapter| adapter.common.name.as_str()).collect();
    let expected = ["GFAgie01", "Mazak01", "Mazak03", "Hurco01", "Hurco02", "Hurco03", "Hurco04", "Hurco06"];
    assert_eq!(names, expected);
    assert_eq!(read.journal.buffer_size, 1 << 20);
    assert_eq!(read.mtconnect.files.len(), 4);
    assert_eq!(read.mtconnect.streams.namespaces[0].urn, "urn:nist.gov:NistStreams:1.3");
    assert!(!read.adapters.shdr[0].common.upcase);
    assert!(
        !read.adapters.shdr[0].common.filter_duplicates && read.adapters.shdr[3].common.filter_duplicates
    );

    let report = config::check(&path);
    println!("{}", report.render(false));
    assert_eq!(report.errors(), 0);
    for told in ["`AllowPut` has no effect", "`MonitorConfigFiles` has no effect"] {
        assert!(texts(&report).iter().any(|text| text.contains(told)), "{told}");
    }
}
