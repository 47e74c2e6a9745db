//! `guideway verify`.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{Logging, print, say};
use crate::config::{Log, duration};
use crate::verify::{self, Difference, MqttLogin, OpcUaLogin, Options, Progress, Report};

/// Most differences that are shown of one face.
const MOST_SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Two or more faces of one gateway: http://host:5000, opc.tcp://host:4840, mqtt://host:1883.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,

    /// How long the faces are watched. Ctrl-C ends it earlier, and compares what was seen.
    #[arg(long = "for", default_value = "30s", value_name = "TIME", value_parser = parse_duration)]
    time: Duration,

    /// Compare as soon as so many observations have come.
    #[arg(long, default_value_t = 2_000_000, value_name = "COUNT")]
    observations: usize,

    /// How long a face may take to say what another one has said.
    #[arg(long, default_value = "15s", value_name = "TIME", value_parser = parse_duration)]
    patience: Duration,

    /// OPC UA: log in with this name; the password is taken from --password or GUIDEWAY_PASSWORD.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// OPC UA: the password. Better put it into the environment, where others do not see it.
    #[arg(long, env = "GUIDEWAY_PASSWORD", hide_env_values = true, requires = "user")]
    password: Option<String>,

    /// OPC UA: log in with this certificate, DER or PEM.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "user")]
    certificate: Option<PathBuf>,

    /// OPC UA: the certificate's key, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,

    /// OPC UA: the only security policy to use, such as Basic256Sha256. Default: the best one offered.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// OPC UA: take the server's certificate as it is, whoever signed it.
    #[arg(long)]
    trust: bool,

    /// OPC UA: this program's own key and certificate, made when they are first needed, and the
    /// certificates of servers that it trusts.
    #[arg(long, value_name = "FOLDER", default_value = "guideway-verify")]
    pki: PathBuf,

    /// MQTT: log in with this name; the password is taken from GUIDEWAY_MQTT_PASSWORD.
    #[arg(long, value_name = "NAME")]
    mqtt_user: Option<String>,

    /// MQTT: authorities that sign the broker's certificate, PEM. Default: the system's.
    #[arg(long, value_name = "FILE")]
    mqtt_ca: Option<PathBuf>,

    /// MQTT: what is subscribed to; may be given more than once.
    #[arg(long = "topic", value_name = "FILTER", default_value = "#")]
    topics: Vec<String>,
}

pub(super) fn run(arguments: Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    // What the client libraries log about connections is of no use to who reads the table.
    if logging.level.is_some() {
        logging.start(&Log::default())?;
    }
    let options = arguments.options()?;
    let line = Line { to_terminal: std::io::stderr().is_terminal() };
    let show = |progress| line.show(progress);
    let report = super::runtime()?.block_on(async {
        let enough = CancellationToken::new();
        let stopped = enough.clone();
        tokio::spawn(async move {
            // Without signals it ends when the time is over.
            if tokio::signal::ctrl_c().await.is_ok() {
                stopped.cancel();
            }
        });
        verify::run(&options, &enough, &show).await
    });
    line.clear();
    let report = report?;
    print(table(&report).trim_end());
    Ok(if report.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Arguments {
    fn options(self) -> anyhow::Result<Options> {
        let mqtt_password = std::env::var("GUIDEWAY_MQTT_PASSWORD").unwrap_or_default();
        let user = match (self.user, self.password) {
            (Some(name), password) => {
                Some((name, password.context("--user wants a password: put it into GUIDEWAY_PASSWORD")?))
            }
            (None, _) => None,
        };
        Ok(Options {
            urls: self.urls,
            time: self.time,
            observations: self.observations,
            patience: self.patience,
            opcua: OpcUaLogin {
                user,
                certificate: self.certificate.zip(self.key),
                pki: self.pki,
                trust: self.trust,
                policy: self.policy,
            },
            mqtt: MqttLogin {
                user: self.mqtt_user.map(|name| (name, mqtt_password)),
                ca: self.mqtt_ca,
                topics: self.topics,
            },
        })
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write a time with its unit, such as 30s or 5m".into())
}

/// The line of progress: one that keeps itself up to date on a terminal, few lines elsewhere.
struct Line {
    to_terminal: bool,
}

impl Line {
    fn show(&self, progress: Progress) {
        let text = match progress {
            Progress::Connecting(url) => format!("connecting to {url}"),
            Progress::Watching { faces } => format!("watching {faces} faces"),
            Progress::Seen { observations, left } if self.to_terminal => {
                format!("watching: {observations} observations, {} s left", left.as_secs())
            }
            Progress::Seen { .. } => return,
            Progress::Settling => "comparing".into(),
        };
        if self.to_terminal {
            let mut terminal = std::io::stderr().lock();
            // A terminal that is gone is no reason to stop.
            let _ = write!(terminal, "\r\x1b[K{text}").and_then(|()| terminal.flush());
        } else {
            say(&text);
        }
    }

    fn clear(&self) {
        if self.to_terminal {
            let mut terminal = std::io::stderr().lock();
            let _ = write!(terminal, "\r\x1b[K").and_then(|()| terminal.flush());
        }
    }
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    let Report { master, items, observations, rows } = report;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{master}: {items} data items, {observations} observations. Compared with it:\n");
    let width = rows.iter().map(|row| row.face.len()).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "{:<width$}  {:>8}  {:>12}  {:>11}  {:>8}",
        "face", "items", "equal", "differences", "lost"
    );
    for row in rows {
        let it = &row.comparison;
        let _ = writeln!(
            out,
            "{:<width$}  {:>8}  {:>12}  {:>11}  {:>8}",
            row.face,
            it.items,
            it.observations,
            it.differences.len(),
            row.lost
        );
    }
    for row in rows {
        if row.lost > 0 {
            let _ = writeln!(
                out,
                "\n{}: the server lost values for this client {} times, because more came between two \
                 notifications than a queue holds. Raise [opcua.limits] queue, or watch a calmer time.",
                row.face, row.lost
            );
        }
        if row.comparison.skipped > 0 {
            let _ = writeln!(
                out,
                "\n{}: {} conditions and data sets were not compared; that takes the gateway's http:// URL too.",
                row.face, row.comparison.skipped
            );
        }
        for Difference { item, master: wanted, face } in row.comparison.differences.iter().take(MOST_SHOWN) {
            let nothing = "nothing";
            let _ = writeln!(out, "\n{item}");
            let _ = writeln!(out, "  {master}\n    {}", wanted.as_deref().unwrap_or(nothing));
            let _ = writeln!(out, "  {}\n    {}", row.face, face.as_deref().unwrap_or(nothing));
        }
        if let more @ 1.. = row.comparison.differences.len().saturating_sub(MOST_SHOWN) {
            let _ = writeln!(out, "\n{}: {more} more data items differ", row.face);
        }
    }
    let verdict = if report.is_equal() { "All say the same." } else { "The faces do not say the same." };
    let _ = writeln!(out, "\n{verdict}");
    out
}
