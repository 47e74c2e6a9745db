//! Opens the way to the device: a serial line, a TCP connection, or a port at which it connects.

use std::net::SocketAddr;

use guideway_contract::{HostPort, serial_path};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::{DataBits, FlowControl, SerialPort as _, SerialPortBuilderExt as _, StopBits};

use crate::config::Config;
use crate::line::{Flow, Parity, SerialLine};

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// How the device is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Serial(String),
    Connect(HostPort),
    Listen(SocketAddr),
}

impl Way {
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        if !config.listen.is_empty() {
            return listening(&config.listen).map(Self::Listen);
        }
        if config.address.is_empty() {
            return Err(
                "`address` is not set: a serial line's device file, HOST:PORT, or listen://ADDRESS:PORT"
                    .into(),
            );
        }
        if let Some(path) = serial_path(&config.address) {
            return Ok(Self::Serial(path.to_owned()));
        }
        let host = HostPort::parse(&config.address, &["tcp"])?;
        let port = host.port.or((config.port > 0).then_some(config.port));
        if port.is_none() {
            return Err(format!("`{}`: write HOST:PORT", config.address));
        }
        Ok(Self::Connect(HostPort { port, ..host }))
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serial(path) => write!(f, "serial://{path}"),
            Self::Connect(host) => write!(f, "tcp://{host}"),
            Self::Listen(address) => write!(f, "listen://{address}"),
        }
    }
}

/// Reads where to listen.
pub(crate) fn listening(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim_end_matches('/');
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| format!("`{text}`: write the address and port to listen at, as in 0.0.0.0:6001"))
}

pub(crate) async fn connect(host: &HostPort) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host.host.as_str(), host.port.unwrap_or_default()))
        .await
        .map_err(|error| error.to_string())?;
    // Without it a question may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

pub(crate) fn open_serial(path: &str, line: &SerialLine) -> Result<tokio_serial::SerialStream, String> {
    let stream = tokio_serial::new(path, line.baud)
        .parity(match line.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .data_bits(match line.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        })
        .stop_bits(if line.stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .flow_control(match line.flow {
            Flow::None => FlowControl::None,
            Flow::Xonxoff => FlowControl::Software,
            Flow::Rtscts => FlowControl::Hardware,
        })
        .open_native_async()
        .map_err(|error| error.to_string())?;
    // What the line holds from before it was opened has no time; where it cannot be cleared, it is read.
    let _ = stream.clear(tokio_serial::ClearBuffer::All);
    Ok(stream)
}
