//! The roads in over HTTP: who may call what, from one table.

mod accept;
mod bundle;
mod error;
mod extract;
mod front;

pub(crate) use bundle::BundleInfo;
pub(crate) use error::ErrorBody;
