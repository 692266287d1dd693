//! `/api/v1/rooms/{id}/stream`: a room as server-sent events, for whom a WebSocket is too much. What is sent is `live/events.rs`.

use std::convert::Infallible;
use std::sync::Arc;

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, StatusCode as DocumentedStatus};
use aide::{OperationInput, OperationOutput};
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use plexichat::pipeline::MessageStore;
use schemars::JsonSchema;
use serde::Deserialize;

use super::app::App;
use super::auth::Caller;
use super::extract::{Path, Query};
use super::rooms::{RoomAddress, check_readable};
use crate::error::ApiError;
use crate::live::events::{Listening, Position};

const LAST_EVENT_ID: &str = "last-event-id";

/// Where the stream begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// The `seq` of the last message that the client has; what was missed since comes first. Where nothing is said, the
    /// stream begins with what comes from now on. The header `Last-Event-ID` comes before it.
    after_seq: Option<u64>,
    /// The number of the last change that the client has: edits, deletions and reactions that it missed since come then.
    after_change: Option<u64>,
}

/// `Last-Event-ID`: what a browser got last, where it comes back.
pub(crate) struct LastEvent(Option<Position>);

impl<S: Send + Sync> FromRequestParts<S> for LastEvent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
            return Ok(Self(None));
        };
        let position = value.to_str().ok().and_then(|value| value.parse().ok());
        let wrong = || {
            ApiError::bad_request(
                "bad_last_event_id",
                "the header `Last-Event-ID` is no identifier of this stream's events",
            )
            .hint("send it as the event had it, such as `12.345`, or leave it out and say `?after_seq=`")
        };
        position.map(|position| Self(Some(position))).ok_or_else(wrong)
    }
}

impl OperationInput for LastEvent {}

/// 200: from now on events are sent.
pub(crate) struct Events(Response);

pub(crate) async fn follow(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(address): Path<RoomAddress>,
    Query(from): Query<From>,
    LastEvent(last): LastEvent,
) -> Result<Events, ApiError> {
    check_readable(&app, caller.actor(), address.id).await?;
    let from = match last {
        Some(last) => last,
        None => {
            // Before the history is looked at: what changes meanwhile is told.
            let change = match from.after_change {
                Some(change) => change,
                None => app.store.last_change().await?,
            };
            let seq = match from.after_seq {
                Some(seq) => seq,
                None => app.store.history(address.id, None, None, 1).await?.last().map_or(0, |row| row.seq),
            };
            Position { seq, change }
        }
    };
    let listening = Listening {
        room: address.id,
        from,
        principal: caller.clone(),
        authenticator: app.authenticator.clone(),
        hub: app.hub.clone(),
        stopping: app.stopping.clone(),
    };
    let events = listening.stream().map_err(|error| ApiError::conflict("too_many_rooms", error.to_string()))?;
    // Whoever was put out since the first look was not listening yet, and nobody would end it.
    check_readable(&app, caller.actor(), address.id).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // What stands between must hand on each event as it comes.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok(Events((headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response()))
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for Events {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let description =
            "Events without end: `data` is a frame as on the WebSocket, `id` what to send as `Last-Event-ID`";
        let mut response = Documented { description: description.to_owned(), ..Documented::default() };
        response.content.insert("text/event-stream".to_owned(), MediaType::default());
        vec![(Some(DocumentedStatus::Code(200)), response)]
    }
}
