//! OPC UA over TCP by hand, without security: what a library of clients would not send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Encoding ids of namespace 0.
pub(crate) mod ids {
    pub(crate) const SERVICE_FAULT: u32 = 397;
    pub(crate) const GET_ENDPOINTS: u32 = 428;
    pub(crate) const GET_ENDPOINTS_RESPONSE: u32 = 431;
    pub(crate) const CREATE_SESSION: u32 = 461;
    pub(crate) const CREATE_SESSION_RESPONSE: u32 = 464;
    pub(crate) const READ: u32 = 631;
}

/// Security policies.
pub(crate) mod uri {
    pub(crate) const NONE: &str = "http://opcfoundation.org/UA/SecurityPolicy#None";
    pub(crate) const BASIC256SHA256: &str = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256";
}

fn string(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
}

fn chunk(kind: &[u8; 4], rest: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + rest.len()).unwrap();
    [kind.as_slice(), &size.to_le_bytes(), rest].concat()
}

fn url(port: u16) -> Vec<u8> {
    string(&format!("opc.tcp://127.0.0.1:{port}/"))
}

/// HEL.
pub(crate) fn hello(port: u16) -> Vec<u8> {
    let sizes: Vec<u8> = [0_u32, 65_535, 65_535, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    chunk(b"HELF", &[sizes, url(port)].concat())
}

/// OPN with that policy, without certificates.
pub(crate) fn open(policy: &str) -> Vec<u8> {
    let mut rest = vec![0; 4];
    rest.extend(string(policy));
    rest.extend([0xFF; 8]);
    rest.extend([1, 0, 0, 0, 1, 0, 0, 0]); // sequence number, request id
    rest.extend([1, 0]);
    rest.extend(446_u16.to_le_bytes());
    rest.extend(request_header(1));
    rest.extend([0; 4]); // protocol version
    rest.extend([0; 4]); // issue
    rest.extend([1, 0, 0, 0]); // without security
    rest.extend([0xFF; 4]); // no nonce
    rest.extend(3_600_000_u32.to_le_bytes());
    chunk(b"OPNF", &rest)
}

fn request_header(handle: u32) -> Vec<u8> {
    let mut header = vec![0, 0]; // no authentication token
    header.extend([0; 8]); // no time
    header.extend(handle.to_le_bytes());
    header.extend([0; 4]); // no diagnostics
    header.extend([0xFF; 4]); // no audit entry
    header.extend(5_000_u32.to_le_bytes());
    header.extend([0; 3]); // nothing more
    header
}

/// The body of GetEndpoints.
pub(crate) fn get_endpoints(port: u16) -> Vec<u8> {
    [request_header(7), url(port), vec![0xFF; 8]].concat()
}

/// The body of CreateSession.
pub(crate) fn create_session(port: u16) -> Vec<u8> {
    let mut body = request_header(7);
    body.extend(string("urn:hostile")); // application
    body.extend([0xFF; 4]); // product
    body.push(0); // no name
    body.extend([1, 0, 0, 0]); // a client
    body.extend([0xFF; 12]); // no gateway, profile, URLs
    body.extend([0xFF; 4]); // server
    body.extend(url(port));
    body.extend(string("hostile"));
    body.extend([0xFF; 8]); // no nonce, no certificate
    body.extend(3_600_000_f64.to_le_bytes());
    body.extend([0; 4]);
    body
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    port: u16,
    channel: [u8; 8],
    sequence: u32,
}

/// A message from the server.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    /// Which service answers; all ids here are in the four-byte form.
    pub(crate) fn service(&self) -> u32 {
        u32::from(u16::from_le_bytes([self.0[26], self.0[27]]))
    }

    /// The service's result.
    pub(crate) fn result(&self) -> u32 {
        u32::from_le_bytes(self.0[40..44].try_into().unwrap())
    }
}

impl Wire {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream, port, channel: [0; 8], sequence: 1 }
    }

    fn read(&mut self) -> Vec<u8> {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).unwrap();
        let size = u32::from_le_bytes(head[4..8].try_into().unwrap());
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        bytes[..8].copy_from_slice(&head);
        self.stream.read_exact(&mut bytes[8..]).unwrap();
        bytes
    }

    /// HEL and OPN, and their answers.
    pub(crate) fn open(&mut self, policy: &str) {
        self.stream.write_all(&hello(self.port)).unwrap();
        assert_eq!(&self.read()[..4], b"ACKF");
        self.stream.write_all(&open(policy)).unwrap();
        let answer = self.read();
        assert_eq!(&answer[..4], b"OPNF");
        // After policy, sequence header, type, time, handle, result, and four empty fields.
        let at = 16 + policy.len() + 8 + 8 + 4 + 24 + 4;
        self.channel.copy_from_slice(&answer[at..at + 8]);
    }

    fn message(&mut self, kind: &[u8; 4], service: u32, body: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut rest = self.channel.to_vec();
        rest.extend(self.sequence.to_le_bytes());
        rest.extend(self.sequence.to_le_bytes());
        rest.extend([1, 0]);
        rest.extend(u16::try_from(service).unwrap().to_le_bytes());
        rest.extend(body);
        chunk(kind, &rest)
    }

    /// One request and its answer.
    pub(crate) fn ask(&mut self, service: u32, body: &[u8]) -> Answer {
        let message = self.message(b"MSGF", service, body);
        self.stream.write_all(&message).unwrap();
        Answer(self.read())
    }

    /// Parts of one request without an end; what the server says before it cuts the connection off.
    pub(crate) fn send_endlessly(&mut self, service: u32) -> Vec<u8> {
        for _ in 0..10_000 {
            let part = self.message(b"MSGC", service, &[0; 8_000]);
            if self.stream.write_all(&part).is_err() {
                break;
            }
        }
        let mut words = Vec::new();
        // A reset may have swept the words away.
        let _ = self.stream.read_to_end(&mut words);
        words
    }

    /// Requests without reading an answer, until nothing more is taken for a while; how many were.
    pub(crate) fn flood(&mut self, service: u32, body: &[u8], patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < patience {
            let message = self.message(b"MSGF", service, body);
            if self.stream.write_all(&message).is_err() {
                break;
            }
            sent += 1;
        }
        sent
    }
}
