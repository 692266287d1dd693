//! `/api/v1/presence`: who is here. Who comes and goes is told live; this is for whoever has just come.

use std::sync::Arc;

use axum::extract::State;
use plexichat::id::UserId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::extract::Query;
use super::output::Shown;
use crate::error::{ApiError, Finding};
use crate::live::presence::Status;

/// How many people may be asked for at once.
const PEOPLE_MAX: usize = 100;

/// Of whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct People {
    /// Their identifiers, with commas between them: 1 to 100.
    users: String,
}

/// Who is here.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PresenceList {
    /// Each person who was asked for, in that order. Who is not known is offline.
    presence: Vec<PersonPresence>,
}

/// Whether somebody is here.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonPresence {
    /// The person.
    user_id: UserId,
    /// How they are.
    status: Status,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(people): Query<People>,
) -> Result<Shown<PresenceList>, ApiError> {
    let users = parse(&people.users)?;
    let presence = users.into_iter().map(|user_id| PersonPresence { user_id, status: app.hub.status(user_id) });
    Ok(Shown(PresenceList { presence: presence.collect() }))
}

fn parse(users: &str) -> Result<Vec<UserId>, ApiError> {
    let wrong = |message: String| {
        let finding = Finding { pointer: "/users".to_owned(), message: message.clone() };
        ApiError {
            details: vec![finding],
            ..ApiError::bad_request("bad_query", format!("the query string: {message}"))
        }
    };
    let names: Vec<&str> = users.split(',').take(PEOPLE_MAX + 1).collect();
    if names.len() > PEOPLE_MAX {
        return Err(wrong(format!("`users` has more than {PEOPLE_MAX} identifiers")));
    }
    let user = |name: &str| name.parse().map_err(|_| wrong("`users` has what is no identifier".to_owned()));
    names.into_iter().map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_with_commas() {
        let (one, two) = (UserId::new(), UserId::new());
        assert_eq!(parse(&format!("{one},{two}")).unwrap(), [one, two]);
        let many = vec![one.to_string(); PEOPLE_MAX + 1].join(",");
        for wrong in ["", ",", "x", &format!("{one},"), &many] {
            let error = parse(wrong).unwrap_err();
            assert_eq!((error.status.as_u16(), error.code), (400, "bad_query"), "{wrong}");
        }
    }
}
