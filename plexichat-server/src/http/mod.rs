//! The roads in over HTTP: who may call what, from one table.

pub(crate) mod accept;
mod address;
mod ai;
mod app;
mod assets;
mod audit;
mod auth;
mod bundle;
mod cookie;
mod describe;
mod download;
pub(crate) mod edge;
mod events;
mod example;
mod extract;
mod files;
mod front;
mod gui;
mod head;
mod health;
mod hook_counters;
mod hooks;
mod invitations;
mod members;
mod message;
mod messages;
mod openapi;
mod origin;
mod output;
mod pages;
pub(crate) mod places;
mod plugin_answer;
mod plugin_document;
mod plugin_routes;
mod plugin_socket;
mod plugins;
mod presence;
mod quarantine;
mod rates;
mod rooms;
mod routes;
mod runs;
mod scheduled;
mod search;
mod sign_in;
mod socket;
mod stream;
mod system;
pub(crate) mod tls;
mod tokens;
mod upload;
mod users;
mod websocket;
mod workflows;

use std::sync::Arc;

pub(crate) use app::App;
pub(crate) use bundle::BundleInfo;
pub(crate) use hooks::HookRates;
pub(crate) use openapi::write as document;
pub(crate) use routes::clashes;

/// The whole service: the table's routes, then those of plugins, each request and answer through [`front`].
pub(crate) fn service(app: &Arc<App>) -> axum::Router {
    let front = axum::middleware::from_fn_with_state((app.edge.clone(), app.host.routes.clone()), front::front);
    let ui = axum::Router::new().route(assets::ADDRESS, axum::routing::get(assets::serve));
    routes::router(app).merge(ui).fallback(plugin_routes::call).with_state(app.clone()).layer(front)
}

#[cfg(test)]
mod tests;
