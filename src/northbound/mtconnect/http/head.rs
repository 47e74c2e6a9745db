//! The head of a request: method, target and the few fields an agent looks at.

/// Longest head that is read, in bytes. An XPath of the allowed length fits, percent-encoded.
pub(crate) const MAX_HEAD: usize = 32 * 1_024;
/// Most header fields in a head.
const MAX_FIELDS: usize = 64;

/// What a client wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Options,
    Post,
    /// PUT, DELETE and whatever else there may be.
    Other,
}

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, or bytes that the client holds back until it is told to go on.
    Unknown,
}

/// A request head. Borrows from the connection's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'b> {
    pub(crate) method: Method,
    /// Path and query as sent, without scheme and authority; begins with `/` (or is `*`).
    pub(crate) target: &'b str,
    /// Whether the client speaks HTTP/1.1, so that it understands chunks.
    pub(crate) modern: bool,
    /// Whether the connection may be used again.
    pub(crate) keep_alive: bool,
    /// `Accept`; empty when there is none.
    pub(crate) accept: &'b str,
    /// `Origin`; empty when there is none.
    pub(crate) origin: &'b str,
    /// `Host`; empty when there is none.
    pub(crate) host: &'b str,
    /// `Content-Type`; empty when there is none.
    pub(crate) content_type: &'b str,
    /// `Authorization`; empty when there is none.
    pub(crate) authorization: &'b str,
    pub(crate) payload: Payload,
    /// `Content-Length`.
    pub(crate) length: Option<u64>,
    /// Whether the client holds its body back until it is told to go on (`Expect: 100-continue`).
    pub(crate) waits: bool,
}

/// What is in the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'b> {
    /// A head and its length.
    Complete(Head<'b>, usize),
    /// The beginning of one.
    Partial,
    /// Something that can never become one.
    Broken(Fault),
}

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed(&'static str),
    TooLarge,
    Version,
}

impl<'b> Head<'b> {
    /// Path without the query.
    pub(crate) fn path(&self) -> &'b str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// Query without the `?`; empty when there is none.
    pub(crate) fn query(&self) -> &'b str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Reads the head at the beginning of `buffer`.
pub(crate) fn parse(buffer: &[u8]) -> Parsed<'_> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(buffer) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Complete(_)) => return Parsed::Broken(Fault::TooLarge),
        Ok(httparse::Status::Partial) if buffer.len() >= MAX_HEAD => return Parsed::Broken(Fault::TooLarge),
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => return Parsed::Broken(Fault::TooLarge),
        Err(httparse::Error::Version) => return Parsed::Broken(Fault::Version),
        Err(error) => {
            return Parsed::Broken(Fault::Malformed(match error {
                httparse::Error::HeaderName => "a header name has a character that is not allowed",
                httparse::Error::HeaderValue => "a header value has a character that is not allowed",
                httparse::Error::NewLine => "a line does not end as it should",
                _ => "the request line is not `METHOD target HTTP/1.1`",
            }));
        }
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Parsed::Broken(Fault::Malformed("the request line is incomplete"));
    };
    match fields_of(request.headers, minor == 1) {
        Ok(mut head) => {
            head.method = match method {
                "GET" => Method::Get,
                "HEAD" => Method::Head,
                "OPTIONS" => Method::Options,
                "POST" => Method::Post,
                _ => Method::Other,
            };
            match origin_form(target) {
                Some(target) => head.target = target,
                None if target == "*" && head.method == Method::Options => head.target = target,
                None => return Parsed::Broken(Fault::Malformed("the target is not a path")),
            }
            Parsed::Complete(head, length)
        }
        Err(fault) => Parsed::Broken(fault),
    }
}

/// `/path?query` of a target in origin form or absolute form (`http://host/path`), without a
/// fragment.
fn origin_form(target: &str) -> Option<&str> {
    let target = target.split_once('#').map_or(target, |(before, _)| before);
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    Some(rest.find('/').map_or("/", |slash| &rest[slash..]))
}

fn fields_of<'b>(fields: &[httparse::Header<'b>], modern: bool) -> Result<Head<'b>, Fault> {
    let mut head = Head {
        method: Method::Other,
        target: "",
        modern,
        keep_alive: modern,
        accept: "",
        origin: "",
        host: "",
        content_type: "",
        authorization: "",
        payload: Payload::None,
        length: None,
        waits: false,
    };
    let (mut length, mut chunked, mut waits) = (None::<u64>, false, false);
    for field in fields {
        // What is no text is something all the same: a field that is there is not taken for one that is not.
        let value = std::str::from_utf8(field.value).unwrap_or("\u{fffd}").trim();
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            4 if is("host") => once(&mut head.host, value, "there are two different Host fields")?,
            6 if is("accept") => head.accept = value,
            6 if is("origin") => once(&mut head.origin, value, "there are two different Origin fields")?,
            12 if is("content-type") => head.content_type = value,
            13 if is("authorization") => {
                once(&mut head.authorization, value, "there are two different Authorization fields")?;
            }
            6 if is("expect") => waits = true,
            10 if is("connection") => {
                for option in value.split(',').map(str::trim) {
                    if option.eq_ignore_ascii_case("close") {
                        head.keep_alive = false;
                    } else if option.eq_ignore_ascii_case("keep-alive") {
                        head.keep_alive = true;
                    }
                }
            }
            14 if is("content-length") => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse::<u64>().ok().filter(|_| digits);
                let Some(number) = number else {
                    return Err(Fault::Malformed("Content-Length is not a number"));
                };
                if length.is_some_and(|before| before != number) {
                    return Err(Fault::Malformed("there are two different Content-Length fields"));
                }
                length = Some(number);
            }
            17 if is("transfer-encoding") => chunked = true,
            _ => {}
        }
    }
    if chunked && length.is_some() {
        // Two ways to say where the body ends: a proxy may have believed the other one.
        return Err(Fault::Malformed("there are both Content-Length and Transfer-Encoding"));
    }
    (head.length, head.waits) = (length, waits);
    head.payload = match length {
        _ if chunked => Payload::Unknown,
        None | Some(0) => Payload::None,
        Some(_) if waits => Payload::Unknown,
        Some(length) => Payload::Length(length),
    };
    Ok(head)
}

/// Sets what must not be said twice: a proxy may have believed the other one.
fn once<'b>(field: &mut &'b str, value: &'b str, twice: &'static str) -> Result<(), Fault> {
    if !field.is_empty() && *field != value {
        return Err(Fault::Malformed(twice));
    }
    *field = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Head<'_> {
        match parse(text.as_bytes()) {
            Parsed::Complete(head, length) => {
                assert_eq!(length, text.len());
                head
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_request_is_read() {
        let head = head("GET /current?path=//Axes HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n");
        assert_eq!((head.path(), head.query()), ("/current", "path=//Axes"));
        assert_eq!((head.method, head.accept), (Method::Get, "application/json"));
        assert!(head.keep_alive && head.modern);
    }

    #[test]
    fn quotes_and_brackets_of_an_xpath_need_no_encoding() {
        let head = head("GET /current?path=//DataItem[@type=\"LOAD\"]|//A[@n<'1'] HTTP/1.1\r\n\r\n");
        assert_eq!(head.query(), "path=//DataItem[@type=\"LOAD\"]|//A[@n<'1']");
    }

    #[test]
    fn old_clients_and_those_who_say_so_are_not_kept() {
        assert!(!head("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
        assert!(!head("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").keep_alive);
    }

    #[test]
    fn an_absolute_target_loses_scheme_and_host() {
        assert_eq!(head("GET http://a:5000/probe HTTP/1.1\r\n\r\n").target, "/probe");
        assert_eq!(head("GET http://a HTTP/1.1\r\n\r\n").target, "/");
    }

    #[test]
    fn what_makes_the_end_of_a_request_doubtful_is_refused() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content Length: 1\r\n",
            "Host: a\r\nHost: b\r\n",
            "Authorization: Basic YTph\r\nAuthorization: Basic Yjpi\r\n",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            assert!(matches!(parse(text.as_bytes()), Parsed::Broken(Fault::Malformed(_))), "{fields}");
        }
    }

    #[test]
    fn a_head_that_never_ends_is_too_large() {
        let mut text = b"GET / HTTP/1.1\r\nX: ".to_vec();
        assert_eq!(parse(&text), Parsed::Partial);
        text.resize(MAX_HEAD, b'a');
        assert_eq!(parse(&text), Parsed::Broken(Fault::TooLarge));
    }

    #[test]
    fn a_version_nobody_speaks_here_is_named() {
        assert_eq!(parse(b"GET / HTTP/2.0\r\n\r\n"), Parsed::Broken(Fault::Version));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&bytes);
        }
    }
}
