//! `guideway control`: the panic switch, keys, and signed requests.

mod request;
mod switch;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;

use super::{print, say};
use crate::control::key::{self, SigningKey};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stop all control at once.
    ///
    /// Nothing is carried out from then on, until `guideway control on`; also after a restart. A command
    /// that is running is not undone: its release steps are still written. Works while the gateway runs and
    /// while it does not, and with a configuration that is wrong, as long as it says where the data is.
    Off {
        #[command(flatten)]
        place: switch::Place,

        /// Why, for those who find it.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },

    /// Let control go on.
    On {
        #[command(flatten)]
        place: switch::Place,
    },

    /// Say whether control is on; if not, since when, by whom and why.
    ///
    /// Exit status: 0 when it is on, 3 when it is off, 1 when that cannot be told.
    Status {
        #[command(flatten)]
        place: switch::Place,
    },

    /// Make a secret or a key for a `[[control.requester]]`.
    ///
    /// Without an option a secret is printed: 32 random bytes as base64url, for `secret`. Both sides have
    /// to know it. With a key pair the gateway knows the public key only.
    Keygen {
        /// Write a new Ed25519 private key to FILE, which its owner alone can read, and the public key
        /// beside it to FILE.pub, for `public_key`.
        #[arg(long, value_name = "FILE", conflicts_with = "public")]
        ed25519: Option<PathBuf>,

        /// Print the public key that belongs to the private key in FILE (Ed25519 or P-256, PKCS #8).
        #[arg(long, value_name = "FILE")]
        public: Option<PathBuf>,
    },

    /// Sign a request, and print it: what is sent over MQTT or HTTP.
    ///
    /// Example: guideway control sign --as scheduler --secret-env KEY --gateway cell-7 Mill-1 set_job value=12
    #[command(verbatim_doc_comment)]
    Sign(request::Request),

    /// Sign a request, send it to a running gateway over HTTP, and print the answer.
    ///
    /// Exit status: 0 when the command is done, 1 otherwise.
    ///
    /// Example: guideway control request http://cell-7:5000 --as scheduler --secret-env KEY --gateway cell-7
    ///     Mill-1 set_job value=12
    #[command(verbatim_doc_comment)]
    Request {
        /// The gateway, with `http = true` in its `[control]`.
        #[arg(value_name = "URL")]
        url: String,

        #[command(flatten)]
        request: request::Request,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Off { place, reason } => switch::off(place, reason),
        Command::On { place } => switch::on(place),
        Command::Status { place } => switch::status(place),
        Command::Keygen { ed25519: Some(file), .. } => pair(file),
        Command::Keygen { public: Some(file), .. } => {
            let flaw = |flaw: key::Flaw| anyhow!("{} {flaw}", file.display());
            print(SigningKey::file(file).map_err(flaw)?.public().map_err(flaw)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Keygen { .. } => {
            print(&key::new_secret().map_err(anyhow::Error::msg)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Sign(request) => {
            print(&request.signed()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Request { url, request } => request.send(url),
    }
}

fn pair(file: &Path) -> anyhow::Result<ExitCode> {
    write_pair(file)?;
    let public = public_of(file);
    print(&format!("{}\n{}", file.display(), public.display()));
    say(&format!("Keep {} with who signs, and name {} as `public_key`.", file.display(), public.display()));
    Ok(ExitCode::SUCCESS)
}

/// Where the public key of a private one is.
pub(super) fn public_of(file: &Path) -> PathBuf {
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    public.into()
}

/// Writes a key pair; never over one that is there.
pub(super) fn write_pair(file: &Path) -> anyhow::Result<()> {
    let public = public_of(file);
    for path in [file, &public] {
        if path.symlink_metadata().is_ok() {
            bail!("{} is there already; name another file", path.display());
        }
    }
    let private = key::new_ed25519().map_err(anyhow::Error::msg)?;
    let text = SigningKey::pem(private.as_bytes()).and_then(|key| key.public());
    let text = text.map_err(|flaw| anyhow!("the new key {flaw}"))?;
    write_new(file, &private, 0o600)?;
    write_new(&public, &text, 0o644)
}

fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let _ = mode;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}
