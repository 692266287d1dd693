//! From a stored message to a question: whether it is one, which assistant is meant, and its place in the room's line. And
//! the rest of what `/ai` does.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::answer::stored;
use super::command::{self, Command};
use super::policy::{AssistantPolicy, Trigger};
use super::trigger::{Situation, Wanted};
use super::{Assistants, LINE, say};
use crate::ai::{AiError, AiErrorKind};
use crate::command::split;
use crate::dispatch::Retry;
use crate::event::catalog::MessageDeleted;
use crate::event::{CAUSE_DEPTH_MAX, Event, Payload};
use crate::message::{ActorKind, StoredRow};
use crate::pipeline::{Access, Posted};

/// How many models `/ai models` lists.
const LISTED: usize = 50;

/// How many questions of one room are answered or wait.
const WAITING_MAX: usize = 10;

/// The same for one person in all rooms: nobody may fill the line of all.
const WAITING_MAX_PERSON: usize = 20;

/// The same for all rooms.
const WAITING_MAX_ALL: usize = 500;

/// A question on its way.
pub(super) struct Question {
    pub(super) posted: Posted,
    /// The assistant that is asked.
    pub(super) policy: AssistantPolicy,
    /// Whether the room itself said which models it has.
    own: bool,
    /// Whether it was asked by `/ai`, and for which model.
    command: Option<Option<String>>,
    pub(super) retry: Retry,
}

impl Question {
    /// What is asked, as the message says it now.
    pub(super) fn text<'a>(&self, row: &'a StoredRow) -> &'a str {
        let asked = self.command.as_ref().and(split(&row.text));
        match asked.map(|(_, arguments)| Command::parse(arguments)) {
            Some(Command::Ask { question, .. }) => question,
            _ => &row.text,
        }
    }

    /// The models to ask. Where the room names some, no other is asked: what is said in it may be meant for these alone.
    pub(super) fn models(&self) -> Result<Vec<String>, AiError> {
        let Some(Some(model)) = &self.command else { return Ok(self.policy.models.clone()) };
        let named = &self.policy.models;
        let means = |known: &String| known == model || !known.contains('/') && model.split('/').next() == Some(known);
        if self.own && !named.is_empty() && !named.iter().any(means) {
            let message = format!("this room asks {} only, not `{model}`", quoted(named));
            return Err(AiError::new(AiErrorKind::ModelNotFound, message));
        }
        Ok(vec![model.clone()])
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Assistants {
    /// What a message wants of the assistant, already in its place in the room's line; nothing where it wants nothing. Only
    /// people ask: what plugins and models write, and what comes through webhooks, is no question.
    ///
    /// # Cancel safety
    /// What is returned is ready when the question is kept, or the assistant has said what it had to say. Dropped, nothing of
    /// it may be kept: told again, it is asked again.
    pub(crate) async fn hear(self: &Arc<Self>, posted: &Posted, retry: Retry) -> Option<BoxFuture<'static, ()>> {
        let row = &posted.row;
        if row.author.kind != ActorKind::User || posted.cause_depth >= CAUSE_DEPTH_MAX {
            return None;
        }
        let running = self.plugins.load().plugins().any(|plugin| plugin.instance().ai_provider().is_some());
        let (policy, own, wanted) = self.wanted(posted, running, retry).await;
        let command = match wanted {
            Wanted::Nothing => return None,
            Wanted::Answer => None,
            Wanted::Command(Command::Ask { model, .. }) if policy.trigger != Trigger::Off => {
                Some(model.map(str::to_owned))
            }
            Wanted::Command(Command::Models) => {
                // Providers may take their time, and the room must not wait for them.
                let (assistants, posted) = (self.clone(), posted.clone());
                return Some(Box::pin(async move {
                    let words = assistants.models(&policy, own).await;
                    assistants.say(&posted, &policy.name, words, retry).await;
                }));
            }
            Wanted::Command(command) => {
                let words = self.words(posted, &policy, command, retry).await;
                return Some(self.saying(posted, policy, words, retry));
            }
        };
        let (here, theirs, all) = self.running.count(row.room_id, &row.author);
        if here >= WAITING_MAX || theirs >= WAITING_MAX_PERSON || all >= WAITING_MAX_ALL {
            let words = say::failure("busy", "too many questions wait already", "Ask again when some are answered.");
            return Some(self.saying(posted, policy, words, retry));
        }
        // Where it has begun before, it is kept.
        let begun = self.running.begin(row.id, row.room_id, row.author.clone())?;
        let turn = self.turns.take(row.room_id, LINE);
        let question = Question { posted: posted.clone(), policy, own, command, retry };
        Some(self.take_on(question, begun, turn))
    }

    /// A question that was kept, as it is read now; nothing where it is none any more.
    pub(super) async fn read_again(&self, posted: &Posted, retry: Retry) -> Option<Question> {
        // Where no provider runs, that is said.
        let (policy, own, wanted) = self.wanted(posted, true, retry).await;
        let command = match wanted {
            Wanted::Answer => None,
            Wanted::Command(Command::Ask { model, .. }) if policy.trigger != Trigger::Off => {
                Some(model.map(str::to_owned))
            }
            Wanted::Nothing | Wanted::Command(_) => return None,
        };
        Some(Question { posted: posted.clone(), policy, own, command, retry })
    }

    /// What a message wants of which assistant, and whether the room has that of its own.
    async fn wanted<'a>(
        &self,
        posted: &'a Posted,
        providers: bool,
        retry: Retry,
    ) -> (AssistantPolicy, bool, Wanted<'a>) {
        let row = &posted.row;
        let (policy, default) = (stored!(retry, self.store.policy(row.room_id)), self.default.load_full());
        let own = policy.assistant.as_ref();
        let default = default.as_ref().as_ref();
        let by_place = own.is_some() || default.is_some_and(|default| default.trigger == Trigger::Direct);
        let situation = Situation {
            own,
            default,
            direct: by_place && stored!(retry, self.store.is_direct(row.room_id)),
            providers,
            is_command: split(&row.text).is_some_and(|(name, _)| self.plugins.load().command(name).is_some()),
        };
        (situation.policy(), own.is_some(), situation.wanted(&row.text))
    }

    fn saying(
        self: &Arc<Self>,
        posted: &Posted,
        policy: AssistantPolicy,
        words: String,
        retry: Retry,
    ) -> BoxFuture<'static, ()> {
        let (assistants, posted) = (self.clone(), posted.clone());
        Box::pin(async move {
            assistants.say(&posted, &policy.name, words, retry).await;
        })
    }

    /// An event was told: a question that was deleted needs no answer any more.
    pub(crate) fn told(&self, event: &Event) {
        if event.name == MessageDeleted::NAME
            && let Ok(deleted) = event.payload::<MessageDeleted>()
        {
            self.running.deleted(deleted.message_id);
        }
    }

    /// What `/ai` answers where it asks nobody.
    async fn words(&self, posted: &Posted, policy: &AssistantPolicy, command: Command<'_>, retry: Retry) -> String {
        let (room, person) = (posted.row.room_id, &posted.row.author);
        match command {
            Command::Ask { .. } | Command::Models => "The assistant is switched off in this room.".to_owned(),
            Command::Help => command::help(&policy.name),
            Command::Wrong(words) => words,
            Command::Stop => {
                let moderates = stored!(retry, self.store.access(person, room)) == Access::Moderate;
                match self.running.stop_in(room, (!moderates).then_some(person)) {
                    0 => "There is nothing to stop.".to_owned(),
                    1 => "Stopped.".to_owned(),
                    count => format!("Stopped {count} answers."),
                }
            }
        }
    }

    /// The models that may be asked in a room, as a list to read.
    async fn models(&self, policy: &AssistantPolicy, own: bool) -> String {
        let allowed = |id: &str| {
            let named = &policy.models;
            let means = |known: &String| known == id || id.split('/').next() == Some(known.as_str());
            !own || named.is_empty() || named.iter().any(means)
        };
        let models = self.broker.models().await;
        let chat: Vec<_> = models.iter().filter(|model| model.abilities.chat && allowed(&model.id)).collect();
        if chat.is_empty() {
            return "There are no models: an operator has to enable an AI provider.".to_owned();
        }
        let mut words = "The models of this room:".to_owned();
        for model in chat.iter().take(LISTED) {
            let _ = write!(words, "\n- `{}`", model.id);
        }
        if chat.len() > LISTED {
            let _ = write!(words, "\n- and {} more", chat.len() - LISTED);
        }
        words
    }
}
