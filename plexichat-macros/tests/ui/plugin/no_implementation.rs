//! The struct does not implement `Plugin`.
#[plexichat::plugin]
pub struct Mine;

fn main() {}
