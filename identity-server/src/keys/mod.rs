//! Signing: the parsed keys in memory, their certificates, and what is published of them. No database here.

mod certificate;
mod published;
mod ring;
mod snapshot;

pub use certificate::{KeyMaterial, make};
pub use published::{Document, Published};
pub use ring::{KeyError, KeyRing, SignedBy};
pub use snapshot::KeySummary;
