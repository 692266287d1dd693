//! The trait is a role of a later version.
pub struct Mine;

#[plexichat::role]
impl AiProvider for Mine {}

fn main() {}
