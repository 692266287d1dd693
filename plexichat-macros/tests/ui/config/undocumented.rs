//! Settings without documentation.
#[plexichat::config]
pub struct Config {
    pub one: u8,
    ///
    pub two: u8,
    /// Three.
    pub three: u8,
}

fn main() {}
