//! A cell with commands, as a foreign Modbus peer: what the tests of control need.

use std::path::Path;

/// The profile of the cell.
pub const PROFILE: &str = r#"
schema = 1
id = "cell"
version = "1.0.0"
groups = { fast = "30ms", once = "connect" }
[adapter]
kind = "modbus"
timeout = "2s"
[enums]
exec = { 0 = "READY", 1 = "ACTIVE", 2 = "STOPPED", _ = "UNAVAILABLE" }
estop = { true = "ARMED", false = "TRIGGERED" }
[points]
exec = { addr = "holding:0", type = "u16", group = "fast" }
estop = { addr = "coil:1", type = "bool", group = "fast" }
alarm = { addr = "holding:2", type = "u16", group = "fast" }
old = { addr = "holding:3", type = "u16", group = "once" }
relay = { addr = "coil:10", type = "bool", access = "rw", group = "fast" }
level = { addr = "holding:10", type = "i16", scale = 0.1, access = "rw", group = "fast" }
job = { addr = "holding:20", type = "u16", access = "rw", group = "fast" }
name = { addr = "holding:40", type = "string[16]", access = "rw", group = "fast" }
cmd = { addr = "holding:30", type = "u16", access = "w" }
ack = { addr = "holding:31", type = "u16", group = "fast" }
result = { addr = "holding:32", type = "u16", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
exec = { at = "Controller/Path[path]", type = "EXECUTION", from = "exec", enum = "exec" }
estop = { at = "Controller", type = "EMERGENCY_STOP", from = "estop", enum = "estop" }
system = { at = "Controller", type = "SYSTEM", condition = [{ when = "alarm != 0", level = "FAULT", code = "A{alarm}", text = "Guard open" }] }
old = { at = "Controller", type = "LINE_NUMBER", from = "old" }
relay = { at = "Systems/Electric", type = "POWER_STATE.CONTROL", value = 'relay ? "ON" : "OFF"' }
level = { at = "Systems/Coolant", type = "FILL_LEVEL", units = "PERCENT", from = "level" }
job = { at = "Controller/Path[path]", type = "PART_NUMBER", from = "job" }
program = { at = "Controller/Path[path]", type = "PROGRAM", from = "name" }

# A relay that is read back.
[commands.relay]
about = "Switches the relay"
risk = "motion"
args = { on = { type = "bool", about = "Whether it is on" } }
require = 'item.exec != "ACTIVE" && item.estop == "ARMED" && item.system != "FAULT"'
max_age = "10s"
write = [{ point = "relay", value = "args.on" }]
verify = { point = "relay", equals = "args.on", within = "10s" }

# A setpoint with a scale, bound to its variable.
[commands.set_level]
risk = "setpoint"
args = { level = { type = "float", min = 0, max = 100, units = "PERCENT" } }
write = [{ point = "level", value = "args.level" }]
verify = { point = "level", equals = "args.level", within = "10s", tolerance = 0.05 }
bind = "level"

# A program is selected by name and number, with strobe and echo.
[commands.load]
risk = "program"
args = { name = { type = "string", max_len = 16, pattern = "[A-Z0-9]+" }, job = { type = "int", min = 1, max = 999 } }
require = 'item.exec == "READY" && item.system == "NORMAL"'
max_age = "10s"
write = [{ point = "name", value = "args.name" }, { point = "job", value = "args.job" }, { point = "cmd", value = "11" }]
verify = { point = "ack", equals = "11", within = "1s", refused = "result != 0" }
finally = [{ point = "cmd", value = "0" }]

# What is looked at is read once only, and so is soon too old.
[commands.stale]
risk = "setpoint"
require = "number(item.old) >= 0.0"
max_age = "500ms"
write = [{ point = "job", value = "1" }]

# Not permitted by any instance of the tests.
[commands.secret]
risk = "motion"
write = [{ point = "relay", value = "true" }]

# One of these, of a list.
[commands.pick]
risk = "setpoint"
args = { which = { type = "string", one_of = ["A", "B"] }, count = { type = "int", one_of = [1, 2] } }
write = [{ point = "job", value = "args.count" }]
"#;

/// Writes the profile into a folder.
pub fn write(folder: &Path) {
    std::fs::write(folder.join("cell.toml"), PROFILE).unwrap();
}

/// The same with a handshake that is waited for long enough to look what goes on meanwhile, also where much else does.
pub fn write_patient(folder: &Path) {
    let profile = PROFILE.replace("within = \"1s\"", "within = \"8s\"");
    std::fs::write(folder.join("cell.toml"), profile).unwrap();
}

/// An instance of the cell, with all commands permitted but one.
pub fn device(name: &str, port: u16) -> String {
    format!(
        "[[device]]\nname = \"{name}\"\nprofile = \"./cell.toml\"\naddress = \"127.0.0.1:{port}\"\n\
         commands = [\"relay\", \"set_level\", \"load\", \"stale\", \"pick\"]\n"
    )
}

/// What a peer has to be told for the cell to be ready: idle, armed, without an alarm; echo as told.
pub const READY: [&str; 5] = [
    "set 1 holding 0 0",
    "set 1 coil 1 true",
    "set 1 holding 2 0",
    "set 1 holding 30 0 0 0",
    "set 1 coil 10 false",
];
