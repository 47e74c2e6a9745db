//! The body of a request to control something: short, of known length, and there in time.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::pause;
use super::head::Head;
use super::wire::{Read, Wire};

/// Longest body that is read, in bytes.
pub(crate) const MOST: usize = 16 * 1_024;

/// What came behind a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// Its length is not said: chunks are not read.
    NoLength,
    /// It is not read.
    TooLong,
    TooLate,
    /// The client went away in the middle of it.
    Gone,
}

impl Body {
    /// Its length, when it was read.
    pub(crate) const fn length(&self) -> Option<usize> {
        match self {
            Self::Whole(bytes) => Some(bytes.len()),
            _ => None,
        }
    }
}

/// Reads the body of `head`. `here` is what had come with the head; what more is needed is taken out of the wire's
/// input, and not a byte of what follows.
pub(crate) async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    cancel: &CancellationToken,
    head: &Head<'_>,
    here: &[u8],
    deadline: Instant,
) -> io::Result<Body> {
    let Some(length) = head.length else { return Ok(Body::NoLength) };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= MOST) else {
        return Ok(Body::TooLong);
    };
    if let Some(whole) = here.get(..length) {
        return Ok(Body::Whole(whole.to_vec()));
    }
    if head.waits && head.modern {
        wire.write(b"HTTP/1.1 100 Continue\r\n\r\n", &[]).await?;
    }
    let missing = length - here.len();
    while wire.input.len() < missing {
        match pause(wire, cancel, deadline).await? {
            Read::Some => {}
            Read::End => return Ok(Body::Gone),
            Read::TooLate => return Ok(Body::TooLate),
        }
    }
    let mut whole = Vec::with_capacity(length);
    whole.extend_from_slice(here);
    whole.extend_from_slice(&wire.input.split_to(missing));
    Ok(Body::Whole(whole))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::northbound::mtconnect::http::head::{Parsed, parse};

    async fn of(text: &str, rest: &str) -> (Body, Vec<u8>, String) {
        let Parsed::Complete(head, length) = parse(text.as_bytes()) else { unreachable!("no head: {text}") };
        let (ours, mut theirs) = tokio::io::duplex(65_536);
        theirs.write_all(rest.as_bytes()).await.expect("room");
        theirs.shutdown().await.expect("an open pipe");
        let mut wire = Wire::new(ours);
        let soon = Instant::now() + Duration::from_secs(5);
        let cancel = CancellationToken::new();
        let here = &text.as_bytes()[length..];
        let body = read(&mut wire, &cancel, &head, here, soon).await.expect("an open pipe");
        let left = wire.input.to_vec();
        drop(wire);
        let mut said = String::new();
        theirs.read_to_string(&mut said).await.expect("text");
        (body, left, said)
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_end_and_not_beyond() {
        let (body, left, said) = of("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", "cdeGET").await;
        assert_eq!((body, &*left, &*said), (Body::Whole(b"abcde".to_vec()), &b"GET"[..], ""));
        let (body, left, _) = of("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET", "").await;
        assert_eq!((body, &*left), (Body::Whole(b"ab".to_vec()), &b""[..]));
    }

    #[tokio::test]
    async fn a_client_that_waits_to_be_told_is_told() {
        let head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let (body, _, said) = of(head, "ab").await;
        assert_eq!((body, &*said), (Body::Whole(b"ab".to_vec()), "HTTP/1.1 100 Continue\r\n\r\n"));
    }

    #[tokio::test]
    async fn what_is_too_long_or_without_a_length_is_not_read() {
        let (body, left, said) = of("POST / HTTP/1.1\r\nContent-Length: 16385\r\n\r\n", "abc").await;
        assert_eq!((body, left.len(), &*said), (Body::TooLong, 0, ""));
        let (body, ..) = of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n").await;
        assert_eq!(body, Body::NoLength);
        assert_eq!(of("POST / HTTP/1.1\r\n\r\n", "abc").await.0, Body::NoLength);
        assert_eq!(of("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n", "abc").await.0, Body::Gone);
    }
}
