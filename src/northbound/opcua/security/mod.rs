//! Who may connect and who may do what.
//!
//! Three doors, one behind the other. The trust list ([`trust`]) says which client applications may
//! open a session at all, by their certificates ([`certificate`], kept in a folder, [`pki`]). Users
//! log in by password ([`password`]) or certificate ([`Access`]). Their role says what they may do.

mod access;
pub mod certificate;
pub mod password;
pub mod pki;
mod rate;
pub(super) mod settings;

pub(super) use access::Access;
pub use certificate::Certificate;
pub use pki::Pki;
