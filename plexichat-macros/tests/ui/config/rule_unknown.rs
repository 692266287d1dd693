//! Rules that do not exist, mistyped and invented.
#[plexichat::config]
#[garde(context(u8))]
pub struct Config {
    /// One.
    #[garde(rnage(min = 1))]
    pub one: u8,
    /// Two.
    #[garde(pretty)]
    pub two: u8,
    /// Three.
    #[garde(inner(lenght(min = 1)))]
    pub three: Vec<String>,
}

fn main() {}
