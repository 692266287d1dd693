//! A rule that the field's type does not have.
#[plexichat::config]
pub struct Config {
    /// One.
    #[garde(range(min = 1))]
    pub one: String,
}

fn main() {}
