//! One open line: bytes out, bytes in, one request at a time.

use std::future::ready;
use std::io;
use std::time::Duration;

use guideway_contract::{HostPort, Timestamp, serial_path};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_serial::SerialPortBuilderExt;

use crate::codec::{self, Answer, Request, rtu, tcp};
use crate::{BusConfig, Config, Framing, Parity, Serial};

/// More than any reply; what has arrived is looked at after each read.
const ROOM: usize = 512;
/// How long a line that is emptied must have been silent: converters on USB hold bytes back for 16 ms.
const SILENCE: Duration = Duration::from_millis(20);
/// How long a line may go on talking by itself.
const CHATTER: Duration = Duration::from_secs(2);

/// Why a request was not answered.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Nothing was sent: there is no connection, or it was found closed.
    NotConnected(String),
    /// It was sent, and the connection broke.
    Lost(String),
    /// It was sent, and no whole reply came in this time.
    Silent(Duration),
    /// It was sent, and something came that is not its reply.
    Garbled(codec::Error),
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The bytes that were read.
    pub(crate) data: Vec<u8>,
    /// The exception that came instead.
    pub(crate) exception: Option<u8>,
    /// What came first and was no reply, if it had to be asked twice.
    pub(crate) garbled: Option<codec::Error>,
}

/// Where a line is and how it is spoken on.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    place: Place,
    pub(crate) framing: Framing,
    gap: Duration,
    connect_timeout: Duration,
}

#[derive(Clone, Debug)]
enum Place {
    Tcp(HostPort),
    Serial(String, Serial),
}

impl Target {
    /// A machine's own line.
    pub(crate) fn of_machine(config: &Config) -> Self {
        let place = match serial_path(&config.address) {
            Some(path) => Place::Serial(path.to_owned(), config.serial),
            None => Place::Tcp(HostPort { host: config.address.clone(), port: Some(config.port) }),
        };
        Self::new(place, config.framing(), config.min_gap, config.connect_timeout)
    }

    /// A shared line.
    pub(crate) fn of_bus(config: &BusConfig) -> Self {
        let place = match serial_path(&config.address) {
            Some(path) => Place::Serial(path.to_owned(), config.serial),
            None => {
                let found = HostPort::parse(&config.address, crate::SCHEMES)
                    .unwrap_or(HostPort { host: config.address.clone(), port: None });
                Place::Tcp(HostPort { port: found.port.or(Some(502)), ..found })
            }
        };
        Self::new(place, config.framing(), config.turnaround, config.connect_timeout)
    }

    fn new(place: Place, framing: Framing, gap: Duration, connect_timeout: Duration) -> Self {
        let gap = match &place {
            Place::Serial(_, serial) => gap.max(serial.silence()),
            Place::Tcp(_) => gap,
        };
        Self { place, framing, gap, connect_timeout }
    }

    /// As a URI.
    pub(crate) fn endpoint(&self, unit: u8) -> String {
        match &self.place {
            Place::Tcp(place) => format!("modbus://{place}?unit={unit}"),
            Place::Serial(path, _) => format!("modbus://{path}?unit={unit}"),
        }
    }

    /// Whether an answer belongs to a connection, so that a new one leaves the old answers behind.
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.place, Place::Tcp(_))
    }

    /// Opens it.
    pub(crate) async fn open(&self) -> Result<Line, Failure> {
        let (stream, character): (Box<dyn Stream>, Duration) = match &self.place {
            Place::Tcp(place) => {
                let attempt = TcpStream::connect((place.host.as_str(), place.port.unwrap_or(502)));
                let stream = match timeout(self.connect_timeout, attempt).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return Err(Failure::NotConnected(error.to_string())),
                    Err(_) => {
                        let millis = self.connect_timeout.as_millis();
                        return Err(Failure::NotConnected(format!("no connection within {millis} ms")));
                    }
                };
                // Without it a request may wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                (Box::new(stream), Duration::ZERO)
            }
            Place::Serial(path, serial) => {
                let port = tokio_serial::new(path, serial.baud)
                    .data_bits(tokio_serial::DataBits::Eight)
                    .parity(match serial.parity {
                        Parity::None => tokio_serial::Parity::None,
                        Parity::Even => tokio_serial::Parity::Even,
                        Parity::Odd => tokio_serial::Parity::Odd,
                    })
                    .stop_bits(if serial.stop_bits == 2 {
                        tokio_serial::StopBits::Two
                    } else {
                        tokio_serial::StopBits::One
                    })
                    .open_native_async()
                    .map_err(|error| Failure::NotConnected(format!("{path}: {error}")))?;
                (Box::new(port), serial.character())
            }
        };
        Ok(Line {
            stream,
            framing: self.framing,
            gap: self.gap,
            character,
            // Not always the same number at first: some gateways mix up the connections of a client that comes back.
            transaction: Timestamp::now().nanos().to_le_bytes().map(u16::from)[1],
            quiet_since: Instant::now(),
            arrived: Vec::with_capacity(ROOM),
            pdu: Vec::new(),
            out: Vec::new(),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// An open line.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    framing: Framing,
    gap: Duration,
    /// How long one character takes.
    character: Duration,
    transaction: u16,
    /// Since when nothing has been on the line.
    quiet_since: Instant,
    arrived: Vec<u8>,
    pdu: Vec<u8>,
    out: Vec<u8>,
}

impl Line {
    /// Asks and waits for the reply. After a failure the line must be made clean before it is used again.
    pub(crate) async fn exchange(
        &mut self,
        unit: u8,
        request: &Request,
        patience: Duration,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        self.wait_for_turn().await?;
        self.transaction = self.transaction.wrapping_add(1);
        self.pdu.clear();
        request.encode(&mut self.pdu);
        self.out.clear();
        let header = match self.framing {
            Framing::Tcp => {
                tcp::frame(self.transaction, unit, &self.pdu, &mut self.out);
                tcp::HEADER
            }
            Framing::Rtu => {
                rtu::frame(unit, &self.pdu, &mut self.out);
                1
            }
        };
        let on_the_wire =
            u32::try_from(self.out.len() + request.reply_bytes() + rtu::AROUND).unwrap_or(ROOM as u32);
        let deadline = Instant::now() + patience + self.character * on_the_wire;
        match timeout_at(deadline, self.stream.write_all(&self.out)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Failure::Lost(error.to_string())),
            Err(_) => return Err(Failure::Lost("the line does not take the request".into())),
        }
        self.arrived.clear();
        let length = loop {
            match timeout_at(deadline, self.stream.read_buf(&mut self.arrived)).await {
                Ok(Ok(0)) => return Err(Failure::Lost("closed by the peer".into())),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Failure::Lost(error.to_string())),
                Err(_) => return Err(Failure::Silent(patience)),
            }
            self.quiet_since = Instant::now();
            let whole = match self.framing {
                Framing::Tcp => tcp::reply(&self.arrived, self.transaction, unit),
                Framing::Rtu => rtu::reply(&self.arrived, unit, request),
            };
            if let Some(pdu) = whole.map_err(Failure::Garbled)? {
                break pdu.len();
            }
        };
        reply.exception = None;
        reply.data.clear();
        match request.answer(&self.arrived[header..header + length]).map_err(Failure::Garbled)? {
            Answer::Data(data) => reply.data.extend_from_slice(data),
            Answer::Written => {}
            Answer::Exception(code) => reply.exception = Some(code),
        }
        Ok(())
    }

    /// Keeps the silence between frames, and sees that nothing is on the line that nobody asked for.
    async fn wait_for_turn(&mut self) -> Result<(), Failure> {
        let patience = Instant::now() + self.gap + CHATTER;
        loop {
            let turn = self.quiet_since + self.gap;
            if Instant::now() < turn {
                sleep_until(turn).await;
            }
            match self.poll().await {
                None => return Ok(()),
                Some(Ok(0)) => return Err(Failure::NotConnected("closed by the peer".into())),
                Some(Err(error)) => return Err(Failure::NotConnected(error.to_string())),
                Some(Ok(count)) if self.framing == Framing::Tcp => {
                    return Err(Failure::Garbled(codec::Error::Excess(count)));
                }
                Some(Ok(_)) if Instant::now() > patience => {
                    return Err(Failure::NotConnected("the line is never silent".into()));
                }
                Some(Ok(_)) => {}
            }
        }
    }

    /// What has arrived already, without waiting.
    async fn poll(&mut self) -> Option<io::Result<usize>> {
        self.arrived.clear();
        let read = tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.arrived) => read,
            () = ready(()) => return None,
        };
        self.quiet_since = Instant::now();
        Some(read)
    }

    /// Throws away what comes until then, and on until nothing more comes.
    pub(crate) async fn drain(&mut self, until: Instant) -> Result<(), Failure> {
        let silence = self.gap.max(SILENCE);
        let end = until.max(Instant::now() + silence);
        let patience = end + CHATTER;
        let mut quiet = end;
        loop {
            self.arrived.clear();
            match timeout_at(quiet, self.stream.read_buf(&mut self.arrived)).await {
                Err(_) => return Ok(()),
                Ok(Ok(0)) => return Err(Failure::NotConnected("closed by the peer".into())),
                Ok(Err(error)) => return Err(Failure::NotConnected(error.to_string())),
                Ok(Ok(_)) => {}
            }
            self.quiet_since = Instant::now();
            if self.quiet_since > patience {
                return Err(Failure::NotConnected("the line is never silent".into()));
            }
            quiet = end.max(self.quiet_since + silence);
        }
    }
}
