//! A profile to start from: everything that browsing found, as points and one data set.

use std::collections::BTreeSet;

use guideway_contract::Found;

/// The text of a profile for machines of that protocol. It can be checked and tried as it is; what the points mean
/// is for a person to say.
pub fn draft(kind: &str, address: &str, found: &[Found]) -> String {
    let mut names = BTreeSet::new();
    let points: Vec<(String, &Found)> = found
        .iter()
        .filter(|entry| !entry.folder || entry.data_type.is_some())
        .map(|entry| (name(entry, &mut names), entry))
        .collect();
    let width = points.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = format!(
        "# A draft of what was found at {}. Give the items their places and types, take away what is not\n\
         # needed, then: guideway check THIS.toml; guideway try THIS.toml {}\n\
         schema = 1\n\
         id = \"my-machine\"\n\
         version = \"1.0.0\"\n\
         vendor = \"\"\n\
         model = \"\"\n\
         description = \"\"\n\
         groups = {{ fast = \"500ms\", slow = \"10s\", once = \"connect\" }}\n\n\
         [adapter]\n\
         kind = {}\n\n\
         [points]\n",
        comment(address),
        comment(address),
        quoted(kind)
    );
    for (name, entry) in &points {
        let data_type = entry.data_type.map(|data_type| data_type.to_string()).filter(|text| text != "auto");
        let data_type = data_type.map(|text| format!(", type = {}", quoted(&text))).unwrap_or_default();
        let access = if entry.writable { ", access = \"rw\"" } else { "" };
        let about = [entry.label.as_str(), entry.note.as_str()].into_iter().filter(|text| !text.is_empty());
        let mut about: Vec<String> = about.map(comment).collect();
        if !entry.value.is_empty() {
            about.push(format!("was {}", comment(&entry.value)));
        }
        if !entry.units.is_empty() {
            about.push(format!("in {}", comment(&entry.units)));
        }
        let about = if about.is_empty() { String::new() } else { format!("  # {}", about.join("; ")) };
        let address = quoted(&entry.address);
        text.push_str(&format!(
            "{name:width$} = {{ addr = {address}, group = \"fast\"{data_type}{access} }}{about}\n"
        ));
    }
    let entries: Vec<String> = points.iter().map(|(name, _)| format!("{name} = \"{name}\"")).collect();
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

/// A name that expressions can use: the last part of the label or address, with what makes it unique.
fn name(entry: &Found, names: &mut BTreeSet<String>) -> String {
    let label = if entry.label.is_empty() { entry.address.as_str() } else { entry.label.as_str() };
    let plain = |text: &str| {
        let mut name: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect();
        while name.contains("__") {
            name = name.replace("__", "_");
        }
        let name = name.trim_matches('_');
        let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !super::read::is_reserved(name);
        let name: String = name.chars().take(40).collect();
        if is_word { name } else { format!("p_{name}") }
    };
    let short = plain(label);
    let name = if names.contains(&short) { plain(&entry.address) } else { short };
    let mut unique = name.clone();
    let mut number = 2;
    while !names.insert(unique.clone()) {
        unique = format!("{name}_{number}");
        number += 1;
    }
    unique
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect()
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
        let text = draft("modbus", "plc:502", &found);
        let (report, machine) = super::super::check(&Arc::new(Source::new("draft.toml", text.as_str())));
        assert!(report.is_ok(), "{}\n{text}", report.render(false));
        assert_eq!(machine.expect("a machine").mapping.points().len(), 4);
    }
}
