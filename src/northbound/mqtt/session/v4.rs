//! MQTT 3.1.1.

use rumqttc_v4::mqttbytes::v4::LastWill;
use rumqttc_v4::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet,
    PublishNotice, PublishOptions, QoS, TlsConfiguration, Transport,
};

use super::{
    Ack, Client, ConnectError, ConnectOptions, Delivery, Ended, FLUSH_BATCH, Limits, MOST_PACKET_BYTES,
    Message, PublishError, Session, keep_alive_seconds, patience,
};

pub(super) async fn connect(options: &ConnectOptions) -> Result<Session, ConnectError> {
    let (client, mut events) = AsyncClient::builder(mqtt_options(options))
        .capacity(usize::from(options.in_flight) + 1)
        .try_build()
        .map_err(|error| ConnectError::Failed(error.to_string()))?;
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(super::CONNECT_TIMEOUT.as_secs());
    events.set_network_options(network);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => break,
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(code)) => {
                return Err(ConnectError::Refused(format!("{code:?}")));
            }
            Err(error) => return Err(ConnectError::Failed(error.to_string())),
        }
    }
    let limits = Limits { in_flight: u16::MAX, packet_bytes: MOST_PACKET_BYTES, qos: 2, retain: true };
    let driver = tokio::spawn(drive(events, patience(options.keep_alive)));
    Ok(Session { client: Client::V4(client), limits, driver })
}

async fn drive(mut events: EventLoop, patience: std::time::Duration) -> Ended {
    loop {
        match tokio::time::timeout(patience, events.poll()).await {
            Ok(Ok(_)) => {}
            Ok(Err(ConnectionError::RequestsDone)) => return Ended::closed("disconnected"),
            Ok(Err(error)) => return Ended::closed(error),
            Err(_) => return Ended::silent(patience),
        }
    }
}

fn mqtt_options(options: &ConnectOptions) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, (options.host.as_str(), options.port));
    mqtt.set_clean_session(true);
    mqtt.set_keep_alive(keep_alive_seconds(options));
    mqtt.set_max_request_batch(FLUSH_BATCH);
    mqtt.set_inflight(options.in_flight.max(1));
    // A gateway subscribes to nothing, so that what comes in is small.
    mqtt.set_max_packet_size(64 * 1024, MOST_PACKET_BYTES as usize);
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
