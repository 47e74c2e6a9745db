//! The device model on files as they occur.
#![expect(clippy::print_stdout, reason = "a skipped test says so, and findings are worth reading")]

use std::path::{Path, PathBuf};

use guideway::device_model::{DeviceModel, Options};
use guideway_contract::Shape;

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

#[test]
fn the_test_beds_own_file_loads() {
    let Some(path) = shared("testbed/Devices.xml") else { return };
    let options = Options { devices: vec![path], ..Options::default() };
    let model = DeviceModel::load(&options, Path::new("/"), None).expect("loads");
    for warning in model.warnings() {
        println!("{warning} — {}", warning.cure);
    }
    assert_eq!(model.version().to_string(), "1.3");
    assert_eq!(model.devices().len(), 8);
    let item = model.find_item("GFAgie01-path_basic_7").expect("there");
    assert_eq!(item.shape, Shape::Vector3);
    assert!(model.find_item("GFAgie01_asset_chg").is_some(), "1.2 asks for ASSET_CHANGED");
}
