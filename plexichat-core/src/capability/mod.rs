//! What a plugin may use, each behind a handle that checks the grant: the ports that a host fills.

pub mod admin;
pub mod ai;
pub mod assets;
pub mod cache;
pub mod chat;
pub mod clock;
pub mod events;
pub mod files;
pub mod http;
pub mod sockets;
pub mod storage;
pub mod tasks;
pub mod texts;
pub mod tools;
pub mod triggers;
pub mod users;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{PluginError, Result};
use crate::id::PluginName;
use crate::permission::{Permission, PermissionSet};

/// Is told of each refusal: whose, which permission is missing, and what was tried.
pub type Audit = Box<dyn Fn(&PluginName, Permission, &'static str) + Send + Sync>;

/// Whose handle this is, what it was granted, and whether it still counts.
pub struct Scope {
    plugin: PluginName,
    granted: PermissionSet,
    revoked: AtomicBool,
    audit: Audit,
}

impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, granted, revoked, audit: _ } = self;
        let mut shown = formatter.debug_struct("Scope");
        shown.field("plugin", plugin).field("granted", granted).field("revoked", revoked).finish_non_exhaustive()
    }
}

impl Scope {
    /// The scope of one instance of a plugin. `audit` is told of each refusal.
    pub fn new(plugin: PluginName, granted: PermissionSet, audit: Audit) -> Arc<Self> {
        Arc::new(Self { plugin, granted, revoked: AtomicBool::new(false), audit })
    }

    /// Whose it is.
    pub fn plugin(&self) -> &PluginName {
        &self.plugin
    }

    /// What was granted.
    pub fn granted(&self) -> PermissionSet {
        self.granted
    }

    /// From now on every handle refuses: the instance was stopped.
    pub fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    /// Whether the instance still runs.
    ///
    /// # Errors
    /// `Permission` once it was stopped.
    pub fn check_alive(&self) -> Result<()> {
        if self.revoked.load(Ordering::Acquire) {
            let plugin = &self.plugin;
            return Err(PluginError::permission(format!("this instance of plugin `{plugin}` was stopped")));
        }
        Ok(())
    }

    /// Whether the permission was granted and the instance still runs; `call` says what it is for.
    ///
    /// # Errors
    /// `Permission`, and the refusal is audited.
    pub fn check(&self, permission: Permission, call: &'static str) -> Result<()> {
        self.check_alive()?;
        if self.granted.contains(permission) {
            return Ok(());
        }
        (self.audit)(&self.plugin, permission, call);
        Err(PluginError::permission(format!("plugin `{}` was not granted `{permission}`", self.plugin)))
    }
}
