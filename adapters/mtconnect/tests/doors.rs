//! Certificates, passwords and redirects.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

mod common;

use std::path::PathBuf;

use common::{Gateway, config, last_error, pair};
use guideway_contract::kit::Peer;
use guideway_mtconnect::Config;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Files of an authority, and of a server's and a client's certificates by it.
struct Papers {
    folder: tempfile::TempDir,
}

impl Papers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let papers = Self { folder };
        papers.write("ca.pem", &authority.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            papers.write(&format!("{name}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
            papers.write(&format!("{name}.key"), &key.serialize_pem());
        }
        papers
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_agent_is_followed_and_a_foreign_one_is_not() {
    let papers = Papers::new();
    let (cert, key) = (papers.text("server.pem"), papers.text("server.key"));
    let peer = Peer::python("mtconnect_agent.py", &["--cert", &cert, "--key", &key]).await;
    let mut secure = config(peer.port());
    secure.address = format!("https://localhost:{}", peer.port());
    secure.ca = Some(papers.path("ca.pem"));
    let mut gateway = Gateway::start(secure.clone());
    gateway.text("avail", "AVAILABLE").await;
    gateway.stop().await;

    // By another authority, and for another name.
    let foreign = Papers::new();
    let by_another = Config { ca: Some(foreign.path("ca.pem")), ..secure.clone() };
    let address = format!("https://127.0.0.1:{}", peer.port());
    for other in [by_another, Config { address, ..secure }] {
        let mut gateway = Gateway::start(other);
        gateway.down().await;
        let error = last_error(&mut gateway).await;
        assert!(error.contains("certificate"), "{error}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_may_want_a_certificate() {
    let papers = Papers::new();
    let names = ["server.pem", "server.key", "ca.pem"].map(|name| papers.text(name));
    let peer =
        Peer::python("mtconnect_agent.py", &["--cert", &names[0], "--key", &names[1], "--ca", &names[2]])
            .await;
    let mut secure = config(peer.port());
    secure.address = format!("https://localhost:{}", peer.port());
    secure.ca = Some(papers.path("ca.pem"));
    let mut gateway = Gateway::start(secure.clone());
    gateway.down().await;
    gateway.stop().await;
    secure.certificate = Some(papers.path("client.pem"));
    secure.key = Some(papers.path("client.key"));
    let mut gateway = Gateway::start(secure);
    gateway.text("avail", "AVAILABLE").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_passwords_and_tokens_open_doors() {
    let (_peer, mut gateway) = pair(&["--user", "me:secret"], |config| {
        config.user = Some("me".into());
        config.password = Some("secret".into());
    })
    .await;
    gateway.text("avail", "AVAILABLE").await;
    gateway.stop().await;
    let (_peer, mut gateway) = pair(&["--token", "abc"], |config| config.token = Some("abc".into())).await;
    gateway.text("avail", "AVAILABLE").await;
    gateway.stop().await;
    let (_peer, mut gateway) = pair(&["--user", "me:secret"], |_| {}).await;
    gateway.down().await;
    let error = last_error(&mut gateway).await;
    assert!(error.contains("401"), "{error}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_on_the_same_host_only() {
    let (_peer, mut gateway) = pair(&[], |config| config.address += "/moved").await;
    gateway.text("avail", "AVAILABLE").await;
    gateway.stop().await;
    for (path, words) in [
        ("/away", "redirects to another place"),
        ("/round", "too many redirects"),
        ("/page", "a web page came"),
    ] {
        let (_peer, mut gateway) = pair(&[], |config| config.address += path).await;
        gateway.down().await;
        let error = last_error(&mut gateway).await;
        assert!(error.contains(words), "{path}: {error}");
        gateway.stop().await;
    }
}
