//! What the attributes of data types, `config`, `model` and `event`, share.

pub(crate) mod derives;
pub(crate) mod fields;
pub(crate) mod validate;
