//! Who may connect and who may do what.
//!
//! Doors, one behind the other. The gate ([`Gate`]) lets through what is OPC UA and not too much. The
//! trust list ([`trust`]) says which client applications may open a session at all, by their
//! certificates ([`certificate`], kept in a folder, [`pki`]). Users log in by password
//! ([`crate::control::password`]) or certificate ([`Access`]). Their role says what they may do.

mod access;
pub mod certificate;
mod chunk;
mod discovery;
mod gate;
pub mod pki;
mod rate;
pub(super) mod settings;
pub mod trust;

pub use access::ANONYMOUS;
pub(super) use access::Access;
pub use certificate::Certificate;
pub(super) use discovery::keep_registered;
pub(super) use gate::Gate;
pub use pki::Pki;
pub(super) use trust::Keeper;
