//! What a plugin is told when somebody opens a component, presses a button or sends a form. Knows no answer but the one to values
//! that do not fit.

use serde_json::Value;

use super::reply::{FieldError, GuiReply};
use crate::command::Model;
use crate::id::{MessageId, RoomId};
use crate::plugin::interface::Caller;
use crate::problem::Problem;
use crate::schema;

/// The action with which a component is asked what it shows.
pub const OPEN: &str = "open";

/// Somebody opened a component, pressed a button or sent a form.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Interaction {
    /// The component.
    pub component: String,
    /// What was asked: [`OPEN`], or the action of a button or a form.
    pub action: String,
    /// Who.
    pub caller: Caller,
    /// In which room.
    pub room_id: Option<RoomId>,
    /// On which message.
    pub message_id: Option<MessageId>,
    /// What the form or the button says; an object. It came from the client: check it.
    pub values: Value,
    /// The language that they read, such as `de`.
    pub language: String,
    /// The request's identifier in logs.
    pub request_id: String,
}

impl Interaction {
    /// An interaction without values; hosts and tests make these.
    pub fn new(component: &str, action: &str, caller: Caller) -> Self {
        Self {
            component: component.to_owned(),
            action: action.to_owned(),
            caller,
            room_id: None,
            message_id: None,
            values: Value::Object(serde_json::Map::new()),
            language: "en".to_owned(),
            request_id: String::new(),
        }
    }

    /// The values as a type: held against its schema, read, then checked by its rules.
    ///
    /// # Errors
    /// Every mistake at its field, to be answered as it is: the form stays, with these beside its fields.
    ///
    /// # Examples
    /// ```
    /// use plexichat::plugin::gui::{GuiReply, Interaction};
    ///
    /// #[plexichat::model]
    /// struct Reminder {
    ///     /// What to be reminded of.
    ///     #[garde(length(min = 1, max = 200))]
    ///     text: String,
    /// }
    ///
    /// async fn send(interaction: Interaction) -> plexichat::error::Result<GuiReply> {
    ///     let reminder: Reminder = match interaction.read() {
    ///         Ok(reminder) => reminder,
    ///         Err(errors) => return Ok(errors),
    ///     };
    ///     Ok(GuiReply::notice(format!("I shall remind you: {}", reminder.text)))
    /// }
    /// # let _ = send;
    /// ```
    #[expect(clippy::result_large_err, reason = "the error is the answer itself, moved once")]
    pub fn read<M: Model>(&self) -> Result<M, GuiReply> {
        let schema = schemars::schema_for!(M).to_value();
        let problems = schema::findings(&schema, &self.values);
        if !problems.is_empty() {
            return Err(errors(problems));
        }
        let read: Result<M, _> = serde_path_to_error::deserialize(&self.values);
        let value = read.map_err(|error| {
            let pointer = schema::serde_pointer(error.path());
            errors(vec![Problem::new(pointer, error.inner().to_string())])
        })?;
        match garde::Validate::validate(&value) {
            Ok(()) => Ok(value),
            Err(report) => Err(errors(schema::garde_problems(&report))),
        }
    }
}

fn errors(problems: Vec<Problem>) -> GuiReply {
    let at_field = |problem: Problem| FieldError::new(&problem.pointer, problem.message);
    GuiReply::Errors { errors: problems.into_iter().map(at_field).collect() }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    #[derive(Debug, serde::Deserialize, schemars::JsonSchema, garde::Validate)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[garde(length(chars, min = 2))]
        name: String,
        #[garde(skip)]
        #[serde(default)]
        parts: Vec<u8>,
    }

    impl Model for Sample {
        const FIELDS: &'static [&'static str] = &["name", "parts"];
    }

    #[track_caller]
    fn check(values: Value, expected: Expect) {
        let mut interaction = Interaction::new("form", "send", Caller::nobody());
        interaction.values = values;
        let found = match interaction.read::<Sample>() {
            Ok(sample) => format!("{} {:?}", sample.name, sample.parts),
            Err(GuiReply::Errors { errors }) => {
                let line = |error: &FieldError| format!("{}: {:?}", error.pointer, error.message);
                errors.iter().map(line).collect::<Vec<_>>().join("\n")
            }
            Err(other) => panic!("{other:?}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn values_become_a_type_or_errors_at_their_fields() {
        check(json!({ "name": "ann", "parts": [1] }), expect!["ann [1]"]);
        check(
            json!({ "parts": [1, "two"] }),
            expect![[r#"
            /name: Plain("is required and missing")
            /parts/1: Plain("expected a whole number, found text")"#]],
        );
        check(json!({ "name": "ann", "parts": [1, 300] }), expect![[r#"/parts/1: Plain("must be at most 255")"#]]);
        check(json!({ "name": "a" }), expect![[r#"/name: Plain("must have at least 2 characters, has 1")"#]]);
        check(json!({ "name": "ann", "nmae": "bob" }), expect![[r#"/nmae: Plain("unknown key `nmae`")"#]]);
        check(json!([]), expect![[r#": Plain("expected a table, found a list")"#]]);
    }
}
