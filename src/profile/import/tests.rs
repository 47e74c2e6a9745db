//! Tag lists of our own invention.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::profile::{Machine, check};
use crate::reading::Source;

const HEADER: &str = "Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,\
                      Scaled Low,Scaled High,Scaled Data Type,Clamp Low,Clamp High,Eng Units,Description,Negate Value";

/// What came of a list, after `guideway check` has passed it.
fn checked(bytes: &[u8], kind: Option<&str>, device: Option<&str>) -> (Imported, Machine) {
    let imported = import(bytes, kind, device).unwrap_or_else(|error| panic!("{error}"));
    let (report, machine) = check(&Arc::new(Source::new("draft.toml", imported.text.as_str())));
    assert!(report.is_ok(), "{}\n{}", report.render(false), imported.text);
    (imported, machine.expect("a machine"))
}

fn modbus(rows: &str) -> Imported {
    checked(format!("{HEADER}\n{rows}").as_bytes(), Some("modbus"), None).0
}

fn line<'t>(imported: &'t Imported, start: &str) -> &'t str {
    let line = imported.text.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line `{start}` in\n{}", imported.text))
}

const PRESS: &str = r#""Ram.Force","400011","Float",1,R/W,100,None,,,,,,,,"kN","Force, as ""shown""",
Ram.Position,400001,Short,1,RO,100,Linear,0,27648,0,400,Double,1,1,mm,,0
Oil.Level,300005,Word,1,RO,5000,Linear,0,1000,-50,50,Float,0,0,,,1
Oil.Flow,300006,Word,1,RO,5000,Square Root,0,1000,0,10,Float,0,0,l/min,,0
Guard,100001,Boolean,1,R/W,250,None,,,,,,,,,,
Started,400100,Date,1,RO,1000,None,,,,,,,,,,
Order,400200.20H,String,1,R/W,1000,,,,,,,,,,,
Odd,4X,Word,1,RO,1000,,,,,,,,,,,
,,,,,,,,,,,,,,,,
"#;

#[test]
fn a_list_becomes_a_profile_that_passes_check() {
    let imported = modbus(PRESS);
    assert_eq!((imported.taken, imported.left_out.len()), (5, 3), "{}", imported.text);
    assert_eq!(
        line(&imported, "ram_force"),
        "ram_force    = { addr = \"holding:10\", group = \"every_100ms\", type = \"f32\", access = \"rw\", \
         about = 'Force, as \"shown\", in kN' }"
    );
    let position = line(&imported, "ram_position");
    for part in ["type = \"i16\"", "scale = 0.01446759", "about = \"in mm\"", "# was clamped to 0..400"] {
        assert!(position.contains(part), "{position}");
    }
    let level = line(&imported, "oil_level");
    assert!(level.contains("scale = -0.1, offset = 50.0"), "{level}");
    assert!(line(&imported, "guard").contains("# was R/W, can only be read"));
    assert!(line(&imported, "# Oil.Flow").contains("square-root"));
    assert!(line(&imported, "# oil_flow = {").contains("input:5"));
    assert!(line(&imported, "# Started").contains("dates"));
    assert!(line(&imported, "# Odd").contains("400001"));
    assert!(line(&imported, "groups").contains("every_5s = \"5s\""));
    assert!(line(&imported, "byte_order").contains("CDAB"));
}

#[test]
fn columns_may_stand_in_any_order_and_be_missing() {
    let text = "Address;Tag Name;Data Type\nDB1,X8.0;Pump.On;Boolean\nDB1,REAL4;Pump.Speed;Float\n";
    let (imported, machine) = checked(text.as_bytes(), Some("s7"), None);
    assert_eq!((imported.taken, machine.mapping.points().len()), (2, 2));
    assert!(line(&imported, "groups").contains("every_1s"));
    assert!(line(&imported, "pump_on").contains("DB1.DBX8.0"));
}

#[test]
fn texts_are_read_as_utf_8_utf_16_and_windows_1252() {
    let text = format!("{HEADER}\nÖl,400001,Word,1,RO,100,,,,,,,,,°C,Temperatur für Öl,\n");
    let utf_8: Vec<u8> = [&[0xEF, 0xBB, 0xBF], text.as_bytes()].concat();
    let utf_16: Vec<u8> =
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let windows: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for bytes in [utf_8, utf_16, windows] {
        let (imported, _) = checked(&bytes, Some("modbus"), None);
        assert!(line(&imported, "l ").contains("Temperatur für Öl, in °C"), "{}", imported.text);
    }
    assert_eq!(csv::decoded(b"a\x80\x93").unwrap(), "a€“");
}

#[test]
fn every_protocol_takes_what_was_made_for_it() {
    for (kind, rows, taken) in [
        (
            "s7",
            "a,\"DB1,STRING10.30\",String\nb,T5,Long\nc,\"DB1,DT8\",Date\nd,M0.1,Boolean\ne,PIW0,Word\n",
            4,
        ),
        ("ethernet-ip", "a,Cell.Speed,Float\nb,Table[3] {4},Long Array\nc,N.DATA/82,String\nd,9x,Word\n", 3),
        ("slmp", "a,D100,Short\nb,D100.12,Boolean\nc,X1F,Boolean\nd,DSL10.8,String\ne,Q5,Word\n", 4),
        ("ads", "a,MAIN.nCount,Short\nb,.gOld,Word\nc,a b$,Word\n", 2),
        ("opcua", "a,ns=2;s=Speed,Float\nb,speed,Word\n", 1),
    ] {
        let rows = rows.replace("\n", ",R/W\n");
        let text = format!("Tag Name,Address,Data Type,Client Access\n{rows}");
        let (imported, machine) = checked(text.as_bytes(), Some(kind), None);
        assert_eq!((imported.taken, machine.kind.as_str()), (taken, kind), "{}", imported.text);
    }
}

#[test]
fn a_file_that_is_no_list_is_refused_with_its_line_and_the_cure() {
    let refused = |text: &str, kind| import(text.as_bytes(), kind, None).unwrap_err().to_string();
    assert!(refused("", Some("modbus")).contains("no column `Tag Name`"));
    assert!(
        refused("Tag Name,Adress\n", Some("modbus")).starts_with("1: there is no column `Address`; export")
    );
    assert!(refused(HEADER, None).contains("--kind is one of modbus, s7"));
    assert!(refused(HEADER, Some("haas")).contains("cannot be imported for `haas`"));
    assert!(refused("{\n  \"project\": [,\n", None).starts_with("2: not JSON"));
    assert!(refused("{}", None).contains("no device"));
    assert!(
        import(HEADER.as_bytes(), Some("modbus"), Some("x"))
            .unwrap_err()
            .to_string()
            .contains("leave --device out")
    );
    let large = vec![b' '; usize::try_from(MAX_BYTES).unwrap() + 1];
    assert!(import(&large, Some("modbus"), None).unwrap_err().to_string().contains("at most"));
}

const PLANT: &str = r#"{"project": {"channels": [
  {"common.ALLTYPES_NAME": "Hall 1", "servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Modbus TCP/IP Ethernet", "devices": [
    {"common.ALLTYPES_NAME": "Meter", "servermain.DEVICE_ID_STRING": "<10.1.2.3>.7",
     "modbus_ethernet.DEVICE_ETHERNET_PORT_NUMBER": 1502, "modbus_ethernet.DEVICE_FIRST_WORD_LOW": false,
     "modbus_ethernet.DEVICE_FIRST_DWORD_LOW": false,
     "tags": [{"common.ALLTYPES_NAME": "Power", "servermain.TAG_ADDRESS": "400011", "servermain.TAG_DATA_TYPE": 8,
       "servermain.TAG_READ_WRITE_ACCESS": 1, "servermain.TAG_SCAN_RATE_MILLISECONDS": 200,
       "servermain.TAG_SCALING_TYPE": 1, "servermain.TAG_SCALING_RAW_LOW": 0, "servermain.TAG_SCALING_RAW_HIGH": 10,
       "servermain.TAG_SCALING_SCALED_LOW": 0, "servermain.TAG_SCALING_SCALED_HIGH": 1,
       "servermain.TAG_SCALING_NEGATE_VALUE": true, "servermain.TAG_SCALING_UNITS": "kW"}],
     "tag_groups": [{"common.ALLTYPES_NAME": "Phase 1", "tags": [
       {"common.ALLTYPES_NAME": "U", "servermain.TAG_ADDRESS": "300001[3]", "servermain.TAG_DATA_TYPE": 25}],
       "tag_groups": [{"common.ALLTYPES_NAME": "Deep", "tags": [
         {"common.ALLTYPES_NAME": "Root", "servermain.TAG_ADDRESS": "300009", "servermain.TAG_DATA_TYPE": 5,
          "servermain.TAG_SCALING_TYPE": 2}]}]}]}]},
  {"common.ALLTYPES_NAME": "Hall 2", "servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Allen-Bradley ControlLogix Ethernet", "devices": [
    {"common.ALLTYPES_NAME": "Cell", "servermain.DEVICE_ID_STRING": "<10.1.2.4>,1,3", "tags": [
      {"common.ALLTYPES_NAME": "Speed", "servermain.TAG_ADDRESS": "Cell.Speed", "servermain.TAG_DATA_TYPE": -1}]}]},
  {"common.ALLTYPES_NAME": "Hall 3", "servermain.MULTIPLE_TYPES_DEVICE_DRIVER": "Omron FINS Ethernet", "devices": [
    {"common.ALLTYPES_NAME": "Cell", "tags": []}]}]}}"#;

#[test]
fn a_project_says_the_protocol_the_order_of_registers_and_the_address() {
    let (imported, machine) = checked(PLANT.as_bytes(), None, Some("Meter"));
    assert_eq!((imported.device.as_str(), machine.kind.as_str()), ("Hall 1.Meter", "modbus"));
    assert_eq!((imported.taken, imported.left_out[0].0.as_str()), (2, "Phase 1.Deep.Root"));
    for part in ["port = 1502", "unit = 7", "byte_order = \"ABCD\"", "guideway try THIS.toml 10.1.2.3"] {
        assert!(imported.text.contains(part), "{part} is missing in\n{}", imported.text);
    }
    let power = line(&imported, "power");
    assert!(power.contains("scale = -0.1,") && power.contains("# commands write the raw value"), "{power}");
    assert!(line(&imported, "phase_1_u").contains("type = \"u16[3]\""));
    let (imported, _) = checked(PLANT.as_bytes(), None, Some("Hall 2.Cell"));
    assert!(imported.text.contains("path = \"1,3\""), "{}", imported.text);
}

#[test]
fn of_several_devices_one_has_to_be_chosen() {
    let refused = |kind, device| import(PLANT.as_bytes(), kind, device).unwrap_err().to_string();
    let all = refused(None, None);
    assert!(all.starts_with("the project has 3 devices; choose one with --device: Hall 1.Meter (Modbus TCP/IP Ethernet, 3 tags)"), "{all}");
    assert!(refused(None, Some("Cell")).contains("several channels"));
    assert!(refused(None, Some("Nobody")).contains("there are Hall 1.Meter"));
    assert!(refused(None, Some("Hall 3.Cell")).contains("Omron FINS Ethernet"));
    assert!(import(PLANT.as_bytes(), Some("slmp"), Some("Hall 3.Cell")).is_ok());
}

#[test]
fn what_cannot_be_set_is_not_written() {
    let odd = PLANT.replace("<10.1.2.3>.7", "<10.1.2.3>.999").replace("1502", "0");
    let (imported, _) = checked(odd.as_bytes(), None, Some("Meter"));
    assert!(!imported.text.contains("unit =") && !imported.text.contains("port ="), "{}", imported.text);
}

#[test]
fn twenty_thousand_tags_are_taken_quickly_and_too_many_are_refused() {
    let rows: String = (0..20_000)
        .map(|n| format!("T,{},Boolean,1,RO,100\n", n + 1))
        .map(|row| row.replace("T,", "T,0"))
        .collect();
    let text = format!("Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate\n{rows}");
    let imported = import(text.as_bytes(), Some("modbus"), None).unwrap();
    assert_eq!(imported.taken + imported.left_out.len(), 20_000);
    let rows = "T,000001,Boolean\n".repeat(MOST_POINTS + 1);
    let error =
        import(format!("Tag Name,Address,Data Type\n{rows}").as_bytes(), Some("modbus"), None).unwrap_err();
    assert!(error.to_string().contains("at most 50000 points"), "{error}");
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9.,\\[\\]{}/;= éÄ$#'-]{0,14}",
        "(DB[0-9]{1,2}[,.](X|INT|REAL|STRING|DT|W|B)|[34]0000|H4|D|X|M|ns=)[0-9.HL\\[\\]]{0,8}",
        Just("for".to_owned()),
        Just("${x}".to_owned()),
        Just("1e308".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_a_list_says_the_draft_passes_check(
        kind in prop::sample::select(vec!["modbus", "s7", "ethernet-ip", "slmp", "ads", "opcua"]),
        rows in prop::collection::vec(
            (field(), field(), prop::sample::select(vec!["Boolean", "Word", "Float", "String", "Short Array", "Date", "", "BCD"]),
             prop::sample::select(vec!["RO", "R/W", "WO"]), prop::sample::select(vec!["None", "Linear"]), field(), any::<f32>()),
            0..12),
    ) {
        let mut text = "Tag Name,Address,Data Type,Client Access,Scaling,Raw Low,Raw High,Scaled Low,Scaled High,Description\n".to_owned();
        for (name, address, data_type, access, scaling, about, number) in rows {
            let quoted = [name, address, about].map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
            text.push_str(&format!("{},{},{data_type},{access},{scaling},0,10,1,{number},{}\n", quoted[0], quoted[1], quoted[2]));
        }
        checked(text.as_bytes(), Some(kind), None);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), brace: bool) {
        let bytes = if brace { [b"{", bytes.as_slice()].concat() } else { bytes };
        let _ = import(&bytes, Some("modbus"), None);
    }

    #[test]
    fn a_project_that_was_damaged_is_refused_or_passes_check(
        at in 0..PLANT.len(), length in 0_usize..40, with in "[0-9a-z\\[\\]{}\",:.-]{0,8}",
        device in prop::sample::select(vec!["Hall 1.Meter", "Hall 2.Cell"]),
    ) {
        let end = (at + length).min(PLANT.len());
        let text = format!("{}{with}{}", &PLANT[..at], &PLANT[end..]);
        if let Ok(imported) = import(text.as_bytes(), None, Some(device)) {
            let (report, _) = check(&Arc::new(Source::new("draft.toml", imported.text.as_str())));
            prop_assert!(report.is_ok(), "{}\n{}", report.render(false), imported.text);
        }
    }
}
