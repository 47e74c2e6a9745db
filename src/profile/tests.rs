use super::*;

const PROFILE: &str = r#"
schema = 1
id = "mill"
version = "1.2.0"
vendor = "Maker & Sons"
model = "M1"
params = { job = { type = "int", default = 10600, min = 10000, max = 10999, about = "job macro" } }
groups = { fast = "200ms", once = "connect" }
[adapter]
kind = "haas"
[enums]
exec = { IDLE = "READY", _ = "ACTIVE" }
[points]
q500 = { addr = "Q500", type = "fields", group = "fast" }
x = { addr = "Q600 5021", type = "f64", group = "fast", scale = 0.5 }
job = { addr = "Q600 ${job}", type = "f64", access = "rw" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
exec = { at = "Controller/Path[path]", type = "EXECUTION", from = "q500", field = 2, enum = "exec" }
x_act = { at = "Axes/Linear[X]", type = "POSITION.ACTUAL", units = "MILLIMETER", native_units = "INCH", from = "x", deadband = 0.001 }
job_no = { at = "Controller/Path[path]", type = "LINE_NUMBER.ABSOLUTE", value = "int(job) + params.job" }
[commands.set_job]
risk = "setpoint"
args = { value = { type = "float", min = 0, max = 99 } }
require = 'item.exec == "READY"'
write = [{ point = "job", value = "args.value" }]
verify = { point = "job", equals = "args.value", within = "3s" }
"#;

fn checked(text: &str) -> (Vec<String>, Option<Machine>) {
    let (report, machine) = check(&Arc::new(Source::new("p.toml", text)));
    (report.findings.iter().map(ToString::to_string).collect(), machine)
}

/// The findings of the profile with one text in it replaced.
fn findings(from: &str, to: &str) -> Vec<String> {
    assert!(PROFILE.contains(from), "{from}");
    checked(&PROFILE.replacen(from, to, 1)).0
}

#[test]
fn a_profile_makes_a_device_a_mapping_and_an_adapter() {
    let (findings, machine) = checked(PROFILE);
    assert_eq!(findings, [""; 0]);
    let machine = machine.expect("a machine");
    assert_eq!((machine.kind.as_str(), machine.follows_link), ("haas", true));
    let device = machine.device.as_deref().expect("a device");
    for part in [
        r#"manufacturer="Maker &amp; Sons""#,
        r#"<DataItem id="machine_x_act" name="x_act" category="SAMPLE" type="POSITION" subType="ACTUAL" units="MILLIMETER" nativeUnits="INCH"><Filters><Filter type="MINIMUM_DELTA">0.001</Filter></Filters></DataItem>"#,
        r#"<Linear id="machine_Axes_Linear_X" name="X">"#,
    ] {
        assert!(device.contains(part), "{part} is missing in\n{device}");
    }
    assert_eq!(machine.mapping.points().len(), 3);
    assert_eq!(machine.mapping.items().len(), 3);
    assert!(machine.commands.contains_key("set_job"));
    assert_eq!(machine.settings.adapter().protocol(), "haas");
}

#[test]
fn each_mistake_is_told_at_its_place_with_its_cure() {
    for (from, to, place, words) in [
        ("schema = 1", "schema = 9", "p.toml:2:", "schema 9"),
        ("kind = \"haas\"", "kind = \"hass\"", "p.toml:10:", "did you mean `haas`"),
        ("kind = \"haas\"", "kind = \"haas\"\ntimeot = \"1s\"", "p.toml:11:", "unknown key `timeot`"),
        (
            "type = \"fields\", group = \"fast\"",
            "type = \"fields\", group = \"fats\"",
            "p.toml:14:",
            "no group `fats`",
        ),
        ("type = \"fields\"", "type = \"feilds\"", "p.toml:14:", "is no type"),
        ("from = \"q500\"", "from = \"q50\"", "p.toml:19:", "did you mean `q500`"),
        ("enum = \"exec\"", "enum = \"exce\"", "p.toml:19:", "there is no enum `exce`"),
        ("\"EXECUTION\"", "\"EXECUTON\"", "p.toml:19:", "did you mean `EXECUTION`"),
        ("Axes/Linear[X]", "Axes/Lineal[X]", "p.toml:20:", "did you mean `Linear`"),
        ("units = \"MILLIMETER\"", "units = \"MILIMETER\"", "p.toml:20:", "MILIMETER"),
        ("int(job) +", "int(jobb) +", "p.toml:21:", "there is no point `jobb`"),
        ("item.exec ==", "item.exce ==", "p.toml:25:", "there is no item `exce`"),
        ("value = \"args.value\" }]", "value = \"args.valeu\" }]", "p.toml:26:", "did you mean `value`"),
        ("access = \"rw\"", "access = \"r\"", "p.toml:26:", "does not allow it"),
        ("min = 0, max = 99", "min = 99, max = 0", "p.toml:24:", "swap them"),
        ("min = 0, max = 99", "max_len = 9", "p.toml:24:", "no string and has no max_len"),
        (
            "\"float\", min = 0, max = 99",
            "\"string\", pattern = \"[A-\"",
            "p.toml:24:",
            "without look-around",
        ),
        (
            "\"float\", min = 0, max = 99",
            "\"bool\", one_of = [1]",
            "p.toml:24:",
            "values of the argument's type",
        ),
        (
            "write = [{ point = \"job\", value = \"args.value\" }]",
            "write = []",
            "p.toml:26:",
            "nothing is written",
        ),
        ("\"args.value\", within", "\"args.value +\", within", "p.toml:27:", "known are the points"),
        ("within = \"3s\"", "within = \"2h\"", "p.toml:27:", "at most 1h"),
        ("within = \"3s\"", "within = \"3s\", tolerance = -1", "p.toml:27:", "a number from 0"),
        (
            "within = \"3s\"",
            "within = \"3s\", refused = \"item.exec == 'ACTIVE'\"",
            "p.toml:27:",
            "not at items",
        ),
        ("${job}", "${jab}", "p.toml:16:", "there is no parameter `jab`"),
        ("default = 10600", "default = 1", "p.toml:7:", "out of range"),
        ("fast = \"200ms\"", "fast = \"soon\"", "p.toml:8:", "no period"),
    ] {
        let found = findings(from, to);
        let is_told = found.iter().any(|finding| finding.starts_with(place) && finding.contains(words));
        assert!(is_told, "{to}: {place} {words} is not among {found:#?}");
    }
}

#[test]
fn a_bit_that_a_point_has_not_is_no_alarm() {
    let with = |bit: u32| {
        let point = "word = { addr = \"Q600 700\", type = \"u16\", group = \"fast\" }\n[items]\n";
        let item = format!(
            "alarms = {{ at = \"Controller\", type = \"LOGIC_PROGRAM\", bits = \"word\", table = [{{ bit = {bit}, level = \"FAULT\" }}] }}\n"
        );
        findings("[items]\n", &format!("{point}{item}"))
    };
    assert_eq!(with(15), [""; 0]);
    let found = with(16);
    assert!(found.iter().any(|finding| finding.contains("there is no bit 16")), "{found:#?}");
}

#[test]
fn two_ways_to_a_value_are_one_too_many_and_none_is_too_few() {
    assert!(findings("from = \"x\",", "from = \"x\", value = \"x\",")[0].contains("from and value"));
    assert!(findings("from = \"x\", ", "")[0].contains("nothing says where"));
}

#[test]
fn the_schema_knows_every_protocol_with_its_points() {
    let schema = schema();
    let text = schema.to_string();
    for driver in crate::protocols::DRIVERS {
        assert!(text.contains(&format!("\"const\":\"{}\"", driver.kind())), "{}", driver.kind());
        for key in driver.config_keys().iter().chain(driver.point_keys()) {
            assert!(text.contains(&format!("\"{key}\"")), "{}: {key}", driver.kind());
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(cut in 0_usize..2_000, text in "[a-z\\[\\]{}=\"'.,$ \n]{0,12}") {
        let mut at = cut.min(PROFILE.len());
        while !PROFILE.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = PROFILE.split_at(at);
        checked(&format!("{head}{text}{tail}"));
        checked(&format!("{head}{text}"));
    }
}
