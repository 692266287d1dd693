//! What a PlexiChat plugin is written against.
//!
//! A plugin is a crate with [`macro@plugin`] on one type. The attribute makes its manifest and its configuration's schema
//! and registers it; `cargo xtask` links the chosen set into one static binary.

// Generated code names `::plexichat`, in this crate's own tests too.
#[allow(unused_extern_crates, reason = "only tests and examples name it")]
extern crate self as plexichat;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod ai;
#[cfg(feature = "archives")]
pub mod archive;
pub mod asset;
#[cfg(feature = "host")]
pub mod assistant;
mod attributes;
#[cfg(feature = "host")]
pub mod automation;
#[cfg(feature = "host")]
pub mod breaker;
#[cfg(feature = "host")]
pub mod broker;
pub mod canary;
pub mod capability;
#[cfg(feature = "host")]
pub mod catalog;
#[cfg(feature = "host")]
pub mod cause;
pub mod command;
pub mod context;
pub mod descriptor;
#[cfg(feature = "host")]
pub mod dispatch;
pub mod error;
pub mod event;
pub mod file;
pub mod fold;
#[cfg(feature = "host")]
pub mod guard;
#[cfg(feature = "host")]
pub mod host;
pub mod id;
#[cfg(feature = "host")]
pub mod incident;
#[cfg(feature = "host")]
pub mod isolation;
#[cfg(feature = "host")]
pub mod lifecycle;
pub mod login;
#[cfg(feature = "host")]
pub mod manager;
pub mod manifest;
pub mod message;
#[cfg(feature = "host")]
pub mod order;
pub mod permission;
#[cfg(feature = "host")]
pub mod pipeline;
pub mod plugin;
pub mod prelude;
pub mod problem;
pub mod registry;
pub mod reply;
#[cfg(feature = "host")]
pub mod routes;
pub mod schema;
pub mod secret;
#[cfg(feature = "host")]
pub mod settings;
pub mod sse;
#[cfg(feature = "host")]
pub mod standing;
#[cfg(feature = "host")]
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod tool;
#[cfg(feature = "host")]
pub mod toolbox;
#[cfg(feature = "host")]
pub mod translate;
pub mod trigger;
#[cfg(feature = "host")]
pub mod watchdog;
pub mod workflow;

pub use descriptor::Descriptor;

pub use attributes::{config, event, handlers, model, plugin, role, t, test};

/// The plugin on the front page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// What authors of automations read compiles.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/automation.md")]
struct AutomationGuide;

/// The plugins of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/interfaces.md")]
struct Interfaces;
