//! MQTT 5.

use rumqttc_v5::mqttbytes::v5::{
    ConnectProperties, LastWill, PubAck, PubAckReason, PubCompReason, PubRecReason, Publish,
    PublishProperties, SubAck, SubscribeReasonCode,
};
use rumqttc_v5::{
    AckMode, AsyncClient, ClientError, ConnectionError, Event, EventLoop, ManualAck, MqttOptions,
    NetworkOptions, Packet, PublishNotice, PublishNoticeError, PublishOptions, PublishResult, QoS,
    StateError, SubscribeFilterInput, TlsConfiguration, Transport,
};

use super::incoming::{Door, Event as Happened, Incoming, Kind, READ_BATCH, Receipt, not_let};
use super::own_part::OwnPart;
use super::{
    Ack, Client, ConnectError, ConnectOptions, Delivery, Ended, FLUSH_BATCH, Limits, Listen,
    MOST_PACKET_BYTES, Message, Properties, PublishError, Session, keep_alive_seconds, patience,
};

pub(super) async fn connect(options: &ConnectOptions) -> Result<Session, ConnectError> {
    let (client, mut events) = AsyncClient::builder(mqtt_options(options))
        .capacity(super::capacity(options))
        .try_build()
        .map_err(|error| ConnectError::Failed(error.to_string()))?;
    let limits = loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(accepted))) => {
                let said = accepted.properties.as_ref();
                break Limits {
                    in_flight: said.and_then(|it| it.receive_max).unwrap_or(u16::MAX).max(1),
                    packet_bytes: said.and_then(|it| it.max_packet_size).unwrap_or(MOST_PACKET_BYTES),
                    qos: said.and_then(|it| it.max_qos).unwrap_or(2),
                    retain: said.and_then(|it| it.retain_available) != Some(0),
                };
            }
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(code)) => {
                return Err(ConnectError::Refused(format!("{code:?}")));
            }
            Err(error) => return Err(ConnectError::Failed(error.to_string())),
        }
    };
    let (door, incoming) =
        options.listen.as_ref().map(|listen| Door::new(listen, options.keep_alive)).unzip();
    if let Some(listen) = &options.listen {
        // As published, so that a request that is to be kept for later subscribers is known for one at once.
        let filters = listen
            .filters
            .iter()
            .map(|filter| SubscribeFilterInput::new(filter.clone(), QoS::AtLeastOnce).preserve_retain(true));
        client
            .try_subscribe_many(filters)
            .map_err(|error| ConnectError::Failed(format!("the request topics: {error}")))?;
    }
    let driver = tokio::spawn(drive(events, patience(options.keep_alive), door));
    Ok(Session { client: Client::V5(client), limits, driver, incoming })
}

async fn drive(mut events: EventLoop, patience: std::time::Duration, door: Option<Door>) -> Ended {
    loop {
        let event = match tokio::time::timeout(patience, events.poll()).await {
            Ok(Ok(event)) => event,
            Ok(Err(ConnectionError::RequestsDone)) => return Ended::closed("disconnected"),
            Ok(Err(ConnectionError::MqttState(
                error @ (StateError::Deserialization(_)
                | StateError::ProtocolViolation(_)
                | StateError::IncomingPacketTooLarge { .. }),
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
    let refused = answer.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
    refused.map_or(Ok(()), |code| Err(not_let(code)))
}

fn message(publish: Publish) -> Incoming {
    let receipt = Receipt(match publish.qos {
        QoS::AtLeastOnce => Kind::V5(ManualAck::PubAck(PubAck::new(publish.pkid, None))),
        _ => Kind::None,
    });
    let said = publish.properties.unwrap_or_default();
    Incoming {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        retained: publish.retain,
        response_topic: said.response_topic,
        correlation: said.correlation_data,
        receipt,
    }
}

fn mqtt_options(options: &ConnectOptions) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, (options.host.as_str(), options.port));
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(options.session_expiry);
    mqtt.set_connect_properties(properties);
    mqtt.set_clean_start(options.listen.as_ref().is_none_or(Listen::is_clean));
    mqtt.set_keep_alive(keep_alive_seconds(options));
    if let Some(listen) = &options.listen {
        if !listen.is_clean() {
            let (in_flight, session_expiry) = (options.in_flight, options.session_expiry);
            mqtt.set_session_store(OwnPart { in_flight, session_expiry });
        }
        mqtt.set_ack_mode(AckMode::Manual);
        mqtt.set_receive_maximum(Some(listen.window));
        mqtt.set_max_packet_size(Some(listen.packet_bytes));
        mqtt.set_read_batch_size(READ_BATCH);
    }
    mqtt.set_connect_timeout(super::CONNECT_TIMEOUT);
    mqtt.set_max_request_batch(FLUSH_BATCH);
    mqtt.set_outgoing_inflight_upper_limit(options.in_flight);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    mqtt.set_network_options(network);
    if let Some((name, password)) = &options.credentials {
        mqtt.set_credentials(name.clone(), password.clone());
    }
    if let Some(tls) = &options.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    if let Some(will) = &options.will {
        let payload = will.payload.as_bytes();
        mqtt.set_last_will(LastWill::new(will.topic.clone(), payload, quality(will.qos), will.retain, None));
    }
    mqtt
}

pub(super) fn publish(client: &AsyncClient, message: Message) -> Result<Ack, PublishError> {
    let mut options = PublishOptions::new(quality(message.qos)).retain(message.retain);
    if let Some(properties) = properties(message.properties) {
        options = options.properties(properties);
    }
    match client.try_publish_tracked(message.topic, message.payload, options) {
        Ok(notice) => Ok(Ack::new(delivery(notice))),
        Err(ClientError::InvalidRequest(_)) => {
            Err(PublishError::Unfit("the topic is not valid in MQTT".into()))
        }
        Err(_) => Err(PublishError::Over),
    }
}

fn properties(given: Properties) -> Option<PublishProperties> {
    if given == Properties::default() {
        return None;
    }
    let mut properties = PublishProperties {
        content_type: given.content_type.map(Into::into),
        correlation_data: given.correlation,
        ..PublishProperties::default()
    };
    if let Some((instance, sequence)) = given.origin {
        properties.user_properties = vec![
            ("instance".into(), itoa::Buffer::new().format(instance).into()),
            ("sequence".into(), itoa::Buffer::new().format(sequence).into()),
        ];
    }
    Some(properties)
}

async fn delivery(notice: PublishNotice) -> Delivery {
    match notice.wait_async().await {
        Ok(PublishResult::Qos0Flushed) => Delivery::Acknowledged,
        Ok(PublishResult::Qos1(ack)) => match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Delivery::Acknowledged,
            reason => Delivery::Refused {
                permanent: matches!(
                    reason,
                    PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid
                ),
                reason: format!("{reason:?}"),
            },
        },
        Ok(PublishResult::Qos2PubRecRejected(rec)) => Delivery::Refused {
            permanent: matches!(
                rec.reason,
                PubRecReason::TopicNameInvalid | PubRecReason::PayloadFormatInvalid
            ),
            reason: format!("{:?}", rec.reason),
        },
        Ok(PublishResult::Qos2Completed(completed)) => match completed.reason {
            PubCompReason::Success => Delivery::Acknowledged,
            // The broker no longer knows the packet it had received: whether it was passed on is
            // unknown, so it is sent again.
            PubCompReason::PacketIdentifierNotFound => Delivery::Unknown,
        },
        Err(PublishNoticeError::RetainNotSupported) => {
            Delivery::Refused { reason: "the broker keeps no retained messages".into(), permanent: true }
        }
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
