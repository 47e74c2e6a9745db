//! A session with an OPC UA server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opcua_client::{Client, ClientBuilder, IdentityToken, Password, Session};
use opcua_types::{EndpointDescription, MessageSecurityMode, StatusCode, UserTokenType};

/// Who the client is, and whom it believes.
#[derive(Clone, Debug)]
pub struct OpcUaLogin {
    /// User name and password.
    pub user: Option<(String, String)>,
    /// The user's certificate and key, instead of a password.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The client's own key and certificate, and the servers that it trusts.
    pub pki: PathBuf,
    /// Takes the server's certificate as it is.
    pub trust: bool,
    /// The end of the URI of the wanted security policy, such as `Basic256Sha256`. Default: the best.
    pub policy: Option<String>,
}

/// A session; ends with it.
pub(super) struct Connection {
    pub(super) session: Arc<Session>,
    /// Ends when the connection is lost for good.
    pub(super) running: tokio::task::JoinHandle<StatusCode>,
}

/// Connects to the best endpoint that the login fits.
pub(super) async fn connect(url: &str, login: &OpcUaLogin) -> Result<Connection, String> {
    let asking = builder(login).client().map_err(|errors| errors.join(", "))?;
    let asked = asking.get_server_endpoints_from_url(url);
    let endpoints = tokio::time::timeout(Duration::from_secs(15), asked)
        .await
        .map_err(|_| "no answer within 15 s".to_owned())?
        .map_err(|error| format!("{} ({})", error, error.status()))?;
    let mut endpoint = choose(endpoints, login)?;
    // The server may call itself by a name that is not known here.
    endpoint.endpoint_url = url.into();
    let secure = endpoint.security_mode != MessageSecurityMode::None;
    let client = client(login, secure)?;
    let (session, event_loop) = client
        .session_builder()
        .user_identity_token(token(login)?)
        .connect_to_endpoint_directly(endpoint)
        .map_err(|error| error.to_string())?
        .build(client.certificate_store().clone())
        .map_err(|error| error.to_string())?;
    let mut running = event_loop.spawn();
    tokio::select! {
        ended = &mut running => {
            let status = ended.unwrap_or(StatusCode::BadUnexpectedError);
            Err(refused(status, login))
        }
        connected = session.wait_for_connection() => {
            if connected { Ok(Connection { session, running }) } else { Err("the connection was lost".into()) }
        }
        () = tokio::time::sleep(Duration::from_secs(30)) => {
            running.abort();
            Err("no session within 30 s".into())
        }
    }
}

fn builder(login: &OpcUaLogin) -> ClientBuilder {
    ClientBuilder::new()
        .application_name("guideway verify")
        .application_uri("urn:guideway:verify")
        .product_uri("urn:guideway:verify")
        .pki_dir(login.pki.clone())
        .session_retry_limit(0)
        .recreate_subscriptions(false)
        .max_message_size(256 << 20)
        .max_array_length(1_000_000)
        .max_chunk_count(1 << 16)
        .max_string_length(16 << 20)
        .max_byte_string_length(16 << 20)
        .request_timeout(Duration::from_secs(30))
}

/// A client with a key of its own, where it needs one.
fn client(login: &OpcUaLogin, secure: bool) -> Result<Client, String> {
    let built = builder(login)
        .create_sample_keypair(secure)
        .trust_server_certs(login.trust)
        .verify_server_certs(!login.trust)
        .client();
    built.map_err(|errors| errors.join(", "))
}

fn choose(endpoints: Vec<EndpointDescription>, login: &OpcUaLogin) -> Result<EndpointDescription, String> {
    let kind = match (&login.user, &login.certificate) {
        (_, Some(_)) => UserTokenType::Certificate,
        (Some(_), None) => UserTokenType::UserName,
        (None, None) => UserTokenType::Anonymous,
    };
    let takes = |endpoint: &EndpointDescription| {
        let tokens = endpoint.user_identity_tokens.iter().flatten();
        tokens.into_iter().any(|token| token.token_type == kind)
    };
    let wanted = |endpoint: &EndpointDescription| {
        let uri = endpoint.security_policy_uri.as_ref();
        login.policy.as_deref().is_none_or(|policy| uri.rsplit('#').next() == Some(policy))
    };
    let fitting = endpoints.into_iter().filter(|endpoint| takes(endpoint) && wanted(endpoint));
    fitting.max_by_key(|endpoint| endpoint.security_level).ok_or_else(|| {
        let policy = login.policy.as_deref().map_or(String::new(), |it| format!(" with policy {it}"));
        match kind {
            UserTokenType::Anonymous => format!(
                "no endpoint{policy} takes clients without a login; give --user (password in GUIDEWAY_PASSWORD) \
                 or --certificate and --key"
            ),
            _ => format!("no endpoint{policy} takes that kind of login ({kind:?})"),
        }
    })
}

fn token(login: &OpcUaLogin) -> Result<IdentityToken, String> {
    match (&login.user, &login.certificate) {
        (_, Some((certificate, key))) => IdentityToken::new_x509_path(certificate, key)
            .map_err(|error| format!("{} or {}: {error}", certificate.display(), key.display())),
        (Some((name, password)), None) => {
            Ok(IdentityToken::UserName(name.clone(), Password::new(password.clone())))
        }
        (None, None) => Ok(IdentityToken::Anonymous),
    }
}

/// Why there is no session, and what helps.
fn refused(status: StatusCode, login: &OpcUaLogin) -> String {
    let pki = login.pki.display();
    let cure = match status {
        StatusCode::BadSecurityChecksFailed
        | StatusCode::BadCertificateUntrusted
        | StatusCode::BadConnectionClosed
        | StatusCode::BadCertificateInvalid
        | StatusCode::BadCertificateUriInvalid => format!(
            "one side does not trust the other. On the gateway, `guideway opcua trust` lists and accepts \
             this program's certificate ({pki}/own/cert.der); here, --trust takes the gateway's"
        ),
        StatusCode::BadCertificateHostNameInvalid => {
            "the gateway's certificate is for another host name; --trust takes it as it is".into()
        }
        StatusCode::BadUserAccessDenied | StatusCode::BadIdentityTokenRejected => {
            "the user or the password is wrong".into()
        }
        StatusCode::BadIdentityTokenInvalid => "that kind of login is not accepted".into(),
        _ => "is this an OPC UA server?".into(),
    };
    format!("{status}: {cure}")
}
