//! The routes that plugins add: whatever the table of routes does not have comes here and is looked up at each request, so that
//! routes come and go with their plugins. Knows no plugin.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::Descriptor;
use plexichat::guard::PluginHandle;
use plexichat::plugin::interface::{Auth, Caller, RouteCall};
use plexichat::routes::{Lookup, Route};

use super::app::App;
use super::auth::{self, Needs};
use super::extract::{check_encoding, discard, read_body_up_to};
use super::front::RequestId;
use super::plugin_answer;
use crate::auth::Principal;
use crate::error::ApiError;
use crate::store::{Role, Scope};

/// How long a client may take to send a body, whatever its size.
const BODY_TIME: Duration = Duration::from_secs(60);

/// What a plugin is not shown of a request: who one is, which is the host's to find out, and what is about the connection.
const WITHHELD: &[header::HeaderName] = &[
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const ADMINISTRATORS: Needs = Needs::Role(Role::Admin, Scope::Admin);

/// What a plugin's route asks of whoever calls it.
pub(super) fn needs(auth: Auth) -> Needs {
    match auth {
        Auth::Public => Needs::Nothing,
        Auth::User => Needs::Scope(Scope::Write),
        Auth::Moderator => Needs::Role(Role::Moderator, Scope::Write),
        Auth::Scope(name) => scope(name).map_or(ADMINISTRATORS, Needs::Scope),
        // And whatever a newer core has, which this server does not know.
        _ => ADMINISTRATORS,
    }
}

/// The scope of this name. One that this server does not have nobody's token has: administrators alone come in.
fn scope(name: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.as_str() == name)
}

/// Calls the route of a plugin, where there is one at this address.
pub(crate) async fn call(State(app): State<Arc<App>>, request: Request) -> Response {
    let routes = app.host.routes.clone();
    match routes.find(request.method().as_str(), request.uri().path()) {
        Lookup::Found(route, parameters) => answer(&app, route, parameters, request).await,
        Lookup::OtherMethods(_, methods) => {
            discard(request.into_body());
            not_this_method(&methods).into_response()
        }
        Lookup::Nothing => {
            discard(request.into_body());
            ApiError::of_status(StatusCode::NOT_FOUND).into_response()
        }
    }
}

fn not_this_method(methods: &[&str]) -> ApiError {
    let mut allowed = methods.to_vec();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let error = ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED);
    match HeaderValue::from_str(&allowed.join(",")) {
        Ok(allowed) => error.header(header::ALLOW, allowed),
        Err(_) => error,
    }
}

async fn answer(app: &Arc<App>, route: &Route, parameters: Vec<(String, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let admitted = match needs(route.spec.auth) {
        Needs::Nothing => Ok(None),
        needs => auth::admit(app, &parts, needs).await.map(Some),
    };
    let (principal, plugin) = match admitted.and_then(|principal| Ok((principal, running(app, route.plugin)?))) {
        Ok(found) => found,
        Err(error) => {
            discard(body);
            return error.into_response();
        }
    };
    let is_head = parts.method == Method::HEAD;
    let called = async {
        check_encoding(&parts.headers)?;
        let limit = usize::try_from(plugin.max_body().unwrap_or(route.spec.max_body)).unwrap_or(usize::MAX);
        let body = tokio::time::timeout(BODY_TIME, read_body_up_to(body, limit)).await.unwrap_or_else(|_| {
            let message = format!("the body took longer than {} s", BODY_TIME.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
        })?;
        let call = route_call(&parts, parameters, body.into(), principal.as_deref());
        let answered = plugin.route(route.index, call, plugin.route_timeout(&route.spec));
        let answered = plugin_answer::while_running(plugin.name(), app.stopping.clone(), answered).await?;
        plugin_answer::response(plugin.name(), answered, app.stopping.clone())
    };
    let mut response = called.await.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(plugin_answer::RouteLabel(route.address.clone()));
    if let Some(principal) = &principal {
        auth::keep_session(app, principal, &mut response).await;
    }
    match is_head {
        true => response.map(|_| axum::body::Body::empty()),
        false => response,
    }
}

/// The plugin, if it runs.
fn running(app: &App, plugin: &'static Descriptor) -> Result<Arc<PluginHandle>, ApiError> {
    app.host.running(plugin.name).ok_or_else(|| {
        let message = format!("this address is the plugin's `{}`, which does not run", plugin.name);
        ApiError::new(StatusCode::NOT_FOUND, "plugin_not_running", message).hint(format!(
            "an administrator finds out why with `plexichat plugin info {0}`, and starts it with `plexichat plugin enable {0}`",
            plugin.name
        ))
    })
}

fn route_call(
    parts: &Parts,
    parameters: Vec<(String, String)>,
    body: Vec<u8>,
    principal: Option<&Principal>,
) -> RouteCall {
    let caller = principal.map_or_else(Caller::nobody, |principal| Caller::known(principal.actor().clone()));
    let mut call = RouteCall::new(parts.method.as_str(), parts.uri.path(), caller);
    call.parameters = parameters;
    call.query = parts.uri.query().unwrap_or_default().to_owned();
    let shown = parts.headers.iter().filter(|(name, _)| !WITHHELD.contains(name));
    call.headers =
        shown.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect();
    call.body = body;
    call.request_id = parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default();
    call
}
