//! What the types cannot say: ranges, names, addresses, files.

use std::sync::Arc;

use super::configuration::Configuration;
use super::finding::Findings;
use super::places::Places;
use super::source::Source;

/// Puts what is wrong with a configuration into `findings`.
pub(super) fn validate(
    configuration: &Configuration,
    places: &Places,
    source: &Arc<Source>,
    findings: &mut Findings,
) {
    for (index, adapter) in configuration.adapters.shdr.iter().enumerate() {
        let path = places.path_of("adapter.shdr", index);
        for (key, what) in adapter.config.findings() {
            let what = format!("adapter {:?}: {key} {what}", adapter.common.name);
            findings.error(source, places.of(&format!("{path}.{key}")), what, "");
        }
    }
    if configuration.adapters.shdr.is_empty() && !places.has("adapter") {
        let cure = "add `[[adapter.shdr]]` with the host of a machine's adapter";
        findings.warning(source, 0..0, "no adapters: no data will come in", cure);
    }
}
