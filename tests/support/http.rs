//! A plain HTTP/1.1 client over `std` sockets: one request, one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends a signed request to control and reads the end. `None` when the connection broke.
pub fn try_control(address: SocketAddr, target: &str, signed: &str) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let length = signed.len();
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/jwt\r\n\
         Content-Length: {length}\r\n\r\n{signed}"
    )
    .ok()?;
    let mut text = String::new();
    BufReader::new(stream).read_to_string(&mut text).ok()?;
    let (_, body) = text.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

/// Sends a GET request and reads the whole answer. `None` when the connection broke.
pub fn try_get(address: SocketAddr, target: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").ok()?;
    let mut reader = BufReader::new(stream);
    let (status, head) = read_head(&mut reader)?;
    let mut body = Vec::new();
    match header(&head, "content-length") {
        Some(length) => {
            body.resize(length.parse().ok()?, 0);
            reader.read_exact(&mut body).ok()?;
        }
        None if header(&head, "transfer-encoding").is_some() => {
            while let Some(chunk) = read_chunk(&mut reader) {
                body.extend(chunk);
            }
        }
        None => {
            reader.read_to_end(&mut body).ok()?;
        }
    }
    Some(Answer { status, head, body: String::from_utf8(body).ok()? })
}

/// Sends a GET request and reads the whole answer, which has to come.
pub fn get(address: SocketAddr, target: &str) -> Answer {
    try_get(address, target).unwrap_or_else(|| panic!("no answer to GET {target} from {address}"))
}

/// A stream of multipart parts.
pub struct Stream {
    reader: BufReader<TcpStream>,
    pending: Vec<u8>,
}

impl Stream {
    /// Opens a stream; the answer's head has to be 200.
    pub fn open(address: SocketAddr, target: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let (status, head) = read_head(&mut reader).unwrap();
        assert_eq!(status, 200, "{head}");
        Self { reader, pending: Vec::new() }
    }

    /// The next part's body; `None` when the stream ends or breaks.
    pub fn part(&mut self) -> Option<String> {
        loop {
            if let Some((body, used)) = parse_part(&self.pending) {
                self.pending.drain(..used);
                return Some(body);
            }
            self.pending.extend(read_chunk(&mut self.reader)?);
        }
    }
}

fn parse_part(bytes: &[u8]) -> Option<(String, usize)> {
    let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
    let length: usize = header(head, "content-length")?.parse().ok()?;
    let body = bytes.get(head_end + 4..head_end + 4 + length)?;
    let mut used = head_end + 4 + length;
    if bytes.get(used..used + 2) == Some(b"\r\n") {
        used += 2;
    }
    Some((String::from_utf8(body.to_vec()).ok()?, used))
}

fn read_head(reader: &mut impl BufRead) -> Option<(u16, String)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head))
}

fn read_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    reader.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim(), 16).ok()?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
