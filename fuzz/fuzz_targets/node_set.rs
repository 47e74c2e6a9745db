//! No text makes the readers of node sets panic, hang or grow without bound, neither as XML nor as a
//! table; what was read can be written as a table, and that be read again.
#![no_main]

use guideway::northbound::opcua::nodeset::File;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let table = format!("guideway node set 1\nuri\thttp://opcfoundation.org/UA/\nuri\turn:own\n{text}");
    for file in [File::from_xml(text), File::from_table(&table)] {
        match file {
            Ok(file) => {
                let table = file.to_table();
                let again = File::from_table(&table).expect("what was written can be read");
                assert_eq!(again.to_table(), table);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
