//! A device that only sends text, behind a serial server: every client gets every line.

use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::host::{converse, host};
use super::probe::ProbeStation;

/// Connections that a serial server takes.
const MOST_CLIENTS: usize = 8;

/// Serves the station until `cancel`.
pub(crate) async fn serve(mut station: ProbeStation, listener: TcpListener, cancel: CancellationToken) {
    let (say, _) = broadcast::channel::<Vec<u8>>(64);
    let live = |seconds| {
        if let Some(line) = station.step(seconds) {
            // POPEN and PCLOS send DC2 and DC4 around the line. Without clients nobody hears it.
            let _ = say.send([b"\x12", line.as_bytes(), b"\r\n\x14"].concat());
        }
    };
    host(listener, cancel, MOST_CLIENTS, live, |stream| converse(stream, say.subscribe(), |_| {})).await;
}
