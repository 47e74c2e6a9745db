//! The command line.

mod check;
mod demo;
mod opcua;
mod replay;
mod run;
mod service;
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
/// Reads machines (SHDR), keeps everything in one durable journal, and shows it as an MTConnect
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

    /// Look over a configuration without touching the network.
    ///
    /// Reports every finding at once, with its place and its cure. Exit status: 0 when the
    /// gateway would start (warnings are allowed), 78 when it would not.
    Check(check::Arguments),

    /// Three simulated machines, with every face on, and no file needed.
    ///
    /// A mill, a lathe and a robot cell are served over real SHDR sockets; the gateway reads them
    /// and shows them over HTTP (port 5000), in OPC UA (port 4840) and over MQTT (a broker of its
    /// own, or yours).
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
