use super::testing::*;
use super::*;

#[test]
fn an_active_condition_has_every_field() {
    let ids = Ids::default();
    let mut condition = entry(Level::Fault, "401", "Spindle over temperature");
    condition.native_severity = "9".into();
    condition.qualifier = Some(Qualifier::High);
    let standing = Standing {
        key: "401".into(),
        entry: Arc::new(condition),
        active: Some(true),
        last_severity: WARNING,
    };
    let event =
        Occurrence::condition(&ids, source("system"), at(), "Spindle over temperature".into(), standing);
    let words = |locale, text| Variant::from(LocalizedText::new(locale, text));
    let time = DateTime::from(date_time(at().0).ticks());
    let expected = [
        ("EventType", Variant::from(NodeId::new(2, 4326))),
        ("SourceNode", Variant::from(NodeId::new(3, "d0/system"))),
        ("SourceName", Variant::from("SystemCondition")),
        ("Time", Variant::from(time)),
        ("ReceiveTime", Variant::from(date_time(at().1))),
        ("Message", words("", "Spindle over temperature")),
        ("Severity", Variant::UInt16(1_000)),
        ("ConditionClassId", Variant::from(NodeId::new(2, 2423))),
        ("ConditionClassName", words("", "SystemClassType")),
        ("ConditionName", Variant::from("SystemCondition401")),
        ("BranchId", Variant::from(NodeId::null())),
        ("Retain", Variant::Boolean(true)),
        ("SupportsFilteredRetain", Variant::Boolean(false)),
        ("EnabledState", words("en", "Enabled")),
        ("EnabledState/Id", Variant::Boolean(true)),
        ("Quality", Variant::StatusCode(StatusCode::Good)),
        ("Quality/SourceTimestamp", Variant::from(time)),
        ("LastSeverity", Variant::UInt16(500)),
        ("LastSeverity/SourceTimestamp", Variant::from(time)),
        ("Comment", Variant::from(LocalizedText::null())),
        ("Comment/SourceTimestamp", Variant::from(time)),
        ("ClientUserId", Variant::String(UAString::null())),
        ("2:ActiveState", words("en", "Active")),
        ("2:DataItemId", Variant::from("system")),
        ("2:MTSeverity", Variant::Int32(0)),
        ("2:MTTypeName", Variant::from("System")),
        ("2:MTSubTypeName", Variant::from("")),
        ("2:NativeCode", Variant::from("401")),
        ("2:NativeSeverity", Variant::from("9")),
        ("2:Qualifier", Variant::Int32(0)),
        // What alarms have and this type has not, and names of other namespaces.
        ("ActiveState", Variant::Empty),
        ("ActiveState/Id", Variant::Empty),
        ("AckedState", Variant::Empty),
        ("AckedState/Id", Variant::Empty),
        ("ConfirmedState", Variant::Empty),
        ("SuppressedOrShelved", Variant::Empty),
        ("NativeCode", Variant::Empty),
        ("3:NativeCode", Variant::Empty),
        ("2:EventId", Variant::Empty),
        ("Changes", Variant::Empty),
        ("EnabledState/TrueState/Id", Variant::Empty),
    ];
    for (name, value) in expected {
        assert_eq!(field(&event, name), value, "{name}");
    }
    let id = event.field(MTCONNECT, AttributeId::NodeId, &NumericRange::None, &[]);
    assert_eq!(id, Variant::from(NodeId::new(3, "d0/system#401")));
    let Variant::ByteString(id) = field(&event, "EventId") else { panic!("no EventId") };
    assert_eq!(id.len(), 16);
    assert_eq!(event.time(), &time);
}

#[test]
fn the_time_is_that_of_the_source_to_100_ns() {
    let time = Timestamp::parse("2024-05-01T12:00:00.1234567Z").unwrap();
    let parsed = DateTime::parse_from_rfc3339("2024-05-01T12:00:00.1234567Z").unwrap();
    assert_eq!(date_time(time).ticks(), parsed.ticks());
}

#[test]
fn the_local_time_has_the_offset_of_the_clock_on_the_wall() {
    let event = active(&Ids::default(), Level::Fault, "1");
    let Variant::ExtensionObject(local) = field(&event, "LocalTime") else { panic!("no LocalTime") };
    let local = local.inner_as::<TimeZoneDataType>().unwrap();
    let zone = jiff::tz::TimeZone::system();
    let expected = zone.to_offset(jiff::Timestamp::from_second(1_714_564_800).unwrap());
    assert_eq!(i32::from(local.offset) * 60, expected.seconds());
}

#[test]
fn a_condition_without_its_source_is_disabled_and_not_connected() {
    let entry = Arc::new(entry(Level::Warning, "7", "low oil"));
    let standing = Standing { key: "7".into(), entry, active: None, last_severity: WARNING };
    let event = Occurrence::condition(&Ids::default(), source("system"), at(), SmolStr::default(), standing);
    assert_eq!(field(&event, "EnabledState/Id"), Variant::Boolean(false));
    assert_eq!(field(&event, "EnabledState"), Variant::from(LocalizedText::new("en", "Disabled")));
    assert_eq!(field(&event, "Quality"), Variant::StatusCode(StatusCode::BadNotConnected));
    assert_eq!(field(&event, "Retain"), Variant::Boolean(false));
    assert_eq!(field(&event, "2:ActiveState"), Variant::from(LocalizedText::new("en", "Inactive")));
    assert_eq!(field(&event, "2:MTSeverity"), Variant::Empty);
    assert_eq!(field(&event, "Severity"), Variant::UInt16(500));
}

#[test]
fn a_message_has_its_code_and_text_and_nothing_of_conditions() {
    let message =
        guideway_contract::Message { native_code: "M6".into(), text: "Load the next pallet".into() };
    let event = Occurrence::message(&Ids::default(), source("message"), at(), &message);
    assert_eq!(event.kind, Kind::Message);
    assert_eq!(field(&event, "2:NativeCode"), Variant::from("M6"));
    assert_eq!(field(&event, "Message"), Variant::from(LocalizedText::new("", "Load the next pallet")));
    assert_eq!(field(&event, "Severity"), Variant::UInt16(1));
    assert_eq!(field(&event, "Retain"), Variant::Empty);
    let id = event.field(MTCONNECT, AttributeId::NodeId, &NumericRange::None, &[]);
    assert_eq!(id, Variant::Empty);
}

#[test]
fn a_model_change_names_the_nodes_unless_there_are_too_many() {
    let change = Change { affected: NodeId::new(3, "d1"), affected_type: NodeId::new(2, 2015), verb: 1 };
    let ids = Ids::default();
    let event = Occurrence::model_change(&ids, &[change.clone(), change.clone()], 2);
    assert_eq!(event.kind, Kind::ModelChange);
    assert_eq!(field(&event, "SourceNode"), Variant::from(NodeId::from(ObjectId::Server)));
    assert_eq!(field(&event, "SourceName"), Variant::from("Server"));
    let Variant::Array(changes) = field(&event, "Changes") else { panic!("no Changes") };
    let Variant::ExtensionObject(first) = &changes.values[0] else { panic!("no structure") };
    let first = first.inner_as::<ModelChangeStructureDataType>().unwrap();
    assert_eq!((&first.affected, first.verb), (&change.affected, 1));
    assert_eq!(changes.values.len(), 2);
    let event = Occurrence::model_change(&ids, &[change.clone(), change.clone(), change], 2);
    assert_eq!((event.kind, field(&event, "Changes")), (Kind::AnyModelChange, Variant::Empty));
}

#[test]
fn an_event_is_announced_from_its_component_up_to_the_server() {
    let event = active(&Ids::default(), Level::Fault, "1");
    let server = NodeId::from(ObjectId::Server);
    for notifier in [server, NodeId::new(3, "d0"), NodeId::new(3, "d0/path")] {
        assert!(event.is_announced_by(&notifier), "{notifier}");
    }
    for other in [NodeId::new(3, "d1"), NodeId::new(3, "d0/axes")] {
        assert!(!event.is_announced_by(&other), "{other}");
    }
    let change = Occurrence::model_change(&Ids::default(), &[], 2);
    assert!(!change.is_announced_by(&NodeId::new(3, "d0")));
}

#[test]
fn no_two_events_have_one_id() {
    let (here, there) = (Ids::default(), Ids::default());
    let ids: std::collections::HashSet<_> =
        [here.next().1, here.next().1, there.next().1, there.next().1].into();
    assert_eq!(ids.len(), 4);
}
