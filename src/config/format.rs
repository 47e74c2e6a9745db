//! Which of the two formats a file is in.

use std::path::Path;

use super::source::Source;

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `guideway.toml`.
    Toml,
    /// The reference agent's `agent.cfg`.
    AgentCfg,
}

/// The format by the file's extension, else by what is in it; else why it is neither, and the cure.
pub(super) fn of(source: &Source) -> Result<Format, (String, String)> {
    let extension = source.path().extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("toml") => return Ok(Format::Toml),
        Some("cfg") => return Ok(Format::AgentCfg),
        _ => {}
    }
    by_content(source.text()).ok_or_else(|| refusal(source.path(), source.text()))
}

fn by_content(text: &str) -> Option<Format> {
    let text = text.trim_start();
    if text.starts_with(['<', '{']) {
        return None;
    }
    if toml::de::DeTable::parse(text).is_ok() {
        return Some(Format::Toml);
    }
    // The first line that is neither blank nor a comment tells them apart: tables are in brackets
    // here, blocks in braces there.
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.clone().any(|line| line.starts_with('[') && line.ends_with(']')) {
        return Some(Format::Toml);
    }
    let block = lines.clone().any(|line| line.ends_with('{') || line == "}");
    (block || lines.all(|line| line.contains('='))).then_some(Format::AgentCfg)
}

fn refusal(path: &Path, text: &str) -> (String, String) {
    let what = format!("`{}` is neither a guideway.toml nor an agent.cfg", path.display());
    let cure = match text.trim_start().chars().next() {
        Some('<') => "an XML file is named in a configuration: `[model] devices = [\"Devices.xml\"]`",
        Some('{') => "the JSON form of agent.cfg is not read; write it as `Key = value` and blocks in braces",
        _ => "give it the extension .toml or .cfg",
    };
    (what, cure.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(path: &str, text: &str) -> Option<Format> {
        of(&Source::new(path, text)).ok()
    }

    #[test]
    fn the_extension_decides() {
        assert_eq!(format("a.TOML", "Adapters {"), Some(Format::Toml));
        assert_eq!(format("agent.cfg", "[x]"), Some(Format::AgentCfg));
    }

    #[test]
    fn without_one_the_content_decides() {
        assert_eq!(format("guideway", "# x\n[gateway]\nname = \"a\"\n"), Some(Format::Toml));
        assert_eq!(format("guideway", "[gateway]\nname = oops\n"), Some(Format::Toml));
        assert_eq!(format("conf", "Port = 5000 # x\nAdapters {\n}\n"), Some(Format::AgentCfg));
        assert_eq!(format("conf", "Devices = /etc/Devices.xml\n"), Some(Format::AgentCfg));
    }

    #[test]
    fn what_is_neither_is_refused_with_a_cure() {
        let refused = |text| of(&Source::new("x", text)).expect_err("neither").1;
        assert!(refused("<MTConnectDevices/>").contains("devices"));
        assert!(refused("{\"Port\": 5000}").contains("JSON"));
        assert!(refused("hello").contains(".toml"));
    }
}
