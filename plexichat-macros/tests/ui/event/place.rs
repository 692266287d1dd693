//! The attribute stands on something that is no data.
#[plexichat::event("one")]
fn one() {}

#[plexichat::event("two")]
pub struct Two<T>(T);

fn main() {}
