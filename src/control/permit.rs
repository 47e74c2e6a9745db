//! Who may ask for what: roles, devices, commands, faces, days and hours. What no permit covers is not allowed.

use std::collections::BTreeMap;

use guideway_contract::Timestamp;
use jiff::tz::TimeZone;
use smol_str::SmolStr;

use super::options::{Options, Permit};
use super::request::{Face, Requester};
use super::when::When;

/// Stands for every device that permits something, and for every command that the device permits.
pub const ALL: &str = "*";

/// The faces that a permit can speak of.
pub const FACES: [Face; 4] = [Face::Http, Face::Mqtt, Face::OpcUa, Face::Interface];

/// The permits of a configuration.
#[derive(Clone, Debug)]
pub struct Permits {
    zone: TimeZone,
    rules: Vec<Rule>,
    roles: BTreeMap<SmolStr, Vec<SmolStr>>,
}

#[derive(Clone, Debug)]
struct Rule {
    role: SmolStr,
    devices: Vec<SmolStr>,
    commands: Vec<SmolStr>,
    faces: Vec<SmolStr>,
    when: When,
}

impl Permits {
    /// Days and hours are those of `zone`; see [`system_zone`].
    ///
    /// # Errors
    /// The first permit whose days, hours or faces cannot be read.
    pub fn new(options: &Options, zone: TimeZone) -> Result<Self, String> {
        let mut rules = Vec::with_capacity(options.permit.len());
        for (index, permit) in options.permit.iter().enumerate() {
            let refuse =
                |field: &str, why: String| format!("[control]: permit {}: {field}: {why}", index + 1);
            let when = permit.when().map_err(|(field, why)| refuse(field, why))?;
            if let Some(face) = permit.faces.iter().find(|face| !is_face(face)) {
                return Err(refuse("faces", format!("there is no face `{face}`")));
            }
            let Permit { role, devices, commands, faces, .. } = permit.clone();
            rules.push(Rule { role, devices, commands, faces, when });
        }
        let roles =
            options.requester.iter().map(|requester| (requester.name.clone(), requester.roles.clone()));
        Ok(Self { zone, rules, roles: roles.collect() })
    }

    /// The roles that `[[control.requester]]` gives to that name; none to one that is not there.
    pub fn roles_of(&self, name: &str) -> Vec<SmolStr> {
        self.roles.get(name).cloned().unwrap_or_default()
    }

    /// Whether some permit lets them ask for that command of that device now. `device` is the device's name.
    ///
    /// # Errors
    /// What is missing, for people.
    pub fn covers(
        &self,
        requester: &Requester,
        device: &str,
        command: &str,
        now: Timestamp,
    ) -> Result<(), String> {
        let face = requester.face.as_str();
        let who = who(requester);
        let now = jiff::Timestamp::from_nanosecond(i128::from(now.nanos()));
        let Ok(now) = now.map(|now| now.to_zoned(self.zone.clone()).datetime()) else {
            return Err("the clock is wrong".into());
        };
        let names = |names: &[SmolStr], name: &str| names.iter().any(|it| it == ALL || it == name);
        let asked = || {
            let mine = self.rules.iter().filter(|rule| requester.roles.contains(&rule.role));
            mine.filter(|rule| names(&rule.devices, device) && names(&rule.commands, command))
        };
        let here = || asked().filter(|rule| rule.faces.is_empty() || rule.faces.iter().any(|it| it == face));
        if here().any(|rule| rule.when.holds(now)) {
            return Ok(());
        }
        if let Some(rule) = here().next() {
            let zone = self.zone.iana_name().map(|zone| format!(" ({zone})")).unwrap_or_default();
            let now = now.strftime("%a %H:%M");
            return Err(format!(
                "the permit of `{}` for `{command}` of `{device}` holds {}, and it is {now} here{zone}",
                rule.role, rule.when
            ));
        }
        if let Some(rule) = asked().next() {
            let faces = rule.faces.join(", ");
            return Err(format!(
                "{who} may ask for `{command}` of `{device}` through {faces} only, not through {face}"
            ));
        }
        Err(format!("no permit lets {who} ask for `{command}` of `{device}`"))
    }
}

/// `"anna" (operator)`
fn who(requester: &Requester) -> String {
    match requester.roles.as_slice() {
        [] => format!("{:?}, who has no role,", requester.name),
        roles => format!("{:?} ({})", requester.name, roles.join(", ")),
    }
}

/// Whether permits can speak of it.
pub fn is_face(name: &str) -> bool {
    FACES.iter().any(|face| face.as_str() == name)
}

/// The system's time zone; UTC where the system does not say.
pub fn system_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or_else(|error| {
        tracing::warn!(%error, "the system's time zone is not known; the hours of permits are those of UTC");
        TimeZone::UTC
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::options::RequesterOptions;

    fn options() -> Options {
        toml::from_str(
            "[[requester]]\nname = 'scheduler'\nroles = ['scheduling', 'night']\n\
             [[permit]]\nrole = 'scheduling'\ndevices = ['Mill-1', 'Mill-2']\ncommands = ['set_job']\n\
             [[permit]]\nrole = 'operator'\ndevices = ['*']\ncommands = ['feed_hold']\nfaces = ['opcua']\n\
             [[permit]]\nrole = 'engineer'\ndevices = ['*']\ncommands = ['*']\ndays = 'mon-fri'\nhours = '06:00-22:00'\n\
             [[permit]]\nrole = 'void'\ndevices = []\ncommands = ['*']\n",
        )
        .unwrap()
    }

    fn requester(face: Face, roles: &[&str]) -> Requester {
        Requester { name: "anna".into(), face, roles: roles.iter().map(SmolStr::new).collect() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// A Monday.
    const DAY: &str = "2026-11-23T12:00:00Z";

    fn covers(face: Face, roles: &[&str], device: &str, command: &str, time: &str) -> Result<(), String> {
        let permits = Permits::new(&options(), TimeZone::UTC).unwrap();
        permits.covers(&requester(face, roles), device, command, at(time))
    }

    #[test]
    fn a_permit_covers_what_it_names() {
        for (face, roles, device, command) in [
            (Face::Http, &["scheduling"][..], "Mill-1", "set_job"),
            (Face::Mqtt, &["other", "scheduling"], "Mill-2", "set_job"),
            (Face::OpcUa, &["operator"], "anything", "feed_hold"),
            (Face::Interface, &["engineer"], "Mill-1", "whatever"),
        ] {
            assert_eq!(covers(face, roles, device, command, DAY), Ok(()), "{roles:?}");
        }
    }

    #[test]
    fn what_no_permit_names_is_not_allowed_and_it_is_said_what_is_missing() {
        for (face, roles, device, command, time, why) in [
            (Face::Http, &[][..], "Mill-1", "set_job", DAY, "\"anna\", who has no role,"),
            (Face::Http, &["scheduler"], "Mill-1", "set_job", DAY, "no permit lets \"anna\" (scheduler)"),
            (Face::Http, &["Scheduling"], "Mill-1", "set_job", DAY, "no permit"),
            (Face::Http, &["scheduling"], "mill-1", "set_job", DAY, "no permit"),
            (Face::Http, &["scheduling"], "Mill-3", "set_job", DAY, "ask for `set_job` of `Mill-3`"),
            (Face::Http, &["scheduling"], "Mill-1", "start", DAY, "no permit"),
            (Face::Http, &["scheduling"], "*", "set_job", DAY, "no permit"),
            (Face::Http, &["scheduling"], "Mill-1", "*", DAY, "no permit"),
            (
                Face::Http,
                &["scheduling", "operator"],
                "Mill-1",
                "feed_hold",
                DAY,
                "through opcua only, not through http",
            ),
            (Face::Local, &["operator"], "Mill-1", "feed_hold", DAY, "not through local"),
            (Face::Http, &["void"], "Mill-1", "set_job", DAY, "no permit"),
            (
                Face::Http,
                &["engineer"],
                "Mill-1",
                "x",
                "2026-11-22T12:00:00Z",
                "holds mon-fri 06:00-22:00, and it is Sun 12:00",
            ),
            (Face::Http, &["engineer"], "Mill-1", "x", "2026-11-23T05:59:59Z", "it is Mon 05:59 here (UTC)"),
            (Face::Http, &["engineer"], "Mill-1", "x", "2026-11-23T22:00:00Z", "it is Mon 22:00"),
        ] {
            let said = covers(face, roles, device, command, time).unwrap_err();
            assert!(said.contains(why), "{roles:?} {device} {command}: {said}");
        }
    }

    #[test]
    fn hours_are_those_of_the_zone_in_summer_and_winter() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let permits = Permits::new(&options(), berlin).unwrap();
        let covers = |time| permits.covers(&requester(Face::Http, &["engineer"]), "a", "b", at(time)).is_ok();
        assert!(covers("2026-11-23T05:00:00Z") && !covers("2026-11-23T04:59:59Z"));
        assert!(covers("2026-07-06T04:00:00Z") && !covers("2026-07-06T03:59:59Z"));
        assert!(covers("2026-11-23T20:59:59Z") && !covers("2026-11-23T21:00:00Z"));
        // Friday's evening in Berlin is still Friday; Sunday's late evening in UTC is Monday there, before six.
        assert!(!covers("2026-11-22T23:30:00Z"));
    }

    #[test]
    fn roles_come_by_name() {
        let permits = Permits::new(&options(), TimeZone::UTC).unwrap();
        assert_eq!(permits.roles_of("scheduler"), ["scheduling", "night"]);
        assert!(permits.roles_of("anna").is_empty() && permits.roles_of("").is_empty());
    }

    #[test]
    fn without_permits_nobody_may_anything() {
        let mut options = Options::default();
        options.requester.push(RequesterOptions { roles: vec!["*".into()], ..RequesterOptions::default() });
        let permits = Permits::new(&options, TimeZone::UTC).unwrap();
        let said = permits.covers(&requester(Face::OpcUa, &["*", "engineer"]), "a", "b", at(DAY));
        assert!(said.unwrap_err().contains("no permit"));
    }

    #[test]
    fn a_permit_that_cannot_be_read_keeps_control_from_starting() {
        for (key, value, why) in [
            ("days", "'monday'", "permit 1: days: `monday` is no day"),
            ("hours", "'6-22'", "permit 1: hours: `6-22`"),
            ("faces", "['htpp']", "permit 1: faces: there is no face `htpp`"),
        ] {
            let options: Options =
                toml::from_str(&format!("[[permit]]\nrole = 'a'\n{key} = {value}\n")).unwrap();
            let said = Permits::new(&options, TimeZone::UTC).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
