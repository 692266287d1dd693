//! Incoming webhooks: making them, listing them, taking them away. What is posted to them is `receive.rs`'s. Knows no payload.

use plexichat::capability::storage::Storage;
use plexichat::error::{PluginError, Result};
use plexichat::id::RoomId;
use plexichat::message::Time;
use serde::{Deserialize, Serialize};

use crate::asked::{IncomingAsked, IncomingView, Reads};
use crate::sign;

const PREFIX: &str = "incoming/";

/// So many hooks there may be.
const MOST: usize = 1_000;

/// A hook as it is stored: of the token its hash only, of the secret all, since signatures are made with it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Incoming {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) room_id: RoomId,
    pub(crate) format: Reads,
    pub(crate) template: Option<String>,
    token: String,
    pub(crate) secret: Option<String>,
    created_at: Time,
    created_by: String,
}

impl Incoming {
    pub(crate) fn view(&self) -> IncomingView {
        IncomingView {
            id: self.id.clone(),
            name: self.name.clone(),
            room_id: self.room_id,
            format: self.format,
            template: self.template.clone(),
            signature: self.secret.is_some(),
            created_at: self.created_at,
            created_by: self.created_by.clone(),
        }
    }
}

/// The hooks that there are.
#[derive(Clone)]
pub(crate) struct Book(pub(crate) Storage);

impl Book {
    /// Makes a hook; with the token of its address.
    pub(crate) async fn make(&self, asked: IncomingAsked, by: &str, now: Time) -> Result<(Incoming, String)> {
        if self.0.keys(PREFIX).await?.len() >= MOST {
            return Err(PluginError::input(format!("there are {MOST} incoming webhooks already: delete some")));
        }
        let token = sign::random(24)?;
        let hook = Incoming {
            id: sign::random(8)?,
            name: asked.name,
            room_id: asked.room_id,
            format: asked.format,
            template: asked.template,
            token: sign::digest(&token),
            secret: if asked.signature { Some(sign::random(24)?) } else { None },
            created_at: now,
            created_by: by.to_owned(),
        };
        self.0.set(&key(&hook.id), &hook).await?;
        Ok((hook, token))
    }

    /// Gives a hook another token, and another secret where it has one: the old ones are worth nothing from now on.
    pub(crate) async fn rotate(&self, id: &str) -> Result<(Incoming, String)> {
        let token = sign::random(24)?;
        // Who rotates at once with somebody else gets a token that works, or an error.
        for _ in 0..3 {
            let Some(found) = self.0.get::<Incoming>(&key(id)).await?.filter(|_| is_id(id)) else { break };
            let mut hook = found.value;
            hook.token = sign::digest(&token);
            if hook.secret.is_some() {
                hook.secret = Some(sign::random(24)?);
            }
            if self.0.compare_and_set(&key(id), &hook, found.version).await?.is_some() {
                return Ok((hook, token));
            }
        }
        Err(unknown(id))
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        match is_id(id) && self.0.remove(&key(id)).await? {
            true => Ok(()),
            false => Err(unknown(id)),
        }
    }

    /// All, sorted by their names.
    pub(crate) async fn list(&self) -> Result<Vec<Incoming>> {
        let mut hooks = Vec::new();
        for key in self.0.keys(PREFIX).await? {
            hooks.extend(self.0.get::<Incoming>(&key).await?.map(|found| found.value));
        }
        hooks.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(hooks)
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Incoming> {
        match self.find(id).await? {
            Some(hook) => Ok(hook),
            None => Err(unknown(id)),
        }
    }

    /// The hook of an address.
    pub(crate) async fn known(&self, id: &str, token: &str) -> Result<Option<Incoming>> {
        Ok(self.find(id).await?.filter(|hook| sign::is_token(token, &hook.token)))
    }

    async fn find(&self, id: &str) -> Result<Option<Incoming>> {
        if !is_id(id) {
            return Ok(None);
        }
        Ok(self.0.get::<Incoming>(&key(id)).await?.map(|found| found.value))
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Whether it can be one of ours: it becomes a part of a key.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn unknown(id: &str) -> PluginError {
    let shown: String = id.chars().take(40).collect();
    PluginError::not_found(format!(
        "there is no incoming webhook `{shown}`; GET /api/v1/plugins/webhook/incoming lists them"
    ))
}
