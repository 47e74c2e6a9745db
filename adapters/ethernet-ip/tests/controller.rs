//! Against a controller written from 1756-PM020 in Python: what cm-ethernetip does not serve as controllers do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Adapter, Native, Outcome, Period, PointSpec, Protocol as _};
use guideway_ethernet_ip::{Config, EthernetIp, NoSlot, Point, Slot};

const SOON: Duration = Duration::from_secs(10);

fn config(port: u16) -> Config {
    Config { address: "127.0.0.1".into(), port, ..Config::default() }
}

fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    let period = Period::Every(Duration::from_millis(100));
    let access = if data_type.starts_with(['c', 'b']) && data_type != "bool" {
        Access::Read
    } else {
        Access::ReadWrite
    };
    PointSpec { period, access, ..PointSpec::new(address, data_type.parse().unwrap(), Point::default()) }
}

fn adapter(config: Config, points: &[(&str, &str)]) -> Box<dyn Adapter> {
    EthernetIp::adapter(config, points.iter().map(|(address, kind)| point(address, kind)).collect())
}

async fn texts(config: Config, points: &[(&str, &str)]) -> Vec<String> {
    let mut running = Running::start(adapter(config, points));
    let readings = running.all(points.len(), SOON).await;
    running.stop().await;
    readings.iter().map(|reading| reading.value.to_string()).collect()
}

/// Why the session ended; it is noted just after the end was told.
async fn ended(running: &mut Running) -> String {
    running.disconnected(SOON).await;
    let noted = async {
        loop {
            if let Some(why) = running.health().last_error() {
                return why;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, noted).await.unwrap()
}

const CELL: &str = "{State: 7, Running: true, Fault: true, Alarms: [false, true, false, false, false, false, false, false, \
                    false, false, false, false, false, false, false, false, false, false, false, false, false, false, \
                    false, false, false, false, false, false, false, false, false, true], \
                    Axes: [{Position: 1.5, Load: 40, Limits: [-10, 10]}, {Position: 2.5, Load: -41, Limits: [-20, 20]}], \
                    Recipe: PART-7, Words: [5, -6]}";

const EACH: [(&str, &str, &str); 18] = [
    ("Cell", "auto", CELL),
    ("Cell.State", "auto", "7"),
    ("Cell.Running", "bool", "true"),
    ("Cell.Axes[1].Position", "f32", "2.5"),
    ("Cell.Axes[1]", "auto", "{Position: 2.5, Load: -41, Limits: [-20, 20]}"),
    ("Cell.Alarms[31]", "bool", "true"),
    ("Cell.Recipe", "string[40]", "PART-7"),
    ("Cells[2].State", "auto", "3"),
    ("Recipe", "auto", "ABC"),
    ("Names[1]", "auto", "two"),
    ("Names", "string[20][3]", "[one, two, three]"),
    ("Table[2,3]", "auto", "13"),
    ("Flags[37]", "bool", "true"),
    ("Flags[127]", "bool", "true"),
    ("Letters", "chars[8]", "PART"),
    ("Unsigned", "auto", "18446744073709551615"),
    ("Program:Main.Cycle", "auto", "77"),
    ("Program:Main.Local.State", "auto", "9"),
];

#[tokio::test(flavor = "multi_thread")]
async fn structures_strings_and_arrays_over_every_kind_of_link() {
    let points = EACH.map(|(address, kind, _)| (address, kind));
    let none = Slot::None(NoSlot::None);
    let links: [(&[&str], Config); 6] = [
        (&[], config(0)),
        (&["small"], config(0)),
        (&["unconnected"], config(0)),
        (&["single"], config(0)),
        (&["direct"], Config { slot: none, ..config(0) }),
        (&["direct", "unconnected", "single"], Config { slot: none, ..config(0) }),
    ];
    for (arguments, config) in links {
        let peer = Peer::python("eip_fake.py", arguments).await;
        let found = texts(Config { port: peer.port(), ..config }, &points).await;
        for (found, (address, kind, wanted)) in found.iter().zip(EACH) {
            assert_eq!(found, wanted, "{address} as {kind} with {arguments:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_a_packet_is_read_in_pieces() {
    for arguments in [&[][..], &["unconnected"]] {
        let peer = Peer::python("eip_fake.py", arguments).await;
        let points = [("Big", "auto"), ("Curve[10]", "f32[9000]"), ("Cells", "auto[3]")];
        let mut running = Running::start(adapter(config(peer.port()), &points));
        let readings = running.all(3, SOON).await;
        running.stop().await;
        let Native::Record(big) = &readings[0].value else { panic!("{:?}", readings[0].value) };
        assert_eq!(big.len(), 1_000);
        assert_eq!(big[999], ("AMemberWithQuiteALongName0999".into(), Native::Int(999)));
        let Native::List(curve) = &readings[1].value else { panic!("{:?}", readings[1].value) };
        assert_eq!((curve.len(), &curve[8_999]), (9_000, &Native::Float(2_252.25)));
        let Native::List(cells) = &readings[2].value else { panic!("{:?}", readings[2].value) };
        assert_eq!(cells.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_exceeds_what_the_link_carries() {
    for (arguments, most) in [(&[][..], 4_000), (&["small"], 502), (&["unconnected"], 504)] {
        let mut peer = Peer::python("eip_fake.py", arguments).await;
        let names: Vec<String> = (0..3_000).map(|index| format!("D{index}")).collect();
        let points: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "auto")).collect();
        let mut running = Running::start(adapter(config(peer.port()), &points));
        for reading in running.all(3_000, SOON).await {
            assert_eq!(reading.value, Native::Int(i64::from(reading.point.0)));
        }
        running.stop().await;
        let seen: Vec<usize> =
            peer.say("packets").await.split(' ').map(|number| number.parse().unwrap()).collect();
        let [packets, request, reply] = seen[..] else { panic!("{seen:?}") };
        assert!(request <= most && reply <= most, "{arguments:?}: {seen:?}");
        assert!(packets < 3_000, "{arguments:?}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_bits_and_members_are_written() {
    let mut peer = Peer::python("eip_fake.py", &[]).await;
    let points = [
        ("Recipe", "string[82]"),
        ("Names[1]", "string[20]"),
        ("Cell.Fault", "bool"),
        ("Cell.Words[1]", "i16"),
        ("Command.4", "bool"),
        ("Flags[64]", "bool"),
        ("Cell", "auto"),
        ("Cell", "string[20]"),
        ("Names[2]", "auto"),
    ];
    let mut points: Vec<_> = points.iter().map(|(address, kind)| point(address, kind)).collect();
    // Never read: their types are learned before they are written.
    points.iter_mut().for_each(|point| point.access = Access::Write);
    let mut running = Running::start(EthernetIp::adapter(config(peer.port()), points));
    running.connected(SOON).await;
    let outcome = running
        .write(&[
            (0, Native::text("NEW")),
            (1, Native::text("second")),
            (2, Native::Bool(false)),
            (3, Native::Int(-300)),
            (4, Native::Bool(true)),
            (5, Native::Bool(true)),
            (8, Native::text("last")),
        ])
        .await;
    assert_eq!(outcome, Outcome::Done);
    assert!(peer.say("get Recipe").await.starts_with("030000004e455700"));
    let names = peer.say("get Names").await;
    assert!(
        names[48..].starts_with("060000007365636f6e6400") && names[96..].starts_with("040000006c617374"),
        "{names}"
    );
    let cell = peer.say("get Cell").await;
    assert_eq!((&cell[8..10], &cell[268..272]), ("01", "d4fe"), "{cell}");
    assert_eq!(peer.say("get Command").await, "10000000");
    assert_eq!(&peer.say("get Flags").await[16..24], "01000000");
    for (write, why) in [
        ((1, Native::text("longer than twenty bytes")), "room for 20"),
        ((6, Native::text("x")), "not written as a whole"),
        ((7, Native::text("x")), "not written as a whole"),
        ((3, Native::Int(70_000)), "does not fit"),
    ] {
        let outcome = running.write(&[write]).await;
        assert!(matches!(&outcome, Outcome::Refused(found) if found.contains(why)), "{outcome:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controllers_no_is_told_in_words() {
    let mut peer = Peer::python("eip_fake.py", &[]).await;
    let points = [("Rate", "auto"), ("Command", "auto"), ("Table[9,9]", "auto"), ("Cell.Nothing", "auto")];
    let mut running = Running::start(adapter(config(peer.port()), &points));
    let readings = running.all(4, SOON).await;
    assert_eq!(readings[0].value, Native::Int(1_500));
    assert!(readings[2].value.to_string().contains("beyond the end"), "{:?}", readings[2]);
    assert!(
        readings[3].value.to_string().contains("no tag, member or element `Cell.Nothing`"),
        "{:?}",
        readings[3]
    );
    peer.say("refuse Command 0f").await;
    let denied = running.reading(1, tokio::time::Instant::now() + SOON, Native::is_bad).await;
    assert!(denied.value.to_string().contains("External Access"), "{denied:?}");
    let outcome = running.write(&[(0, Native::Int(2)), (1, Native::Int(1))]).await;
    assert!(
        matches!(&outcome, Outcome::Refused(why) if why.contains("1 of 2 writes were done")),
        "{outcome:?}"
    );
    peer.say("refuse Command 0").await;
    running.value(1, &Native::Int(0), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_slot_is_told_as_the_end_of_the_session() {
    let peer = Peer::python("eip_fake.py", &["unconnected"]).await;
    let mut running =
        Running::start(adapter(Config { slot: Slot::Number(5), ..config(peer.port()) }, &[("Rate", "auto")]));
    let why = ended(&mut running).await;
    assert!(why.contains("nothing is at that slot"), "{why}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_structures_and_members_are_browsed() {
    let peer = Peer::python("eip_fake.py", &["small"]).await;
    let mut adapter = EthernetIp::adapter(config(peer.port()), Vec::new());
    let found = adapter.browse("").await.unwrap();
    let of = |name: &str| found.iter().find(|found| found.address == name);
    assert_eq!(found.iter().filter(|found| found.address.starts_with('D')).count(), 3_000);
    assert!(of("__System").is_none());
    assert!(of("Program:Main").is_some_and(|found| found.folder));
    assert!(of("Cell").is_some_and(|found| found.folder && found.note == "CellState"));
    assert_eq!(of("Recipe").and_then(|found| found.data_type), "string[82]".parse().ok());
    assert_eq!(of("Flags").and_then(|found| found.data_type), "bool[128]".parse().ok());
    assert_eq!(of("Table").map(|found| found.note.as_str()), Some("DINT[4,5]"));
    assert!(of("Rate").is_some_and(|found| found.writable && found.note == "DINT"));
    assert!(of("Unsigned").is_some_and(|found| !found.writable && found.note == "ULINT, read only"));
    assert!(of("Word").is_some_and(|found| !found.writable && found.note == "UINT, no External Access"));
    let program = adapter.browse("Program:Main").await.unwrap();
    assert_eq!(program[0].address, "Program:Main.Cycle");
    let members = adapter.browse("Cell").await.unwrap();
    let members: Vec<&str> = members.iter().map(|found| found.address.as_str()).collect();
    assert_eq!(members[..3], ["Cell.State", "Cell.Running", "Cell.Fault"]);
    let axis = adapter.browse("Program:Main.Local.Axes[0]").await.unwrap();
    assert_eq!(axis[0].address, "Program:Main.Local.Axes[0].Position");
    assert!(adapter.browse("Rate").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_does_not_know_external_access_is_browsed_too() {
    let peer = Peer::python("eip_fake.py", &["old", "unconnected"]).await;
    let found = EthernetIp::adapter(config(peer.port()), Vec::new()).browse("").await.unwrap();
    assert!(found.iter().any(|found| found.address == "Unsigned" && found.writable && found.note == "ULINT"));
    assert_eq!(found.iter().filter(|found| found.address.starts_with('D')).count(), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_not_answered_has_an_unknown_outcome() {
    use guideway_contract::kit::{Proxy, Weather};
    let peer = Peer::python("eip_fake.py", &[]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut slow = point("Rate", "auto");
    slow.period = Period::Once;
    let config = Config { timeout: Duration::from_millis(300), ..config(proxy.port()) };
    let mut running = Running::start(EthernetIp::adapter(config, vec![slow]));
    running.value(0, &Native::Int(1_500), SOON).await;
    proxy.set(Weather::Silent);
    let outcome = running.write(&[(0, Native::Int(1))]).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_link_that_dies_is_noticed() {
    use guideway_contract::kit::{Proxy, Weather};
    let peer = Peer::python("eip_fake.py", &[]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut once = point("Rate", "auto");
    once.period = Period::Once;
    let mut running = Running::start(EthernetIp::adapter(config(proxy.port()), vec![once]));
    running.value(0, &Native::Int(1_500), SOON).await;
    proxy.set(Weather::Silent);
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_structures_templates_and_fragments_over_three_hundred_connections() {
    let peer = Peer::python("eip_fake.py", &["small"]).await;
    let make = |port| {
        let points = EACH.map(|(address, kind, _)| (address, kind));
        adapter(Config { timeout: Duration::from_millis(200), ..config(port) }, &points)
    };
    guideway_contract::kit::trials::mutated(make, &peer, 300).await;
}

/// What cm-ethernetip's client makes of the controller that these tests were written with.
#[tokio::test(flavor = "multi_thread")]
async fn another_client_reads_the_same_of_this_controller() {
    for arguments in [&[][..], &["connected"]] {
        let fake = Peer::python("eip_fake.py", &[]).await;
        let mut client = Peer::python_on("eip_client.py", &fake.port().to_string(), arguments).await;
        assert_eq!(client.say("dint Rate").await, "1500");
        assert_eq!(client.say("string Recipe").await, "ABC");
        let tags = client.say("tags").await;
        assert!(tags.contains("Cell") && tags.contains("Big"), "{tags}");
        let cell = client.say("struct Cell").await;
        assert!(cell.contains("'State': '7'") && cell.contains("Running"), "{cell}");
    }
}

/// The profile that ships, read with what its own file says.
#[tokio::test(flavor = "multi_thread")]
async fn the_profile_of_a_logix_cell_reads_and_commands_its_structure() {
    let text =
        include_str!("../../../device-profiles/rockwell-logix-cell.toml").replace("${tag}", "Guideway");
    let profile: toml::Table = text.parse().unwrap();
    let mut adapter = profile["adapter"].as_table().unwrap().clone();
    assert_eq!(adapter.remove("kind").unwrap().as_str(), Some(EthernetIp::KIND));
    let mut peer = Peer::python("eip_fake.py", &[]).await;
    let mut config: Config = adapter.try_into().unwrap();
    EthernetIp::set_address(&mut config, &format!("127.0.0.1:{}", peer.port())).unwrap();
    let (names, points): (Vec<&str>, Vec<_>) = profile["points"]
        .as_table()
        .unwrap()
        .iter()
        .map(|(name, spec)| {
            let text = |key: &str| spec.get(key).and_then(toml::Value::as_str);
            let mut point = point(text("addr").unwrap(), text("type").unwrap());
            point.access = match text("access") {
                Some("w") => Access::Write,
                Some("rw") => Access::ReadWrite,
                _ => Access::Read,
            };
            assert_eq!(EthernetIp::check_point(&config, &point), [], "{name}");
            (name.as_str(), point)
        })
        .unzip();
    let index = |name: &str| u32::try_from(names.iter().position(|other| *other == name).unwrap()).unwrap();
    let mut running = Running::start(EthernetIp::adapter(config, points));
    for (name, wanted) in [
        ("state", "1"),
        ("estop_ok", "true"),
        ("recipe", "RECIPE-1"),
        ("good", "120"),
        ("cycle", "12.5"),
        ("power", "3.2"),
        ("messages", "0100000002000000"),
        ("result", "0"),
    ] {
        assert_eq!(running.latest(index(name)).await.value.to_string(), wanted, "{name}");
    }
    let outcome =
        running.write(&[(index("cmd_recipe"), Native::text("NEXT")), (index("cmd"), Native::Int(11))]).await;
    assert_eq!(outcome, Outcome::Done);
    running.value(index("cmd"), &Native::Int(11), SOON).await;
    let bytes = peer.say("get Guideway").await;
    assert!(bytes[488..].starts_with("040000004e45585400"), "{bytes}");
    running.stop().await;
}
