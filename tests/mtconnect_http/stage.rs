//! A face with a small model and a journal, and a client that speaks bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway::device_model::{self, DeviceModel, SharedModel};
use guideway::journal::{self, Asset, Journal, Writer};
use guideway::northbound::mtconnect::{Context, Face, Options, Reply, Stats};
use guideway_contract::{Observation, Timestamp, Value};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for anything to happen that will happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const DEVICES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0" xmlns:x="urn:example.com:Example:1.0">
  <Header creationTime="2026-01-01T00:00:00Z" sender="s" instanceId="1" version="2.0" bufferSize="1" assetBufferSize="1" assetCount="0" deviceModelChangeTime="2026-01-01T00:00:00Z"/>
  <Devices>
    <Device id="m" name="Mill" uuid="mill-1">
      <DataItems>
        <DataItem id="m_av" type="AVAILABILITY" category="EVENT"/>
      </DataItems>
      <Components>
        <Axes id="m_axes" name="base">
          <Components>
            <Linear id="m_x" name="X">
              <DataItems>
                <DataItem id="m_xpos" name="Xpos" type="POSITION" subType="ACTUAL" category="SAMPLE" units="MILLIMETER"/>
                <DataItem id="m_xload" name="Xload" type="LOAD" category="SAMPLE" units="PERCENT"/>
              </DataItems>
            </Linear>
            <Linear id="m_y" name="Y">
              <DataItems>
                <DataItem id="m_ypos" name="Ypos" type="POSITION" subType="ACTUAL" category="SAMPLE" units="MILLIMETER"/>
                <DataItem id="m_ycond" type="POSITION" category="CONDITION"/>
              </DataItems>
            </Linear>
          </Components>
        </Axes>
        <x:Gripper id="m_g" name="G">
          <DataItems>
            <DataItem id="m_grip" type="x:GRIP" category="EVENT"/>
          </DataItems>
        </x:Gripper>
      </Components>
    </Device>
    <Device id="l" name="Lathe 2" uuid="lathe-2">
      <DataItems>
        <DataItem id="l_av" type="AVAILABILITY" category="EVENT"/>
        <DataItem id="l_pos" name="Lpos" type="POSITION" subType="ACTUAL" category="SAMPLE" units="MILLIMETER"/>
      </DataItems>
    </Device>
  </Devices>
</MTConnectDevices>"#;

/// The model of [`DEVICES`].
pub(crate) fn model() -> DeviceModel {
    let options = device_model::Options {
        agent_device: false,
        schema_version: Some(device_model::SchemaVersion::NEWEST),
        ..device_model::Options::default()
    };
    DeviceModel::from_xml(&[("devices.xml".into(), DEVICES.to_owned())], &options, None).expect("a model")
}

/// A face that runs.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) journal: Journal,
    pub(crate) model: SharedModel,
    pub(crate) stats: Arc<Stats>,
    pub(crate) cancel: CancellationToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    writer: Mutex<Writer>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, 1_024)
    }

    /// A face with changed options and a ring of that size.
    pub(crate) fn with(change: impl FnOnce(&mut Options), buffer_size: u32) -> Self {
        let model: SharedModel = Arc::new(ArcSwap::from_pointee(model()));
        let options = journal::Options { buffer_size, durable: false, ..journal::Options::default() };
        let (writer, journal) = Journal::open(&options, None, Arc::clone(&model)).expect("a journal");
        let mut options =
            Options { address: std::net::Ipv4Addr::LOCALHOST.into(), port: 0, ..Options::default() };
        change(&mut options);
        let context = Context {
            model: Arc::clone(&model),
            journal: journal.clone(),
            dressing: guideway::documents::Dressing::default(),
            sender: "stage".into(),
            test_indicator: false,
            extra: Some(Arc::new(|path, query| {
                (path == "/health").then(|| Reply::new(200, "text/plain", format!("well {query}")))
            })),
            control: None,
        };
        let face = Face::bind(&options, context).expect("a free port");
        let (address, stats) = (face.local_addr(), face.stats());
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(face.serve(cancel.clone()));
        let stage = Self { address, journal, model, stats, cancel, serving, writer: Mutex::new(writer) };
        let items = stage.model.load_full();
        stage.append(items.items().iter().map(|item| (item.id.to_string(), Value::Unavailable)));
        stage
    }

    /// Appends one observation for each pair of data item id and value.
    pub(crate) fn append(&self, values: impl IntoIterator<Item = (impl AsRef<str>, Value)>) {
        let model = self.model.load();
        let time = Timestamp::parse("2026-01-02T03:04:05.6789Z").expect("a time");
        let mut observations: Vec<_> = values
            .into_iter()
            .map(|(id, value)| {
                let item = model.find_item(id.as_ref()).expect("a data item").index;
                Observation::new(item, time, time, value)
            })
            .collect();
        self.writer.lock().append(&mut observations);
    }

    /// Appends so many positions of X: from, from + 1, …
    pub(crate) fn positions(&self, from: u32, count: u32) {
        self.append((from..from + count).map(|number| ("m_xpos", Value::Number(f64::from(number)))));
    }

    pub(crate) fn put_asset(&self, id: &str, asset_type: &str, device_uuid: &str, removed: bool) {
        let time = Timestamp::parse("2026-01-02T03:04:05Z").expect("a time");
        let body = format!(
            "<{asset_type} assetId=\"{id}\" timestamp=\"{time}\" deviceUuid=\"{device_uuid}\"{}/>",
            if removed { " removed=\"true\"" } else { "" }
        );
        self.writer.lock().put_asset(Asset {
            id: id.into(),
            asset_type: asset_type.into(),
            device_uuid: device_uuid.into(),
            time,
            removed,
            body: body.into(),
        });
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.expect("a connection"), input: Vec::new() }
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Response {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: stage\r\nConnection: close\r\n\r\n")).await
    }

    /// These bytes on a connection of their own.
    pub(crate) async fn ask(&self, bytes: &str) -> Response {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.response().await
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) input: Vec<u8>,
}

/// A response with a length.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The value of an attribute of the document's Header.
    pub(crate) fn header(&self, name: &str) -> u64 {
        header(&self.body, name)
    }

    pub(crate) fn sequences(&self) -> Vec<u64> {
        sequences(&self.body)
    }
}

/// The value of a numeric attribute of a document's Header.
pub(crate) fn header(document: &str, name: &str) -> u64 {
    let header = document.split_once("<Header ").expect("a Header").1;
    let value = header.split_once(&format!("{name}=\"")).expect("an attribute").1;
    value.split_once('"').expect("a quote").0.parse().expect("a number")
}

/// All `sequence` attributes, sorted.
pub(crate) fn sequences(document: &str) -> Vec<u64> {
    let mut found: Vec<u64> = document
        .split(" sequence=\"")
        .skip(1)
        .map(|rest| rest.split_once('"').expect("a quote").0.parse().expect("a number"))
        .collect();
    found.sort_unstable();
    found
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.expect("to be heard");
    }

    /// Reads more; false at the end.
    pub(crate) async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.socket.read_buf(&mut self.input)).await.expect("an answer in time");
        read.unwrap_or(0) > 0
    }

    /// Everything up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end.as_bytes()) {
                let taken: Vec<u8> = self.input.drain(..at + end.len()).collect();
                return String::from_utf8(taken).expect("text");
            }
            assert!(self.more().await, "the connection ended before {end:?}: {:?}", self.text());
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.input).into_owned()
    }

    pub(crate) async fn take(&mut self, length: usize) -> String {
        while self.input.len() < length {
            assert!(self.more().await, "the connection ended too early");
        }
        String::from_utf8(self.input.drain(..length).collect()).expect("text")
    }

    pub(crate) async fn response(&mut self) -> Response {
        let head = self.until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        let mut response = Response { status, head, body: String::new() };
        let length = response.field("content-length").map_or(0, |length| length.parse().expect("a number"));
        response.body = self.take(length).await;
        response
    }

    /// The head of a stream.
    pub(crate) async fn stream_head(&mut self) -> Response {
        let head = self.until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Response { status, head, body: String::new() }
    }

    /// The document of the next part of a chunked stream; `None` at its proper end.
    pub(crate) async fn part(&mut self) -> Option<String> {
        let size = self.until("\r\n").await;
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk size");
        let chunk = self.take(size).await;
        assert_eq!(self.take(2).await, "\r\n");
        if chunk.starts_with("--") && chunk.ends_with("--\r\n") {
            assert_eq!(self.take(5).await, "0\r\n\r\n");
            return None;
        }
        let (head, body) = chunk.split_once("\r\n\r\n").expect("a part head");
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-length: "))
            .expect("a length")
            .parse()
            .expect("a number");
        assert_eq!(&body[length..], "\r\n");
        Some(body[..length].to_owned())
    }

    /// Whether the connection ends without another byte.
    pub(crate) async fn ends(&mut self) -> bool {
        self.input.is_empty() && !self.more().await
    }
}
