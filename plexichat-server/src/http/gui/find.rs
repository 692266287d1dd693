//! Which components somebody sees, and where: asked before anything is shown and before any plugin is called. Knows no answer.

use std::sync::Arc;

use plexichat::guard::PluginHandle;
use plexichat::id::{MessageId, PluginName, RoomId};
use plexichat::lifecycle::State;
use plexichat::manifest::{UiComponent, UiView};
use plexichat::pipeline::{Access, MessageStore};
use plexichat::plugin::gui::{Audience, ComponentSpec, RoomKind, Slot, ViewKind};
use plexichat::text::Text;

use super::super::app::App;
use super::super::rooms::no_such_room;
use crate::auth::Principal;
use crate::error::{ApiError, Finding};
use crate::store::{self, Role, Scope};

/// Where somebody is: in a room that they may read, perhaps at a message of it.
#[derive(Debug, Default)]
pub(super) struct Place {
    room: Option<(RoomId, RoomKind, Access)>,
    message: Option<MessageId>,
}

impl Place {
    /// In a room.
    ///
    /// # Errors
    /// 404 where they may not know of it.
    pub(super) async fn of_room(app: &App, caller: &Principal, room_id: RoomId) -> Result<Self, ApiError> {
        let access = app.store.access(caller.actor(), room_id).await?;
        if access == Access::None {
            return Err(no_such_room());
        }
        let room = app.store.room(room_id, caller.user().id).await?.ok_or_else(no_such_room)?;
        let kind = match room.kind {
            store::RoomKind::Public => RoomKind::Public,
            store::RoomKind::Private => RoomKind::Private,
            store::RoomKind::Direct => RoomKind::Direct,
        };
        Ok(Self { room: Some((room_id, kind, access)), message: None })
    }

    /// Where a call says it is.
    ///
    /// # Errors
    /// 404 where they may not know of the room or the message, or the message is not in that room.
    pub(super) async fn of_call(
        app: &App,
        caller: &Principal,
        room_id: Option<RoomId>,
        message_id: Option<MessageId>,
    ) -> Result<Self, ApiError> {
        let row = match message_id {
            Some(message_id) => Some(app.host.pipeline.show(caller.actor(), message_id).await?),
            None => None,
        };
        let (Some(room), of_message) = (room_id.or(row.as_ref().map(|row| row.room_id)), row.map(|row| row.room_id))
        else {
            return Ok(Self::default());
        };
        if of_message.is_some_and(|of_message| of_message != room) {
            return Err(plexichat::pipeline::Refusal::NoMessage.into());
        }
        Ok(Self { message: message_id, ..Self::of_room(app, caller, room).await? })
    }

    pub(super) fn room(&self) -> Option<RoomId> {
        self.room.as_ref().map(|(id, ..)| *id)
    }

    pub(super) fn message(&self) -> Option<MessageId> {
        self.message
    }
}

/// A component that somebody may use.
pub(super) struct Found {
    pub(super) spec: ComponentSpec,
    pub(super) at: At,
}

/// Who answers for a component.
pub(super) enum At {
    /// Its plugin, by the component's index.
    Handler(Arc<PluginHandle>, usize),
    /// The server.
    Config,
}

/// The components that somebody sees there, with their plugins, in no order.
pub(super) fn visible(app: &App, caller: &Principal, place: Option<&Place>) -> Vec<(PluginName, ComponentSpec)> {
    let stands = |spec: &ComponentSpec| match place.and_then(|place| place.room.as_ref()) {
        Some((_, kind, access)) => {
            spec.stands_in(*kind) && (spec.slot != Slot::ComposerAction || *access >= Access::Write)
        }
        None => !spec.slot.is_in_room(),
    };
    let snapshot = app.host.manager.snapshot();
    let running = snapshot.plugins().flat_map(|plugin| {
        let components = (plugin.descriptor().entry.gui)();
        components.into_iter().map(|spec| (plugin.name().clone(), spec))
    });
    let all = running.chain(settings_of_failed(app, caller));
    all.filter(|(_, spec)| may_see(caller, spec) && stands(spec)).collect()
}

/// The settings of plugins that should run and did not start: an administrator may mend them there.
fn settings_of_failed(app: &App, caller: &Principal) -> Vec<(PluginName, ComponentSpec)> {
    if !caller.may(Scope::Admin) {
        return Vec::new();
    }
    let failed = app.host.manager.list().into_iter().filter(|info| matches!(info.state, State::Failed { .. }));
    let panels = failed.flat_map(|info| {
        let components = info.manifest.map(|manifest| manifest.ui_components.components).unwrap_or_default();
        let panels = components.into_iter().filter(|component| component.view == UiView::Config).map(panel);
        panels.map(move |panel| (info.name.clone(), panel)).collect::<Vec<_>>()
    });
    panels.collect()
}

fn panel(component: UiComponent) -> ComponentSpec {
    ComponentSpec {
        id: component.id,
        slot: component.slot,
        // Where it is no key, it is said as it is.
        label: Text::Key { key: component.label.into(), arguments: Vec::new() },
        view: ViewKind::Config,
        weight: 0,
        audience: component.audience,
        room_kinds: component.room_kinds,
    }
}

fn may_see(caller: &Principal, spec: &ComponentSpec) -> bool {
    // Whatever its plugin says of it, settings are the administrators'.
    let audience = if spec.view == ViewKind::Config { Audience::Admins } else { spec.audience };
    match audience {
        Audience::Everyone => true,
        Audience::Moderators => caller.role() >= Role::Moderator,
        Audience::Admins => caller.role() >= Role::Admin && caller.may(Scope::Admin),
    }
}

/// A component that somebody may use.
///
/// # Errors
/// 404 where the plugin does not run or has no such component, 403 where they may not use it.
pub(super) fn component(app: &App, caller: &Principal, plugin: &PluginName, id: &str) -> Result<Found, ApiError> {
    let Some(running) = app.host.running(plugin.as_str()) else {
        let mended = settings_of_failed(app, caller).into_iter().find(|(name, spec)| name == plugin && spec.id == id);
        return mended.map(|(_, spec)| Found { spec, at: At::Config }).ok_or_else(|| not_running(plugin));
    };
    let components = (running.descriptor().entry.gui)();
    let Some((index, spec)) = components.into_iter().enumerate().find(|(_, spec)| spec.id == id) else {
        return Err(ApiError::not_found(format!("the plugin `{plugin}` has no component `{id}`"))
            .hint("GET /api/v1/gui lists those that you may see"));
    };
    if !may_see(caller, &spec) {
        return Err(ApiError::forbidden(format!("the component `{id}` of `{plugin}` is for others than you"))
            .hint("an administrator may change your role: `plexichat user role`"));
    }
    let at = match spec.view {
        ViewKind::Config => At::Config,
        ViewKind::Page { .. } => {
            return Err(ApiError::not_found(format!(
                "the component `{id}` of `{plugin}` is a page and has no actions"
            ))
            .hint("GET /api/v1/gui has its address"));
        }
        _ => At::Handler(running, index),
    };
    Ok(Found { spec, at })
}

fn not_running(plugin: &PluginName) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::NOT_FOUND,
        "plugin_not_running",
        format!("the plugin `{plugin}` does not run, so that nothing of it is shown"),
    )
    .hint(format!("an administrator finds out why with `plexichat plugin info {plugin}`"))
}

/// Whether a component can be used there.
///
/// # Errors
/// 422 where the room or the message is missing, 404 where it does not stand in such a room, 403 where one may not write.
pub(super) fn check_place(spec: &ComponentSpec, place: &Place) -> Result<(), ApiError> {
    let missing = |field: &str, what: &str| {
        let finding = Finding { pointer: format!("/{field}"), message: "is required and missing".to_owned() };
        Err(ApiError::invalid(format!("`{}` {what}", spec.id), vec![finding]).hint(format!("send `{field}`")))
    };
    if spec.slot == Slot::MessageAction && place.message.is_none() {
        return missing("message_id", "is done with a message");
    }
    match &place.room {
        None if spec.slot.is_in_room() => missing("room_id", "belongs to a room"),
        None => Ok(()),
        Some((_, kind, _)) if !spec.stands_in(*kind) => {
            Err(ApiError::not_found(format!("`{}` does not stand in rooms of this kind", spec.id)))
        }
        Some((_, _, access)) if spec.slot == Slot::ComposerAction && *access < Access::Write => {
            Err(ApiError::forbidden("you may not write in this room"))
        }
        Some(_) => Ok(()),
    }
}
