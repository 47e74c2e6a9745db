//! The stages together, on models read from XML.

use super::*;
use crate::device_model::{Options, SchemaVersion};
use guideway_contract::{Cell, Condition, DataSet, Entry, Level, Shape, TimeSeries};

const ITEMS: &str = r#"
<DataItem category="EVENT" id="avail" type="AVAILABILITY"/>
<DataItem category="SAMPLE" id="xpos" name="Xpos" type="POSITION" units="MILLIMETER" nativeUnits="INCH"><Source>Xabs</Source></DataItem>
<DataItem category="SAMPLE" id="xload" name="Xload" type="LOAD" units="PERCENT"><Filters><Filter type="MINIMUM_DELTA">5</Filter></Filters></DataItem>
<DataItem category="SAMPLE" id="temp" type="TEMPERATURE" units="CELSIUS"><Filters><Filter type="PERIOD">1</Filter></Filters></DataItem>
<DataItem category="SAMPLE" id="odd" type="POSITION" units="MILLIMETER" nativeUnits="FURLONG"/>
<DataItem category="SAMPLE" id="scaled" type="POSITION" units="MILLIMETER" nativeScale="10"/>
<DataItem category="SAMPLE" id="path" type="PATH_POSITION" units="MILLIMETER_3D" nativeUnits="INCH_3D"/>
<DataItem category="SAMPLE" id="wave" type="AMPERAGE" units="AMPERE" representation="TIME_SERIES" sampleRate="10"/>
<DataItem category="EVENT" id="exec" name="execution" type="EXECUTION"/>
<DataItem category="EVENT" id="prog" name="program" type="PROGRAM"/>
<DataItem category="EVENT" id="each" type="TOOL_ID" discrete="true"/>
<DataItem category="EVENT" id="const" type="ROTARY_MODE"><Constraints><Value>SPINDLE</Value></Constraints></DataItem>
<DataItem category="EVENT" id="mode" type="ROTARY_MODE"><Constraints><Value>SPINDLE</Value><Value>INDEX</Value></Constraints></DataItem>
<DataItem category="EVENT" id="count" type="PART_COUNT"><InitialValue>0</InitialValue><ResetTrigger>DAY</ResetTrigger></DataItem>
<DataItem category="SAMPLE" id="bounded" type="PRESSURE" units="PASCAL"><Constraints><Minimum>0</Minimum><Maximum>10</Maximum></Constraints></DataItem>
<DataItem category="EVENT" id="vars" type="VARIABLE" representation="DATA_SET"/>
<DataItem category="EVENT" id="vendor" type="x:GRIP"/>
<DataItem category="CONDITION" id="cond" type="SYSTEM"/>
"#;

fn device(number: u8, items: &str) -> String {
    let items = items.replace("id=\"", &format!("id=\"d{number}_"));
    format!(
        "<Device id=\"d{number}\" name=\"M{number}\" uuid=\"uuid-{number}\"><DataItems>{items}</DataItems></Device>"
    )
}

fn model(devices: &[String]) -> Arc<DeviceModel> {
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.7\" xmlns:x=\"urn:x\"><Devices>{}</Devices></MTConnectDevices>",
        devices.concat()
    );
    let options =
        Options { agent_device: false, schema_version: Some(SchemaVersion::NEWEST), ..Options::default() };
    Arc::new(DeviceModel::from_xml(&[("test.xml".into(), xml)], &options, None).expect("a model"))
}

fn rules(model: &DeviceModel, devices: &[&str]) -> AdapterRules {
    let devices = devices.iter().map(|name| model.find_device(name).expect("there").index).collect();
    AdapterRules { devices, upcase: true, convert: true, filter_duplicates: true, auto_available: true }
}

/// A pipeline with what came out of it.
struct Rig {
    pipeline: Pipeline,
    now: Timestamp,
    out: Vec<Observation>,
}

impl Rig {
    /// One machine, one adapter, all values UNAVAILABLE.
    fn new() -> Self {
        let model = model(&[device(1, ITEMS)]);
        let rules = rules(&model, &["M1"]);
        Self::with(model, vec![rules])
    }

    fn with(model: Arc<DeviceModel>, rules: Vec<AdapterRules>) -> Self {
        let mut rig = Self { pipeline: Pipeline::new(model, rules), now: at(0), out: Vec::new() };
        rig.pipeline.initial(rig.now, &mut rig.out);
        rig.out.clear();
        rig
    }

    fn send_from(&mut self, adapter: u16, key: &str, value: Value, time: Timestamp, quality: Quality) {
        let (scope, key) = key.split_once(':').unwrap_or(("M1", key));
        let adapter = AdapterId(adapter);
        let points = self.pipeline.routes_by_key(adapter).points;
        let scope = points.scope(scope).expect("a device");
        let point = points.find(scope, key).unwrap_or_else(|| panic!("{key} is there")).id;
        let batch = Batch { arrival: self.now, readings: vec![Reading { point, value, time, quality }] };
        self.pipeline.readings(adapter, batch, &mut self.out);
    }

    /// What comes out when that goes in.
    fn send(&mut self, key: &str, value: impl Into<Input>) -> Vec<Value> {
        self.send_from(0, key, value.into().0, self.now, Quality::Good);
        self.values()
    }

    fn values(&mut self) -> Vec<Value> {
        self.out.drain(..).map(|observation| observation.value).collect()
    }

    /// What came out, with the items' ids.
    fn named(&mut self) -> Vec<(String, Value)> {
        let model = self.pipeline.model.clone();
        self.out.drain(..).map(|o| (model.item(o.item).id.to_string(), o.value)).collect()
    }

    fn count(&self, reason: Reason) -> u64 {
        self.pipeline.counters().total(reason)
    }

    fn item(&self, id: &str) -> ItemIndex {
        self.pipeline.model.find_item(id).expect("an item").index
    }
}

struct Input(Value);

impl From<f64> for Input {
    fn from(number: f64) -> Self {
        Self(Value::Number(number))
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self(Value::text(text))
    }
}

impl From<Value> for Input {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000, 3)
}

fn condition(level: Level, code: &str) -> Value {
    Value::Condition(Arc::new(Condition {
        level,
        native_code: code.into(),
        native_severity: "".into(),
        qualifier: None,
        message: "m".into(),
        condition_id: "".into(),
    }))
}

fn set(reset: Option<&str>, entries: &[(&str, i64)]) -> Value {
    let entry = |(key, number): &(&str, i64)| Entry { key: (*key).into(), cell: Cell::Integer(*number) };
    Value::DataSet(Arc::new(DataSet::new(reset.map(Into::into), entries.iter().map(entry).collect())))
}

fn unavailable() -> Vec<Value> {
    vec![Value::Unavailable]
}

#[test]
fn a_point_is_found_by_id_name_and_source_within_its_device() {
    let model = model(&[device(1, ITEMS), device(2, ITEMS)]);
    let pipeline = Pipeline::new(model.clone(), vec![rules(&model, &["M1", "M2"])]);
    let routes = pipeline.routes_by_key(AdapterId(0));
    let item_of = |scope: &str, key: &str| {
        let found = routes.points.find(routes.points.scope(scope)?, key)?;
        Some((model.item(routes.items[found.id.index()]).id.clone(), found.shape))
    };
    for key in ["d1_xpos", "Xpos", "Xabs"] {
        assert_eq!(item_of("M1", key), Some(("d1_xpos".into(), Shape::Number)));
    }
    for scope in ["M2", "uuid-2", "d2"] {
        assert_eq!(item_of(scope, "Xpos"), Some(("d2_xpos".into(), Shape::Number)));
    }
    assert_eq!(item_of("M1", "d2_xpos"), None);
    assert_eq!(routes.points.default_scope(), routes.points.scope("M1"));
    assert_eq!(item_of("M1", "d1_cond").map(|found| found.1), Some(Shape::Condition));
    assert_eq!(item_of("M1", "d1_vars").map(|found| found.1), Some(Shape::DataSet));
}

#[test]
fn a_point_tells_what_can_be_reset_and_a_device_its_uuid() {
    let model = model(&[device(1, ITEMS)]);
    let routes = Pipeline::new(model.clone(), vec![rules(&model, &["M1"])]).routes_by_key(AdapterId(0));
    let scope = routes.points.default_scope().expect("a device");
    let resets = |key| routes.points.find(scope, key).map(|point| point.resets);
    assert_eq!((resets("d1_count"), resets("d1_prog")), (Some(true), Some(false)));
    assert_eq!(routes.points.uuid(scope), Some("uuid-1"));
}

#[test]
fn an_id_goes_before_a_name_and_a_name_before_a_source() {
    let items = r#"
        <DataItem category="EVENT" id="s" type="BLOCK"><Source>d1_one</Source></DataItem>
        <DataItem category="EVENT" id="n" type="LINE" name="d1_one"/>
        <DataItem category="EVENT" id="one" type="PROGRAM"/>
        <DataItem category="EVENT" id="t" type="TOOL_ID"><Source>two</Source></DataItem>
        <DataItem category="EVENT" id="u" type="TOOL_ASSET_ID" name="two"/>"#;
    let model = model(&[device(1, items)]);
    let pipeline = Pipeline::new(model.clone(), vec![rules(&model, &["M1"])]);
    let routes = pipeline.routes_by_key(AdapterId(0));
    let id_of = |key: &str| {
        let point = routes.points.find(routes.points.default_scope()?, key)?;
        Some(model.item(routes.items[point.id.index()]).id.to_string())
    };
    assert_eq!(id_of("d1_one").as_deref(), Some("d1_one"));
    assert_eq!(id_of("two").as_deref(), Some("d1_u"));
}

#[test]
fn at_first_every_item_is_unavailable_but_for_constants_and_initial_values() {
    let model = model(&[device(1, ITEMS)]);
    let mut pipeline = Pipeline::new(model.clone(), vec![rules(&model, &["M1"])]);
    let mut out = Vec::new();
    pipeline.initial(at(5), &mut out);
    assert_eq!(out.len(), model.items().len());
    for observation in &out {
        let expected = match model.item(observation.item).id.as_str() {
            "d1_const" => Value::text("SPINDLE"),
            "d1_count" => pipeline.plans[observation.item.index()].initial.clone(),
            _ => Value::Unavailable,
        };
        assert_eq!((&observation.value, observation.time()), (&expected, at(5)));
    }
    out.clear();
    pipeline.initial(at(6), &mut out);
    assert_eq!(out, []);
}

#[test]
fn a_constant_is_never_changed_by_a_reading_or_a_loss() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("d1_const", "INDEX"), []);
    rig.pipeline.disconnected(AdapterId(0), at(1), &mut rig.out);
    assert_eq!(rig.values(), []);
    assert_eq!(rig.count(Reason::Fixed), 1);
}

#[test]
fn values_are_converted_to_the_items_units() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("Xpos", 2.0), [Value::Number(50.8)]);
    assert_eq!(rig.send("d1_scaled", 25.0), [Value::Number(2.5)]);
    assert_eq!(rig.send("d1_path", "1 2 0"), [Value::Vector3(Arc::new([25.4, 50.8, 0.0]))]);
    assert_eq!(rig.count(Reason::Converted), 3);
}

#[test]
fn an_adapter_whose_values_need_no_conversion_is_taken_at_its_word() {
    let mut rig = Rig::new();
    rig.pipeline.set_convert(AdapterId(0), false);
    assert_eq!(rig.send("Xpos", 2.0), [Value::Number(2.0)]);
    assert_eq!(rig.send("d1_scaled", 25.0), [Value::Number(25.0)]);
}

#[test]
fn units_that_do_not_convert_are_passed_on_and_counted() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("d1_odd", 2.0), [Value::Number(2.0)]);
    assert_eq!((rig.count(Reason::Inconvertible), rig.count(Reason::Converted)), (1, 0));
}

#[test]
fn a_calibration_takes_the_place_of_the_units() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("Xpos", 2.0), [Value::Number(50.8)]);
    let (done, refused) = rig.pipeline.calibration(AdapterId(0), "", "Xpos|0.5|10|nothing|1|0|Xload|x|0");
    assert_eq!((done, refused), (1, vec!["nothing".to_owned(), "Xload|x|0".to_owned()]));
    assert_eq!(rig.send("Xpos", 2.0), [Value::Number(6.0)]);
    rig.pipeline.calibrate(rig.item("d1_xpos"), 0.0, 0.0);
    assert_eq!(rig.send("Xpos", 4.0), [Value::Number(7.0)]);
}

#[test]
fn a_value_in_other_units_is_news_even_if_the_number_is_the_same() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("Xpos", 1.0), [Value::Number(25.4)]);
    rig.pipeline.calibrate(rig.item("d1_xpos"), 1.0, 0.0);
    assert_eq!(rig.send("Xpos", 25.4), [Value::Number(25.4)]);
    assert_eq!(rig.send("Xpos", 25.4), []);
}

#[test]
fn a_number_that_does_not_parse_is_unavailable_and_counted() {
    let mut rig = Rig::new();
    for text in ["12abc", "", "nan", "1,5"] {
        assert_eq!(rig.send("Xpos", 1.0), [Value::Number(25.4)], "{text}");
        assert_eq!(rig.send("Xpos", text), unavailable(), "{text}");
    }
    assert_eq!(rig.count(Reason::Rejected), 4);
    let example = rig.pipeline.counters().adapter(AdapterId(0)).map(|tally| tally.examples());
    assert!(example.is_some_and(|examples| examples[&Reason::Rejected].starts_with("d1_xpos: ")));
}

#[test]
fn events_become_upper_case_and_conditions_do_not() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("execution", "Active"), [Value::text("ACTIVE")]);
    assert_eq!(rig.count(Reason::Upcased), 1);
    assert_eq!(rig.send("d1_cond", condition(Level::Fault, "e1")), [condition(Level::Fault, "e1")]);
    let model = rig.pipeline.model.clone();
    let mut as_is = rules(&model, &["M1"]);
    as_is.upcase = false;
    let mut rig = Rig::with(model, vec![as_is]);
    assert_eq!(rig.send("program", "o1234.nc"), [Value::text("o1234.nc")]);
}

#[test]
fn characters_that_documents_cannot_carry_are_replaced_and_counted() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("program", "O1\u{0}"), [Value::text("O1\u{FFFD}")]);
    assert_eq!(rig.count(Reason::Characters), 1);
}

#[test]
fn the_same_value_again_is_a_duplicate_but_for_discrete_items() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("Xpos", 1.0).len(), 1);
    assert_eq!(rig.send("Xpos", 1.0).len(), 0);
    assert_eq!(rig.send("program", "A").len(), 1);
    assert_eq!(rig.send("program", "a").len(), 0, "compared after upper case");
    assert_eq!(rig.send("d1_each", "5").len(), 1);
    assert_eq!(rig.send("d1_each", "5").len(), 1);
    assert_eq!(rig.send("d1_each", "unavailable").len(), 1);
    assert_eq!(rig.send("d1_each", "UNAVAILABLE").len(), 0);
    assert_eq!(rig.count(Reason::Duplicate), 3);
}

#[test]
fn without_the_duplicate_filter_everything_is_passed_on() {
    let model = model(&[device(1, ITEMS)]);
    let mut all = rules(&model, &["M1"]);
    all.filter_duplicates = false;
    let mut rig = Rig::with(model, vec![all]);
    for value in [Value::Number(1.0), Value::Number(1.0), Value::Unavailable, Value::Unavailable] {
        assert_eq!(rig.send("Xpos", value).len(), 1);
    }
    for _ in 0..2 {
        assert_eq!(rig.send("d1_cond", condition(Level::Fault, "1")).len(), 1);
        assert_eq!(rig.send("d1_vars", set(None, &[("a", 1)])), [set(None, &[("a", 1)])]);
    }
}

#[test]
fn a_change_of_quality_is_news() {
    let mut rig = Rig::new();
    rig.send("Xpos", 1.0);
    rig.send_from(0, "Xpos", Value::Number(1.0), at(1), Quality::Uncertain);
    assert_eq!(rig.out.iter().map(|o| o.quality).collect::<Vec<_>>(), [Quality::Uncertain]);
    rig.out.clear();
    rig.send_from(0, "Xpos", Value::Number(1.0), at(2), Quality::Bad);
    assert_eq!(rig.out.len(), 1);
    assert_eq!((rig.out[0].quality, &rig.out[0].value), (Quality::Bad, &Value::Unavailable));
}

#[test]
fn the_delta_filter_compares_with_the_last_value_sent() {
    let mut rig = Rig::new();
    let sent: Vec<_> =
        [10.0, 14.9, 5.1, 15.0, 19.9, 20.1].iter().flat_map(|number| rig.send("Xload", *number)).collect();
    assert_eq!(sent, [Value::Number(10.0), Value::Number(15.0), Value::Number(20.1)]);
    assert_eq!(rig.count(Reason::Delta), 3);
}

#[test]
fn unavailable_passes_the_delta_filter_and_resets_it() {
    let mut rig = Rig::new();
    rig.send("Xload", 10.0);
    assert_eq!(rig.send("Xload", Value::Unavailable), unavailable());
    assert_eq!(rig.send("Xload", 10.5), [Value::Number(10.5)]);
}

#[test]
fn the_period_filter_holds_until_the_tick_and_keeps_the_time_of_the_value() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("d1_temp", 20.0), [Value::Number(20.0)]);
    rig.send_from(0, "d1_temp", Value::Number(21.0), at(0).shifted(250_000_000), Quality::Good);
    assert_eq!(rig.values(), []);
    assert_eq!(rig.pipeline.due(), Some(at(0).shifted(750_000_000)));
    rig.pipeline.tick(at(1), &mut rig.out);
    assert_eq!(rig.out.len(), 1);
    assert_eq!(rig.out[0].time(), at(0).shifted(250_000_000));
    assert_eq!((rig.count(Reason::Held), rig.pipeline.due()), (1, None));
}

#[test]
fn what_a_period_filter_holds_goes_before_the_loss_of_its_adapter() {
    let mut rig = Rig::new();
    rig.send("d1_temp", 20.0);
    assert_eq!(rig.send("d1_temp", 21.0), []);
    rig.pipeline.disconnected(AdapterId(0), at(9), &mut rig.out);
    assert_eq!(rig.values(), [Value::Number(21.0), Value::Unavailable]);
}

#[test]
fn an_identical_condition_is_a_duplicate_and_a_normal_with_its_code_ends_it() {
    let mut rig = Rig::new();
    let (fault, end) = (condition(Level::Fault, "1"), condition(Level::Normal, "1"));
    assert_eq!(rig.send("d1_cond", fault.clone()).len(), 1);
    assert_eq!(rig.send("d1_cond", fault.clone()).len(), 0);
    assert_eq!(rig.send("d1_cond", condition(Level::Warning, "2")).len(), 1);
    assert_eq!(rig.send("d1_cond", fault).len(), 0);
    assert_eq!(rig.send("d1_cond", end.clone()), std::slice::from_ref(&end));
    assert_eq!(rig.send("d1_cond", end).len(), 0);
    assert_eq!(rig.send("d1_cond", condition_chain::normal()).len(), 1);
    assert_eq!(rig.send("d1_cond", condition_chain::normal()).len(), 0);
    assert_eq!(rig.send("d1_cond", "nonsense"), unavailable());
}

#[test]
fn a_period_filter_never_holds_a_condition() {
    let filtered = r#"<DataItem category="CONDITION" id="cond" type="SYSTEM"><Filters><Filter type="PERIOD">9</Filter></Filters></DataItem>"#;
    let model = model(&[device(1, filtered)]);
    let rules = rules(&model, &["M1"]);
    let mut rig = Rig::with(model, vec![rules]);
    for code in ["1", "2", "3"] {
        assert_eq!(rig.send("d1_cond", condition(Level::Fault, code)).len(), 1);
    }
}

#[test]
fn of_a_data_set_only_the_changed_keys_are_passed_on() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("d1_vars", set(None, &[("a", 1), ("b", 2)])), [set(None, &[("a", 1), ("b", 2)])]);
    assert_eq!(rig.send("d1_vars", set(None, &[("a", 1), ("b", 3)])), [set(None, &[("b", 3)])]);
    assert_eq!(rig.send("d1_vars", set(None, &[("b", 3)])), []);
    assert_eq!(rig.send("d1_vars", set(Some("MANUAL"), &[("b", 3)])), [set(Some("MANUAL"), &[("b", 3)])]);
    assert_eq!(rig.send("d1_vars", set(None, &[("a", 1)])), [set(None, &[("a", 1)])]);
    rig.send("d1_vars", Value::Unavailable);
    assert_eq!(rig.send("d1_vars", set(None, &[("a", 1)])), [set(None, &[("a", 1)])]);
}

#[test]
fn two_time_series_that_look_alike_are_two_unless_one_was_sent_twice() {
    let mut rig = Rig::new();
    let series = || Value::TimeSeries(Arc::new(TimeSeries { rate: None, values: vec![1.0, 2.0] }));
    for (second, passes) in [(1, true), (2, true), (2, false)] {
        rig.send_from(0, "d1_wave", series(), at(second), Quality::Good);
        assert_eq!(rig.values().len(), usize::from(passes));
    }
}

#[test]
fn a_reset_is_an_occurrence_of_its_own() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("d1_count", "0").len(), 0, "the initial value");
    let reset = rig.send("d1_count", "0:DAY");
    assert_eq!(reset.iter().map(Value::reset_triggered).collect::<Vec<_>>(), [Some("DAY")]);
    assert_eq!(rig.send("d1_count", "0:DAY").len(), 1);
    assert_eq!(rig.send("d1_count", "0").len(), 0);
    assert_eq!(rig.send("d1_count", "1").len(), 1);
}

#[test]
fn values_outside_the_vocabulary_or_the_constraints_are_marked_and_passed_on() {
    let mut rig = Rig::new();
    let mut validity = |key: &str, value: Value| {
        rig.send_from(0, key, value, at(1), Quality::Good);
        rig.out.drain(..).map(|o| o.validity).next()
    };
    assert_eq!(validity("d1_avail", Value::text("MAYBE")), Some(Validity::Invalid));
    assert_eq!(validity("d1_avail", Value::text("AVAILABLE")), Some(Validity::Valid));
    assert_eq!(validity("d1_mode", Value::text("INDEX")), Some(Validity::Valid));
    assert_eq!(validity("d1_mode", Value::text("CONTOUR")), Some(Validity::Invalid));
    assert_eq!(validity("d1_bounded", Value::Number(10.0)), Some(Validity::Valid));
    assert_eq!(validity("d1_bounded", Value::Number(10.1)), Some(Validity::Invalid));
    assert_eq!(validity("d1_exec", Value::text("ACTIVE")), Some(Validity::Valid));
    assert_eq!(validity("d1_exec", Value::text("RUNNING")), Some(Validity::Invalid));
    assert_eq!(validity("d1_count", Value::text("many")), Some(Validity::Invalid));
    assert_eq!(validity("d1_count", Value::text("12")), Some(Validity::Valid));
    assert_eq!(validity("d1_vendor", Value::text("OPEN")), Some(Validity::Unverifiable));
    assert_eq!(validity("d1_prog", Value::text("anything")), Some(Validity::Valid));
    assert_eq!(validity("d1_mode", Value::Unavailable), Some(Validity::Valid));
    assert_eq!((rig.count(Reason::Invalid), rig.count(Reason::Unverifiable)), (5, 1));
}

#[test]
fn an_empty_text_is_a_text_only_where_any_text_is_allowed() {
    let mut rig = Rig::new();
    assert_eq!(rig.send("program", ""), [Value::text("")]);
    rig.send("d1_mode", "INDEX");
    assert_eq!(rig.send("d1_mode", ""), unavailable());
}

#[test]
fn what_came_from_a_lost_adapter_is_unavailable_and_nothing_else() {
    let model = model(&[device(1, ITEMS)]);
    let both = vec![rules(&model, &["M1"]), rules(&model, &["M1"])];
    let mut rig = Rig::with(model, both);
    rig.send("Xpos", 1.0);
    rig.send("execution", "READY");
    rig.send("d1_cond", condition(Level::Fault, "1"));
    rig.send_from(1, "execution", Value::text("READY"), at(2), Quality::Good);
    rig.send_from(1, "program", Value::text("P"), at(2), Quality::Good);
    rig.out.clear();
    rig.pipeline.disconnected(AdapterId(0), at(3), &mut rig.out);
    assert!(rig.out.iter().all(|o| o.time() == at(3)));
    assert_eq!(
        rig.named(),
        [("d1_xpos".to_owned(), Value::Unavailable), ("d1_cond".to_owned(), Value::Unavailable)]
    );
    rig.pipeline.disconnected(AdapterId(0), at(4), &mut rig.out);
    assert_eq!(rig.named(), []);
    assert_eq!(rig.count(Reason::Lost), 2);
}

#[test]
fn availability_follows_the_connections_of_the_device() {
    let model = model(&[device(1, ITEMS)]);
    let both = vec![rules(&model, &["M1"]), rules(&model, &["M1"])];
    let mut rig = Rig::with(model, both);
    let (first, second) = (AdapterId(0), AdapterId(1));
    rig.pipeline.connected(first, at(1), &mut rig.out);
    assert_eq!(rig.named(), [("d1_avail".to_owned(), Value::text("AVAILABLE"))]);
    rig.pipeline.connected(second, at(2), &mut rig.out);
    rig.pipeline.disconnected(second, at(3), &mut rig.out);
    assert_eq!(rig.named(), []);
    rig.pipeline.disconnected(first, at(4), &mut rig.out);
    assert_eq!(rig.named(), [("d1_avail".to_owned(), Value::Unavailable)]);
}

#[test]
fn without_automatic_availability_a_connection_says_nothing() {
    let model = model(&[device(1, ITEMS)]);
    let mut quiet = rules(&model, &["M1"]);
    quiet.auto_available = false;
    let mut rig = Rig::with(model, vec![quiet]);
    rig.pipeline.connected(AdapterId(0), at(1), &mut rig.out);
    rig.pipeline.disconnected(AdapterId(0), at(2), &mut rig.out);
    assert_eq!(rig.named(), []);
}

#[test]
fn what_was_restored_is_compared_with_and_lost_with_the_adapter_that_feeds_it() {
    let model = model(&[device(1, ITEMS)]);
    let rules = rules(&model, &["M1"]);
    let mut rig = Rig { pipeline: Pipeline::new(model, vec![rules]), now: at(0), out: Vec::new() };
    let (x, cond, program) = (rig.item("d1_xpos"), rig.item("d1_cond"), rig.item("d1_prog"));
    rig.pipeline.restore(x, &[Value::Number(25.4)]);
    rig.pipeline.restore(cond, &[condition(Level::Fault, "1"), condition(Level::Fault, "2")]);
    rig.pipeline.restore(program, &[Value::text("P")]);
    rig.pipeline.initial(at(1), &mut rig.out);
    assert!(rig.out.iter().all(|o| ![x, cond, program].contains(&o.item)));
    rig.out.clear();
    assert_eq!(rig.send("Xpos", 1.0), []);
    assert_eq!(rig.send("d1_cond", condition(Level::Fault, "1")), []);
    rig.pipeline.disconnected(AdapterId(0), at(2), &mut rig.out);
    let lost: Vec<_> = rig.named().into_iter().map(|(id, _)| id).collect();
    assert_eq!(lost, ["d1_xpos", "d1_prog", "d1_cond"]);
}

#[test]
fn the_gateways_own_items_are_not_lost_with_an_adapter() {
    let mut rig = Rig::new();
    let item = rig.pipeline.model.device(DeviceIndex(0)).asset_count.expect("added by the model");
    let own = |value| Observation::new(item, at(1), at(1), value);
    rig.pipeline.own(own(set(None, &[("CuttingTool", 1)])), &mut rig.out);
    rig.pipeline.own(own(set(None, &[("CuttingTool", 1)])), &mut rig.out);
    assert_eq!(rig.values(), [set(None, &[("CuttingTool", 1)])]);
    rig.pipeline.disconnected(AdapterId(0), at(2), &mut rig.out);
    assert_eq!(rig.values(), []);
}

#[test]
fn times_that_go_backwards_are_kept_in_the_order_of_arrival() {
    let mut rig = Rig::new();
    for (second, number) in [(50, 1.0), (10, 2.0), (30, 3.0)] {
        rig.send_from(0, "Xpos", Value::Number(number), at(second), Quality::Good);
    }
    assert_eq!(rig.out.iter().map(Observation::time).collect::<Vec<_>>(), [at(50), at(10), at(30)]);
}

#[test]
fn a_reading_of_no_point_is_counted() {
    let mut rig = Rig::new();
    let point = guideway_contract::PointId(9_999);
    let reading = Reading { point, value: Value::Number(1.0), time: at(0), quality: Quality::Good };
    rig.pipeline.readings(AdapterId(0), Batch { arrival: at(0), readings: vec![reading] }, &mut rig.out);
    assert_eq!((rig.out.len(), rig.count(Reason::Unrouted)), (0, 1));
}

#[test]
fn a_changed_model_keeps_what_is_known_and_the_numbers_of_points() {
    let mut rig = Rig::new();
    rig.send("Xpos", 1.0);
    rig.pipeline.calibrate(rig.item("d1_xload"), 2.0, 0.0);
    let before = rig.pipeline.routes_by_key(AdapterId(0));
    let more = format!("{ITEMS}<DataItem category=\"EVENT\" id=\"late\" type=\"LINE_LABEL\"/>");
    let text = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.7\" xmlns:x=\"urn:x\"><Devices>{}</Devices></MTConnectDevices>",
        device(1, &more)
    );
    let grown =
        rig.pipeline.model.with_device_xml(std::path::Path::new("test.xml"), &text).expect("a model").0;
    rig.pipeline.change_model(Arc::new(grown));
    rig.pipeline.initial(at(9), &mut rig.out);
    assert_eq!(rig.named(), [("d1_late".to_owned(), Value::Unavailable)]);
    let after = rig.pipeline.routes_by_key(AdapterId(0));
    assert_eq!(after.items[..before.items.len()], before.items[..]);
    assert_eq!(rig.send("Xpos", 1.0), []);
    assert_eq!(rig.send("Xload", 10.0), [Value::Number(20.0)]);
    assert_eq!(rig.send("d1_late", "N10"), [Value::text("N10")]);
}

#[test]
fn everything_that_goes_in_is_counted_once_on_its_way_out() {
    let mut rig = Rig::new();
    let before = rig.count(Reason::Observed);
    for number in [1.0, 1.0, 2.0, 3.0, 3.0] {
        rig.send("Xpos", number);
    }
    assert_eq!(rig.count(Reason::Observed) - before, 3);
    assert_eq!(rig.count(Reason::Duplicate), 2);
}
