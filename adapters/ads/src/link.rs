//! A connection to a controller's router: requests with their answers, and samples that come in between.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use guideway_contract::{Counters, Health, SessionEnd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::codec::command::{self, DeviceInfo, ResponseError};
use crate::codec::notification::{self, Sample};
use crate::codec::return_code::ReturnCode;
use crate::codec::{AmsAddress, Frame, next_frame, write_request};
use crate::config::Config;
use crate::net_id::NetId;

/// The longest frame in a session. Answers are planned to be shorter; samples come in frames of some KiB.
pub(crate) const SESSION_FRAME: usize = 1 << 20;
/// The longest frame when browsing: a large program's symbols.
pub(crate) const BROWSE_FRAME: usize = 32 << 20;
/// The most bytes of samples that wait while a request is under way.
const MOST_WAITING: usize = 16 << 20;

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The controller said no; the session goes on.
    Refused(ReturnCode),
    /// The session is over.
    End(SessionEnd),
}

impl From<SessionEnd> for RequestError {
    fn from(end: SessionEnd) -> Self {
        Self::End(end)
    }
}

impl From<ResponseError> for RequestError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Refused(code) => Self::Refused(code),
            ResponseError::Malformed(malformed) => Self::End(SessionEnd::Protocol(malformed.to_string())),
        }
    }
}

impl From<command::Malformed> for RequestError {
    fn from(malformed: command::Malformed) -> Self {
        ResponseError::from(malformed).into()
    }
}

/// One connection.
pub(crate) struct Link {
    stream: TcpStream,
    buffer: BytesMut,
    out: Vec<u8>,
    target: AmsAddress,
    own: AmsAddress,
    invoke_id: u32,
    patience: Duration,
    longest: usize,
    cancel: CancellationToken,
    samples: Vec<Sample>,
    waiting: usize,
    bytes: usize,
    frames: usize,
}

impl Link {
    /// Connects, and asks the device for its name: only what answers in the protocol is a connection. `invoke_id` is
    /// where ids go on from.
    pub(crate) async fn connect(
        config: &Config,
        invoke_id: u32,
        longest: usize,
        cancel: CancellationToken,
    ) -> Result<(Self, DeviceInfo), SessionEnd> {
        let (host, port) = config.host().map_err(|cause| failed(config, cause))?;
        let stream = tokio::select! {
            () = cancel.cancelled() => return Err(SessionEnd::Stopped),
            stream = timeout(config.connect_timeout, TcpStream::connect((host.as_str(), port))) => stream,
        };
        let stream = match stream {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(config, error.to_string())),
            Err(_) => {
                return Err(failed(
                    config,
                    format!("no answer in {} ms", config.connect_timeout.as_millis()),
                ));
            }
        };
        let addresses = stream.peer_addr().and_then(|peer| Ok((peer, stream.local_addr()?)));
        let (peer, local) = addresses.map_err(|error| failed(config, error.to_string()))?;
        let _ = stream.set_nodelay(true);
        let net_id = |set: Option<NetId>, of: std::net::SocketAddr, key| {
            let customary = || NetId::of(of.ip());
            set.or_else(customary).ok_or_else(|| failed(config, format!("{of} is IPv6: set `{key}`")))
        };
        let target = AmsAddress { net_id: net_id(config.net_id, peer, "net_id")?, port: config.ams_port };
        let own = AmsAddress {
            net_id: net_id(config.source_net_id, local, "source_net_id")?,
            port: config.source_port.unwrap_or(local.port()),
        };
        let mut link = Self {
            stream,
            buffer: BytesMut::new(),
            out: Vec::new(),
            target,
            own,
            invoke_id,
            patience: config.timeout,
            longest,
            cancel,
            samples: Vec::new(),
            waiting: 0,
            bytes: 0,
            frames: 0,
        };
        let greeting = link.request(command::READ_DEVICE_INFO, &[]).await;
        match greeting.and_then(|payload| Ok(DeviceInfo::read(&payload)?)) {
            Ok(info) => Ok((link, info)),
            Err(RequestError::End(SessionEnd::Stopped)) => Err(SessionEnd::Stopped),
            Err(error) => Err(failed(config, link.no_greeting(error))),
        }
    }

    /// Why the first request got no answer, with what to do: most often there is no route.
    fn no_greeting(&self, error: RequestError) -> String {
        let Self { target, own, .. } = self;
        let route = format!(
            "add a route in the controller to AMS net id {} at this gateway's address, and check that its own net id \
             is {}",
            own.net_id, target.net_id
        );
        match error {
            RequestError::Refused(code @ (ReturnCode::NO_TARGET | ReturnCode::UNREACHABLE)) => {
                format!("{code}; {route}")
            }
            RequestError::Refused(code @ ReturnCode::NO_TARGET_PORT) => {
                format!("AMS port {}: {code} (TwinCAT 3: 851, TwinCAT 2: 801)", target.port)
            }
            RequestError::Refused(code) => code.to_string(),
            RequestError::End(SessionEnd::Lost(cause)) => {
                format!(
                    "the connection was closed at once ({cause}): {route}, or end what else speaks ADS from here"
                )
            }
            RequestError::End(SessionEnd::Silent(_)) => format!("connected, but no ADS answer: {route}"),
            RequestError::End(end) => end.to_string(),
        }
    }

    /// Where requests go.
    pub(crate) const fn target(&self) -> AmsAddress {
        self.target
    }

    /// The id of the last request.
    pub(crate) const fn invoke_id(&self) -> u32 {
        self.invoke_id
    }

    /// How long answers may take from now on.
    pub(crate) const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends a request and waits for its answer. After any error but [`RequestError::Refused`] the link is dead.
    pub(crate) async fn request(&mut self, command: u16, payload: &[u8]) -> Result<Bytes, RequestError> {
        self.invoke_id = self.invoke_id.wrapping_add(1);
        self.out.clear();
        write_request(&mut self.out, self.target, self.own, command, self.invoke_id, payload);
        let cancel = self.cancel.clone();
        let patience = self.patience;
        let deadline = Instant::now() + patience;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(SessionEnd::Stopped.into()),
            answer = timeout_at(deadline, self.exchange(command)) => match answer {
                Ok(answer) => answer,
                Err(_) => Err(SessionEnd::Silent(patience).into()),
            },
        }
    }

    async fn exchange(&mut self, command: u16) -> Result<Bytes, RequestError> {
        self.stream.write_all(&self.out).await.map_err(|error| lost(&error))?;
        loop {
            let Some(Frame { header, payload }) = self.next()? else {
                self.fill().await?;
                continue;
            };
            if header.invoke_id != self.invoke_id || header.command != command || !header.is_response() {
                return Err(foreign(&header).into());
            }
            return match header.error {
                0 => Ok(payload),
                code => Err(RequestError::Refused(ReturnCode(code))),
            };
        }
    }

    /// Waits for samples. May be dropped at any time without loss.
    pub(crate) async fn listen(&mut self) -> Result<(), SessionEnd> {
        loop {
            if let Some(frame) = self.next()? {
                return Err(foreign(&frame.header));
            }
            if !self.samples.is_empty() {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// The samples that have come.
    pub(crate) fn take_samples(&mut self) -> Vec<Sample> {
        self.waiting = 0;
        std::mem::take(&mut self.samples)
    }

    /// The next frame that is no notification; those are kept aside.
    fn next(&mut self) -> Result<Option<Frame>, SessionEnd> {
        let broken = |error: &dyn std::fmt::Display| SessionEnd::Protocol(error.to_string());
        while let Some(frame) = next_frame(&mut self.buffer, self.longest).map_err(|error| broken(&error))? {
            self.frames += 1;
            if frame.header.target != self.own || frame.header.source != self.target {
                return Err(foreign(&frame.header));
            }
            if frame.header.command != command::NOTIFICATION || frame.header.is_response() {
                return Ok(Some(frame));
            }
            self.waiting += frame.payload.len();
            if self.waiting > MOST_WAITING {
                return Err(SessionEnd::Protocol("more samples than can be taken".into()));
            }
            self.samples.extend(notification::read(&frame.payload).map_err(|error| broken(&error))?);
        }
        Ok(None)
    }

    /// Reads what is there, or waits for it. May be dropped at any time without loss.
    async fn fill(&mut self) -> Result<(), SessionEnd> {
        self.buffer.reserve(16 << 10);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(SessionEnd::Lost("closed by the controller".into())),
            Ok(count) => {
                self.bytes += count;
                Ok(())
            }
            Err(error) => Err(lost(&error)),
        }
    }

    /// Adds what went over the line to the counters.
    pub(crate) fn count(&mut self, health: &Health) {
        Counters::add(&health.counters.bytes, std::mem::take(&mut self.bytes));
        Counters::add(&health.counters.frames, std::mem::take(&mut self.frames));
    }

    /// Bytes at an index group and offset, exactly as many.
    pub(crate) async fn read(
        &mut self,
        group: u32,
        offset: u32,
        bytes: usize,
    ) -> Result<Bytes, RequestError> {
        let payload = self.request(command::READ, &command::read(group, offset, bytes)).await?;
        Ok(command::read_data(&payload)?)
    }

    /// Writes bytes and reads at most `room` others.
    pub(crate) async fn read_write(
        &mut self,
        group: u32,
        offset: u32,
        room: usize,
        data: &[u8],
    ) -> Result<Bytes, RequestError> {
        let payload = command::read_write(group, offset, room, data);
        let payload = self.request(command::READ_WRITE, &payload).await?;
        let data = command::read_data(&payload)?;
        if data.len() > room { Err(command::Malformed.into()) } else { Ok(data) }
    }

    /// Writes bytes.
    pub(crate) async fn write(&mut self, group: u32, offset: u32, data: &[u8]) -> Result<(), RequestError> {
        let payload = self.request(command::WRITE, &command::write(group, offset, data)).await?;
        command::read_result(&payload)?;
        Ok(())
    }

    /// The ADS state.
    pub(crate) async fn state(&mut self) -> Result<u16, RequestError> {
        let payload = self.request(command::READ_STATE, &[]).await?;
        Ok(command::read_state(&payload)?)
    }

    /// Gives notifications back without waiting for answers, and closes.
    pub(crate) async fn farewell(mut self, handles: impl Iterator<Item = u32>) {
        self.out.clear();
        for handle in handles {
            self.invoke_id = self.invoke_id.wrapping_add(1);
            let payload = handle.to_le_bytes();
            let ids = (self.target, self.own, command::DELETE_NOTIFICATION, self.invoke_id);
            write_request(&mut self.out, ids.0, ids.1, ids.2, ids.3, &payload);
        }
        // The controller frees what a closed connection asked for in any case; this is courtesy.
        let _ = timeout(Duration::from_millis(500), async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        })
        .await;
    }
}

fn failed(config: &Config, cause: String) -> SessionEnd {
    SessionEnd::NotConnected { endpoint: config.address.clone(), cause }
}

fn lost(error: &std::io::Error) -> SessionEnd {
    SessionEnd::Lost(error.to_string())
}

fn foreign(header: &crate::codec::Header) -> SessionEnd {
    SessionEnd::Protocol(format!(
        "a frame that answers no request: command {}, id {}, from {} to {}",
        header.command, header.invoke_id, header.source, header.target
    ))
}
