//! What a trigger may not say: the calendar, the catalogue of events and other plugins' commands included. Starts nothing.

use super::calendar;
use crate::descriptor::Descriptor;
use crate::error::{PluginError, Result};
use crate::event::{Pattern, catalog};
use crate::permission::Permission;
use crate::problem::Problem;
use crate::trigger::{On, TriggerSpec};

/// The longest that an attempt may take.
const TIMEOUT_MAX: u32 = 3_600;

/// What is wrong with a trigger, as far as can be said of it alone.
///
/// # Errors
/// `Input`, which names the field.
pub(crate) fn check(spec: &TriggerSpec) -> Result<()> {
    spec.check()?;
    calendar::check(&spec.on)?;
    if let On::Event { names, .. } = &spec.on {
        for name in names {
            Pattern::new(name.as_str()).map_err(|error| PluginError::input(format!("`on.names`: {error}")))?;
        }
    }
    let timeout = spec.policy.timeout_seconds;
    if timeout > TIMEOUT_MAX {
        return Err(PluginError::input(format!("`policy.timeout_seconds` is {timeout}: at most {TIMEOUT_MAX}")));
    }
    Ok(())
}

/// What is wrong with each trigger that these plugins' code registers; two that clash are the catalog's to find.
pub(crate) fn check_linked(plugins: &[&'static Descriptor]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for plugin in plugins {
        for spec in (plugin.entry.triggers)() {
            let trigger = format!("the trigger `{}` of plugin `{}`", spec.id, plugin.name);
            if let Err(error) = check(&spec) {
                problems.push(Problem::new("", format!("{trigger}: {}", error.message())));
            }
            if let Some(event) = unseen(&spec.on, plugin.permissions.contains(&Permission::UserDataAccess)) {
                let message = format!("{trigger} waits for `{event}`, which carries what people wrote");
                problems.push(Problem::new("", message).hint("add `permissions(UserDataAccess)` to the attribute"));
            }
        }
    }
    problems
}

/// The event that carries what people wrote, where the plugin does not ask to see these.
fn unseen(on: &On, may_see: bool) -> Option<&str> {
    let On::Event { names, .. } = on else { return None };
    let carries = |name: &&String| *name == "*" || catalog::WITH_CONTENT.contains(&name.as_str());
    names.iter().find(carries).map(String::as_str).filter(|_| !may_see)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{Entry, sample};
    use crate::plugin::automation::Triggers;
    use crate::trigger::{Misfire, Scope};

    fn with(name: &'static str, triggers: fn() -> Vec<TriggerSpec>) -> &'static Descriptor {
        let plugin = sample::plugin(name);
        Box::leak(Box::new(Descriptor { entry: Entry { triggers, ..plugin.entry }, ..plugin }))
    }

    fn none() -> Triggers<()> {
        Triggers::new()
    }

    #[track_caller]
    fn found(plugins: &[&'static Descriptor], expected: &[&str]) {
        let problems: Vec<String> = check_linked(plugins).into_iter().map(|problem| problem.message).collect();
        assert_eq!(problems, expected);
    }

    #[test]
    fn mistakes_name_plugin_and_trigger() {
        let good = with("good", || {
            none().cron("0 9 * * MON", "Europe/Berlin", Misfire::Skip, "digest", Scope::Cluster).specs().to_vec()
        });
        found(&[good], &[]);
        let cron =
            with("a", || none().cron("0 24 * * *", "UTC", Misfire::Skip, "digest", Scope::Cluster).specs().to_vec());
        let expected = "the trigger `cron.digest` of plugin `a`: `on.expression` is `0 24 * * *` and has a wrong hour at \
                        column 3: `24` is not 0 to 23";
        found(&[cron], &[expected]);
        let event = with("a", || none().on_event("file_delete", "x", Scope::Cluster).specs().to_vec());
        let expected = "the trigger `event.file_delete.x` of plugin `a`: `on.names`: unknown event `file_delete`; did you \
                        mean `file_deleted`?";
        found(&[event], &[expected]);
        let content = with("a", || none().on_event("user_message", "x", Scope::Cluster).specs().to_vec());
        let expected = "the trigger `event.user_message.x` of plugin `a` waits for `user_message`, which carries what people wrote";
        found(&[content], &[expected]);
    }
}
