//! The table of routes: method, address, what it needs, what it answers. The router and the OpenAPI document are both built
//! from it, so that neither has what the other lacks.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{ApiMethodRouter, delete_with, get_with, patch_with, post_with, put_with};
use aide::openapi::Operation;
use aide::operation::{OperationHandler, OperationInput, OperationOutput};
use aide::transform::TransformOperation;
use axum::handler::Handler;
use plexichat::problem::Problem;
use plexichat::routes::RouteTable;

use super::app::App;
use super::auth::{Needs, authorize};
use super::{
    ai, audit, bundle, events, files, gui, health, hooks, invitations, members, message, messages, openapi, pages,
    plugins, presence, quarantine, rooms, runs, scheduled, search, sign_in, stream, system, tokens, users, websocket,
    workflows,
};
use crate::store::{Role, Scope};

/// One row of the table.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "the router has it too; tests hold the table by it"))]
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    router: ApiMethodRouter<Arc<App>>,
}

/// The methods that the table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

use Method::{Delete, Get, Patch, Post, Put};

const PUBLIC: Needs = Needs::Nothing;
const READ: Needs = Needs::Scope(Scope::Read);
const WRITE: Needs = Needs::Scope(Scope::Write);
const MODERATOR: Needs = Needs::Role(Role::Moderator, Scope::Write);
const MODERATOR_READS: Needs = Needs::Role(Role::Moderator, Scope::Read);
const ADMIN: Needs = Needs::Role(Role::Admin, Scope::Admin);

/// Every route. The last but one column are the statuses beyond those that every route of its kind has.
pub(crate) fn table() -> Vec<Route> {
    vec![
        row(Get, "/healthz", PUBLIC, "Whether the process lives", &[], health::live),
        row(Get, "/readyz", PUBLIC, "Whether it can serve: store and required plugins", &[], health::ready),
        row(Get, "/metrics", PUBLIC, "Counters, for Prometheus", &[], health::metrics),
        row(Get, "/openapi.json", PUBLIC, "This document", &[], openapi::show),
        row(Get, "/", PUBLIC, "What this server is, and where to go next", &[], pages::home),
        row(Get, "/docs", PUBLIC, "This document, to browse and try", &[], pages::docs),
        row(Get, "/docs/page.css", PUBLIC, "How that page looks", &[], pages::style),
        row(Get, "/docs/docs.js", PUBLIC, "What that page does", &[], pages::script),
        row(Get, "/ui", PUBLIC, "Rooms, and what plugins add to pages", &[], pages::ui),
        row(Get, "/ui/-/ui.css", PUBLIC, "How that page looks", &[], pages::ui_style),
        row(Get, "/ui/-/ui.js", PUBLIC, "What that page does", &[], pages::ui_script),
        row(Get, "/ui/-/bridge.js", PUBLIC, "How a plugin's own page asks its routes", &[], pages::ui_bridge),
        row(Get, "/api/v1/audit", ADMIN, "Who did what, newest first", &[], audit::list),
        row(Get, "/api/v1/audit/verify", ADMIN, "Verify that nobody changed the audit log", &[], audit::verify),
        row(Get, "/api/v1/events", ADMIN, "Look on at what happens", &[], events::tail),
        row(Post, "/api/v1/events", ADMIN, "Tell plugins of an event", &[], events::emit),
        row(Get, "/api/v1/system/config", ADMIN, "What counts, and where it was set", &[], system::config),
        row(Post, "/api/v1/system/backup", ADMIN, "Take a backup", &[409, 507], system::backup),
        row(Get, "/api/v1/bundle", READ, "What is in the binary", &[], bundle::show),
        row(
            Post,
            "/api/v1/auth/register",
            PUBLIC,
            "Make an account for oneself, and sign in",
            &[403, 409, 507],
            sign_in::register,
        ),
        row(Post, "/api/v1/auth/login", PUBLIC, "Sign in with a password", &[401, 403, 507], sign_in::log_in),
        row(Post, "/api/v1/auth/logout", WRITE, "End the session that asks", &[409, 507], sign_in::log_out),
        row(Get, "/api/v1/auth/me", READ, "Who one is", &[], sign_in::me),
        row(Put, "/api/v1/auth/password", WRITE, "Change one's password", &[507], sign_in::change_password),
        row(Get, "/api/v1/auth/sessions", READ, "List one's sessions", &[], sign_in::sessions),
        row(Delete, "/api/v1/auth/sessions/{id}", WRITE, "End one of one's sessions", &[507], sign_in::close_session),
        row(Get, "/api/v1/users", READ, "List people by name", &[], users::list),
        row(Post, "/api/v1/users", ADMIN, "Make an account", &[409, 507], users::create),
        row(Get, "/api/v1/users/{id}", READ, "Show a person", &[], users::show),
        row(Patch, "/api/v1/users/{id}", ADMIN, "Change a role, shut out or let in", &[409, 507], users::change),
        row(
            Delete,
            "/api/v1/users/{id}",
            ADMIN,
            "Delete an account; what the person wrote stays",
            &[409, 507],
            users::delete,
        ),
        row(Put, "/api/v1/users/{id}/password", ADMIN, "Set a person's password", &[507], users::set_password),
        row(Get, "/api/v1/invitations", ADMIN, "List invitations that count", &[], invitations::list),
        row(Post, "/api/v1/invitations", ADMIN, "Make an invitation", &[507], invitations::create),
        row(Delete, "/api/v1/invitations/{id}", ADMIN, "Take an invitation back", &[507], invitations::revoke),
        row(Get, "/api/v1/tokens", READ, "List tokens: one's own, as administrator all", &[], tokens::list),
        row(
            Post,
            "/api/v1/tokens",
            WRITE,
            "Make a token: for oneself, as administrator for anybody",
            &[409, 507],
            tokens::create,
        ),
        row(
            Delete,
            "/api/v1/tokens/{id}",
            WRITE,
            "Revoke a token: one's own, as administrator any",
            &[],
            tokens::revoke,
        ),
        row(Get, "/api/v1/rooms", READ, "List the rooms that one sees", &[], rooms::list),
        row(Post, "/api/v1/rooms", WRITE, "Make a room", &[409, 507], rooms::create),
        row(Get, "/api/v1/rooms/{id}", READ, "Show a room", &[], rooms::show),
        row(Patch, "/api/v1/rooms/{id}", WRITE, "Change a room", &[409, 412, 507], rooms::change),
        row(Delete, "/api/v1/rooms/{id}", WRITE, "Delete a room", &[507], rooms::delete),
        row(Get, "/api/v1/rooms/{id}/members", READ, "List a room's members", &[], members::list),
        row(
            Put,
            "/api/v1/rooms/{id}/members/{user_id}",
            WRITE,
            "Join a room, invite somebody, or change what a member may do",
            &[409, 507],
            members::set,
        ),
        row(
            Delete,
            "/api/v1/rooms/{id}/members/{user_id}",
            WRITE,
            "Leave a room, or remove somebody",
            &[409, 507],
            members::remove,
        ),
        row(Put, "/api/v1/rooms/{id}/read", WRITE, "Tell how far one has read", &[507], search::mark_read),
        row(Get, "/api/v1/scheduled", READ, "List one's posts for later", &[], scheduled::list),
        row(Post, "/api/v1/scheduled", WRITE, "Write a post for later", &[404, 409, 429, 507], scheduled::create),
        row(Delete, "/api/v1/scheduled/{id}", WRITE, "Remove a post for later", &[507], scheduled::remove),
        row(Get, "/api/v1/search", READ, "Find messages by their words, the newest first", &[404], search::search),
        row(Get, "/api/v1/rooms/{id}/messages", READ, "Read a part of the history", &[], messages::history),
        row(Post, "/api/v1/rooms/{id}/messages", WRITE, "Send a message", &[429, 507], messages::send),
        row(Get, "/api/v1/messages/{id}", READ, "Show a message", &[], message::show),
        row(Patch, "/api/v1/messages/{id}", WRITE, "Edit one's message", &[409, 412, 429, 507], message::edit),
        row(Delete, "/api/v1/messages/{id}", WRITE, "Delete a message", &[429, 507], message::delete),
        row(Get, "/api/v1/messages/{id}/reactions", READ, "Who reacted to a message", &[], message::reactions),
        row(
            Put,
            "/api/v1/messages/{id}/reactions/{emoji}",
            WRITE,
            "React to a message",
            &[409, 422, 429, 507],
            message::react,
        ),
        row(
            Delete,
            "/api/v1/messages/{id}/reactions/{emoji}",
            WRITE,
            "Take a reaction back",
            &[422, 429, 507],
            message::take_back,
        ),
        row(
            Get,
            "/api/v1/quarantine",
            MODERATOR,
            "List the messages that are held back, in all rooms",
            &[],
            quarantine::list,
        ),
        row(
            Post,
            "/api/v1/quarantine/{id}/release",
            MODERATOR,
            "Deliver a message that is held back",
            &[409, 507],
            quarantine::release,
        ),
        row(
            Post,
            "/api/v1/quarantine/{id}/reject",
            MODERATOR,
            "Delete a message that is held back",
            &[409, 507],
            quarantine::reject,
        ),
        row(Post, files::UPLOAD_PATH, WRITE, "Upload a file", &[429, 507], files::upload),
        row(Get, "/api/v1/files", READ, "List one's own files, and how many bytes they have", &[], files::list),
        row(Get, "/api/v1/files/{id}", READ, "Get a file's content", &[409, 416], files::download),
        row(Delete, "/api/v1/files/{id}", WRITE, "Delete a file that hangs on no message", &[409], files::delete),
        row(Get, "/api/v1/files/{id}/info", READ, "Show what is known of a file", &[], files::info),
        row(Get, "/api/v1/quarantine/files", MODERATOR, "List files that are held back", &[], files::quarantine),
        row(
            Post,
            "/api/v1/quarantine/files/{id}/release",
            MODERATOR,
            "Let a file out of the quarantine",
            &[409],
            files::release,
        ),
        row(
            Post,
            "/api/v1/quarantine/files/{id}/reject",
            MODERATOR,
            "Delete a file that is held back",
            &[409],
            files::reject,
        ),
        row(Get, "/api/v1/rooms/{id}/stream", READ, "Follow a room as server-sent events", &[409], stream::follow),
        row(Get, "/api/v1/presence", READ, "Who is here", &[], presence::list),
        row(Get, "/api/v1/ws", READ, "Open a WebSocket", &[426], websocket::open),
        row(Get, "/api/v1/ai/models", READ, "List the models of every AI provider that runs", &[], ai::models),
        row(Get, "/api/v1/ai/approvals", READ, "List the tool calls that wait for one's leave", &[], ai::approvals),
        row(Post, "/api/v1/ai/approvals/{id}", WRITE, "Let a model call a tool, or not", &[409, 507], ai::decide),
        row(
            Delete,
            "/api/v1/ai/remembered/{name}",
            WRITE,
            "Forget the leave that one gave for a tool: one is asked again",
            &[507],
            ai::forget,
        ),
        row(Post, "/api/v1/ai/replies/{id}/cancel", WRITE, "End an assistant's answer early", &[], ai::cancel),
        row(Get, "/api/v1/ai/usage", READ, "What models were asked, and what it cost", &[], ai::usage),
        row(
            Get,
            "/api/v1/workflows",
            MODERATOR_READS,
            "List what starts workflows: when, where, and how its runs stand",
            &[],
            workflows::list,
        ),
        row(Post, "/api/v1/workflows/start", ADMIN, "Start a workflow by hand", &[404, 507], workflows::start),
        row(
            Post,
            "/api/v1/workflows/secret",
            ADMIN,
            "Give a webhook's trigger a new secret, shown this once",
            &[404, 507],
            workflows::renew_secret,
        ),
        row(Get, "/api/v1/workflows/runs", MODERATOR_READS, "List runs, the newest first", &[], runs::list),
        row(Get, "/api/v1/workflows/runs/{id}", ADMIN, "Show a run and what it did", &[], runs::show),
        row(Post, "/api/v1/workflows/runs/{id}/cancel", ADMIN, "End a run", &[409, 507], runs::cancel),
        row(
            Post,
            "/api/v1/workflows/runs/{id}/replay",
            ADMIN,
            "Queue a run again that failed or was cancelled",
            &[409, 507],
            runs::replay,
        ),
        row(
            Get,
            "/api/v1/workflows/dead-letters",
            MODERATOR_READS,
            "List runs that failed for good",
            &[],
            runs::dead_letters,
        ),
        row(
            Post,
            "/api/v1/workflows/dead-letters/replay",
            ADMIN,
            "Queue a plugin's dead letters again",
            &[507],
            runs::replay_dead_letters,
        ),
        row(
            Post,
            "/api/v1/plugins/{name}/-/hooks/{*id}",
            PUBLIC,
            "Call a webhook's trigger, with its secret",
            &[401, 507],
            hooks::call,
        ),
        row(Get, "/api/v1/plugins", READ, "List the linked plugins", &[], plugins::list),
        row(Get, "/api/v1/plugins/{name}", READ, "Show a plugin", &[], plugins::show),
        row(Get, "/api/v1/plugins/{name}/schema", READ, "The schema of a plugin's configuration", &[], plugins::schema),
        row(Post, "/api/v1/plugins/{name}/install", ADMIN, "Install a plugin", &[409], plugins::install),
        row(Post, "/api/v1/plugins/{name}/uninstall", ADMIN, "Uninstall a plugin", &[409], plugins::uninstall),
        row(Post, "/api/v1/plugins/{name}/enable", ADMIN, "Start a plugin", &[409], plugins::enable),
        row(Post, "/api/v1/plugins/{name}/disable", ADMIN, "Stop a plugin", &[409], plugins::disable),
        row(Post, "/api/v1/plugins/{name}/release", ADMIN, "Let a quarantined plugin run", &[409], plugins::release),
        row(Get, "/api/v1/plugins/{name}/config", ADMIN, "Show a plugin's configuration", &[], plugins::config),
        row(
            Put,
            "/api/v1/plugins/{name}/config",
            ADMIN,
            "Set a plugin's configuration",
            &[409, 412],
            plugins::set_config,
        ),
        row(Get, "/api/v1/gui", READ, "List what plugins add to the pages, as one sees it", &[404], gui::list),
        row(
            Post,
            "/api/v1/gui/{plugin}/{component}/{action}",
            WRITE,
            "Open what a plugin adds to a page, press a button of it, or send a form",
            &[409, 412],
            gui::interact,
        ),
    ]
}

fn row<H, I, O, T>(
    method: Method,
    path: &'static str,
    needs: Needs,
    summary: &str,
    statuses: &[u16],
    handler: H,
) -> Route
where
    H: Handler<T, Arc<App>> + OperationHandler<I, O>,
    I: OperationInput,
    O: OperationOutput,
    T: 'static,
{
    let describe = described(|operation| {
        let takes_body = operation.request_body.is_some();
        operation.summary = Some(summary.to_owned());
        operation.operation_id = Some(operation_id(method, path));
        for status in common_statuses(path, needs, takes_body).chain(statuses.iter().copied()) {
            openapi::refusal(operation, status);
        }
        secure(operation, needs);
    });
    let router = match method {
        Get => get_with(handler, describe),
        Post => post_with(handler, describe),
        Put => put_with(handler, describe),
        Patch => patch_with(handler, describe),
        Delete => delete_with(handler, describe),
    };
    Route { method, path, needs, router }
}

/// The closure as aide wants it.
fn described(describe: impl FnOnce(&mut Operation)) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    |mut operation| {
        describe(operation.inner_mut());
        operation
    }
}

/// The statuses that come from before the handler, and those of every handler of a kind.
fn common_statuses(path: &str, needs: Needs, takes_body: bool) -> impl Iterator<Item = u16> {
    let always = [400, 429, 500, 503];
    let guarded: &[u16] = if needs == Needs::Nothing { &[] } else { &[401, 403] };
    let named: &[u16] = if path.contains('{') { &[404] } else { &[] };
    let with_body: &[u16] = if takes_body { &[408, 413, 415, 422] } else { &[] };
    always.into_iter().chain(guarded.iter().chain(named).chain(with_body).copied())
}

fn secure(operation: &mut Operation, needs: Needs) {
    if let Some(scope) = needs.scope() {
        let scheme = openapi::SECURITY_SCHEME.to_owned();
        operation.security.push([(scheme, vec![scope.as_str().to_owned()])].into_iter().collect());
        operation.security.push([(openapi::SESSION_SCHEME.to_owned(), Vec::new())].into_iter().collect());
    }
}

/// `GET /api/v1/rooms/{id}/messages` is `get_rooms_id_messages`.
fn operation_id(method: Method, path: &str) -> String {
    let words = path.trim_start_matches("/api/v1").split('/').filter(|word| !word.is_empty());
    let words = words.map(|word| word.trim_matches(['{', '}', '*']).replace(['.', '-'], "_"));
    let verb = format!("{method:?}").to_lowercase();
    let words = words.chain((path == "/").then(|| "home".to_owned()));
    std::iter::once(verb).chain(words).collect::<Vec<_>>().join("_")
}

/// The router of the table, each route behind what it needs.
pub(crate) fn router(app: &Arc<App>) -> axum::Router<Arc<App>> {
    let guard = |route: Route| match route.needs {
        Needs::Nothing => route.router,
        needs => {
            let layer = axum::middleware::from_fn_with_state((app.clone(), needs), authorize);
            route.router.route_layer(layer)
        }
    };
    table().into_iter().fold(axum::Router::new(), |router, route| {
        let path = route.path;
        router.route(path, axum::routing::MethodRouter::from(guard(route)))
    })
}

/// The addresses that both the table and a plugin have: the plugin's would never be reached.
pub(crate) fn clashes(plugins: &RouteTable) -> Vec<Problem> {
    let table = table();
    let files = std::iter::once(super::assets::ADDRESS);
    let all: Vec<&str> = table.iter().map(|route| route.path).chain(files).collect();
    let ours = |address: &str| all.iter().any(|path| hides(path, address));
    let clashes = plugins.routes().filter(|route| ours(&route.address));
    let told = clashes.map(|route| {
        let message = format!("the route `{route}` of plugin `{}` is the server's own address", route.plugin.name);
        Problem::new("", message).hint("give it another path, or leave the plugin out of the bundle")
    });
    told.collect()
}

/// Whether all that this address of the server's stands for is what a plugin's does, however their variable parts are named.
fn hides(ours: &str, theirs: &str) -> bool {
    let mut theirs = theirs.split('/');
    for segment in ours.split('/') {
        match theirs.next() {
            Some(_) if segment.starts_with("{*") => return true,
            Some(their) if segment.starts_with('{') || segment == their => {}
            _ => return false,
        }
    }
    theirs.next().is_none()
}

/// The same routes, for the document.
pub(crate) fn documented(table: Vec<Route>) -> ApiRouter<Arc<App>> {
    table.into_iter().fold(ApiRouter::new(), |router, route| router.api_route(route.path, route.router))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_routes_are_public() {
        let public: Vec<&str> =
            table().iter().filter(|route| route.needs == Needs::Nothing).map(|route| route.path).collect();
        let expected = [
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/",
            "/docs",
            "/docs/page.css",
            "/docs/docs.js",
            "/ui",
            "/ui/-/ui.css",
            "/ui/-/ui.js",
            "/ui/-/bridge.js",
            "/api/v1/auth/register",
            "/api/v1/auth/login",
            "/api/v1/plugins/{name}/-/hooks/{*id}",
        ];
        assert_eq!(public, expected);
    }

    #[test]
    fn what_changes_plugins_or_people_is_the_administrators() {
        for route in table() {
            let changes = route.method != Get;
            let of_all =
                ["/api/v1/plugins", "/api/v1/users", "/api/v1/invitations", "/api/v1/system", "/api/v1/workflows"];
            // Whoever calls a webhook shows its secret.
            let is_hook = route.path.contains("/-/hooks/");
            if changes && !is_hook && of_all.iter().any(|of_all| route.path.starts_with(of_all)) {
                assert_eq!(route.needs, ADMIN, "{:?} {}", route.method, route.path);
            }
            if route.path.starts_with("/api/v1/quarantine") {
                assert_eq!(route.needs, MODERATOR, "{:?} {}", route.method, route.path);
            }
            if changes {
                assert_ne!(route.needs, READ, "{:?} {}", route.method, route.path);
            }
        }
    }

    #[test]
    fn addresses_clash_by_their_shape() {
        for (ours, theirs, clash) in [
            ("/api/v1/rooms/{id}", "/api/v1/rooms/{id}", true),
            ("/api/v1/rooms/{id}", "/api/v1/rooms/{name}", true),
            ("/api/v1/rooms/{id}", "/api/v1/rooms/new", true),
            ("/api/v1/rooms/{id}", "/api/v1/rooms/{rest...}", true),
            ("/files/{*path}", "/files/a/{b}", true),
            (super::super::assets::ADDRESS, "/ui/notes/page", true),
            (super::super::assets::ADDRESS, "/ui", false),
            ("/api/v1/rooms/{id}", "/api/v1/rooms/{name}/x", false),
            ("/api/v1/rooms/{id}/x", "/api/v1/rooms/{name}", false),
            ("/api/v1/rooms/new", "/api/v1/rooms/{name}", false),
            ("/api/v1/plugins/{name}/enable", "/api/v1/plugins/notes/list", false),
        ] {
            assert_eq!(hides(ours, theirs), clash, "{ours} and {theirs}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let mut names: Vec<String> = table().iter().map(|route| operation_id(route.method, route.path)).collect();
        assert!(names.contains(&"get_rooms_id_messages".to_owned()), "{names:?}");
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
