//! What each kind of line says, one test for each rule of `docs/shdr.md`.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

use std::sync::Arc;

use guideway_contract::{
    AssetChange, Cell, Condition, Fault, Level, PointTable, Qualifier, Reading, Shape, Timestamp, Value,
};
use guideway_shdr::ShdrVersion;
use guideway_shdr::codec::{Decoder, Event, Settings, Tally};

const ARRIVAL: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000, 6);
const T: &str = "2024-01-02T03:04:05.678Z";

struct Bench {
    decoder: Decoder,
    readings: Vec<Reading>,
    faults: Tally,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let mut builder = PointTable::builder();
        let mill = builder.device(["mill", "mill-uuid"]);
        builder.uuid(mill, "mill-uuid");
        for (key, shape) in [
            ("num", Shape::Number),
            ("text", Shape::Text),
            ("pos", Shape::Vector3),
            ("series", Shape::TimeSeries),
            ("set", Shape::DataSet),
            ("table", Shape::Table),
            ("cond", Shape::Condition),
            ("msg", Shape::Message),
            ("asset", Shape::AssetEvent),
            ("count", Shape::Number),
            ("shift", Shape::Text),
        ] {
            let id = builder.point(mill, key, shape, []);
            if matches!(key, "count" | "shift") {
                builder.edit(id).unwrap().resets = true;
            }
        }
        let lathe = builder.device(["lathe"]);
        builder.point(lathe, "num", Shape::Number, []);
        let mut decoder = Decoder::new(settings);
        decoder.set_points(Arc::new(builder.build()));
        decoder.start(ARRIVAL);
        Self { decoder, readings: Vec::new(), faults: Tally::default() }
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        self.bytes(line.as_bytes())
    }

    fn bytes(&mut self, line: &[u8]) -> Option<Event> {
        self.decoder.line(line, ARRIVAL, &mut self.readings, &mut self.faults)
    }

    /// The points (by number) and values that lines gave.
    fn values(&mut self, lines: &[&str]) -> Vec<(u32, Value)> {
        for line in lines {
            assert_eq!(self.line(line), None, "{line}");
        }
        self.readings.drain(..).map(|reading| (reading.point.0, reading.value)).collect()
    }
}

/// The value of the only reading of one line behind the time, and the faults.
fn one(rest: &str) -> (Value, Tally) {
    let mut bench = Bench::new(Settings::default());
    let mut values = bench.values(&[&format!("{T}|{rest}")]);
    assert_eq!(values.len(), 1, "{rest}: {values:?}");
    (values.remove(0).1, bench.faults)
}

/// A value that is read without any fault.
fn good(rest: &str) -> Value {
    let (value, faults) = one(rest);
    assert_eq!(faults, Tally::default(), "{rest}");
    value
}

/// A value that is counted as rejected.
fn rejected(rest: &str) -> Value {
    let (value, faults) = one(rest);
    assert_eq!(faults.of(Fault::Rejected), 1, "{rest}");
    value
}

fn condition(level: Level) -> Condition {
    Condition {
        level,
        native_code: "".into(),
        native_severity: "".into(),
        qualifier: None,
        message: "".into(),
        condition_id: "".into(),
    }
}

#[test]
fn a_line_holds_a_time_and_any_number_of_keys_and_values() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.line(&format!("{T}|num|1.5|text|ACTIVE| pos | 1 2 3 ")), None);
    assert!(bench.readings.iter().all(|reading| reading.time.to_string() == T));
    assert_eq!(
        bench.values(&[]),
        [(0, Value::Number(1.5)), (1, Value::text("ACTIVE")), (2, Value::Vector3(Arc::new([1.0, 2.0, 3.0])))]
    );
    assert_eq!(bench.faults, Tally::default());
}

#[test]
fn unavailable_in_any_letter_case_holds_for_every_shape() {
    for key in ["num", "text", "pos", "series", "set", "table", "cond", "msg", "asset", "count", "shift"] {
        for word in ["UNAVAILABLE", "Unavailable", "unavailable"] {
            assert_eq!(good(&format!("{key}|{word}")), Value::Unavailable, "{key}");
        }
    }
    for rest in [
        "cond|Unavailable||||",
        "cond|UNAVAILABLE|100|1|HIGH|text",
        "msg||UNAVAILABLE",
        "msg|UNAVAILABLE|",
        "asset||UNAVAILABLE",
        "series|0||UNAVAILABLE",
        "series|UNAVAILABLE||",
        "series|5|100|UNAVAILABLE",
    ] {
        assert_eq!(good(rest), Value::Unavailable, "{rest}");
    }
}

#[test]
fn a_number_that_does_not_fit_is_passed_on_as_text_and_counted() {
    for text in ["12abc", "0x10", "1,5", "inf", "nan", "1:MANUAL", "1e999", "--"] {
        assert_eq!(rejected(&format!("num|{text}")), Value::text(text));
    }
}

#[test]
fn an_empty_number_is_unavailable_and_an_empty_text_is_empty() {
    assert_eq!(rejected("num| "), Value::Unavailable);
    assert_eq!(rejected("pos|"), Value::Unavailable);
    assert_eq!(good("text|"), Value::text(""));
    assert_eq!(good("text| |"), Value::text(""));
}

#[test]
fn three_numbers_make_a_place_and_others_do_not() {
    assert_eq!(good("pos|-1.5  2\t3e1"), Value::Vector3(Arc::new([-1.5, 2.0, 30.0])));
    for text in ["1 2", "1 2 3 4", "1 2 x", "1,2,3"] {
        assert_eq!(rejected(&format!("pos|{text}")), Value::text(text));
    }
}

#[test]
fn a_reset_trigger_is_read_only_where_the_item_can_be_reset() {
    let value = good("count|0:manual");
    assert_eq!((value.plain(), value.reset_triggered()), (&Value::Number(0.0), Some("MANUAL")));
    let value = good("shift|first : DAY ");
    assert_eq!((value.plain(), value.reset_triggered()), (&Value::text("first"), Some("DAY")));
    assert_eq!(good("text|12:30"), Value::text("12:30"));
    assert_eq!(good("count|7"), Value::Number(7.0));
    assert_eq!(good("count|UNAVAILABLE"), Value::Unavailable);
    assert_eq!(rejected("count|:DAY"), Value::Unavailable);
}

#[test]
fn a_duration_goes_with_each_value_that_can_have_one() {
    let mut bench = Bench::new(Settings::default());
    let values = bench.values(&["2024-01-02T03:04:05Z@2.5|num|1|text|UNAVAILABLE|set|a=1|cond|NORMAL"]);
    let durations: Vec<_> = values.iter().map(|(_, value)| value.duration()).collect();
    assert_eq!(durations, [Some(2.5), None, Some(2.5), None]);
    assert_eq!(values[0].1.plain(), &Value::Number(1.0));
}

#[test]
fn a_condition_has_up_to_five_fields_in_any_letter_case() {
    let full = Condition {
        level: Level::Fault,
        native_code: "3AA".into(),
        native_severity: "HI".into(),
        qualifier: Some(Qualifier::High),
        message: "Key non-functional".into(),
        condition_id: "".into(),
    };
    assert_eq!(good("cond|Fault|3AA|HI|high|Key non-functional"), Value::Condition(Arc::new(full)));
    for rest in ["cond|NORMAL", "cond|normal||||", "cond|Normal||"] {
        assert_eq!(good(rest), Value::Condition(Arc::new(condition(Level::Normal))), "{rest}");
    }
    let low = Condition { qualifier: Some(Qualifier::Low), ..condition(Level::Warning) };
    assert_eq!(good("cond|WARNING|||LOW"), Value::Condition(Arc::new(low)));
}

#[test]
fn a_native_code_may_carry_a_condition_id_where_that_is_wanted() {
    let split =
        Condition { native_code: "100".into(), condition_id: "axis:1".into(), ..condition(Level::Fault) };
    assert_eq!(good("cond|FAULT|100:axis:1|||"), Value::Condition(Arc::new(split)));
    let mut bench = Bench::new(Settings { condition_ids: false, ..Settings::default() });
    let whole = Condition { native_code: "100:1".into(), ..condition(Level::Fault) };
    assert_eq!(bench.values(&["|cond|FAULT|100:1|||"]), [(6, Value::Condition(Arc::new(whole)))]);
}

#[test]
fn an_unknown_level_or_qualifier_is_counted_and_does_not_vanish() {
    assert_eq!(rejected("cond|Alarm|1|||x"), Value::text("Alarm"));
    assert_eq!(rejected("cond|"), Value::text(""));
    let kept = Condition { native_code: "1".into(), ..condition(Level::Fault) };
    assert_eq!(rejected("cond|FAULT|1||SIDEWAYS|"), Value::Condition(Arc::new(kept)));
}

#[test]
fn a_message_has_a_code_and_a_text() {
    let Value::Message(message) = good("msg|CODE|mind the gap") else { panic!("no message") };
    assert_eq!((&*message.native_code, &*message.text), ("CODE", "mind the gap"));
    let Value::Message(message) = good(r#"msg||"mind \| the gap""#) else { panic!("no message") };
    assert_eq!((&*message.native_code, &*message.text), ("", "mind | the gap"));
    assert_eq!(rejected("msg|only"), Value::text("only"));
}

#[test]
fn a_time_series_has_a_count_a_rate_and_samples() {
    let Value::TimeSeries(series) = good("series|3|100.5|1 2 -3e1") else { panic!("no series") };
    assert_eq!((series.rate, series.values.as_slice()), (Some(100.5), [1.0, 2.0, -30.0].as_slice()));
    let Value::TimeSeries(series) = good("series|0||") else { panic!("no series") };
    assert_eq!((series.rate, series.values.len()), (None, 0));
    let Value::TimeSeries(series) = rejected("series|4|0|1 2") else { panic!("no series") };
    assert_eq!((series.rate, series.values.len()), (None, 2));
    assert_eq!(rejected("series|2|fast|1 2"), Value::text("1 2"));
    assert_eq!(rejected("series|2|1|1 b"), Value::text("1 b"));
    assert_eq!(rejected("series|2|1"), Value::text("2"));
    assert_eq!(rejected("series|2|1|"), Value::Unavailable);
}

#[test]
fn sets_and_tables_are_read_whole_or_rejected_whole() {
    let value = good("set|:MANUAL a=1 b='x y' c");
    let Value::DataSet(set) = &value else { panic!("no set") };
    assert_eq!((value.reset_triggered(), set.len()), (Some("MANUAL"), 3));
    assert_eq!(set.get("c"), Some(&Cell::Removed));
    let Value::DataSet(table) = good("table|r1={a=1} r2=") else { panic!("no table") };
    assert_eq!(table.len(), 2);
    assert_eq!(rejected("set|a={b"), Value::text("a={b"));
    assert_eq!(rejected("table|r=1"), Value::text("r=1"));
}

#[test]
fn an_asset_event_has_a_type_and_an_id() {
    let Value::AssetEvent(event) = good("asset|CuttingTool|@-T1") else { panic!("no event") };
    assert_eq!((&*event.asset_type, &*event.asset_id), ("CuttingTool", "mill-uuid-T1"));
    assert_eq!(rejected("asset|CuttingTool"), Value::text("CuttingTool"));
}

#[test]
fn an_unknown_key_skips_one_value() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(
        bench.values(&["|who|num|num|1|what|2|text|a"]),
        [(0, Value::Number(1.0)), (1, Value::text("a"))]
    );
    assert_eq!(bench.faults.of(Fault::Unmapped), 2);
}

#[test]
fn an_unknown_condition_counts_once_and_its_empty_fields_do_not() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.values(&["|who|NORMAL||||"]), []);
    assert_eq!(bench.faults.0.iter().sum::<u64>(), 1);
}

#[test]
fn in_version_one_an_item_of_several_fields_ends_its_line() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.values(&["|num|1|msg|c|t|num|2"]).len(), 2);
    assert_eq!(bench.faults.of(Fault::Malformed), 1);
    assert_eq!(bench.values(&["|cond|NORMAL||||||"]).len(), 1);
    assert_eq!(bench.faults.of(Fault::Malformed), 1);
}

#[test]
fn in_version_two_anything_may_follow_anything() {
    let mut bench = Bench::new(Settings { version: ShdrVersion::V2, ..Settings::default() });
    let values = bench.values(&["|msg|c|t|cond|NORMAL|||||series|1||5|asset|UNAVAILABLE||num|2"]);
    assert_eq!(values.iter().map(|value| value.0).collect::<Vec<_>>(), [7, 6, 3, 8, 0]);
    assert_eq!(bench.faults, Tally::default());
    // An unknown item of two fields does not cost the one behind it.
    assert_eq!(bench.values(&["|who|c|t|num|3"]), [(0, Value::Number(3.0))]);
    assert_eq!(bench.faults.of(Fault::Unmapped), 1);
}

#[test]
fn a_source_may_say_which_version_it_speaks() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.values(&["* shdrVersion: 2", "|msg|c|t|num|1"]).len(), 2);
    bench.decoder.start(ARRIVAL);
    assert_eq!(bench.values(&["|msg|c|t|num|1"]).len(), 1);
    bench.line("*shdrVersion:3");
    assert_eq!(bench.faults.of(Fault::Malformed), 2);
}

#[test]
fn malformed_lines_are_counted_and_cost_nothing_else() {
    let mut bench = Bench::new(Settings::default());
    for line in ["garbage", T, "|num", "||5", "* nothing"] {
        assert_eq!(bench.line(line), None);
    }
    assert_eq!(bench.faults.of(Fault::Malformed), 5);
    for line in ["", "   ", "\t"] {
        assert_eq!(bench.line(line), None);
    }
    assert_eq!(bench.values(&["|num|1|"]), [(0, Value::Number(1.0))]);
    assert_eq!(bench.faults.0.iter().sum::<u64>(), 5);
}

#[test]
fn a_time_that_is_none_is_counted_and_the_arrival_taken() {
    let mut bench = Bench::new(Settings::default());
    bench.line("soon|num|1");
    assert_eq!(bench.readings[0].time, ARRIVAL);
    assert_eq!(bench.faults.of(Fault::Timestamp), 1);
}

#[test]
fn times_may_be_ignored_or_relative() {
    let mut bench = Bench::new(Settings { ignore_timestamps: true, ..Settings::default() });
    bench.line(&format!("{T}|num|1"));
    assert_eq!(bench.readings[0].time, ARRIVAL);
    let mut bench = Bench::new(Settings::default());
    for line in ["* relativeTime: yes", "2000-01-01T00:00:00Z|num|1", "2000-01-01T00:00:01Z|num|2"] {
        bench.line(line);
    }
    assert_eq!(bench.readings[1].time, ARRIVAL.shifted(1_000_000_000));
    assert_eq!(bench.decoder.clock_offset(), None);
}

#[test]
fn times_are_corrected_only_where_that_is_wanted() {
    let ahead = ARRIVAL.shifted(3_600_000_000_000);
    for (correct_timestamps, expected) in [(false, ahead), (true, ARRIVAL)] {
        let mut bench = Bench::new(Settings { correct_timestamps, ..Settings::default() });
        bench.line(&format!("{ahead}|num|1"));
        assert_eq!(bench.readings[0].time, expected);
        assert_eq!(bench.decoder.clock_offset(), Some(3_600_000_000_000));
    }
}

#[test]
fn a_key_may_name_its_device_and_a_command_the_next_ones() {
    let mut bench = Bench::new(Settings::default());
    let values = bench.values(&[
        "|lathe:num|1|num|2",
        "* device: lathe",
        "|num|3|mill-uuid:num|4|text|5",
        "* device: mill",
        "|num|6",
    ]);
    let points: Vec<_> = values.iter().map(|value| value.0).collect();
    assert_eq!(points, [11, 0, 11, 0, 0]);
    assert_eq!(bench.faults.of(Fault::Unmapped), 1);
}

#[test]
fn values_of_a_device_that_nobody_knows_reach_no_other() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.values(&["* device: press", "|num|1|mill:num|2"]), [(0, Value::Number(2.0))]);
    assert_eq!(bench.faults.of(Fault::Unmapped), 2);
}

#[test]
fn a_single_device_may_go_by_any_name() {
    let mut builder = PointTable::builder();
    let mill = builder.device(["mill"]);
    builder.point(mill, "num", Shape::Number, []);
    let mut bench = Bench::new(Settings::default());
    bench.decoder.set_points(Arc::new(builder.build()));
    assert_eq!(bench.values(&["* device: Haas_VF2", "|num|1"]).len(), 1);
    assert_eq!(bench.faults.of(Fault::Unmapped), 1);
}

#[test]
fn new_points_are_used_at_once() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.values(&["|num|1"]), [(0, Value::Number(1.0))]);
    let mut builder = PointTable::builder();
    let mill = builder.device(["mill"]);
    builder.point(mill, "other", Shape::Text, []);
    builder.point(mill, "num", Shape::Text, []);
    bench.decoder.set_points(Arc::new(builder.build()));
    assert_eq!(bench.values(&["|num|1"]), [(1, Value::text("1"))]);
}

#[test]
fn a_source_describes_itself() {
    let mut bench = Bench::new(Settings::default());
    for (line, device, name, value) in [
        ("* manufacturer: ACME", "", "manufacturer", "ACME"),
        ("*CALIBRATION:x|1.5|0|y|2|3", "", "calibration", "x|1.5|0|y|2|3"),
        ("* adapterVersion: 2.1.0", "", "adapterVersion", "2.1.0"),
        ("* conversionRequired: no", "", "conversionRequired", "no"),
    ] {
        let event = bench.line(line);
        let expected = Event::Describe { device: device.into(), name: name.into(), value: value.into() };
        assert_eq!(event, Some(expected));
    }
    bench.line("* device: lathe");
    let event = bench.line("* station: 7");
    let expected = Event::Describe { device: "lathe".into(), name: "station".into(), value: "7".into() };
    assert_eq!(event, Some(expected));
    assert_eq!(bench.line("* colour: red"), None);
    assert_eq!(bench.faults.of(Fault::Unmapped), 1);
}

#[test]
fn a_device_model_may_come_in_many_lines() {
    let mut bench = Bench::new(Settings::default());
    for line in ["* deviceModel: --multiline--0F", "<Device>", "  <x a=\"|\"/>"] {
        assert_eq!(bench.line(line), None);
    }
    let event = bench.line("--multiline--0F ");
    let value = "<Device>\n  <x a=\"|\"/>".into();
    assert_eq!(event, Some(Event::Describe { device: "".into(), name: "deviceModel".into(), value }));
}

#[test]
fn an_asset_comes_on_one_line_pipes_and_all() {
    let mut bench = Bench::new(Settings::default());
    for (body, expected) in [("<a b=\"|\"/> ", "<a b=\"|\"/>"), (r#" "<a b='\|'/>""#, "<a b='|'/>")] {
        let event = bench.line(&format!("{T}|@ASSET@|@-1|CuttingTool|{body}"));
        let Some(Event::Asset(AssetChange::Put { device, id, asset_type, body, time })) = event else {
            panic!("{event:?}")
        };
        assert_eq!((&*device, &*id, &*asset_type), ("", "mill-uuid-1", "CuttingTool"));
        assert_eq!((body.as_str(), time.to_string().as_str()), (expected, T));
    }
    assert_eq!(bench.faults, Tally::default());
}

#[test]
fn an_asset_comes_in_many_lines() {
    let mut bench = Bench::new(Settings::default());
    for line in [&format!("{T}|@ASSET@|id 1|Part|--multiline--AB12"), "<Part>", "|num|1", "", "</Part>"] {
        assert_eq!(bench.line(line), None);
    }
    let event = bench.line("--multiline--AB12");
    let Some(Event::Asset(AssetChange::Put { id, body, .. })) = event else { panic!("{event:?}") };
    assert_eq!((&*id, body.as_str()), ("id 1", "<Part>\n|num|1\n\n</Part>"));
    assert_eq!(bench.values(&["|num|1"]).len(), 1);
}

#[test]
fn text_may_come_in_many_lines_too() {
    let mut bench = Bench::new(Settings::default());
    let values = bench.values(&["|text|--multiline--1", "one", "two", "--multiline--1"]);
    assert_eq!(values, [(1, Value::text("one\ntwo"))]);
}

#[test]
fn a_body_over_the_cap_is_thrown_away_to_its_end() {
    let mut bench = Bench::new(Settings { max_body_length: 20, ..Settings::default() });
    bench.line("|@ASSET@|1|Part|--multiline--A");
    for _ in 0..4 {
        assert_eq!(bench.line("|num|5678"), None);
    }
    assert_eq!(bench.line("--multiline--A"), None);
    assert_eq!(bench.faults.of(Fault::Oversized), 1);
    assert_eq!(bench.values(&["|num|1"]), [(0, Value::Number(1.0))]);
}

#[test]
fn a_body_that_never_ends_does_not_silence_its_source() {
    let mut bench = Bench::new(Settings { max_body_length: 20, ..Settings::default() });
    bench.line("|@ASSET@|1|Part|--multiline--A");
    for _ in 0..100 {
        bench.line("|num|1");
    }
    assert_eq!(bench.faults.of(Fault::Oversized), 1);
    assert!(bench.readings.len() > 80);
}

#[test]
fn a_new_connection_forgets_a_body_that_did_not_end() {
    let mut bench = Bench::new(Settings::default());
    bench.line("|@ASSET@|1|Part|--multiline--A");
    bench.decoder.start(ARRIVAL);
    assert_eq!(bench.values(&["|num|1"]).len(), 1);
}

#[test]
fn assets_are_updated_and_removed() {
    let mut bench = Bench::new(Settings::default());
    let event = bench.line("|@UPDATE_ASSET@|7|ToolLife|5|<Length code=\"x\">3</Length>");
    let Some(Event::Asset(AssetChange::Update { id, changes, .. })) = event else { panic!("{event:?}") };
    assert_eq!(&*id, "7");
    assert_eq!(
        changes,
        [("ToolLife".into(), "5".into()), ("Length".into(), "<Length code=\"x\">3</Length>".into())]
    );
    let event = bench.line("|@REMOVE_ASSET@|@7");
    let Some(Event::Asset(AssetChange::Remove { id, .. })) = event else { panic!("{event:?}") };
    assert_eq!(&*id, "mill-uuid7");
    for (line, expected) in [("|@REMOVE_ALL_ASSETS@|Part", "Part"), ("|@REMOVE_ALL_ASSETS@", "")] {
        let event = bench.line(line);
        let Some(Event::Asset(AssetChange::RemoveAll { asset_type, .. })) = event else {
            panic!("{event:?}")
        };
        assert_eq!(&*asset_type, expected);
    }
}

#[test]
fn a_line_about_assets_that_lacks_something_is_malformed() {
    let mut bench = Bench::new(Settings::default());
    for line in [
        "|@ASSET@|1|Part",
        "|@ASSET@|1||<a/>",
        "|@ASSET@||Part|<a/>",
        "|@ASSET@|1|Part|text",
        "|@REMOVE_ASSET@|",
        "|@UPDATE_ASSET@|1",
        "|@UPDATE_ASSET@|1|a",
        "|@FLY_ASSET@|1",
    ] {
        assert_eq!(bench.line(line), None, "{line}");
    }
    assert_eq!(bench.faults.of(Fault::Malformed), 8);
}

#[test]
fn what_is_not_utf8_is_read_as_latin1_and_counted() {
    let mut bench = Bench::new(Settings::default());
    bench.bytes(b"|text|Spindel l\xE4uft");
    assert_eq!(bench.faults.of(Fault::Malformed), 1);
    assert_eq!(bench.values(&[]), [(1, Value::text("Spindel läuft"))]);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_line() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.values(&[&format!("\u{FEFF}{T}|num|1")]).len(), 1);
    assert_eq!(bench.faults, Tally::default());
}
