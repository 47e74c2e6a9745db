//! The outside of messages: chunks (part 6, 6.7.2 and 7.1.2), as far as they are not encrypted.

use opcua_types::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Largest chunk that is taken, in bytes: what the server offers in its ACK.
pub(super) const LARGEST: usize = 65_535;

/// Type, part and size.
const HEADER: usize = 8;

/// Where the body of an unencrypted message begins: after header, channel, token, sequence number
/// and request id.
const BODY: usize = 24;

/// What a chunk is, by its first three letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// HEL
    Hello,
    /// ACK
    Acknowledge,
    /// OPN
    Open,
    /// MSG
    Message,
    /// CLO
    Close,
    /// ERR
    Error,
}

/// A whole chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) kind: Kind,
    /// No further chunk of the same message follows.
    pub(super) last: bool,
    /// With its header.
    pub(super) bytes: Vec<u8>,
}

/// Why a chunk was not read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection.
    Connection,
    /// What came, and the status that says so.
    Bytes(StatusCode),
}

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Self {
        Self::Connection
    }
}

/// What a header says: kind, whether it is the last part, size with the header.
fn header(bytes: [u8; HEADER]) -> Result<(Kind, bool, usize), StatusCode> {
    let kind = match &bytes[..3] {
        b"HEL" => Kind::Hello,
        b"ACK" => Kind::Acknowledge,
        b"OPN" => Kind::Open,
        b"MSG" => Kind::Message,
        b"CLO" => Kind::Close,
        b"ERR" => Kind::Error,
        _ => return Err(StatusCode::BadTcpMessageTypeInvalid),
    };
    let last = match bytes[3] {
        b'F' | b'A' => true,
        b'C' if kind == Kind::Message => false,
        _ => return Err(StatusCode::BadTcpMessageTypeInvalid),
    };
    let size = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    let least = match kind {
        Kind::Message | Kind::Close => BODY,
        _ => HEADER,
    };
    if size > LARGEST {
        return Err(StatusCode::BadTcpMessageTooLarge);
    }
    if size < least {
        return Err(StatusCode::BadDecodingError);
    }
    Ok((kind, last, size))
}

impl Chunk {
    /// The next chunk; `None` when the connection ends before its first byte. Takes memory only for
    /// a chunk whose header has been looked at.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Self>, Broken> {
        let mut head = [0; HEADER];
        let mut got = 0;
        while got < HEADER {
            match from.read(&mut head[got..]).await? {
                0 if got == 0 => return Ok(None),
                0 => return Err(Broken::Connection),
                more => got += more,
            }
        }
        let (kind, last, size) = header(head).map_err(Broken::Bytes)?;
        let mut bytes = vec![0; size];
        bytes[..HEADER].copy_from_slice(&head);
        from.read_exact(&mut bytes[HEADER..]).await?;
        Ok(Some(Self { kind, last, bytes }))
    }

    /// The security policy's URI of an OPN chunk, which is never encrypted.
    pub(super) fn policy(&self) -> Option<&str> {
        let length = u32::from_le_bytes(self.bytes.get(12..16)?.try_into().ok()?);
        let uri = self.bytes.get(16..16 + usize::try_from(length).ok().filter(|length| *length < 256)?)?;
        std::str::from_utf8(uri).ok()
    }

    /// Which service an unencrypted message calls: the numeric id of its encoding in namespace 0.
    /// `None` when that does not stand in this chunk, where every honest client has it.
    pub(super) fn service(&self) -> Option<u32> {
        let (&form, id) = self.bytes.get(BODY..)?.split_first()?;
        match form {
            0x00 => id.first().copied().map(u32::from),
            0x01 if *id.first()? == 0 => Some(u32::from(u16::from_le_bytes(id.get(1..3)?.try_into().ok()?))),
            0x02 if id.get(..2)? == [0, 0] => Some(u32::from_le_bytes(id.get(2..6)?.try_into().ok()?)),
            _ => None,
        }
    }

    /// What an answer to an unencrypted message has to repeat: channel, token, request id, and the
    /// request's handle where it can be found.
    pub(super) fn addressee(&self) -> Option<[u32; 4]> {
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
        };
        // Type in the four-byte form, no authentication token, a time.
        let plain = self.bytes.get(BODY) == Some(&1) && self.bytes.get(BODY + 4..BODY + 6) == Some(&[0, 0]);
        let handle = if plain { word(BODY + 14).unwrap_or(0) } else { 0 };
        Some([word(8)?, word(12)?, word(20)?, handle])
    }

    /// The sequence number of an unencrypted message from the server.
    pub(super) fn sequence(&self) -> Option<u32> {
        let at = match self.kind {
            Kind::Message => 16,
            // Policy, and two byte strings that are null without security.
            Kind::Open => 16 + self.policy()?.len() + 8,
            _ => return None,
        };
        Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(head: &[u8], rest: &[u8]) -> Vec<u8> {
        let size = u32::try_from(head.len() + 4 + rest.len()).unwrap();
        [head, &size.to_le_bytes(), rest].concat()
    }

    async fn read(mut bytes: &[u8]) -> Result<Option<Chunk>, Broken> {
        Chunk::read(&mut bytes).await
    }

    fn message(body: &[u8]) -> Chunk {
        Chunk { kind: Kind::Message, last: true, bytes: [&[0; BODY], body].concat() }
    }

    #[tokio::test]
    async fn whole_chunks_are_read_and_the_end_is_the_end() {
        let bytes = [chunk(b"HELF", &[1; 24]), chunk(b"MSGC", &[2; 40])].concat();
        let mut from = bytes.as_slice();
        let first = Chunk::read(&mut from).await.unwrap().unwrap();
        assert_eq!((first.kind, first.last, first.bytes.len()), (Kind::Hello, true, 32));
        let second = Chunk::read(&mut from).await.unwrap().unwrap();
        assert_eq!((second.kind, second.last, second.bytes.len()), (Kind::Message, false, 48));
        assert!(Chunk::read(&mut from).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_size_that_lies_is_refused_by_its_header() {
        for (head, size, status) in [
            (b"MSGF", u32::MAX, StatusCode::BadTcpMessageTooLarge),
            (b"HELF", 65_536, StatusCode::BadTcpMessageTooLarge),
            (b"MSGF", 8, StatusCode::BadDecodingError),
            (b"OPNF", 0, StatusCode::BadDecodingError),
            (b"HELC", 32, StatusCode::BadTcpMessageTypeInvalid),
            (b"GET ", 32, StatusCode::BadTcpMessageTypeInvalid),
        ] {
            let bytes = [head.as_slice(), &size.to_le_bytes()].concat();
            assert!(matches!(read(&bytes).await, Err(Broken::Bytes(found)) if found == status), "{head:?}");
        }
    }

    #[test]
    fn the_service_is_known_in_every_form_of_its_id() {
        for (body, service) in [
            (&[0x01, 0, 0xCD, 0x01, 9][..], Some(461)),
            (&[0x02, 0, 0, 0xCD, 0x01, 0, 0], Some(461)),
            (&[0x00, 97], Some(97)),
            (&[0x01, 1, 0xCD, 0x01], None),
            (&[0x03, 0, 0], None),
            (&[0x01, 0], None),
            (&[], None),
        ] {
            assert_eq!(message(body).service(), service, "{body:?}");
        }
    }

    #[test]
    fn the_policy_of_a_channel_stands_in_the_clear() {
        let uri = b"http://opcfoundation.org/UA/SecurityPolicy#None";
        let length = u32::try_from(uri.len()).unwrap().to_le_bytes();
        let rest = [&[0; 4], length.as_slice(), uri, &[0xFF; 8], &7_u32.to_le_bytes()].concat();
        let open = Chunk { kind: Kind::Open, last: true, bytes: chunk(b"OPNF", &rest) };
        assert_eq!(open.policy(), Some("http://opcfoundation.org/UA/SecurityPolicy#None"));
        assert_eq!(open.sequence(), Some(7));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in prop::sample::select(vec![*b"MSGF", *b"OPNF", *b"CLOF", *b"HELF"]),
                                  rest in prop::collection::vec(any::<u8>(), 0..100)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let Ok(Some(read)) = runtime.block_on(read(&chunk(&kind, &rest))) {
                let _ = (read.policy(), read.service(), read.addressee(), read.sequence());
            }
        }
    }
}
