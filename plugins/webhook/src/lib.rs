//! Webhooks: into rooms, as Slack's, Grafana's and Alertmanager's programs post them, and out to other programs.
//!
//! Start with [`Webhook`], whose routes are the way in. `receive.rs` reads what is posted, with `slack.rs`, `alerts.rs`,
//! `generic.rs` and `template.rs`; `incoming.rs` keeps the hooks. The way out is a workflow: `outgoing.rs` keeps the hooks and their
//! triggers, `compose.rs` writes what is sent, `deliver.rs` sends it, `log.rs` remembers it.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alerts;
mod asked;
mod compose;
mod config;
mod deliver;
mod generic;
mod incoming;
mod log;
mod mrkdwn;
mod outgoing;
mod panel;
mod receive;
mod sign;
mod slack;
mod template;
mod text;

use std::sync::Arc;

use plexichat::capability::chat::WebhookAuthor;
use plexichat::message::Actor;
use plexichat::plugin::interface::{Created, FromCall, Json, Path, Status, User};
use plexichat::prelude::*;
use plexichat::problem::Problem;

use crate::asked::{
    DeliveryList, IncomingAsked, IncomingList, IncomingMade, OutgoingList, OutgoingMade, OutgoingView, Sent,
    WhichDelivery,
};
pub use crate::asked::{OutgoingAsked, Reads, Writes};
pub use crate::config::Config;
use crate::incoming::{Book, Incoming};
use crate::outgoing::{Outgoing, Shelf};
use crate::receive::Refused;

/// Where the plugin's routes are.
const BASE: &str = "/api/v1/plugins/webhook";

/// So often each address may post to all hooks together.
const CALLS_PER_MINUTE: u32 = 1_200;

/// Posts what other programs send, and calls them for what happens here.
#[plexichat::plugin(
    provides(Interface, Automation),
    permissions(PostMessages, NetworkAccess, UserDataAccess),
    category = "integration",
    tags("webhooks", "slack", "grafana", "alertmanager")
)]
pub struct Webhook {
    context: Context<Self>,
    config: Config,
    incoming: Book,
    outgoing: Shelf,
}

impl Plugin for Webhook {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let incoming = Book(context.storage());
        let outgoing = Shelf { storage: context.storage(), triggers: context.triggers() };
        outgoing.settle(&config, context.now()).await?;
        Ok(Self { context, config, incoming, outgoing })
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
            .get("/outgoing", Auth::Admin, Self::list_outgoing)
            .summary("Lists the webhooks of other programs that are called")
            .post("/outgoing", Auth::Admin, Self::make_outgoing)
            .summary("Has a webhook of another program called for events")
            .delete("/outgoing/{id}", Auth::Admin, Self::delete_outgoing)
            .summary("Has a webhook of another program called no more")
            .post("/outgoing/{id}/enable", Auth::Admin, Self::enable_outgoing)
            .summary("Has a webhook called again")
            .post("/outgoing/{id}/disable", Auth::Admin, Self::disable_outgoing)
            .summary("Has a webhook not called for a while")
            .post("/outgoing/{id}/test", Auth::Admin, Self::test_outgoing)
            .summary("Calls a webhook to see whether it answers")
            .get("/outgoing/{id}/deliveries", Auth::Admin, Self::deliveries)
            .summary("Lists what was sent to a webhook, and what it answered")
            .post("/outgoing/{id}/deliveries/{delivery}/replay", Auth::Admin, Self::replay)
            .summary("Sends a delivery again")
    }

    fn register_gui_components(gui: Gui<Self>) -> Gui<Self> {
        panel::components(gui)
    }
}

#[plexichat::role]
impl Automation for Webhook {
    // No `register_triggers`: each outgoing webhook has one of its own.

    async fn execute_workflow(&self, run: WorkflowRun) -> Result<Outcome, WorkflowError> {
        self.deliver(run).await
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

    async fn delete_incoming(self: Arc<Self>, Path(id): Path<String>) -> Result<()> {
        self.incoming.remove(&id).await
    }

    async fn rotate_incoming(
        self: Arc<Self>,
        user: User,
        base: Base,
        Path(id): Path<String>,
    ) -> Result<Json<IncomingMade>> {
        let (hook, token) = self.rotate(&id, user.actor()).await?;
        Ok(Json(self.made(&hook, &token, &base)))
    }

    async fn list_outgoing(self: Arc<Self>) -> Result<Json<OutgoingList>> {
        let outgoing = self.outgoing.list().await?.iter().map(Outgoing::view).collect();
        Ok(Json(OutgoingList { outgoing }))
    }

    async fn make_outgoing(self: Arc<Self>, Json(asked): Json<OutgoingAsked>) -> Result<Created<OutgoingMade>> {
        let (hook, secret) = self.outgoing.make(&asked, &self.config, self.context.now()).await?;
        Ok(Created(OutgoingMade { id: hook.id.clone(), secret, hook: hook.view() }))
    }

    async fn delete_outgoing(self: Arc<Self>, Path(id): Path<String>) -> Result<()> {
        self.outgoing.remove(&id).await
    }

    async fn enable_outgoing(self: Arc<Self>, Path(id): Path<String>) -> Result<Json<OutgoingView>> {
        Ok(Json(self.outgoing.enable(&id, &self.config).await?.view()))
    }

    async fn disable_outgoing(self: Arc<Self>, Path(id): Path<String>) -> Result<Json<OutgoingView>> {
        Ok(Json(self.outgoing.disable(&id, None).await?.view()))
    }

    async fn test_outgoing(self: Arc<Self>, user: User, Path(id): Path<String>) -> Result<Status<202, Json<Sent>>> {
        Ok(Status(Json(self.test(&id, user.actor()).await?)))
    }

    async fn deliveries(self: Arc<Self>, Path(id): Path<String>) -> Result<Json<DeliveryList>> {
        let hook = self.outgoing.get(&id).await?;
        Ok(Json(DeliveryList { deliveries: self.log().list(&hook.id, usize::MAX).await? }))
    }

    async fn replay(self: Arc<Self>, Path(which): Path<WhichDelivery>) -> Result<Status<202, Json<Sent>>> {
        Ok(Status(Json(self.send_again(&which.id, &which.delivery).await?)))
    }

    async fn test(&self, id: &str, by: &Actor) -> Result<Sent> {
        let event = json!({
            "id": sign::random(16)?,
            "type": "webhook_test",
            "schema_version": 1,
            "time": self.context.now(),
            "actor": by,
            "origin": "rest",
            "cause_depth": 0,
            "data": { "message": "this webhook works" },
        });
        self.send(id, json!({ "event": event }), None).await
    }

    async fn send_again(&self, id: &str, delivery: &str) -> Result<Sent> {
        let hook = self.outgoing.get(id).await?;
        let event = self.log().event(&hook.id, delivery).await?;
        let input = json!({ "event": event, "delivery": delivery });
        self.send(&hook.id, input, Some(delivery.to_owned())).await
    }

    /// Sends something to a webhook behind all that waits there.
    async fn send(&self, id: &str, input: Value, delivery: Option<String>) -> Result<Sent> {
        let hook = self.outgoing.get(id).await?;
        if !hook.enabled {
            return Err(PluginError::input(format!("the webhook `{}` is disabled: enable it first", hook.name)));
        }
        let run = self.context.triggers().start(&hook.trigger(), input, None).await?;
        Ok(Sent { delivery: delivery.unwrap_or_else(|| run.to_string()) })
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
            let message = format!("there is no room `{}` that you may post in", asked.room_id);
            let problem = Problem::new("/room_id", message).hint("`plexichat room list` shows rooms");
            return Err(PluginError::invalid("this webhook cannot be made", vec![problem]));
        }
        self.incoming.make(asked, &by.name, self.context.now()).await
    }

    async fn rotate(&self, id: &str, by: &Actor) -> Result<(Incoming, String)> {
        self.check_reach(&self.incoming.get(id).await?, by).await?;
        self.incoming.rotate(id).await
    }

    /// Whoever is given a hook's address must be able to post where it posts.
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
