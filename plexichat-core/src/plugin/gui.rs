//! What interfaces add to pages: components, what they show, and what their buttons and dialogs call. Knows no HTML.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Model;
use crate::error::{PluginError, Result};
use crate::id::{MessageId, RoomId};
use crate::plugin::interface::Caller;
use crate::text::Text;

/// The action with which a component is asked what it shows.
pub const OPEN: &str = "open";

/// A place on the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Slot {
    /// An entry of the main menu.
    MenuItem,
    /// A part of the settings.
    SettingsPanel,
    /// A part of the dashboard.
    DashboardWidget,
    /// Something to do with a message.
    MessageAction,
    /// Something to do with a room.
    RoomAction,
    /// Something to do while writing.
    ComposerAction,
    /// A part of what stands right of a room.
    RightSidebar,
}

impl Slot {
    /// Every slot there is.
    pub const ALL: &'static [Self] = &[
        Self::MenuItem,
        Self::SettingsPanel,
        Self::DashboardWidget,
        Self::MessageAction,
        Self::RoomAction,
        Self::ComposerAction,
        Self::RightSidebar,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MenuItem => "menu_item",
            Self::SettingsPanel => "settings_panel",
            Self::DashboardWidget => "dashboard_widget",
            Self::MessageAction => "message_action",
            Self::RoomAction => "room_action",
            Self::ComposerAction => "composer_action",
            Self::RightSidebar => "right_sidebar",
        }
    }
}

/// Who sees a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody who is signed in.
    Everyone,
    /// Moderators and administrators.
    Moderators,
    /// Administrators.
    Admins,
}

/// A kind of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Everybody finds it.
    Public,
    /// Its members find it.
    Private,
    /// A few people talk in it.
    Direct,
}

/// What is known of a component without an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentSpec {
    /// Its name, unique in its plugin: words of lower-case letters and digits joined by `-`.
    pub id: String,
    /// Where it stands.
    pub slot: Slot,
    /// What it is called.
    pub label: Text,
    /// How it is shown.
    pub view: ViewKind,
    /// Lower ones stand first; plugins' names decide among equals.
    pub weight: i32,
    /// Who sees it.
    pub audience: Audience,
    /// In which kinds of rooms it stands; in all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub room_kinds: Vec<RoomKind>,
}

/// How a component is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ViewKind {
    /// A page of the plugin's `ui/`, in a sandboxed frame.
    Page {
        /// Its path in the crate, such as `ui/page.html`.
        path: String,
    },
    /// What its handler answers.
    Handler,
    /// A form made from the plugin's configuration schema, for administrators.
    Config,
}

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

    /// The values as a type; where they do not fit, what to answer: the form again with an error at each field.
    ///
    /// # Errors
    /// The errors, to be answered with [`GuiReply::Errors`].
    pub fn read<M: Model>(&self) -> std::result::Result<M, GuiReply> {
        let read: std::result::Result<M, _> = serde_path_to_error::deserialize(&self.values);
        let value = read.map_err(|error| {
            let pointer = format!("/{}", error.path().to_string().replace(['.', '['], "/").replace(']', ""));
            GuiReply::Errors(vec![FieldError { pointer, message: Text::from(error.inner().to_string()) }])
        })?;
        match garde::Validate::validate(&value) {
            Ok(()) => Ok(value),
            Err(report) => Err(GuiReply::Errors(
                report
                    .iter()
                    .map(|(path, error)| FieldError {
                        pointer: format!("/{}", path.to_string().replace(['.', '['], "/").replace(']', "")),
                        message: Text::from(error.to_string()),
                    })
                    .collect(),
            )),
        }
    }
}

/// What an interaction comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    Errors(Vec<FieldError>),
    /// Another page of this server opens.
    Open {
        /// Its path, from the root.
        path: String,
    },
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field, as a JSON pointer into the form's values; empty: the form as a whole.
    pub pointer: String,
    /// What is wrong.
    pub message: Text,
}

/// A form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Sent back with the values, under their names: what earlier steps found out. The client can change it.
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
}

/// Something that a component shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// A button.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

type InteractionFn<T> = Arc<dyn Fn(Arc<T>, Interaction) -> BoxFuture<'static, Result<GuiReply>> + Send + Sync>;

/// How a component of `T` is shown: a page's path, or a method `async fn(self: Arc<Self>, Interaction) -> Result<GuiReply>`.
pub trait IntoView<T, Marker> {
    /// What is known of it, and what is called.
    fn into_view(self) -> (ViewKind, Option<InteractionFn<T>>);
}

/// Tells [`IntoView`] a page.
#[derive(Debug)]
pub struct IsPage;

impl<T> IntoView<T, IsPage> for &'static str {
    fn into_view(self) -> (ViewKind, Option<InteractionFn<T>>) {
        (ViewKind::Page { path: self.to_owned() }, None)
    }
}

/// Tells [`IntoView`] a method.
#[derive(Debug)]
pub struct IsHandler;

impl<T, F, R> IntoView<T, (IsHandler, R)> for F
where
    F: Fn(Arc<T>, Interaction) -> R + Send + Sync + 'static,
    R: Future<Output = Result<GuiReply>> + Send + 'static,
{
    fn into_view(self) -> (ViewKind, Option<InteractionFn<T>>) {
        (ViewKind::Handler, Some(Arc::new(move |plugin, interaction| Box::pin(self(plugin, interaction)))))
    }
}

/// The components of the plugin `T`, being named. What is said of weight, audience and rooms is said of the one named last.
#[must_use = "a component counts where it is returned"]
pub struct Gui<T> {
    components: Vec<(ComponentSpec, Option<InteractionFn<T>>)>,
}

macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident = $slot:ident;)*) => {
        impl<T> Gui<T> {
            $($(#[$doc])*
            pub fn $name<M>(self, id: &str, label: impl Into<Text>, view: impl IntoView<T, M>) -> Self {
                let (view, handler) = view.into_view();
                self.component(Slot::$slot, id, label.into(), view, handler)
            })*
        }
    };
}

slots! {
    /// An entry of the main menu.
    menu_item = MenuItem;
    /// A part of the settings.
    settings_panel = SettingsPanel;
    /// A part of the dashboard.
    dashboard_widget = DashboardWidget;
    /// Something to do with a message: [`Interaction::message_id`] says which.
    message_action = MessageAction;
    /// Something to do with a room: [`Interaction::room_id`] says which.
    room_action = RoomAction;
    /// Something to do while writing; what was written so far is the value `text`.
    composer_action = ComposerAction;
    /// A part of what stands right of a room.
    right_sidebar = RightSidebar;
}

impl<T> Gui<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { components: Vec::new() }
    }

    /// A settings panel that is a form made from the plugin's configuration schema; what is sent becomes its configuration.
    /// For administrators.
    pub fn config_panel(self, label: impl Into<Text>) -> Self {
        self.component(Slot::SettingsPanel, "config", label.into(), ViewKind::Config, None).audience(Audience::Admins)
    }

    /// Lower ones stand first; 0 otherwise.
    pub fn weight(self, weight: i32) -> Self {
        self.with(|spec| spec.weight = weight)
    }

    /// Who sees it; everyone who is signed in otherwise.
    pub fn audience(self, audience: Audience) -> Self {
        self.with(|spec| spec.audience = audience)
    }

    /// In which kinds of rooms it stands; in all otherwise.
    pub fn in_rooms(self, kinds: &[RoomKind]) -> Self {
        self.with(|spec| spec.room_kinds = kinds.to_vec())
    }

    fn component(
        mut self,
        slot: Slot,
        id: &str,
        label: Text,
        view: ViewKind,
        handler: Option<InteractionFn<T>>,
    ) -> Self {
        let (weight, audience, room_kinds) = (0, Audience::Everyone, Vec::new());
        let spec = ComponentSpec { id: id.to_owned(), slot, label, view, weight, audience, room_kinds };
        self.components.push((spec, handler));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut ComponentSpec)) -> Self {
        if let Some((last, _)) = self.components.last_mut() {
            change(last);
        }
        self
    }

    /// What is known of each, in the order in which they were named.
    pub fn specs(&self) -> impl Iterator<Item = &ComponentSpec> {
        self.components.iter().map(|(spec, _)| spec)
    }

    pub(crate) fn call(
        &self,
        index: usize,
        plugin: Arc<T>,
        interaction: Interaction,
    ) -> BoxFuture<'static, Result<GuiReply>> {
        match self.components.get(index) {
            Some((_, Some(handler))) => handler(plugin, interaction),
            _ => Box::pin(std::future::ready(Err(PluginError::not_found("this component has nothing to call")))),
        }
    }
}

impl<T> Default for Gui<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Gui<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.specs()).finish()
    }
}
