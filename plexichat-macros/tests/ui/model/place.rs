//! The attribute stands on something that cannot cross the boundary.
#[plexichat::model]
pub union One {
    one: u8,
}

#[plexichat::model]
pub struct Two<T> {
    two: T,
}

#[plexichat::model]
fn three() {}

#[plexichat::model(strict)]
pub struct Four {
    four: u8,
}

fn main() {}
