//! `[telemetry] listen`: health and metrics on an address of their own, away from the machines' data.
//!
//! One request a connection, GET and HEAD only: what probes and scrapers need.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A longer request head is not a scraper's.
const MOST_HEAD: usize = 8 << 10;
/// More scrapers than that wait their turn.
const MOST_CONNECTIONS: usize = 16;
/// How long a request may take, from its first byte to its last.
const PATIENCE: Duration = Duration::from_secs(10);

/// Status, content type and body for a path; `None` for a path that is not here.
pub type Answers = Arc<dyn Fn(&str) -> Option<(u16, &'static str, Bytes)> + Send + Sync>;

/// Serves until `cancel` fires.
pub async fn serve(listener: TcpListener, answers: Answers, cancel: CancellationToken) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = accept(&listener, &free) => accepted,
        };
        let Ok((stream, held)) = accepted else {
            // Out of descriptors, most likely; one is free again when somebody hangs up.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            // A client that is gone or too slow has nothing to be told.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &answers)).await;
            drop(held);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let held = free.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, held))
}

async fn answer(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut head = Vec::with_capacity(1_024);
    let text = "text/plain; charset=utf-8";
    let (with_body, (status, kind, body)) = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(&head) {
            Ok(httparse::Status::Partial) if head.len() < MOST_HEAD => {}
            Ok(httparse::Status::Partial) => {
                break (true, (431, text, Bytes::from_static(b"the request head is too long\n")));
            }
            Err(error) => break (true, (400, text, format!("{error}\n").into())),
            Ok(httparse::Status::Complete(_)) => {
                let method = request.method.unwrap_or_default();
                let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
                if !matches!(method, "GET" | "HEAD") {
                    break (true, (405, text, Bytes::from_static(b"only GET and HEAD are allowed\n")));
                }
                let known = "/health, /ledger and /metrics are here\n";
                let reply = answers(path).unwrap_or((404, text, Bytes::from_static(known.as_bytes())));
                break (method == "GET", reply);
            }
        }
    };
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Allow: GET, HEAD\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if with_body {
        stream.write_all(&body).await?;
    }
    stream.shutdown().await
}

/// Takes the address.
///
/// # Errors
/// When it is in use or not one of this computer's; the text names the cure.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!(
            "[telemetry] listen: cannot listen on {address}: {error}; choose another address, or leave it out"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(request: &[u8]) -> String {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Answers =
            Arc::new(|path| (path == "/health").then(|| (200, "application/json", "{}".into())));
        let cancel = CancellationToken::new();
        let served = tokio::spawn(serve(listener, answers, cancel.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        cancel.cancel();
        served.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_path_that_is_here_is_answered_and_another_is_not() {
        let found = ask(b"GET /health?x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(found.starts_with("HTTP/1.1 200 OK\r\n") && found.ends_with("\r\n\r\n{}"), "{found}");
        assert!(ask(b"GET /other HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
        assert!(ask(b"HEAD /health HTTP/1.1\r\n\r\n").await.ends_with("\r\n\r\n"));
        assert!(ask(b"DELETE /health HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        assert!(ask(b"\x16\x03\x01 hello\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
        let endless = [b"GET /".as_slice(), &[b'a'; MOST_HEAD]].concat();
        assert!(ask(&endless).await.starts_with("HTTP/1.1 431 "));
    }
}
