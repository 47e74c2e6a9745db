//! A session with a server: the endpoint chosen, the library's task, and requests through both.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{HostPort, SessionEnd};
use opcua_client::transport::{TcpConnector, TransportPollResult};
use opcua_client::{ClientBuilder, ClientConfig, IdentityToken, Session, SessionBuilder};
use opcua_core::ResponseMessage;
use opcua_core::sync::RwLock;
use opcua_crypto::{CertificateStore, SecurityPolicy};
use opcua_types::{
    EndpointDescription, Error, GetEndpointsRequest, MessageSecurityMode, RequestHeader, StatusCode,
    UserTokenType,
};
use tokio::task::JoinHandle;

use crate::codec::structure::Keep;
use crate::codec::value::words;
use crate::config::{Config, Policy, Security};
use crate::pki;

/// Limits on what a server may send: a message, an array, a string.
const MOST_MESSAGE: usize = 16 << 20;
const MOST_ELEMENTS: usize = 262_144;
const MOST_STRING: usize = 4 << 20;
/// How much longer than the library a request is waited for.
const MARGIN: Duration = Duration::from_millis(500);
/// How long a server is given to take leave.
const FAREWELL: Duration = Duration::from_millis(500);

/// A task that ends when nobody waits for it any more.
///
/// The library runs in such tasks, so that a fault in it ends a session, not the adapter.
#[derive(Debug)]
pub(crate) struct Guarded<T>(JoinHandle<T>);

impl<T: Send + 'static> Guarded<T> {
    pub(crate) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits for its result; may be cancelled and called again.
    pub(crate) async fn result(&mut self) -> Result<T, SessionEnd> {
        (&mut self.0)
            .await
            .map_err(|error| SessionEnd::Protocol(format!("the OPC UA library failed: {error}")))
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a request did not give what was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused this request.
    Request(StatusCode),
    /// The session is over.
    Over(SessionEnd),
}

/// A session that is up.
pub(crate) struct Link {
    session: Arc<Session>,
    task: Guarded<StatusCode>,
    timeout: Duration,
}

impl Link {
    /// Connects, chooses an endpoint, and logs in.
    pub(crate) async fn open(config: &Config) -> Result<Self, SessionEnd> {
        let url = url(config);
        let refused = |cause: String| SessionEnd::NotConnected { endpoint: url.clone(), cause };
        let attempt = Self::attempt(config, &url);
        match tokio::time::timeout(config.connect_timeout, attempt).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(cause)) => Err(refused(cause)),
            Err(_) => Err(refused(format!("no session within {} ms", config.connect_timeout.as_millis()))),
        }
    }

    async fn attempt(config: &Config, url: &str) -> Result<Self, String> {
        let settings = settings(config);
        let offered = {
            let (settings, url) = (settings.clone(), url.to_owned());
            let (timeout, pki) = (config.timeout, config.pki.clone());
            let mut task = Guarded::spawn(async move {
                endpoints(&settings, &url, CertificateStore::new(&pki), timeout).await
            });
            task.result().await.map_err(|end| end.to_string())??
        };
        let endpoint = choose(config, &offered, url)?;
        let secure = config.security != Security::None;
        let store = {
            // A key takes seconds to make.
            let (config, certificate) = (config.clone(), secure.then(|| endpoint.server_certificate.clone()));
            tokio::task::spawn_blocking(move || pki::prepare(&config, certificate.as_ref()))
                .await
                .map_err(|error| error.to_string())??
        };
        let identity = identity(config)?;
        let (session, event_loop) = SessionBuilder::new(&settings)
            .connect_to_endpoint_directly(endpoint)
            .map_err(|error| error.to_string())?
            .user_identity_token(identity)
            .type_loader(Arc::new(Keep))
            .build(Arc::new(RwLock::new(store)))
            .map_err(|error| error.to_string())?;
        // One session of the library is one session of ours: the supervisor connects anew.
        session.disable_reconnects();
        let mut task = Guarded::spawn(event_loop.run());
        tokio::select! {
            up = session.wait_for_connection() => {
                if !up {
                    return Err("the library gave up".into());
                }
            }
            ended = task.result() => {
                let status = ended.map_err(|end| end.to_string())?;
                return Err(why(config, status));
            }
        }
        Ok(Self { session, task, timeout: config.timeout })
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// A request within its time. The library keeps it too, but not while it waits for a server to take its bytes.
    pub(crate) async fn within<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let late = || Error::new(StatusCode::BadTimeout, "the server does not take requests");
        tokio::time::timeout(self.timeout + MARGIN, request).await.unwrap_or_else(|_| Err(late()))
    }

    /// By how many nanoseconds the library holds the server's clock to be ahead of ours; it takes them from times.
    pub(crate) fn ahead(&self) -> i64 {
        self.session.encoding_context().read().options().client_offset.num_nanoseconds().unwrap_or_default()
    }

    /// Waits until the session is over.
    pub(crate) async fn over(&mut self) -> SessionEnd {
        match self.task.result().await {
            Ok(StatusCode::Good) => SessionEnd::Lost("the server closed the connection".into()),
            Ok(status) => SessionEnd::Lost(words(status)),
            Err(end) => end,
        }
    }

    /// Takes leave of the server, so that it frees the session at once.
    pub(crate) async fn close(self) {
        // Who does not answer is left without: dropping the task closes the connection.
        drop(tokio::time::timeout(FAREWELL, self.session.disconnect()).await);
    }

    /// What a request's error means.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        let status = error.status();
        match status {
            StatusCode::BadTimeout => Failure::Over(SessionEnd::Silent(self.timeout)),
            StatusCode::BadUnknownResponse
            | StatusCode::BadDecodingError
            | StatusCode::BadUnexpectedError => Failure::Over(SessionEnd::Protocol(error.to_string())),
            StatusCode::BadConnectionClosed
            | StatusCode::BadConnectionRejected
            | StatusCode::BadCommunicationError
            | StatusCode::BadNotConnected
            | StatusCode::BadServerNotConnected
            | StatusCode::BadServerHalted
            | StatusCode::BadShutdown
            | StatusCode::BadInvalidState
            | StatusCode::BadSessionClosed
            | StatusCode::BadSessionIdInvalid
            | StatusCode::BadSessionNotActivated
            | StatusCode::BadSecureChannelClosed
            | StatusCode::BadSecureChannelIdInvalid
            | StatusCode::BadSecureChannelTokenUnknown
            | StatusCode::BadSecurityChecksFailed
            | StatusCode::BadTcpSecureChannelUnknown
            | StatusCode::BadTcpInternalError
            | StatusCode::BadTcpMessageTypeInvalid
            | StatusCode::BadSequenceNumberInvalid => Failure::Over(SessionEnd::Lost(words(status))),
            other => Failure::Request(other),
        }
    }
}

/// The URL of a configuration; a host without a scheme gets it.
pub(crate) fn url(config: &Config) -> String {
    let address = config.address.trim();
    let (authority, path) = split(address);
    match HostPort::parse(authority, &["opc.tcp"]) {
        Ok(mut at) => {
            at.port = at.port.or(Some(config.port));
            format!("opc.tcp://{at}{path}")
        }
        Err(_) => format!("opc.tcp://{address}"),
    }
}

/// The part of an address before its path, and the path with its slash.
pub(crate) fn split(address: &str) -> (&str, &str) {
    let start = address.find("://").map_or(0, |at| at + 3);
    match address.get(start..).and_then(|rest| rest.find('/')) {
        Some(at) => address.split_at(start + at),
        None => (address, ""),
    }
}

fn settings(config: &Config) -> ClientConfig {
    ClientBuilder::new()
        .application_name("Guideway")
        .application_uri(config.application_uri.as_str())
        .product_uri("urn:guideway")
        .session_name("Guideway")
        .pki_dir(config.pki.clone())
        .preferred_locales(config.locales.clone())
        .max_array_length(MOST_ELEMENTS)
        .max_string_length(MOST_STRING)
        .max_byte_string_length(MOST_STRING)
        .max_message_size(MOST_MESSAGE)
        .max_chunk_count(MOST_MESSAGE / 8_192)
        .session_timeout(millis(config.session_timeout))
        .request_timeout(config.timeout)
        .session_retry_limit(0)
        .channel_lifetime(3_600_000)
        // The session asks for itself.
        .keep_alive_interval(Duration::from_secs(86_400))
        .recreate_subscriptions(false)
        .ignore_clock_skew(true)
        .into_config()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// The endpoints that the server offers.
async fn endpoints(
    settings: &ClientConfig,
    url: &str,
    store: CertificateStore,
    timeout: Duration,
) -> Result<Vec<EndpointDescription>, String> {
    let connector = TcpConnector::new(url).map_err(|error| error.to_string())?;
    let channel = SessionBuilder::new(settings)
        .connect_to_endpoint_directly(url)
        .map_err(|error| error.to_string())?
        .build_channel(Arc::new(RwLock::new(store)))
        .map_err(|error| error.to_string())?;
    let mut transport = channel.connect_no_retry(&connector).await.map_err(|error| brief(&error))?;
    let request = GetEndpointsRequest {
        request_header: RequestHeader::new(&opcua_types::NodeId::null(), &opcua_types::DateTime::now(), 1),
        endpoint_url: url.into(),
        locale_ids: None,
        profile_uris: None,
    };
    let reply = channel.send(request, timeout);
    tokio::pin!(reply);
    let reply = loop {
        tokio::select! {
            reply = &mut reply => break reply.map_err(|error| brief(&error))?,
            polled = transport.poll() => {
                if let TransportPollResult::Closed(status) = polled {
                    return Err(format!("the server closed the connection: {}", words(status)));
                }
            }
        }
    };
    channel.close_channel().await;
    let goodbye = async { while !matches!(transport.poll().await, TransportPollResult::Closed(_)) {} };
    drop(tokio::time::timeout(FAREWELL, goodbye).await);
    match reply {
        ResponseMessage::GetEndpoints(reply) if reply.response_header.service_result.is_good() => {
            Ok(reply.endpoints.unwrap_or_default())
        }
        ResponseMessage::GetEndpoints(reply) => Err(words(reply.response_header.service_result)),
        _ => Err("the server does not tell its endpoints".into()),
    }
}

/// The library's errors hold whole messages.
fn brief(error: &Error) -> String {
    error.to_string().chars().take(200).collect()
}

fn choose(
    config: &Config,
    offered: &[EndpointDescription],
    url: &str,
) -> Result<EndpointDescription, String> {
    let mode = match config.security {
        Security::None => MessageSecurityMode::None,
        Security::Sign => MessageSecurityMode::Sign,
        Security::SignAndEncrypt => MessageSecurityMode::SignAndEncrypt,
    };
    let wanted = match (config.security, config.policy) {
        (Security::None, _) => vec![SecurityPolicy::None],
        (_, Policy::Auto) => vec![
            SecurityPolicy::Aes256Sha256RsaPss,
            SecurityPolicy::Aes128Sha256RsaOaep,
            SecurityPolicy::Basic256Sha256,
        ],
        (_, Policy::Basic256Sha256) => vec![SecurityPolicy::Basic256Sha256],
        (_, Policy::Aes128Sha256RsaOaep) => vec![SecurityPolicy::Aes128Sha256RsaOaep],
        (_, Policy::Aes256Sha256RsaPss) => vec![SecurityPolicy::Aes256Sha256RsaPss],
    };
    let token = if config.user_certificate.is_some() {
        UserTokenType::Certificate
    } else if config.user.is_some() {
        UserTokenType::UserName
    } else {
        UserTokenType::Anonymous
    };
    let policy =
        |endpoint: &EndpointDescription| SecurityPolicy::from_uri(endpoint.security_policy_uri.as_ref());
    let fits: Vec<&EndpointDescription> = offered
        .iter()
        .filter(|endpoint| endpoint.endpoint_url.as_ref().starts_with("opc.tcp://"))
        .filter(|endpoint| endpoint.security_mode == mode && wanted.contains(&policy(endpoint)))
        .collect();
    if fits.is_empty() {
        let mut list: Vec<String> = offered
            .iter()
            .map(|one| format!("{} with {}", mode_word(one.security_mode), policy_word(one)))
            .collect();
        list.sort();
        list.dedup();
        return Err(format!(
            "the server has no endpoint for security = \"{}\" and this policy; it offers {}",
            mode_word(mode),
            list.join(", ")
        ));
    }
    let takes = |endpoint: &&&EndpointDescription| endpoint.find_policy(token).is_some();
    let best = wanted.iter().find_map(|want| fits.iter().filter(takes).find(|one| policy(one) == *want));
    let Some(best) = best else {
        return Err(match token {
            UserTokenType::Anonymous => "the server wants a user: set `user` and `password`".into(),
            UserTokenType::UserName => "the server takes no user names at this endpoint".into(),
            _ => "the server takes no certificates of users at this endpoint".into(),
        });
    };
    let mut endpoint = (*best).clone();
    // The safest way for the password comes first: the library takes the first.
    let strength = |uri: &str| match SecurityPolicy::from_uri(uri) {
        SecurityPolicy::None | SecurityPolicy::Unknown => 9,
        policy => wanted.iter().position(|one| *one == policy).unwrap_or(5),
    };
    let channel = endpoint.security_policy_uri.as_ref().to_owned();
    if let Some(tokens) = &mut endpoint.user_identity_tokens {
        for token in tokens.iter_mut() {
            // Nothing said means: as the connection.
            if token.security_policy_uri.is_empty() {
                token.security_policy_uri = channel.as_str().into();
            }
        }
        tokens.sort_by_key(|token| strength(token.security_policy_uri.as_ref()));
    }
    let plain = token == UserTokenType::UserName
        && config.security != Security::SignAndEncrypt
        && endpoint.find_policy(token).is_some_and(|token| {
            SecurityPolicy::from_uri(token.security_policy_uri.as_ref()) == SecurityPolicy::None
        });
    if plain && !config.plain_password {
        return Err(
            "the password would be sent for everyone to read: set security, or plain_password = true".into(),
        );
    }
    // Servers name themselves as they please; the way to them is the one that was configured.
    let (_, path) = split(url);
    let own = endpoint.endpoint_url.as_ref();
    endpoint.endpoint_url =
        if path.is_empty() { format!("{url}{}", split(own).1) } else { url.to_owned() }.into();
    Ok(endpoint)
}

/// The last part of a policy's URI.
fn policy_word(endpoint: &EndpointDescription) -> &str {
    let uri = endpoint.security_policy_uri.as_ref();
    uri.rsplit('#').next().unwrap_or(uri)
}

fn mode_word(mode: MessageSecurityMode) -> &'static str {
    match mode {
        MessageSecurityMode::None => "none",
        MessageSecurityMode::Sign => "sign",
        MessageSecurityMode::SignAndEncrypt => "sign_and_encrypt",
        MessageSecurityMode::Invalid => "nothing known",
    }
}

fn identity(config: &Config) -> Result<IdentityToken, String> {
    match (&config.user_certificate, &config.user) {
        (Some(certificate), _) => {
            let key = config.user_key.as_ref().ok_or("user_certificate needs user_key")?;
            IdentityToken::new_x509_path(certificate, key).map_err(|error| error.to_string())
        }
        (None, Some(user)) => {
            Ok(IdentityToken::new_user_name(user.as_str(), config.password.as_deref().unwrap_or_default()))
        }
        (None, None) => Ok(IdentityToken::new_anonymous()),
    }
}

/// Why there was no session, with the cure where there is one.
fn why(config: &Config, status: StatusCode) -> String {
    let own = pki::certificate(&config.pki);
    let cure = match status {
        StatusCode::BadSecurityChecksFailed
        | StatusCode::BadCertificateUntrusted
        | StatusCode::BadCertificateInvalid
        | StatusCode::BadConnectionClosed
        | StatusCode::BadCommunicationError
        | StatusCode::BadSecureChannelClosed
            if config.security != Security::None =>
        {
            format!("; perhaps the server does not trust the gateway yet: let it trust {}", own.display())
        }
        StatusCode::BadUserAccessDenied
        | StatusCode::BadIdentityTokenRejected
        | StatusCode::BadIdentityTokenInvalid => "; check `user` and `password`".into(),
        StatusCode::BadTooManySessions => "; the server has as many clients as it takes".into(),
        _ => String::new(),
    };
    format!("{}{cure}", words(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> String {
        url(&Config { address: address.into(), ..Config::default() })
    }

    #[test]
    fn a_host_becomes_a_url() {
        assert_eq!(at("plc"), "opc.tcp://plc:4840");
        assert_eq!(at("plc:4841"), "opc.tcp://plc:4841");
        assert_eq!(at("opc.tcp://plc/a/b"), "opc.tcp://plc:4840/a/b");
        assert_eq!(at("opc.tcp://[::1]:7/x"), "opc.tcp://[::1]:7/x");
    }
}
