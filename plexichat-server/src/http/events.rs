//! `/api/v1/events`: for administrators: what happens, as it happens, and events of their own for plugins.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, StatusCode as DocumentedStatus};
use aide::{OperationInput, OperationOutput};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use plexichat::event::bus::{Onlooker, Seen};
use plexichat::event::{CUSTOM_PREFIX, Event, Pattern, catalog};
use plexichat::id::{EventId, PluginName};
use plexichat::message::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Query};
use crate::error::{ApiError, Finding};
use crate::stop::stopped;

/// How often a stream says that it is alive while nothing happens.
const ALIVE: Duration = Duration::from_secs(15);
/// How long plugins may take to accept an event.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(10);
/// The longest name of an event.
const NAME_MAX: usize = 100;

/// Which events are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Names, separated by commas; all events where nothing is said.
    name: Option<String>,
}

/// How the stream is written: server-sent events where `Accept` says so, else one JSON object a line.
pub(crate) struct Format {
    server_sent: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Format {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let accepts = parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Ok(Self { server_sent: accepts.into_iter().any(|accept| accept.contains("text/event-stream")) })
    }
}

impl OperationInput for Format {}

/// An event to be emitted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent {
    /// Its name: `custom.` and what plugins listen to. The server's own events are not made by hand.
    name: String,
    /// Its data, an object.
    #[serde(default)]
    data: serde_json::Map<String, Value>,
}

/// An event that plugins were told of.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Emitted {
    /// Its identifier.
    id: EventId,
    /// Its name.
    name: String,
    /// The plugins that listen to it.
    heard_by: Vec<PluginName>,
}

/// 202: plugins have it.
pub(crate) struct Accepted(Emitted);

/// 200: events from now on, without end.
pub(crate) struct Events(Response);

pub(crate) async fn tail(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    format: Format,
    Query(wanted): Query<Wanted>,
) -> Result<Events, ApiError> {
    let names = wanted.name.as_deref().unwrap_or("*").split(',').map(|name| Pattern::new(name.trim()));
    let patterns = names.collect::<Result<Vec<_>, _>>();
    let patterns = patterns
        .map_err(|error| ApiError::bad_request("bad_query", error.to_string()).hint("`plexichat events` lists them"))?;
    let authenticator = app.authenticator.clone();
    let stream = Stream {
        onlooker: app.host.bus.look_on(),
        patterns,
        server_sent: format.server_sent,
        ended: Box::pin(async move {
            tokio::select! {
                _ = authenticator.ended(&caller) => {}
                () = authenticator.demoted(&caller) => {}
            }
        }),
        stopping: app.stopping.clone(),
    };
    let kind = if format.server_sent { "text/event-stream" } else { "application/x-ndjson" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // What stands between must hand on each event as it comes.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let lines = stream::unfold(stream, |mut stream| async move {
        stream.next().await.map(|line| (Ok::<_, std::convert::Infallible>(line), stream))
    });
    Ok(Events((headers, Body::from_stream(lines)).into_response()))
}

pub(crate) async fn emit(
    State(app): State<Arc<App>>,
    By(act): By,
    Json(new): Json<NewEvent>,
) -> Result<Accepted, ApiError> {
    check_name(&new.name)?;
    let name = new.name;
    app.store.audit(act.audit("event.emit", &name, json!({}))).await?;
    let mut event = Event::json(name.clone(), Value::Object(new.data));
    event.actor = act.by().clone();
    event.origin = Origin::Rest;
    let id = event.id;
    let heard_by = app.host.bus.heard_by(&name);
    match tokio::time::timeout(ACCEPTED_WITHIN, app.host.bus.publish(event)).await {
        // Nobody waits for the handlers.
        Ok(Ok(_handled)) => Ok(Accepted(Emitted { id, name, heard_by })),
        Ok(Err(error)) => Err(ApiError::internal(error)),
        Err(_) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "plugins_busy",
            "a plugin that listens to it has too much to do; others may have it",
        )
        .retry_after(5)),
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let wrong = |message: &str| {
        let finding = Finding { pointer: "/name".to_owned(), message: message.to_owned() };
        ApiError::invalid("the event cannot be emitted", vec![finding])
    };
    if catalog::NAMES.contains(&name) {
        return Err(wrong("is an event of the server, which tells of what happened")
            .hint("emit one of your own: `custom.something`"));
    }
    let rest = name.strip_prefix(CUSTOM_PREFIX).unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.');
    if rest.is_empty() || name.len() > NAME_MAX || !rest.bytes().all(plain) {
        return Err(wrong("is not `custom.` and lower-case letters, digits, `_`, `-` or `.`"));
    }
    Ok(())
}

/// Events on their way to one who looks on.
struct Stream {
    onlooker: Onlooker,
    patterns: Vec<Pattern>,
    server_sent: bool,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    stopping: watch::Receiver<bool>,
}

impl Stream {
    /// What is sent next; nothing once the server stops, the credential does not count any more or the role is a lower one.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let seen = tokio::select! {
                seen = self.onlooker.next() => seen?,
                () = tokio::time::sleep(ALIVE) => {
                    return Some(Bytes::from_static(if self.server_sent { b":\n\n" } else { b"\n" }));
                }
                () = &mut self.ended => return None,
                () = stopped(&mut self.stopping) => return None,
            };
            let value = match seen {
                Seen::Missed(missed) => json!({ "missed": missed }),
                Seen::Event(event) if self.patterns.iter().any(|pattern| pattern.matches(&event.name)) => shown(&event),
                Seen::Event(_) => continue,
            };
            return Some(self.written(&value));
        }
    }

    fn written(&self, value: &Value) -> Bytes {
        if self.server_sent { format!("data: {value}\n\n").into() } else { format!("{value}\n").into() }
    }
}

/// An event without what people wrote: rooms are their members', not the administrators'.
fn shown(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_else(|error| json!({ "error": error.to_string() }));
    if catalog::WITH_CONTENT.contains(&&*event.name)
        && let Some(data) = value["data"].as_object_mut()
    {
        data.remove("text");
    }
    value
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for Events {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let description = "Events without end, one JSON object a line, without what people wrote; `{\"missed\": n}` where \
                           the client was too slow. An empty line says that nothing happened";
        let mut response = Documented { description: description.to_owned(), ..Documented::default() };
        for kind in ["application/x-ndjson", "text/event-stream"] {
            response.content.insert(kind.to_owned(), MediaType::default());
        }
        vec![(Some(DocumentedStatus::Code(200)), response)]
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, super::output::Shown(self.0)).into_response()
    }
}

impl OperationOutput for Accepted {
    type Inner = Emitted;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let response = super::output::documented::<Emitted>(context, "The plugins that listen to it have it");
        vec![(Some(DocumentedStatus::Code(202)), response)]
    }
}

#[cfg(test)]
mod tests {
    use plexichat::event::catalog::SystemStarted;

    use super::*;

    #[track_caller]
    fn check(name: &str, accepted: bool) {
        assert_eq!(check_name(name).is_ok(), accepted, "{name}");
    }

    #[test]
    fn only_own_events_are_made_by_hand() {
        check("custom.report_ready", true);
        check("custom.reports.ready-2", true);
        check("user_message", false);
        check("system_started", false);
        check("custom.", false);
        check("custom.Report", false);
        check("custom.a b", false);
        check("report", false);
        check(&format!("custom.{}", "x".repeat(100)), false);
    }

    #[test]
    fn what_people_wrote_is_not_shown() {
        let event = Event::json("user_message", json!({ "text": "secret words", "message_id": "1" }));
        let value = shown(&event);
        assert_eq!((&value["data"]["message_id"], &value["data"]["text"]), (&json!("1"), &Value::Null));
        assert!(!value.to_string().contains("secret words"));
        let value = shown(&Event::new(SystemStarted::new("1".to_owned(), Vec::new())));
        assert_eq!((&value["type"], &value["data"]["version"]), (&json!("system_started"), &json!("1")));
    }
}
