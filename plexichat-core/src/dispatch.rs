//! Tells plugins of a stored message: its events, and its command if it is one. What keeps the order and tries again is
//! the server's outbox.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::cause::Cause;
use crate::command::{CommandCall, CommandReply, split};
use crate::error::ErrorKind;
use crate::event::bus::Bus;
use crate::event::catalog::{CommandExecuted, MessageReceived, UserMessage};
use crate::event::{CAUSE_DEPTH_MAX, Event, Payload};
use crate::guard::{CallError, PluginHandle};
use crate::id::EventId;
use crate::manager::snapshot::Snapshot;
use crate::message::{Actor, ActorKind, MessageState, Origin};
use crate::pipeline::{Delivery, Incoming, Pipeline, Refusal};

/// Why a message could not be told to plugins yet.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not told to plugins yet: {0}")]
pub struct TryAgain(Refusal);

/// Tells plugins of stored messages.
pub struct Dispatcher {
    plugins: Arc<ArcSwap<Snapshot>>,
    bus: Bus,
    pipeline: Arc<Pipeline>,
}

/// The events about one message, by the last byte of their identifiers.
mod nth {
    pub(super) const USER_MESSAGE: u8 = 1;
    pub(super) const MESSAGE_RECEIVED: u8 = 2;
    pub(super) const COMMAND: u8 = 3;
}

impl Dispatcher {
    /// A dispatcher over the plugins that run, the bus, and the road that answers take.
    pub fn new(plugins: Arc<ArcSwap<Snapshot>>, bus: Bus, pipeline: Arc<Pipeline>) -> Self {
        Self { plugins, bus, pipeline }
    }

    /// Tells plugins of a message; returns when every handler and the command are done.
    ///
    /// A handler's failure is counted and told to the operator, and does not make the message come again. Called again
    /// for the same message, the events have the same identifiers, and what handlers post has the same keys.
    ///
    /// # Errors
    /// [`TryAgain`] where an answer could not be stored for now.
    ///
    /// # Cancel safety
    /// A dropped call may have told some of the plugins.
    pub async fn dispatch(&self, delivery: &Delivery) -> Result<(), TryAgain> {
        if delivery.row.state == MessageState::Quarantined {
            // Moderators were told by the pipeline; nobody else is until one of them releases it.
            return Ok(());
        }
        let (command, ()) = futures_util::future::join(self.command(delivery), self.events(delivery)).await;
        command
    }

    async fn events(&self, delivery: &Delivery) {
        let plugins = self.plugins.load_full();
        let row = &delivery.row;
        let user = row.author.kind == ActorKind::User && !plugins.subscribers(UserMessage::NAME).is_empty();
        let all = !plugins.subscribers(MessageReceived::NAME).is_empty();
        drop(plugins);
        if user {
            let payload = UserMessage::new(row.id, row.room_id, row.text.clone(), row.reply_to, mentions(&row.text));
            self.tell(self.event(delivery, nth::USER_MESSAGE, payload)).await;
        }
        if all {
            let payload = MessageReceived::new(
                row.id,
                row.room_id,
                row.text.clone(),
                row.reply_to,
                mentions(&row.text),
                row.author.kind,
            );
            self.tell(self.event(delivery, nth::MESSAGE_RECEIVED, payload)).await;
        }
    }

    async fn tell(&self, event: Event) {
        // A chain of causes that is too long is cut, and the bus has told of it.
        if let Ok(completion) = self.bus.publish(event).await {
            completion.wait().await;
        }
    }

    fn event<P: Payload>(&self, delivery: &Delivery, nth: u8, payload: P) -> Event {
        let row = &delivery.row;
        let mut event = Event::new(payload);
        event.id = EventId::about(row.id, nth);
        event.time = row.created_at;
        event.actor = row.author.clone();
        event.origin = delivery.origin;
        event.room_id = Some(row.room_id);
        event.seq = Some(row.seq);
        event.cause_id = delivery.cause_id;
        event.cause_depth = delivery.cause_depth;
        event
    }

    /// Runs the message's command. What plugins write is never one.
    async fn command(&self, delivery: &Delivery) -> Result<(), TryAgain> {
        let row = &delivery.row;
        if matches!(row.author.kind, ActorKind::Plugin | ActorKind::Ai | ActorKind::System) {
            return Ok(());
        }
        let Some((name, arguments)) = split(&row.text) else { return Ok(()) };
        let Some((plugin, index)) = self.plugins.load().command(name) else { return Ok(()) };
        if delivery.cause_depth >= CAUSE_DEPTH_MAX {
            return Ok(());
        }

        let cause_id = EventId::about(row.id, nth::COMMAND);
        let call = CommandCall::new(name, arguments, row.id, row.room_id, row.author.clone());
        let began = Instant::now();
        let answer = self.ask(&plugin, index, cause_id, delivery.cause_depth, call).await;
        let ok = answer.is_ok();
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let text = match answer {
            Ok(CommandReply::Text(text)) => Some(text),
            Ok(CommandReply::Nothing) => None,
            Err(text) => Some(text),
        };
        if let Some(text) = text {
            self.answer(Incoming {
                author: Actor::plugin(plugin.name().as_str()),
                room_id: row.room_id,
                text,
                reply_to: Some(row.id),
                origin: Origin::Plugin,
                key: Some(format!("{cause_id}/answer")),
                cause_id: Some(cause_id),
                cause_depth: delivery.cause_depth + 1,
            })
            .await?;
        }
        let executed = CommandExecuted::new(
            name.to_owned(),
            plugin.name().clone(),
            row.author.clone(),
            row.room_id,
            ok,
            milliseconds,
        );
        let mut event = self.event(delivery, nth::COMMAND, executed);
        event.cause_id = Some(EventId::about(row.id, nth::MESSAGE_RECEIVED));
        self.tell(event).await;
        Ok(())
    }

    /// Calls the command: its answer, or what to say instead of it.
    async fn ask(
        &self,
        plugin: &Arc<PluginHandle>,
        index: usize,
        cause_id: EventId,
        depth: u8,
        call: CommandCall,
    ) -> Result<CommandReply, String> {
        let name = call.command.clone();
        let cause = Cause::new(cause_id, depth, plugin.descriptor().name, "command");
        let timeout = plugin.timeouts().command;
        let asked = plugin.call_for(Some(cause), "command", timeout, move |instance| {
            Box::pin(async move { instance.command(index, call).await })
        });
        let (code, reason) = match asked.await {
            Ok(Ok(reply)) => return Ok(reply),
            // What the caller did wrong is the caller's to read.
            Ok(Err(error)) if error.kind() == ErrorKind::Input => return Err(error.message().to_owned()),
            Ok(Err(error)) => (error.kind().code(), error.to_string()),
            Err(CallError::Timeout) => ("plugin_timeout", CallError::Timeout.to_string()),
            Err(error) => ("plugin_failed", error.to_string()),
        };
        tracing::warn!(plugin = %plugin.name(), command = name, incident = %cause_id, reason, "a command failed");
        Err(format!("/{name} failed ({code}); an operator finds the reason in the log under {cause_id}"))
    }

    async fn answer(&self, answer: Incoming) -> Result<(), TryAgain> {
        let plugin = answer.author.id.clone();
        match self.pipeline.send(answer).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.retryable() => Err(TryAgain(refusal)),
            Err(refusal) => {
                // The same answer would be refused again: trying for ever helps nobody.
                tracing::warn!(%plugin, %refusal, "the answer to a command was refused");
                Ok(())
            }
        }
    }
}

/// The names that a text mentions: `@name`, without the `@`, each once, in their order.
///
/// ```
/// use plexichat::dispatch::mentions;
/// assert_eq!(mentions("@echo and @bob, not me@example.org; @echo again"), ["echo", "bob"]);
/// ```
pub fn mentions(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut before = None;
    for (at, character) in text.char_indices() {
        let starts = character == '@' && before.is_none_or(|before: char| !before.is_alphanumeric());
        before = Some(character);
        if !starts {
            continue;
        }
        let rest = &text[at + 1..];
        let end = rest
            .find(|character: char| !(character.is_alphanumeric() || character == '-' || character == '_'))
            .unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['-', '_']);
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
