//! A WebSocket that a plugin opens: who may, and from where. What is spoken on it is `live/guest.rs`.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use plexichat::guard::PluginHandle;
use plexichat::plugin::interface::RouteCall;
use plexichat::routes::Route;

use super::app::App;
use super::places::CallerPlace;
use super::plugin_answer;
use super::websocket::Upgrade;
use crate::auth::Principal;
use crate::error::ApiError;
use crate::live::guest::Guest;

/// Opens a WebSocket for the plugin: it is asked before the connection is taken over. The caller has its place until the end.
///
/// # Errors
/// No WebSocket is asked for, another site's page asks, or the plugin refuses or gives no answer.
pub(super) async fn open(
    app: &Arc<App>,
    route: &Route,
    plugin: &PluginHandle,
    mut parts: Parts,
    call: RouteCall,
    principal: Option<&Arc<Principal>>,
    place: Option<CallerPlace>,
) -> Result<Response, ApiError> {
    let upgrade = Upgrade::take(&mut parts, app)?;
    upgrade.origin?;
    let request_id = call.request_id.clone();
    let asked = plugin.socket(route.index, call, plugin.route_timeout(&route.spec));
    let asked = plugin_answer::while_running(plugin.name(), app.stopping.clone(), asked).await?;
    let (inbox, outbox) = plugin_answer::given(plugin.name(), asked)?
        .begin()
        .map_err(|error| plugin_answer::no_answer(plugin.name(), &error))?;
    let guest = Guest {
        plugin: plugin.name().clone(),
        request_id,
        principal: principal.cloned(),
        authenticator: app.authenticator.clone(),
        message_max: usize::try_from(plugin.max_body().unwrap_or(route.spec.max_body)).unwrap_or(usize::MAX),
        stopping: app.stopping.clone(),
    };
    let (upgrade, accept, permit) = (upgrade.upgrade, upgrade.accept, upgrade.permit);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => guest.run(upgraded, inbox, outbox).await,
            Err(error) => tracing::debug!(%error, "a connection was gone before WebSocket was spoken"),
        }
        // The places of the connection and the caller are free only now.
        drop((permit, place));
    });
    Ok(Upgrade::switched(accept).into_response())
}
