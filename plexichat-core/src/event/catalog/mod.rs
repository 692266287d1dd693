//! Every event that the server emits: its name and its data. Knows no emitter.

macro_rules! catalog {
    ($(
        $(#[$doc:meta])*
        $type:ident = $name:literal $(, carries $content:ident)? {
            $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)*
        }
    )*) => {
        /// The names of these events, in their order.
        pub(super) const NAMES: &[&str] = &[$($name,)*];

        /// Those of them whose data carries what people wrote.
        pub(super) const WITH_CONTENT: &[&str] = &[$($(catalog!(@content $content $name),)?)*];

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
        pub(super) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, schemars::schema_for!($type)),)*]
        }
    };
    (@content content $name:literal) => { $name };
    (@true content) => { true };
}

mod chat;
mod host;

pub use chat::*;
pub use host::*;

/// The names of all events of the catalogue, in its order.
pub const NAMES: &[&str] = &joined::<{ chat::NAMES.len() + host::NAMES.len() }>(chat::NAMES, host::NAMES);

/// The events whose data carries what people wrote: a handler needs `UserDataAccess`.
pub const WITH_CONTENT: &[&str] =
    &joined::<{ chat::WITH_CONTENT.len() + host::WITH_CONTENT.len() }>(chat::WITH_CONTENT, host::WITH_CONTENT);

/// Each event's name and the JSON Schema of its data.
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    chat::schemas().into_iter().chain(host::schemas()).collect()
}

/// Two lists as one, in a constant.
const fn joined<const N: usize>(first: &[&'static str], second: &[&'static str]) -> [&'static str; N] {
    let mut all = [""; N];
    let mut index = 0;
    while index < N {
        all[index] = if index < first.len() { first[index] } else { second[index - first.len()] };
        index += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Payload;
    use super::*;

    #[test]
    fn names_are_distinct_and_snake_case() {
        let distinct: std::collections::BTreeSet<_> = NAMES.iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
        for name in NAMES {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }

    #[test]
    fn only_messages_carry_what_people_wrote() {
        assert_eq!(WITH_CONTENT, ["user_message", "message_received", "message_updated"]);
        const { assert!(MessageUpdated::CARRIES_CONTENT && !MessageRejected::CARRIES_CONTENT) };
        for (name, schema) in schemas() {
            let has_text = schema.as_value().pointer("/properties/text").is_some();
            assert_eq!(has_text, WITH_CONTENT.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_field_is_documented() {
        for (name, schema) in schemas() {
            let properties = schema.get("properties").and_then(serde_json::Value::as_object);
            for (field, schema) in properties.into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{field}");
            }
        }
    }
}
