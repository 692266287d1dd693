//! `/api/v1/rooms/{id}/messages`: send through the pipeline, read the history.

use std::sync::Arc;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{
    HeaderStyle, Operation, Parameter, ParameterData, ParameterSchemaOrContent, ReferenceOr, SchemaObject,
};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use plexichat::id::{FileId, MessageId};
use plexichat::message::{Origin, StoredRow};
use plexichat::pipeline::{Incoming, KEY_MAX, MessageStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::Caller;
use super::extract::{Json, Path, Query};
use super::output::{CreatedOnce, Shown};
use super::rooms::{self, RoomAddress};
use crate::error::ApiError;

/// How many messages a page has where nothing is said.
const PAGE: u32 = 50;
/// How many messages a page may have.
pub(crate) const PAGE_MAX: u32 = 500;

/// A message to be sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// What is written.
    text: String,
    /// The message it answers.
    reply_to: Option<MessageId>,
    /// The files that hang on it: at most ten, each uploaded before by oneself to the same room.
    attachments: Option<Vec<FileId>>,
}

/// Which part of the history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagePage {
    /// Only messages with a higher number than this, the first ones.
    after: Option<u64>,
    /// Only messages with a lower number than this; the last ones where `after` is not given.
    before: Option<u64>,
    /// How many messages at most: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
}

/// A part of a room's history, in the order of `seq`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessageList {
    /// The messages.
    messages: Vec<StoredRow>,
    /// Whether there are more: later ones where `after` was given, else earlier ones.
    more: bool,
}

/// The sender's key: the same author, room and key give the same message, however often it is sent.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        key(&parts.headers).map(Self)
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let bad = |message: String| ApiError::bad_request("bad_idempotency_key", message);
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("the request has more than one Idempotency-Key".to_owned()));
    }
    let key =
        value.to_str().map_err(|_| bad("the Idempotency-Key has characters other than visible ASCII".to_owned()))?;
    match key.len() {
        1..=KEY_MAX => Ok(Some(key.to_owned())),
        length => Err(bad(format!("the Idempotency-Key has {length} characters, 1 to {KEY_MAX} are possible"))),
    }
}

impl OperationInput for IdempotencyKey {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let description = "The same author, room and key give the same message, however often it is sent.";
        operation.parameters.push(header_parameter(context, "Idempotency-Key", description));
    }
}

/// An optional header, as the document tells it.
pub(crate) fn header_parameter(context: &mut GenContext, name: &str, description: &str) -> ReferenceOr<Parameter> {
    let json_schema = match name {
        "Idempotency-Key" => {
            schemars::json_schema!({ "type": "string", "pattern": r"^[!-~]([\t -~]{0,253}[!-~])?$", "examples": ["c0ffee-1"] })
        }
        "If-Match" => {
            schemars::json_schema!({ "type": "string", "pattern": "^\"[0-9]{1,18}\"$", "examples": ["\"1\""] })
        }
        _ => context.schema.subschema_for::<String>(),
    };
    let schema = SchemaObject { json_schema, example: None, external_docs: None };
    ReferenceOr::Item(Parameter::Header {
        parameter_data: ParameterData {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: false,
            deprecated: None,
            format: ParameterSchemaOrContent::Schema(schema),
            example: None,
            examples: Default::default(),
            explode: None,
            extensions: Default::default(),
        },
        style: HeaderStyle::Simple,
    })
}

pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<RoomAddress>,
    IdempotencyKey(key): IdempotencyKey,
    Json(new): Json<NewMessage>,
) -> Result<CreatedOnce<Arc<StoredRow>>, ApiError> {
    let incoming = Incoming {
        author: caller.actor().clone(),
        room_id: room.id,
        text: new.text,
        reply_to: new.reply_to,
        attachments: new.attachments.unwrap_or_default(),
        origin: Origin::Rest,
        key,
        cause_id: None,
        cause_depth: 0,
    };
    let outcome = app.host.pipeline.send(incoming).await?;
    Ok(CreatedOnce { value: outcome.row, known: outcome.known })
}

pub(crate) async fn history(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Path(room): Path<RoomAddress>,
    Query(page): Query<MessagePage>,
) -> Result<Shown<MessageList>, ApiError> {
    let limit = rooms::limit(page.limit, PAGE, PAGE_MAX)?;
    rooms::check_readable(&app, caller.actor(), room.id).await?;
    let mut messages = app.store.history(room.id, page.after, page.before, limit + 1).await?;
    let more = messages.len() > limit as usize;
    if more {
        // The one too many is at the far end: the last going forward, the first going back.
        let extra = if page.after.is_some() { messages.len() - 1 } else { 0 };
        messages.remove(extra);
    }
    Ok(Shown(MessageList { messages, more }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_key(values: &[&[u8]], expected: Result<Option<&str>, u16>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, axum::http::HeaderValue::from_bytes(value).unwrap());
        }
        let found = key(&headers).map_err(|error| error.status.as_u16());
        assert_eq!(found, expected.map(|key| key.map(str::to_owned)));
    }

    #[test]
    fn keys_are_short_and_plain() {
        check_key(&[], Ok(None));
        check_key(&[b"a-1"], Ok(Some("a-1")));
        check_key(&[&[b'x'; 255]], Ok(Some(&"x".repeat(255))));
        check_key(&[&[b'x'; 256]], Err(400));
        check_key(&[b""], Err(400));
        check_key(&[b"\xff"], Err(400));
        check_key(&[b"a", b"b"], Err(400));
    }
}
