//! Two machines and a journal to write what they say.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway::device_model::{DeviceModel, Options as ModelOptions, SharedModel};
use guideway::documents::Dressing;
use guideway::journal::{Journal, Options as JournalOptions, Writer};
use guideway::northbound::mqtt::{Context, Destination, Options, Status};
use guideway_contract::{ItemIndex, Observation, Timestamp, Value};
use tokio_util::sync::CancellationToken;

const DEVICES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0">
  <Header creationTime="2026-01-01T00:00:00Z" sender="test" instanceId="1" version="2.0.0.0"
          assetBufferSize="8" assetCount="0" bufferSize="8" deviceModelChangeTime="2026-01-01T00:00:00Z"/>
  <Devices>
    <Device id="m" name="mill/1" uuid="mill-uuid">
      <DataItems><DataItem id="m_avail" category="EVENT" type="AVAILABILITY"/></DataItems>
      <Components>
        <Axes id="m_axes"><Components>
          <Linear id="m_x" name="X"><DataItems>
            <DataItem id="m_xpos" name="Xpos" category="SAMPLE" type="POSITION" subType="ACTUAL" units="MILLIMETER"/>
            <DataItem id="m_xload" category="SAMPLE" type="LOAD" units="PERCENT"/>
          </DataItems></Linear>
        </Components></Axes>
        <Controller id="m_cont"><DataItems>
          <DataItem id="m_sys" category="CONDITION" type="SYSTEM"/>
          <DataItem id="m_vars" category="EVENT" type="VARIABLE" representation="DATA_SET"/>
          <DataItem id="m_msg" category="EVENT" type="MESSAGE"/>
          <DataItem id="m_prog" name="program" category="EVENT" type="PROGRAM"/>
        </DataItems></Controller>
      </Components>
    </Device>
    <Device id="l" name="lathe" uuid="lathe-uuid">
      <DataItems>
        <DataItem id="l_avail" category="EVENT" type="AVAILABILITY"/>
        <DataItem id="l_pos" name="pos" category="SAMPLE" type="POSITION" subType="ACTUAL" units="MILLIMETER"/>
      </DataItems>
    </Device>
  </Devices>
</MTConnectDevices>"#;

/// A model, and a journal in memory for it.
pub(crate) struct Machine {
    pub(crate) model: SharedModel,
    pub(crate) journal: Journal,
    pub(crate) writer: Writer,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with_buffer(131_072)
    }

    /// With so many observations in memory, and none on disk.
    pub(crate) fn with_buffer(buffer_size: u32) -> Self {
        let options = ModelOptions { agent_device: false, ..ModelOptions::default() };
        let model = DeviceModel::from_xml(&[("devices.xml".into(), DEVICES.into())], &options, None)
            .unwrap_or_else(|findings| panic!("{findings:?}"));
        let model: SharedModel = Arc::new(ArcSwap::from_pointee(model));
        let (writer, journal) =
            Journal::open(&JournalOptions { buffer_size, ..JournalOptions::default() }, None, model.clone())
                .unwrap();
        Self { model, journal, writer }
    }

    pub(crate) fn item(&self, id: &str) -> ItemIndex {
        self.model.load().find_item(id).unwrap_or_else(|| panic!("no data item {id}")).index
    }

    pub(crate) fn observation(&self, id: &str, value: Value) -> Observation {
        let time = Timestamp::parse("2026-01-02T03:04:05.6780000Z").unwrap();
        Observation::new(self.item(id), time, time.shifted(1_500_000), value)
    }

    /// Records one value; gives its sequence.
    pub(crate) fn say(&mut self, id: &str, value: Value) -> u64 {
        let observation = self.observation(id, value);
        self.writer.append(&mut vec![observation]).start
    }

    /// Records that many numbers, counting up; gives the sequence after the last.
    pub(crate) fn count(&mut self, number: u32) -> u64 {
        let mut batch: Vec<_> =
            (0..number).map(|n| self.observation("m_xpos", Value::Number(f64::from(n)))).collect();
        self.writer.append(&mut batch).end
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            journal: self.journal.clone(),
            model: self.model.clone(),
            gateway: "cell-7".into(),
            dressing: Dressing::default(),
            test_indicator: false,
        }
    }

    pub(crate) fn start(&self, toml: &str) -> Running {
        let options: Options = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}"));
        let cancel = CancellationToken::new();
        let destination = Destination::start(options, self.context(), cancel.clone()).unwrap();
        Running { destination, cancel, journal: self.journal.clone() }
    }
}

/// A destination that runs.
pub(crate) struct Running {
    pub(crate) destination: Destination,
    cancel: CancellationToken,
    journal: Journal,
}

impl Running {
    pub(crate) fn status(&self) -> Status {
        self.destination.status()
    }

    /// Waits until its status is as wanted.
    pub(crate) async fn wait(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let found = async {
            loop {
                look.tick().await;
                let status = self.status();
                if wanted(&status) {
                    return status;
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), found).await {
            Ok(status) => status,
            Err(_) => panic!("waited in vain for {what}: {:?}", self.status()),
        }
    }

    /// Waits until everything that is recorded is acknowledged.
    pub(crate) async fn wait_until_sent(&self) -> Status {
        let next = self.journal.bounds().next;
        self.wait("the acknowledgement of everything", |status| status.cursor >= next).await
    }

    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.destination.stopped())
            .await
            .expect("it ends within five seconds");
    }
}
