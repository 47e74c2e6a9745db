//! MQTT 3.1.1.

use std::time::Duration;

use rumqttc_v4::{
    AckMode, AsyncClient, ClientError, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Packet, PublishOptions, QoS, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration,
    Transport,
};

use super::{
    Ack, Cause, Client, Delivery, Ended, IN_FLIGHT, Inbox, Link, MOST_PACKET_BYTES, Options, Outbound,
    READ_BATCH, REQUESTS, failed, refused,
};

pub(super) async fn connect(options: &Options) -> Result<Link, Cause> {
    let (client, mut events) = AsyncClient::builder(mqtt_options(options))
        .capacity(REQUESTS)
        .try_build()
        .map_err(|error| error.to_string())?;
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(options.librarys_timeout().as_secs());
    events.set_network_options(network);
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
    Ok(Link { client: Client::V4(client), inbound, driver })
}

async fn drive(client: AsyncClient, mut events: EventLoop, inbox: Inbox, patience: Duration) -> Ended {
    let mut wanted = true;
    loop {
        match tokio::time::timeout(patience, events.poll()).await {
            Ok(Ok(Event::Incoming(Packet::Publish(message)))) if wanted => {
                let ack = client.prepare_ack(&message).map(Ack::V4);
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

fn mqtt_options(options: &Options) -> MqttOptions {
    let mut mqtt = MqttOptions::new(&options.client_id, (options.host.as_str(), options.port));
    mqtt.set_clean_session(options.clean);
    mqtt.set_keep_alive(options.keep_alive_seconds());
    mqtt.set_inflight(IN_FLIGHT);
    mqtt.set_ack_mode(AckMode::Manual);
    mqtt.set_read_batch_size(READ_BATCH);
    mqtt.set_max_packet_size(options.most_packet_bytes(), MOST_PACKET_BYTES);
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
        SubscribeReasonCode::Failure => Some("refused".into()),
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
        Ok(_) => Delivery::Acknowledged,
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
