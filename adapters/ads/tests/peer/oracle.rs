//! The peer itself is held against somebody else's client.

use guideway_contract::kit::Peer;

#[tokio::test(flavor = "multi_thread")]
async fn beckhoffs_own_library_understands_the_peer_that_is_written_from_the_description() {
    let mut oracle = Peer::python("ads_oracle.py", &[]).await;
    assert_eq!(oracle.say("check").await, "ok");
}
