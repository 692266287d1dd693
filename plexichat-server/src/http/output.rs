//! What handlers give back, each with its status in its type, so that the document tells what the code does.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, SchemaObject, StatusCode as DocumentedStatus};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ApiError;

/// 200 with JSON.
pub(crate) struct Shown<T>(pub(crate) T);

/// 200 with JSON and the version of what is shown.
pub(crate) struct Versioned<T> {
    pub(crate) value: T,
    pub(crate) version: u64,
}

/// 201 with JSON: it was made.
pub(crate) struct Created<T>(pub(crate) T);

/// 201 with JSON, or 200 where the same request had made it before.
pub(crate) struct CreatedOnce<T> {
    pub(crate) value: T,
    pub(crate) known: bool,
}

/// 202 with JSON: it is on its way.
pub(crate) struct Accepted<T>(pub(crate) T);

/// 204: it is gone.
pub(crate) struct Gone;

/// JSON as it is sent: with a line's end, so that a shell's next line is its own.
pub(crate) fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut body = serde_json::to_vec(value)?;
    body.push(b'\n');
    Ok(body)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match line(value) {
        Ok(body) => {
            let json = HeaderValue::from_static("application/json");
            (status, [(header::CONTENT_TYPE, json)], body).into_response()
        }
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// The header that says which version of a thing this is.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = json(StatusCode::OK, &self.value);
        if let Ok(etag) = HeaderValue::from_str(&etag(self.version)) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        json(StatusCode::CREATED, &self.0)
    }
}

impl<T: Serialize> IntoResponse for CreatedOnce<T> {
    fn into_response(self) -> Response {
        json(if self.known { StatusCode::OK } else { StatusCode::CREATED }, &self.value)
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        json(StatusCode::ACCEPTED, &self.0)
    }
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A response with a JSON body of this type, as the document tells it.
pub(crate) fn documented<T: JsonSchema>(context: &mut GenContext, description: &str) -> Documented {
    let json_schema = context.schema.subschema_for::<T>();
    let schema = SchemaObject { json_schema, example: None, external_docs: None };
    let mut response = Documented { description: description.to_owned(), ..Documented::default() };
    let media = MediaType { schema: Some(schema), ..MediaType::default() };
    response.content.insert("application/json".to_owned(), media);
    response
}

type Responses = Vec<(Option<DocumentedStatus>, Documented)>;

fn one(status: u16, response: Documented) -> Responses {
    vec![(Some(DocumentedStatus::Code(status)), response)]
}

impl<T: JsonSchema> OperationOutput for Shown<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        one(200, documented::<T>(context, "What was asked for"))
    }
}

impl<T: JsonSchema> OperationOutput for Versioned<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        one(200, documented::<T>(context, "What was asked for; `ETag` has its version"))
    }
}

impl<T: JsonSchema> OperationOutput for Created<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        one(201, documented::<T>(context, "What was made"))
    }
}

impl<T: JsonSchema> OperationOutput for CreatedOnce<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        let made = documented::<T>(context, "What was made");
        let known = documented::<T>(context, "What the same request had made before");
        vec![(Some(DocumentedStatus::Code(201)), made), (Some(DocumentedStatus::Code(200)), known)]
    }
}

impl<T: JsonSchema> OperationOutput for Accepted<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        one(202, documented::<T>(context, "What was begun"))
    }
}

impl OperationOutput for Gone {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        one(204, Documented { description: "It is gone".to_owned(), ..Documented::default() })
    }
}

impl OperationOutput for ApiError {
    type Inner = crate::error::ErrorBody;
}
