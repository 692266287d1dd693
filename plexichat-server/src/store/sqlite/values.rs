//! Between SQLite's values and the words of the API: identifiers, times, enumerations.

use plexichat::message::{ActorKind, MessageState, Origin, Time};
use plexichat::store::StoreError;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{ErrorCode, Row};
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

/// What SQLite's error means to whoever asked.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Unavailable("another program has locked the database".into())
        }
        _ => StoreError::Failed(error.to_string()),
    }
}

/// Whether the file can no longer be trusted: after a failed write to the disk nobody knows what is on it.
pub(super) fn is_fatal(error: &rusqlite::Error) -> bool {
    is_damage(error) || error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// Whether what is in the file makes no sense.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

pub(super) fn identifier<T>(row: &Row<'_>, column: usize, make: fn([u8; 16]) -> T) -> rusqlite::Result<T> {
    row.get(column).map(make)
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Time> {
    row.get(column).map(Time::from_micros)
}

/// The same where there may be none.
pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Time>> {
    row.get::<_, Option<i64>>(column).map(|time| time.map(Time::from_micros))
}

/// SQLite's integers have a sign; what is counted here never comes near its limit.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|count| count.max(0) as u64)
}

/// A count as a bound for SQLite: anything above its integers is above every stored number too.
pub(super) fn bound(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A word such as `user` as the enumeration's value.
pub(super) fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    let word: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(word).map_err(|error| unreadable(column, error))
}

/// The same where there may be none.
pub(super) fn optional_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    if row.get_ref(column)? == ValueRef::Null {
        return Ok(None);
    }
    word(row, column).map(Some)
}

/// JSON as a value.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

/// The same where there may be none.
pub(super) fn optional_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    if row.get_ref(column)? == ValueRef::Null {
        return Ok(None);
    }
    json(row, column).map(Some)
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

pub(super) fn kind_word(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "user",
        ActorKind::Plugin => "plugin",
        ActorKind::Ai => "ai",
        ActorKind::System => "system",
        ActorKind::Webhook => "webhook",
        other => unreachable!("{other:?} has no word yet: add it here, the test below lists them"),
    }
}

pub(super) fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Ui => "ui",
        Origin::Rest => "rest",
        Origin::Ws => "ws",
        Origin::Openai => "openai",
        Origin::Webhook => "webhook",
        Origin::Plugin => "plugin",
        Origin::System => "system",
        Origin::Scheduled => "scheduled",
        other => unreachable!("{other:?} has no word yet: add it here, the test below lists them"),
    }
}

pub(super) fn state_word(state: MessageState) -> &'static str {
    match state {
        MessageState::Stored => "stored",
        MessageState::Quarantined => "quarantined",
        MessageState::Unscanned => "unscanned",
        MessageState::Deleted => "deleted",
        other => unreachable!("{other:?} has no word yet: add it here, the test below lists them"),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use schemars::{JsonSchema, schema_for};
    use serde::Serialize;

    use super::*;

    /// Every variant that the type's schema names is written with the word by which it is read.
    #[track_caller]
    fn check<T: JsonSchema + Serialize + DeserializeOwned + Debug>(word: fn(T) -> &'static str) {
        let schema = schema_for!(T).to_value();
        let variants = schema["oneOf"].as_array().expect("documented variants");
        assert!(variants.len() > 2);
        for variant in variants {
            let expected = variant["const"].as_str().expect("a word");
            let value: T = serde_json::from_value(variant["const"].clone()).expect("a variant");
            assert_eq!(word(value), expected);
        }
    }

    #[test]
    fn every_variant_has_its_word() {
        check(kind_word);
        check(origin_word);
        check(state_word);
    }
}
