//! One connection: heads in, answers out, one after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::body::{self, Body};
use super::head::{self, Head, Method, Parsed, Payload};
use super::reply::{self, Ready, Reply};
use super::wire::{Read, Wire};
use crate::documents::ProblemKind;
use crate::northbound::mtconnect::control::{self, Caller};
use crate::northbound::mtconnect::files::FileReply;
use crate::northbound::mtconnect::service::{Answer, Service};
use crate::northbound::mtconnect::stream::{Client, Next, Part};

/// How long a connection that was used may stay open without a request.
const IDLE: Duration = Duration::from_secs(75);
/// Longest body that is read and thrown away so that the connection can be used again.
const MAX_BODY: u64 = 64 * 1_024;
/// Bodies up to this size are copied behind their head, so that one write sends both.
const SMALL: usize = 16 * 1_024;
/// Answers to pipelined requests are gathered up to this size before they are written.
const GATHER: usize = 64 * 1_024;
/// How long a stream's client may refuse to take a byte before it is looked at: one that fell out
/// of the buffer has lost its stream anyway.
const STREAM_STALLED: Duration = Duration::from_secs(30);
/// How long what is being sent may take once the gateway stops.
const LAST_WORDS: Duration = Duration::from_millis(1_500);

/// Serves a connection until either side ends it. `is_local`: the peer is on this computer.
pub(crate) async fn serve<S>(socket: S, service: Arc<Service>, is_local: bool, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire::new(socket);
    match requests(&mut wire, &service, is_local, &cancel).await {
        Ok(Goodbye::Said) => wire.close().await,
        Ok(Goodbye::Gone) | Err(_) => {}
    }
}

/// Tells a client that there are too many.
pub(crate) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(socket: S, service: &Service) {
    let mut wire = Wire::new(socket);
    let message = "too many clients are connected; raise `max_connections`, or try again later".to_owned();
    let ready = service.complaint(503, ProblemKind::TooMany, message);
    let mut out = ready.head.to_vec();
    out.extend_from_slice(b"Retry-After: 1\r\nConnection: close\r\n\r\n");
    if let Ok(Ok(())) = timeout(LAST_WORDS, wire.write(&out, &ready.body)).await {
        wire.close().await;
    }
}

/// How a connection ends.
enum Goodbye {
    /// We end it, after an answer.
    Said,
    /// The client is gone, or there is nothing to say.
    Gone,
}

async fn requests<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    service: &Arc<Service>,
    is_local: bool,
    cancel: &CancellationToken,
) -> io::Result<Goodbye> {
    // Answers that are not written yet.
    let mut out = Vec::new();
    let patience = service.options.header_timeout;
    let mut deadline = Instant::now() + patience;
    loop {
        let input = std::mem::take(&mut wire.input);
        let (head, length) = match head::parse(&input) {
            Parsed::Complete(head, length) => (head, length),
            Parsed::Partial => {
                let fresh = input.is_empty();
                wire.input = input;
                if !out.is_empty() {
                    wire.write(&out, &[]).await?;
                    out.clear();
                    deadline = Instant::now() + if fresh { IDLE } else { patience };
                }
                match pause(wire, cancel, deadline).await? {
                    Read::Some if fresh => deadline = Instant::now() + patience,
                    Read::Some => {}
                    Read::TooLate if !fresh => {
                        service.stats.timeouts.add(1);
                        let message = "the request did not arrive in time".to_owned();
                        let ready = service.complaint(408, ProblemKind::InvalidRequest, message);
                        return say(wire, &mut out, &ready).await;
                    }
                    Read::End | Read::TooLate => return Ok(Goodbye::Gone),
                }
                continue;
            }
            Parsed::Broken(fault) => {
                service.stats.malformed.add(1);
                return say(wire, &mut out, &service.fault(fault)).await;
            }
        };
        if let Some(target) = service.controls(&head) {
            // Whoever asked before does not wait for a machine.
            if !out.is_empty() {
                wire.write(&out, &[]).await?;
                out.clear();
            }
            let body = body::read(wire, cancel, &head, &input[length..], Instant::now() + patience).await?;
            let caller = Caller { is_local, origin: head.origin, host: head.host };
            let (whole, gone) = (body.length(), matches!(body, Body::Gone));
            let ready = service.carry_out(caller, &head, target, body).await;
            let close = !head.keep_alive || cancel.is_cancelled() || whole.is_none();
            if gone {
                return Ok(Goodbye::Gone);
            }
            out.extend_from_slice(&ready.head);
            end_head(&mut out, &head, service, close);
            wire.write(&out, &ready.body).await?;
            out.clear();
            if close {
                return Ok(Goodbye::Said);
            }
            // The body's end was in what had come with the head, or in what has come since.
            let used = length + whole.unwrap_or(0);
            if used <= input.len() {
                let mut input = input;
                input.advance(used);
                wire.input = input;
            }
            deadline = Instant::now() + if wire.input.is_empty() { IDLE } else { patience };
            continue;
        }
        // A body of unknown length is not read: the answer is given, and the connection ends.
        let mut close = !head.keep_alive || cancel.is_cancelled() || head.payload == Payload::Unknown;
        let mut body = match head.payload {
            Payload::Length(length) if length <= MAX_BODY => usize::try_from(length).unwrap_or(0),
            Payload::Length(_) => {
                let message = format!("a request's body must not be longer than {MAX_BODY} bytes");
                let ready = service.complaint(413, ProblemKind::InvalidRequest, message);
                return say(wire, &mut out, &ready).await;
            }
            Payload::None | Payload::Unknown => 0,
        };
        let answer = match service.cached(&head) {
            Some(ready) => Answer::Ready(ready),
            None => {
                // Whoever asked before does not wait for a document that has yet to be made.
                if !out.is_empty() {
                    wire.write(&out, &[]).await?;
                    out.clear();
                }
                service.answer(&head).await
            }
        };
        match answer {
            Answer::Ready(ready) => {
                put_head(&mut out, &ready, &head, service, close);
                if head.method != Method::Head {
                    if ready.body.len() <= SMALL {
                        out.extend_from_slice(&ready.body);
                    } else {
                        wire.write(&out, &ready.body).await?;
                        out.clear();
                    }
                }
            }
            Answer::File(file) => {
                let content = Reply::new(200, file.content_type, "");
                out.extend_from_slice(&reply::head(&content, Some(file.length), &service.date()));
                end_head(&mut out, &head, service, close);
                wire.write(&out, &[]).await?;
                out.clear();
                if head.method != Method::Head {
                    send_file(wire, file).await?;
                }
            }
            Answer::Stream(mut start, client) => {
                if head.modern {
                    start.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                }
                out.extend_from_slice(&start);
                end_head(&mut out, &head, service, true);
                wire.write(&out, &[]).await?;
                let (modern, nothing) = (head.modern, head.method == Method::Head);
                drop(input);
                return if nothing {
                    Ok(Goodbye::Said)
                } else {
                    stream(wire, *client, modern, service, cancel).await
                };
            }
        }
        // What came behind the head is the next request, or the body to throw away.
        let mut input = input;
        input.advance(length);
        let here = body.min(input.len());
        input.advance(here);
        body -= here;
        wire.input = input;
        if body > 0 {
            wire.write(&out, &[]).await?;
            out.clear();
            close |= !skip(wire, cancel, body, Instant::now() + patience).await?;
        }
        if close || cancel.is_cancelled() {
            wire.write(&out, &[]).await?;
            return Ok(Goodbye::Said);
        }
        if out.len() >= GATHER {
            wire.write(&out, &[]).await?;
            out.clear();
        }
        deadline = Instant::now() + IDLE;
        if !wire.input.is_empty() {
            deadline = Instant::now() + patience;
        }
    }
}

/// Waits for input. When the gateway stops, that is as if the client had gone.
pub(super) async fn pause<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    cancel: &CancellationToken,
    deadline: Instant,
) -> io::Result<Read> {
    tokio::select! {
        biased;
        read = wire.read(deadline) => read,
        () = cancel.cancelled() => Ok(Read::End),
    }
}

/// Reads a body and throws it away; false when it does not come.
async fn skip<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    cancel: &CancellationToken,
    mut body: usize,
    deadline: Instant,
) -> io::Result<bool> {
    while body > 0 {
        if wire.input.is_empty() && pause(wire, cancel, deadline).await? != Read::Some {
            return Ok(false);
        }
        let here = body.min(wire.input.len());
        wire.input.advance(here);
        body -= here;
    }
    Ok(true)
}

/// Answers and ends the connection.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    out: &mut Vec<u8>,
    ready: &Ready,
) -> io::Result<Goodbye> {
    out.extend_from_slice(&ready.head);
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    wire.write(out, &ready.body).await?;
    Ok(Goodbye::Said)
}

fn put_head(out: &mut Vec<u8>, ready: &Ready, head: &Head<'_>, service: &Service, close: bool) {
    out.extend_from_slice(&ready.head);
    end_head(out, head, service, close);
}

/// The fields that depend on the client, and the empty line.
fn end_head(out: &mut Vec<u8>, head: &Head<'_>, service: &Service, close: bool) {
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if !head.modern {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    // No page of elsewhere gets to read or ask what control has.
    if !service.options.allow_origins.is_empty() && !control::is_its_path(service, head.path()) {
        out.extend_from_slice(b"Vary: Origin\r\n");
        if let Some(origin) = service.allowed_origin(head.origin).filter(|_| !head.origin.is_empty()) {
            out.extend_from_slice(b"Access-Control-Allow-Origin: ");
            out.extend_from_slice(origin.as_bytes());
            out.extend_from_slice(b"\r\n");
            if head.method == Method::Options {
                out.extend_from_slice(
                    b"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n\
                      Access-Control-Allow-Headers: Accept, Content-Type\r\n\
                      Access-Control-Max-Age: 86400\r\n",
                );
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

async fn send_file<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, file: FileReply) -> io::Result<()> {
    let mut left = file.length;
    let mut file = file.file;
    let mut buffer = vec![0; SMALL];
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read(&mut buffer[..want]).await?;
        if read == 0 {
            // It was promised longer; the client sees that it is not whole.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        wire.write(&buffer[..read], &[]).await?;
        left -= read as u64;
    }
    Ok(())
}

/// Feeds a stream to its end.
async fn stream<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    mut client: Client,
    chunked: bool,
    service: &Arc<Service>,
    cancel: &CancellationToken,
) -> io::Result<Goodbye> {
    let _open = service.stats.streams.hold();
    let never = || Instant::now() + Duration::from_secs(86_400);
    loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            next = client.next() => next,
            read = wire.read(never()) => match read? {
                // A client that closes its side has left, as everywhere on the web.
                Read::End => return Ok(Goodbye::Gone),
                // Nothing is asked while a stream runs.
                Read::Some | Read::TooLate => {
                    wire.input.clear();
                    continue;
                }
            },
        };
        let (part, last) = match next {
            Next::Part(part) => (part, false),
            Next::Last(part) => (part, true),
        };
        service.stats.sent_parts.add(1);
        send(wire, &part, chunked, &client, cancel).await?;
        if last {
            service.stats.cut_off.add(1);
            break;
        }
    }
    let end = Part::end(&service.boundary);
    let bytes = if chunked { end.chunk() } else { end.plain() };
    let tail: &[u8] = if chunked { b"0\r\n\r\n" } else { b"" };
    timeout(LAST_WORDS, wire.write(&bytes, tail))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(Goodbye::Said)
}

/// Writes one part. A client that takes nothing may take its time while the buffer still holds what
/// it wants next.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    part: &Part,
    chunked: bool,
    client: &Client,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let bytes = if chunked { part.chunk() } else { part.plain() };
    let mut rest: &[u8] = &bytes;
    while !rest.is_empty() {
        let patience = if cancel.is_cancelled() { LAST_WORDS } else { STREAM_STALLED };
        tokio::select! {
            biased;
            written = wire.write_some(rest) => rest = &rest[written?..],
            () = cancel.cancelled(), if patience == STREAM_STALLED => {}
            () = tokio::time::sleep(patience) => {
                if patience == LAST_WORDS || client.is_lost() {
                    client.service().stats.timeouts.add(1);
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }
    Ok(())
}
