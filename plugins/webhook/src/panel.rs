//! What people see of webhooks on the pages: lists with buttons, and dialogs to make one. Knows no HTML; the work is the routes'.

use std::collections::BTreeMap;
use std::sync::Arc;

use plexichat::id::RoomId;
use plexichat::message::Actor;
use plexichat::plugin::gui::{Audience, FieldError, OPEN};
use plexichat::prelude::*;
use plexichat::problem::Problem;

use crate::asked::{DeliveryState, IncomingAsked, OutgoingAsked, Reads, Writes};
use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::{BASE, Webhook};

/// So many deliveries are shown at once.
const SHOWN: usize = 20;

/// A webhook for the room that one is in.
#[plexichat::model]
struct HereAsked {
    /// The name that its messages stand under.
    #[garde(length(min = 1, max = 80))]
    name: String,
    /// Whether every call must be signed, as GitHub and Grafana do.
    #[serde(default)]
    signature: bool,
}

/// An outgoing webhook, as far as a dialog asks for it; routes take more.
#[plexichat::model]
struct ElsewhereAsked {
    /// What it is called.
    #[garde(length(min = 1, max = 80))]
    name: String,
    /// The address that is called.
    #[garde(length(min = 1, max = 2_000))]
    url: String,
    /// The events that it is called for, such as message_received.
    #[garde(length(min = 1, max = 100))]
    events: Vec<String>,
    /// Only for what happens in this room.
    #[serde(default)]
    room_id: Option<RoomId>,
    /// How the event is written.
    #[serde(default)]
    format: Writes,
}

/// Which hook a button means.
#[plexichat::model]
struct Which {
    /// The hook.
    id: String,
    /// The delivery, where one is meant.
    #[serde(default)]
    delivery: String,
}

pub(crate) fn components(gui: Gui<Webhook>) -> Gui<Webhook> {
    gui.settings_panel("incoming", "Incoming webhooks", Webhook::incoming_panel)
        .audience(Audience::Moderators)
        .settings_panel("outgoing", "Outgoing webhooks", Webhook::outgoing_panel)
        .audience(Audience::Admins)
        .room_action("here", "Add a webhook", Webhook::room_panel)
        .audience(Audience::Moderators)
}

/// What the caller can mend is said in the dialog; anything else is the host's to tell.
fn told(error: PluginError) -> Result<GuiReply> {
    match error.kind().blames_plugin() {
        true => Err(error),
        false if !error.problems().is_empty() => {
            let at_field = |problem: &Problem| FieldError::new(&problem.pointer, problem.message.clone());
            Ok(GuiReply::Errors { errors: error.problems().iter().map(at_field).collect() })
        }
        false => Ok(GuiReply::error("", error.message().to_owned())),
    }
}

/// Reads what a form or a button says, or answers what does not fit.
macro_rules! read {
    ($interaction:expr, $type:ty) => {
        match $interaction.read::<$type>() {
            Ok(read) => read,
            Err(errors) => return Ok(errors),
        }
    };
}

fn actor(interaction: &Interaction) -> Result<Actor> {
    interaction.caller.actor().cloned().ok_or_else(|| PluginError::permission("this needs somebody who is signed in"))
}

impl Webhook {
    async fn incoming_panel(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        let by = actor(&interaction)?;
        let done = match interaction.action.as_str() {
            OPEN => return self.incoming_blocks().await,
            "new" => {
                return Ok(Form::of::<IncomingAsked>("New incoming webhook", "make").submit("Make it").into());
            }
            "make" => self.make(read!(interaction, IncomingAsked), &by).await.map(|made| self.shown_once(&made)),
            "rotate" => self.rotate(&read!(interaction, Which).id, &by).await.map(|made| self.shown_once(&made)),
            "delete" => match self.incoming.remove(&read!(interaction, Which).id).await {
                Ok(()) => return self.incoming_blocks().await,
                Err(error) => Err(error),
            },
            other => Err(PluginError::not_found(format!("there is nothing called `{other}` to do here"))),
        };
        done.or_else(told)
    }

    async fn room_panel(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        let by = actor(&interaction)?;
        let Some(room_id) = interaction.room_id else {
            return Ok(GuiReply::error("", "open this in a room"));
        };
        match interaction.action.as_str() {
            "make" => {
                let HereAsked { name, signature } = read!(interaction, HereAsked);
                let asked = IncomingAsked { room_id, name, format: Reads::Auto, template: None, signature };
                self.make(asked, &by).await.map(|made| self.shown_once(&made)).or_else(told)
            }
            _ => Ok(Form::of::<HereAsked>("A webhook that posts here", "make").submit("Make it").into()),
        }
    }

    /// The address and the secret of a hook, which nobody sees again.
    fn shown_once(&self, (hook, token): &(Incoming, String)) -> GuiReply {
        let path = format!("{BASE}/in/{}/{token}", hook.id);
        let address = match self.context.public_url() {
            Some(url) => Block::Code { text: format!("{url}{path}") },
            // The page knows where it is; the server was not told.
            None => Block::Code { text: path },
        };
        let mut blocks = vec![
            Block::heading(format!("The address of “{}”", hook.name)),
            Block::text("Whoever knows it can post. It is shown this once: keep it like a password."),
            address,
        ];
        if self.context.public_url().is_none() {
            blocks.push(Block::text(
                "It stands behind the address of this server; server.public_url would make it whole.",
            ));
        }
        if let Some(secret) = &hook.secret {
            blocks.push(Block::text("Calls are signed with this secret, which is shown this once, too:"));
            blocks.push(Block::Code { text: secret.clone() });
        }
        blocks.push(Block::buttons(vec![Button::new("All webhooks", OPEN, Value::Null)]));
        GuiReply::blocks(blocks)
    }

    async fn incoming_blocks(&self) -> Result<GuiReply> {
        let mut blocks = vec![
            Block::text("Programs post into rooms at the address of a webhook, as they post to Slack."),
            Block::buttons(vec![Button::new("New webhook", "new", Value::Null)]),
        ];
        for hook in self.incoming.list().await? {
            let (view, which) = (hook.view(), json!({ "id": hook.id }));
            let format = match view.format {
                Reads::Auto => "whatever comes",
                Reads::Slack => "Slack’s messages",
                Reads::Json => "JSON",
            };
            let field = |name: &'static str, value: String| (Text::from(name), Text::from(value));
            blocks.extend([
                Block::heading(view.name.clone()),
                Block::Fields {
                    fields: vec![
                        field("Room", view.room_id.to_string()),
                        field("Reads", format.to_owned()),
                        field("Signed", if view.signature { "yes" } else { "no" }.to_owned()),
                        field("Made by", view.created_by),
                    ],
                },
                Block::buttons(vec![
                    Button::new("New address", "rotate", which.clone()).confirm("The old address ends at once. Go on?"),
                    Button::new("Delete", "delete", which).confirm("Programs can post no more with it. Go on?"),
                ]),
            ]);
        }
        Ok(GuiReply::blocks(blocks))
    }

    async fn outgoing_panel(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        let by = actor(&interaction)?;
        let done = match interaction.action.as_str() {
            OPEN => return self.outgoing_blocks().await,
            "new" => {
                return Ok(Form::of::<ElsewhereAsked>("New outgoing webhook", "make").submit("Make it").into());
            }
            "make" => self.make_elsewhere(read!(interaction, ElsewhereAsked)).await,
            "test" => {
                let sent = self.test(&read!(interaction, Which).id, &by).await;
                sent.map(|_| GuiReply::notice("It is on its way: look at the deliveries."))
            }
            "deliveries" => return self.delivery_blocks(&read!(interaction, Which).id).await.or_else(told),
            "replay" => {
                let which = read!(interaction, Which);
                let sent = self.send_again(&which.id, &which.delivery).await;
                sent.map(|_| GuiReply::notice("It is sent again, behind what waits."))
            }
            action => {
                let id = read!(interaction, Which).id;
                let changed = match action {
                    "enable" => self.outgoing.enable(&id, &self.config).await.map(drop),
                    "disable" => self.outgoing.disable(&id, None).await.map(drop),
                    "delete" => self.outgoing.remove(&id).await,
                    other => Err(PluginError::not_found(format!("there is nothing called `{other}` to do here"))),
                };
                match changed {
                    Ok(()) => return self.outgoing_blocks().await,
                    Err(error) => Err(error),
                }
            }
        };
        done.or_else(told)
    }

    async fn make_elsewhere(&self, asked: ElsewhereAsked) -> Result<GuiReply> {
        let ElsewhereAsked { name, url, events, room_id, format } = asked;
        let (filter, headers) = (Vec::new(), BTreeMap::new());
        let asked = OutgoingAsked { name, url, events, room_id, filter, format, template: None, secret: None, headers };
        if let Err(error) = crate::asked::check_url(&asked.url) {
            return Ok(GuiReply::error("/url", error));
        }
        let (hook, secret) = self.outgoing.make(&asked, &self.config, self.context.now()).await?;
        Ok(GuiReply::blocks(vec![
            Block::heading(format!("“{}” is called from now on", hook.name)),
            Block::text("Calls are signed with this secret. It is shown this once: give it to the receiver."),
            Block::Code { text: secret.unwrap_or_default() },
            Block::buttons(vec![Button::new("All webhooks", OPEN, Value::Null)]),
        ]))
    }

    async fn outgoing_blocks(&self) -> Result<GuiReply> {
        let mut blocks = vec![
            Block::text("Other programs are called for what happens here."),
            Block::buttons(vec![Button::new("New webhook", "new", Value::Null)]),
        ];
        for hook in self.outgoing.list().await? {
            blocks.extend(outgoing_block(&hook));
        }
        Ok(GuiReply::blocks(blocks))
    }

    async fn delivery_blocks(&self, id: &str) -> Result<GuiReply> {
        let hook = self.outgoing.get(id).await?;
        let deliveries = self.log().list(&hook.id, SHOWN).await?;
        let mut blocks = vec![
            Block::heading(format!("Deliveries of “{}”", hook.name)),
            Block::buttons(vec![
                Button::new("Look again", "deliveries", json!({ "id": hook.id })),
                Button::new("All webhooks", OPEN, Value::Null),
            ]),
        ];
        if deliveries.is_empty() {
            blocks.push(Block::text("None yet."));
        }
        for delivery in deliveries {
            let state = match delivery.state {
                DeliveryState::Delivered => "delivered",
                DeliveryState::Retrying => "is tried again",
                DeliveryState::Failed => "failed",
                DeliveryState::Skipped => "skipped",
            };
            let status = delivery.status.map_or_else(String::new, |status| format!(", {status}"));
            let error = delivery.error.map_or_else(String::new, |error| format!(": {error}"));
            let line = format!(
                "{} {}: {state}{status}, try {}, {} ms{error}",
                delivery.at.0.strftime("%Y-%m-%d %H:%M:%S"),
                delivery.event,
                delivery.attempts,
                delivery.ms
            );
            let which = json!({ "id": hook.id, "delivery": delivery.id });
            blocks.extend([Block::text(line), Block::buttons(vec![Button::new("Send again", "replay", which)])]);
        }
        Ok(GuiReply::blocks(blocks))
    }
}

fn outgoing_block(hook: &Outgoing) -> Vec<Block> {
    let (view, which) = (hook.view(), json!({ "id": hook.id }));
    let state = match (view.enabled, view.disabled_because) {
        (true, _) => "is called".to_owned(),
        (false, None) => "disabled".to_owned(),
        (false, Some(because)) => format!("disabled: {because}"),
    };
    let field = |name: &'static str, value: String| (Text::from(name), Text::from(value));
    let toggle = match view.enabled {
        true => Button::new("Disable", "disable", which.clone()),
        false => Button::new("Enable", "enable", which.clone()),
    };
    let mut buttons = vec![Button::new("Deliveries", "deliveries", which.clone()), toggle];
    if view.enabled {
        buttons.push(Button::new("Test", "test", which.clone()));
    }
    if !view.configured {
        buttons.push(
            Button::new("Delete", "delete", which)
                .confirm("It is called no more, and its deliveries are forgotten. Go on?"),
        );
    }
    let mut fields = vec![field("Address", view.url), field("Events", view.events.join(", ")), field("State", state)];
    if let Some(room) = view.room_id {
        fields.push(field("Room", room.to_string()));
    }
    if view.configured {
        fields.push(field("Made", "in the configuration".to_owned()));
    }
    vec![Block::heading(view.name), Block::Fields { fields }, Block::buttons(buttons)]
}
