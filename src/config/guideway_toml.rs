//! Reads `guideway.toml`.
//!
//! serde stops at the first thing that is wrong. Here each section is read again and again, each
//! time without the entry that was refused last, so that one run finds everything; the types with
//! their serde attributes stay the only place that says what is allowed.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::configuration::{Adapter, AdapterOptions, Configuration};
use super::finding::Findings;
use super::places::Places;
use super::source::Source;
use super::{MOST_TABLES, fields};
use crate::control;
use crate::northbound::opcua;
use crate::reading::{Document, Value};

const SECTIONS: [&str; 12] = [
    "gateway",
    "model",
    "device",
    "bus",
    "adapter",
    "journal",
    "mtconnect",
    "opcua",
    "mqtt",
    "control",
    "log",
    "telemetry",
];
const PROTOCOLS: [&str; 1] = ["shdr"];

/// What the file says, with all that is wrong in it put into `findings`; what is wrong is left out.
pub(super) fn read(source: &Arc<Source>, findings: &mut Findings) -> (Configuration, Places) {
    let (mut document, mut root) = Document::open(source, findings);
    document.expand_table(&mut root);
    let mut reader = Reader { document };
    let configuration = reader.configuration(&root);
    (configuration, reader.document.places)
}

pub(super) struct Reader<'a> {
    pub(super) document: Document<'a>,
}

impl Reader<'_> {
    fn configuration(&mut self, root: &DeTable<'_>) -> Configuration {
        let mut configuration = Configuration::default();
        for (key, value) in root {
            let name: &str = key.get_ref();
            match name {
                "gateway" => self.table(name, value, &mut configuration.gateway),
                "model" => self.table(name, value, &mut configuration.model),
                "journal" => self.table(name, value, &mut configuration.journal),
                "mtconnect" => self.table(name, value, &mut configuration.mtconnect),
                "log" => self.table(name, value, &mut configuration.log),
                "telemetry" => self.table(name, value, &mut configuration.telemetry),
                // Machines need to know the gateway's name, the folders of profiles and the buses.
                "device" => {}
                "bus" => self.buses(value, &mut configuration),
                "opcua" => {
                    let mut options = opcua::Options::default();
                    self.table(name, value, &mut options);
                    configuration.opcua = Some(options);
                }
                "control" => self.control(value, &mut configuration),
                "mqtt" => self.tables("mqtt", value, &mut configuration.mqtt, Self::plain),
                "adapter" => self.adapters(value, &mut configuration),
                _ => self.document.unknown("section", name, key.span(), &SECTIONS),
            }
        }
        if let Some(value) = root.get("device") {
            self.devices(value, &mut configuration);
        }
        configuration
    }

    /// `[control]`, without `[[control.mqtt]]` in it: those are the face's.
    fn control(&mut self, value: &Value<'_>, configuration: &mut Configuration) {
        let mut options = control::Options::default();
        let mut brokers = None;
        if let DeValue::Table(table) = value.get_ref() {
            let mut own = table.clone();
            brokers = own.remove("mqtt");
            let own = Spanned::new(value.span(), DeValue::Table(own));
            if let Some(read) = self.document.section("[control]", &own, &["mqtt"]) {
                options = read;
            }
        } else {
            self.table("control", value, &mut options);
        }
        configuration.control = Some(options);
        if let Some(brokers) = brokers {
            self.tables("control.mqtt", &brokers, &mut configuration.control_mqtt, Self::plain);
        }
    }

    fn adapters(&mut self, value: &Value<'_>, configuration: &mut Configuration) {
        let DeValue::Table(protocols) = value.get_ref() else {
            return self.document.error(
                value.span(),
                "`adapter` is a table of protocols",
                "write `[[adapter.shdr]]` for each source",
            );
        };
        for (key, value) in protocols {
            match &**key.get_ref() {
                "shdr" => {
                    self.tables("adapter.shdr", value, &mut configuration.adapters.shdr, Self::adapter);
                }
                // What is missing most often is the protocol's name.
                name if fields::of::<AdapterOptions>().contains(&name) || !value.get_ref().is_array() => {
                    self.document.error(
                        key.span(),
                        format!("`{name}` stands where the protocol's name is expected"),
                        "write `[[adapter.shdr]]` for each source, its keys below",
                    );
                }
                name => self.document.unknown("protocol", name, key.span(), &PROTOCOLS),
            }
        }
    }

    /// A table with one owner.
    pub(super) fn plain<T: DeserializeOwned>(&mut self, label: &str, value: &Value<'_>) -> Option<T> {
        self.document.section(label, value, &[])
    }

    /// The common part and the protocol's part of one table, each with its own keys.
    fn adapter<C: DeserializeOwned>(&mut self, label: &str, value: &Value<'_>) -> Option<Adapter<C>> {
        let DeValue::Table(table) = value.get_ref() else { return None };
        let common_keys = fields::of::<AdapterOptions>();
        let entries = table.clone().into_iter();
        let (common, own): (DeTable<'_>, DeTable<'_>) =
            entries.partition(|(key, _)| common_keys.contains(&&**key.get_ref()));
        let within = |table| Spanned::new(value.span(), DeValue::Table(table));
        let common: Option<AdapterOptions> = self.document.section(label, &within(common), &[]);
        let config: Option<C> = self.document.section(label, &within(own), common_keys);
        Some(Adapter { common: common?, config: config? })
    }

    /// `[name]`
    fn table<T: DeserializeOwned>(&mut self, name: &str, value: &Value<'_>, into: &mut T) {
        match value.get_ref() {
            DeValue::Table(_) => {
                if let Some(read) = self.document.section(&format!("[{name}]"), value, &[]) {
                    *into = read;
                }
            }
            DeValue::Array(_) => self.document.error(
                value.span(),
                format!("there is only one `{name}`"),
                format!("write `[{name}]` in single brackets, once"),
            ),
            _ => self.document.error(
                value.span(),
                format!("`{name}` is a table"),
                format!("write `[{name}]` and its keys below"),
            ),
        }
    }

    /// `[[name]]`; each table is read by `read`, which is given its label.
    pub(super) fn tables<T>(
        &mut self,
        name: &'static str,
        value: &Value<'_>,
        into: &mut Vec<T>,
        mut read: impl FnMut(&mut Self, &str, &Value<'_>) -> Option<T>,
    ) {
        let elements: &[Value<'_>] = match value.get_ref() {
            DeValue::Array(elements) => elements,
            _ => &[],
        };
        let cure = || format!("write `[[{name}]]` in double brackets for each one, its keys below");
        if elements.is_empty() && value.get_ref().as_array().is_none() {
            let what = format!("`{name}` is a list of tables");
            self.document.error(value.span(), what, cure());
        }
        for (index, element) in elements.iter().enumerate() {
            if index == MOST_TABLES {
                let what = format!("more than {MOST_TABLES} tables `{name}`");
                self.document.error(element.span(), what, "spread them over several gateways");
                break;
            }
            match element.get_ref() {
                DeValue::Table(table) => {
                    if let Some(read) = read(self, &label_of(name, table, index), element) {
                        self.document.places.element(name, format!("{name}[{index}]"));
                        into.push(read);
                    }
                }
                _ => {
                    let what = format!("`{name}` is a list of tables");
                    self.document.error(element.span(), what, cure());
                }
            }
        }
    }
}

/// `mqtt "plant"`, or `mqtt 2` for one without a name.
fn label_of(name: &str, table: &DeTable<'_>, index: usize) -> String {
    let called = ["name", "host", "url"].iter().find_map(|key| table.get(*key)?.get_ref().as_str());
    let name = if name.starts_with("adapter.") { "adapter" } else { name };
    match called {
        Some(called) => format!("{name} {called:?}"),
        None => format!("{name} {}", index + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Configuration, Vec<String>) {
        let source = Arc::new(Source::new("g.toml", text));
        let mut findings = Findings::default();
        let (configuration, _) = read(&source, &mut findings);
        (configuration, findings.sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_keys_of_an_adapter_go_to_the_gateway_and_to_its_protocol() {
        let (read, findings) =
            read_text("[[adapter.shdr]]\nhost = 'mill'\ndevices = ['Mill']\nupcase = false\n");
        assert_eq!(findings, [""; 0]);
        assert_eq!(read.adapters.shdr[0].config, guideway_shdr::Config::new("mill", 7878));
        assert_eq!(read.adapters.shdr[0].common.devices, ["Mill"]);
        assert!(!read.adapters.shdr[0].common.upcase);
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let text = r#"
[gatway]
[gateway]
nmae = "x"
shutdown_timeout = 5
[journal]
buffer_size = -1
retention_bytes = "8 GiX"
[mtconnect]
port = 70000
pretty = "yes"
address = "here"
[[mtconnect.files]]
location = "/x"
[[mqtt]]
name = "plant"
layot = "uns"
layout = "unns"
[mqtt.last_will]
[[adapter.shdr]]
host = "a"
prot = 1
upcse = true
[[adapter.modbus]]
[adapter.sdhr]
"#;
        let (_, findings) = read_text(text);
        let expected = [
            "g.toml:2:2: error: unknown section `gatway` (did you mean `gateway`?)",
            "g.toml:4:1: error: [gateway]: unknown key `nmae` (did you mean `name`?)",
            "g.toml:5:20: error: [gateway]: shutdown_timeout: integer `5` where",
            "g.toml:7:15: error: [journal]: buffer_size -1 is out of range (0-4294967295)",
            "g.toml:8:19: error: [journal]: retention_bytes: ",
            "g.toml:10:8: error: [mtconnect]: port 70000 is out of range (0-65535)",
            "g.toml:11:10: error: [mtconnect]: pretty: string \"yes\" where true or false",
            "g.toml:12:11: error: [mtconnect]: address: ",
            "g.toml:13:1: error: [mtconnect]: `path` is missing",
            "g.toml:15:1: error: mqtt \"plant\": `url` is missing",
            "g.toml:17:1: error: mqtt \"plant\": unknown key `layot` (did you mean `layout`?)",
            "g.toml:18:10: error: mqtt \"plant\": layout: `unns` is not one of the choices (did you mean `uns`?)",
            "g.toml:19:1: error: mqtt \"plant\": `topic` is missing",
            "g.toml:22:1: error: adapter \"a\": unknown key `prot` (did you mean `port`?)",
            "g.toml:23:1: error: adapter \"a\": unknown key `upcse` (did you mean `upcase`?)",
            "g.toml:24:11: error: unknown protocol `modbus`",
            "g.toml:25:10: error: `sdhr` stands where",
        ];
        for (found, expected) in findings.iter().zip(expected) {
            assert!(found.starts_with(expected), "\n{found}\n{expected}\n{findings:#?}");
        }
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    }

    #[test]
    fn syntax_errors_are_found_at_once_too() {
        let (_, findings) = read_text("[gateway]\nname = \"x\n[journal]\nbuffer_size = 1 2\n");
        let places: Vec<_> = findings.iter().filter_map(|finding| finding.get(..8)).collect();
        assert_eq!(places, ["g.toml:2", "g.toml:4"], "{findings:#?}");
    }

    #[test]
    fn a_line_that_is_not_toml_is_told_once() {
        let (_, findings) = read_text("[gateway]\nshutdown_timeout = 5s\nname = 7\n");
        assert!(
            findings
                .iter()
                .filter(|finding| finding.starts_with("g.toml:2:"))
                .all(|finding| finding.contains("not TOML"))
        );
        assert!(
            findings.iter().any(|finding| finding.starts_with("g.toml:3:8: error: [gateway]: name")),
            "{findings:?}"
        );
    }

    #[test]
    fn the_label_of_a_refused_table_does_not_take_the_place_of_another() {
        let text = "[[device]]\nuuid = 'a'\n[[device]]\nname = 'b'\n";
        let source = Arc::new(Source::new("g.toml", text));
        let mut findings = Findings::default();
        let (read, places) = super::read(&source, &mut findings);
        assert_eq!(read.devices.len(), 1);
        assert_eq!(places.path_of("device", 0), "device[1]");
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error_at_its_place() {
        let (_, findings) = read_text("[gateway]\nname = \"$GUIDEWAY_SURELY_NOT_SET\"\n");
        assert!(
            findings[0].starts_with("g.toml:2:8: error: the environment has no variable"),
            "{findings:?}"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\[{0,2}(gateway|mqtt|adapter.shdr|x)\\]{0,2}|[a-z_]{1,6} ?= ?[0-9\"'\\[{$]{0,3}|\\PC{0,12}|\n){0,12}") {
            read_text(&text);
        }
    }
}
