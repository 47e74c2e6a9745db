//! The client's part of an MQTT 5 session that the broker has kept: nothing.
//!
//! A client that cannot show its part is not let into the session by the library (MQTT 5, 3.2.2.1.1). What was on its
//! way to the broker is known to whoever published it, and is published anew; what the broker was sending, it sends
//! again. So nothing has to be kept: an empty part is the right one.

use std::pin::Pin;

use rumqttc_v5::{PersistedAckMode, PersistedSession, SessionStore, SessionStoreError, SessionStoreKey};

type Known<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

/// Always gives an empty part.
#[derive(Debug)]
pub(super) struct OwnPart {
    /// The same as in the options of the connection.
    pub(super) in_flight: u16,
    pub(super) session_expiry: u32,
}

impl SessionStore for OwnPart {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Known<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(self.session_expiry),
            outgoing_inflight_upper_limit: Some(self.in_flight),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(std::future::ready(Ok(Some(session))))
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Known<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Known<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
