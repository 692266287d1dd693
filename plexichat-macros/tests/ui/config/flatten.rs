//! A flattened field, beside which unknown keys cannot be refused.
use std::collections::BTreeMap;

#[plexichat::config]
pub struct Config {
    /// The rest.
    #[serde(flatten)]
    pub rest: BTreeMap<String, String>,
}

fn main() {}
