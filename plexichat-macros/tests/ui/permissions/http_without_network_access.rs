//! A capability that was not declared.
use plexichat::prelude::*;

#[plexichat::plugin(permissions(PostMessages))]
pub struct Mine(HttpClient);

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
        let _ = (ctx.chat(), ctx.users());
        Ok(Self(ctx.http()))
    }
}

fn main() {}
