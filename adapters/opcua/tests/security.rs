//! Certificates, policies and users, at an asyncua server that wants them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{int, point};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Adapter, Protocol as _};
use guideway_opcua::{Config, OpcUa, Policy, Security, Trust};

const LONG: Duration = Duration::from_secs(30);

fn adapter(port: u16, pki: &Path, change: impl FnOnce(&mut Config)) -> Box<dyn Adapter> {
    let mut config = common::config(port);
    config.pki = pki.to_owned();
    config.security = Security::SignAndEncrypt;
    config.connect_timeout = LONG;
    config.timeout = Duration::from_secs(10);
    change(&mut config);
    OpcUa::adapter(config, vec![point("Int16")])
}

async fn reads(adapter: Box<dyn Adapter>) {
    let mut running = Running::start(adapter);
    running.connected(LONG).await;
    running.value(0, &int(-30_000), LONG).await;
    running.stop().await;
}

/// Why it does not connect.
async fn refusal(mut adapter: Box<dyn Adapter>) -> String {
    adapter.browse("").await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_once_its_certificate_was_moved_and_every_policy_works() {
    let folder = tempfile::tempdir().unwrap();
    let (server, pki) = (folder.path().join("server"), folder.path().join("pki"));
    let peer = Peer::python("opcua_peer.py", &["secure", server.to_str().unwrap()]).await;
    let port = peer.port();
    let why = refusal(adapter(port, &pki, |_| {})).await;
    assert!(why.contains("is not trusted yet") && why.contains("rejected"), "{why}");
    let rejected: Vec<_> = std::fs::read_dir(pki.join("rejected")).unwrap().flatten().collect();
    assert_eq!(rejected.len(), 1);
    // Under a name of the operator's choice.
    std::fs::rename(rejected[0].path(), pki.join("trusted/press.der")).unwrap();
    for policy in
        [Policy::Auto, Policy::Basic256Sha256, Policy::Aes128Sha256RsaOaep, Policy::Aes256Sha256RsaPss]
    {
        reads(adapter(port, &pki, |config| config.policy = policy)).await;
    }
    let signed = |config: &mut Config| {
        config.security = Security::Sign;
        config.policy = Policy::Basic256Sha256;
    };
    reads(adapter(port, &pki, signed)).await;
    reads(adapter(port, &pki, |config| {
        config.user = Some("operator".into());
        config.password = Some("secret".into());
    }))
    .await;
    let wrong = |config: &mut Config| {
        config.user = Some("operator".into());
        config.password = Some("guess".into());
    };
    let why = refusal(adapter(port, &pki, wrong)).await;
    assert!(why.contains("check `user` and `password`"), "{why}");
    // By a certificate: the gateway's own will do for a user's.
    reads(adapter(port, &pki, |config| {
        config.user_certificate = Some(pki.join("own/cert.der"));
        config.user_key = Some(pki.join("private/private.pem"));
    }))
    .await;
    let missing = |config: &mut Config| {
        config.security = Security::Sign;
        config.policy = Policy::Aes128Sha256RsaOaep;
    };
    let why = refusal(adapter(port, &pki, missing)).await;
    assert!(why.contains("sign_and_encrypt with Basic256Sha256"), "{why}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let key = std::fs::metadata(pki.join("private/private.pem")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    // Whoever trusted everyone trusts nobody afterwards.
    let other = folder.path().join("other");
    reads(adapter(port, &other, |config| config.trust = Trust::All)).await;
    assert!(refusal(adapter(port, &other, |_| {})).await.contains("is not trusted yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_sent_for_everyone_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::python("opcua_peer.py", &["plain"]).await;
    let user = |config: &mut Config| {
        config.security = Security::None;
        config.user = Some("operator".into());
        config.password = Some("secret".into());
    };
    let why = refusal(adapter(peer.port(), folder.path(), user)).await;
    assert!(why.contains("plain_password"), "{why}");
    reads(adapter(peer.port(), folder.path(), |config| {
        user(config);
        config.plain_password = true;
    }))
    .await;
    let why = refusal(adapter(peer.port(), folder.path(), |_| {})).await;
    assert!(why.contains("it offers none with None"), "{why}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
