//! Events: what happened, told to every plugin that asked. Knows no bus and no plugin.

#[cfg(feature = "host")]
pub(crate) mod announced;
#[cfg(feature = "host")]
pub mod bus;
pub mod catalog;
#[cfg(feature = "host")]
pub(crate) mod local;

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{EventId, RoomId};
use crate::message::{Actor, Origin, Time};

/// How many times an event may cause another before the chain is cut.
pub const CAUSE_DEPTH_MAX: u8 = 8;

/// The prefix of the events that plugins define.
pub const CUSTOM_PREFIX: &str = "custom.";

/// The data of one type of event.
///
/// The server's are in [`catalog`]; a plugin makes its own with `#[plexichat::event("name")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the data of an event",
    note = "use a type of `plexichat::event::catalog`, or put `#[plexichat::event(\"name\")]` on your own struct"
)]
pub trait Payload: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The event's name on the wire, such as `user_message` or `custom.report_ready`.
    const NAME: &'static str;
    /// Whether the data carries what people wrote, so that a handler needs `UserDataAccess`.
    const CARRIES_CONTENT: bool = false;
    /// The version of the data's shape.
    const SCHEMA_VERSION: u32 = 1;
}

/// One event: the envelope, the same for all, and the data of its type.
#[derive(Clone)]
#[non_exhaustive]
pub struct Event {
    /// Its identifier. An event that is delivered again after a restart has the same one, and
    /// so has what a handler emits about it.
    pub id: EventId,
    /// Its name, such as `user_message` or `custom.report_ready`.
    pub name: Cow<'static, str>,
    /// The version of the data's shape.
    pub schema_version: u32,
    /// When it happened.
    pub time: Time,
    /// Who did it.
    pub actor: Actor,
    /// By which road it came.
    pub origin: Origin,
    /// The room it happened in.
    pub room_id: Option<RoomId>,
    /// Its place in the room.
    pub seq: Option<u64>,
    /// The event that caused it.
    pub cause_id: Option<EventId>,
    /// How many events stand between it and what began the chain.
    pub cause_depth: u8,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Typed(Arc<dyn ErasedPayload>),
    Json(Arc<Value>),
}

trait ErasedPayload: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn to_json(&self) -> serde_json::Result<Value>;
    #[cfg(feature = "host")]
    fn json_length(&self) -> usize;
}

impl<P: Payload> ErasedPayload for P {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    #[cfg(feature = "host")]
    fn json_length(&self) -> usize {
        length::of(self)
    }
}

impl Event {
    /// An event with typed data, done now by the server.
    pub fn new<P: Payload>(payload: P) -> Self {
        Self::build(Cow::Borrowed(P::NAME), P::SCHEMA_VERSION, Data::Typed(Arc::new(payload)))
    }

    /// An event whose data is JSON.
    pub fn json(name: impl Into<Cow<'static, str>>, data: Value) -> Self {
        Self::build(name.into(), 1, Data::Json(Arc::new(data)))
    }

    fn build(name: Cow<'static, str>, schema_version: u32, data: Data) -> Self {
        Self {
            id: EventId::new(),
            name,
            schema_version,
            time: Time::now(),
            actor: Actor::system(),
            origin: Origin::System,
            room_id: None,
            seq: None,
            cause_id: None,
            cause_depth: 0,
            data,
        }
    }

    /// The data as its type, without a round trip through JSON where the emitter was typed too.
    ///
    /// # Errors
    /// [`DecodeError`] where the event is of another type or its JSON does not fit the type.
    pub fn payload<P: Payload>(&self) -> Result<Decoded<'_, P>, DecodeError> {
        let wrong = |reason: String| DecodeError { name: self.name.to_string(), wanted: P::NAME, reason };
        if self.name != P::NAME {
            return Err(wrong("it is another event".to_owned()));
        }
        match &self.data {
            Data::Typed(payload) => match payload.as_any().downcast_ref() {
                Some(payload) => Ok(Decoded(Inner::Borrowed(payload))),
                // The same name from another type, such as two versions of one crate: through JSON.
                None => {
                    let value = payload.to_json().map_err(|error| wrong(error.to_string()))?;
                    serde_json::from_value(value)
                        .map(|payload| Decoded(Inner::Owned(Box::new(payload))))
                        .map_err(|error| wrong(error.to_string()))
                }
            },
            Data::Json(value) => P::deserialize(&**value)
                .map(|payload| Decoded(Inner::Owned(Box::new(payload))))
                .map_err(|error| wrong(error.to_string())),
        }
    }

    /// The data as JSON.
    ///
    /// # Errors
    /// Where the payload's `Serialize` fails.
    pub fn data(&self) -> serde_json::Result<Value> {
        match &self.data {
            Data::Typed(payload) => payload.to_json(),
            Data::Json(value) => Ok((**value).clone()),
        }
    }

    /// About how many bytes it takes while it waits: those of its data as JSON text, and the envelope.
    #[cfg(feature = "host")]
    pub(crate) fn size(&self) -> usize {
        let data = match &self.data {
            Data::Typed(payload) => payload.json_length(),
            Data::Json(value) => length::of(&**value),
        };
        size_of::<Self>() + self.name.len() + data
    }
}

#[cfg(feature = "host")]
mod length {
    use std::io;

    /// How long a value is as JSON text, without making the text. What cannot be written counts up to where it fails.
    pub(super) fn of(value: &impl serde::Serialize) -> usize {
        let mut length = Length(0);
        let _ = serde_json::to_writer(&mut length, value);
        length.0
    }

    struct Length(usize);

    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the data: it may carry what people wrote, and logs must not.
        write!(formatter, "Event({} {})", self.name, self.id)
    }
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            id: EventId,
            #[serde(rename = "type")]
            name: &'a str,
            schema_version: u32,
            time: Time,
            actor: &'a Actor,
            origin: Origin,
            #[serde(skip_serializing_if = "Option::is_none")]
            room_id: Option<RoomId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            seq: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cause_id: Option<EventId>,
            cause_depth: u8,
            data: Value,
        }
        Wire {
            id: self.id,
            name: &self.name,
            schema_version: self.schema_version,
            time: self.time,
            actor: &self.actor,
            origin: self.origin,
            room_id: self.room_id,
            seq: self.seq,
            cause_id: self.cause_id,
            cause_depth: self.cause_depth,
            data: self.data().map_err(serde::ser::Error::custom)?,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            id: EventId,
            #[serde(rename = "type")]
            name: String,
            schema_version: u32,
            time: Time,
            actor: Actor,
            origin: Origin,
            room_id: Option<RoomId>,
            seq: Option<u64>,
            cause_id: Option<EventId>,
            cause_depth: u8,
            data: Value,
        }
        let wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            id: wire.id,
            name: wire.name.into(),
            schema_version: wire.schema_version,
            time: wire.time,
            actor: wire.actor,
            origin: wire.origin,
            room_id: wire.room_id,
            seq: wire.seq,
            cause_id: wire.cause_id,
            cause_depth: wire.cause_depth,
            data: Data::Json(Arc::new(wire.data)),
        })
    }
}

/// An event's data, borrowed where it could be.
pub struct Decoded<'a, P>(Inner<'a, P>);

enum Inner<'a, P> {
    Borrowed(&'a P),
    Owned(Box<P>),
}

impl<P> Deref for Decoded<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        match &self.0 {
            Inner::Borrowed(payload) => payload,
            Inner::Owned(payload) => payload,
        }
    }
}

/// An event's data does not fit the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event `{name}` cannot be read as `{wanted}`: {reason}")]
pub struct DecodeError {
    name: String,
    wanted: &'static str,
    reason: String,
}

impl From<DecodeError> for crate::error::PluginError {
    fn from(error: DecodeError) -> Self {
        Self::input(error.to_string())
    }
}

/// Which events a handler asks for: a name, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern(Cow<'static, str>);

impl Pattern {
    /// A pattern that the macro checked.
    pub const fn linked(pattern: &'static str) -> Self {
        Self(Cow::Borrowed(pattern))
    }

    /// A pattern given at run time.
    ///
    /// # Errors
    /// Where it is neither `*`, nor in the catalogue, nor `custom.<name>`.
    pub fn new(pattern: impl Into<String>) -> Result<Self, UnknownEvent> {
        let pattern = pattern.into();
        let known = pattern == "*" || pattern.starts_with(CUSTOM_PREFIX) || catalog::NAMES.contains(&pattern.as_str());
        if !known {
            let near = crate::problem::nearest(&pattern, catalog::NAMES.iter().copied()).map(str::to_owned);
            return Err(UnknownEvent { pattern, near });
        }
        Ok(Self(pattern.into()))
    }

    /// Whether an event of this name is asked for.
    pub fn matches(&self, name: &str) -> bool {
        self.0 == "*" || self.0 == name
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// No event has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event `{pattern}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownEvent {
    pattern: String,
    near: Option<String>,
}

impl From<UnknownEvent> for crate::error::PluginError {
    fn from(error: UnknownEvent) -> Self {
        Self::input(error.to_string())
    }
}
