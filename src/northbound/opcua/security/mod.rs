//! Who may connect and who may do what.

mod access;
pub(super) mod settings;

pub(super) use access::Access;
