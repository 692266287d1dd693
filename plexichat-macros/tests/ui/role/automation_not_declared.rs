//! The block is there, and the plugin does not say so.
use plexichat::prelude::*;

#[plexichat::plugin]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl Automation for Mine {
    async fn execute_workflow(&self, _: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
        Ok(Outcome::done())
    }
}

fn main() {}
