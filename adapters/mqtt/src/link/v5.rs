//! MQTT 5.

use std::pin::Pin;
use std::time::Duration;

use rumqttc_v5::{
    AckMode, AsyncClient, ClientError, ConnectProperties, ConnectionError, Event, EventLoop,
    IncomingPacketSizeLimit, MqttOptions, NetworkOptions, Packet, PersistedAckMode, PersistedSession,
    PubAckReason, PubCompReason, PublishNoticeError, PublishOptions, PublishResult, QoS, SessionStore,
    SessionStoreKey, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};

use super::{
    Ack, Cause, Client, Delivery, Ended, IN_FLIGHT, Inbox, Link, Options, Outbound, READ_BATCH,
    RECEIVE_MAXIMUM, REQUESTS, failed, refused,
};

/// What the library wants of a store.
type SessionStoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, rumqttc_v5::SessionStoreError>> + Send + 'a>>;

pub(super) async fn connect(options: &Options) -> Result<Link, Cause> {
    let (client, mut events) = AsyncClient::builder(mqtt_options(options))
        .capacity(REQUESTS)
        .try_build()
        .map_err(|error| error.to_string())?;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => break,
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(code)) => return Err(refused(&code)),
            Err(error) => return Err(failed(&error)),
        }
    }
    let (inbox, inbound) = Inbox::new(options);
    let driver = tokio::spawn(drive(client.clone(), events, inbox, options.patience()));
    Ok(Link { client: Client::V5(client), inbound, driver })
}

async fn drive(client: AsyncClient, mut events: EventLoop, inbox: Inbox, patience: Duration) -> Ended {
    let mut wanted = true;
    loop {
        match tokio::time::timeout(patience, events.poll()).await {
            Ok(Ok(Event::Incoming(Packet::Publish(message)))) if wanted => {
                let ack = client.prepare_ack(&message).map(Ack::V5);
                wanted = inbox.put(message.topic, message.payload, message.retain, ack).await;
            }
            Ok(Ok(_)) => {}
            Ok(Err(ConnectionError::RequestsDone)) => return Ended::closed("disconnected"),
            Ok(Err(ConnectionError::MqttState(StateError::AwaitPingResp))) | Err(_) => {
                return Ended::silent(patience);
            }
            Ok(Err(error)) => return Ended::closed(failed(&error)),
        }
    }
}

/// What this client knows of a session that the broker has kept: that nothing of its own is in flight.
///
/// Each connection has a client of its own. What it had received and not acknowledged the broker sends again; what it
/// had published and nobody acknowledged has been told as unknown, and is never repeated. Without a word of it the
/// library takes a kept session for another client's.
#[derive(Debug)]
struct NothingInFlight {
    session_expiry: u32,
}

impl SessionStore for NothingInFlight {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> SessionStoreFuture<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(self.session_expiry),
            outgoing_inflight_upper_limit: Some(IN_FLIGHT),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(std::future::ready(Ok(Some(session))))
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> SessionStoreFuture<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> SessionStoreFuture<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn mqtt_options(options: &Options) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, (options.host.as_str(), options.port));
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(if options.clean { 0 } else { options.session_expiry });
    properties.receive_maximum = Some(RECEIVE_MAXIMUM);
    mqtt.set_connect_properties(properties);
    let most = u32::try_from(options.most_packet_bytes()).unwrap_or(u32::MAX);
    mqtt.set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(most));
    mqtt.set_clean_start(options.clean);
    if !options.clean {
        mqtt.set_session_store(NothingInFlight { session_expiry: options.session_expiry });
    }
    mqtt.set_keep_alive(options.keep_alive_seconds());
    mqtt.set_connect_timeout(options.librarys_timeout());
    mqtt.set_outgoing_inflight_upper_limit(IN_FLIGHT);
    mqtt.set_ack_mode(AckMode::Manual);
    mqtt.set_read_batch_size(READ_BATCH);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    mqtt.set_network_options(network);
    if let Some((name, password)) = &options.credentials {
        mqtt.set_credentials(name.clone(), password.clone());
    }
    if let Some(tls) = &options.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    mqtt
}

pub(super) async fn subscribe(
    client: &AsyncClient,
    filters: &[String],
    qos: u8,
) -> Result<Vec<Option<Cause>>, Cause> {
    let asked = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), quality(qos)));
    let notice = client.subscribe_many_tracked(asked).await.map_err(|error| error.to_string())?;
    let answer = notice.wait_async().await.map_err(|error| error.to_string())?;
    let told = |code: &SubscribeReasonCode| match code {
        SubscribeReasonCode::Success(_) => None,
        code => Some(format!("refused: {code:?}")),
    };
    Ok(answer.return_codes.iter().map(told).collect())
}

pub(super) async fn publish(client: &AsyncClient, message: Outbound) -> Delivery {
    let options = PublishOptions::new(quality(message.qos)).retain(message.retain);
    let notice = match client.try_publish_tracked(message.topic, message.payload, options) {
        Ok(notice) => notice,
        Err(ClientError::InvalidRequest(_)) => {
            return Delivery::Refused("the topic is not valid in MQTT".into());
        }
        Err(error) => return Delivery::NotSent(error.to_string()),
    };
    match notice.wait_async().await {
        Ok(PublishResult::Qos0Flushed) => Delivery::Acknowledged,
        Ok(PublishResult::Qos1(ack)) => match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Delivery::Acknowledged,
            reason => Delivery::Refused(format!("the broker says {reason:?}")),
        },
        Ok(PublishResult::Qos2PubRecRejected(rec)) => {
            Delivery::Refused(format!("the broker says {:?}", rec.reason))
        }
        Ok(PublishResult::Qos2Completed(completed)) => match completed.reason {
            PubCompReason::Success => Delivery::Acknowledged,
            reason => Delivery::Unknown(format!("the broker says {reason:?}")),
        },
        Err(PublishNoticeError::RetainNotSupported) => {
            Delivery::Refused("the broker keeps no retained messages".into())
        }
        Err(error) => Delivery::Unknown(error.to_string()),
    }
}

const fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
