//! Outgoing webhooks: making them, switching them on and off, taking them away, each with the trigger that waits for its events.
//! What is sent is `compose.rs`'s, how `deliver.rs`'s. Knows no route.

use std::collections::BTreeMap;

use plexichat::capability::storage::Storage;
use plexichat::capability::triggers::TriggerBook;
use plexichat::error::{ErrorKind, PluginError, Result, ResultExt};
use plexichat::id::RoomId;
use plexichat::message::Time;
use plexichat::secret::{MASK, Secret};
use plexichat::trigger::{Condition, Matches, On, RunPolicy, Scope, TriggerSpec};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::asked::{OutgoingAsked, OutgoingView, Writes};
use crate::config::Config;
use crate::{log, sign};

const PREFIX: &str = "outgoing/";

/// What stands before a hook's identifier in the name of its trigger.
pub(crate) const TRIGGER: &str = "out/";

/// The workflow that delivers.
pub(crate) const DELIVER: &str = "deliver";

/// So many hooks there may be.
const MOST: usize = 200;

/// How long one try may take, in seconds: more than the call itself may.
const TRY_SECONDS: u32 = 45;

/// A hook as it is stored, with what it signs and shows.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) room_id: Option<RoomId>,
    pub(crate) filter: Vec<Condition>,
    pub(crate) format: Writes,
    pub(crate) template: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) enabled: bool,
    pub(crate) disabled_because: Option<String>,
    /// Whether it stands in the configuration.
    pub(crate) configured: bool,
    pub(crate) created_at: Time,
}

impl Outgoing {
    fn of(asked: &OutgoingAsked, id: String, now: Time) -> Self {
        let told = |secret: &Secret| secret.expose().to_owned();
        Self {
            id,
            name: asked.name.clone(),
            url: asked.url.clone(),
            events: asked.events.clone(),
            room_id: asked.room_id,
            filter: asked.filter.clone(),
            format: asked.format,
            template: asked.template.clone(),
            secret: asked.secret.as_ref().map(told),
            headers: asked.headers.iter().map(|(name, value)| (name.clone(), told(value))).collect(),
            enabled: true,
            disabled_because: None,
            configured: false,
            created_at: now,
        }
    }

    /// The name of its trigger.
    pub(crate) fn trigger(&self) -> String {
        format!("{TRIGGER}{}", self.id)
    }

    fn spec(&self, config: &Config) -> TriggerSpec {
        let room = self.room_id.map(|room| Condition { at: "/room_id".to_owned(), is: Matches::Equals(json!(room)) });
        let filter = self.filter.iter().cloned().chain(room).collect();
        // What this plugin does itself is not told: a hook that leads back here would never end.
        let on = On::Event { names: self.events.clone(), filter, own: false };
        let pause = config.longest_pause_seconds;
        // Pauses vary, so that the tries must do for the shortest of them; the time ends it before.
        let tries = u32::from(config.give_up_after_hours) * 3600 / pause * 3 / 2 + 20;
        let policy = RunPolicy {
            timeout_seconds: TRY_SECONDS,
            attempts: tries,
            backoff_seconds: 1,
            backoff_max_seconds: pause,
            concurrency: 1,
            in_order: true,
            deduplicate: None,
        };
        TriggerSpec { policy, ..TriggerSpec::new(self.trigger(), on, DELIVER, Scope::Cluster) }
    }

    pub(crate) fn view(&self) -> OutgoingView {
        OutgoingView {
            id: self.id.clone(),
            name: self.name.clone(),
            url: shown_url(&self.url),
            events: self.events.clone(),
            room_id: self.room_id,
            filter: self.filter.clone(),
            format: self.format,
            template: self.template.clone(),
            headers: self.headers.keys().cloned().collect(),
            signed: self.secret.is_some(),
            enabled: self.enabled,
            disabled_because: self.disabled_because.clone(),
            configured: self.configured,
            created_at: self.created_at,
        }
    }
}

/// An address without what may be a key in it: what is behind `?`, and long parts of the path.
fn shown_url(url: &str) -> String {
    /// Words that people choose are shorter.
    const LONG: usize = 16;
    let (path, query) = url.split_once(['?', '#']).map_or((url, ""), |(path, _)| (path, MASK));
    let start = path.find("://").map_or(0, |start| start + 3);
    let (scheme, rest) = path.split_at(start);
    let parts =
        rest.split('/').enumerate().map(|(index, part)| if index > 0 && part.len() >= LONG { MASK } else { part });
    let parts = parts.collect::<Vec<_>>().join("/");
    match query {
        "" => format!("{scheme}{parts}"),
        masked => format!("{scheme}{parts}?{masked}"),
    }
}

/// The hooks that there are.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) storage: Storage,
    pub(crate) triggers: TriggerBook,
}

impl Shelf {
    /// Makes a hook; with the secret, where the server made it up.
    pub(crate) async fn make(
        &self,
        asked: &OutgoingAsked,
        config: &Config,
        now: Time,
    ) -> Result<(Outgoing, Option<String>)> {
        if self.storage.keys(PREFIX).await?.len() >= MOST {
            return Err(PluginError::input(format!("there are {MOST} outgoing webhooks already: delete some")));
        }
        let mut hook = Outgoing::of(asked, sign::random(8)?, now);
        let made_up = if hook.secret.is_none() { Some(sign::random(24)?) } else { None };
        hook.secret = hook.secret.or_else(|| made_up.clone());
        // The trigger first: no hook is listed that is never called. A trigger without a hook calls nobody.
        self.triggers.put(hook.spec(config)).await?;
        if let Err(error) = self.storage.set(&key(&hook.id), &hook).await {
            self.disarm(&hook.trigger()).await;
            return Err(error);
        }
        Ok((hook, made_up))
    }

    /// All, sorted by their names.
    pub(crate) async fn list(&self) -> Result<Vec<Outgoing>> {
        let mut hooks = Vec::new();
        for key in self.storage.keys(PREFIX).await? {
            hooks.extend(self.storage.get::<Outgoing>(&key).await?.map(|found| found.value));
        }
        hooks.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(hooks)
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<Outgoing>> {
        if !is_id(id) {
            return Ok(None);
        }
        Ok(self.storage.get::<Outgoing>(&key(id)).await?.map(|found| found.value))
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Outgoing> {
        self.find(id).await?.ok_or_else(|| unknown(id))
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<()> {
        let hook = self.get(id).await?;
        if hook.configured {
            return Err(PluginError::input(format!(
                "the outgoing webhook `{}` stands in the configuration: take it away there, or disable it",
                hook.name
            )));
        }
        self.drop(&hook).await
    }

    async fn drop(&self, hook: &Outgoing) -> Result<()> {
        self.triggers.remove(&hook.trigger()).await?;
        log::forget(&self.storage, &hook.id).await?;
        self.storage.remove(&key(&hook.id)).await?;
        // What a call in flight has kept meanwhile.
        log::forget(&self.storage, &hook.id).await
    }

    /// Takes back a trigger whose hook is not there; what stays is taken away at the next start.
    async fn disarm(&self, trigger: &str) {
        if let Err(error) = self.triggers.remove(trigger).await {
            tracing::warn!(trigger, %error, "a trigger without a webhook stays until the next start");
        }
    }

    /// Switches a hook on: what happens from now on is told.
    pub(crate) async fn enable(&self, id: &str, config: &Config) -> Result<Outgoing> {
        let hook = self.get(id).await?;
        // The trigger first, as for a new one.
        self.triggers.put(hook.spec(config)).await?;
        let changed = self.change(id, |hook| (hook.enabled, hook.disabled_because) = (true, None)).await;
        if let Err(error) = &changed
            && (!hook.enabled || matches!(error.kind(), ErrorKind::NotFound))
        {
            self.disarm(&hook.trigger()).await;
        }
        changed
    }

    /// Switches a hook off, for this reason where nobody asked for it: what happens from now on is not told, what waits is
    /// skipped.
    pub(crate) async fn disable(&self, id: &str, because: Option<&str>) -> Result<Outgoing> {
        let because = because.map(str::to_owned);
        let hook = self.change(id, |hook| (hook.enabled, hook.disabled_because) = (false, because.clone())).await?;
        self.triggers.remove(&hook.trigger()).await?;
        Ok(hook)
    }

    async fn change(&self, id: &str, change: impl Fn(&mut Outgoing)) -> Result<Outgoing> {
        loop {
            let found = if is_id(id) { self.storage.get::<Outgoing>(&key(id)).await? } else { None };
            let Some(found) = found else { return Err(unknown(id)) };
            let mut hook = found.value;
            change(&mut hook);
            if self.storage.compare_and_set(&key(id), &hook, found.version).await?.is_some() {
                return Ok(hook);
            }
        }
    }

    /// Makes what is stored what the configuration says, and every trigger what its hook says; nothing where the configuration is
    /// refused, since what ran before goes on then.
    pub(crate) async fn settle(&self, config: &Config, now: Time) -> Result<()> {
        let stored = self.list().await?;
        let mut wanted = Vec::new();
        for asked in &config.outgoing {
            let mut hook = Outgoing { configured: true, ..Outgoing::of(asked, configured_id(&asked.name), now) };
            if let Some(before) = stored.iter().find(|before| before.id == hook.id) {
                hook.created_at = before.created_at;
                // Whoever disabled it meant this receiver.
                if before.url == hook.url {
                    (hook.enabled, hook.disabled_because) = (before.enabled, before.disabled_because.clone());
                }
            }
            let what = format!("the outgoing webhook `{}` of the configuration", hook.name);
            self.triggers.check(&hook.spec(config)).context(what)?;
            wanted.push(hook);
        }
        let is_wanted = |hook: &Outgoing| wanted.iter().any(|other| other.id == hook.id);
        for hook in &wanted {
            if hook.enabled {
                let what = format!("the outgoing webhook `{}` of the configuration", hook.name);
                self.triggers.put(hook.spec(config)).await.context(what)?;
            }
            self.storage.set(&key(&hook.id), hook).await?;
        }
        for gone in stored.iter().filter(|hook| hook.configured && !is_wanted(hook)) {
            self.drop(gone).await?;
        }
        for hook in stored.iter().filter(|hook| hook.enabled && !hook.configured) {
            if let Err(error) = self.triggers.put(hook.spec(config)).await {
                tracing::warn!(hook = hook.id, %error, "an outgoing webhook is not called");
            }
        }
        self.disarm_rest().await
    }

    /// Ends triggers whose hook is not there or disabled, as a crash or a store that failed may have left them.
    async fn disarm_rest(&self) -> Result<()> {
        for armed in self.triggers.list(TRIGGER).await? {
            let trigger = armed.spec.id;
            let id = trigger.strip_prefix(TRIGGER).unwrap_or_default();
            if self.find(id).await?.is_none_or(|hook| !hook.enabled) {
                self.triggers.remove(&trigger).await?;
            }
        }
        Ok(())
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// A hook of the configuration is known by its name.
fn configured_id(name: &str) -> String {
    format!("c{}", &sign::digest(name)[..15])
}

/// Whether it can be one of ours: it becomes a part of a key.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn unknown(id: &str) -> PluginError {
    let shown: String = id.chars().take(40).collect();
    PluginError::not_found(format!(
        "there is no outgoing webhook `{shown}`; GET /api/v1/plugins/webhook/outgoing lists them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &str) {
        assert_eq!(shown_url(url), expected);
    }

    #[test]
    fn addresses_are_shown_without_their_keys() {
        check("https://example.org", "https://example.org");
        check("https://a-very-long-name.example.org/hooks/build", "https://a-very-long-name.example.org/hooks/build");
        check(
            "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/T000/B000/***",
        );
        check("https://example.org/a?token=x", "https://example.org/a?***");
    }

    #[test]
    fn a_delivery_is_tried_as_long_as_was_asked_for() {
        let config: Config =
            serde_json::from_value(json!({ "longest_pause_seconds": 300, "give_up_after_hours": 24 })).unwrap();
        let asked = json!({ "name": "a", "url": "https://example.org", "events": ["message_received"] });
        let asked: OutgoingAsked = serde_json::from_value(asked).unwrap();
        let policy = Outgoing::of(&asked, "a".to_owned(), Time::from_micros(0)).spec(&config).policy;
        // The shortest that chance makes of the pauses.
        let seconds: u64 = (1..policy.attempts).map(|attempt| policy.backoff(attempt).as_secs() * 3 / 4).sum();
        assert!(seconds >= 24 * 3600 && policy.in_order, "{seconds}");
    }
}
