//! Webhooks: into rooms, as Slack's, Grafana's and Alertmanager's programs post them, and out to other programs.
//!
//! Start with [`Webhook`], whose routes are the way in. `receive.rs` reads what is posted, with `slack.rs`, `alerts.rs`,
//! `generic.rs` and `template.rs`; `incoming.rs` keeps the hooks.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alerts;
mod asked;
mod config;
mod generic;
mod incoming;
mod mrkdwn;
mod receive;
mod sign;
mod slack;
mod template;
mod text;

use std::sync::Arc;

use plexichat::capability::chat::WebhookAuthor;
use plexichat::message::Actor;
use plexichat::plugin::interface::{Created, FromCall, Json, Path, User};
use plexichat::prelude::*;

use crate::asked::{IncomingAsked, IncomingList, IncomingMade};
pub use crate::asked::{OutgoingAsked, Reads, Writes};
pub use crate::config::Config;
use crate::incoming::{Book, Incoming};
use crate::receive::Refused;

/// Where the plugin's routes are.
const BASE: &str = "/api/v1/plugins/webhook";

/// So often each address may post to all hooks together.
const CALLS_PER_MINUTE: u32 = 1_200;

/// Posts what other programs send, and calls them for what happens here.
#[plexichat::plugin(
    provides(Interface),
    permissions(PostMessages, NetworkAccess, UserDataAccess),
    category = "integration",
    tags("webhooks", "slack", "grafana", "alertmanager")
)]
pub struct Webhook {
    context: Context<Self>,
    config: Config,
    incoming: Book,
}

impl Plugin for Webhook {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let incoming = Book(context.storage());
        Ok(Self { context, config, incoming })
    }
}

#[plexichat::role]
impl Interface for Webhook {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
            .get("/incoming", Auth::Moderator, Self::list_incoming)
            .summary("Lists the webhooks that other programs post to")
            .post("/incoming", Auth::Moderator, Self::make_incoming)
            .summary("Makes a webhook that other programs post to")
            .delete("/incoming/{id}", Auth::Moderator, Self::delete_incoming)
            .summary("Takes away a webhook that other programs post to")
            .post("/incoming/{id}/rotate", Auth::Moderator, Self::rotate_incoming)
            .summary("Gives a webhook a new address")
            .post("/in/{id}/{token}", Auth::Public, Self::receive)
            .summary("Takes what other programs post")
            .rate(CALLS_PER_MINUTE)
    }
}

/// Where whoever calls reaches the server: as the operator says, else as they did.
struct Base(Option<String>);

impl FromCall for Base {
    fn from_call(call: &RouteCall) -> Result<Self> {
        let scheme = match call.header("x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        };
        Ok(Self(call.header("host").map(|host| format!("{scheme}://{host}"))))
    }
}

impl Webhook {
    async fn list_incoming(self: Arc<Self>) -> Result<Json<IncomingList>> {
        let incoming = self.incoming.list().await?.iter().map(Incoming::view).collect();
        Ok(Json(IncomingList { incoming }))
    }

    async fn make_incoming(
        self: Arc<Self>,
        user: User,
        base: Base,
        Json(asked): Json<IncomingAsked>,
    ) -> Result<Created<IncomingMade>> {
        let (hook, token) = self.make(asked, user.actor()).await?;
        Ok(Created(self.made(&hook, &token, &base)))
    }

    async fn delete_incoming(self: Arc<Self>, user: User, Path(id): Path<String>) -> Result<()> {
        self.check_reach(&self.incoming.get(&id).await?, user.actor()).await?;
        self.incoming.remove(&id).await
    }

    async fn rotate_incoming(
        self: Arc<Self>,
        user: User,
        base: Base,
        Path(id): Path<String>,
    ) -> Result<Json<IncomingMade>> {
        self.check_reach(&self.incoming.get(&id).await?, user.actor()).await?;
        let (hook, token) = self.incoming.rotate(&id).await?;
        Ok(Json(self.made(&hook, &token, &base)))
    }

    async fn receive(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
        let part = |name: &str| call.parameter(name).unwrap_or_default();
        let hook = match self.incoming.known(part("id"), part("token")).await {
            Ok(Some(hook)) => hook,
            Ok(None) => return Ok(Refused::unknown().answer()),
            Err(error) => return Ok(Refused::from(error).answer()),
        };
        let answer = match self.posted(&hook, &call).await {
            Ok(()) => RouteAnswer::text(200, "ok"),
            Err(refused) => refused.answer(),
        };
        if let Err(error) = self.context.events().webhook_received(&hook.id, answer.status).await {
            tracing::warn!(%error, "nobody was told of a call of a webhook");
        }
        Ok(answer)
    }

    async fn posted(&self, hook: &Incoming, call: &RouteCall) -> Result<(), Refused> {
        let seconds = self.context.now().as_micros() / 1_000_000;
        let longest = usize::try_from(self.config.message_bytes).unwrap_or(usize::MAX);
        let message = receive::read(hook, call, seconds, longest)?;
        let name = message.name.unwrap_or_else(|| hook.name.clone());
        let mut post = Post::new(hook.room_id, message.text);
        post.key = message.key;
        post.webhook = Some(WebhookAuthor::new(&*hook.id, name));
        self.context.chat().post(post).await?;
        Ok(())
    }

    async fn make(&self, asked: IncomingAsked, by: &Actor) -> Result<(Incoming, String)> {
        if !self.context.chat().may_post(by, asked.room_id).await? {
            return Err(PluginError::not_found(format!(
                "there is no room `{}` that you may post in: `plexichat room list` shows rooms",
                asked.room_id
            )));
        }
        self.incoming.make(asked, &by.name, self.context.now()).await
    }

    /// Whoever changes a hook must be able to post where it posts.
    async fn check_reach(&self, hook: &Incoming, by: &Actor) -> Result<()> {
        match self.context.chat().may_post(by, hook.room_id).await? {
            true => Ok(()),
            false => Err(PluginError::permission("this webhook posts into a room that you may not post in")),
        }
    }

    fn made(&self, hook: &Incoming, token: &str, base: &Base) -> IncomingMade {
        let base = self.context.public_url().or(base.0.as_deref()).unwrap_or_default();
        let url = format!("{base}{BASE}/in/{}/{token}", hook.id);
        IncomingMade { id: hook.id.clone(), url, secret: hook.secret.clone(), hook: hook.view() }
    }
}
