use opcua_server::address_space::AddressSpace;
use opcua_types::NodeId;

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
    assert_eq!(types.child("MTComponentType", "XmlId"), Some(NodeId::new(2, 2022)));
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
