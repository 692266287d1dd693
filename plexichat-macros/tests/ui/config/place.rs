//! The attribute stands on something that is no struct with named fields.
#[plexichat::config]
pub enum One {
    Only,
}

#[plexichat::config]
pub struct Two(u8);

#[plexichat::config]
pub struct Three<T> {
    /// One.
    pub one: T,
}

#[plexichat::config]
fn four() {}

#[plexichat::config(strict)]
pub struct Five {
    /// One.
    pub one: u8,
}

fn main() {}
