//! An answer from its turn to its messages: asks the broker, shows what comes, calls tools, writes what came. Whatever goes
//! wrong, the person is told.

use std::collections::HashMap;

use super::conversation::{Conversation, HOST, PICTURE_MAX, base64, wanted_pictures};
use super::frame::{ReplyError, ReplyStep};
use super::question::KeptAnswer;
use super::reply::{Place, Reply};
use super::running::{Begun, Stop};
use super::tools::{Calling, Calls, Offered, ROUNDS};
use super::{Assistants, Question, say};
use crate::ai::{
    AiDelta, AiError, AiErrorKind, AiRequest, AiResponse, FinishReason, Model, Part, ToolChoice, Turn, TurnRole,
};
use crate::broker::{Ask, Piece};
use crate::cause::Cause;
use crate::dispatch::nth;
use crate::dispatch::turns::Turn as InLine;
use crate::id::{EventId, FileId};
use crate::message::{Actor, ActorKind, StoredRow};
use crate::pipeline::Access;
use crate::pipeline::files::Servable;

/// Asks the store until it answers: it may be away for a while.
macro_rules! stored {
    ($retry:expr, $call:expr) => {{
        let mut wait = $retry.first;
        loop {
            match $call.await {
                Ok(found) => break found,
                Err(error) => {
                    tracing::warn!(%error, "the assistant cannot use the store; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min($retry.last);
                }
            }
        }
    }};
}
pub(super) use stored;

/// How the asking ended.
enum Outcome {
    /// There is nothing to answer, or it was answered before.
    Nothing,
    /// The model ended its answer.
    Finished(FinishReason),
    /// It did not.
    Failed(AiError),
    /// Somebody ended it early.
    Stopped(Stop),
}

impl Assistants {
    /// Answers a question when its turn comes; where its answer is kept already, writes what lacks of it.
    pub(super) async fn answer(&self, question: Question, begun: &Begun, turn: InLine, kept: Option<KeptAnswer>) {
        if let Some(kept) = kept {
            return self.write_rest(&question, kept).await;
        }
        let mut reply = Reply::new(&question);
        let mut place = Place::new(turn);
        let outcome = tokio::select! {
            biased;
            why = begun.stopped() => Outcome::Stopped(why),
            outcome = self.work(&question, &mut reply, &mut place) => outcome,
        };
        if matches!(outcome, Outcome::Stopped(_)) {
            self.give_up_leave(&question).await;
        }
        self.close(&question, reply, outcome).await;
    }

    async fn work(&self, question: &Question, reply: &mut Reply, place: &mut Place) -> Outcome {
        place.come(self, question).await;
        let (posted, retry) = (&question.posted, question.retry);
        let (asker, room) = (&posted.row.author, posted.row.room_id);
        // While it waited the message may have been edited or deleted, and the person put out.
        let row = stored!(retry, self.store.message(posted.row.id));
        let Some(row) = row.filter(|row| row.state.is_shown()) else { return Outcome::Nothing };
        if stored!(retry, self.store.by_ai_key(room, &say::key(posted, 0))).is_some() {
            return Outcome::Nothing;
        }
        if stored!(retry, self.store.access(asker, room)) < Access::Read {
            return Outcome::Nothing;
        }
        self.show(question, reply, ReplyStep::Waiting);
        let models = match question.models() {
            Ok(models) => models,
            Err(error) => return Outcome::Failed(error),
        };
        let author = reply.author.clone();
        let model = match self.thinking(question, &author, self.broker.first_choice(&models)).await {
            Ok(model) => model,
            Err(error) => return Outcome::Failed(error),
        };
        let offered = if model.abilities.tools { self.offered(&question.policy.tools) } else { Vec::new() };
        let turns = self.turns_of(question, &row, &model, &offered).await;
        self.talk(question, reply, place, models, turns, &offered).await
    }

    /// What the model is told.
    async fn turns_of(&self, question: &Question, row: &StoredRow, model: &Model, offered: &[Offered]) -> Vec<Turn> {
        let (retry, policy) = (question.retry, &question.policy);
        let wanted = policy.history;
        let before = stored!(retry, self.store.history(row.room_id, None, Some(row.seq), wanted));
        // What was asked before this and answered since stands before it, too.
        let after = stored!(retry, self.store.history(row.room_id, Some(row.seq), None, wanted));
        let is_said = |row: &StoredRow| row.author.kind != ActorKind::Ai || &*row.author.id != HOST;
        let earlier = |answer: &StoredRow| {
            answer.author.kind == ActorKind::Ai && before.iter().any(|row| answer.reply_to == Some(row.id))
        };
        let mut history: Vec<StoredRow> = Vec::new();
        if let Some(answered) = row.reply_to.filter(|id| !before.iter().any(|row| row.id == *id)) {
            let answered = stored!(retry, self.store.message(answered));
            history.extend(answered.filter(|answered| answered.room_id == row.room_id && answered.state.is_shown()));
        }
        history.extend(before.iter().filter(|row| is_said(row)).cloned());
        history.extend(after.into_iter().filter(|row| earlier(row) && is_said(row)));

        let pictures = if model.abilities.images { self.pictures_of(row, &history).await } else { HashMap::new() };
        let tools = offered.iter().map(|tool| {
            let definition = &tool.definition;
            (definition.name.len() + definition.description.len() + definition.parameters.to_string().len()) / 4
        });
        let conversation = Conversation {
            name: &policy.name,
            system_prompt: policy.system_prompt.as_deref(),
            history: &history,
            asker: &row.author,
            question: question.text(row),
            attachments: &row.attachments,
            pictures: &pictures,
            context_tokens: model.context_tokens,
            answer_tokens: policy.max_output_tokens.or(model.max_output_tokens),
            tools_tokens: u32::try_from(tools.sum::<usize>()).unwrap_or(u32::MAX),
        };
        conversation.turns()
    }

    /// The newest pictures of a conversation, those that may be handed out.
    async fn pictures_of(&self, row: &StoredRow, history: &[StoredRow]) -> HashMap<FileId, String> {
        let newest_first = std::iter::once(row).chain(history.iter().rev());
        let wanted = wanted_pictures(newest_first.flat_map(|row| &row.attachments));
        let mut pictures = HashMap::new();
        let Ok(found) = self.store.files(&wanted).await else { return pictures };
        for (id, file) in wanted.into_iter().zip(found) {
            let servable = file.and_then(|file| Servable::of(id, file.state));
            let Some(servable) = servable else { continue };
            match self.pictures.read(servable, PICTURE_MAX).await {
                Ok(content) => pictures.extend(content.map(|content| (id, base64(&content)))),
                Err(error) => tracing::warn!(file = %id, %error, "a picture could not be read for a model"),
            }
        }
        pictures
    }

    /// Asks, shows what comes, calls tools, and asks again with what they answered.
    async fn talk(
        &self,
        question: &Question,
        reply: &mut Reply,
        place: &mut Place,
        mut models: Vec<String>,
        mut turns: Vec<Turn>,
        offered: &[Offered],
    ) -> Outcome {
        let mut calls = Calls::default();
        for round in 0..=ROUNDS {
            let heard = match self.ask(question, reply, &models, &turns, offered, round < ROUNDS).await {
                Ok(heard) => heard,
                Err(error) => return Outcome::Failed(error),
            };
            if heard.tool_calls.is_empty() {
                return Outcome::Finished(heard.finish);
            }
            if round == ROUNDS {
                let message = format!("the model called tools {ROUNDS} times and gave no answer");
                return Outcome::Failed(AiError::new(AiErrorKind::InvalidRequest, message));
            }
            // Who began the answer goes on with it, while they can.
            models.retain(|model| **model != *reply.author.id);
            models.insert(0, reply.author.id.to_string());
            let said = Some(heard.text).filter(|text| !text.is_empty()).map(|text| Part::Text { text });
            let parts = said.into_iter().chain(heard.tool_calls.iter().cloned().map(Part::ToolCall)).collect();
            turns.push(Turn { role: TurnRole::Assistant, parts });
            let request_id = reply.answer.take().map(|answer| answer.request_id().to_owned()).unwrap_or_default();
            let on = Calling { question, reply, offered, request_id: &request_id };
            let mut results = Vec::new();
            for call in &heard.tool_calls {
                results.push(self.call_tool(&on, place, &mut calls, call).await);
            }
            turns.push(Turn { role: TurnRole::Tool, parts: results });
            reply.new_paragraph = true;
        }
        unreachable!("the last round returns")
    }

    /// One question to a provider and its whole answer, shown while it comes.
    async fn ask(
        &self,
        question: &Question,
        reply: &mut Reply,
        models: &[String],
        turns: &[Turn],
        offered: &[Offered],
        may_call: bool,
    ) -> Result<AiResponse, AiError> {
        let row = &question.posted.row;
        let mut request = AiRequest::new("", turns.to_vec());
        request.tools = offered.iter().map(|tool| tool.definition.clone()).collect();
        if !may_call {
            request.tool_choice = ToolChoice::None;
        }
        request.sampling.max_output_tokens = question.policy.max_output_tokens;
        request.user = Some(row.author.id.to_string());
        let about = EventId::about(row.id, nth::MESSAGE_RECEIVED);
        let ask = Ask {
            models: models.to_vec(),
            request,
            actor: row.author.clone(),
            room_id: Some(row.room_id),
            origin: question.posted.origin,
            // Messages were when they were stored, what tools answered when it came.
            judged: true,
            cause: Some(Cause::new(about, question.posted.cause_depth, "assistant", "answer")),
        };
        let author = reply.author.clone();
        let mut answer = self.thinking(question, &author, self.broker.ask(ask)).await?;
        answer.hold();
        let author = Actor { name: question.policy.name.as_str().into(), ..answer.author().clone() };
        reply.author = author.clone();
        let mut heard = AiResponse::default();
        while let Some(piece) = self.thinking(question, &author, answer.next()).await {
            match piece? {
                Piece::Text(delta) => {
                    heard.push(AiDelta::text(delta.text()));
                    let step = reply.push(delta);
                    self.show(question, reply, step);
                }
                Piece::Other(delta) => heard.push(delta),
            }
        }
        reply.answer = Some(answer);
        Ok(heard)
    }

    /// Writes what became of it, and tells listeners that it is over.
    async fn close(&self, question: &Question, mut reply: Reply, outcome: Outcome) {
        let cancelled = |message: &str| Some(ReplyError::new("cancelled", message));
        let mut kind = None;
        let (note, error) = match outcome {
            Outcome::Nothing => return,
            Outcome::Stopped(Stop::Deleted) => {
                let error = cancelled("the question was deleted");
                return self.show(question, &reply, ReplyStep::Ended { messages: Vec::new(), error });
            }
            Outcome::Stopped(Stop::Cancelled) => (Some("[stopped]".to_owned()), cancelled("the answer was stopped")),
            Outcome::Finished(FinishReason::Length) => {
                (Some("[cut: the model may say no more at once]".to_owned()), None)
            }
            Outcome::Finished(FinishReason::Incomplete) => {
                let words = "the model broke off without a word";
                let error = ReplyError::new("incomplete", words);
                (Some(format!("[broken off: {words}]")), Some(error))
            }
            Outcome::Finished(FinishReason::ContentFilter) => {
                let words = "the service withheld the rest";
                let error = ReplyError::new("content_filter", words);
                (Some(format!("[{words} (content_filter)]")), Some(error))
            }
            Outcome::Finished(_) => (None, None),
            Outcome::Failed(failed) => {
                let (code, words) = (failed.kind().code(), failed.public_message().trim_end_matches('.').to_owned());
                if reply.text.trim().is_empty() {
                    let row =
                        self.say(&question.posted, &question.policy.name, say::ai_failure(&failed), question.retry);
                    let row = row.await;
                    let messages = Self::shown(row.as_slice());
                    let error = Some(ReplyError::new(code, words).once_written(row.as_slice(), failed.kind()));
                    return self.show(question, &reply, ReplyStep::Ended { messages, error });
                }
                kind = Some(failed.kind());
                (Some(format!("[broken off ({code}): {words}]")), Some(ReplyError::new(code, words)))
            }
        };
        let (messages, error) = if reply.text.trim().is_empty() {
            match error {
                // Nobody sees anything of it: there is nothing to keep.
                Some(error) if error.code == "cancelled" => (Vec::new(), Some(error)),
                error => self.nothing_said(question, error).await,
            }
        } else {
            let text = match note {
                Some(note) => format!("{}\n\n{note}", reply.text.trim_end()),
                None => std::mem::take(&mut reply.text),
            };
            self.written(question, &reply.author, self.parts(&text), error, kind).await
        };
        if let Some(answer) = &mut reply.answer {
            answer.became(messages.first().copied());
        }
        self.show(question, &reply, ReplyStep::Ended { messages, error });
    }

    /// The model ended without a word.
    async fn nothing_said(
        &self,
        question: &Question,
        error: Option<ReplyError>,
    ) -> (Vec<crate::id::MessageId>, Option<ReplyError>) {
        let error = error.unwrap_or_else(|| ReplyError::new("empty_answer", "the model gave an empty answer"));
        let text =
            say::failure(&error.code, &error.message, "Ask in other words, or another model: `/ai models` lists them.");
        let row = self.say(&question.posted, &question.policy.name, text, question.retry).await;
        (Self::shown(row.as_slice()), Some(error))
    }

    /// Writes an answer that the model had ended before the server did. What of it is stored is found under its key.
    async fn write_rest(&self, question: &Question, kept: KeptAnswer) {
        let row = stored!(question.retry, self.store.message(question.posted.row.id));
        if row.is_none_or(|row| !row.state.is_shown()) {
            return;
        }
        let KeptAnswer { author, parts } = kept;
        let (messages, error) = self.written(question, &author, parts, None, None).await;
        self.show_as(question, author, ReplyStep::Ended { messages, error });
    }

    /// Stores an answer; where it is refused, says so. `kind`: how the model failed in the middle of it.
    async fn written(
        &self,
        question: &Question,
        author: &Actor,
        parts: Vec<String>,
        error: Option<ReplyError>,
        kind: Option<AiErrorKind>,
    ) -> (Vec<crate::id::MessageId>, Option<ReplyError>) {
        let (rows, refusal) = self.write_answer(question, author, parts).await;
        let mut messages = Self::shown(&rows);
        let Some(refusal) = refusal else {
            let error = match (error, kind) {
                (Some(error), Some(kind)) => Some(error.once_written(&rows, kind)),
                (error, _) => error,
            };
            let held = || ReplyError::new("message_held", "the answer is held back until a moderator has looked at it");
            return (messages, error.or_else(|| rows.iter().any(|row| !row.state.is_shown()).then(held)));
        };
        let code = match refusal.code() {
            "rejected" => "content_filter",
            code => code,
        };
        tracing::warn!(message = %question.posted.row.id, %refusal, "an assistant's answer was refused");
        let error = ReplyError::new(code, "the answer may not be posted here");
        if rows.is_empty() {
            let text = say::failure(code, &error.message, "Ask in other words.");
            let row = self.say(&question.posted, &question.policy.name, text, question.retry).await;
            messages = Self::shown(row.as_slice());
        }
        (messages, Some(error))
    }
}
