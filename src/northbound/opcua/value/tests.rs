//! Every representation, as a client decodes it.

use std::io::Cursor;

use guideway_contract::{
    Annotated, AssetEvent, Cell, Condition, DataSet, Entry, ItemIndex, Level, Message, Validity,
};
use opcua_server::address_space::AddressSpace;
use opcua_types::custom::{
    DataTypeTree, DynamicStructure, DynamicTypeLoader, EncodingIds, GenericTypeInfo, ParentIds, TypeInfo,
};
use opcua_types::{
    BinaryDecodable, BinaryEncodable, ContextOwned, DataTypeDefinition, DataTypeId, DecodingOptions,
    KeyValuePair, NamespaceMap, StructureDefinition, StructureField, StructureType, TypeLoaderCollection,
};

use super::*;

const MTCONNECT: u16 = 2;
const MACHINES: u16 = 3;

fn node(name: &str) -> NodeId {
    NodeId::new(MACHINES, name)
}

fn binding(shape: Shape) -> Binding {
    Binding {
        node: node("mill/x"),
        device: node("mill"),
        notifiers: [node("mill")].into(),
        source_name: "X".into(),
        data_item_id: "x".into(),
        type_name: "X".into(),
        sub_type_name: "".into(),
        shape,
        duration: None,
        reset_reason: None,
        extra: Vec::new(),
    }
}

fn vocabulary(words: &[&str]) -> Shape {
    let words: Vec<SmolStr> = words.iter().map(SmolStr::new).collect();
    Shape::Vocabulary { words: words.into(), as_text: node("mill/x/ValueAsText") }
}

fn types() -> Types {
    Types::load(&mut AddressSpace::new(), MTCONNECT)
}

fn observation(value: Value) -> Observation {
    let time = Timestamp::parse("2026-11-22T18:45:12.123456789Z").expect("a timestamp");
    Observation::new(ItemIndex(0), time, time.shifted(1_000_000), value)
}

/// What arrives at a client that has read the DataTypeDefinitions of the companion specification.
fn shown(binding: &Binding, observation: &Observation) -> Vec<(NodeId, DataValue)> {
    let context = client();
    let mut all = Vec::new();
    values(binding, observation, &types(), &mut |node, value| {
        let bytes = value.encode_to_vec(&context.context());
        assert_eq!(bytes.len(), value.byte_len(&context.context()), "the length is told before");
        let mut cursor = Cursor::new(bytes);
        let decoded = DataValue::decode(&mut cursor, &context.context()).expect("what was encoded");
        assert_eq!(cursor.position() as usize, cursor.get_ref().len(), "nothing is left over");
        all.push((node.clone(), decoded));
    });
    all
}

fn only(shape: Shape, value: Value) -> DataValue {
    let mut all = shown(&binding(shape), &observation(value));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0, node("mill/x"));
    all.remove(0).1
}

fn client() -> ContextOwned {
    let mut tree = DataTypeTree::new(ParentIds::new());
    for id in [DataTypeId::Double, DataTypeId::String] {
        tree.add_type(id.into(), GenericTypeInfo::new(false));
    }
    let plain = StructureType::Structure;
    let optional = StructureType::StructureWithOptionalFields;
    let (double, text) = (DataTypeId::Double, DataTypeId::String);
    for (id, encoding, kind, fields) in [
        (2_637, 2_909, plain, [("X", double, false), ("Y", double, false), ("Z", double, false)].as_slice()),
        (2_653, 2_903, optional, &[("NativeCode", text, true), ("Text", text, false)]),
        (2_618, 2_745, plain, &[("AssetId", text, false), ("AssetType", text, false)]),
    ] {
        let id = NodeId::new(MTCONNECT, id as u32);
        tree.parent_ids_mut().add_type(id.clone(), DataTypeId::Structure.into());
        let field = |(name, data_type, is_optional): &(&str, DataTypeId, bool)| StructureField {
            name: (*name).into(),
            data_type: (*data_type).into(),
            value_rank: -1,
            is_optional: *is_optional,
            ..StructureField::default()
        };
        let definition = DataTypeDefinition::Structure(StructureDefinition {
            default_encoding_id: NodeId::null(),
            base_data_type: DataTypeId::Structure.into(),
            structure_type: kind,
            fields: Some(fields.iter().map(field).collect()),
        });
        let encodings =
            EncodingIds { binary_id: NodeId::new(MTCONNECT, encoding as u32), ..EncodingIds::default() };
        let info = TypeInfo::from_type_definition(
            definition,
            "type".to_owned(),
            Some(encodings),
            false,
            &id,
            tree.parent_ids(),
        );
        tree.add_type(id, info.expect("a structure"));
    }
    let mut loaders = TypeLoaderCollection::new();
    loaders.add_type_loader(DynamicTypeLoader::new(Arc::new(tree)));
    let mut namespaces = NamespaceMap::new();
    for uri in ["urn:application", "http://opcfoundation.org/UA/MTConnect/v2/", "urn:machines"] {
        namespaces.add_namespace(uri);
    }
    ContextOwned::new(namespaces, loaders, DecodingOptions::default())
}

fn fields(value: &DataValue) -> Vec<Variant> {
    let Some(Variant::ExtensionObject(object)) = &value.value else { panic!("{value:?} is no structure") };
    object.inner_as::<DynamicStructure>().expect("a known type").values().to_vec()
}

fn pairs(value: &Variant) -> Vec<(String, Variant)> {
    let Variant::Array(array) = value else { panic!("{value:?} is no array") };
    let pair = |value: &Variant| {
        let Variant::ExtensionObject(object) = value else { panic!("{value:?} is no structure") };
        let pair = object.inner_as::<KeyValuePair>().expect("a KeyValuePair");
        assert_eq!(pair.key.namespace_index, MACHINES);
        (pair.key.name.to_string(), pair.value.clone())
    };
    array.values.iter().map(pair).collect()
}

#[test]
fn a_number_is_a_double_with_both_times_to_the_last_digit() {
    let value = only(Shape::Number, Value::Number(12.5));
    assert_eq!(value.value, Some(Variant::Double(12.5)));
    assert_eq!(value.status, Some(StatusCode::Good));
    let source = value.source_timestamp.expect("a source time");
    assert_eq!(source.ticks() % 10_000_000, 1_234_567);
    assert_eq!(value.source_picoseconds, Some(8_900));
    let server = value.server_timestamp.expect("a server time");
    assert_eq!(server.ticks() % 10_000_000, 1_244_567);
    assert_eq!(value.server_picoseconds, Some(8_900));
}

#[test]
fn a_text_where_the_node_is_a_number_is_read_and_what_is_no_number_is_null_and_a_type_mismatch() {
    assert_eq!(only(Shape::Number, Value::text("17")).value, Some(Variant::Double(17.0)));
    for text in ["N/A", "", "1,5", "inf"] {
        let value = only(Shape::Number, Value::text(text));
        assert_eq!((value.value, value.status), (Some(Variant::Empty), Some(StatusCode::BadTypeMismatch)));
    }
}

#[test]
fn a_text_node_shows_every_simple_value_as_mtconnect_writes_it() {
    for (value, text) in [
        (Value::text("O1000"), "O1000"),
        (Value::text(""), ""),
        (Value::Number(12.0), "12"),
        (Value::Number(-0.25), "-0.25"),
        (Value::Number(1e300), "1E+300"),
        (Value::Vector3(Arc::new([1.0, 2.5, -3.0])), "1 2.5 -3"),
    ] {
        let expected = text.replace("E+", "E");
        let shown = only(Shape::Text, value).value.map(|value| value.to_string().replace("E+", "E"));
        assert_eq!(shown.as_deref(), Some(expected.as_str()));
    }
}

#[test]
fn a_word_is_its_place_in_the_enumeration_and_its_text() {
    let shape = vocabulary(&["ACTIVE", "READY", "STOPPED"]);
    for (word, place) in [("READY", 1), ("ready", 1), ("ACTIVE", 0)] {
        let all = shown(&binding(shape.clone()), &observation(Value::text(word)));
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].0, node("mill/x"));
        assert_eq!(all[0].1.value, Some(Variant::UInt32(place)));
        assert_eq!(all[1].0, node("mill/x/ValueAsText"));
        assert_eq!(all[1].1.value, Some(Variant::from(word)));
        assert_eq!(all[1].1.source_timestamp, all[0].1.source_timestamp);
    }
}

#[test]
fn an_unknown_word_is_no_place_but_is_not_lost() {
    let mut seen = observation(Value::text("DREAMING"));
    seen.validity = Validity::Invalid;
    let all = shown(&binding(vocabulary(&["ACTIVE", "READY"])), &seen);
    assert_eq!(all[0].1.value, Some(Variant::Empty));
    assert_eq!(all[0].1.status, Some(StatusCode::BadOutOfRange));
    assert_eq!(all[1].1.value, Some(Variant::from("DREAMING")));
    assert_eq!(all[1].1.status, Some(StatusCode::Good));
}

#[test]
fn unavailable_is_null_and_not_connected_in_every_shape_and_property() {
    let shapes = [
        Shape::Number,
        Shape::Text,
        vocabulary(&["ACTIVE"]),
        Shape::ThreeSpace,
        Shape::TimeSeries { rate: Some(10.0) },
        Shape::DataSet,
        Shape::Table,
        Shape::Message,
        Shape::AssetEvent,
    ];
    for shape in shapes {
        let mut binding = binding(shape);
        binding.duration = Some(node("mill/x/Duration"));
        binding.reset_reason = Some(node("mill/x/ResetTriggeredReason"));
        let properties = if matches!(binding.shape, Shape::Vocabulary { .. }) { 3 } else { 2 };
        // A source that says Bad of what is lost says nothing new.
        for quality in [Quality::Good, Quality::Bad] {
            let mut lost = observation(Value::Unavailable);
            lost.quality = quality;
            let all = shown(&binding, &lost);
            assert_eq!(all.len(), 1 + properties);
            for (node, value) in all {
                assert_eq!(value.value, Some(Variant::Empty), "{node}");
                assert_eq!(value.status, Some(StatusCode::BadNotConnected), "{node}");
                assert!(value.source_timestamp.is_some(), "{node}");
            }
        }
    }
}

#[test]
fn the_quality_of_the_source_is_the_severity_and_what_the_vocabulary_says_is_none() {
    for (quality, status, value) in [
        (Quality::Good, StatusCode::Good, Variant::Double(1.0)),
        (Quality::Uncertain, StatusCode::Uncertain, Variant::Double(1.0)),
        (Quality::Bad, StatusCode::Bad, Variant::Empty),
    ] {
        for validity in [Validity::Valid, Validity::Invalid, Validity::Unverifiable] {
            let mut seen = observation(Value::Number(1.0));
            (seen.quality, seen.validity) = (quality, validity);
            let all = shown(&binding(Shape::Number), &seen);
            assert_eq!(all[0].1.status, Some(status));
            assert_eq!(all[0].1.value, Some(value.clone()));
        }
    }
}

#[test]
fn a_position_is_three_doubles_that_a_client_decodes_by_the_definition() {
    let value = only(Shape::ThreeSpace, Value::Vector3(Arc::new([1.0, -2.5, 3.25])));
    assert_eq!(fields(&value), [Variant::Double(1.0), Variant::Double(-2.5), Variant::Double(3.25)]);
}

#[test]
fn a_missing_axis_is_not_a_number_and_yet_equal_to_itself() {
    let at = |axes| structure::variant(MTCONNECT, Structure::ThreeSpace(axes));
    assert_eq!(at([1.0, f64::NAN, 3.0]), at([1.0, f64::NAN, 3.0]));
    assert_ne!(at([1.0, f64::NAN, 3.0]), at([1.0, 2.0, 3.0]));
}

#[test]
fn a_message_has_its_code_only_when_it_was_given() {
    let message = |code: &str| {
        Value::Message(Arc::new(Message { native_code: code.into(), text: "change filter".into() }))
    };
    let value = only(Shape::Message, message("M17"));
    assert_eq!(fields(&value), [Variant::from("M17"), Variant::from("change filter")]);
    let value = only(Shape::Message, message(""));
    assert_eq!(fields(&value), [Variant::Empty, Variant::from("change filter")]);
    let value = only(Shape::Message, Value::text("plain"));
    assert_eq!(fields(&value), [Variant::Empty, Variant::from("plain")]);
}

#[test]
fn an_asset_event_is_the_id_and_the_type() {
    let event = AssetEvent { asset_type: "CuttingTool".into(), asset_id: "T17".into() };
    let value = only(Shape::AssetEvent, Value::AssetEvent(Arc::new(event)));
    assert_eq!(fields(&value), [Variant::from("T17"), Variant::from("CuttingTool")]);
}

#[test]
fn a_data_set_is_its_keys_with_their_values_and_what_was_removed_is_not_there() {
    let entry = |key: &str, cell| Entry { key: key.into(), cell };
    let large = i64::MAX - 1;
    let set = DataSet::new(
        None,
        vec![
            entry("a", Cell::Integer(7)),
            entry("b", Cell::Number(0.5)),
            entry("c", Cell::Text("on".into())),
            entry("d", Cell::Removed),
            entry("e", Cell::Integer(large)),
        ],
    );
    let value = only(Shape::DataSet, Value::DataSet(Arc::new(set)));
    let expected = [
        ("a", Variant::Double(7.0)),
        ("b", Variant::Double(0.5)),
        ("c", Variant::from("on")),
        ("e", Variant::Int64(large)),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(pairs(&value.value.expect("a value")), expected);
}

#[test]
fn an_empty_data_set_is_an_empty_array_and_not_null() {
    let value = only(Shape::DataSet, Value::DataSet(Arc::default()));
    assert_eq!(pairs(&value.value.expect("a value")), []);
}

#[test]
fn a_table_has_the_cells_of_each_row_under_its_key() {
    let cell = |key: &str, cell| Entry { key: key.into(), cell };
    let row = Cell::Row(vec![cell("X", Cell::Number(1.5)), cell("Y", Cell::Integer(2))]);
    let table = DataSet::new(None, vec![cell("G54", row)]);
    let value = only(Shape::Table, Value::DataSet(Arc::new(table)));
    let rows = pairs(&value.value.expect("a value"));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, "G54");
    let cells = [("X".to_owned(), Variant::Double(1.5)), ("Y".to_owned(), Variant::Double(2.0))];
    assert_eq!(pairs(&rows[0].1), cells);
}

fn series(rate: Option<f64>, values: &[f64]) -> Value {
    Value::TimeSeries(Arc::new(TimeSeries { rate, values: values.to_vec() }))
}

fn nanos_before_the_end(all: &[(NodeId, DataValue)]) -> Vec<i64> {
    let end = time::date_time(observation(Value::Unavailable).time()).ticks();
    let time = |value: &DataValue| value.source_timestamp.expect("a source time").ticks();
    all.iter().map(|(_, value)| (end - time(value)) * 100).collect()
}

#[test]
fn the_values_of_a_series_are_spread_by_its_rate_and_the_last_has_the_timestamp() {
    for (of_item, of_series) in [(None, Some(1_000.0)), (Some(1_000.0), None), (Some(7.0), Some(1_000.0))] {
        let binding = binding(Shape::TimeSeries { rate: of_item });
        let all = shown(&binding, &observation(series(of_series, &[1.0, 2.0, 3.0])));
        let numbers: Vec<_> = all.iter().map(|(_, value)| value.value.clone().expect("a value")).collect();
        assert_eq!(numbers, [Variant::Double(1.0), Variant::Double(2.0), Variant::Double(3.0)]);
        assert_eq!(nanos_before_the_end(&all), [2_000_000, 1_000_000, 0]);
        assert!(all.windows(2).all(|two| two[0].1.server_timestamp == two[1].1.server_timestamp));
    }
}

#[test]
fn a_series_without_a_sensible_rate_keeps_its_order_and_its_one_timestamp() {
    for rate in [None, Some(0.0), Some(-5.0), Some(f64::INFINITY)] {
        let all = shown(&binding(Shape::TimeSeries { rate: None }), &observation(series(rate, &[3.0, 1.0])));
        let numbers: Vec<_> = all.iter().map(|(_, value)| value.value.clone().expect("a value")).collect();
        assert_eq!(numbers, [Variant::Double(3.0), Variant::Double(1.0)]);
        assert_eq!(nanos_before_the_end(&all), [0, 0]);
    }
    let slow = Some(f64::MIN_POSITIVE);
    let all = shown(&binding(Shape::TimeSeries { rate: None }), &observation(series(slow, &[3.0, 1.0])));
    assert_eq!(all.len(), 2);
}

#[test]
fn a_series_of_no_values_says_that_there_are_none() {
    let value = only(Shape::TimeSeries { rate: None }, series(None, &[]));
    assert_eq!((value.value, value.status), (Some(Variant::Empty), Some(StatusCode::GoodNoData)));
}

fn annotated(value: Value, duration: Option<f64>, reset: Option<&str>) -> Value {
    let reset_triggered = reset.map(SmolStr::from);
    Value::Annotated(Arc::new(Annotated { value, duration, reset_triggered }))
}

#[test]
fn a_reset_sets_the_bit_on_the_value_and_names_the_reason_beside_it() {
    let mut binding = binding(Shape::Number);
    binding.reset_reason = Some(node("mill/x/ResetTriggeredReason"));
    let all = shown(&binding, &observation(annotated(Value::Number(0.0), None, Some("MANUAL"))));
    assert_eq!(all[0].1.status.map(|status| status.bits()), Some(0x4000));
    assert_eq!(all[0].1.value, Some(Variant::Double(0.0)));
    assert_eq!(all[1].0, node("mill/x/ResetTriggeredReason"));
    assert_eq!(all[1].1.value, Some(Variant::Int32(4)));
    assert_eq!(all[1].1.status, Some(StatusCode::Good));

    let all = shown(&binding, &observation(Value::Number(1.0)));
    assert_eq!(all.len(), 1, "the reason of the last reset stays");
    assert_eq!(all[0].1.status, Some(StatusCode::Good));

    let all = shown(&binding, &observation(annotated(Value::Number(0.0), None, Some("LIFE"))));
    assert_eq!(all[0].1.status.map(|status| status.bits()), Some(0x4000));
    assert_eq!(all[1].1.status, Some(StatusCode::BadOutOfRange));
}

#[test]
fn the_reset_of_a_data_set_sets_the_bit_too() {
    let set = DataSet::new(Some("DAY".into()), Vec::new());
    let value = only(Shape::DataSet, Value::DataSet(Arc::new(set)));
    assert_eq!(value.status.map(|status| status.bits()), Some(0x4000));
}

#[test]
fn a_duration_is_in_milliseconds_and_null_when_it_is_not_given() {
    let mut binding = binding(Shape::Number);
    binding.duration = Some(node("mill/x/Duration"));
    let all = shown(&binding, &observation(annotated(Value::Number(7.0), Some(2.5), None)));
    assert_eq!(all[1].0, node("mill/x/Duration"));
    assert_eq!(all[1].1.value, Some(Variant::Double(2_500.0)));
    let all = shown(&binding, &observation(Value::Number(7.0)));
    assert_eq!(all[1].1.value, Some(Variant::Empty));
    assert_eq!(all[1].1.status, Some(StatusCode::Good));
}

#[test]
fn a_condition_gives_no_value() {
    let condition = Condition {
        level: Level::Fault,
        native_code: "E1".into(),
        native_severity: "".into(),
        qualifier: None,
        message: "".into(),
        condition_id: "".into(),
    };
    for value in [Value::Condition(Arc::new(condition)), Value::Unavailable] {
        assert_eq!(shown(&binding(Shape::Condition), &observation(value)), []);
    }
}

#[test]
fn what_is_of_another_shape_is_null_and_a_type_mismatch() {
    let set = || Value::DataSet(Arc::default());
    for (shape, value) in [
        (Shape::Number, set()),
        (Shape::Text, set()),
        (Shape::ThreeSpace, Value::Number(1.0)),
        (Shape::Table, Value::Number(1.0)),
        (Shape::AssetEvent, Value::text("T17")),
    ] {
        let shown = only(shape, value);
        assert_eq!((shown.value, shown.status), (Some(Variant::Empty), Some(StatusCode::BadTypeMismatch)));
    }
}
