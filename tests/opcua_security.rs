//! Who is let in at the OPC UA server, seen by a client and by whoever runs the gateway.

#![allow(clippy::print_stdout, reason = "a test says what it skipped")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt as _;
use opcua_client::{ClientBuilder, IdentityToken, Password, Session};
use opcua_types::{
    MessageSecurityMode as Mode, NodeId, ReadValueId, StatusCode, TimestampsToReturn, VariableId, Variant,
};
use support::eventually;
use support::gateway::{Gateway, free_port};
use support::opcua::configure;

const POLICIES: [&str; 3] = ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"];

/// The gateway's program with these arguments, in that folder.
fn guideway(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guideway"));
    command.args(arguments).current_dir(folder).env_remove("STATE_DIRECTORY").stdin(Stdio::null());
    command
}

/// What it printed; it has to succeed.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let output = guideway(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn hash(folder: &Path, password: &str) -> String {
    let file = folder.join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let mut command = guideway(folder, &["opcua", "hash"]);
    let output = command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Stage {
    gateway: Gateway,
    port: u16,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(opcua: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (http, port) = (free_port(), free_port());
        let configuration = configure(folder.path(), http, port, &opcua(folder.path()));
        let gateway = Gateway::start(&configuration, folder.path(), http);
        Self { gateway, port, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn opcua(&self, arguments: &[&str]) -> String {
        printed(self.path(), &[&["opcua"], arguments, &["--pki-dir", "data/opcua"]].concat())
    }

    /// A session of the client whose key is in `client`, or the status by which it was refused.
    async fn connect(
        &self,
        client: &str,
        policy: &str,
        mode: Mode,
        login: IdentityToken,
    ) -> Result<Arc<Session>, StatusCode> {
        let client = ClientBuilder::new()
            .application_name(client)
            .application_uri("urn:test:client")
            .pki_dir(self.path().join(client))
            .create_sample_keypair(true)
            .trust_server_certs(true)
            .session_retry_limit(0)
            .client()
            .unwrap();
        let url = format!("opc.tcp://127.0.0.1:{}", self.port);
        let endpoints = client.get_server_endpoints_from_url(url.as_str()).await.unwrap();
        let wanted = endpoints.into_iter().find(|endpoint| {
            endpoint.security_policy_uri.as_ref().ends_with(policy) && endpoint.security_mode == mode
        });
        let endpoint = wanted.unwrap_or_else(|| panic!("no endpoint {policy} {mode:?}"));
        let (session, event_loop) = client
            .session_builder()
            .user_identity_token(login)
            .connect_to_endpoint_directly(endpoint)
            .unwrap()
            .build(client.certificate_store().clone())
            .unwrap();
        let mut running = event_loop.spawn();
        tokio::select! {
            ended = &mut running => Err(ended.unwrap()),
            connected = session.wait_for_connection() => if connected { Ok(session) } else { Err(StatusCode::Bad) },
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("no answer"),
        }
    }
}

async fn read(session: &Session, variable: VariableId) -> Result<Variant, StatusCode> {
    let node = ReadValueId::new_value(NodeId::from(variable));
    let value = session.read(&[node], TimestampsToReturn::Both, 0.0).await.unwrap().remove(0);
    match value.status {
        Some(status) if status.is_bad() => Err(status),
        _ => Ok(value.value.unwrap_or_default()),
    }
}

fn password(user: &str, password: &str) -> IdentityToken {
    IdentityToken::UserName(user.into(), Password::new(password))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_refused_until_somebody_lets_it_in_and_again_after() {
    let stage = Stage::new(|_| "anonymous = true".into());
    let connect = || stage.connect("hmi", "Basic256Sha256", Mode::SignAndEncrypt, IdentityToken::Anonymous);
    assert_eq!(connect().await.err(), Some(StatusCode::BadCertificateUntrusted));

    let listed = stage.opcua(&["trust"]);
    assert!(listed.contains("rejected (1)") && listed.contains("trusted (0)"), "{listed}");
    assert!(listed.contains("CN=hmi") && listed.contains("urn:test:client"), "{listed}");
    let fingerprint = listed.lines().nth(1).unwrap().trim().to_owned();
    let told = eventually("the log says how to let it in", Duration::from_secs(20), || {
        let said = stage.gateway.said();
        said.contains(&format!("guideway opcua trust {}", &fingerprint[..8])).then_some(said)
    });
    assert!(told.contains("CN=hmi"), "{told}");

    stage.opcua(&["trust", &fingerprint[..6]]);
    connect().await.unwrap().disconnect().await.unwrap();
    stage.opcua(&["untrust", &fingerprint[..6]]);
    // The one who is in the folder of the rejected gets this answer from the library.
    assert_eq!(connect().await.err(), Some(StatusCode::BadSecurityChecksFailed));

    // A file that was put there by hand is as good, whatever its name.
    let own = stage.path().join("hmi/own/cert.der");
    std::fs::copy(own, stage.path().join("data/opcua/trusted/the hmi of line 3.crt")).unwrap();
    eventually("it is found", Duration::from_secs(20), || {
        stage.opcua(&["trust"]).contains("rejected (0)").then_some(())
    });
    connect().await.unwrap().disconnect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_log_in_by_password_or_certificate_over_every_encrypted_endpoint() {
    let stage = Stage::new(|folder| {
        // Makes a key and a certificate.
        let _ = ClientBuilder::new()
            .application_name("otto")
            .application_uri("urn:otto")
            .pki_dir(folder.join("otto"))
            .create_sample_keypair(true)
            .client()
            .unwrap();
        format!(
            "[[opcua.users]]\nname = 'anna'\npassword = '{}'\nrole = 'engineer'\n\
             [[opcua.users]]\nname = 'vera'\npassword = '{}'\n\
             [[opcua.users]]\nname = 'walter'\npassword = '{}'\n\
             [[opcua.users]]\nname = 'otto'\ncertificate = 'otto/own/cert.der'\nrole = 'operator'\n",
            hash(folder, "spindle and chuck"),
            hash(folder, "only looking"),
            hash(folder, "never used"),
        )
    });
    let first = stage.connect("hmi", POLICIES[0], Mode::Sign, password("anna", "spindle and chuck")).await;
    assert_eq!(first.err(), Some(StatusCode::BadCertificateUntrusted));
    stage.opcua(&["trust", "all"]);
    const DIAGNOSTICS: VariableId =
        VariableId::Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount;
    for policy in POLICIES {
        for mode in [Mode::Sign, Mode::SignAndEncrypt] {
            let label = format!("{policy} {mode:?}");
            let anna = stage.connect("hmi", policy, mode, password("anna", "spindle and chuck")).await;
            let anna = anna.unwrap_or_else(|status| panic!("{label}: {status}"));
            assert!(read(&anna, DIAGNOSTICS).await.is_ok(), "{label}: an engineer reads diagnostics");
            let vera = stage.connect("hmi", policy, mode, password("vera", "only looking")).await.unwrap();
            assert_eq!(read(&vera, DIAGNOSTICS).await, Err(StatusCode::BadUserAccessDenied), "{label}");
            assert!(read(&vera, VariableId::Server_ServerStatus_State).await.is_ok(), "{label}");
            let key = stage.path().join("otto/private/private.pem");
            let otto = IdentityToken::new_x509_path(stage.path().join("otto/own/cert.der"), &key).unwrap();
            let otto = stage.connect("hmi", policy, mode, otto).await;
            let otto = otto.unwrap_or_else(|status| panic!("{label}: {status}"));
            for session in [anna, vera, otto] {
                session.disconnect().await.unwrap();
            }
            // Nobody else: no wrong password, no unknown user, nobody without a name, no other certificate.
            let own = IdentityToken::new_x509_path(
                stage.path().join("hmi/own/cert.der"),
                stage.path().join("hmi/private/private.pem"),
            );
            for (who, login) in [
                // Of somebody else: after some of them the right one is refused for a while as well.
                ("a wrong password", password("walter", "spindle and chuck")),
                ("an unknown user", password("nobody", "only looking")),
                ("another certificate", own.unwrap()),
            ] {
                let refused = stage.connect("hmi", policy, mode, login).await.err();
                assert_eq!(refused, Some(StatusCode::BadIdentityTokenRejected), "{label}: {who}");
            }
            let anonymous = stage.connect("hmi", policy, mode, IdentityToken::Anonymous).await;
            assert!(anonymous.is_err(), "{label}: nobody without a name");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_trust_all_let_in_is_not_trusted_without_it() {
    let stage = Stage::new(|_| "anonymous = true\ntrust_all = true".into());
    let session = stage.connect("hmi", "Basic256Sha256", Mode::Sign, IdentityToken::Anonymous).await.unwrap();
    session.disconnect().await.unwrap();
    let listed = stage.opcua(&["trust"]);
    assert!(listed.contains("rejected (0)") && listed.contains("trusted (0)"), "{listed}");
    assert!(stage.gateway.said().contains("`trust_all` is on"), "{}", stage.gateway.said());
}

#[test]
fn the_certificate_is_shown_and_made_anew_with_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), 1, 2, "anonymous = true\nhostnames = ['mill-gate', '10.0.0.7']");
    let nothing = guideway(folder.path(), &["opcua", "certificate"]).assert().failure();
    let said = String::from_utf8_lossy(&nothing.get_output().stderr).into_owned();
    assert!(said.contains("it is made when the gateway first starts, or with --renew"), "{said}");
    let first = printed(folder.path(), &["opcua", "certificate", "--renew"]);
    assert!(
        first.contains("mill-gate") && first.contains("10.0.0.7") && first.contains("3072 bits"),
        "{first}"
    );
    let key = || std::fs::read(folder.path().join("guideway-data/opcua/private/private.pem")).unwrap();
    let before = key();
    let second = printed(folder.path(), &["opcua", "certificate", "--renew"]);
    assert_ne!(first, second, "another fingerprint");
    assert_eq!(printed(folder.path(), &["opcua", "certificate"]), second);
    assert_eq!(before, key());
}

#[test]
fn the_command_line_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let said = |arguments: &[&str], code: i32| {
        let assert = guideway(folder.path(), arguments).assert().code(code);
        String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
    };
    let missing = said(&["opcua", "trust"], 78);
    assert!(missing.contains("guideway.toml") && missing.contains("--pki-dir"), "{missing}");
    let empty = said(&["opcua", "trust", "abcd", "--pki-dir", "pki"], 1);
    assert!(empty.contains("there is no rejected certificate in pki"), "{empty}");
    let both = said(&["opcua", "trust", "--pki-dir", "pki", "--config", "g.toml"], 2);
    assert!(both.contains("cannot be used with"), "{both}");
    assert!(said(&["opcua", "hash"], 1).contains("the password is empty"));
}
