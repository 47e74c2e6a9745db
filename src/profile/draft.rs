//! A profile to start from: everything that browsing found or a tag list said, as points and one data set.

use std::collections::BTreeMap;

use guideway_contract::{Access, Found};

/// How many characters a name has at most, but for the number that makes it unique.
const MOST_NAME: usize = 40;

/// The text of a profile for machines of that protocol. It can be checked and tried as it is; what the points mean
/// is for a person to say. `settings` are keys of `[adapter]` with their values as TOML writes them.
pub fn draft(kind: &str, address: &str, settings: &[(String, String)], found: &[Found]) -> String {
    let points = found.iter().filter(|entry| !entry.folder || entry.data_type.is_some()).map(|entry| {
        let mut note: Vec<String> = [entry.label.as_str(), entry.note.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(comment)
            .collect();
        if !entry.value.is_empty() {
            note.push(format!("was {}", comment(&entry.value)));
        }
        if !entry.units.is_empty() {
            note.push(format!("in {}", comment(&entry.units)));
        }
        DraftPoint {
            label: entry.label.clone(),
            address: entry.address.to_string(),
            group: "fast".into(),
            data_type: entry.data_type.map(|data_type| data_type.to_string()).unwrap_or_default(),
            access: if entry.writable { Access::ReadWrite } else { Access::Read },
            note: note.join("; "),
            ..DraftPoint::default()
        }
    });
    let groups = [("fast", "500ms"), ("slow", "10s"), ("once", "connect")];
    Draft {
        head: vec![
            format!(
                "A draft of what was found at {}. Give the items their places and types, take away what is not",
                comment(address)
            ),
            format!("needed, then: guideway check THIS.toml; guideway try THIS.toml {}", comment(address)),
        ],
        kind: kind.to_owned(),
        settings: settings.to_vec(),
        groups: groups.map(|(name, period)| (name.to_owned(), period.to_owned())).to_vec(),
        points: points.collect(),
    }
    .text()
}

/// A profile to start from, before it is text.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Comments on top.
    pub(super) head: Vec<String>,
    /// The protocol.
    pub(super) kind: String,
    /// Further keys of `[adapter]`, with their values as TOML writes them.
    pub(super) settings: Vec<(String, String)>,
    /// How often points are read, by group.
    pub(super) groups: Vec<(String, String)>,
    /// The points.
    pub(super) points: Vec<DraftPoint>,
}

/// A point of a draft.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftPoint {
    /// What people call it; its name is made of that, or of the address.
    pub(super) label: String,
    /// Its native address.
    pub(super) address: String,
    /// One of the groups.
    pub(super) group: String,
    /// As a profile writes it; nothing or `auto` where the protocol says it.
    pub(super) data_type: String,
    /// Whether it is read, written or both.
    pub(super) access: Access,
    /// Factor of its number.
    pub(super) scale: Option<f64>,
    /// What is added to its number after scaling.
    pub(super) offset: Option<f64>,
    /// The protocol's own keys, with their values as TOML writes them.
    pub(super) own: Vec<(&'static str, String)>,
    /// What it is.
    pub(super) about: String,
    /// A comment at the end of its line.
    pub(super) note: String,
    /// Why the point stands as a comment.
    pub(super) left_out: Option<String>,
}

impl Draft {
    /// The text of the profile.
    pub(super) fn text(&self) -> String {
        let mut names = BTreeMap::new();
        let named: Vec<(String, &DraftPoint)> =
            self.points.iter().map(|point| (name(point, &mut names), point)).collect();
        let taken = || named.iter().filter(|(_, point)| point.left_out.is_none());
        let width = taken().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for line in &self.head {
            text.push_str(format!("# {}", plain_line(line)).trim_end());
            text.push('\n');
        }
        let groups: Vec<String> =
            self.groups.iter().map(|(name, period)| format!("{name} = {}", quoted(period))).collect();
        text.push_str(&format!(
            "schema = 1\n\
             id = \"my-machine\"\n\
             version = \"1.0.0\"\n\
             vendor = \"\"\n\
             model = \"\"\n\
             description = \"\"\n\
             groups = {{ {} }}\n\n\
             [adapter]\n\
             kind = {}\n",
            groups.join(", "),
            quoted(&self.kind)
        ));
        for (key, value) in &self.settings {
            text.push_str(&format!("{key} = {value}\n"));
        }
        text.push_str("\n[points]\n");
        for (name, point) in &named {
            let entry = point.entry();
            let note = if point.note.is_empty() { String::new() } else { format!("  # {}", point.note) };
            match &point.left_out {
                None => text.push_str(&format!("{name:width$} = {entry}{note}\n")),
                Some(why) => {
                    text.push_str(&format!("# {}: not taken: {}\n", comment(&point.label), plain_line(why)));
                    text.push_str(&format!("# {name} = {entry}{note}\n"));
                }
            }
        }
        let entries: Vec<String> = taken()
            .filter(|(_, point)| point.access.reads())
            .map(|(name, _)| format!("{name} = \"{name}\""))
            .collect();
        if !entries.is_empty() {
            text.push_str(
                "\n# Everything in one data set, until it has items of its own:\n\
                 [items.variables]\nat = \"Controller\"\ntype = \"VARIABLE\"\n[items.variables.entries]\n",
            );
            text.push_str(&entries.join("\n"));
            text.push('\n');
        }
        text.push_str(
            "\n[items]\n\
             avail = { at = \".\", type = \"AVAILABILITY\", value = \"link\" }\n\
             # Items look like these:\n\
             # exec  = { at = \"Controller/Path[path]\", type = \"EXECUTION\", value = 'running ? \"ACTIVE\" : \"READY\"' }\n\
             # x_act = { at = \"Axes/Linear[X]\", type = \"POSITION.ACTUAL\", units = \"MILLIMETER\", from = \"x\" }\n",
        );
        text
    }
}

impl DraftPoint {
    /// The point as TOML writes it.
    fn entry(&self) -> String {
        let mut keys =
            vec![format!("addr = {}", quoted(&self.address)), format!("group = {}", quoted(&self.group))];
        if !self.data_type.is_empty() && self.data_type != "auto" {
            keys.push(format!("type = {}", quoted(&self.data_type)));
        }
        match self.access {
            Access::Read => {}
            Access::Write => keys.push("access = \"w\"".into()),
            Access::ReadWrite => keys.push("access = \"rw\"".into()),
        }
        for (key, number) in [("scale", self.scale), ("offset", self.offset)] {
            keys.extend(number.map(|number| format!("{key} = {}", toml::Value::Float(number))));
        }
        keys.extend(self.own.iter().map(|(key, value)| format!("{key} = {value}")));
        if !self.about.is_empty() {
            // `${name}` stands for a parameter of the profile.
            keys.push(format!("about = {}", quoted(&comment(&self.about).replace("${", "$ {"))));
        }
        format!("{{ {} }}", keys.join(", "))
    }
}

/// A name that expressions can use: the label or as much of its end as is not too long, with what makes it unique.
/// `names` has every name that was given, with the number that comes next.
fn name(point: &DraftPoint, names: &mut BTreeMap<String, usize>) -> String {
    let label = if point.label.is_empty() { point.address.as_str() } else { point.label.as_str() };
    let short = word(label);
    let name =
        if names.contains_key(&short) && point.label != point.address { word(&point.address) } else { short };
    let mut unique = name.clone();
    while names.contains_key(&unique) {
        let number = names.entry(name.clone()).or_insert(2);
        unique = format!("{name}_{number}");
        *number += 1;
    }
    names.insert(unique.clone(), 2);
    unique
}

fn word(text: &str) -> String {
    let mut rest = text;
    let mut word = snake(rest);
    // Groups in front are what can best be done without.
    while word.len() > MOST_NAME
        && let Some((_, after)) = rest.split_once('.')
        && !snake(after).is_empty()
    {
        rest = after;
        word = snake(rest);
    }
    let word: String = word.chars().take(MOST_NAME).collect();
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && !super::read::is_reserved(&word)
        && !CEL_WORDS.contains(&word.as_str());
    if is_word { word } else { format!("p_{word}") }
}

/// Words that expressions keep to themselves (Common Expression Language, Syntax: RESERVED).
const CEL_WORDS: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

fn snake(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_ascii_alphanumeric() {
            true => name.push(c.to_ascii_lowercase()),
            false if name.is_empty() || name.ends_with('_') => {}
            false => name.push('_'),
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    name
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A text that fits into a line, cut where it is long.
pub(super) fn comment(text: &str) -> String {
    plain_line(text).chars().take(80).collect()
}

fn plain_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::reading::Source;

    fn found(address: &str, label: &str, data_type: &str) -> Found {
        Found {
            address: address.into(),
            label: label.into(),
            note: "a \"note\"\nin two lines".into(),
            data_type: Some(data_type.parse().unwrap()),
            units: "mm".into(),
            value: "1".into(),
            writable: true,
            folder: false,
        }
    }

    #[test]
    fn a_draft_can_be_checked_as_it_is() {
        let found = [
            found("holding:0", "Speed", "u16"),
            found("holding:1", "Speed", "u16"),
            found("coil:3", "true", "bool"),
            found("holding:2", "3D Wert \"x\"", "f32"),
        ];
        let settings = [("unit".to_owned(), "7".to_owned())];
        let text = draft("modbus", "plc:502", &settings, &found);
        assert!(text.contains("kind = \"modbus\"\nunit = 7\n"), "{text}");
        let (report, machine) = super::super::check(&Arc::new(Source::new("draft.toml", text.as_str())));
        assert!(report.is_ok(), "{}\n{text}", report.render(false));
        assert_eq!(machine.expect("a machine").mapping.points().len(), 4);
    }

    #[test]
    fn a_name_is_what_expressions_can_use_and_nobody_else_has() {
        let mut names = BTreeMap::new();
        let mut named = |label: &str| {
            name(
                &DraftPoint { label: label.into(), address: label.into(), ..DraftPoint::default() },
                &mut names,
            )
        };
        assert_eq!(named("Motor 1.Speed"), "motor_1_speed");
        assert_eq!(named("Motor 1.Speed"), "motor_1_speed_2");
        assert_eq!(named("motor_1_speed_2"), "motor_1_speed_2_2");
        assert_eq!(named("for"), "p_for");
        assert_eq!(named("1st"), "p_1st");
        assert_eq!(named("Äö"), "p_");
        assert_eq!(
            named("Building7.Line12.Station3.Robot2.Axis1.ActualPosition"),
            "station3_robot2_axis1_actualposition"
        );
    }
}
