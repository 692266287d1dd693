//! Rules that are written in another shape.
#[plexichat::config]
pub struct Config {
    /// One.
    #[garde]
    pub one: u8,
    /// Two.
    #[garde(range)]
    pub two: u8,
    /// Three.
    #[garde(range(min))]
    pub three: u8,
    /// Four.
    #[garde(length(chars = 3, max = 4))]
    pub four: String,
    /// Five.
    #[garde(range(equal = 3, max = 4))]
    pub five: u8,
    /// Six.
    #[garde(prefix, ascii(yes))]
    pub six: String,
    /// Seven.
    #[garde(inner)]
    pub seven: Vec<String>,
    /// Eight.
    #[garde(range(smallest = 3))]
    pub eight: u8,
}

fn main() {}
