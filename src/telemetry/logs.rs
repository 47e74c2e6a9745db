//! Logs, to standard error or to a file.

use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{Log, LogFormat};

/// The filter that a configuration asks for.
pub fn filter(log: &Log) -> String {
    let mut filter = log.level.as_str().to_owned();
    for (module, level) in &log.modules {
        filter.push_str(&format!(",{module}={}", level.as_str()));
    }
    filter
}

/// Starts logging. `filter` is `error`, `warn`, `info`, `debug`, `trace`, or a list such as
/// `info,guideway::journal=debug`. A second call changes nothing.
///
/// # Errors
/// When the filter cannot be read, or the file cannot be appended to.
pub fn start(filter: &str, format: LogFormat, file: Option<&Path>) -> Result<(), String> {
    // The MQTT crates log every packet and every failed attempt; what matters of it is logged by
    // the face itself.
    // The OPC UA crates log every connection, and as errors what clients do wrong.
    let quiet = "mqtt5=error,rumqttc_v4_next=error,rumqttc_v5_next=error,rumqttc_core_next=error,\
                 opcua_server=off,opcua_server::server=error,opcua_core=off,opcua_crypto=off,\
                 opcua_types=off,opcua_nodes=off,opcua_client=off";
    let wanted = EnvFilter::try_new(format!("{quiet},{filter}"))
        .map_err(|error| format!("`{filter}` is not a log level: {error}"))?;
    let writer = match file {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(path) => {
            let file = std::fs::File::options().create(true).append(true).open(path);
            BoxMakeWriter::new(Mutex::new(file.map_err(|error| format!("{}: {error}", path.display()))?))
        }
    };
    let to_terminal = file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(wanted).with_writer(writer);
    // An error here means that logging has been started before, by a test or by the caller.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(to_terminal).with_target(false).try_init(),
    };
    Ok(())
}
