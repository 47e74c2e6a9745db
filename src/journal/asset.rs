//! Assets: cutting tools, programs, fixtures.

use std::sync::Arc;

use guideway_contract::Timestamp;
use smol_str::SmolStr;

/// An asset document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Unique in the gateway.
    pub id: SmolStr,
    /// The element's name, e.g. `CuttingTool`.
    pub asset_type: SmolStr,
    /// The device it is at.
    pub device_uuid: SmolStr,
    /// When it last changed.
    pub time: Timestamp,
    /// Whether it was removed; removed assets are kept until their place is needed.
    pub removed: bool,
    /// The XML element with `assetId`, `timestamp`, `deviceUuid` and `removed` set as above.
    pub body: Arc<str>,
}

/// Which assets are wanted.
#[derive(Clone, Debug, Default)]
pub struct AssetQuery {
    /// Only of that type.
    pub asset_type: Option<SmolStr>,
    /// Only of that device.
    pub device_uuid: Option<SmolStr>,
    /// Removed ones too.
    pub removed: bool,
    /// At most so many; `None` for all.
    pub count: Option<usize>,
}
