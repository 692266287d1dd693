//! Options that do not exist, and versions that are none.
#[plexichat::event("one", version = 2)]
pub struct One {}

#[plexichat::event("two", schema_version = 0)]
pub struct Two {}

#[plexichat::event("three", schema_version = "3")]
pub struct Three {}

fn main() {}
