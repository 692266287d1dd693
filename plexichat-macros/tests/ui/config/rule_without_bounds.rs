//! A rule that rules nothing out.
#[plexichat::config]
pub struct Config {
    /// One.
    #[garde(length(chars))]
    pub one: String,
}

fn main() {}
