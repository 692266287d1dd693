//! The attribute stands on something else.
pub struct Mine;

#[plexichat::role]
pub struct Other;

#[plexichat::role]
impl Mine {}

fn main() {}
