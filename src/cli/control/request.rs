//! `guideway control sign` and `request`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use guideway_contract::Timestamp;
use serde_json::{Map, Value as Json};

use super::super::{duration, print, runtime};
use crate::control::claims::{Claims, is_id};
use crate::control::key::SigningKey;
use crate::control::token;
use crate::verify;

/// How a signed request is called (RFC 7519, 10.3.1).
const CONTENT_TYPE: &str = "application/jwt";

#[derive(Debug, clap::Args)]
#[group(skip)] // the subcommand is called so, too
pub(super) struct Request {
    /// Who asks: the name of a `[[control.requester]]`.
    #[arg(long = "as", value_name = "NAME")]
    requester: String,

    /// The variable of the environment that has the secret.
    #[arg(long, value_name = "VAR", conflicts_with = "key", required_unless_present = "key")]
    secret_env: Option<String>,

    /// A file with the private key (PEM, PKCS #8; Ed25519 or P-256).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// What the gateway is called: `name` in its `[gateway]`, else its host's name.
    #[arg(long, value_name = "NAME")]
    gateway: String,

    /// How long the request is valid.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "60s")]
    time: Duration,

    /// Names the request for ever; the same id is never acted on twice. Default: a new one.
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,

    /// Do everything but the writes.
    #[arg(long)]
    dry_run: bool,

    /// The device's name.
    #[arg(value_name = "DEVICE")]
    device: String,

    /// The command.
    #[arg(value_name = "COMMAND")]
    command: String,

    /// Arguments by name. A value that is JSON is taken as such (12, 1.5, true, "12"), any other as text.
    #[arg(value_name = "ARG=VALUE", value_parser = argument)]
    arguments: Vec<(String, Json)>,
}

impl Request {
    /// The request, signed.
    pub(super) fn signed(&self) -> anyhow::Result<String> {
        let key = self.signing_key()?;
        let mut args = Map::new();
        for (name, value) in &self.arguments {
            if args.insert(name.clone(), value.clone()).is_some() {
                bail!("the argument `{name}` is there twice");
            }
        }
        let id = self.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let time = i64::try_from(self.time.as_nanos()).unwrap_or(i64::MAX);
        let claims = Claims {
            iss: &self.requester,
            aud: &self.gateway,
            jti: &id,
            exp: Timestamp::now().shifted(time),
            device: &self.device,
            command: &self.command,
            args,
            dry_run: self.dry_run,
        };
        token::sign(&key, &claims).map_err(anyhow::Error::msg)
    }

    fn signing_key(&self) -> anyhow::Result<SigningKey> {
        if let Some(variable) = &self.secret_env {
            let secret = std::env::var(variable)
                .map_err(|_| anyhow!("the environment has no variable {variable}; set it to the secret"))?;
            return SigningKey::secret(&secret).map_err(|flaw| anyhow!("the secret in {variable} {flaw}"));
        }
        let Some(path) = &self.key else { bail!("name the secret with --secret-env, or the key with --key") };
        SigningKey::file(path).map_err(|flaw| anyhow!("{} {flaw}", path.display()))
    }

    /// Sends it, and prints the answer.
    pub(super) fn send(&self, url: &str) -> anyhow::Result<ExitCode> {
        let signed = self.signed()?;
        let target = format!("/control/{}/{}", escaped(&self.device), escaped(&self.command));
        let (status, body) = runtime()?
            .block_on(verify::post(url, &target, CONTENT_TYPE, &signed))
            .map_err(|why| anyhow!("{url}: {why}"))?;
        let answer: Json = match serde_json::from_slice(&body) {
            Ok(answer) => answer,
            Err(_) => {
                let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                bail!("{url}{target} was answered {status}: {text}")
            }
        };
        print(&serde_json::to_string_pretty(&answer)?);
        let done = answer.get("state").and_then(Json::as_str) == Some("done");
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn id(text: &str) -> Result<String, String> {
    if is_id(text) {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 64 visible ASCII characters without quotes".to_owned())
    }
}

fn argument(text: &str) -> Result<(String, Json), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// A part of a path (RFC 3986): what is not a letter, a digit or one of `-._~` by its bytes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_where_they_are_and_text_elsewhere() {
        for (text, value) in [
            ("a=12", serde_json::json!(12)),
            ("a=1.5", serde_json::json!(1.5)),
            ("a=true", serde_json::json!(true)),
            ("a=\"12\"", serde_json::json!("12")),
            ("a=O1234.nc", serde_json::json!("O1234.nc")),
            ("a=", serde_json::json!("")),
            ("a=b=c", serde_json::json!("b=c")),
            ("a=007", serde_json::json!("007")),
        ] {
            assert_eq!(argument(text), Ok(("a".to_owned(), value)), "{text}");
        }
        assert!(argument("a").is_err() && argument("=1").is_err());
    }

    #[test]
    fn names_fit_into_a_path() {
        assert_eq!(escaped("Mill-1"), "Mill-1");
        assert_eq!(escaped("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }
}
