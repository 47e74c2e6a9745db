//! Replies: status, fields and body, ready for the wire.

use std::borrow::Cow;

use bytes::Bytes;

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status, e.g. 200.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Cow<'static, str>,
    /// Further header fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A reply without further fields.
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: content_type.into(), fields: Vec::new(), body: body.into() }
    }

    /// The same reply with one more header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

/// A reply whose head is written out but for the fields that depend on the client: `Connection`
/// and those of CORS. Shared between all who ask the same within a second.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// Status line and fields, without the empty line.
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
}

impl Ready {
    /// Writes the head out. `date` is an IMF-fixdate.
    pub(crate) fn new(reply: &Reply, date: &str) -> Self {
        Self { head: head(reply, Some(reply.body.len() as u64), date).into(), body: reply.body.clone() }
    }
}

/// Status line and fields without the empty line; without a length for what is streamed.
pub(crate) fn head(reply: &Reply, length: Option<u64>, date: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(itoa::Buffer::new().format(reply.status).as_bytes());
    head.push(b' ');
    head.extend_from_slice(reason(reply.status).as_bytes());
    head.extend_from_slice(b"\r\nServer: Guideway\r\n");
    let mut field = |name: &str, value: &str| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        // A value never ends its own line, wherever it came from.
        head.extend(value.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        head.extend_from_slice(b"\r\n");
    };
    field("Date", date);
    if !reply.content_type.is_empty() {
        field("Content-Type", &reply.content_type);
    }
    if let Some(length) = length.filter(|_| reply.status != 204) {
        field("Content-Length", itoa::Buffer::new().format(length));
    }
    field("Cache-Control", "no-cache");
    for (name, value) in &reply.fields {
        field(name, value);
    }
    head
}

/// The words that go with a status.
const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

/// The current second as `Date` wants it (RFC 9110, IMF-fixdate).
pub(crate) fn date(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds)
        .ok()
        .and_then(|time| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok())
        .unwrap_or_else(|| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_length_type_and_date() {
        let ready = Ready::new(&Reply::new(200, "text/plain", "abc").with("Allow", "GET"), &date(0));
        let text = String::from_utf8_lossy(&ready.head).into_owned();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 3\r\n"), "{text}");
        assert!(text.ends_with("\r\nAllow: GET\r\n"), "{text}");
    }

    #[test]
    fn a_field_cannot_smuggle_a_line() {
        let ready = Ready::new(&Reply::new(200, "a\r\nX: 1", "").with("Y", "b\r\nZ: 2"), &date(0));
        let text = String::from_utf8_lossy(&ready.head).into_owned();
        assert!(!text.contains("\nX: 1") && !text.contains("\nZ: 2"), "{text}");
    }
}
