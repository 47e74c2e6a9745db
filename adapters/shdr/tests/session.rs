//! Sessions over scripted wires, with paused time.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

use std::time::Duration;

use guideway_contract::kit::{Collector, outlet};
use guideway_contract::{
    Adapter, Command, CommandRequest, ConnectionState, Fault, Outcome, PointTable, SessionEnd, Shape, Signal,
    Value,
};
use guideway_shdr::{Config, Shdr};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

fn points() -> PointTable {
    let mut builder = PointTable::builder();
    let mill = builder.device(["mill"]);
    for key in ["x", "y"] {
        builder.point(mill, key, Shape::Number, []);
    }
    builder.build()
}

/// A session at work: the source's end of the wire, the agent's end of the outlet, the end to come.
struct Wire {
    source: DuplexStream,
    agent: Collector,
    end: JoinHandle<SessionEnd>,
}

async fn open(config: Config) -> Wire {
    let (mut outlet, mut agent) = outlet(points());
    let (source, ours) = duplex(64 << 10);
    let end = tokio::spawn(async move { Shdr::new(config).serve(ours, &mut outlet).await });
    assert!(matches!(agent.next().await, Some(Signal::Connected { .. })));
    let mut wire = Wire { source, agent, end };
    wire.expect_ping().await;
    wire
}

impl Wire {
    async fn say(&mut self, text: &str) {
        self.source.write_all(text.as_bytes()).await.unwrap();
    }

    async fn expect_ping(&mut self) {
        let mut ping = [0; 7];
        self.source.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, b"* PING\n");
    }
}

fn config() -> Config {
    Config::new("mill-1", 7878)
}

#[tokio::test(start_paused = true)]
async fn a_line_in_pieces_becomes_readings_of_one_batch() {
    let mut wire = open(config()).await;
    wire.say("2024-01-01T00:00:00Z|x|1|y").await;
    wire.say("|2\r\n2024-01-01T00:00:01Z|x|3\n").await;
    let readings = wire.agent.readings(3).await;
    let values: Vec<_> = readings.iter().map(|reading| (reading.point.0, reading.value.clone())).collect();
    assert_eq!(values, [(0, Value::Number(1.0)), (1, Value::Number(2.0)), (0, Value::Number(3.0))]);
    assert_eq!(wire.agent.health.state(), ConnectionState::Established);
    assert_eq!(wire.agent.health.counters.readings.load(std::sync::atomic::Ordering::Relaxed), 3);
    assert_eq!(wire.agent.health.counters.frames.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(wire.agent.health.counters.bytes.load(std::sync::atomic::Ordering::Relaxed), 55);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_answers_is_pinged_at_its_interval_and_lost_after_twice_that() {
    let mut wire = open(config()).await;
    wire.say("* PONG 1000\n").await;
    let begin = Instant::now();
    wire.expect_ping().await;
    assert_eq!(begin.elapsed().as_millis(), 1_000);
    wire.say("* PONG 1000\n").await;
    let heard = Instant::now();
    wire.expect_ping().await;
    let end = wire.end.await.unwrap();
    assert!(matches!(end, SessionEnd::Silent(limit) if limit == Duration::from_secs(2)), "{end}");
    assert_eq!(heard.elapsed().as_millis(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn any_byte_keeps_a_session_up() {
    let mut wire = open(config()).await;
    wire.say("* PONG 1000\n").await;
    for _ in 0..10 {
        wire.expect_ping().await;
        wire.say(".").await;
    }
    assert!(!wire.end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_source_without_pong_is_lost_after_the_legacy_timeout() {
    let mut wire = open(config()).await;
    wire.say("|x|1\n").await;
    wire.agent.readings(1).await;
    let begin = Instant::now();
    assert!(matches!(wire.end.await.unwrap(), SessionEnd::Silent(_)));
    assert_eq!(begin.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_configured_heartbeat_overrides_what_the_source_asks_for() {
    let mut wire = open(Config { heartbeat: Some(Duration::from_millis(50)), ..config() }).await;
    wire.say("* PONG 10000\n").await;
    let begin = Instant::now();
    wire.expect_ping().await;
    assert_eq!(begin.elapsed().as_millis(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_makes_no_sense_is_counted_and_changes_nothing() {
    let mut wire = open(config()).await;
    wire.say("* PONG 0\n* PONG soon\n* PONG\n|x|1\n").await;
    wire.agent.readings(1).await;
    let begin = Instant::now();
    assert!(matches!(wire.end.await.unwrap(), SessionEnd::Silent(_)));
    assert_eq!(begin.elapsed().as_secs(), 600);
    assert_eq!(wire.agent.health.counters.faults(Fault::Malformed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_busy_pipeline_slows_the_source_and_costs_neither_values_nor_the_heartbeat() {
    let mut wire = open(config()).await;
    wire.say("* PONG 1000\n").await;
    // More batches than the channel holds, each read by itself.
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_millis(10), wire.source.write_all(b"|x|1\n@REMOVE\n|x|2\n"))
        .await
        .is_ok()
    {
        sent += 2;
        tokio::task::yield_now().await;
    }
    let stalled = Instant::now();
    for _ in 0..5 {
        wire.expect_ping().await;
    }
    assert!(stalled.elapsed() >= Duration::from_secs(4), "{:?}", stalled.elapsed());
    assert!(!wire.end.is_finished());
    // The last write may have gone in part.
    assert!(wire.agent.readings(sent).await.len() >= sent);
    assert!(!wire.end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_bounded_and_keeps_its_order() {
    let mut wire = open(config()).await;
    let mut lines = String::new();
    for number in 0..10_000 {
        lines.push_str(&format!("|x|{number}\n"));
    }
    let mut long = String::new();
    for number in 10_000..20_000 {
        long.push_str(&format!("|x|{number}"));
    }
    lines.push_str(&long);
    lines.push('\n');
    let writer = async {
        wire.source.write_all(lines.as_bytes()).await.unwrap();
    };
    let reader = async {
        let mut seen = Vec::new();
        while seen.len() < 20_000 {
            match wire.agent.next().await {
                Some(Signal::Readings(batch)) => {
                    assert!(batch.readings.len() <= 4_096, "{}", batch.readings.len());
                    seen.extend(batch.readings.into_iter().map(|reading| reading.value));
                }
                other => panic!("{other:?}"),
            }
        }
        seen
    };
    let ((), seen) = tokio::join!(writer, reader);
    let expected: Vec<_> = (0..20_000).map(|number| Value::Number(f64::from(number))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn signals_keep_the_order_of_their_lines() {
    let mut wire = open(config()).await;
    wire.say("|x|1\n* adapterVersion: 3.1\n|x|2\n|@REMOVE_ASSET@|7\n|x|3\n").await;
    let mut order = Vec::new();
    while order.len() < 5 {
        order.push(match wire.agent.next().await.unwrap() {
            Signal::Readings(batch) => format!("{:?}", batch.readings[0].value),
            Signal::Describe { name, .. } => name.to_string(),
            Signal::Asset(_) => "asset".into(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(order, ["Number(1.0)", "adapterVersion", "Number(2.0)", "asset", "Number(3.0)"]);
    assert_eq!(wire.agent.health.property("adapterVersion").as_deref(), Some("3.1"));
}

#[tokio::test(start_paused = true)]
async fn a_line_over_the_cap_is_counted_and_the_next_one_read() {
    let mut wire = open(Config { max_line_length: 1_024, ..config() }).await;
    let long = "x".repeat(5_000);
    wire.say(&format!("|x|{long}\n|x|2\n")).await;
    assert_eq!(wire.agent.readings(1).await[0].value, Value::Number(2.0));
    assert_eq!(wire.agent.health.counters.faults(Fault::Oversized), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_the_source_closes() {
    let mut wire = open(config()).await;
    wire.say("|x|1\n|x|2").await;
    drop(wire.source);
    assert!(matches!(wire.end.await.unwrap(), SessionEnd::Lost(_)));
    assert_eq!(wire.agent.readings(2).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_stops_when_it_is_asked_to() {
    let wire = open(config()).await;
    wire.agent.cancel.cancel();
    assert!(matches!(wire.end.await.unwrap(), SessionEnd::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_session_stops_even_while_the_pipeline_takes_nothing() {
    let mut wire = open(config()).await;
    let cancel = wire.agent.cancel.clone();
    while tokio::time::timeout(Duration::from_millis(10), wire.source.write_all(b"|x|1\n* a:b\n"))
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert!(matches!(wire.end.await.unwrap(), SessionEnd::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_command_is_answered_that_nothing_was_sent() {
    let wire = open(config()).await;
    let (reply, answer) = tokio::sync::oneshot::channel();
    let command = Command { id: "1".into(), writes: Vec::new(), timeout: Duration::from_secs(1) };
    wire.agent.commands.send(CommandRequest { command, reply }).await.unwrap();
    assert!(matches!(answer.await.unwrap(), Outcome::NotSent(_)));
    assert!(!wire.end.is_finished());
}

#[tokio::test]
async fn a_session_connects_over_tcp_and_starts_afresh_the_next_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut shdr = Shdr::new(Config::new("127.0.0.1", listener.local_addr().unwrap().port()));
    assert_eq!(shdr.protocol(), "shdr");
    let (mut outlet, mut agent) = outlet(points());
    for _ in 0..2 {
        let source = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A body that does not end here must not swallow the next session.
            stream.write_all(b"|x|1\n|@ASSET@|1|Part|--multiline--A\n<a>\n").await.unwrap();
            let mut ping = [0; 7];
            stream.read_exact(&mut ping).await.unwrap();
        };
        let ((), end) = tokio::join!(source, shdr.session(&mut outlet));
        assert!(matches!(end, SessionEnd::Lost(_)), "{end}");
        assert_eq!(agent.readings(1).await.len(), 1);
    }
}

#[tokio::test]
async fn no_listener_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (mut outlet, mut agent) = outlet(points());
    let end = Shdr::new(Config::new("127.0.0.1", port)).session(&mut outlet).await;
    let SessionEnd::NotConnected { endpoint, .. } = end else { panic!("{end}") };
    assert_eq!(endpoint, format!("shdr://127.0.0.1:{port}"));
    assert!(agent.drain().is_empty());
}
