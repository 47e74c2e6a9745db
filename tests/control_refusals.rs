//! What control does not do: each refusal leaves the machine alone, and stands in the audit.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "only the parts of this test use each other")]

mod support;

#[path = "control_refusals/hall.rs"]
mod hall;
#[path = "control_refusals/machine.rs"]
mod machine;
#[path = "control_refusals/requests.rs"]
mod requests;
#[path = "control_refusals/strangers.rs"]
mod strangers;

use guideway::control::Reason;
use hall::Hall;

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_leaves_the_machine_alone_and_an_audit_row() {
    let mut hall = Hall::start().await;
    strangers::refused(&mut hall).await;
    requests::permits(&mut hall).await;
    requests::times_and_ids(&mut hall).await;
    requests::arguments(&mut hall).await;
    machine::interlocks(&mut hall).await;
    machine::states(&mut hall).await;
    println!("{} refusals", hall.seen.len());
    for (what, reason) in &hall.seen {
        println!("  {:<18} {what}", reason.as_str());
    }
    assert!(hall.seen.len() >= 60, "{}", hall.seen.len());
    for reason in Reason::ALL {
        let is_seen = hall.seen.iter().any(|(_, seen)| seen == reason);
        let is_elsewhere = match reason {
            // Tests of the audit and of crashes have them: here neither the disk nor the gateway fails.
            Reason::NotSent | Reason::AuditFailed | Reason::GatewayStopped => true,
            // The machine has been written to by then.
            Reason::NoAnswer | Reason::NotReadBack | Reason::MachineRefused => true,
            _ => false,
        };
        assert!(is_seen != is_elsewhere, "{}", reason.as_str());
    }
    hall.agent.stop().await.unwrap();
}
