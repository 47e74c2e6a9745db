use super::*;
use crate::{Config, Point};
use guideway_contract::PointSpec;
use guideway_shdr::codec::Tally;

impl Told for Tally {
    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String) {
        guideway_shdr::codec::Faults::fault(self, fault, detail);
    }
}

const ARRIVAL: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000, 6);

struct Bench {
    reader: Reader,
    tally: Tally,
}

impl Bench {
    fn new(points: &[(&str, &str, &str)]) -> Self {
        let point = |(address, data_type, own): &(&str, &str, &str)| -> PointSpec<Point> {
            PointSpec::new(address, data_type.parse().unwrap(), serde_json::from_str(own).unwrap())
        };
        let points: Vec<_> = points.iter().map(point).collect();
        let plan = Plan::new(&Config::default(), &points);
        assert_eq!(plan.broken, []);
        Self { reader: Reader::new(plan.into(), Instant::now()), tally: Tally::default() }
    }

    fn take(&mut self, topic: &str, payload: &[u8], retained: bool) -> Vec<(u32, String, i64)> {
        let mut readings = Vec::new();
        let message = Message { topic, payload: Ok(payload), retained, arrival: ARRIVAL };
        self.reader.read(message, Instant::now(), &mut readings, &mut self.tally);
        let show = |reading: &RawReading| {
            (reading.point.0, reading.value.to_string(), reading.time.nanos() / 1_000_000)
        };
        readings.iter().map(show).collect()
    }

    /// Points and values.
    fn values(&mut self, topic: &str, payload: &str) -> Vec<(u32, String)> {
        self.take(topic, payload.as_bytes(), false)
            .into_iter()
            .map(|(point, value, _)| (point, value))
            .collect()
    }
}

fn told(point: u32, value: &str) -> (u32, String) {
    (point, value.into())
}

#[tokio::test]
async fn each_point_finds_its_value_in_the_message_of_its_topic() {
    let mut bench = Bench::new(&[
        ("plant/+/state", "auto", r#"{"pointer":"/temp"}"#),
        ("plant/mill/state#/inner/v", "f64", "{}"),
        ("plant/#", "auto", "{}"),
        ("plant/+/state", "auto", r#"{"topic_segment":1}"#),
        ("plant/+/state", "auto", r#"{"topic_segment":-1}"#),
        ("other", "auto", "{}"),
    ]);
    let payload = r#"{"temp":20.5,"inner":"{\"v\":\"3\"}"}"#;
    assert_eq!(
        bench.values("plant/mill/state", payload),
        [
            told(0, "20.5"),
            told(1, "3"),
            told(2, r#"{temp: 20.5, inner: {"v":"3"}}"#),
            told(3, "mill"),
            told(4, "state"),
        ]
    );
    assert_eq!(bench.values("plant", "[1,true,null]"), [told(2, "[1, true, null]")]);
    assert_eq!(bench.values("nowhere", "1"), []);
    assert_eq!(bench.tally.of(Fault::Unmapped), 1);
}

#[tokio::test]
async fn payloads_that_are_no_json_are_read_by_their_format() {
    let mut bench = Bench::new(&[
        ("text", "auto", r#"{"format":"text"}"#),
        ("number", "auto", r#"{"format":"number"}"#),
        ("hex", "u16", r#"{"format":"hex"}"#),
        ("base64", "auto", r#"{"format":"base64"}"#),
        ("bytes", "f32", r#"{"format":"bytes","byte_order":"little"}"#),
        ("pdin", "i16", r#"{"format":"hex","pointer":"/data","bit_offset":2,"bit_length":14}"#),
    ]);
    assert_eq!(bench.values("text", "Fräse {1}"), [told(0, "Fräse {1}")]);
    assert_eq!(bench.values("number", " 1.5\n"), [told(1, "1.5")]);
    assert_eq!(bench.values("number", "18446744073709551615"), [told(1, "18446744073709551615")]);
    assert_eq!(bench.values("hex", "03B9"), [told(2, "953")]);
    assert_eq!(bench.values("base64", "A7k="), [told(3, "03B9")]);
    assert_eq!(bench.take("bytes", &1.5_f32.to_le_bytes(), false)[0].1, "1.5");
    assert_eq!(bench.values("pdin", r#"{"data":"03B9"}"#), [told(5, "238")]);
    assert_eq!(bench.tally, Tally::default());
    assert_eq!(bench.values("number", "1,5"), [told(1, "(`1,5` is no number)")]);
    assert_eq!(bench.values("hex", "3"), [told(2, "(the text is not hexadecimal)")]);
    assert_eq!(bench.take("text", b"\xFF", false)[0].1, "(the payload is no text)");
    assert_eq!(bench.tally.of(Fault::Rejected), 3);
}

#[tokio::test]
async fn an_array_of_readings_gives_each_at_its_time_in_order() {
    let mut bench = Bench::new(&[
        ("a", "auto", r#"{"each":"/values","pointer":"/v","time":"/t"}"#),
        (
            "a",
            "auto",
            r#"{"each":"/values","pointer":"/v","time":"/t","where":{"pointer":"/n","equals":"x"}}"#,
        ),
    ]);
    let payload =
        r#"{"values":[{"t":1700000000200,"v":2,"n":"y"},{"t":1700000000100,"v":1,"n":"x"},{"v":3}]}"#;
    let arrival = ARRIVAL.nanos() / 1_000_000;
    assert_eq!(
        bench.take("a", payload.as_bytes(), false),
        [
            (0, "1".into(), 1_700_000_000_100),
            (0, "2".into(), 1_700_000_000_200),
            (0, "3".into(), arrival),
            (1, "1".into(), 1_700_000_000_100),
        ]
    );
    assert_eq!(bench.tally.of(Fault::Timestamp), 1);
    assert_eq!(
        bench.take("a", br#"{"values":{"t":1700000000,"v":9}}"#, false),
        [(0, "9".into(), 1_700_000_000_000)]
    );
}

#[tokio::test]
async fn only_messages_that_are_meant_count() {
    let mut bench =
        Bench::new(&[("a", "auto", r#"{"pointer":"/v","where":{"pointer":"/port","equals":3}}"#)]);
    assert_eq!(bench.values("a", r#"{"port":3,"v":1}"#), [told(0, "1")]);
    assert_eq!(bench.values("a", r#"{"port":"3","v":2}"#), [told(0, "2")]);
    assert_eq!(bench.values("a", r#"{"port":3.0,"v":3}"#), [told(0, "3")]);
    assert_eq!(bench.values("a", r#"{"port":4,"v":4}"#), []);
    assert_eq!(bench.values("a", r#"{"v":5}"#), []);
}

#[tokio::test]
async fn a_message_without_the_value_says_so_until_there_was_one() {
    let mut bench = Bench::new(&[("a#/v", "auto", "{}"), ("a#/v", "auto", r#"{"missing":"bad"}"#)]);
    let missing = "(there is no `/v` on a)";
    assert_eq!(bench.values("a", "{}"), [told(0, missing), told(1, missing)]);
    assert_eq!(bench.values("a", r#"{"v":1}"#), [told(0, "1"), told(1, "1")]);
    assert_eq!(bench.values("a", r#"{"w":1}"#), [told(1, missing)]);
    assert_eq!(bench.values("a", r#"{"v":null}"#), [told(0, "null"), told(1, "null")]);
}

#[tokio::test]
async fn what_is_no_json_makes_the_point_bad_and_is_counted_once() {
    let mut bench =
        Bench::new(&[("a#/v", "auto", "{}"), ("a#/w", "auto", "{}"), ("a", "auto", r#"{"format":"text"}"#)]);
    let readings = bench.values("a", "{\"v\":1");
    assert_eq!(readings.len(), 3);
    assert!(readings[0].1.starts_with("(no JSON on a: EOF"), "{readings:?}");
    assert_eq!(readings[2].1, "{\"v\":1");
    assert_eq!(bench.tally.of(Fault::Malformed), 1);
    let deep = "[".repeat(100_000);
    assert!(bench.values("a", &deep)[0].1.contains("recursion limit"));
}

#[tokio::test]
async fn retained_messages_count_or_not() {
    let mut bench = Bench::new(&[("a", "auto", "{}"), ("a", "auto", r#"{"retained":"ignore"}"#)]);
    assert_eq!(bench.take("a", b"1", true).len(), 1);
    assert_eq!(bench.take("a", b"1", false).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_point_whose_topic_is_silent_becomes_bad() {
    let mut bench = Bench::new(&[
        ("a/+", "auto", r#"{"stale":"30s","where":{"pointer":"/n","equals":1}}"#),
        ("a/b", "auto", "{}"),
    ]);
    tokio::time::advance(std::time::Duration::from_secs(20)).await;
    bench.take("a/b", br#"{"n":1}"#, false);
    tokio::time::advance(std::time::Duration::from_secs(20)).await;
    bench.take("a/b", br#"{"n":2}"#, false);
    assert_eq!(bench.reader.overdue(Instant::now()), []);
    tokio::time::sleep_until(bench.reader.next_look().unwrap()).await;
    let overdue = bench.reader.overdue(Instant::now());
    assert_eq!(overdue.len(), 1);
    assert_eq!(overdue[0].value, Native::bad("nothing on a/+ for 30 s"));
}

#[tokio::test]
async fn a_payload_that_is_too_large_makes_its_points_bad() {
    let mut bench = Bench::new(&[("a", "auto", "{}")]);
    let mut readings = Vec::new();
    let message = Message { topic: "a", payload: Err(5_000_000), retained: false, arrival: ARRIVAL };
    bench.reader.read(message, Instant::now(), &mut readings, &mut bench.tally);
    assert_eq!(readings[0].value, Native::bad("a message of 5000000 bytes, which is more than max_payload"));
}

#[tokio::test]
async fn topics_without_number_do_not_fill_the_memory() {
    let mut bench = Bench::new(&[("#", "auto", r#"{"format":"text"}"#)]);
    for n in 0..3 * MOST_TOPICS {
        bench.take(&format!("t/{n}"), b"x", false);
    }
    assert!(bench.reader.topics.len() <= MOST_TOPICS);
}
