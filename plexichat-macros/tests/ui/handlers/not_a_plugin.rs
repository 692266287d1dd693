//! Handlers of a type that is no plugin.
use plexichat::prelude::*;

pub struct Mine;

#[plexichat::handlers]
impl Mine {
    #[on("user_login")]
    async fn one(&self, _: &Event) -> Result<()> {
        Ok(())
    }
}

fn main() {}
