//! Serves the machines with native protocols, each on a port of its own from 7001 on, until Ctrl-C.
//!
//! What it prints is the part of a `guideway.toml` that reads them.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::net::Ipv4Addr;

use guideway_simulator::Fleet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let cancel = CancellationToken::new();
    for (port, machine) in (7_001..).zip(Fleet::standard().native) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        println!("[[device]]\nname = \"{}\"\nprofile = \"{}\"", machine.name(), machine.profile());
        println!("address = \"{}\"", machine.address(port));
        for (key, value) in machine.settings() {
            println!("{key} = \"{value}\"");
        }
        for (key, value) in machine.params() {
            println!("params.{key} = \"{value}\"");
        }
        println!();
        tokio::spawn(machine.serve(listener, cancel.clone()));
    }
    tokio::signal::ctrl_c().await?;
    cancel.cancel();
    Ok(())
}
