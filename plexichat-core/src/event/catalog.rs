//! Every event that the server emits: its name and its data. Knows no emitter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Payload;
use crate::id::{MessageId, RoomId};
use crate::message::ActorKind;

macro_rules! catalog {
    ($(
        $(#[$doc:meta])*
        $type:ident = $name:literal $(, carries $content:ident)? {
            $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)*
        }
    )*) => {
        /// The names of all events of the catalogue, in its order.
        pub const NAMES: &[&str] = &[$($name,)*];

        /// The events whose data carries what people wrote: a handler needs `UserDataAccess`.
        pub const WITH_CONTENT: &[&str] = &[$($(catalog!(@content $content $name),)?)*];

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[non_exhaustive]
            pub struct $type {
                $($(#[$field_doc])* pub $field: $field_type,)*
            }

            impl Payload for $type {
                const NAME: &'static str = $name;
                $(const CARRIES_CONTENT: bool = catalog!(@true $content);)?
            }

            impl $type {
                /// The event's data.
                #[allow(clippy::too_many_arguments, clippy::new_without_default, reason = "one argument a field")]
                pub fn new($($field: $field_type),*) -> Self {
                    Self { $($field),* }
                }
            }
        )*

        /// Each event's name and the JSON Schema of its data.
        pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, schemars::schema_for!($type)),)*]
        }
    };
    (@content content $name:literal) => { $name };
    (@true content) => { true };
}

catalog! {
    /// A person's message was stored.
    UserMessage = "user_message", carries content {
        /// The message.
        message_id: MessageId,
        /// The room it was posted in.
        room_id: RoomId,
        /// What was written.
        text: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// The names it mentions, without the `@`.
        mentions: Vec<String>,
    }
    /// A message was stored, whoever wrote it.
    MessageReceived = "message_received", carries content {
        /// The message.
        message_id: MessageId,
        /// The room it was posted in.
        room_id: RoomId,
        /// What was written.
        text: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// The names it mentions, without the `@`.
        mentions: Vec<String>,
        /// What kind of being wrote it.
        author_kind: ActorKind,
    }
}
