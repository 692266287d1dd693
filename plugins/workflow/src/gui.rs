//! What the pages show: questions with their buttons, and the workflows. Knows no HTML.

use std::sync::Arc;

use plexichat::plugin::gui::OPEN;
use plexichat::prelude::*;

use crate::Workflow;
use crate::approvals::{Approval, Standing};

/// What a button says of a question.
#[plexichat::model]
pub(crate) struct Pressed {
    /// Which.
    id: String,
    /// Why.
    #[serde(default)]
    #[garde(length(max = 1000))]
    note: String,
}

/// The dialog of a refusal.
#[plexichat::model]
pub(crate) struct Refusal {
    /// Why, for whoever waits.
    #[serde(default)]
    #[garde(length(max = 1000))]
    note: String,
}

impl Workflow {
    pub(crate) async fn show_to_user(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        self.interact(interaction, Standing::Person, false).await
    }

    pub(crate) async fn show_to_moderator(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        self.interact(interaction, Standing::Moderator, false).await
    }

    pub(crate) async fn show_to_admin(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        self.interact(interaction, Standing::Admin, false).await
    }

    pub(crate) async fn show_in_room(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        self.interact(interaction, Standing::Person, true).await
    }

    async fn interact(&self, interaction: Interaction, standing: Standing, in_room: bool) -> Result<GuiReply> {
        let Some(actor) = interaction.caller.actor() else {
            return Err(PluginError::permission("nobody is signed in"));
        };
        if interaction.action == OPEN {
            let mut pending = self.approvals.pending(self.context.now()).await?;
            pending.retain(|approval| approval.may_answer(actor, standing));
            if in_room {
                pending.retain(|approval| approval.room_id.is_some() && approval.room_id == interaction.room_id);
            }
            return Ok(GuiReply::Blocks { blocks: blocks(&pending) });
        }
        let pressed: Pressed = match interaction.read() {
            Ok(pressed) => pressed,
            Err(errors) => return Ok(errors),
        };
        let approved = match interaction.action.as_str() {
            "approve" => true,
            "refuse" => false,
            "ask-why" => {
                let mut form = Form::of::<Refusal>("Refuse", "refuse");
                form.submit = Text::from("Refuse");
                form.carry = json!({ "id": pressed.id });
                return Ok(GuiReply::Form(form));
            }
            _ => return Err(PluginError::not_found("there is no such button")),
        };
        let now = self.context.now();
        let answered = self.approvals.answer(&pressed.id, approved, &pressed.note, actor, standing, now).await?;
        let how = if approved { "approved" } else { "refused" };
        Ok(GuiReply::Notice { text: Text::from(format!("Workflow `{}`: {how}.", answered.workflow)) })
    }

    pub(crate) async fn show_workflows(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        if interaction.action == "reload" {
            self.book.reload().await;
        }
        let shelf = self.book.shelf();
        let rows = shelf.workflows.values().map(|active| {
            let definition = &active.definition;
            let on = if definition.enabled { "on" } else { "off" };
            [
                definition.name.clone(),
                definition.description.clone(),
                on.to_owned(),
                active.source.to_string(),
                active.version.clone(),
            ]
            .map(Text::from)
            .to_vec()
        });
        let columns = ["Name", "What it does", "Triggers", "Where it stands", "Version"].map(Text::from).to_vec();
        let mut blocks = vec![Block::Heading { text: "Workflows".into() }];
        let rows: Vec<_> = rows.collect();
        blocks.push(match rows.is_empty() {
            true => Block::Text { text: "There are none yet: see the plugin's README for how to make one.".into() },
            false => Block::Table { columns, rows },
        });
        for trouble in &shelf.troubles {
            blocks.push(Block::Code { text: format!("Not taken: {}", self.scrubber.text(&trouble.told())) });
        }
        for warning in &shelf.warnings {
            blocks.push(Block::Text { text: format!("Warning: {warning}").into() });
        }
        blocks.push(Block::Buttons { buttons: vec![Button::new("Look at files now", "reload", Value::Null)] });
        Ok(GuiReply::Blocks { blocks })
    }
}

fn blocks(pending: &[Approval]) -> Vec<Block> {
    if pending.is_empty() {
        return vec![Block::Text { text: "Nothing waits for you.".into() }];
    }
    let mut blocks = Vec::new();
    for approval in pending {
        let values = json!({ "id": approval.id });
        blocks.push(Block::Text { text: approval.text.clone().into() });
        blocks.push(Block::Fields {
            fields: vec![
                ("Workflow".into(), approval.workflow.clone().into()),
                ("May answer".into(), approval.who().into()),
                ("Until".into(), approval.until.0.strftime("%Y-%m-%d %H:%M UTC").to_string().into()),
            ],
        });
        blocks.push(Block::Buttons {
            buttons: vec![Button::new("Approve", "approve", values.clone()), Button::new("Refuse…", "ask-why", values)],
        });
        blocks.push(Block::Divider);
    }
    blocks.pop();
    blocks
}
