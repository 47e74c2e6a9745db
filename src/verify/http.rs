//! A small HTTP/1.1 client: one request, one connection, a body that may be a stream without end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use guideway_mtconnect::codec::{Document, Problem, document};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest head of an answer, and longest line between chunks.
const MOST_HEAD: usize = 64 << 10;

/// Longest document.
const MOST_BODY: usize = 256 << 20;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the answer to what a machine has to do may take: a command takes an hour at most.
const POST_PATIENCE: Duration = Duration::from_secs(3_700);

/// `http://host[:port][/path]`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Name or address with its port, for connecting and for `Host`.
    authority: String,
    /// Before every target; without a slash at its end.
    prefix: String,
}

impl Address {
    /// The error says what to write.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}`: write http://host:5000"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || authority.contains('@') || path.contains(['?', '#']) {
            return Err(format!("`{url}`: write http://host:5000, with nothing behind it"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let prefix = path.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Ok(Self { authority, prefix })
    }
}

/// The body of an answer.
pub(super) struct Body {
    stream: TcpStream,
    buffer: BytesMut,
    framing: Framing,
    patience: Duration,
    /// `Content-Type`.
    pub(super) content_type: String,
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Over,
}

/// Sends a GET request; an answer other than 200 is an error with its text.
pub(super) async fn get(address: &Address, target: &str) -> Result<Body, String> {
    let Address { authority, prefix } = address;
    let request = format!(
        "GET {prefix}{target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: guideway-verify\r\n\
         Accept: application/xml\r\nConnection: close\r\n\r\n"
    );
    let (status, body) = exchange(address, request.as_bytes(), PATIENCE).await?;
    if status == 200 {
        return Ok(body);
    }
    let bytes = body.whole().await.unwrap_or_default();
    let text = match document(&bytes) {
        Ok(Document::Errors(problems)) => {
            let told = |problem: &Problem| format!("{}: {}", problem.code, problem.text);
            problems.iter().map(told).collect::<Vec<_>>().join("; ")
        }
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let text: String = text.chars().take(300).collect();
    Err(format!("GET {prefix}{target} was answered {status}: {text}"))
}

/// Sends a POST request; gives the status and the whole answer, whatever the status.
pub(super) async fn post(
    address: &Address,
    target: &str,
    content_type: &str,
    content: &str,
) -> Result<(u16, Vec<u8>), String> {
    let Address { authority, prefix } = address;
    let request = format!(
        "POST {prefix}{target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: guideway\r\n\
         Accept: application/json\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{content}",
        content.len()
    );
    let (status, body) = exchange(address, request.as_bytes(), POST_PATIENCE).await?;
    Ok((status, body.whole().await?))
}

/// One request on a connection of its own; gives the status and the body that follows.
async fn exchange(address: &Address, request: &[u8], patience: Duration) -> Result<(u16, Body), String> {
    let connect = TcpStream::connect(&address.authority);
    let mut stream = tokio::time::timeout(Duration::from_secs(10), connect)
        .await
        .map_err(|_| "no answer within 10 s".to_owned())?
        .map_err(|error| error.to_string())?;
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    let (buffer, content_type) = (BytesMut::new(), String::new());
    let mut body = Body { stream, buffer, framing: Framing::UntilClose, patience, content_type };
    let status = body.head().await?;
    Ok((status, body))
}

impl Body {
    /// Reads the head; gives the status.
    async fn head(&mut self) -> Result<u16, String> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&self.buffer).map_err(|error| format!("no HTTP: {error}"))?;
            if let httparse::Status::Complete(length) = parsed {
                let status = response.code.unwrap_or_default();
                self.framing = Framing::UntilClose;
                for header in response.headers.iter() {
                    let value = String::from_utf8_lossy(header.value);
                    if header.name.eq_ignore_ascii_case("transfer-encoding") {
                        self.framing = Framing::Chunked;
                    } else if header.name.eq_ignore_ascii_case("content-length") {
                        let length = value.trim().parse().map_err(|_| "a bad Content-Length".to_owned())?;
                        self.framing = Framing::Length(length);
                    } else if header.name.eq_ignore_ascii_case("content-type") {
                        self.content_type = value.into_owned();
                    }
                }
                let _ = self.buffer.split_to(length);
                return Ok(status);
            }
            if self.buffer.len() > MOST_HEAD {
                return Err("the head of the answer is too long".into());
            }
            self.fill().await?;
        }
    }

    /// More bytes into the buffer; an error at the end of the connection.
    async fn fill(&mut self) -> Result<(), String> {
        let read = tokio::time::timeout(self.patience, self.stream.read_buf(&mut self.buffer))
            .await
            .map_err(|_| format!("nothing came for {} s", self.patience.as_secs()))?
            .map_err(|error| error.to_string())?;
        if read == 0 { Err("the connection was closed".into()) } else { Ok(()) }
    }

    /// The next piece; `None` at the end of the body.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        match self.framing {
            Framing::Over => Ok(None),
            Framing::Length(0) => {
                self.framing = Framing::Over;
                Ok(None)
            }
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill().await?;
                }
                let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                self.framing = Framing::Length(left - piece.len());
                Ok(Some(piece))
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.fill().await.is_err() {
                    self.framing = Framing::Over;
                    return Ok(None);
                }
                Ok(Some(self.buffer.split().freeze()))
            }
            Framing::Chunked => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        let (head, size) = loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) if self.buffer.len() < MOST_HEAD => self.fill().await?,
                _ => return Err("a bad chunk".into()),
            }
        };
        let size =
            usize::try_from(size).ok().filter(|size| *size <= MOST_BODY).ok_or("a chunk is too long")?;
        let _ = self.buffer.split_to(head);
        while self.buffer.len() < size + 2 {
            self.fill().await?;
        }
        let chunk = self.buffer.split_to(size).freeze();
        let _ = self.buffer.split_to(2);
        if size == 0 {
            self.framing = Framing::Over;
            return Ok(None);
        }
        Ok(Some(chunk))
    }

    /// All of it.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > MOST_BODY {
                return Err("the document is too long".into());
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// The parts of a multipart body that goes on and on.
pub(super) struct Parts {
    body: Body,
    pending: BytesMut,
}

impl Parts {
    pub(super) fn new(body: Body) -> Self {
        Self { body, pending: BytesMut::new() }
    }

    /// The next part; `None` when the server has ended the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            if let Some(part) = take_part(&mut self.pending)? {
                return Ok(Some(part));
            }
            match self.body.piece().await? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// Takes a whole part from the front, boundary and head included.
fn take_part(pending: &mut BytesMut) -> Result<Option<Bytes>, String> {
    let Some(end) = memchr::memmem::find(pending, b"\r\n\r\n") else {
        return if pending.len() > MOST_HEAD { Err("a part has no head".into()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&pending[..end]);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length =
        length.filter(|it| *it <= MOST_BODY).ok_or("a part has no Content-length, or too long a one")?;
    if pending.len() < end + 4 + length {
        return Ok(None);
    }
    let _ = pending.split_to(end + 4);
    let part = pending.split_to(length).freeze();
    Ok(Some(part))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = |authority: &str, prefix: &str| {
            Ok(Address { authority: authority.into(), prefix: prefix.into() })
        };
        assert_eq!(Address::parse("http://gateway:5000"), address("gateway:5000", ""));
        assert_eq!(Address::parse("http://gateway/cell-1/"), address("gateway:80", "/cell-1"));
        assert_eq!(Address::parse("http://[::1]/"), address("[::1]:80", ""));
        for wrong in ["https://gateway", "gateway:5000", "http://", "http://a@b", "http://a/?x"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Answers one connection with these bytes, cut into pieces of every length in turn.
    async fn answering(answer: impl Into<String>) -> Address {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            for piece in answer.as_bytes().chunks(7) {
                stream.write_all(piece).await.expect("written");
                stream.flush().await.expect("flushed");
            }
        });
        Address { authority: address.to_string(), prefix: String::new() }
    }

    #[tokio::test]
    async fn a_body_is_read_by_length_by_chunks_and_to_the_end() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello world",
        ] {
            let body = get(&answering(answer).await, "/").await.expect("answered");
            assert_eq!(body.whole().await.expect("read"), b"hello world", "{answer}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_that_says_what_was_answered() {
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such";
        let error = get(&answering(answer).await, "/x").await.err().expect("an error");
        assert!(error.contains("404") && error.contains("no such"), "{error}");
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello";
        let body = get(&answering(cut).await, "/").await.expect("answered");
        assert!(body.whole().await.is_err());
    }

    #[tokio::test]
    async fn parts_come_whole_wherever_they_are_cut() {
        let parts = "--b\r\nContent-type: text/xml\r\nContent-length: 5\r\n\r\nfirst\r\n\
                     --b\r\nContent-length: 6\r\n\r\nsecond\r\n--b--\r\n";
        let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for chunk in parts.as_bytes().chunks(11) {
            answer += &format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
        }
        answer += "0\r\n\r\n";
        let body = get(&answering(answer).await, "/").await.expect("answered");
        let mut parts = Parts::new(body);
        assert_eq!(parts.next().await.expect("read").expect("a part"), "first");
        assert_eq!(parts.next().await.expect("read").expect("a part"), "second");
        assert_eq!(parts.next().await.expect("read"), None);
    }
}
