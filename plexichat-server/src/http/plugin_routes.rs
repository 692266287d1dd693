//! The routes that plugins add: whatever the table of routes does not have comes here and is looked up at each request, so that
//! routes come and go with their plugins. Knows no plugin.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::Descriptor;
use plexichat::guard::PluginHandle;
use plexichat::plugin::interface::{Auth, Caller, RouteCall, RouteKind, Signature};
use plexichat::routes::{Lookup, Route, check_signature};
use tokio::sync::watch;

use super::address::ClientAddress;
use super::app::App;
use super::auth::{self, Needs};
use super::extract::{check_encoding, discard, read_body_up_to};
use super::front::RequestId;
use super::places::{CallerPlace, OF_CALLER_MAX};
use super::plugin_answer::{self, Until};
use super::plugin_socket;
use super::rates::RouteCaller;
use crate::auth::{Authenticator, Principal};
use crate::error::ApiError;
use crate::stop::stopped;
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
        // Who signs is nobody whom the server knows; the signature itself is checked once the body is there.
        Auth::Public | Auth::Signature(_) => Needs::Nothing,
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

/// Calls this route.
pub(super) async fn answer(
    app: &Arc<App>,
    route: &Route,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Response {
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
    let mut response = match counted(app, route, &plugin, &parts, principal.as_deref()) {
        Ok(()) => {
            let calling = Calling { app, route, plugin: &plugin, principal: principal.as_ref() };
            calling.call(parts, parameters, body).await.unwrap_or_else(IntoResponse::into_response)
        }
        Err(error) => {
            discard(body);
            error.into_response()
        }
    };
    response.extensions_mut().insert(plugin_answer::RouteLabel(route.address.clone()));
    if let Some(principal) = &principal {
        auth::keep_session(app, principal, &mut response).await;
    }
    match is_head {
        true => response.map(|_| axum::body::Body::empty()),
        false => response,
    }
}

/// Counts the call where the route has a rate of its own.
fn counted(
    app: &App,
    route: &Route,
    plugin: &PluginHandle,
    parts: &Parts,
    principal: Option<&Principal>,
) -> Result<(), ApiError> {
    let rate = plugin.route_rate().or_else(|| route.spec.rate.and_then(NonZeroU32::new));
    let Some(rate) = rate else { return Ok(()) };
    let Some(caller) = caller(parts, principal) else { return Ok(()) };
    app.route_rates.count(route.plugin.name, route.index, caller, rate).map_err(|wait| {
        let message = format!("`{} {}` may be called {rate} times a minute", route.spec.method, route.address);
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry_after(wait.as_secs() + 1)
    })
}

/// Who calls, as limits tell callers apart.
fn caller(parts: &Parts, principal: Option<&Principal>) -> Option<RouteCaller> {
    let address = parts.extensions.get::<ClientAddress>().map(|address| RouteCaller::Address(address.bucket()));
    principal.map(|principal| RouteCaller::Person(principal.user().id)).or(address)
}

/// A place for what the caller keeps open.
fn place(
    app: &App,
    plugin: &PluginHandle,
    parts: &Parts,
    principal: Option<&Principal>,
) -> Result<Option<CallerPlace>, ApiError> {
    let Some(caller) = caller(parts, principal) else { return Ok(None) };
    app.route_places.take(plugin.name(), caller).map(Some).ok_or_else(|| {
        let message = format!(
            "you have {OF_CALLER_MAX} WebSockets and event streams of the plugin `{}` open, and no more may be",
            plugin.name()
        );
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", message)
            .hint("close those that are not needed, such as in other tabs; whoever is not signed in shares an address")
            .retry_after(1)
    })
}

/// A call of a route of a running plugin.
struct Calling<'a> {
    app: &'a Arc<App>,
    route: &'a Route,
    plugin: &'a PluginHandle,
    principal: Option<&'a Arc<Principal>>,
}

impl Calling<'_> {
    async fn call(self, parts: Parts, parameters: Vec<(String, String)>, body: Body) -> Result<Response, ApiError> {
        let Self { app, route, plugin, principal } = self;
        check_encoding(&parts.headers)?;
        let person = principal.map(|principal| &**principal);
        if route.spec.kind == RouteKind::WebSocket {
            // The check of routes refuses such plugins; should one get past it, nobody comes in unsigned.
            if let Auth::Signature(signature) = &route.spec.auth {
                check_signed(plugin, signature, &parts, b"")?;
            }
            let place = place(app, plugin, &parts, person)?;
            let call = route_call(&parts, parameters, Vec::new(), person);
            return plugin_socket::open(app, route, plugin, parts, call, principal, place).await;
        }
        let limit = usize::try_from(plugin.max_body().unwrap_or(route.spec.max_body)).unwrap_or(usize::MAX);
        let body = tokio::time::timeout(BODY_TIME, read_body_up_to(body, limit)).await.unwrap_or_else(|_| {
            let message = format!("the body took longer than {} s", BODY_TIME.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
        })?;
        if let Auth::Signature(signature) = &route.spec.auth {
            check_signed(plugin, signature, &parts, &body)?;
        }
        let place = match route.spec.kind {
            RouteKind::Events => place(app, plugin, &parts, person)?,
            _ => None,
        };
        let call = route_call(&parts, parameters, body.into(), person);
        let (name, timeout, stopping) = (plugin.name(), plugin.route_timeout(&route.spec), app.stopping.clone());
        if route.spec.kind == RouteKind::Events {
            let answered = plugin.events(route.index, call, timeout);
            let answered = plugin_answer::while_running(name, stopping.clone(), answered).await?;
            let ended = ended(stopping, app.authenticator.clone(), principal.cloned());
            let until = Until::ended(async move {
                // Whoever listens has the place until the body is dropped.
                let _place = place;
                ended.await;
            });
            return plugin_answer::response(name, answered, until);
        }
        let answered = plugin.route(route.index, call, timeout);
        let answered = plugin_answer::while_running(name, stopping.clone(), answered).await?;
        plugin_answer::response(name, answered, Until::answered(stopping))
    }
}

/// Waits until a stream of events has to end: the server stops, or whoever listens is let in no more.
async fn ended(mut stopping: watch::Receiver<bool>, authenticator: Authenticator, principal: Option<Arc<Principal>>) {
    let shut_out = async {
        match &principal {
            Some(principal) => drop(authenticator.ended(principal).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stopped(&mut stopping) => {}
        () = shut_out => {}
    }
}

/// Whether a call is signed with the secret of the plugin's configuration.
fn check_signed(plugin: &PluginHandle, signature: &Signature, parts: &Parts, body: &[u8]) -> Result<(), ApiError> {
    let Some(secret) = plugin.signing_secret(signature.secret) else {
        let message = format!("the plugin `{}` has no secret yet to check signatures with", plugin.name());
        let hint = format!(
            "an administrator sets `{}` with `plexichat plugin config set {}`",
            signature.secret.trim_start_matches('/').replace('/', "."),
            plugin.name()
        );
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "signature_not_configured", message).hint(hint));
    };
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let checked = check_signature(signature, secret, header, body, i64::try_from(now).unwrap_or(i64::MAX));
    checked.map_err(|error| {
        let hint = format!(
            "sign the {} with HMAC-SHA256 and the shared secret, and send `{}: {}<64 hexadecimal digits>`",
            signature.timestamp.map_or("body".to_owned(), |_| format!("text `{}`", signature.text)),
            signature.header,
            signature.prefix,
        );
        ApiError::new(StatusCode::UNAUTHORIZED, "bad_signature", error.to_string()).hint(hint)
    })
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
