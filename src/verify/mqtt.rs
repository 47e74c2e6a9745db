//! What a gateway publishes over MQTT, in every layout that is found on the broker.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rumqttc_v4::mqttbytes::v4::SubscribeReasonCode;
use rumqttc_v4::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::payload::{self, Layout};
use super::tape::{SharedTape, Tape};

/// Longest message.
const MOST_BYTES: usize = 64 << 20;

/// How to get at a broker.
#[derive(Clone, Debug, Default)]
pub struct MqttLogin {
    /// User name, and the password that goes with it.
    pub user: Option<(String, String)>,
    /// Authorities that sign the broker's certificate, PEM. Default: the system's.
    pub ca: Option<PathBuf>,
    /// What is subscribed to. Default: everything.
    pub topics: Vec<String>,
}

/// The tape of each layout that was seen.
pub(super) type Layouts = Arc<Mutex<BTreeMap<Layout, SharedTape>>>;

/// The broker, being listened to.
pub(super) struct Mqtt {
    /// What was said in each layout.
    pub(super) layouts: Layouts,
    /// Why it can be listened to no longer.
    pub(super) broken: Arc<Mutex<Option<String>>>,
    listener: tokio::task::JoinHandle<()>,
}

impl Mqtt {
    /// Connects and subscribes. Only observations of journal `instance` count, where it is known.
    pub(super) async fn watch(url: &str, login: &MqttLogin, instance: Option<u64>) -> Result<Self, String> {
        let (client, mut events) = AsyncClient::builder(options(url, login)?)
            .capacity(16)
            .try_build()
            .map_err(|error| error.to_string())?;
        let topics = if login.topics.is_empty() { vec!["#".to_owned()] } else { login.topics.clone() };
        for topic in &topics {
            let wished = client.subscribe(topic.as_str(), QoS::AtLeastOnce).await;
            wished.map_err(|_| format!("`{topic}` is no topic filter; write one such as acme/#"))?;
        }
        let layouts = Layouts::default();
        let subscribed = async {
            let mut left = topics.len();
            while left > 0 {
                match events.poll().await.map_err(|error| error.to_string())? {
                    Event::Incoming(Packet::SubAck(ack)) => {
                        if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                            return Err("the broker refused the subscription; is there a rule against it? \
                                        Name what may be read with --topic"
                                .to_owned());
                        }
                        left -= 1;
                    }
                    Event::Incoming(Packet::Publish(message)) => {
                        note(&layouts, instance, message.retain, &message.topic, &message.payload);
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        let patience = Duration::from_secs(15);
        tokio::time::timeout(patience, subscribed)
            .await
            .map_err(|_| "no answer within 15 s".to_owned())??;
        let broken = Arc::<Mutex<Option<String>>>::default();
        let (heard, failed) = (layouts.clone(), broken.clone());
        let listener = tokio::spawn(async move {
            // The client has to live, or the loop ends.
            let _client = client;
            let why = listen(events, &heard, instance).await;
            *failed.lock() = Some(why);
        });
        Ok(Self { layouts, broken, listener })
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(mut events: EventLoop, layouts: &Layouts, instance: Option<u64>) -> String {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(message))) => {
                note(layouts, instance, message.retain, &message.topic, &message.payload);
            }
            Ok(_) => {}
            Err(error) => return format!("the connection was lost: {error}"),
        }
    }
}

/// Writes down what a message says. What the broker kept from before is not news.
fn note(layouts: &Layouts, instance: Option<u64>, retained: bool, topic: &[u8], payload: &[u8]) {
    if retained {
        return;
    }
    let Ok(topic) = std::str::from_utf8(topic) else { return };
    let Some(said) = payload::read(topic, payload) else { return };
    if instance.is_some_and(|instance| instance != said.instance) {
        return;
    }
    let tape =
        layouts.lock().entry(said.layout).or_insert_with(|| Arc::new(Mutex::new(Tape::default()))).clone();
    let mut tape = tape.lock();
    for (item, reading) in said.readings {
        tape.put(item, reading);
    }
}

fn options(url: &str, login: &MqttLogin) -> Result<MqttOptions, String> {
    let (tls, host, port) = address(url)?;
    let id = format!("guideway-verify-{}", uuid::Uuid::new_v4().simple());
    let mut options = MqttOptions::new(&id[..32], (host.as_str(), port));
    options.set_clean_session(true);
    options.set_keep_alive(30);
    options.set_max_packet_size(MOST_BYTES, MOST_BYTES);
    if let Some((name, password)) = &login.user {
        options.set_credentials(name.clone(), password.clone());
    }
    if tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(client_config(login)?)));
    }
    Ok(options)
}

/// `mqtt://host[:1883]` or `mqtts://host[:8883]`, as (encrypted, host, port).
fn address(url: &str) -> Result<(bool, String, u16), String> {
    let wrong = || format!("`{url}`: write mqtt://host:1883 or mqtts://host:8883");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(wrong()),
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err("user and password do not belong into the URL: give --mqtt-user, and the password in \
                    the environment as GUIDEWAY_MQTT_PASSWORD"
            .into());
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (rest, if tls { 8883 } else { 1883 }),
    };
    if host.is_empty() || host.contains(['/', '?', '#']) || port == 0 {
        return Err(wrong());
    }
    Ok((tls, host.to_owned(), port))
}

fn client_config(login: &MqttLogin) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(file) = &login.ca {
        let name = file.display();
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for certificate in read.map_err(|error| format!("{name}: {error}"))? {
            roots.add(certificate).map_err(|error| format!("{name}: {error}"))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        assert_eq!(address("mqtt://broker"), Ok((false, "broker".into(), 1883)));
        assert_eq!(address("mqtts://broker:9000/"), Ok((true, "broker".into(), 9000)));
        assert_eq!(address("mqtt://[::1]"), Ok((false, "[::1]".into(), 1883)));
        for wrong in ["http://x", "mqtt://", "mqtt://x:0", "mqtt://x:y", "mqtt://a:b@c", "mqtt://x/y"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
