//! Tells plugins of what is stored: an event, or a message with its events and its command if it is one, whose answer is
//! tried again where it could not be stored. What keeps the order of a room and knows what is done is the server's outbox.

mod post;
pub(crate) mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, join};

pub(crate) use self::post::post;
use self::turns::{Turn, Turns};

use crate::assistant::Assistants;
use crate::automation::Automations;
use crate::cause::Cause;
use crate::command::{CommandCall, CommandReply, split};
use crate::error::ErrorKind;
use crate::event::bus::{Bus, Completion};
use crate::event::catalog::{CommandExecuted, MessageReceived, UserMessage};
use crate::event::{CAUSE_DEPTH_MAX, Event, Payload};
use crate::guard::{CallError, PluginHandle};
use crate::id::{EventId, MessageId};
use crate::manager::snapshot::Snapshot;
use crate::message::{Actor, ActorKind, Origin};
use crate::pipeline::{Delivery, Incoming, Pipeline, Posted, Told};

/// How often an answer is tried whose scanner is not available. It may be the answer that breaks the scanner, so there is
/// an end; the waits of [`Retry`] give the scanner about a minute.
pub const SCANNER_TRIES: u32 = 5;

/// The waits before a command's answer is tried again. Each is twice the one before, up to the last.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The first one where the store is away or the plugin posts too fast: tried without end.
    pub first: Duration,
    /// The first one where a scanner is not available: tried [`SCANNER_TRIES`] times.
    pub scanner: Duration,
    /// None is longer.
    pub last: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), scanner: Duration::from_secs(4), last: Duration::from_secs(30) }
    }
}

/// Tells plugins of stored messages. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Dispatcher {
    plugins: Arc<ArcSwap<Snapshot>>,
    bus: Bus,
    pipeline: Arc<Pipeline>,
    turns: Turns,
    assistants: Option<Arc<Assistants>>,
    automations: Option<Arc<Automations>>,
    retry: Retry,
}

/// A command that was found in a message, and its place behind those before it.
struct Found {
    plugin: Arc<PluginHandle>,
    index: usize,
    turn: Turn,
}

/// The events about one message, by the last byte of their identifiers.
pub(crate) mod nth {
    pub(crate) const USER_MESSAGE: u8 = 1;
    pub(crate) const MESSAGE_RECEIVED: u8 = 2;
    pub(crate) const COMMAND: u8 = 3;
}

impl Dispatcher {
    /// A dispatcher over the plugins that run, the bus, and the road that answers take.
    pub fn new(plugins: Arc<ArcSwap<Snapshot>>, bus: Bus, pipeline: Arc<Pipeline>) -> Self {
        Self {
            plugins,
            bus,
            pipeline,
            turns: Turns::default(),
            assistants: None,
            automations: None,
            retry: Retry::default(),
        }
    }

    /// The same one with assistants that answer people.
    #[must_use]
    pub fn with_assistants(self, assistants: Arc<Assistants>) -> Self {
        Self { assistants: Some(assistants), ..self }
    }

    /// The same one with workflows that commands start.
    #[must_use]
    pub fn with_automations(self, automations: Arc<Automations>) -> Self {
        Self { automations: Some(automations), ..self }
    }

    /// The same one with other waits.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Hands a message or a stored event to plugins. Returns when every mailbox has taken its events, every inline handler has answered and
    /// its command has its place: then the room's next message may come. What is returned is ready when every handler
    /// and the command are done, and the command's answer is stored or given up; the command runs only while somebody
    /// polls it. A question to the assistant is done when it is kept: nobody waits here for an answer.
    ///
    /// Messages of one room must be handed over one after the other. Each plugin then sees their events in that order,
    /// and runs the room's commands one after the other in that order; no plugin waits for another one.
    ///
    /// A handler's failure is counted and told to the operator, and does not make the message come again. Called again
    /// for the same message, the events have the same identifiers, and what handlers post has the same keys.
    ///
    /// # Cancel safety
    /// A dropped call may have told some of the plugins. Where the returned future is dropped, the handlers go on, and
    /// the command is cut off.
    pub async fn hand_over(&self, delivery: &Delivery) -> BoxFuture<'static, ()> {
        let told = match &delivery.what {
            Told::Message(posted) | Told::Released(posted) if posted.row.state.is_shown() => self.events(posted).await,
            // Of what is held back moderators are told by an event of its own, nobody else until one of them releases it;
            // of what was deleted meanwhile there is nothing to tell.
            Told::Message(_) | Told::Released(_) | Told::Nothing => return Box::pin(std::future::ready(())),
            Told::Event(event) => {
                if let Some(assistants) = &self.assistants {
                    assistants.told(event);
                }
                self.tell(event.clone()).await.into_iter().collect()
            }
        };
        let handled = async move {
            for completion in told {
                completion.wait().await;
            }
        };
        let found = delivery.message().and_then(|posted| Some((posted.clone(), self.find(posted)?)));
        if let Some((posted, found)) = found {
            let dispatcher = self.clone();
            return Box::pin(async move {
                join(dispatcher.command(&posted, found), handled).await;
            });
        }
        if let (Some(automations), Some(posted)) = (&self.automations, delivery.message())
            && let Some((trigger, plugin)) = automations.commanded(posted).await
        {
            automations.command(posted, &trigger, &plugin).await;
            return Box::pin(handled);
        }
        let heard = match (&self.assistants, delivery.message()) {
            (Some(assistants), Some(posted)) => assistants.hear(posted, self.retry).await,
            _ => None,
        };
        let Some(answered) = heard else { return Box::pin(handled) };
        Box::pin(async move {
            join(answered, handled).await;
        })
    }

    /// Has assistants answer what was asked before the server ended. Called once, before anything is handed over.
    ///
    /// # Cancel safety
    /// What was not begun is left for the next start.
    pub async fn ask_again(&self) {
        if let Some(assistants) = &self.assistants {
            assistants.ask_again(self.retry).await;
        }
    }

    async fn events(&self, posted: &Posted) -> Vec<Completion> {
        let row = &posted.row;
        let user = row.author.kind == ActorKind::User && self.bus.is_heard(UserMessage::NAME);
        let all = self.bus.is_heard(MessageReceived::NAME);
        let mut told = Vec::new();
        if user {
            let payload = UserMessage::new(row.id, row.room_id, row.text.clone(), row.reply_to, mentions(&row.text));
            told.extend(self.tell(self.event(posted, nth::USER_MESSAGE, payload)).await);
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
            told.extend(self.tell(self.event(posted, nth::MESSAGE_RECEIVED, payload)).await);
        }
        told
    }

    async fn tell(&self, event: impl Into<Arc<Event>>) -> Option<Completion> {
        // A chain of causes that is too long is cut, and the bus has told of it.
        self.bus.publish(event).await.ok()
    }

    fn event<P: Payload>(&self, posted: &Posted, nth: u8, payload: P) -> Event {
        let row = &posted.row;
        let mut event = Event::new(payload);
        event.id = EventId::about(row.id, nth);
        event.time = row.created_at;
        event.actor = row.author.clone();
        event.origin = posted.origin;
        event.room_id = Some(row.room_id);
        event.seq = Some(row.seq);
        event.cause_id = posted.cause_id;
        event.cause_depth = posted.cause_depth;
        event
    }

    /// The message's command. What plugins and webhooks write is never one.
    fn find(&self, posted: &Posted) -> Option<Found> {
        let row = &posted.row;
        if matches!(row.author.kind, ActorKind::Plugin | ActorKind::Ai | ActorKind::System | ActorKind::Webhook)
            || posted.cause_depth >= CAUSE_DEPTH_MAX
        {
            return None;
        }
        let (name, _) = split(&row.text)?;
        let (plugin, index) = self.plugins.load().command(name)?;
        let turn = self.turns.take(row.room_id, plugin.name().clone());
        Some(Found { plugin, index, turn })
    }

    async fn command(&self, posted: &Posted, found: Found) {
        let row = &posted.row;
        let Some((name, arguments)) = split(&row.text) else { return };
        let Found { plugin, index, mut turn } = found;
        turn.come().await;
        // While it waited the plugin may have been configured anew: the instance from before is gone then.
        let (plugin, index) = self.plugins.load().command(name).unwrap_or((plugin, index));

        let cause_id = EventId::about(row.id, nth::COMMAND);
        let call = CommandCall::new(name, arguments, row.id, row.room_id, row.author.clone());
        let began = Instant::now();
        let answer = self.ask(&plugin, index, cause_id, posted.cause_depth, call).await;
        let ok = answer.is_ok();
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let text = match answer {
            Ok(CommandReply::Text(text)) => Some(text),
            Ok(CommandReply::Nothing) => None,
            Err(text) => Some(text),
        };
        if let Some(text) = text {
            let answer = Incoming {
                author: Actor::plugin(plugin.name().as_str()),
                room_id: row.room_id,
                text,
                reply_to: Some(row.id),
                attachments: Vec::new(),
                origin: Origin::Plugin,
                key: Some(format!("{cause_id}/answer")),
                cause_id: Some(cause_id),
                cause_depth: posted.cause_depth + 1,
            };
            self.answer(answer, row.id, turn).await;
        } else {
            drop(turn);
        }
        let executed = CommandExecuted::new(
            name.to_owned(),
            plugin.name().clone(),
            row.author.clone(),
            row.room_id,
            ok,
            milliseconds,
        );
        let mut event = self.event(posted, nth::COMMAND, executed);
        event.cause_id = Some(EventId::about(row.id, nth::MESSAGE_RECEIVED));
        event.cause_depth = posted.cause_depth + 1;
        if let Some(completion) = self.tell(event).await {
            completion.wait().await;
        }
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

    /// Stores a command's answer, however often that takes; the command itself is not run again.
    async fn answer(&self, answer: Incoming, message: MessageId, turn: Turn) {
        let plugin = answer.author.id.clone();
        let mut turn = Some(turn);
        // It may be this answer alone that no scanner can judge: the plugin's next one in the room does not wait for it.
        let posted = post(&self.pipeline, answer, self.retry, || drop(turn.take())).await;
        if let Err(refusal) = posted {
            tracing::warn!(%plugin, %message, %refusal, "the answer to a command was refused and is given up");
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
