//! The three scenarios of NIST AMS 400-2, end to end: machines, PLCs and twins are processes of other people's
//! libraries, and between them stands the gateway alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "only the tests beside it use this")]

#[path = "../support/mod.rs"]
mod support;

mod commissioning;
mod health;
mod scheduling;

#[tokio::test(flavor = "multi_thread")]
async fn machine_health_a_twin_asks_for_feed_hold_and_sees_it_everywhere() {
    Box::pin(health::play()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduling_a_job_goes_to_another_machine_when_one_is_lost() {
    Box::pin(scheduling::play()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commissioning_a_thousand_cycles_then_the_real_machine() {
    Box::pin(commissioning::play()).await;
}
