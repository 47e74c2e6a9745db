//! `guideway opcua`: who is let in at the OPC UA server.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;

use super::{DataDir, EXIT_CONFIGURATION, colour, print, say};
use crate::config::{self, Configuration, Gateway, Report};
use crate::control::password;
use crate::northbound::opcua::security::trust::{self, Entry};
use crate::northbound::opcua::security::{Certificate, Pki};

/// Passwords that are shorter get a remark.
const SHORT: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let a client in: trust its certificate.
    ///
    /// A client that connects for the first time is refused, and its certificate is kept among the
    /// rejected ones. Look at them with `guideway opcua trust`, compare the fingerprint with what the
    /// client shows of its own certificate, and let it in with `guideway opcua trust FINGERPRINT`. The
    /// running gateway takes it up at once; the client only has to connect again.
    #[command(verbatim_doc_comment)]
    Trust {
        /// The first digits of a rejected certificate's fingerprint, a file with a certificate (DER or
        /// PEM), or `all` for every rejected one. Without it: the rejected and the trusted ones are
        /// listed.
        #[arg(value_name = "FINGERPRINT|FILE|all")]
        which: Option<String>,

        #[command(flatten)]
        place: Place,
    },

    /// Let a client in no more.
    ///
    /// Its certificate goes back among the rejected ones. Sessions that it has open stay open until
    /// it connects anew; restart the gateway to end them.
    Untrust {
        /// The first digits of a trusted certificate's fingerprint, a file with that certificate, or
        /// `all`.
        #[arg(value_name = "FINGERPRINT|FILE|all")]
        which: String,

        #[command(flatten)]
        place: Place,
    },

    /// Make the hash of a password, for `password` in `[[opcua.users]]`.
    ///
    /// Asks for the password twice, or reads one line when standard input is not a terminal. Prints
    /// an argon2id hash: from it nobody gets the password back, so it may stand in the configuration.
    Hash,

    /// Show the server's own certificate, which clients have to trust.
    Certificate {
        /// Make it anew, with the same key, for the names that the configuration says now. Clients have
        /// to trust the new one. The gateway takes it up when it starts.
        #[arg(long)]
        renew: bool,

        #[command(flatten)]
        place: Place,
    },
}

/// Where keys and certificates are. Run it as the user that the gateway runs as.
#[derive(Debug, clap::Args)]
struct Place {
    /// The gateway's configuration, which says where keys and certificates are.
    #[arg(long, value_name = "FILE", default_value = "guideway.toml", conflicts_with = "pki_dir")]
    config: PathBuf,

    /// The folder itself, such as guideway-data/demo/opcua for the demo's.
    #[arg(long, value_name = "FOLDER", conflicts_with = "data_dir")]
    pki_dir: Option<PathBuf>,

    #[command(flatten)]
    data: DataDir,
}

impl Place {
    /// The configuration; `None` when a folder was named instead.
    fn configuration(&self) -> anyhow::Result<Option<Configuration>> {
        if self.pki_dir.is_some() {
            return Ok(None);
        }
        match config::load(&self.config) {
            Ok((configuration, _)) => Ok(Some(configuration)),
            Err(findings) => {
                say(Report { findings }.render(colour()).trim_end());
                bail!("name the gateway's configuration with --config, or the folder with --pki-dir")
            }
        }
    }

    fn pki(&self, configuration: Option<&Configuration>) -> Pki {
        if let Some(folder) = &self.pki_dir {
            return Pki::at(folder);
        }
        let gateway = Gateway::default();
        let gateway = configuration.map_or(&gateway, |configuration| &configuration.gateway);
        let options = configuration.and_then(|configuration| configuration.opcua.clone()).unwrap_or_default();
        options.pki(&self.data.resolve(gateway))
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Hash => hash(),
        Command::Trust { which, place } => {
            let Some(pki) = found(place) else { return Ok(ExitCode::from(EXIT_CONFIGURATION)) };
            match which {
                None => print(listing(&pki)?.trim_end()),
                Some(which) => {
                    for certificate in chosen(which, &pki.rejected(), "rejected")? {
                        trust::trust(&pki, &certificate).with_context(|| writing(&pki))?;
                        print(&format!("trusted: {}", one_line(&certificate)));
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Untrust { which, place } => {
            let Some(pki) = found(place) else { return Ok(ExitCode::from(EXIT_CONFIGURATION)) };
            for certificate in chosen(which, &pki.trusted(), "trusted")? {
                trust::reject(&pki, &certificate).with_context(|| writing(&pki))?;
                print(&format!("no longer trusted: {}", one_line(&certificate)));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Certificate { renew, place } => certificate(*renew, place),
    }
}

/// The folder; what was wrong has been said when there is none.
fn found(place: &Place) -> Option<Pki> {
    match place.configuration() {
        Ok(configuration) => Some(place.pki(configuration.as_ref())),
        Err(error) => {
            say(&format!("guideway: {error:#}"));
            None
        }
    }
}

fn writing(pki: &Pki) -> String {
    format!("cannot write to {}; run this as the user that the gateway runs as", pki.folder().display())
}

/// The certificates that are meant.
fn chosen(which: &str, folder: &Path, kind: &str) -> anyhow::Result<Vec<Certificate>> {
    if Path::new(which).is_file() {
        let certificate = Certificate::read(Path::new(which));
        return Ok(vec![certificate.map_err(|why| anyhow::anyhow!("{which} {why}"))?]);
    }
    let entries = trust::list(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    if entries.is_empty() {
        bail!("there is no {kind} certificate in {}", folder.display());
    }
    if which == "all" {
        return Ok(entries.into_iter().map(|entry| entry.certificate).collect());
    }
    let wanted: String =
        which.chars().filter(|c| !":- ".contains(*c)).collect::<String>().to_ascii_lowercase();
    if wanted.is_empty() || !wanted.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("`{which}` is no file, and no fingerprint; `guideway opcua trust` lists them");
    }
    let matching = entries.into_iter().filter(|entry| entry.certificate.fingerprint().starts_with(&wanted));
    let matching: Vec<Entry> = matching.collect();
    match matching.as_slice() {
        [] => bail!("no {kind} certificate has a fingerprint that begins with {which}"),
        [one] => Ok(vec![one.certificate.clone()]),
        more => {
            let lines: Vec<_> = more.iter().map(|entry| one_line(&entry.certificate)).collect();
            bail!("{} certificates begin with {which}; give more digits:\n{}", more.len(), lines.join("\n"))
        }
    }
}

fn one_line(certificate: &Certificate) -> String {
    format!("{}  {}", certificate.fingerprint(), certificate.subject())
}

fn listing(pki: &Pki) -> anyhow::Result<String> {
    let mut text = String::new();
    for (title, folder) in [("rejected", pki.rejected()), ("trusted", pki.trusted())] {
        let entries = trust::list(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        // Writing to a string does not fail.
        let _ = writeln!(text, "{title} ({}), in {}", entries.len(), folder.display());
        for Entry { certificate, .. } in &entries {
            let uri = certificate.application_uri();
            let uri = if uri.is_empty() { "no application URI".to_owned() } else { uri };
            let _ = writeln!(text, "  {}", certificate.fingerprint());
            let _ = writeln!(text, "      {}", certificate.subject());
            let _ = writeln!(text, "      {uri}, until {}", day(certificate));
        }
        if title == "rejected" && !entries.is_empty() {
            let _ = writeln!(
                text,
                "  `guideway opcua trust FINGERPRINT` lets one in; the first digits are enough"
            );
        }
    }
    Ok(text)
}

/// The day on which it ends, and whether that has been.
fn day(certificate: &Certificate) -> String {
    let until = certificate.valid_until();
    let text = until.to_string();
    let day = text.split('T').next().unwrap_or_default();
    let ended = until < guideway_contract::Timestamp::now();
    if ended { format!("{day} (that has been)") } else { day.to_owned() }
}

fn certificate(renew: bool, place: &Place) -> anyhow::Result<ExitCode> {
    let configuration = match place.configuration() {
        Ok(configuration) => configuration,
        Err(error) => {
            say(&format!("guideway: {error:#}"));
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    let pki = place.pki(configuration.as_ref());
    let path = pki.certificate();
    let certificate = if renew {
        let Some(configuration) = &configuration else {
            bail!("--renew needs --config: it says for which names the certificate is made");
        };
        let options = configuration.opcua.clone().unwrap_or_default();
        let made = pki.renew(&options, &configuration.gateway.name())?;
        say("made a new certificate; restart the gateway, and let the clients trust it");
        made
    } else if path.exists() {
        Certificate::read(&path).map_err(|why| anyhow::anyhow!("{} {why}", path.display()))?
    } else {
        bail!("there is no {}; it is made when the gateway first starts, or with --renew", path.display());
    };
    let ended = if certificate.holds(guideway_contract::Timestamp::now()) { "" } else { " (not now)" };
    print(&format!(
        "file         {}\nfingerprint  {}\nsubject      {}\napplication  {}\nhosts        {}\n\
         valid        {} to {}{ended}\nkey          RSA, {} bits",
        path.display(),
        certificate.fingerprint(),
        certificate.subject(),
        certificate.application_uri(),
        certificate.hosts().join(", "),
        certificate.valid_from(),
        certificate.valid_until(),
        certificate.key_bits(),
    ));
    Ok(ExitCode::SUCCESS)
}

fn hash() -> anyhow::Result<ExitCode> {
    let terminal = std::io::stdin().is_terminal();
    let password = if terminal {
        let first = ask("Password: ")?;
        if ask("Once more: ")? != first {
            bail!("the two are not the same");
        }
        first
    } else {
        line()?
    };
    if password.is_empty() {
        bail!("the password is empty");
    }
    if password.chars().count() < SHORT {
        say(&format!("note: it has fewer than {SHORT} characters"));
    }
    print(&password::hash(&password).map_err(anyhow::Error::msg)?);
    if terminal {
        say("Put it into [[opcua.users]] as `password`, in quotes.");
    }
    Ok(ExitCode::SUCCESS)
}

/// One line of standard input, without its end.
fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks at the terminal; what is typed is not shown.
#[expect(clippy::print_stderr, reason = "a question has no end of line")]
fn ask(question: &str) -> anyhow::Result<String> {
    eprint!("{question}");
    let hidden = Hidden::start();
    let answer = line();
    drop(hidden);
    eprintln!();
    answer
}

/// While it lives, the terminal does not show what is typed.
struct Hidden {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Hidden {
    #[cfg(unix)]
    fn start() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(mut hidden) = before.clone() {
            hidden.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &hidden);
        }
        Self { before }
    }

    #[cfg(not(unix))]
    fn start() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
