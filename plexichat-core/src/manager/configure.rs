//! A new configuration for a plugin: a new instance beside the old one, which takes over once it runs. Knows no layers.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::instance::DRAIN;
use super::{ManagerError, PluginConfig, PluginManager};
use crate::descriptor::Descriptor;
use crate::event::catalog::PluginConfigChanged;
use crate::id::PluginName;
use crate::lifecycle::{Command, Refusal, State};
use crate::message::Actor;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::settings::{Effective, Settings};
use crate::store::PluginRecord;

impl PluginManager {
    /// A plugin's configuration as it may be shown.
    ///
    /// # Errors
    /// [`ManagerError::NotLinked`].
    pub fn plugin_config(&self, name: &PluginName) -> Result<PluginConfig, ManagerError> {
        let descriptor = self.linked.get(name).ok_or_else(|| ManagerError::NotLinked(name.clone()))?;
        let stored = self.board().records.get(name).map(|record| (record.config.clone(), record.config_revision));
        let (stored, revision) = stored.unwrap_or_default();
        let config = self.effective(descriptor, &stored);
        Ok(PluginConfig {
            value: config.shown(),
            revision,
            origins: config.origins.iter().map(|(pointer, origin)| (pointer.clone(), origin.to_string())).collect(),
            pinned: config.pinned().map(|(pointer, origin)| (pointer.to_owned(), origin.to_string())).collect(),
            problems: config.problems,
        })
    }

    /// The secrets in a plugin's configuration, so that nothing that is shown of its work has them; none where it is not linked.
    pub fn secrets(&self, name: &PluginName) -> Vec<Secret> {
        let Some(descriptor) = self.linked.get(name) else { return Vec::new() };
        let stored = self.board().records.get(name).map(|record| record.config.clone()).unwrap_or_default();
        self.effective(descriptor, &stored).secrets()
    }

    /// Gives a plugin another configuration: `value` is all of it, and masks stand for the secrets that are there.
    ///
    /// A running plugin goes on with it at once: a new instance is built beside the old one and takes over when it runs.
    /// The old one ends the calls that run, each within its own limit, also after this has returned; an event that it does
    /// not answer in that time the new one gets.
    ///
    /// # Errors
    /// In every case the old configuration goes on: [`ManagerError::Invalid`] with every finding,
    /// [`ManagerError::Pinned`] where the operator's file or environment sets a value, [`ManagerError::Revision`] where
    /// another revision than the expected one is there, [`ManagerError::NotStarted`] where the new instance did not start,
    /// [`ManagerError::Refused`] where the plugin is not installed, [`ManagerError::Store`]. One exception: a plugin that
    /// had failed keeps the new configuration, though it did not start with it either.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed the configuration.
    pub async fn reconfigure(
        &self,
        name: &PluginName,
        value: &Value,
        expected_revision: Option<u64>,
        by: &Actor,
    ) -> Result<PluginConfig, ManagerError> {
        let _changing = self.changing.lock().await;
        let descriptor = *self.linked.get(name).ok_or_else(|| ManagerError::NotLinked(name.clone()))?;
        let record = self.board().records.get(name).cloned();
        let record = record.ok_or_else(|| ManagerError::Refused(Refusal::NotInstalled(name.clone())))?;
        if let Some(expected) = expected_revision.filter(|expected| *expected != record.config_revision) {
            return Err(ManagerError::Revision { expected, found: record.config_revision });
        }
        let old = self.effective(descriptor, &record.config);
        let stored = old.to_store(value).map_err(ManagerError::Pinned)?;
        let new = self.effective(descriptor, &stored);
        if !new.problems.is_empty() {
            return Err(ManagerError::Invalid(new.problems));
        }
        let revision = record.config_revision + 1;
        let record = PluginRecord { config: stored, config_revision: revision, ..record };
        let changed = changed_keys(&old.value, &new.value);
        self.take_over(descriptor, record, new.value).await?;
        tracing::info!(plugin = %name, revision, keys = ?changed, "the plugin has another configuration");
        self.announce(by, PluginConfigChanged::new(name.clone(), changed, by.clone()));
        self.restart_failed(name, by).await?;
        self.plugin_config(name)
    }

    /// What is wrong with the plugins' configurations under other settings, each problem with its plugin.
    pub fn problems_with(&self, settings: &Settings) -> Vec<Problem> {
        let records = self.board().records.clone();
        let mut problems = Vec::new();
        for (name, descriptor) in &self.linked {
            let Some(record) = records.get(name) else { continue };
            let stored = Some(&record.config).filter(|stored| stored.is_object());
            let before = self.settings().plugin_config(descriptor, stored);
            for problem in settings.plugin_config(descriptor, stored).problems {
                // What was wrong before is no reason against what is new.
                if !before.problems.iter().any(|known| known.pointer == problem.pointer) {
                    problems.push(Problem { pointer: format!("/plugins/{name}/config{}", problem.pointer), ..problem });
                }
            }
        }
        problems
    }

    /// Lets other settings count from now on. A running plugin whose configuration, timeouts or hooks they change goes on
    /// with them as after [`reconfigure`](Self::reconfigure); gives back those plugins, each with why the old one goes on
    /// where it does.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed each plugin.
    pub async fn reload(&self, settings: Settings, by: &Actor) -> Vec<(PluginName, Result<(), ManagerError>)> {
        let _changing = self.changing.lock().await;
        let settings = Arc::new(settings);
        let old = self.parts.settings.swap(settings.clone());
        let mut reloaded = Vec::new();
        for (name, descriptor) in self.linked.clone() {
            let Some(record) = self.board().records.get(&name).cloned() else { continue };
            let stored = Some(&record.config).filter(|stored| stored.is_object());
            let (before, after) = (old.plugin_config(descriptor, stored), settings.plugin_config(descriptor, stored));
            let changed = changed_keys(&before.value, &after.value);
            let (said_before, said) = (old.plugin(&name), settings.plugin(&name));
            if changed.is_empty()
                && said_before.timeouts == said.timeouts
                && said_before.hooks == said.hooks
                && said_before.max_body == said.max_body
                && said_before.route_rate == said.route_rate
            {
                continue;
            }
            let outcome = self.go_on_with(descriptor, record, after, changed, by).await;
            reloaded.push((name, outcome));
        }
        reloaded
    }

    async fn go_on_with(
        &self,
        descriptor: &'static Descriptor,
        record: PluginRecord,
        config: Effective,
        changed: Vec<String>,
        by: &Actor,
    ) -> Result<(), ManagerError> {
        let name = record.name.clone();
        if !config.problems.is_empty() {
            return Err(ManagerError::Invalid(config.problems));
        }
        self.take_over(descriptor, record, config.value).await?;
        tracing::info!(plugin = %name, keys = ?changed, "the plugin has another configuration");
        self.announce(by, PluginConfigChanged::new(name.clone(), changed, by.clone()));
        self.restart_failed(&name, by).await
    }

    async fn take_over(
        &self,
        descriptor: &'static Descriptor,
        record: PluginRecord,
        config: Value,
    ) -> Result<(), ManagerError> {
        let name = record.name.clone();
        let old = self.board().live.get(&name).cloned();
        let new = match &old {
            Some(old) => {
                old.is_alone().await;
                let started = self.start_instance(descriptor, config, Some(old)).await;
                Some(started.map_err(|cause| ManagerError::NotStarted { name: name.clone(), cause })?)
            }
            None => None,
        };
        if let Err(error) = self.parts.store.save_plugin(record.clone()).await {
            if let Some(new) = new {
                new.stop(DRAIN).await;
            }
            return Err(error.into());
        }
        self.board().records.insert(name.clone(), record);
        if let (Some(old), Some(new)) = (old, new) {
            let new = Arc::new(new);
            self.board().live.insert(name, new.clone());
            let before = self.swap();
            new.open(Some(&old));
            new.succeed(old, before).await;
        }
        Ok(())
    }

    /// The operator may have mended what kept it from starting.
    async fn restart_failed(&self, name: &PluginName, by: &Actor) -> Result<(), ManagerError> {
        let failed = matches!(self.board().lifecycle.state(name), Some(State::Failed { .. }));
        if failed {
            self.perform(Command::Enable(name.clone()), by).await?;
            self.started(name)?;
        }
        Ok(())
    }

    fn effective(&self, descriptor: &Descriptor, stored: &Value) -> Effective {
        self.settings().plugin_config(descriptor, Some(stored).filter(|stored| stored.is_object()))
    }
}

/// JSON pointers of the values that differ: of the outermost table's entries, and of those that are in tables.
fn changed_keys(old: &Value, new: &Value) -> Vec<String> {
    let mut changed = Vec::new();
    differ(old, new, &mut String::new(), &mut changed);
    changed
}

fn differ(old: &Value, new: &Value, pointer: &mut String, changed: &mut Vec<String>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            changed.push(pointer.clone());
        }
        return;
    };
    for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        differ(old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null), pointer, changed);
        pointer.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_named() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let new = json!({"a": 1, "b": {"c": 2, "d": 2}, "e": [2], "f/g": 1});
        assert_eq!(changed_keys(&old, &new), ["/b/c", "/e", "/f~1g"]);
        assert!(changed_keys(&old, &old).is_empty());
    }
}
