//! Methods of an automation that have other names.
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
    fn register_trigger(triggers: Triggers<Self>) -> Triggers<Self> {
        triggers
    }

    async fn execute(&self, _: WorkflowRun) -> std::result::Result<Outcome, WorkflowError> {
        Ok(Outcome::done())
    }
}

fn main() {}
