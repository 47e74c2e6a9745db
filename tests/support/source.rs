//! SHDR sources: what an adapter looks like to the gateway.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Serves text to whoever connects, from its first byte, then keeps the connection open and
/// answers pings.
pub struct Source {
    pub port: u16,
}

impl Source {
    pub fn serve(text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, text) = (stream.unwrap(), text.clone());
                std::thread::spawn(move || {
                    let mut writer = stream.try_clone().unwrap();
                    // The gateway may be killed in the middle; it comes back on a new connection.
                    // Pings are answered afterwards: an answer must not end up inside of a line.
                    if writer.write_all(&text).is_ok() {
                        answer_pings(stream);
                    }
                });
            }
        });
        Self { port }
    }
}

fn answer_pings(stream: TcpStream) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        if line.starts_with("* PING") && writer.write_all(b"* PONG 10000\n").is_err() {
            return;
        }
    }
}

/// A machine that counts: `counter` goes up by one at each line, `rate` lines a second, whether
/// somebody listens or not. It knows no pings, as old adapters do.
pub struct Counting {
    pub port: u16,
    stop: Arc<AtomicBool>,
}

impl Counting {
    /// The data items `Counting` speaks of: `counter`, a SAMPLE of the device that has it.
    pub fn start(rate: u32) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let clients = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
        let (listening, stopped) = (clients.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                listening.lock().unwrap().push(stream);
            }
        });
        std::thread::spawn(move || {
            let begun = Instant::now();
            let mut counter = 0_u64;
            let (_keep, timer) = mpsc::channel::<()>();
            while !stopped.load(Ordering::Relaxed) {
                let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                let mut lines = String::new();
                while counter < due {
                    counter += 1;
                    lines.push_str(&format!("|counter|{counter}\n"));
                }
                clients.lock().unwrap().retain_mut(|client| client.write_all(lines.as_bytes()).is_ok());
                // A receiver that nobody sends to is a timer.
                let _ = timer.recv_timeout(Duration::from_millis(10));
            }
        });
        Self { port, stop }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
