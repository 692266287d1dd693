//! What people do with a plugin's components: open them, press buttons, send forms. Knows no page.

use serde_json::Value;

use super::TestResult;
use super::running::RunningPlugin;
use crate::descriptor::Registered;
use crate::plugin::gui::{ComponentSpec, GuiReply, Interaction, Slot, ViewKind};
use crate::plugin::interface::Caller;

impl<P: Registered> RunningPlugin<P> {
    /// What it adds to the pages.
    pub fn components(&self) -> Vec<ComponentSpec> {
        (P::DESCRIPTOR.entry.gui)()
    }

    /// Opens a component as this person (the action [`OPEN`](crate::plugin::gui::OPEN)), presses a button of it or sends a
    /// form. What stands in rooms is told the test's room, and a message action the last message there.
    ///
    /// # Errors
    /// Where there is no such component or nothing of the plugin's to call, where its plugin gives an error or no answer in
    /// time, and for a message action where nobody has posted.
    ///
    /// # Cancel safety
    /// The plugin's call is dropped with this one.
    pub async fn interact(&self, person: &str, component: &str, action: &str, values: Value) -> TestResult<GuiReply> {
        let components = self.components();
        let Some(index) = components.iter().position(|spec| spec.id == component) else {
            let known: Vec<&str> = components.iter().map(|spec| spec.id.as_str()).collect();
            return Err(format!("there is no component `{component}`; there are: {}", known.join(", ")).into());
        };
        let spec = &components[index];
        match &spec.view {
            ViewKind::Handler => {}
            ViewKind::Page { path } => {
                return Err(format!("`{component}` shows the page `{path}`, it has no actions").into());
            }
            ViewKind::Config => {
                return Err(format!("`{component}` is the host's to answer: test it with `reconfigure`").into());
            }
        }
        let mut interaction = Interaction::new(component, action, Caller::known(self.person(person)));
        interaction.values = values;
        interaction.room_id = spec.slot.is_in_room().then(|| self.room());
        if spec.slot == Slot::MessageAction {
            let last = self.messages().pop().ok_or("nobody has posted a message to act on: `post` one first")?;
            interaction.message_id = Some(last.id);
        }
        let plugin = self.host().running(P::DESCRIPTOR.name).ok_or("the plugin does not run")?;
        Ok(plugin.interact(index, interaction).await??)
    }
}
