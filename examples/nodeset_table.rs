//! Writes the table of a NodeSet2 file, in the form that the gateway's own node sets have:
//! `cargo run --example nodeset_table -- FILE > TABLE`.

use std::io::Write as _;
use std::path::Path;

use guideway::northbound::opcua::nodeset::File;

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1);
    let path = path.ok_or_else(|| anyhow::anyhow!("give the path of a NodeSet2 file"))?;
    let file = File::read(Path::new(&path))?;
    for omitted in file.omitted() {
        writeln!(std::io::stderr(), "line {}: {}: left out {}", omitted.line, omitted.node, omitted.what)?;
    }
    std::io::stdout().write_all(file.to_table().as_bytes())?;
    Ok(())
}
