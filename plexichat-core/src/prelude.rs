//! What every plugin uses: `use plexichat::prelude::*;`. Small on purpose; everything else is imported by its path.

pub use serde_json::{Value, json};

pub use crate::ai::{AiDelta, AiError, AiErrorKind, AiRequest, AiResponse, AiStream, Model};
pub use crate::canary::Canary;
pub use crate::capability::chat::Post;
pub use crate::capability::http::HttpClient;
pub use crate::command::{CommandCall, CommandReply};
pub use crate::context::Context;
pub use crate::error::{PluginError, Result, ResultExt};
pub use crate::event::Event;
pub use crate::event::catalog::{MessageReceived, UserMessage};
pub use crate::file::{FileBody, FileMeta};
pub use crate::login::LoginAttempt;
pub use crate::message::{Finding, MessagePatch, MessageView, ScanError, Verdict};
pub use crate::plugin::ai_provider::AiProvider;
pub use crate::plugin::automation::{Automation, Triggers};
pub use crate::plugin::gui::{Block, Button, Form, Gui, GuiReply, Interaction};
pub use crate::plugin::interface::{
    Auth, Created, Html, Interface, Json, Path, Query, RouteAnswer, RouteCall, RouteRefusal, Routes, Signature, User,
};
pub use crate::plugin::security::Security;
pub use crate::plugin::{Health, NoConfig, Plugin};
pub use crate::reply::{ReplyMode, ReplyView};
pub use crate::secret::Secret;
pub use crate::text::Text;
pub use crate::tool::{ToolAnswer, ToolCall};
pub use crate::trigger::{Misfire, On, Scope, TriggerSpec};
pub use crate::workflow::{Outcome, WorkflowError, WorkflowRun};
