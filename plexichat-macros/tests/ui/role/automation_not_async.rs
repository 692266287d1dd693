//! A workflow that cannot wait.
use plexichat::prelude::*;

#[plexichat::plugin(provides(Automation))]
pub struct Mine;

impl Plugin for Mine {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl Automation for Mine {
    fn execute_workflow(&self, _: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
        Ok(Outcome::done())
    }
}

fn main() {}
