//! Opens the way to the control: TCP or a serial line.

use guideway_contract::{HostPort, serial_path};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::{DataBits, FlowControl, Parity, SerialPort as _, SerialPortBuilderExt as _, StopBits};

use crate::config::{Config, Flow, SerialLine};

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

/// The address as a URI.
pub(crate) fn endpoint(config: &Config) -> String {
    match (serial_path(&config.address), HostPort::parse(&config.address, &["haas", "tcp"])) {
        (Some(path), _) => format!("haas+serial://{path}"),
        (None, Ok(host)) => {
            format!("haas://{}", HostPort { port: host.port.or(Some(config.port)), ..host })
        }
        (None, Err(_)) => format!("haas://{}", config.address),
    }
}

/// Opens it; an error is for people.
pub(crate) async fn open(config: &Config) -> Result<Box<dyn Stream>, String> {
    if let Some(path) = serial_path(&config.address) {
        return Ok(Box::new(open_serial(path, &config.serial)?));
    }
    let host = HostPort::parse(&config.address, &["haas", "tcp"])?;
    let stream = TcpStream::connect((host.host.as_str(), host.port.unwrap_or(config.port)))
        .await
        .map_err(|error| error.to_string())?;
    // Without it a question may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

fn open_serial(path: &str, line: &SerialLine) -> Result<tokio_serial::SerialStream, String> {
    let stream = tokio_serial::new(path, line.baud)
        .parity(match line.parity {
            crate::config::Parity::None => Parity::None,
            crate::config::Parity::Even => Parity::Even,
            crate::config::Parity::Odd => Parity::Odd,
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
    // What the line holds from before is nobody's answer; where it cannot be cleared, it is passed over
    // later.
    let _ = stream.clear(tokio_serial::ClearBuffer::All);
    Ok(stream)
}
