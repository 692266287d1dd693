//! What the guard does with plugins that misbehave.

use std::any::Any;
use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::capability::Scope;
use crate::command::{CommandCall, CommandReply};
use crate::descriptor::{Descriptor, Instance};
use crate::error::Result as PluginResult;
use crate::event::Event;
use crate::permission::PermissionSet;
use crate::plugin::Health;
use crate::plugin::security::Security;
use crate::testing::fake;

struct Nothing;

impl Instance for Nothing {
    fn event<'a>(&'a self, _: usize, _: &'a Event) -> BoxFuture<'a, PluginResult<()>> {
        Box::pin(async { Ok(()) })
    }

    fn command(&self, _: usize, _: CommandCall) -> BoxFuture<'_, PluginResult<CommandReply>> {
        Box::pin(async { Ok(CommandReply::Nothing) })
    }

    fn security(&self) -> Option<&dyn Security> {
        None
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async { Health::Healthy })
    }

    fn cleanup(&self) -> BoxFuture<'_, PluginResult<()>> {
        Box::pin(async { Ok(()) })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
