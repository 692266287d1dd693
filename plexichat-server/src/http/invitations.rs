//! `/api/v1/invitations`: with one, somebody makes an account.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::{By, Caller};
use super::extract::{Json, Path};
use super::output::{Created, Gone, Shown};
use crate::error::{ApiError, Finding};
use crate::store::{InvitationId, InvitationInfo, Role};

/// How long an invitation lasts where nothing is said, in seconds.
const LASTS: u64 = 7 * 24 * 60 * 60;
/// How long one may last.
const LASTS_MAX: u64 = 365 * 24 * 60 * 60;
/// How many accounts may be made with one.
const USES_MAX: u32 = 1000;

/// An invitation to be made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitation {
    /// What whoever uses it may do: `user` where nothing is said.
    role: Option<Role>,
    /// How many accounts may be made with it: 1 to 1000, 1 where nothing is said.
    #[schemars(range(min = 1, max = 1000))]
    uses: Option<NonZeroU32>,
    /// For how many seconds it counts: 7 days where nothing is said, a year at most.
    #[schemars(range(min = 1, max = 31_536_000))]
    expires_in: Option<u64>,
}

/// An invitation that was made. The secret is shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MadeInvitation {
    /// What to send to whoever is invited.
    invitation: String,
    #[serde(flatten)]
    info: InvitationInfo,
}

/// Invitations that count, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InvitationList {
    /// The invitations.
    invitations: Vec<InvitationInfo>,
}

/// The address of an invitation.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct InvitationAddress {
    /// The invitation's identifier.
    id: InvitationId,
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    By(act): By,
    Json(new): Json<NewInvitation>,
) -> Result<Created<MadeInvitation>, ApiError> {
    let uses = new.uses.map_or(1, NonZeroU32::get);
    if uses > USES_MAX {
        return Err(finding("/uses", &format!("must be at most {USES_MAX}")));
    }
    let lasts = new.expires_in.unwrap_or(LASTS);
    if !(1..=LASTS_MAX).contains(&lasts) {
        return Err(finding("/expires_in", &format!("must be 1 to {LASTS_MAX} seconds")));
    }
    let role = new.role.unwrap_or(Role::User);
    let lasts = Duration::from_secs(lasts);
    let (secret, info) = app.sign_in.invite(caller.user().id, role, uses, lasts, act).await?;
    tracing::info!(invitation = %info.id, by = %caller.user().id, "an invitation was made");
    Ok(Created(MadeInvitation { invitation: secret.expose().to_owned(), info }))
}

pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Shown<InvitationList>, ApiError> {
    Ok(Shown(InvitationList { invitations: app.store.invitations().await? }))
}

pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    By(act): By,
    Path(address): Path<InvitationAddress>,
) -> Result<Gone, ApiError> {
    match app.store.remove_invitation(address.id, act).await? {
        true => Ok(Gone),
        false => Err(ApiError::not_found("there is no such invitation")),
    }
}

fn finding(pointer: &str, message: &str) -> ApiError {
    let finding = Finding { pointer: pointer.to_owned(), message: message.to_owned() };
    ApiError::invalid("the invitation cannot be made like this", vec![finding])
}
