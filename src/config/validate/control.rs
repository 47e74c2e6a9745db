//! `[control]`.

mod mqtt;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use smol_str::SmolStr;

use super::Check;
use crate::config::configuration::Configuration;
use crate::config::suggest;
use crate::control::key::VerifyingKey;
use crate::control::options::{Options, Permit, RequesterOptions};
use crate::control::{password, permit};
use crate::northbound::interfaces;
use crate::northbound::opcua::{Role, User};

/// What stands before every finding.
const LABEL: &str = "[control]";

/// Longest name of a requester: what the audit shows of one that is refused.
const MOST_NAME: usize = 64;

impl Check<'_> {
    pub(super) fn control(&mut self, configuration: &Configuration) {
        let Some(options) = &configuration.control else { return self.nobody_can_ask(configuration) };
        if !options.enabled {
            return;
        }
        self.control_limits(options);
        let users = users(configuration);
        for (index, requester) in options.requester.iter().enumerate() {
            self.requester(&format!("control.requester[{index}]"), requester, users);
        }
        let names = options.requester.iter().enumerate();
        self.twice(
            "control: requester",
            names.map(|(index, it)| (format!("control.requester[{index}].name"), it.name.as_str())),
        );
        self.same_keys(options);
        let mut roles = roles(options, users);
        if configuration.machines.iter().any(|machine| !machine.interfaces.is_empty()) {
            roles.insert(interfaces::ROLE);
        }
        for (index, permit) in options.permit.iter().enumerate() {
            self.permit(&format!("control.permit[{index}]"), index + 1, permit, &roles, configuration);
        }
        if options.permit.is_empty() {
            let what = format!("{LABEL}: there is no permit: nobody may ask for anything");
            self.warning("control", what, "add `[[control.permit]]` with role, devices and commands");
        }
        if options.http {
            self.http(options, configuration);
        }
    }

    /// Machines that permit commands where there is nobody who could ask for them.
    fn nobody_can_ask(&mut self, configuration: &Configuration) {
        let with: Vec<usize> = (0..configuration.devices.len())
            .filter(|index| !configuration.devices[*index].commands.is_empty())
            .collect();
        let Some(first) = with.first() else { return };
        let name = &configuration.devices[*first].name;
        let more = if with.len() > 1 { format!(" (and {} more)", with.len() - 1) } else { String::new() };
        let what = format!("device {name:?}{more}: it permits commands, and nobody can ask for them");
        let at = format!("{}.commands", self.places.path_of("device", *first));
        self.warning(&at, what, "add `[control]` with requesters and permits, or take `commands` away");
    }

    fn control_limits(&mut self, options: &Options) {
        self.range("control.burst", "[control]: burst", options.burst, 1, 1_000);
        self.range("control.per_minute", "[control]: per_minute", options.per_minute, 1, 6_000);
        let second = Duration::from_secs(1);
        for (key, value, least, most) in [
            ("max_validity", options.max_validity, second, 86_400 * second),
            ("write_timeout", options.write_timeout, second / 10, 60 * second),
        ] {
            let (at, label) = (format!("control.{key}"), format!("{LABEL}: {key}"));
            self.at_least(&at, &label, value, least);
            if value > most {
                let most = most.as_secs();
                self.error(
                    &at,
                    format!("{label} is longer than {most}s"),
                    format!("write at most \"{most}s\""),
                );
            }
        }
        if let Some(file) = &options.off_file {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                let what = format!("{LABEL}: there is no folder for `{}`", file.display());
                self.error("control.off_file", what, "make the folder: without it nobody can make the file");
            }
        }
    }

    fn requester(&mut self, at: &str, requester: &RequesterOptions, users: &[User]) {
        let label = format!("{LABEL}: requester {:?}", requester.name);
        let name = &requester.name;
        let field = |field: &str| format!("{at}.{field}");
        if name.trim() != name.as_str() || name.is_empty() || name.chars().any(char::is_control) {
            let what = format!(
                "{label}: the name is empty, or has white space around it or control characters in it"
            );
            self.error(&field("name"), what, "write a name");
        } else if name.chars().count() > MOST_NAME {
            let what = format!("{label}: the name has more than {MOST_NAME} characters");
            self.error(&field("name"), what, "write a shorter one");
        } else if requester.password.is_some() && name.contains(':') {
            let what = format!("{label}: HTTP Basic allows no `:` in a name");
            self.error(&field("name"), what, "take another name, or a secret in place of the password");
        }
        for (index, role) in requester.roles.iter().enumerate() {
            if role.trim().is_empty() {
                let what = format!("{label}: a role is empty");
                self.error(&format!("{at}.roles[{index}]"), what, "write a name that permits speak of");
            }
        }
        let user = users.iter().any(|user| user.name == name.as_str());
        if requester.roles.is_empty() && !user {
            let what = format!("{label} has no role: no permit covers it");
            self.warning(at, what, "add `roles = [\"…\"]` with roles that permits speak of");
        }
        if let Some(why) = requester.password.as_ref().and_then(|hash| password::check(hash).err()) {
            // It may be a password: it is not repeated.
            let what = format!("{label}: password: {why}");
            let cure = "passwords are kept as hashes only: write what `guideway opcua hash` prints";
            self.error(&field("password"), what, cure);
        }
        if !self.is_unset(&field("secret"), requester.secret.as_deref())
            && let Err((key, flaw)) = requester.key()
        {
            self.error(&field(key), format!("{label}: {key} {}", flaw.what), flaw.cure);
        }
        if requester.secret.is_some() && !self.written(&field("secret")).contains('$') {
            let what = format!("{label}: the secret stands in the file");
            self.warning(&field("secret"), what, "write `$NAME` and set NAME in the environment");
        }
        let RequesterOptions { secret, public_key, password, .. } = requester;
        if secret.is_none() && public_key.is_none() && password.is_none() && !user {
            let what = format!("{label}: nothing proves who it is, and [opcua] has no such user");
            self.error(
                at,
                what,
                "add `secret = \"$NAME\"` (`guideway control keygen` makes one), `public_key` or `password`",
            );
        }
    }

    /// What came out of the environment still stands in the file as `$NAME`.
    fn written(&self, at: &str) -> &str {
        self.source.text().get(self.places.of(at)).unwrap_or_default()
    }

    /// Whether a value still is the name of a variable that is not set; that has been told.
    fn is_unset(&self, at: &str, value: Option<&str>) -> bool {
        value.is_some_and(|value| {
            value.starts_with('$') && self.written(at).trim_matches(['"', '\'']) == value
        })
    }

    /// Who has the key of another one can ask in their name.
    fn same_keys(&mut self, options: &Options) {
        let mut seen: Vec<(&SmolStr, VerifyingKey)> = Vec::new();
        for (index, requester) in options.requester.iter().enumerate() {
            let Ok(Some(key)) = requester.key() else { continue };
            if let Some((other, _)) = seen.iter().find(|(_, other)| other.is(&key)) {
                let field = if requester.secret.is_some() { "secret" } else { "public_key" };
                let what =
                    format!("{LABEL}: requester {:?}: {field} is that of {other:?} too", requester.name);
                let cure = "give each its own: with one key each could ask in the other's name";
                self.error(&format!("control.requester[{index}].{field}"), what, cure);
            }
            seen.push((&requester.name, key));
        }
    }

    fn permit(
        &mut self,
        at: &str,
        number: usize,
        permit: &Permit,
        roles: &BTreeSet<&str>,
        configuration: &Configuration,
    ) {
        let label = match permit.role.as_str() {
            "" => format!("{LABEL}: permit {number}"),
            role => format!("{LABEL}: permit {number} ({role})"),
        };
        let field = |field: &str| format!("{at}.{field}");
        let role = permit.role.as_str();
        if role.is_empty() {
            self.error(at, format!("{label}: `role` is missing"), "write whom it is for");
        } else if !roles.contains(role) {
            let cure = match suggest::cure(role, roles.iter().copied()).as_str() {
                "" => "give it to a requester by `roles`, or to a user of [opcua] by `role`".to_owned(),
                cure => cure.to_owned(),
            };
            self.error(&field("role"), format!("{label}: nobody has the role `{role}`"), cure);
        }
        for (key, names) in [("devices", &permit.devices), ("commands", &permit.commands)] {
            if names.is_empty() {
                let what = format!("{label}: `{key}` names none: it permits nothing");
                self.error(at, what, format!("write `{key} = [\"NAME\"]`, or `{key} = [\"*\"]` for all"));
            }
        }
        self.permitted(at, &label, permit, configuration);
        for (index, face) in permit.faces.iter().enumerate().filter(|(_, face)| !permit::is_face(face)) {
            let faces = permit::FACES.map(|face| face.as_str());
            let what = format!("{label}: there is no face `{face}`");
            self.error(&format!("{at}.faces[{index}]"), what, suggest::cure(face, faces));
        }
        // Both may be wrong.
        for (key, days, hours) in
            [("days", permit.days.as_deref(), None), ("hours", None, permit.hours.as_deref())]
        {
            if let Err((_, why)) = crate::control::when::When::new(days, hours) {
                self.error(&field(key), format!("{label}: {key}: {why}"), "");
            }
        }
    }

    /// Whether its devices are there, and permit its commands themselves.
    fn permitted(&mut self, at: &str, label: &str, permit: &Permit, configuration: &Configuration) {
        let machines: BTreeMap<&str, &[SmolStr]> = configuration
            .devices
            .iter()
            .filter(|device| device.profile.is_some())
            .map(|device| (device.name.as_str(), device.commands.as_slice()))
            .collect();
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for (index, device) in permit.devices.iter().enumerate() {
            let at = format!("{at}.devices[{index}]");
            match machines.get(device.as_str()) {
                Some([]) => {
                    let what = format!("{label}: the device `{device}` permits no commands");
                    self.error(&at, what, "add `commands = [\"…\"]` to its [[device]]");
                }
                Some(commands) => known.extend(commands.iter().map(SmolStr::as_str)),
                None if device == permit::ALL => {
                    known.extend(machines.values().copied().flatten().map(SmolStr::as_str));
                }
                None => {
                    let what = format!("{label}: there is no device `{device}` with a profile");
                    self.error(&at, what, suggest::cure(device, machines.keys().copied()));
                }
            }
        }
        for (index, command) in permit.commands.iter().enumerate() {
            // Where no device is left, that has been told.
            if command != permit::ALL && !known.contains(command.as_str()) && !known.is_empty() {
                let what = format!("{label}: none of its devices permits a command `{command}`");
                self.error(
                    &format!("{at}.commands[{index}]"),
                    what,
                    suggest::cure(command, known.iter().copied()),
                );
            }
        }
        if known.is_empty()
            && permit.devices.iter().all(|device| device == permit::ALL)
            && !permit.devices.is_empty()
        {
            let what = format!("{label}: no device permits any command");
            self.warning(
                &format!("{at}.devices"),
                what,
                "add `commands = [\"…\"]` to a [[device]] with a profile",
            );
        }
    }

    fn http(&mut self, options: &Options, configuration: &Configuration) {
        let proves =
            |it: &RequesterOptions| it.secret.is_some() || it.public_key.is_some() || it.password.is_some();
        if !options.requester.iter().any(proves) {
            let what = format!(
                "{LABEL}: nobody can ask over HTTP: no requester has a secret, a public_key or a password"
            );
            self.error("control.http", what, "add a `[[control.requester]]`, or take `http` away");
        }
        if !configuration.mtconnect.enabled {
            let what = format!("{LABEL}: `http` has no effect: [mtconnect] is switched off");
            self.warning("control.http", what, "switch [mtconnect] on, or take `http` away");
        }
    }
}

/// Who may log in at the OPC UA server, where it runs.
fn users(configuration: &Configuration) -> &[User] {
    let opcua = configuration.opcua.as_ref().filter(|options| options.enabled);
    opcua.map_or(&[], |options| &options.users)
}

/// Every role that somebody has.
fn roles<'a>(options: &'a Options, users: &[User]) -> BTreeSet<&'a str> {
    let mut roles: BTreeSet<&str> =
        options.requester.iter().flat_map(|requester| &requester.roles).map(SmolStr::as_str).collect();
    if users.iter().any(|user| user.role >= Role::Operator) {
        roles.insert("operator");
    }
    if users.iter().any(|user| user.role >= Role::Engineer) {
        roles.insert("engineer");
    }
    roles
}

#[cfg(test)]
mod tests;
