//! What an interaction comes to: blocks, forms, errors at fields. Knows no HTML and no language.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Model;
use crate::text::Text;

/// What an interaction comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GuiReply {
    /// Nothing more: a dialog closes.
    Done,
    /// A short word; a dialog closes.
    Notice {
        /// The word.
        text: Text,
    },
    /// The component shows these.
    Blocks {
        /// One below the other.
        blocks: Vec<Block>,
    },
    /// A dialog, or its next step.
    Form(Form),
    /// What was sent does not fit: the form stays, with these at its fields.
    Errors {
        /// Each.
        errors: Vec<FieldError>,
    },
    /// Another page of this server opens.
    Open {
        /// Its path, from the root.
        path: String,
    },
}

impl GuiReply {
    /// A short word; a dialog closes.
    pub fn notice(text: impl Into<Text>) -> Self {
        Self::Notice { text: text.into() }
    }

    /// The component shows these, one below the other.
    pub const fn blocks(blocks: Vec<Block>) -> Self {
        Self::Blocks { blocks }
    }

    /// One error, at the field that this JSON pointer names.
    pub fn error(pointer: &str, message: impl Into<Text>) -> Self {
        Self::Errors { errors: vec![FieldError::new(pointer, message)] }
    }

    /// Shows each text that people read to `change`: whoever sends the reply translates them.
    pub fn for_each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        match self {
            Self::Done | Self::Open { .. } => {}
            Self::Notice { text } => change(text),
            Self::Blocks { blocks } => blocks.iter_mut().for_each(|block| block.for_each_text(change)),
            Self::Form(Form { title, submit, .. }) => [title, submit].into_iter().for_each(change),
            Self::Errors { errors } => errors.iter_mut().for_each(|error| change(&mut error.message)),
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The field, as a JSON pointer into the form's values; empty: the form as a whole.
    pub pointer: String,
    /// What is wrong.
    pub message: Text,
}

impl FieldError {
    /// What is wrong with the field that this JSON pointer names; empty: with the form as a whole.
    pub fn new(pointer: &str, message: impl Into<Text>) -> Self {
        Self { pointer: pointer.to_owned(), message: message.into() }
    }
}

/// A form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Form {
    /// What it is about.
    pub title: Text,
    /// The JSON Schema of its values: an object.
    pub schema: Value,
    /// What its fields have at first.
    #[serde(default)]
    pub values: Value,
    /// The action that is called with its values.
    pub action: String,
    /// What its button says.
    pub submit: Text,
    /// Sent back with the values, under their names: what earlier steps found out. Fields of these names are not shown. The
    /// client can change it: check it again.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub carry: Value,
}

impl Form {
    /// A form for a type, whose values go to this action.
    pub fn of<M: Model>(title: impl Into<Text>, action: &str) -> Self {
        Self {
            title: title.into(),
            schema: schemars::schema_for!(M).to_value(),
            values: Value::Null,
            action: action.to_owned(),
            submit: Text::from("OK"),
            carry: Value::Null,
        }
    }

    /// What its fields have at first: an object.
    #[must_use]
    pub fn values(mut self, values: Value) -> Self {
        self.values = values;
        self
    }

    /// What its button says.
    #[must_use]
    pub fn submit(mut self, words: impl Into<Text>) -> Self {
        self.submit = words.into();
        self
    }

    /// What comes back with the values, from earlier steps: an object.
    #[must_use]
    pub fn carry(mut self, carry: Value) -> Self {
        self.carry = carry;
        self
    }
}

impl From<Form> for GuiReply {
    fn from(form: Form) -> Self {
        Self::Form(form)
    }
}

/// Something that a component shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "block", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Block {
    /// A heading.
    Heading {
        /// The words.
        text: Text,
    },
    /// A paragraph of plain text.
    Text {
        /// The words.
        text: Text,
    },
    /// Text as it is, such as a log.
    Code {
        /// The text.
        text: String,
    },
    /// Names and values.
    Fields {
        /// Each.
        fields: Vec<(Text, Text)>,
    },
    /// Rows and columns.
    Table {
        /// What the columns are.
        columns: Vec<Text>,
        /// The rows.
        rows: Vec<Vec<Text>>,
    },
    /// How far something is, or how full.
    Meter {
        /// What.
        label: Text,
        /// How far.
        value: f64,
        /// When it is there, or full.
        max: f64,
    },
    /// A picture of the plugin's `assets/` or `ui/`.
    Image {
        /// Its path in the crate.
        path: String,
        /// What is to be seen.
        alt: Text,
    },
    /// Buttons.
    Buttons {
        /// Each.
        buttons: Vec<Button>,
    },
    /// A line.
    Divider,
}

impl Block {
    /// A heading.
    pub fn heading(text: impl Into<Text>) -> Self {
        Self::Heading { text: text.into() }
    }

    /// A paragraph of plain text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Buttons.
    pub const fn buttons(buttons: Vec<Button>) -> Self {
        Self::Buttons { buttons }
    }

    fn for_each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        match self {
            Self::Heading { text } | Self::Text { text } => change(text),
            Self::Fields { fields } => fields.iter_mut().for_each(|(name, value)| {
                change(name);
                change(value);
            }),
            Self::Table { columns, rows } => {
                columns.iter_mut().chain(rows.iter_mut().flatten()).for_each(change);
            }
            Self::Meter { label, .. } => change(label),
            Self::Image { alt, .. } => change(alt),
            Self::Buttons { buttons } => buttons.iter_mut().for_each(|button| {
                change(&mut button.label);
                button.confirm.iter_mut().for_each(&mut *change);
            }),
            Self::Code { .. } | Self::Divider => {}
        }
    }
}

/// A button.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Button {
    /// What it says.
    pub label: Text,
    /// The action that is called.
    pub action: String,
    /// What the action is given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub values: Value,
    /// Asked before it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Text>,
}

impl Button {
    /// A button that calls this action with these values.
    pub fn new(label: impl Into<Text>, action: &str, values: Value) -> Self {
        Self { label: label.into(), action: action.to_owned(), values, confirm: None }
    }

    /// Asks this first.
    #[must_use]
    pub fn confirm(mut self, question: impl Into<Text>) -> Self {
        self.confirm = Some(question.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(reply: impl Into<GuiReply>, wire: Value, texts: &[&str]) {
        let mut reply = reply.into();
        assert_eq!(serde_json::to_value(&reply).unwrap(), wire);
        assert_eq!(serde_json::from_value::<GuiReply>(wire).unwrap(), reply);
        let mut seen = Vec::new();
        reply.for_each_text(&mut |text| {
            if let Text::Plain(words) = text {
                seen.push(words.to_string());
            }
        });
        assert_eq!(seen, texts);
    }

    #[test]
    fn what_is_sent_has_one_shape_and_every_text_of_it_can_be_translated() {
        check(GuiReply::Done, json!({ "type": "done" }), &[]);
        check(GuiReply::notice("saved"), json!({ "type": "notice", "text": "saved" }), &["saved"]);
        check(GuiReply::Open { path: "/ui".into() }, json!({ "type": "open", "path": "/ui" }), &[]);
        check(
            GuiReply::error("/name", "taken"),
            json!({ "type": "errors", "errors": [{ "pointer": "/name", "message": "taken" }] }),
            &["taken"],
        );
        let form = Form {
            title: "New".into(),
            schema: json!({ "type": "object" }),
            values: Value::Null,
            action: "make".into(),
            submit: "Make".into(),
            carry: Value::Null,
        };
        check(
            form.values(json!({ "a": 1 })).carry(json!({ "step": 1 })),
            json!({
                "type": "form", "title": "New", "schema": { "type": "object" }, "values": { "a": 1 }, "action": "make",
                "submit": "Make", "carry": { "step": 1 },
            }),
            &["New", "Make"],
        );
    }

    #[test]
    fn every_block_has_its_shape() {
        let button = Button::new("Go", "go", json!({ "id": 1 })).confirm("Sure?");
        let blocks = vec![
            Block::heading("Head"),
            Block::text("Text"),
            Block::Code { text: "code".into() },
            Block::Fields { fields: vec![("name".into(), "value".into())] },
            Block::Table { columns: vec!["column".into()], rows: vec![vec!["cell".into()]] },
            Block::Meter { label: "full".into(), value: 1.0, max: 2.0 },
            Block::Image { path: "assets/logo.svg".into(), alt: "logo".into() },
            Block::buttons(vec![button]),
            Block::Divider,
        ];
        check(
            GuiReply::blocks(blocks),
            json!({ "type": "blocks", "blocks": [
                { "block": "heading", "text": "Head" },
                { "block": "text", "text": "Text" },
                { "block": "code", "text": "code" },
                { "block": "fields", "fields": [["name", "value"]] },
                { "block": "table", "columns": ["column"], "rows": [["cell"]] },
                { "block": "meter", "label": "full", "value": 1.0, "max": 2.0 },
                { "block": "image", "path": "assets/logo.svg", "alt": "logo" },
                { "block": "buttons", "buttons": [
                    { "label": "Go", "action": "go", "values": { "id": 1 }, "confirm": "Sure?" },
                ] },
                { "block": "divider" },
            ] }),
            &["Head", "Text", "name", "value", "column", "cell", "full", "logo", "Go", "Sure?"],
        );
    }
}
