//! The command line.

mod audit;
mod browse;
mod check;
mod control;
mod coverage;
mod demo;
mod import;
mod machine;
mod opcua;
mod profiles;
mod record;
mod replay;
mod run;
mod service;
mod tap;
mod trial;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Gateway, Log, LogFormat};
use crate::telemetry::logs;

/// The configuration is wrong (`EX_CONFIG` of sysexits.h); trying again does not help.
const EXIT_CONFIGURATION: u8 = 78;

/// The gateway between machines and their digital twins.
///
/// Reads machines in their own protocols, keeps everything in one durable journal, and shows it as an MTConnect
/// agent over HTTP, in OPC UA and over MQTT. Try `guideway demo` first: it needs nothing.
#[derive(Debug, Parser)]
#[command(name = "guideway", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// What is logged: error, warn, info, debug or trace, or a filter such as
    /// `info,guideway::journal=debug`. Default: what the configuration says, else info.
    #[arg(long, global = true, value_name = "LEVEL", env = "GUIDEWAY_LOG")]
    log: Option<String>,

    /// How log lines look. Default: what the configuration says, else text.
    #[arg(long, global = true, value_name = "text|json", value_parser = log_format)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway with a configuration: guideway.toml, or the reference agent's agent.cfg.
    ///
    /// Ends within five seconds on SIGTERM or Ctrl-C. Exit status: 0 after a stop, 78 when the
    /// configuration is wrong, 1 for anything else.
    Run(run::Arguments),

    /// Look over a configuration or a device profile without touching the network.
    ///
    /// Reports every finding at once, with its place and its cure. Exit status: 0 when the
    /// gateway would start (warnings are allowed), 78 when it would not.
    Check(check::Arguments),

    /// Eight simulated machines of six protocols, with every face on, and no file needed.
    ///
    /// A mill, a lathe and a robot cell speak SHDR; a Haas mill its Q commands, a power meter Modbus, a
    /// press S7, a robot OPC UA, a probe text. The gateway reads them and shows them over HTTP (port
    /// 5000), in OPC UA (port 4840) and over MQTT (a broker of its own, or yours).
    Demo(demo::Arguments),

    /// Play recordings as SHDR adapters, for a gateway (or any agent) to connect to.
    ///
    /// Each file is served on a port of its own, from its first line, to each client.
    Replay(replay::Arguments),

    /// Watch a running gateway from outside, and compare what its faces say.
    ///
    /// For every data item the sequence of (value, source time, availability) has to be the same on all
    /// faces that are named. What comes over HTTP is what the others are compared with; without an HTTP URL
    /// it is what comes over MQTT. Over MQTT the layouts `entity`, `uns` and `mtconnect` are understood,
    /// whichever are found. Exit status: 0 when all say the same, 1 when they do not or cannot be
    /// watched.
    ///
    /// Example: guideway verify http://cell-7:5000 opc.tcp://cell-7:4840 mqtt://broker --for 1m
    Verify(Box<verify::Arguments>),

    /// Who is let in at the OPC UA server: client certificates, passwords, the server's certificate.
    Opcua(opcua::Arguments),

    /// The trail of everything that was asked of machines: show it, and look whether it is whole.
    Audit(audit::Arguments),

    /// Commands to machines: the panic switch, keys, and signed requests.
    ///
    /// `guideway control off` stops all control at once, and for as long as nobody writes `guideway control
    /// on`, also across restarts. Run it as the user that the gateway runs as.
    Control(control::Arguments),

    /// The device profiles that ship, and the schema that editors use for your own.
    Profiles(profiles::Arguments),

    /// Look at what a machine offers: an OPC UA tree, Logix tags, ADS symbols, registers, an agent's
    /// items, a broker's topics.
    ///
    /// Examples:
    ///   guideway browse opc.tcp://plc:4840 --depth 4
    ///   guideway browse 'modbus://meter:502?unit=3&range=input:0-80'
    ///   guideway browse eip://10.0.0.7 --draft > my-cell.toml
    #[command(verbatim_doc_comment)]
    Browse(browse::Arguments),

    /// Make a profile of a KEPServerEX tag list: a device's tags as CSV, or a project as JSON.
    ///
    /// Addresses, types, scan rates, access and linear scaling become points; what cannot be taken over stands
    /// as a comment with the reason. The draft is printed and can be checked and tried as it is.
    ///
    /// Examples:
    ///   guideway import press.csv --kind modbus > press.toml
    ///   guideway import plant.json --device Channel1.Press > press.toml
    ///   guideway check press.toml; guideway try press.toml 10.0.0.5
    ///
    /// Exit status: 0 when at least one tag was taken, 1 when none was or the file cannot be read.
    #[command(verbatim_doc_comment)]
    Import(import::Arguments),

    /// Connect to one machine with a profile, and show each point: raw, value, observation.
    ///
    /// Example: guideway try haas-ngc-mill 10.0.0.5 --param job_macro=10601
    ///
    /// Exit status: 0 when every point was read, 1 when one was not.
    Try(trial::Arguments),

    /// Watch the live observations of a running gateway.
    ///
    /// Example: guideway tap http://cell-7:5000 --path '//DataItem[@type="EXECUTION"]'
    Tap(tap::Arguments),

    /// Record the raw values of a machine into a file.
    ///
    /// The address `replay:FILE` plays it in the machine's place: with `guideway try`, or as a device's
    /// `address` in guideway.toml; `replay:FILE?speed=10&loop` plays it faster and again.
    Record(record::Arguments),

    /// What ISO 23247 asks of a gateway, what answers it here, and what the tests show of it.
    ///
    /// A row for each functional entity and requirement that concerns the data collection and
    /// device control entity, made of a report of the tests and never by hand: passed (all of its
    /// tests did), passed in part (they did, and do not show everything), failed, not run, not
    /// shown (no test shows it). Rows of other entities are not applicable. Without a report
    /// nothing is passed. The texts of the clauses were not read: this is coverage and no
    /// conformance. docs/iso23247.md says more.
    ///
    /// Examples:
    ///   scripts/test && guideway coverage
    ///   guideway coverage --results junit.xml --format markdown > coverage.md
    ///   guideway coverage --strict --format json | jq '.counts'
    ///
    /// Exit status: 0; 1 when a report cannot be read, or with --strict when a named test did not
    /// pass.
    #[command(verbatim_doc_comment)]
    Coverage(coverage::Arguments),
}

/// Where the journal is kept.
#[derive(Debug, clap::Args)]
struct DataDir {
    /// Where the journal is kept. Default: what the configuration says, else $STATE_DIRECTORY
    /// (set by systemd), else guideway-data in the working directory.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl DataDir {
    fn resolve(&self, gateway: &Gateway) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| gateway.data_dir())
    }
}

/// Does what the command line says. The exit status is 0, 78 for a wrong configuration, 2 for a
/// wrong command line, 1 for anything else.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let logging = Logging { level: arguments.log, format: arguments.log_format };
    let result = match arguments.command {
        Command::Run(run) => run::run(&run, &logging),
        Command::Check(check) => return check::run(&check),
        Command::Demo(demo) => demo::run(demo, &logging),
        Command::Replay(replay) => replay::run(&replay, &logging),
        Command::Verify(verify) => verify::run(*verify, &logging),
        Command::Opcua(opcua) => opcua::run(&opcua),
        Command::Audit(audit) => audit::run(&audit),
        Command::Control(control) => control::run(&control),
        Command::Profiles(profiles) => return profiles::run(&profiles),
        Command::Browse(browse) => browse::run(&browse, &logging),
        Command::Import(import) => import::run(&import),
        Command::Try(trial) => trial::run(&trial, &logging),
        Command::Tap(tap) => tap::run(&tap, &logging),
        Command::Record(record) => record::run(&record, &logging),
        Command::Coverage(coverage) => coverage::run(&coverage),
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            say(&format!("guideway: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The command line's wishes about logs; the configuration's hold where it has none.
struct Logging {
    level: Option<String>,
    format: Option<LogFormat>,
}

impl Logging {
    fn start(&self, log: &Log) -> anyhow::Result<()> {
        let filter = self.level.clone().unwrap_or_else(|| logs::filter(log));
        logs::start(&filter, self.format.unwrap_or(log.format), log.file.as_deref())
            .map_err(anyhow::Error::msg)
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    guideway_contract::duration::parse(text).ok_or_else(|| "write a duration such as 500ms, 10s or 5m".into())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("write text or json".into()),
    }
}

/// Writes to the terminal. A terminal that is gone is no reason to stop.
#[expect(clippy::print_stderr, reason = "this is where the command line speaks to its user")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Writes what the command was asked for to standard output.
fn print(text: &str) {
    use std::io::Write as _;
    // `guideway check | head` closes the pipe early; that is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Whether standard error is a terminal that shows colours.
fn colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("guideway").build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_command_line_wins_over_the_configuration() {
        let gateway = Gateway { data_dir: Some("there".into()), ..Gateway::default() };
        let named = DataDir { data_dir: Some("here".into()) };
        assert_eq!(named.resolve(&gateway), PathBuf::from("here"));
        assert_eq!(DataDir { data_dir: None }.resolve(&gateway), PathBuf::from("there"));
    }
}
