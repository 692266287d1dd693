//! A plugin has no generic parameters.
#[plexichat::plugin]
pub struct Mine<T>(T);

fn main() {}
