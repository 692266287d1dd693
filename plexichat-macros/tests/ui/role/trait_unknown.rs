//! The trait is no role.
pub struct Mine;

#[plexichat::role]
impl Clone for Mine {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
