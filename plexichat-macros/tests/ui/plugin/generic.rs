//! A plugin has no generic parameters.
use plexichat::prelude::*;

#[plexichat::plugin]
pub struct Mine<T>(T);

fn main() {}
