use std::path::Path;

use crate::config::{Configuration, Finding, load_text};

/// A press with two commands, of which it permits what is put in, and a meter that permits none.
const MACHINES: &str = r#"
[[device]]
name = "Press"
profile = "press.toml"
address = "127.0.0.1"
commands = ["set_job", "clear"]
[[device]]
name = "Meter"
profile = "press.toml"
address = "127.0.0.2"
"#;

const PROFILE: &str = r#"
schema = 1
id = "press"
version = "1.0.0"
vendor = "Maker"
model = "P1"
[adapter]
kind = "haas"
[points]
job = { addr = "Q600 10600", type = "f64", access = "rw" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
job_no = { at = "Controller/Path[path]", type = "LINE_NUMBER.ABSOLUTE", value = "int(job)" }
[commands.set_job]
risk = "setpoint"
args = { value = { type = "float", min = 0, max = 99 } }
write = [{ point = "job", value = "args.value" }]
verify = { point = "job", equals = "args.value", within = "3s" }
[commands.clear]
risk = "setpoint"
write = [{ point = "job", value = "0.0" }]
verify = { point = "job", equals = "0.0", within = "3s" }
"#;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn load(folder: &Path, text: &str) -> Result<(Configuration, Vec<Finding>), Vec<Finding>> {
    std::fs::write(folder.join("press.toml"), PROFILE).unwrap();
    let _ = std::fs::create_dir(folder.join("keys"));
    std::fs::write(folder.join("keys/nonsense.pem"), "nonsense").unwrap();
    load_text(&folder.join("g.toml"), text)
}

fn findings(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let found = match load(folder.path(), text) {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    };
    let shown = |it: &Finding| {
        let place = it.to_string().split(' ').next().unwrap_or_default().to_owned();
        let line = place.rsplit(':').nth(2).unwrap_or_default().to_owned();
        format!("{line}: {}: {} ({})", it.severity, it.what, it.cure)
    };
    found.iter().map(shown).collect()
}

fn expect(text: &str, parts: &[&str]) {
    let found = findings(text);
    for part in parts {
        assert!(found.iter().any(|line| line.contains(part)), "{part:?} is missing in {found:#?}");
    }
    assert_eq!(found.len(), parts.len(), "{found:#?}");
}

fn requester(name: &str, rest: &str) -> String {
    format!("[[control.requester]]\nname = '{name}'\nroles = ['scheduling']\n{rest}\n")
}

/// One that is right, with a secret out of the environment.
fn scheduler() -> String {
    // Every process has a PATH; here it is long enough.
    requester("scheduler", "secret = '$PATH$PATH$PATH$PATH'")
}

const PERMIT: &str = "[[control.permit]]\nrole = 'scheduling'\ndevices = ['Press']\ncommands = ['set_job']\n";

#[test]
fn a_configuration_that_is_right_has_no_findings() {
    let rest =
        "faces = ['http', 'mqtt', 'opcua', 'interface']\ndays = 'mon-fri,sun'\nhours = '22:00-06:00'\n";
    let text = format!(
        "[control]\nhttp = true\nmax_validity = '1m'\nburst = 1\nper_minute = 6\nwrite_timeout = '2s'\n\
         off_file = 'lamp.off'\n{}{PERMIT}{rest}{MACHINES}",
        scheduler()
    );
    assert_eq!(findings(&text), [""; 0]);
    let all = "[[control.permit]]\nrole = 'scheduling'\ndevices = ['*']\ncommands = ['*']\n";
    assert_eq!(findings(&format!("{}{all}{MACHINES}", scheduler())), [""; 0]);
}

#[test]
fn everything_is_read_and_paths_are_relative_to_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let private = crate::control::key::new_ed25519().unwrap();
    let key = crate::control::key::SigningKey::pem(private.as_bytes()).unwrap();
    std::fs::write(folder.path().join("router.pem"), key.public().unwrap()).unwrap();
    let text = format!(
        "[control]\noff_file = 'lamp.off'\n[[control.mqtt]]\nname = 'x'\nurl = 'mqtt://b'\n{}{}{PERMIT}{MACHINES}",
        requester("router", "public_key = 'router.pem'"),
        requester("anna", &format!("password = '{HASH}'")),
    );
    let (configuration, warnings) = load(folder.path(), &text).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let control = configuration.control.unwrap();
    assert_eq!(control.off_file.unwrap(), folder.path().join("lamp.off"));
    assert_eq!(control.requester[0].public_key.as_deref().unwrap(), folder.path().join("router.pem"));
    assert_eq!(control.requester[1].password.as_deref(), Some(HASH));
    assert_eq!((configuration.control_mqtt.len(), control.permit[0].role.as_str()), (1, "scheduling"));
    let (without, _) =
        load(folder.path(), "[[adapter.shdr]]\nhost = 'a'\n[model]\ndevices = ['press.toml']\n").unwrap();
    assert!(without.control.is_none());
}

#[test]
fn unknown_keys_are_found_with_their_place() {
    let text = "[control]\nhtp = true\n[[control.requester]]\nname = 'a'\nsecrte = 'x'\n\
                [[control.permit]]\nrole = 'x'\ndevice = ['a']\n[control.perm]\n";
    let found = findings(text);
    for part in [
        "2: error: [control]: unknown key `htp` (did you mean `http`?)",
        "5: error: [control]: unknown key `secrte` (did you mean `secret`?)",
        "8: error: [control]: unknown key `device` (did you mean `devices`?)",
        "9: error: [control]: unknown key `perm`",
    ] {
        assert!(found.iter().any(|line| line.starts_with(part)), "{part:?} is missing in {found:#?}");
    }
}

#[test]
fn requesters_are_looked_over() {
    let text = [
        scheduler(),
        requester("scheduler", &format!("secret = '{SECRET}'")),
        requester("short", "secret = 'spindle'"),
        requester("unset", "secret = '$GUIDEWAY_SURELY_NOT_SET'"),
        requester("same", &format!("secret = '{SECRET}'")),
        requester("missing", "public_key = 'keys/none.pem'"),
        requester("nonsense", "public_key = 'keys/nonsense.pem'"),
        requester("both", &format!("secret = '{OTHER}'\npublic_key = 'keys/none.pem'")),
        requester("plain", "password = 'spindle'"),
        requester("a:b", &format!("password = '{HASH}'")),
        requester("bare", ""),
        requester(" ", &format!("password = '{HASH}'")),
        "[[control.requester]]\nname = 'roleless'\nroles = []\npassword = '".to_owned() + HASH + "'\n",
        PERMIT.to_owned(),
        MACHINES.to_owned(),
    ];
    let text = text.concat();
    expect(
        &text,
        &[
            "6: error: control: requester \"scheduler\" is there twice, first in line 2",
            "8: warning: [control]: requester \"scheduler\": the secret stands in the file",
            "12: error: [control]: requester \"short\": secret has 7 bytes; at least 32 are needed (`guideway control keygen`",
            "12: warning: [control]: requester \"short\": the secret stands",
            "16: error: the environment has no variable `GUIDEWAY_SURELY_NOT_SET`",
            "20: error: [control]: requester \"same\": secret is that of \"scheduler\" too",
            "20: warning: [control]: requester \"same\": the secret stands",
            "24: error: [control]: requester \"missing\": public_key cannot be read",
            "28: error: [control]: requester \"nonsense\": public_key is no public key in PEM",
            "33: error: [control]: requester \"both\": public_key and secret are both there",
            "32: warning: [control]: requester \"both\": the secret stands",
            "37: error: [control]: requester \"plain\": password: it is no hash",
            "39: error: [control]: requester \"a:b\": HTTP Basic allows no `:`",
            "42: error: [control]: requester \"bare\": nothing proves who it is",
            "47: error: [control]: requester \" \": the name is empty",
            "50: warning: [control]: requester \"roleless\" has no role",
        ],
    );
    assert!(!findings(&text).concat().contains("spindle"));
}

#[test]
fn permits_are_looked_over() {
    let permit = |role: &str, devices: &str, commands: &str, rest: &str| {
        format!(
            "[[control.permit]]\nrole = '{role}'\ndevices = [{devices}]\ncommands = [{commands}]\n{rest}\n"
        )
    };
    let text = [
        scheduler(),
        permit("sheduling", "'Press'", "'set_job'", ""),
        permit("operator", "'Press'", "'set_job'", ""),
        permit("scheduling", "'Pres'", "'set_job'", ""),
        permit("scheduling", "'Meter'", "'set_job'", ""),
        permit("scheduling", "'Press'", "'set_jbo'", ""),
        permit("scheduling", "'*'", "'*', 'start'", ""),
        permit("scheduling", "", "", ""),
        permit("", "'Press'", "'*'", ""),
        permit(
            "scheduling",
            "'Press'",
            "'*'",
            "days = 'monday'\nhours = '6-22'\nfaces = ['http', 'mqt', 'local']",
        ),
        MACHINES.to_owned(),
    ];
    expect(
        &text.concat(),
        &[
            "6: error: [control]: permit 1 (sheduling): nobody has the role `sheduling` (did you mean `scheduling`?)",
            "11: error: [control]: permit 2 (operator): nobody has the role `operator` (what can stand here: `scheduling`)",
            "17: error: [control]: permit 3 (scheduling): there is no device `Pres` with a profile (did you mean `Press`?)",
            "22: error: [control]: permit 4 (scheduling): the device `Meter` permits no commands",
            "28: error: [control]: permit 5 (scheduling): none of its devices permits a command `set_jbo` (did you mean `set_job`?)",
            "33: error: [control]: permit 6 (scheduling): none of its devices permits a command `start` (what can stand here: `clear`, `set_job`)",
            "35: error: [control]: permit 7 (scheduling): `devices` names none",
            "35: error: [control]: permit 7 (scheduling): `commands` names none",
            "40: error: [control]: permit 8: `role` is missing",
            "49: error: [control]: permit 9 (scheduling): days: `monday` is no day",
            "50: error: [control]: permit 9 (scheduling): hours: `6-22`",
            "51: error: [control]: permit 9 (scheduling): there is no face `mqt` (did you mean `mqtt`?)",
            "51: error: [control]: permit 9 (scheduling): there is no face `local`",
        ],
    );
}

#[test]
fn users_of_opcua_are_requesters_and_have_roles() {
    let opcua = |role: &str| {
        format!("[opcua]\n[[opcua.users]]\nname = 'anna'\npassword = '{HASH}'\nrole = '{role}'\n")
    };
    let permit = |role: &str| {
        format!("[[control.permit]]\nrole = '{role}'\ndevices = ['Press']\ncommands = ['clear']\n")
    };
    let anna = "[[control.requester]]\nname = 'anna'\n";
    for (user, asked, fine) in [
        ("viewer", "operator", false),
        ("operator", "operator", true),
        ("operator", "engineer", false),
        ("engineer", "operator", true),
        ("engineer", "engineer", true),
    ] {
        let found = findings(&format!("{anna}{}{}{MACHINES}", permit(asked), opcua(user)));
        assert_eq!(found.is_empty(), fine, "{user} {asked}: {found:?}");
    }
    let off = opcua("operator").replace("[opcua]", "[opcua]\nenabled = false");
    let found = findings(&format!("{anna}{}{off}{MACHINES}", permit("operator")));
    assert!(found.concat().contains("nothing proves who it is"), "{found:?}");
}

#[test]
fn limits_and_files_are_looked_over() {
    let text = format!(
        "[control]\nburst = 0\nper_minute = 7000\nmax_validity = '2d'\nwrite_timeout = '10ms'\noff_file = 'no/such/off'\n{}{PERMIT}{MACHINES}",
        scheduler()
    );
    expect(
        &text,
        &[
            "2: error: [control]: burst 0 is out of range (1-1000)",
            "3: error: [control]: per_minute 7000 is out of range",
            "4: error: [control]: max_validity is longer than 86400s",
            "5: error: [control]: write_timeout is shorter than 100ms",
            "6: error: [control]: there is no folder for",
        ],
    );
}

#[test]
fn where_nobody_can_ask_that_is_told() {
    expect(MACHINES, &["6: warning: device \"Press\": it permits commands, and nobody can ask for them"]);
    expect(&format!("[control]\n{MACHINES}"), &["1: warning: [control]: there is no permit"]);
    let permit = PERMIT.replace("scheduling", "operator");
    let opcua = format!("[opcua]\n[[opcua.users]]\nname = 'anna'\npassword = '{HASH}'\nrole = 'operator'\n");
    expect(
        &format!(
            "[control]\nhttp = true\n{permit}{opcua}[mtconnect]\nenabled = false\n[telemetry]\nlisten = '127.0.0.1:1'\n{MACHINES}"
        ),
        &[
            "2: error: [control]: nobody can ask over HTTP",
            "2: warning: [control]: `http` has no effect: [mtconnect] is switched off",
        ],
    );
    let none = MACHINES.replace("commands = [\"set_job\", \"clear\"]\n", "");
    let all = PERMIT.replace("'Press'", "'*'").replace("'set_job'", "'*'");
    expect(
        &format!("{}{all}{none}", scheduler()),
        &["warning: [control]: permit 1 (scheduling): no device permits any"],
    );
}

#[test]
fn control_that_is_switched_off_is_not_looked_over() {
    assert_eq!(findings(&format!("[control]\nenabled = false\nhttp = true\nburst = 0\n{MACHINES}")), [""; 0]);
}
