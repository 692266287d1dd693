//! A plugin's settings as a form: made from the schema of its configuration, sent to the manager as the API's own route does.
//! Knows no plugin.

use std::sync::Arc;

use axum::http::StatusCode;
use plexichat::id::PluginName;
use plexichat::plugin::gui::{FieldError, Form, GuiReply, OPEN};
use plexichat::text::Text;
use serde_json::{Map, Value, json};

use super::super::app::App;
use super::super::plugins;
use crate::auth::Principal;
use crate::error::ApiError;
use crate::store::Act;

/// The action with which the form is sent.
const SAVE: &str = "save";
/// Under this name the form brings back which configuration it shows. No field is called so.
const REVISION: &str = "$revision";

/// What somebody does with a plugin's settings.
pub(super) struct Asked {
    pub(super) plugin: PluginName,
    pub(super) action: String,
    pub(super) values: Map<String, Value>,
}

/// Shows the settings, or takes what was sent.
///
/// # Errors
/// 404 for other actions; what the manager refuses, but for values that do not fit: these are errors at their fields.
pub(super) async fn answer(
    app: &Arc<App>,
    caller: &Principal,
    act: Act,
    asked: Asked,
    label: String,
) -> Result<GuiReply, ApiError> {
    let Asked { plugin, action, mut values } = asked;
    match action.as_str() {
        OPEN => form(app, &plugin, label),
        SAVE => {
            let revision = values.remove(REVISION).and_then(|revision| revision.as_u64());
            match plugins::configure(app, caller, act, &plugin, values, revision).await {
                Ok(_) => Ok(GuiReply::notice("Saved. It counts from now on.")),
                Err(error) if error.status == StatusCode::UNPROCESSABLE_ENTITY => Ok(at_fields(error)),
                Err(error) => Err(error),
            }
        }
        _ => Err(ApiError::not_found(format!("settings have no action `{action}`")).hint("`open` or `save`")),
    }
}

fn at_fields(error: ApiError) -> GuiReply {
    let found = |finding: crate::error::Finding| FieldError::new(&finding.pointer, finding.message);
    GuiReply::Errors { errors: error.details.into_iter().map(found).collect() }
}

fn form(app: &App, plugin: &PluginName, label: String) -> Result<GuiReply, ApiError> {
    let config = app.host.manager.plugin_config(plugin)?;
    let manifest = app.host.manager.get(plugin).and_then(|info| info.manifest);
    let mut schema = manifest.map(|manifest| manifest.config_schema).unwrap_or_default();
    for (pointer, origin) in &config.pinned {
        let field = pointer.trim_start_matches('/').replace("~1", "/").replace("~0", "~");
        if let Some(field) = schema["properties"].get_mut(&field).and_then(Value::as_object_mut) {
            let about = field.get("description").and_then(Value::as_str).unwrap_or_default();
            let about = format!("{about} Set in {origin}: change it there.").trim().to_owned();
            field.insert("description".to_owned(), json!(about));
            field.insert("readOnly".to_owned(), json!(true));
        }
    }
    let form = Form {
        title: Text::from(label),
        schema,
        values: config.value,
        action: SAVE.to_owned(),
        submit: Text::from("Save"),
        carry: json!({ REVISION: config.revision }),
    };
    Ok(form.into())
}
