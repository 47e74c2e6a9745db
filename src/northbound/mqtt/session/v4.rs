//! MQTT 3.1.1.

use rumqttc_v4::mqttbytes::v4::{LastWill, PubAck, Publish, SubAck, SubscribeReasonCode};
use rumqttc_v4::{
    AckMode, AsyncClient, ClientError, ConnectionError, Event, EventLoop, ManualAck, MqttOptions,
    NetworkOptions, Packet, PublishNotice, PublishOptions, QoS, StateError, SubscribeFilter,
    TlsConfiguration, Transport,
};

use super::incoming::{Door, Event as Happened, Incoming, Kind, READ_BATCH, Receipt, not_let};
use super::{
    Ack, Client, ConnectError, ConnectOptions, Delivery, Ended, FLUSH_BATCH, Limits, MOST_PACKET_BYTES,
    Message, PublishError, Session, keep_alive_seconds, patience,
};

pub(super) async fn connect(options: &ConnectOptions) -> Result<Session, ConnectError> {
    if options.listen.as_ref().is_some_and(|listen| listen.fresh && listen.keep) {
        // A clean session is one that ends with its connection: this one makes the broker forget, the next keeps.
        let _forgotten = open(options, true).await?;
    }
    let clean = options.listen.as_ref().is_none_or(|listen| !listen.keep);
    let (client, events) = open(options, clean).await?;
    let limits = Limits { in_flight: u16::MAX, packet_bytes: MOST_PACKET_BYTES, qos: 2, retain: true };
    let (door, incoming) =
        options.listen.as_ref().map(|listen| Door::new(listen, options.keep_alive)).unzip();
    if let Some(listen) = &options.listen {
        let filters =
            listen.filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        client
            .try_subscribe_many(filters)
            .map_err(|error| ConnectError::Failed(format!("the request topics: {error}")))?;
    }
    let driver = tokio::spawn(drive(events, patience(options.keep_alive), door));
    Ok(Session { client: Client::V4(client), limits, driver, incoming })
}

async fn open(options: &ConnectOptions, clean: bool) -> Result<(AsyncClient, EventLoop), ConnectError> {
    let (client, mut events) = AsyncClient::builder(mqtt_options(options, clean))
        .capacity(super::capacity(options))
        .try_build()
        .map_err(|error| ConnectError::Failed(error.to_string()))?;
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(super::CONNECT_TIMEOUT.as_secs());
    events.set_network_options(network);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok((client, events)),
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(code)) => {
                return Err(ConnectError::Refused(format!("{code:?}")));
            }
            Err(error) => return Err(ConnectError::Failed(error.to_string())),
        }
    }
}

async fn drive(mut events: EventLoop, patience: std::time::Duration, door: Option<Door>) -> Ended {
    loop {
        let event = match tokio::time::timeout(patience, events.poll()).await {
            Ok(Ok(event)) => event,
            Ok(Err(ConnectionError::RequestsDone)) => return Ended::closed("disconnected"),
            Ok(Err(ConnectionError::MqttState(
                error @ (StateError::Deserialization(_) | StateError::ProtocolViolation(_)),
            ))) => return Ended::choked(error),
            Ok(Err(error)) => return Ended::closed(error),
            Err(_) => return Ended::silent(patience),
        };
        let (Event::Incoming(packet), Some(door)) = (event, &door) else { continue };
        let handed = match packet {
            Packet::Publish(publish) => door.hand_over(Happened::Message(Box::new(message(publish)))).await,
            Packet::SubAck(answer) => match listening(&answer) {
                Ok(()) => door.hand_over(Happened::Listening).await,
                Err(ended) => Err(ended),
            },
            _ => Ok(()),
        };
        if let Err(ended) = handed {
            return ended;
        }
    }
}

fn listening(answer: &SubAck) -> Result<(), Ended> {
    let refused = answer.return_codes.iter().find(|code| matches!(code, SubscribeReasonCode::Failure));
    refused.map_or(Ok(()), |code| Err(not_let(code)))
}

fn message(publish: Publish) -> Incoming {
    let receipt = Receipt(match publish.qos {
        QoS::AtLeastOnce => Kind::V4(ManualAck::PubAck(PubAck::new(publish.pkid))),
        _ => Kind::None,
    });
    Incoming {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        retained: publish.retain,
        response_topic: None,
        correlation: None,
        receipt,
    }
}

fn mqtt_options(options: &ConnectOptions, clean: bool) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, (options.host.as_str(), options.port));
    mqtt.set_clean_session(clean);
    mqtt.set_keep_alive(keep_alive_seconds(options));
    mqtt.set_max_request_batch(FLUSH_BATCH);
    mqtt.set_inflight(options.in_flight.max(1));
    // Where nothing is listened to, what comes in is small.
    let most = options.listen.as_ref().map_or(64 * 1024, |listen| listen.packet_bytes);
    mqtt.set_max_packet_size(most as usize, MOST_PACKET_BYTES as usize);
    if options.listen.is_some() {
        mqtt.set_ack_mode(AckMode::Manual);
        mqtt.set_read_batch_size(READ_BATCH);
    }
    if let Some((name, password)) = &options.credentials {
        mqtt.set_credentials(name.clone(), password.clone());
    }
    if let Some(tls) = &options.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    if let Some(will) = &options.will {
        let payload = will.payload.as_bytes();
        mqtt.set_last_will(LastWill::new(will.topic.clone(), payload, quality(will.qos), will.retain));
    }
    mqtt
}

pub(super) fn publish(client: &AsyncClient, message: Message) -> Result<Ack, PublishError> {
    let options = PublishOptions::new(quality(message.qos)).retain(message.retain);
    match client.try_publish_tracked(message.topic, message.payload, options) {
        Ok(notice) => Ok(Ack::new(delivery(notice))),
        Err(ClientError::InvalidRequest(_)) => {
            Err(PublishError::Unfit("the topic is not valid in MQTT".into()))
        }
        Err(_) => Err(PublishError::Over),
    }
}

/// An acknowledgement of MQTT 3.1.1 has no reason: a broker that refuses either closes the
/// connection or says nothing (3.1.1, 3.3.5).
async fn delivery(notice: PublishNotice) -> Delivery {
    match notice.wait_async().await {
        Ok(_) => Delivery::Acknowledged,
        Err(_) => Delivery::Unknown,
    }
}

const fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}
