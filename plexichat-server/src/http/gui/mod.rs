//! `/api/v1/gui`: what plugins add to the pages, for whom and where, and what its buttons and dialogs call. Knows no HTML and no
//! plugin.

mod config;
mod find;
mod reply;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use plexichat::id::{MessageId, PluginName, RoomId};
use plexichat::manifest::UiView;
use plexichat::plugin::gui::{GuiReply, Interaction, Slot, ViewKind};
use plexichat::plugin::interface::Caller as PluginCaller;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{OptionalJson, Path, Query};
use super::front::RequestId;
use super::output::Shown;
use super::plugin_answer;
use crate::error::ApiError;
use find::Place;

/// Which components.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuiAsked {
    /// Also those that stand in this room.
    room: Option<RoomId>,
    /// Only those of this slot.
    slot: Option<Slot>,
}

/// The components that one sees, in the order in which they stand.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GuiList {
    /// The components.
    components: Vec<ShownComponent>,
}

/// A component, as it stands on a page.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownComponent {
    /// Whose it is.
    plugin: PluginName,
    /// Its name, unique in its plugin.
    id: String,
    /// Where it stands.
    slot: Slot,
    /// What it is called, in the language that is read.
    label: String,
    /// How it is shown. `handler` and `config`: call its action `open`.
    view: UiView,
    /// The address of its page, where it has one: show it in `<iframe sandbox="allow-scripts allow-forms">`.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// Lower ones stand first.
    weight: i32,
}

/// The address of an action.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct GuiAddress {
    /// The plugin.
    plugin: PluginName,
    /// The component.
    component: String,
    /// `open`, or the action of a button or a form.
    action: String,
}

/// What is done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GuiCall {
    /// The room in which one is; needed for what stands in rooms, unless there is a message.
    room_id: Option<RoomId>,
    /// The message; needed for what is done with messages.
    message_id: Option<MessageId>,
    /// What the form or the button says.
    values: Map<String, Value>,
}

/// What `Accept-Language` says.
pub(crate) struct Languages(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Languages {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let said = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Ok(Self(said.unwrap_or("en").to_owned()))
    }
}

impl aide::OperationInput for Languages {}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Languages(languages): Languages,
    Query(asked): Query<GuiAsked>,
) -> Result<Shown<GuiList>, ApiError> {
    if let (Some(slot), None) = (asked.slot.filter(|slot| slot.is_in_room()), asked.room) {
        let message = format!("what stands at `{}` belongs to a room", slot.as_str());
        return Err(ApiError::bad_request("bad_query", message).hint("say which: `room=` and its identifier"));
    }
    let place = match asked.room {
        Some(room) => Some(Place::of_room(&app, &caller, room).await?),
        None => None,
    };
    let mut components = Vec::new();
    for (plugin, spec) in find::visible(&app, &caller, place.as_ref()) {
        if asked.slot.is_some_and(|slot| slot != spec.slot) {
            continue;
        }
        let (view, page) = match spec.view {
            ViewKind::Page { path } => (UiView::Page, Some(reply::address(&plugin, &path))),
            ViewKind::Config => (UiView::Config, None),
            _ => (UiView::Handler, None),
        };
        let label = reply::words(&app, &plugin, &languages, &spec.label);
        components.push(ShownComponent {
            plugin,
            id: spec.id,
            slot: spec.slot,
            label,
            view,
            page,
            weight: spec.weight,
        });
    }
    components.sort_by(|one, other| (one.weight, &one.plugin).cmp(&(other.weight, &other.plugin)));
    Ok(Shown(GuiList { components }))
}

pub(crate) async fn interact(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    id: RequestId,
    Languages(languages): Languages,
    Path(address): Path<GuiAddress>,
    OptionalJson(call): OptionalJson<GuiCall>,
) -> Result<Shown<GuiReply>, ApiError> {
    let component = find::component(&app, &caller, &address.plugin, &address.component)?;
    let place = Place::of_call(&app, &caller, call.room_id, call.message_id).await?;
    find::check_place(&component.spec, &place)?;
    let (plugin, running, index) = match component.at {
        find::At::Handler(running, index) => (address.plugin, running, index),
        find::At::Config => {
            let label = reply::words(&app, &address.plugin, &languages, &component.spec.label);
            let asked = config::Asked { plugin: address.plugin, action: address.action, values: call.values };
            return config::answer(&app, &caller, act, asked, label).await.map(Shown);
        }
    };
    let mut interaction =
        Interaction::new(&address.component, &address.action, PluginCaller::known(caller.actor().clone()));
    interaction.room_id = place.room();
    interaction.message_id = place.message();
    interaction.values = Value::Object(call.values);
    interaction.language = reply::language(&app, &plugin, &languages);
    interaction.request_id = id.as_str().to_owned();
    let asked = running.interact(index, interaction);
    let answered = plugin_answer::while_running(&plugin, app.stopping.clone(), asked).await?;
    let answered = answered.map_err(|error| plugin_answer::no_answer(&plugin, &error))?;
    let answer = answered.map_err(|error| plugin_answer::refused(&plugin, &error))?;
    reply::shown(&app, &plugin, &languages, answer).map(Shown)
}
