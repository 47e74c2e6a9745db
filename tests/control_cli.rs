//! `guideway control`, as whoever stops the machines, makes keys or signs requests uses it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use guideway::control::options::{Options, RequesterOptions};
use guideway::control::switch;
use guideway::control::token::{Opened, Tokens};
use guideway_contract::Timestamp;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The gateway's program with these arguments, in that folder, as Anna.
fn guideway(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guideway"));
    command.args(["control"]).args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("STATE_DIRECTORY").env_remove("SUDO_USER").env("USER", "anna").env("JOB_KEY", SECRET);
    command
}

fn ran(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = guideway(folder, arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// What it printed; it has to succeed.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let (status, out, error) = ran(folder, arguments);
    assert_eq!(status, Some(0), "{arguments:?}: {out}{error}");
    out
}

/// Why it did not do it.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let (status, out, error) = ran(folder, arguments);
    assert!(status.is_some_and(|status| status != 0), "{arguments:?}: {out}");
    error
}

/// A folder with a configuration and the data of a gateway that has run.
fn stage(configuration: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guideway.toml"), configuration).unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/lock"), "").unwrap();
    let file = folder.path().join("data").join(switch::FILE);
    (folder, file)
}

const CONFIGURATION: &str = "[gateway]\nname = 'cell-7'\ndata_dir = 'data'\n";

#[test]
fn off_stays_off_until_on_and_says_who_and_why() {
    let (folder, file) = stage(CONFIGURATION);
    let folder = folder.path();
    assert_eq!(printed(folder, &["status"]).trim(), "control is on");
    assert_eq!(printed(folder, &["on"]).trim(), "control was on already");

    let out = printed(folder, &["off", "--reason", "spindle crash at Mill-1"]);
    assert!(out.starts_with("control is off: ") && out.contains("data/control.off"), "{out}");
    let written = switch::read(&file).expect("off");
    assert_eq!((written.by.as_str(), written.reason.as_str()), ("anna", "spindle crash at Mill-1"));
    assert!(Timestamp::now().nanos() - written.time.nanos() < 60_000_000_000);

    let (status, out, _) = ran(folder, &["status"]);
    assert_eq!(status, Some(3), "scripts see it too");
    assert!(
        out.contains("control is off since 20") && out.contains("by anna: spindle crash at Mill-1"),
        "{out}"
    );
    printed(folder, &["off"]);
    assert_eq!(switch::read(&file).unwrap().reason, "", "the last word counts");

    assert_eq!(printed(folder, &["on"]).trim(), "control is on");
    assert!(switch::read(&file).is_none());
    assert_eq!(printed(folder, &["status"]).trim(), "control is on");
}

#[test]
fn off_works_with_a_configuration_that_is_wrong_in_every_other_respect() {
    for wrong in [
        "[control]\nhtp = true\n[[control.requester]]\nname = 'a'\nsecret = '$GUIDEWAY_SURELY_NOT_SET'\n",
        "[[device]]\nprofile = 'no-such'\n[nonsense]\n",
        "[mtconnect]\nport = 70000\nx = 5s\n",
    ] {
        let (folder, file) = stage(&format!("{CONFIGURATION}{wrong}"));
        printed(folder.path(), &["off"]);
        assert!(switch::read(&file).is_some(), "{wrong}");
    }
}

#[test]
fn off_never_says_so_where_no_gateway_looks() {
    let (folder, file) = stage("[gateway]\ndata_dir = 'elsewhere'\n");
    let said = refused(folder.path(), &["off"]);
    assert!(said.contains("there is no folder") && said.contains("--data-dir"), "{said}");
    let said = refused(folder.path(), &["off", "--config", "none.toml"]);
    assert!(said.contains("none.toml") && said.contains("--data-dir"), "{said}");
    let (unset, _) = stage("[gateway]\ndata_dir = '$GUIDEWAY_SURELY_NOT_SET/x'\n");
    for arguments in [&["off"][..], &["on"], &["status"]] {
        let said = refused(unset.path(), arguments);
        assert!(said.contains("$GUIDEWAY_SURELY_NOT_SET") && said.contains("--data-dir"), "{said}");
    }
    // A folder without a journal may be the wrong one.
    std::fs::remove_file(folder.path().join("data/lock")).unwrap();
    let (status, _, said) = ran(folder.path(), &["off", "--data-dir", "data"]);
    assert!(status == Some(0) && said.contains("no journal is in this folder"), "{said}");
    assert!(switch::read(&file).is_some());
    assert!(
        refused(folder.path(), &["off", "--data-dir", "data", "--config", "guideway.toml"])
            .contains("cannot be used")
    );
}

#[test]
fn what_another_file_keeps_off_stays_off_and_is_named() {
    let (folder, _) = stage(&format!("{CONFIGURATION}[control]\noff_file = 'lamp.off'\n"));
    std::fs::write(folder.path().join("lamp.off"), "").unwrap();
    printed(folder.path(), &["off", "--reason", "both"]);
    let (status, out, _) = ran(folder.path(), &["status"]);
    assert_eq!((status, out.matches("control is off since").count()), (Some(3), 2), "{out}");
    let (status, out, _) = ran(folder.path(), &["on"]);
    assert!(status == Some(1) && out.contains("control is still off") && out.contains("lamp.off"), "{out}");
    std::fs::remove_file(folder.path().join("lamp.off")).unwrap();
    printed(folder.path(), &["status"]);
}

#[test]
fn a_secret_or_a_pair_of_keys_is_made_that_fits_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let secret = printed(folder, &["keygen"]);
    assert_eq!(secret.trim().len(), 43);
    assert_ne!(secret, printed(folder, &["keygen"]));

    let out = printed(folder, &["keygen", "--ed25519", "router.pem"]);
    assert_eq!(out, "router.pem\nrouter.pem.pub\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = folder.join("router.pem").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let public = std::fs::read_to_string(folder.join("router.pem.pub")).unwrap();
    assert_eq!(printed(folder, &["keygen", "--public", "router.pem"]), public);
    let before = std::fs::read(folder.join("router.pem")).unwrap();
    assert!(refused(folder, &["keygen", "--ed25519", "router.pem"]).contains("is there already"));
    assert_eq!(std::fs::read(folder.join("router.pem")).unwrap(), before);
    assert!(refused(folder, &["keygen", "--public", "router.pem.pub"]).contains("is no private key"));

    let router = RequesterOptions {
        name: "router".into(),
        public_key: Some(folder.join("router.pem.pub")),
        ..RequesterOptions::default()
    };
    let tokens = Tokens::new("cell-7", &Options { requester: vec![router], ..Options::default() }).unwrap();
    let signed = printed(
        folder,
        &["sign", "--as", "router", "--key", "router.pem", "--gateway", "cell-7", "Mill-1", "start"],
    );
    assert_eq!(tokens.open(signed.as_bytes()).unwrap().requester, "router");
}

fn open(signed: &str) -> Opened {
    let scheduler = RequesterOptions {
        name: "scheduler".into(),
        secret: Some(SECRET.into()),
        ..RequesterOptions::default()
    };
    let options = Options { requester: vec![scheduler], ..Options::default() };
    Tokens::new("cell-7", &options).unwrap().open(signed.as_bytes()).unwrap()
}

const SIGNER: [&str; 6] = ["--as", "scheduler", "--secret-env", "JOB_KEY", "--gateway", "cell-7"];

#[test]
fn a_request_is_signed_with_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sign = |rest: &[&str]| printed(folder.path(), &[&["sign"], &SIGNER[..], rest].concat());
    let now = Timestamp::now();
    let opened = open(&sign(&[
        "Mill-1",
        "set_job",
        "value=12",
        "name=O1 x.nc",
        "--dry-run",
        "--id",
        "j-7",
        "--for",
        "5m",
    ]));
    assert_eq!(
        (opened.device.as_str(), opened.command.as_str(), opened.id.as_str()),
        ("Mill-1", "set_job", "j-7")
    );
    assert_eq!(
        serde_json::Value::Object(opened.arguments),
        serde_json::json!({ "value": 12, "name": "O1 x.nc" })
    );
    assert!(opened.dry_run);
    let valid = opened.expires.nanos() - now.nanos();
    assert!((299_000_000_000..400_000_000_000).contains(&valid), "{valid}");
    let (one, other) = (open(&sign(&["Mill-1", "start"])), open(&sign(&["Mill-1", "start"])));
    assert!(one.id != other.id && !one.dry_run && one.arguments.is_empty());
}

#[test]
fn what_cannot_be_signed_is_told_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sign = |rest: &[&str]| refused(folder, &[&["sign"], rest].concat());
    assert!(sign(&[&SIGNER[..], &["Mill-1", "a", "v=1", "v=2"]].concat()).contains("`v` is there twice"));
    assert!(sign(&[&SIGNER[..], &["Mill-1", "a", "v"]].concat()).contains("NAME=VALUE"));
    assert!(sign(&[&SIGNER[..], &["Mill-1", "a", "--id", "a b"]].concat()).contains("visible ASCII"));
    let as_scheduler = ["--as", "scheduler", "--gateway", "cell-7", "Mill-1", "a"];
    assert!(sign(&as_scheduler).contains("--secret-env"));
    let unset = [&as_scheduler[..], &["--secret-env", "GUIDEWAY_SURELY_NOT_SET"]].concat();
    assert!(sign(&unset).contains("no variable GUIDEWAY_SURELY_NOT_SET"));
    assert!(
        sign(&[&as_scheduler[..], &["--secret-env", "USER"]].concat()).contains("has 4 bytes; at least 32")
    );
    assert!(sign(&[&as_scheduler[..], &["--key", "none.pem"]].concat()).contains("none.pem"));
}

/// Takes one request, answers it, and gives back its first line, its type and its body.
fn answering(answer: &'static str) -> (String, JoinHandle<(String, String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let value = |name: &str| {
            let header = head.iter().find_map(|line| line.strip_prefix(name));
            header.unwrap_or_default().trim().to_owned()
        };
        let mut body = vec![0; value("Content-Length:").parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        (&stream).write_all(answer.as_bytes()).unwrap();
        (head[0].clone(), value("Content-Type:"), String::from_utf8(body).unwrap())
    });
    (url, taken)
}

#[test]
fn a_request_is_sent_to_the_gateway_and_its_end_is_the_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, status, shown) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"state\":\"done\"}", Some(0), "\"state\": \"done\""),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 46\r\n\r\n{\"state\":\"rejected\",\"reason\":\"not-permitted\"}\n",
            Some(1),
            "\"reason\": \"not-permitted\"",
        ),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n", Some(1), "was answered 404: no"),
    ] {
        let (url, taken) = answering(answer);
        let arguments =
            [&["request", url.as_str()], &SIGNER[..], &["Mill 1", "set_job", "value=12"]].concat();
        let (ended, out, error) = ran(folder.path(), &arguments);
        // Where the program has not come, this lets the other side go.
        let _ = TcpStream::connect(url.trim_start_matches("http://"));
        let (line, kind, body) = taken.join().unwrap();
        assert_eq!(ended, status, "{out}{error}");
        assert!(format!("{out}{error}").contains(shown), "{out}{error}");
        assert_eq!(line, "POST /control/Mill%201/set_job HTTP/1.1");
        assert_eq!(kind, "application/jwt");
        assert_eq!(open(&body).device, "Mill 1");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let said = refused(folder.path(), &[&["request", url.as_str()], &SIGNER[..], &["Mill-1", "a"]].concat());
    assert!(said.contains(&url), "{said}");
}
