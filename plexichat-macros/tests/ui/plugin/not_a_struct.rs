//! The attribute stands on something that is no struct.
#[plexichat::plugin]
pub enum Mine {
    One,
}

fn main() {}
