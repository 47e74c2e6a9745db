//! Versions at which documents change their form.

use crate::device_model::SchemaVersion;

/// The oldest whose schema is at hand.
pub(super) const V1_3: SchemaVersion = SchemaVersion::new(1, 3);
/// Compositions, reset triggers.
pub(super) const V1_4: SchemaVersion = SchemaVersion::new(1, 4);
/// The Agent device, the time of the last model change.
pub(super) const V1_7: SchemaVersion = SchemaVersion::new(1, 7);
/// The schemas are generated from a model from here on; details change in many places.
pub(super) const V1_8: SchemaVersion = SchemaVersion::new(1, 8);
/// Asset counts are an observation instead of a part of the header.
pub(super) const V2_0: SchemaVersion = SchemaVersion::new(2, 0);
/// See 2.2.
pub(super) const V2_1: SchemaVersion = SchemaVersion::new(2, 1);
/// Hashes of devices and assets.
pub(super) const V2_2: SchemaVersion = SchemaVersion::new(2, 2);
/// Condition ids.
pub(super) const V2_3: SchemaVersion = SchemaVersion::new(2, 3);
/// Quality of observations.
pub(super) const V2_5: SchemaVersion = SchemaVersion::new(2, 5);
/// Typed errors.
pub(super) const V2_6: SchemaVersion = SchemaVersion::new(2, 6);
/// The newest.
pub(super) const V2_7: SchemaVersion = SchemaVersion::new(2, 7);
