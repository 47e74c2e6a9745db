//! A server without machines, and a client of it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway::device_model::{self, DeviceModel};
use guideway::journal::{self, Journal};
use guideway::northbound::opcua::{Context, Face, Options};
use opcua_client::{ClientBuilder, IdentityToken, Session};
use opcua_types::{
    AttributeId, BrowseDescription, BrowseDirection, DataValue, EndpointDescription, MessageSecurityMode,
    NodeId, ReadValueId, ReferenceDescription, StatusCode, TimestampsToReturn, UserTokenPolicy,
};
use tokio_util::sync::CancellationToken;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with a session.
pub(crate) struct Running {
    pub(crate) session: Arc<Session>,
    cancel: CancellationToken,
    server: tokio::task::JoinHandle<()>,
    client: tokio::task::JoinHandle<StatusCode>,
    _directory: tempfile::TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = device_model::Options { agent_device: false, ..device_model::Options::default() };
        let xml = r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.7"><Devices>
            <Device id="d" name="M" uuid="d3f1c2a0-machine-0001"/></Devices></MTConnectDevices>"#;
        let model =
            DeviceModel::from_xml(&[("devices.xml".into(), xml.into())], &options, None).expect("a model");
        let model = Arc::new(ArcSwap::from_pointee(model));
        let (_writer, journal) =
            Journal::open(&journal::Options::default(), None, model.clone()).expect("a journal");
        let context = Context {
            gateway: "test".into(),
            model,
            journal,
            data_dir: directory.path().to_owned(),
            control: None,
        };
        let options = Options {
            address: [127, 0, 0, 1].into(),
            port: 0,
            hostnames: vec!["127.0.0.1".into()],
            allow_none: true,
            ..Options::default()
        };
        let face = Face::start(&options, context).await.expect("a server");
        let url = format!("opc.tcp://127.0.0.1:{}/", face.local_addr().port());
        let cancel = CancellationToken::new();
        let server = tokio::spawn(face.serve(cancel.clone()));
        let mut client = ClientBuilder::new()
            .application_name("types test")
            .application_uri("urn:types-test")
            .pki_dir(directory.path().join("client"))
            .create_sample_keypair(false)
            .max_message_size(64 << 20)
            .max_chunk_count(2_000)
            .max_array_length(100_000)
            .client()
            .expect("a client");
        let endpoint: EndpointDescription =
            (url.as_str(), "None", MessageSecurityMode::None, UserTokenPolicy::anonymous()).into();
        let connected = client.connect_to_endpoint_directly(endpoint, IdentityToken::Anonymous);
        let (session, events) = connected.expect("a session");
        let client = events.spawn();
        let connected = tokio::time::timeout(PATIENCE, session.wait_for_connection()).await;
        assert_eq!(connected, Ok(true), "connected");
        Self { session, cancel, server, client, _directory: directory }
    }

    pub(crate) async fn stop(self) {
        let _ = self.session.disconnect().await;
        self.client.abort();
        self.cancel.cancel();
        tokio::time::timeout(PATIENCE, self.server).await.expect("an end").expect("no panic");
    }

    pub(crate) async fn read(&self, what: &[(NodeId, AttributeId)]) -> Vec<DataValue> {
        let wanted: Vec<ReadValueId> = what
            .iter()
            .map(|(id, attribute)| ReadValueId {
                node_id: id.clone(),
                attribute_id: *attribute as u32,
                ..ReadValueId::default()
            })
            .collect();
        let mut values = Vec::new();
        for part in wanted.chunks(500) {
            values.extend(self.session.read(part, TimestampsToReturn::Both, 0.0).await.expect("an answer"));
        }
        values
    }

    pub(crate) async fn value(&self, id: impl Into<NodeId>) -> DataValue {
        self.read(&[(id.into(), AttributeId::Value)]).await.remove(0)
    }

    /// All references of all these nodes, both ways.
    pub(crate) async fn references(&self, of: &[NodeId]) -> Vec<Vec<ReferenceDescription>> {
        let wanted: Vec<BrowseDescription> = of
            .iter()
            .map(|id| BrowseDescription {
                node_id: id.clone(),
                browse_direction: BrowseDirection::Both,
                reference_type_id: NodeId::null(),
                include_subtypes: true,
                node_class_mask: 0,
                result_mask: 0x3f,
            })
            .collect();
        let mut found = Vec::new();
        for part in wanted.chunks(100) {
            for result in self.session.browse(part, 0, None).await.expect("an answer") {
                assert_eq!(result.status_code, StatusCode::Good);
                assert!(
                    result.continuation_point.is_null_or_empty(),
                    "the server gives all references at once"
                );
                found.push(result.references.unwrap_or_default());
            }
        }
        found
    }
}
