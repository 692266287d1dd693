//! What a handler answers, as a type that says its status and its shape. Knows no call.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::call::RouteAnswer;
use super::extract::Json;
use super::handler::{AnswerShape, RouteShape};
use crate::error::Result;

const JSON: &str = "application/json";

/// What a handler may answer: [`Json`], [`Created`], [`Status`], text, [`Html`], `()` for an empty answer, and
/// [`RouteAnswer`] for whatever else.
#[diagnostic::on_unimplemented(
    message = "a handler of a route cannot answer `{Self}`",
    note = "it answers `Json<_>`, `Created<_>`, `Status<_, _>`, `Html`, `String`, `()` or `RouteAnswer`",
    note = "what stands within `Json<_>` needs `#[plexichat::model]`"
)]
pub trait IntoAnswer: Send + 'static {
    /// As an answer.
    ///
    /// # Errors
    /// `Internal` where it cannot be written.
    fn into_answer(self) -> Result<RouteAnswer>;

    /// Says what it is.
    fn describe(shape: &mut RouteShape);
}

impl IntoAnswer for RouteAnswer {
    fn into_answer(self) -> Result<RouteAnswer> {
        Ok(self)
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers_anything = true;
    }
}

/// 204, and nothing else.
impl IntoAnswer for () {
    fn into_answer(self) -> Result<RouteAnswer> {
        Ok(RouteAnswer::new(204))
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers.push(AnswerShape { status: 204, content_type: None, schema: None });
    }
}

impl<R: Serialize + JsonSchema + Send + 'static> IntoAnswer for Json<R> {
    fn into_answer(self) -> Result<RouteAnswer> {
        RouteAnswer::json(200, &self.0)
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers.push(AnswerShape { status: 200, content_type: Some(JSON), schema: Some(written_schema::<R>()) });
    }
}

/// The schema of what is written, which may differ from that of what is read.
fn written_schema<R: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<R>().to_value()
}

/// 201 with JSON: something new is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created<R>(pub R);

impl<R: Serialize + JsonSchema + Send + 'static> IntoAnswer for Created<R> {
    fn into_answer(self) -> Result<RouteAnswer> {
        RouteAnswer::json(201, &self.0)
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers.push(AnswerShape { status: 201, content_type: Some(JSON), schema: Some(written_schema::<R>()) });
    }
}

/// Another answer with this status, such as `Status<202, Json<Job>>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<const CODE: u16, A>(pub A);

impl<const CODE: u16, A: IntoAnswer> IntoAnswer for Status<CODE, A> {
    fn into_answer(self) -> Result<RouteAnswer> {
        let mut answer = self.0.into_answer()?;
        answer.status = CODE;
        Ok(answer)
    }

    fn describe(shape: &mut RouteShape) {
        let before = shape.answers.len();
        A::describe(shape);
        shape.answers[before..].iter_mut().for_each(|answer| answer.status = CODE);
    }
}

impl IntoAnswer for String {
    fn into_answer(self) -> Result<RouteAnswer> {
        Ok(RouteAnswer::text(200, self))
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers.push(AnswerShape { status: 200, content_type: Some("text/plain"), schema: None });
    }
}

impl IntoAnswer for &'static str {
    fn into_answer(self) -> Result<RouteAnswer> {
        Ok(RouteAnswer::text(200, self))
    }

    fn describe(shape: &mut RouteShape) {
        String::describe(shape);
    }
}

/// A page. It may load and do nothing: the host sends it with a policy that says so. Pages that do more are a plugin's
/// `ui/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html(pub String);

impl IntoAnswer for Html {
    fn into_answer(self) -> Result<RouteAnswer> {
        Ok(RouteAnswer::new(200).header("content-type", "text/html; charset=utf-8").body(self.0.into_bytes()))
    }

    fn describe(shape: &mut RouteShape) {
        shape.answers.push(AnswerShape { status: 200, content_type: Some("text/html"), schema: None });
    }
}
