//! What a trigger may not say: the calendar, the catalogue of events and other plugins' commands included. Starts nothing.

use super::calendar;
use crate::error::{PluginError, Result};
use crate::event::Pattern;
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
    match &spec.on {
        On::Event { names, .. } => {
            for name in names {
                Pattern::new(name.as_str()).map_err(|error| PluginError::input(format!("`on.names`: {error}")))?;
            }
        }
        On::Webhook if spec.id.contains('/') => {
            let id = &spec.id;
            return Err(PluginError::input(format!(
                "`id` is `{id}`: it is part of the webhook's address, without `/`"
            )));
        }
        _ => {}
    }
    let timeout = spec.policy.timeout_seconds;
    if timeout > TIMEOUT_MAX {
        return Err(PluginError::input(format!("`policy.timeout_seconds` is {timeout}: at most {TIMEOUT_MAX}")));
    }
    Ok(())
}
