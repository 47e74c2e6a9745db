use std::path::Path;

use opcua_nodes::NodeType;
use opcua_server::address_space::AddressSpace;
use opcua_types::{
    Argument, DataEncoding, DataTypeDefinition, ExtensionObject, LocalizedText, NamespaceMap, NodeId,
    NumericRange, QualifiedName, Range, StructureType, TimestampsToReturn, Variant,
};
use proptest::prelude::*;

use super::literal::{Cursor, write_value};
use super::types::{MTCONNECT_TABLE, UA_TABLE};
use super::{File, Types};

fn loaded() -> (AddressSpace, Types) {
    let mut address_space = AddressSpace::new();
    let types = Types::load(&mut address_space, 2);
    (address_space, types)
}

#[test]
fn types_are_found_by_name_with_the_ids_of_the_specification() {
    let (_, types) = loaded();
    let expected = [
        ("MTDeviceType", 2015),
        ("MTComponentType", 2021),
        ("MTSampleType", 2429),
        ("MTNumericEventType", 2438),
        ("MTStringEventType", 2433),
        ("MTControlledVocabEventType", 2626),
        ("MTThreeSpaceSampleType", 2641),
        ("MTMessageType", 2471),
        ("MTAssetEventType", 2621),
        ("MTConditionType", 2660),
        ("MTConditionEventType", 4326),
        ("MTMessageEventType", 2656),
        ("HasMTClassType", 2680),
        ("HasMTSubClassType", 2683),
    ];
    for (name, id) in expected {
        assert_eq!(types.id(name), Some(NodeId::new(2, id as u32)), "{name}");
    }
    assert_eq!(types.id("FolderType"), Some(NodeId::new(0, 61)));
    assert_eq!(types.id("XmlId"), None, "no type, though many types have one");
    assert!(types.is_a("LinearType", "MTComponentType"));
    assert!(types.is_a("MTSampleType", "AnalogUnitType"));
    assert!(types.is_a("ExecutionClassType", "MTControlledVocabEventClassType"));
    assert!(!types.is_a("MTComponentType", "LinearType"));
    assert!(!types.is_a("Nothing", "BaseObjectType"));
    let words = types.words("ExecutionClassType").expect("EnumStrings");
    assert_eq!(words[0], "ACTIVE");
    assert_eq!(words[5], "PROGRAM_COMPLETED", "not in alphabetical order");
    assert!(types.words("AccelerationClassType").is_none());
    assert_eq!(types.member("MTStatisticType", "ROOT_MEAN_SQUARE"), Some(6));
    assert_eq!(types.member("MTCategoryType", "SAMPLE"), Some(2));
    assert_eq!(types.member("MTCategoryType", "OTHER"), None);
}

#[test]
fn no_reference_leads_to_a_node_that_is_not_there() {
    let (address_space, _) = loaded();
    for table in [UA_TABLE, MTCONNECT_TABLE] {
        let file = File::from_table(table).expect("a table");
        let id = |id: &NodeId| NodeId { namespace: id.namespace * 2, identifier: id.identifier.clone() };
        for node in &file.nodes {
            for reference in &node.references {
                for end in [&reference.target_id, &reference.type_id] {
                    assert!(address_space.node_exists(&id(end)), "{end} of {}", node.id);
                }
            }
        }
    }
}

/// A node set of two namespaces that builds on another one, with one of everything that node sets have.
const SMALL: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<UANodeSet xmlns="http://opcfoundation.org/UA/2011/03/UANodeSet.xsd" xmlns:uax="http://opcfoundation.org/UA/2008/02/Types.xsd">
  <NamespaceUris><Uri>urn:own</Uri><Uri>urn:base</Uri></NamespaceUris>
  <Models>
    <Model ModelUri="urn:own" Version="1.2" PublicationDate="2026-01-02T00:00:00Z">
      <RequiredModel ModelUri="http://opcfoundation.org/UA/" Version="1.05.03"/>
      <RequiredModel ModelUri="urn:base" Version="1.0"/>
    </Model>
  </Models>
  <Aliases><Alias Alias="HasSubtype">i=45</Alias><Alias Alias="String">i=12</Alias></Aliases>
  <UADataType NodeId="ns=1;i=3002" BrowseName="1:More">
    <DisplayName>More</DisplayName>
    <References><Reference ReferenceType="HasSubtype" IsForward="false">ns=2;i=3001</Reference></References>
    <Definition Name="1:More"><Field Name="Note" DataType="String" IsOptional="true"/></Definition>
  </UADataType>
  <UAObject NodeId="ns=1;i=5001" BrowseName="Default Binary">
    <DisplayName>Default Binary</DisplayName>
    <References><Reference ReferenceType="i=38" IsForward="false">ns=1;i=3002</Reference></References>
  </UAObject>
  <UAVariable NodeId="ns=1;s=a &quot;b&quot; c" BrowseName="2:Speed" DataType="i=11" ValueRank="1" ArrayDimensions="3"
      AccessLevel="5" MinimumSamplingInterval="250" Historizing="true">
    <DisplayName Locale="de">Drehzahl</DisplayName><DisplayName Locale="en">Speed</DisplayName>
    <Description>
      In rpm &amp; up
    </Description>
    <References>
      <Reference ReferenceType="i=40">i=63</Reference>
      <Reference ReferenceType="ns=2;i=4001">ns=1;i=5001</Reference>
    </References>
    <Value><uax:ListOfDouble><uax:Double>1.5</uax:Double><uax:Double>INF</uax:Double><uax:Double>-2e-3</uax:Double></uax:ListOfDouble></Value>
  </UAVariable>
  <UAVariable NodeId="ns=1;i=6001" BrowseName="InputArguments" DataType="i=296" ValueRank="1">
    <DisplayName>InputArguments</DisplayName>
    <Value><ListOfExtensionObject>
      <ExtensionObject><TypeId><Identifier>i=297</Identifier></TypeId><Body><Argument>
        <Name>First</Name><DataType><Identifier>ns=2;i=3001</Identifier></DataType><ValueRank>1</ValueRank>
        <ArrayDimensions><UInt32>0</UInt32></ArrayDimensions></Argument></Body></ExtensionObject>
      <ExtensionObject><TypeId><Identifier>i=297</Identifier></TypeId><Body><Argument>
        <Name>Second</Name><DataType><Identifier>i=12</Identifier></DataType><ValueRank>-1</ValueRank>
        <ArrayDimensions/></Argument></Body></ExtensionObject>
    </ListOfExtensionObject></Value>
  </UAVariable>
  <UAVariable NodeId="ns=1;i=6002" BrowseName="1:Unknown" DataType="ns=1;i=3002">
    <DisplayName>Unknown</DisplayName>
    <Value><ExtensionObject><TypeId><Identifier>ns=1;i=5001</Identifier></TypeId><Body><More/></Body></ExtensionObject></Value>
  </UAVariable>
  <UAReferenceType NodeId="ns=1;i=4002" BrowseName="1:Drives" Symmetric="false" IsAbstract="true">
    <DisplayName>Drives</DisplayName><InverseName>DrivenBy</InverseName>
    <References><Reference ReferenceType="HasSubtype" IsForward="false">i=32</Reference></References>
  </UAReferenceType>
</UANodeSet>"#;

/// What [`SMALL`] builds on, as a table.
const BASE: &str = "guideway node set 1\nuri\thttp://opcfoundation.org/UA/\nuri\turn:base\n\
    model\turn:base\t1.0\t\nD1:3001\t1:Base\tS22\tx\tS6\"Count\",12\"Name\"\nR1:4001\t1:Touches\tS32\ty\n";

fn small() -> File {
    File::from_xml(SMALL).expect("a node set")
}

#[test]
fn a_file_says_what_it_is_and_what_it_builds_on() {
    let file = small();
    assert_eq!(file.uri(), "urn:own");
    assert_eq!(file.models()[0].version, "1.2");
    let required: Vec<_> = file.required().map(|model| model.uri.as_str()).collect();
    assert_eq!(required, ["http://opcfoundation.org/UA/", "urn:base"]);
    assert_eq!(file.uris(), ["http://opcfoundation.org/UA/", "urn:own", "urn:base"]);
    assert_eq!(file.len(), 6);
    let omitted = &file.omitted()[0];
    assert_eq!((omitted.line, omitted.node.to_string().as_str()), (43, "ns=1;i=6002"));
}

#[test]
fn namespaces_of_a_file_become_those_of_the_server() {
    let mut address_space = AddressSpace::new();
    let mut namespaces = NamespaceMap::new();
    for taken in ["urn:server", "urn:base", "urn:machines"] {
        namespaces.add_namespace(taken);
    }
    File::from_table(UA_TABLE).expect("a table").import(&mut address_space, &mut namespaces);
    File::from_table(BASE).expect("a table").import(&mut address_space, &mut namespaces);
    small().import(&mut address_space, &mut namespaces);
    let own = namespaces.get_index("urn:own").expect("an index");
    assert_eq!(own, 4, "the file calls it 1");

    let speed = NodeId::new(own, "a \"b\" c");
    let Some(NodeType::Variable(variable)) = address_space.find(&speed) else { panic!("no variable") };
    assert_eq!(*opcua_nodes::NodeBase::browse_name(&**variable), QualifiedName::new(2, "Speed"));
    assert_eq!(variable.data_type(), NodeId::new(0, 11));
    assert_eq!((variable.value_rank(), variable.array_dimensions()), (1, Some(vec![3])));
    assert_eq!((variable.access_level().bits(), variable.historizing()), (5, true));
    assert_eq!(variable.minimum_sampling_interval(), Some(250.0));
    let (touches, encoding) = (NodeId::new(2, 4001), NodeId::new(own, 5001));
    assert!(address_space.has_reference(&speed, &encoding, &touches));

    let arguments = NodeId::new(own, 6001);
    let Some(NodeType::Variable(arguments)) = address_space.find(&arguments) else { panic!("no variable") };
    let value = arguments.value(TimestampsToReturn::Neither, &NumericRange::None, &DataEncoding::Binary, 0.0);
    let Some(Variant::Array(list)) = value.value else { panic!("no list") };
    let Variant::ExtensionObject(first) = &list.values[0] else { panic!("no structure") };
    let first: &Argument = first.inner_as().expect("an argument");
    assert_eq!(first.data_type, NodeId::new(2, 3001), "an id within a value moves too");
}

#[test]
fn a_structure_begins_with_the_fields_of_its_base_in_another_file() {
    let mut address_space = AddressSpace::new();
    let mut namespaces = NamespaceMap::new();
    for table in [UA_TABLE, BASE] {
        File::from_table(table).expect("a table").import(&mut address_space, &mut namespaces);
    }
    small().import(&mut address_space, &mut namespaces);
    let Some(NodeType::DataType(more)) = address_space.find(&NodeId::new(2, 3002)) else { panic!("no type") };
    let Some(DataTypeDefinition::Structure(definition)) = more.data_type_definition() else {
        panic!("no structure")
    };
    let fields = definition.fields.iter().flatten();
    let names: Vec<_> = fields.map(|field| field.name.as_ref()).collect();
    assert_eq!(names, ["Count", "Name", "Note"]);
    assert_eq!(definition.structure_type, StructureType::StructureWithOptionalFields);
    assert_eq!(definition.base_data_type, NodeId::new(1, 3001));
    assert_eq!(definition.default_encoding_id, NodeId::new(2, 5001));
}

#[test]
fn a_table_keeps_what_the_xml_says() {
    let table = small().to_table();
    let again = File::from_table(&table).expect("a table");
    assert_eq!(again.to_table(), table);
    let line = |begin: &str| table.lines().find(|line| line.starts_with(begin)).expect("a line").to_owned();
    assert_eq!(
        line("V1:s"),
        "V1:s\"a \\\"b\\\" c\"\t2:Speed\tt63 >2:4001/1:5001\t=en\"Speed\"\td11\tr1\ta3\tl5\th\ti250\tvd[1.5,inf,-0.002]"
    );
    assert_eq!(line("V1:6001"), "V1:6001\tInputArguments\t\td296\tr1\tvA[\"First\"2:3001r1a0,\"Second\"12]");
    assert_eq!(line("D1:3002"), "D1:3002\t1:More\tS2:3001\tS12\"Note\"o");
    assert_eq!(line("R1:4002"), "R1:4002\t1:Drives\tS32\tx\tn\"DrivenBy\"");
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn the_companion_table_is_what_the_table_maker_makes_of_the_published_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/opcua/Opc.Ua.MTConnect.NodeSet2.xml");
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none(), "CI has ../shared");
        println!("SKIPPED: {} is not there", path.display());
        return;
    }
    let file = File::read(&path).expect("a node set");
    assert_eq!(file.omitted(), []);
    assert!(
        file.to_table() == MTCONNECT_TABLE,
        "make it anew: cargo run --example nodeset_table -- {path:?}"
    );
}

#[test]
fn what_is_wrong_in_a_table_is_said_with_its_line() {
    let head = "guideway node set 1\nuri\thttp://opcfoundation.org/UA/\n";
    let cases = [
        ("", "a table begins with"),
        ("V1", "a node without a BrowseName"),
        ("Q1\tName", "`Q` is not the letter of a class"),
        ("V1:1\tName", "namespace index 1, but the file names only 1 namespaces"),
        ("V1\tName\tw5", "`w` is no reference"),
        ("V1\tName\tP1", "a reference of i=1 to itself"),
        ("V1\tName\t\tz", "`z` is not an attribute of this class"),
        ("V1\tName\t\tvs\"open", "a text without its closing quotation mark"),
        ("V1\tName\t\tvY256", "the number 256 does not fit here"),
        ("V1\tName\t\td11x", "`x` where the end of the field should be"),
        ("V99999999999\tName", "the number 99999999999 does not fit here"),
        ("requires\turn:x", "`requires` before any `model`"),
    ];
    for (line, expected) in cases {
        let text = if line.is_empty() { String::new() } else { format!("{head}{line}\n") };
        let text = if text.is_empty() { "something else\n".to_owned() } else { text };
        let error = File::from_table(&text).expect_err(line).to_string();
        let place = if line.is_empty() { "1: " } else { "3: " };
        assert!(error.starts_with(place) && error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line() {
    let broken = |from: &str, to: &str| {
        assert!(SMALL.contains(from), "{from}");
        File::from_xml(&SMALL.replacen(from, to, 1)).expect_err(from).to_string()
    };
    let cases = [
        ("i=45</Alias>", "45</Alias>", "10: `45` is neither a NodeId nor an alias of this file"),
        (
            "ReferenceType=\"HasSubtype\"",
            "ReferenceType=\"HasType\"",
            "13: `HasType` is neither a NodeId nor",
        ),
        ("ns=2;i=3001", "ns=3;i=3001", "11: namespace index 3, but the file names only 3 namespaces"),
        ("ns=1;i=6002", "ns=1;i=6001", "43: the node ns=1;i=6001 is there twice"),
        ("ValueRank=\"1\"", "ValueRank=\"one\"", "20: `one` is no ValueRank"),
        ("ArrayDimensions=\"3\"", "ArrayDimensions=\"3,\"", "20: `3,` is no ArrayDimensions"),
        (">1.5<", ">1,5<", "30: `1,5` does not fit <Double>"),
        ("IsAbstract=\"true\"", "IsAbstract=\"yes\"", "47: `yes` for IsAbstract, which is `true` or `false`"),
        ("BrowseName=\"1:More\"", "", "11: a node without a BrowseName of printable characters"),
        ("</UAObject>", "</UAVariable>", "not well-formed XML"),
        ("<UAObject ", "<!DOCTYPE x><UAObject ", "16: a document type (DOCTYPE) is not accepted"),
        ("&amp;", "&nbsp;", "an entity that is not known"),
    ];
    for (from, to, expected) in cases {
        let error = broken(from, to);
        assert!(error.contains(expected), "{from}: {error}");
    }
    for (text, expected) in [
        ("", "there is no <UANodeSet>; is this a NodeSet2 file?"),
        ("<html/>", "there is no <UANodeSet>"),
        ("<html><p>", "<html> where one <UANodeSet> should be"),
        ("<UANodeSet><UAObject", "not well-formed"),
        ("<UANodeSet><UAObject>", "the file ends within <UAObject> of line 1"),
    ] {
        let error = File::from_xml(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let deep = format!("<UANodeSet>{}", "<a>".repeat(100));
    let error = File::from_xml(&deep).expect_err("too deep").to_string();
    assert!(error.contains("nested more than 64 deep"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = File::read(Path::new("no/such.xml")).expect_err("nothing").to_string();
    assert!(error.starts_with("no/such.xml: "), "{error}");
}

#[test]
fn a_namespace_that_is_named_twice_is_one() {
    let text = SMALL.replacen("<Uri>urn:base</Uri>", "<Uri>urn:own</Uri>", 1);
    let text = text.replacen("ns=2;i=3001</Reference>", "ns=2;i=3002</Reference>", 1);
    let mut address_space = AddressSpace::new();
    let file = File::from_xml(&text).expect("a node set");
    file.import(&mut address_space, &mut NamespaceMap::new());
    assert!(address_space.node_exists(&NodeId::new(1, 3002)), "the reference to itself is left out");
}

#[test]
fn a_model_need_not_be_among_the_namespaces() {
    let text = SMALL.replacen("ModelUri=\"urn:own\"", "ModelUri=\"urn:other\"", 1);
    let file = File::from_xml(&text).expect("a node set");
    file.import(&mut AddressSpace::new(), &mut NamespaceMap::new());
    assert_eq!(file.uri(), "urn:other");
}

#[test]
fn a_reference_of_a_node_to_itself_is_left_out_and_noted() {
    let text = SMALL.replacen("ns=1;i=3002</Reference>", "ns=1;i=5001</Reference>", 1);
    let file = File::from_xml(&text).expect("a node set");
    assert_eq!(file.omitted()[0].what, "a reference of a node to itself");
}

proptest! {
    #[test]
    fn no_text_makes_the_table_reader_fall_over(lines in proptest::collection::vec("[A-Za-z0-9:<>/=@\"\\\\\\[\\],\t .-]{0,40}", 0..8)) {
        let mut text = "guideway node set 1\nuri\thttp://opcfoundation.org/UA/\n".to_owned();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        if let Ok(file) = File::from_table(&text) {
            let table = file.to_table();
            let again = File::from_table(&table).expect("what was written can be read");
            prop_assert_eq!(again.to_table(), table);
        }
    }

    #[test]
    fn no_damage_makes_the_xml_reader_fall_over(at in 0..SMALL.len(), length in 0_usize..40, text in "\\PC{0,10}") {
        let start = (0..=at).rev().find(|at| SMALL.is_char_boundary(*at)).unwrap_or(0);
        let end = (start + length).min(SMALL.len());
        prop_assume!(SMALL.is_char_boundary(end));
        let damaged = format!("{}{text}{}", &SMALL[..start], &SMALL[end..]);
        if let Ok(file) = File::from_xml(&damaged) {
            let mut address_space = AddressSpace::new();
            file.import(&mut address_space, &mut NamespaceMap::new());
        }
    }

    #[test]
    fn values_come_back_from_a_table_as_they_were(
        number in any::<f64>(), text in any::<String>(), whole in any::<i64>(), small in any::<u8>(),
    ) {
        let values = [
            Variant::Double(number),
            Variant::Float(number as f32),
            Variant::String(text.clone().into()),
            Variant::Int64(whole),
            Variant::Byte(small),
            Variant::from(LocalizedText::new("en-US", &text)),
            Variant::from(vec![text.clone(), String::new()]),
            Variant::from(QualifiedName::new(u16::from(small), text.as_str())),
            Variant::from(NodeId::new(u16::from(small), text.as_str())),
            Variant::from(ExtensionObject::from_message(Range { low: number, high: 0.0 })),
        ];
        for value in values {
            let mut written = String::new();
            prop_assert!(write_value(&mut written, &value));
            let mut cursor = Cursor::new(&written);
            let read = cursor.value().expect("what was written");
            prop_assert!(cursor.is_done());
            let mut again = String::new();
            write_value(&mut again, &read);
            prop_assert_eq!(&written, &again);
            if !number.is_nan() {
                prop_assert_eq!(read, value);
            }
        }
    }
}
