//! Streams: order, heartbeats, sharing, slow clients.

use std::time::Duration;

use guideway_contract::Value;
use tokio::time::{Instant, timeout};

use crate::stage::{Client, PATIENCE, Stage, header, sequences};

const XPOS: &str = "path=//DataItem[@id='m_xpos']";

async fn open(stage: &Stage, target: &str) -> Client {
    let mut client = stage.connect().await;
    client.send(&format!("GET {target} HTTP/1.1\r\nHost: stage\r\n\r\n")).await;
    let head = client.stream_head().await;
    assert_eq!(head.status, 200, "{target}: {}", head.head);
    let kind = head.field("Content-Type").expect("a type");
    assert!(kind.starts_with("multipart/x-mixed-replace;boundary="), "{kind}");
    assert_eq!(head.field("Transfer-Encoding"), Some("chunked"));
    client
}

/// Waits until that many streams are open and have caught up.
async fn settled(stage: &Stage, groups: u64) {
    let wait = async {
        while stage.stats.groups.get() != groups {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("groups in time");
}

/// Reads parts until `last` was seen; each goes on where the one before it said.
async fn follow(client: &mut Client, mut next: u64, last: u64) -> Vec<u64> {
    let mut all = Vec::new();
    while next <= last {
        let part = client.part().await.expect("a part");
        let found = sequences(&part);
        assert!(found.first().is_none_or(|first| *first >= next), "{found:?} goes back behind {next}");
        all.extend(found);
        let said = header(&part, "nextSequence");
        assert!(said >= next);
        next = said;
    }
    all
}

#[tokio::test]
async fn a_stream_gives_everything_once_and_in_order() {
    let stage = Stage::new();
    let first = stage.journal.bounds().next;
    stage.positions(0, 250);
    let mut client = open(&stage, &format!("/sample?interval=10&count=100&from={first}")).await;
    // Three parts of what is there, back to back, and then what comes.
    let mut all = follow(&mut client, first, first + 249).await;
    for round in 0..20 {
        stage.positions(round * 10, 10);
        tokio::task::yield_now().await;
    }
    all.extend(follow(&mut client, first + 250, first + 449).await);
    assert_eq!(all, (first..first + 450).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_without_from_begins_at_the_oldest() {
    let stage = Stage::with(|_| {}, 32);
    stage.positions(0, 100);
    let oldest = stage.journal.bounds().first;
    let mut client = open(&stage, "/sample?interval=0&count=10").await;
    let part = client.part().await.expect("a part");
    assert_eq!(sequences(&part), (oldest..oldest + 10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_quiet_stream_has_heartbeats_that_say_how_far_it_is() {
    let stage = Stage::new();
    let next = stage.journal.bounds().next;
    let started = Instant::now();
    let mut client = open(&stage, &format!("/sample?interval=10&heartbeat=50&from={next}&{XPOS}")).await;
    let beat = client.part().await.expect("a part");
    assert!(sequences(&beat).is_empty());
    assert_eq!(header(&beat, "nextSequence"), next);
    assert!(started.elapsed() >= Duration::from_millis(30), "{:?}", started.elapsed());
    // What does not match wakes nobody, but the heartbeat has moved on.
    stage.append([("l_pos", Value::Number(1.0)), ("l_pos", Value::Number(2.0))]);
    let mut beat = client.part().await.expect("a part");
    while header(&beat, "nextSequence") == next {
        beat = client.part().await.expect("a part");
    }
    assert!(sequences(&beat).is_empty());
    assert_eq!(header(&beat, "nextSequence"), next + 2);
    stage.positions(7, 1);
    let mut part = client.part().await.expect("a part");
    while sequences(&part).is_empty() {
        part = client.part().await.expect("a part");
    }
    assert_eq!(sequences(&part), [next + 2]);
}

#[tokio::test]
async fn interval_is_the_least_gap_between_parts() {
    let stage = Stage::new();
    let next = stage.journal.bounds().next;
    let mut client = open(&stage, &format!("/sample?interval=100&from={next}")).await;
    settled(&stage, 1).await;
    let begun = Instant::now();
    stage.positions(0, 1);
    client.part().await.expect("the first part");
    for round in 0..3 {
        // Two batches while the gap lasts: they share a part.
        stage.positions(round, 1);
        stage.positions(round, 1);
        let part = client.part().await.expect("a part");
        assert_eq!(sequences(&part).len(), 2);
    }
    // Of all together: a part that is read late does not come late.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn clients_of_the_same_stream_share_each_encoding() {
    const CLIENTS: usize = 100;
    let stage = Stage::new();
    let next = stage.journal.bounds().next;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(open(&stage, &format!("/sample?interval=20&heartbeat=60000&from={next}")).await);
    }
    settled(&stage, 1).await;
    let before = stage.stats.encoded.get();
    for round in 0..10 {
        stage.positions(round * 10, 10);
        for client in &mut clients {
            let all = follow(client, next + u64::from(round) * 10, next + u64::from(round) * 10 + 9).await;
            assert_eq!(all.len(), 10);
        }
    }
    let encoded = stage.stats.encoded.get() - before;
    assert_eq!(encoded, 10, "one encoding for each part, not for each client");
    assert_eq!(stage.stats.streams.get(), CLIENTS as u64);
    assert_eq!(stage.stats.sent_parts.get(), 10 * CLIENTS as u64);
    drop(clients);
    settled(&stage, 0).await;
}

#[tokio::test]
async fn a_latecomer_catches_up_and_joins_without_a_gap() {
    let stage = Stage::new();
    let first = stage.journal.bounds().next;
    let target = format!("/sample?interval=10&count=7&from={first}");
    let mut early = open(&stage, &target).await;
    stage.positions(0, 100);
    assert_eq!(follow(&mut early, first, first + 99).await.len(), 100);
    let mut late = open(&stage, &target).await;
    stage.positions(100, 50);
    let all = follow(&mut late, first, first + 149).await;
    assert_eq!(all, (first..first + 150).collect::<Vec<_>>());
    assert_eq!(follow(&mut early, first + 100, first + 149).await.len(), 50);
    assert_eq!(stage.stats.groups.get(), 1);
    let own = stage.stats.own_parts.get();
    stage.positions(150, 5);
    follow(&mut late, first + 150, first + 154).await;
    follow(&mut early, first + 150, first + 154).await;
    assert_eq!(stage.stats.own_parts.get(), own, "both are in the group now");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_with_a_document_and_disturbs_nobody() {
    let stage = Stage::with(|options| options.max_client_backlog = 256 * 1_024, 2_048);
    let next = stage.journal.bounds().next;
    let target = format!("/sample?interval=10&count=1000&from={next}");
    let mut slow = open(&stage, &target).await;
    let mut quick = open(&stage, &target).await;
    let mut seen = next;
    let mut pushed = next;
    // Far more than sockets and backlog hold, so that the buffer runs over the slow one.
    for round in 0..200 {
        stage.positions(round, 500);
        pushed += 500;
        let all = follow(&mut quick, seen, pushed - 1).await;
        assert_eq!(all, (seen..pushed).collect::<Vec<_>>());
        seen = pushed;
    }
    let (mut expected, mut last) = (next, String::new());
    while let Some(part) = slow.part().await {
        if part.contains("<MTConnectStreams") {
            assert!(last.is_empty(), "nothing comes after the error");
            let found = sequences(&part);
            assert!(found.iter().copied().eq(expected..expected + found.len() as u64));
            expected += found.len() as u64;
        } else {
            last = part;
        }
    }
    assert!(last.contains("<MTConnectError") && last.contains("<OutOfRange>"), "{last}");
    assert!(slow.ends().await);
    assert_eq!(stage.stats.cut_off.get(), 1);
    assert!(stage.stats.lagged.get() >= 1);
}

#[tokio::test]
async fn a_slow_client_that_stays_within_the_buffer_loses_nothing() {
    let stage = Stage::with(|options| options.max_client_backlog = 64 * 1_024, 131_072);
    let next = stage.journal.bounds().next;
    let target = format!("/sample?interval=10&count=1000&from={next}");
    let mut slow = open(&stage, &target).await;
    let mut quick = open(&stage, &target).await;
    for round in 0..100 {
        stage.positions(round, 500);
        let from = next + u64::from(round) * 500;
        follow(&mut quick, from, from + 499).await;
    }
    let all = follow(&mut slow, next, next + 49_999).await;
    assert_eq!(all, (next..next + 50_000).collect::<Vec<_>>());
    assert_eq!(stage.stats.cut_off.get(), 0);
}

#[tokio::test]
async fn the_state_is_streamed_too_and_shared() {
    let stage = Stage::new();
    let mut first = open(&stage, &format!("/current?interval=30&{XPOS}")).await;
    let mut second = open(&stage, &format!("/current?interval=30&{XPOS}")).await;
    for client in [&mut first, &mut second] {
        assert!(client.part().await.expect("a part").contains("UNAVAILABLE"));
    }
    stage.positions(42, 1);
    for client in [&mut first, &mut second] {
        // The state at the time of a tick, whether or not it has changed.
        while !client.part().await.expect("a part").contains(">42<") {}
        assert!(client.part().await.expect("a part").contains(">42<"));
    }
    assert_eq!(stage.stats.groups.get(), 1);
    assert_eq!(stage.stats.own_parts.get(), 2);
}

#[tokio::test]
async fn stopping_ends_streams_with_their_closing_boundary() {
    let stage = Stage::new();
    let next = stage.journal.bounds().next;
    let mut clients = Vec::new();
    for target in
        ["/sample?interval=1000", "/current?interval=60000", &format!("/sample?interval=10&from={next}")]
    {
        clients.push(open(&stage, target).await);
    }
    stage.cancel.cancel();
    timeout(PATIENCE, stage.serving).await.expect("in time").expect("no panic").expect("no error");
    for mut client in clients {
        while client.part().await.is_some() {}
        assert!(client.ends().await);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_the_end() {
    let stage = Stage::with(|_| {}, 131_072);
    stage.positions(0, 100_000);
    let stuck = open(&stage, "/sample?interval=10&count=100000").await;
    let wait = async {
        while stage.stats.sent_parts.get() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("a part");
    stage.cancel.cancel();
    timeout(PATIENCE, stage.serving).await.expect("in time").expect("no panic").expect("no error");
    drop(stuck);
}

#[tokio::test]
async fn an_old_client_gets_parts_without_chunks() {
    let stage = Stage::new();
    let mut client = stage.connect().await;
    client.send("GET /sample?interval=10&count=5 HTTP/1.0\r\n\r\n").await;
    let head = client.stream_head().await;
    assert_eq!(head.field("Transfer-Encoding"), None);
    assert!(client.until("\r\n").await.starts_with("--guideway-"));
    assert_eq!(client.until("\r\n").await, "Content-type: application/xml\r\n");
}

#[tokio::test]
async fn a_stream_that_was_left_is_forgotten() {
    let stage = Stage::new();
    let client = open(&stage, "/sample?interval=10&heartbeat=20").await;
    settled(&stage, 1).await;
    drop(client);
    settled(&stage, 0).await;
    assert_eq!(stage.stats.streams.get(), 0);
}
