//! The attribute stands on something that is no block of the plugin's own.
pub struct Mine;
pub struct Other<T>(T);

#[plexichat::handlers]
pub struct One;

#[plexichat::handlers]
impl Clone for Mine {
    fn clone(&self) -> Self {
        Self
    }
}

#[plexichat::handlers]
impl<T> Other<T> {}

#[plexichat::handlers(all)]
impl Mine {}

fn main() {}
