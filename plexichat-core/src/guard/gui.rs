//! Calls a component: what it shows, and what its buttons and forms do. Knows no page.

use super::{CallError, PluginHandle};
use crate::error::Result as PluginResult;
use crate::plugin::gui::{GuiReply, Interaction};

impl PluginHandle {
    /// Calls the component with this index in what the plugin's descriptor names, within the time that interactions have.
    ///
    /// # Errors
    /// [`CallError`] where the call gives no result; what the plugin's own error is, within.
    ///
    /// # Cancel safety
    /// The plugin's call is dropped with this one, on the plugin's own thread.
    pub async fn interact(&self, index: usize, interaction: Interaction) -> Result<PluginResult<GuiReply>, CallError> {
        let timeout = self.timeouts().interaction;
        self.call("interact", timeout, move |instance| instance.interact(index, interaction)).await
    }
}
