//! MTConnect documents: devices, streams, assets and errors, in XML and JSON.
//!
//! A floor of its own below the faces, because two of them (HTTP and MQTT) send the same documents.

mod header;

use std::sync::Arc;

pub use header::Header;

use crate::device_model::{DeviceIndex, DeviceModel};
use crate::journal::{Asset, Recorded};

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/xml`.
    #[default]
    Xml,
    /// `application/mtconnect+json`, the array form (JSON version 1).
    JsonV1,
    /// `application/mtconnect+json`, grouped by type (JSON version 2).
    JsonV2,
}

/// Style sheets, extra namespaces and the like, by document kind; from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Dressing {
    /// Extension namespaces of each kind of document: (prefix, urn, schema location).
    pub devices_namespaces: Vec<crate::device_model::Namespace>,
    /// See `devices_namespaces`.
    pub streams_namespaces: Vec<crate::device_model::Namespace>,
    /// See `devices_namespaces`.
    pub assets_namespaces: Vec<crate::device_model::Namespace>,
    /// See `devices_namespaces`.
    pub error_namespaces: Vec<crate::device_model::Namespace>,
    /// `<?xml-stylesheet href=…?>` of each kind of document.
    pub devices_style: Option<String>,
    /// See `devices_style`.
    pub streams_style: Option<String>,
    /// See `devices_style`.
    pub assets_style: Option<String>,
    /// See `devices_style`.
    pub error_style: Option<String>,
}

/// Writes documents for one device model. Made once for each model; keeps what can be prepared.
pub struct Documents {
    // the owner of this module fills this in
}

impl Documents {
    /// Prepares everything that does not change from document to document.
    pub fn new(model: Arc<DeviceModel>, dressing: Dressing) -> Self {
        let _ = (model, dressing);
        todo!()
    }

    /// MTConnectDevices for these devices, in the model's order.
    pub fn devices(
        &self,
        format: Format,
        pretty: bool,
        header: &Header,
        devices: &[DeviceIndex],
        asset_counts: &[(smol_str::SmolStr, usize)],
    ) -> Vec<u8> {
        let _ = (format, pretty, header, devices, asset_counts);
        todo!()
    }

    /// MTConnectStreams of these observations, which come in order of sequence; grouped by device,
    /// component and category. `devices` shall be present even without any observation.
    pub fn streams(
        &self,
        format: Format,
        pretty: bool,
        header: &Header,
        observations: &[Recorded],
    ) -> Vec<u8> {
        let _ = (format, pretty, header, observations);
        todo!()
    }

    /// MTConnectAssets.
    pub fn assets(&self, format: Format, pretty: bool, header: &Header, assets: &[Arc<Asset>]) -> Vec<u8> {
        let _ = (format, pretty, header, assets);
        todo!()
    }

    /// MTConnectError; in the form of the model's schema version.
    pub fn error(&self, format: Format, pretty: bool, header: &Header, errors: &[Problem]) -> Vec<u8> {
        let _ = (format, pretty, header, errors);
        todo!()
    }
}

/// One entry of an error document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The error code.
    pub kind: ProblemKind,
    /// What is wrong, for people.
    pub message: String,
    /// The request's URI (>= 2.6).
    pub uri: Option<String>,
    /// The request: `MTConnectProbe`, `MTConnectCurrent`, `MTConnectSample`, `MTConnectAsset`, … (>= 2.6).
    pub request: Option<&'static str>,
}

/// What kind of error, with what belongs to it from 2.6 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// NO_DEVICE.
    NoDevice,
    /// OUT_OF_RANGE.
    OutOfRange {
        /// The parameter's name.
        parameter: &'static str,
        /// Its value, as given.
        value: String,
        /// The least that is allowed.
        minimum: i64,
        /// The most that is allowed.
        maximum: i64,
    },
    /// TOO_MANY.
    TooMany,
    /// INVALID_URI.
    InvalidUri,
    /// INVALID_REQUEST.
    InvalidRequest,
    /// INTERNAL_ERROR.
    InternalError,
    /// INVALID_XPATH.
    InvalidXPath,
    /// UNSUPPORTED.
    Unsupported,
    /// UNAUTHORIZED.
    Unauthorized,
    /// ASSET_NOT_FOUND.
    AssetNotFound {
        /// The id that is not there.
        asset_id: String,
    },
    /// INVALID_PARAMETER_VALUE.
    InvalidParameterValue {
        /// The parameter's name.
        parameter: String,
        /// Its value, as given.
        value: String,
        /// What type is expected, e.g. `integer`.
        expected: &'static str,
    },
    /// QUERY_ERROR.
    QueryError,
}
