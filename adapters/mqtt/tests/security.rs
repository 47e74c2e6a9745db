//! Users, passwords, certificates, and what a broker allows.

#![expect(clippy::unwrap_used, reason = "tests fail that way")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{SOON, adapter, config};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Signal};

/// Waits until an attempt has failed, and gives the reason.
async fn refusal(keys: &str, port: u16) -> String {
    let mut running = Running::start(adapter(config(port, keys), &[("a", "auto", "{}")]));
    let deadline = tokio::time::Instant::now() + SOON;
    while !matches!(running.signal(deadline, "end").await, Signal::Disconnected { .. }) {}
    // The reason is noted right after the end was told.
    let error = loop {
        if let Some(error) = running.health().last_error() {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    running.stop().await;
    error
}

fn password_file(folder: &Path) -> String {
    let file = folder.join("passwords");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&file)
        .args(["machine", "secret"])
        .status()
        .unwrap();
    assert!(made.success());
    let rules = folder.join("rules");
    std::fs::write(&rules, "user machine\ntopic readwrite open/#\ntopic readwrite a\n").unwrap();
    let conf = folder.join("more.conf");
    let text =
        format!("allow_anonymous false\npassword_file {}\nacl_file {}\n", file.display(), rules.display());
    std::fs::write(&conf, text).unwrap();
    format!("conf={}", conf.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_get_in_with_their_password_only() {
    let folder = tempfile::tempdir().unwrap();
    let conf = password_file(folder.path());
    let mut peer = Peer::python("mqtt_peer.py", &[&conf, "quiet", "user=machine", "password=secret"]).await;
    for version in ["3.1.1", "5"] {
        let keys = |more: &str| format!(r#"{{"version":"{version}"{more}}}"#);
        let mut running = Running::start(adapter(
            config(peer.port(), &keys(r#","user":"machine","password":"secret""#)),
            &[("open/a", "auto", "{}")],
        ));
        running.connected(SOON).await;
        assert_eq!(peer.say("pub 1 0 open/a 1").await, "ok");
        running.value(0, &Native::Int(1), SOON).await;
        running.stop().await;
        for more in [r#","user":"machine","password":"wrong""#, ""] {
            let error = refusal(&keys(more), peer.port()).await;
            assert!(
                error.contains("refused the connection") && error.contains("check user, password"),
                "{error}"
            );
            assert!(!error.contains("wrong"), "{error}");
        }
    }
}

/// A CA, and certificates for a server and a client.
fn certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "plant CA");
    let ca = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for (name, usage) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages.push(usage);
        let made = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), made.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_need_the_authority_and_the_clients_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let conf = folder.path().join("more.conf");
    std::fs::write(&conf, "allow_anonymous true\nrequire_certificate true\n").unwrap();
    let (tls, conf) = (format!("tls={}", folder.path().display()), format!("conf={}", conf.display()));
    let mut peer = Peer::python("mqtt_peer.py", &[&tls, &conf, "quiet"]).await;
    let address = format!("mqtts://localhost:{}", peer.port());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let own = format!(r#""certificate":"{}","key":"{}""#, file("client.pem"), file("client.key"));
    for version in ["3.1.1", "5"] {
        let keys = |more: &str| format!(r#"{{"version":"{version}","address":"{address}",{more}}}"#);
        let all = keys(&format!(r#""ca":"{}",{own}"#, file("ca.pem")));
        let mut running = Running::start(adapter(config(0, &all), &[("a", "auto", "{}")]));
        running.connected(SOON).await;
        assert_eq!(peer.say("pub 1 0 a 1").await, "ok");
        running.value(0, &Native::Int(1), SOON).await;
        running.stop().await;
        let error = refusal(&keys(&own), 0).await;
        assert!(error.contains("UnknownIssuer") && error.contains("`ca`"), "{error}");
        let error = refusal(&keys(&format!(r#""ca":"{}""#, file("ca.pem"))), 0).await;
        assert!(error.contains("cannot connect to mqtts://localhost"), "{error}");
        let error = refusal(&keys(&format!(r#""ca":"{}",{own}"#, file("missing.pem"))), 0).await;
        assert!(error.contains("missing.pem"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_never_answers_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let error = refusal(r#"{"connect_timeout":"300ms"}"#, listener.local_addr().unwrap().port()).await;
    assert!(error.contains("did not accept within 300 ms"), "{error}");
}

/// A broker of MQTT 3.1.1 that answers a subscription with these codes, and then sends `1` to the topic `b`
/// where it has accepted one.
async fn choosy_broker(codes: &'static [u8]) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut packet = [0; 1_024];
            let _ = stream.read(&mut packet).await;
            let _ = stream.write_all(&[0x20, 2, 0, 0]).await;
            let _ = stream.read(&mut packet).await;
            let length = u8::try_from(2 + codes.len()).unwrap();
            let answer =
                [&[0x90, length, packet[2], packet[3]], codes, &[0x30, 4, 0, 1, b'b', b'1']].concat();
            let _ = stream.write_all(&answer).await;
            // Pings are not answered: the session ends by itself.
            while matches!(stream.read(&mut packet).await, Ok(1..)) {}
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_refused_makes_its_points_bad_and_no_others() {
    let port = choosy_broker(&[0x80, 0x00]).await;
    let list = [("a/#", "auto", "{}"), ("b", "auto", "{}"), ("a/x", "auto", "{}")];
    let mut running = Running::start(adapter(config(port, r#"{"version":"3.1.1"}"#), &list));
    let values: Vec<_> = running.all(3, SOON).await.iter().map(|reading| reading.value.to_string()).collect();
    let refused = "(the broker refuses the subscription to a/# (refused))";
    assert_eq!(values, [refused, "1", refused]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_subscribe_to_nothing_is_told_so() {
    let port = choosy_broker(&[0x80]).await;
    let error = refusal(r#"{"version":"3.1.1","user":"machine","password":"secret"}"#, port).await;
    assert!(error.contains("the broker lets the user machine subscribe to nothing (a: refused)"), "{error}");
}
