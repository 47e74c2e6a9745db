//! Requests to an agent: with deadlines, caps and bounded redirects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client as Http, Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use crate::codec::{Document, Malformed, Parts, Problem, boundary_of, document};
use crate::{Config, Format, secret, tls};

const XML: &str = "application/xml, text/xml;q=0.9, */*;q=0.1";
const JSON: &str = "application/mtconnect+json, application/json;q=0.9, */*;q=0.1";
/// Redirects of one request, all to the same host.
const MOST_REDIRECTS: usize = 3;
/// Connections that are kept for the next request.
const MOST_IDLE: usize = 2;
/// Documents longer than this are decoded beside the runtime.
const LONG: usize = 1 << 20;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request did not get through, or the answer broke off.
    #[error("{0}")]
    Broken(String),
    /// No whole answer in time.
    #[error("no whole answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The answer is longer than it may be.
    #[error("the answer has more than {0} bytes (`max_document`)")]
    Oversized(usize),
    /// The answer is no document.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The agent or something before it refused, without an MTConnect document.
    #[error("the answer is HTTP {0}")]
    Status(StatusCode),
    /// The agent refused and said why.
    #[error("the agent says {}", told(.0))]
    Refused(Vec<Problem>),
    /// Another kind of document than was asked for.
    #[error("{0} came where {1} was asked for")]
    Other(&'static str, &'static str),
}

impl Failure {
    /// Whether the agent no longer (or not yet) has what was asked for.
    pub(crate) fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Refused(problems) if out_of_range(problems))
    }

    /// Whether the agent answered, so that another question may do better.
    pub(crate) const fn is_answer(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::Status(_) | Self::Refused(_) | Self::Other(..))
    }
}

/// Whether an error document is about a sequence that is not in the buffer. Old agents have no code of its
/// own for it.
pub(crate) fn out_of_range(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| {
        let text = problem.text.to_ascii_lowercase();
        problem.code.eq_ignore_ascii_case("OUT_OF_RANGE")
            || (text.contains("from") && (text.contains("range") || text.contains("must be")))
    })
}

fn told(problems: &[Problem]) -> String {
    let told = |problem: &Problem| format!("{} ({})", problem.code, problem.text);
    if problems.is_empty() {
        return "that something is wrong, but not what".into();
    }
    problems.iter().take(3).map(told).collect::<Vec<_>>().join(", ")
}

/// A client for one agent.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http,
    timeout: Duration,
    heartbeat: Duration,
    most: usize,
    user: Option<(String, Option<String>)>,
    token: Option<String>,
    accept: &'static str,
    /// Bytes of whole documents read.
    bytes: Arc<AtomicUsize>,
}

/// An answer to a request for a stream.
pub(crate) enum Opened {
    /// Parts follow.
    Stream(Box<Stream>),
    /// It was one document: the agent does not stream.
    Document(Box<Document>),
}

impl Client {
    /// Reads the certificates; connects to nothing yet. `secure` is whether the address is `https`.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let password = config.password.as_deref().map(secret::resolve).transpose()?;
        let secure = config.base()?.uri().starts_with("https");
        let mut builder = Http::builder()
            .connect_timeout(config.connect_timeout)
            .redirect(Policy::custom(redirect))
            .tcp_nodelay(true)
            .no_proxy()
            .http1_only()
            // Servers on controls are old and small; what they write into their headers is not always right.
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .pool_max_idle_per_host(MOST_IDLE)
            .user_agent(concat!("guideway/", env!("CARGO_PKG_VERSION")));
        builder = builder.tls_backend_preconfigured(if secure {
            tls::client_config(config)?
        } else {
            // Not used: a redirect from http to https leaves the host's port and is refused.
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth()
        });
        Ok(Self {
            http: builder.build().map_err(|error| causes(&error))?,
            timeout: config.timeout,
            heartbeat: config.heartbeat,
            most: config.max_document,
            user: config.user.clone().map(|user| (user, password)),
            token: config.token.as_deref().map(secret::resolve).transpose()?,
            bytes: Arc::default(),
            accept: if config.format == Format::Json { JSON } else { XML },
        })
    }

    /// A document of observations.
    pub(crate) async fn observations(&self, url: Url) -> Result<Document, Failure> {
        self.fetch(url, self.accept).await
    }

    /// A device model or assets, as XML where the agent can.
    pub(crate) async fn tree(&self, url: Url) -> Result<Document, Failure> {
        self.fetch(url, XML).await
    }

    /// The bytes of documents read since this was last asked; streams count their own.
    pub(crate) fn take_bytes(&self) -> usize {
        self.bytes.swap(0, Relaxed)
    }

    async fn fetch(&self, url: Url, accept: &'static str) -> Result<Document, Failure> {
        let deadline = Instant::now() + self.timeout;
        let whole = async {
            let response = self.get(url, accept, None).await?;
            let status = response.status();
            let body = self.body(response, Vec::new()).await?;
            read(body, status).await
        };
        timeout_at(deadline, whole).await.map_err(|_| Failure::Late(self.timeout))?
    }

    /// Asks for a stream.
    pub(crate) async fn open(&self, url: Url) -> Result<Opened, Failure> {
        // Some servers send nothing, not even headers, before the first part.
        let patience = self.timeout + self.heartbeat;
        let deadline = Instant::now() + patience;
        let whole = async {
            // Packed parts may wait in the packer until there are more.
            let mut response = self.get(url, self.accept, Some("identity")).await?;
            let status = response.status();
            let kind =
                response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let boundary = boundary_of(kind);
            let mut parts = Parts::new(boundary.clone(), self.most);
            if !status.is_success() {
                let body = self.body(response, Vec::new()).await?;
                return Ok(Opened::Document(Box::new(read(body, status).await?)));
            }
            if boundary.is_none() {
                // The type says nothing of parts, but not every server knows what it sends.
                let mut begin = Vec::new();
                while begin.trim_ascii_start().len() < 2 && begin.len() < 1_024 {
                    match response.chunk().await.map_err(|error| Failure::Broken(causes(&error)))? {
                        Some(chunk) => begin.extend_from_slice(&chunk),
                        None => break,
                    }
                }
                if !begin.trim_ascii_start().starts_with(b"--") {
                    let body = self.body(response, begin).await?;
                    return Ok(Opened::Document(Box::new(read(body, status).await?)));
                }
                parts.push(&begin);
            }
            Ok(Opened::Stream(Box::new(Stream { response, parts, bytes: 0 })))
        };
        timeout_at(deadline, whole).await.map_err(|_| Failure::Late(patience))?
    }

    async fn get(
        &self,
        url: Url,
        accept: &'static str,
        encoding: Option<&'static str>,
    ) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(encoding) = encoding {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        }
        // An agent may close an idle connection just when the next request is on its way over it. That says nothing of
        // the agent, and what only asks may be asked again (RFC 9112, 9.3.1): at last over a connection of its own.
        for _ in 0..MOST_IDLE {
            match self.send(url.clone(), headers.clone()).await {
                Err(error) if error.is_request() && !error.is_connect() => {}
                sent => return sent.map_err(|error| Failure::Broken(causes(&error))),
            }
        }
        self.send(url, headers).await.map_err(|error| Failure::Broken(causes(&error)))
    }

    async fn send(&self, url: Url, headers: HeaderMap) -> reqwest::Result<Response> {
        let mut request = self.http.get(url).headers(headers);
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, password.as_deref());
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await
    }

    /// The rest of an answer, unpacked, within the cap.
    async fn body(&self, mut response: Response, mut body: Vec<u8>) -> Result<Bytes, Failure> {
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    self.bytes.fetch_add(chunk.len(), Relaxed);
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => return Ok(body.into()),
                // Some servers count their own documents wrong; whether it is whole, the document shows.
                Err(error) if error.is_body() || error.is_decode() => {
                    if body.is_empty() {
                        return Err(Failure::Broken(causes(&error)));
                    }
                    return Ok(body.into());
                }
                Err(error) => return Err(Failure::Broken(causes(&error))),
            }
            if body.len() > self.most {
                return Err(Failure::Oversized(self.most));
            }
        }
    }
}

/// Decodes an answer; what was refused is an error.
async fn read(body: Bytes, status: StatusCode) -> Result<Document, Failure> {
    match decode(body).await {
        Ok(Document::Errors(problems)) => Err(Failure::Refused(problems)),
        Ok(document) if status.is_success() => Ok(document),
        Err(error) if status.is_success() => Err(Failure::Malformed(error)),
        _ => Err(Failure::Status(status)),
    }
}

/// Decodes a document; a long one where it holds up nobody.
pub(crate) async fn decode(body: Bytes) -> Result<Document, Malformed> {
    if body.len() < LONG {
        return document(&body);
    }
    match tokio::task::spawn_blocking(move || document(&body)).await {
        Ok(read) => read,
        // The runtime is shutting down; nobody is there for a document.
        Err(_) => document(b""),
    }
}

/// Follows three redirects, and none to anybody else.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let place =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    let first = attempt.previous().first().map(place);
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error("too many redirects");
    }
    if first != Some(place(attempt.url())) {
        let (scheme, host, port) = place(attempt.url());
        let target = format!("{scheme}://{}:{}", host.unwrap_or_default(), port.unwrap_or_default());
        return attempt.error(format!("it redirects to another place, {target}; set `address` to that"));
    }
    attempt.follow()
}

/// An error with everything behind it, without the address, which the log has already.
fn causes(error: &reqwest::Error) -> String {
    let mut text = match error {
        error if error.is_connect() => "no connection".to_owned(),
        error if error.is_timeout() => "no answer in time".to_owned(),
        error if error.is_redirect() => "redirected".to_owned(),
        error if error.is_body() || error.is_decode() => "the answer broke off".to_owned(),
        _ => "the request failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    let mut last = String::new();
    for _ in 0..8 {
        let Some(error) = cause else { break };
        let words = error.to_string();
        if !words.is_empty() && words != last {
            text.push_str(": ");
            text.push_str(&words);
        }
        last = words;
        cause = error.source();
    }
    text.chars().take(300).collect()
}

/// A stream of documents.
pub(crate) struct Stream {
    response: Response,
    parts: Parts,
    bytes: usize,
}

/// What a stream has.
pub(crate) enum Heard {
    /// A whole part.
    Part(Bytes),
    /// Bytes of one.
    Bytes,
    /// Its end, which the agent said.
    End,
}

impl Stream {
    /// What comes next. May be dropped before it is ready, and called again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Heard, Failure> {
        if let Some(part) = self.parts.next_part()? {
            return Ok(Heard::Part(part));
        }
        if self.parts.is_over() {
            return Ok(Heard::End);
        }
        match self.response.chunk().await {
            Ok(Some(chunk)) => {
                self.bytes += chunk.len();
                self.parts.push(&chunk);
                Ok(match self.parts.next_part()? {
                    Some(part) => Heard::Part(part),
                    None => Heard::Bytes,
                })
            }
            Ok(None) => Ok(Heard::End),
            Err(error) => Err(Failure::Broken(causes(&error))),
        }
    }

    /// The bytes read since this was last asked.
    pub(crate) fn take_bytes(&mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }
}
