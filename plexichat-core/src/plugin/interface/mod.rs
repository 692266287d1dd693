//! The role of interfaces: routes that a plugin adds, and what it adds to pages. Knows no listener and no HTTP library.
//!
//! A route's handler is a method of the plugin whose arguments say what it needs of a call and whose answer says what
//! comes of it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use plexichat::prelude::*;
//!
//! #[plexichat::plugin(name = "notes", provides(Interface))]
//! pub struct Notes;
//!
//! impl Plugin for Notes {
//!     type Config = NoConfig;
//!     async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
//!         Ok(Self)
//!     }
//! }
//!
//! /// A note.
//! #[plexichat::model]
//! pub struct Note {
//!     /// What it says.
//!     #[garde(length(min = 1, max = 200))]
//!     pub text: String,
//! }
//!
//! #[plexichat::role]
//! impl Interface for Notes {
//!     fn register_routes(routes: Routes<Self>) -> Routes<Self> {
//!         routes.post("/notes", Auth::User, Self::add).summary("Adds a note").rate(30)
//!     }
//! }
//!
//! impl Notes {
//!     async fn add(self: Arc<Self>, user: User, Json(note): Json<Note>) -> Result<Created<Note>> {
//!         Ok(Created(Note { text: format!("{}: {}", user.name(), note.text) }))
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! This is how axum's handlers work, without axum: its types would be in the build of every plugin, its versions in the
//! promise that we give authors, and what takes a call apart could not run in another process than the listener.

mod answer;
mod auth;
mod call;
mod events;
mod extract;
mod handler;
pub(crate) mod pairs;
mod routes;
mod socket;

use serde_json::Value;

use crate::plugin::gui::Gui;

pub use self::answer::{Created, Html, IntoAnswer, Status};
pub use self::auth::{Auth, Caller, Signature, User};
pub use self::call::{RouteAnswer, RouteBody, RouteCall};
pub use self::events::{EventStream, StreamEvent};
pub use self::extract::{FromCall, FromPath, Json, Path, Query};
pub use self::handler::{AnswerShape, PathShape, RouteHandler, RouteShape, SocketHandler, SocketTask};
pub use self::routes::{RouteKind, RouteSpec, Routes};
pub use self::socket::{Socket, SocketMessage, SocketReceive, SocketSend, SocketSender};

/// Adds routes.
///
/// Put `#[plexichat::role]` on the implementation. What it registers is known without an instance: it is in the manifest.
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `provides(Interface)` and does not implement it",
    note = "add `#[plexichat::role] impl Interface for {Self} {{ .. }}`"
)]
pub trait Interface: Send + Sync + 'static {
    /// Names the routes. Each says who may call it.
    fn register_routes(routes: Routes<Self>) -> Routes<Self>
    where
        Self: Sized,
    {
        routes
    }

    /// Names what it adds to the pages.
    fn register_gui_components(gui: Gui<Self>) -> Gui<Self>
    where
        Self: Sized,
    {
        gui
    }

    /// The JSON body of an error that the host answers on this plugin's routes without asking the plugin: to whoever it does
    /// not let in, to a body that is too large, where the plugin does not run or gave no answer. Nothing, as where this is
    /// not written: the shape of all the server's errors. For wire formats that others have laid down.
    fn error_body(refusal: &RouteRefusal<'_>) -> Option<Value>
    where
        Self: Sized,
    {
        let _ = refusal;
        None
    }
}

/// An error that the host answers on a plugin's route.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RouteRefusal<'a> {
    /// The status, such as 401.
    pub status: u16,
    /// The server's code for programs, such as `unauthorized`.
    pub code: &'a str,
    /// What failed.
    pub message: &'a str,
    /// What to do about it.
    pub hint: Option<&'a str>,
    /// The request's identifier in logs.
    pub request_id: &'a str,
}

impl<'a> RouteRefusal<'a> {
    /// An error without a hint; hosts and tests make these.
    pub const fn new(status: u16, code: &'a str, message: &'a str) -> Self {
        Self { status, code, message, hint: None, request_id: "" }
    }
}

/// The first segments of a plugin's relative routes that are the server's own.
pub const RESERVED_SEGMENTS: &[&str] =
    &["schema", "config", "install", "uninstall", "enable", "disable", "release", "-"];
