//! What comes back: chunks of a stream, or a whole answer where the service ignores `stream`, as deltas. Knows no request.

use std::collections::VecDeque;

use plexichat::ai::service::{AiService, AnswerReader};
use plexichat::ai::{FinishReason, Usage};
use plexichat::prelude::*;
use plexichat::sse::SseEvent;
use serde::Deserialize;

/// Makes deltas of chunks.
#[derive(Default)]
pub(crate) struct Reader {
    ready: VecDeque<AiDelta>,
    /// The calls of tools that have begun: the service's index for each, and its identifier.
    calls: Vec<(u64, String)>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    ended: bool,
}

/// A chunk, or a whole answer. Whatever else stands in it is passed over.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    /// A piece, or in a whole answer all of it.
    #[serde(default, alias = "message")]
    delta: Option<Piece>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Value,
    /// What the model thinks: `reasoning_content` at DeepSeek, llama.cpp and vLLM, `reasoning` elsewhere.
    #[serde(default)]
    reasoning_content: Value,
    #[serde(default)]
    reasoning: Value,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Function,
}

#[derive(Deserialize, Default)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl AnswerReader for Reader {
    fn take(&mut self, event: &SseEvent, service: &AiService) -> Result<(), AiError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.end();
            return Ok(());
        }
        match serde_json::from_str(data) {
            Ok(chunk) if event.name == "error" => Err(service.told(&chunk)),
            Ok(chunk) => self.take_chunk(&chunk, service),
            Err(_) if event.name == "error" => Err(service.told(&json!(data))),
            Err(error) => Err(nonsense(service, &error)),
        }
    }

    fn take_whole(&mut self, answer: Value, service: &AiService) -> Result<(), AiError> {
        self.take_chunk(&answer, service)
    }

    /// What a service says last, what it cost, goes before the end.
    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.ready.extend(self.usage.take().map(AiDelta::Usage));
        // Some services stop where they wait for tools.
        let reason = match self.finish {
            Some(FinishReason::Stop) if !self.calls.is_empty() => FinishReason::ToolCalls,
            Some(reason) => reason,
            None => return,
        };
        self.ready.push_back(AiDelta::finish(reason));
    }

    fn next(&mut self) -> Option<AiDelta> {
        self.ready.pop_front()
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    fn has_ended(&self) -> bool {
        self.ended
    }
}

impl Reader {
    fn take_chunk(&mut self, chunk: &Value, service: &AiService) -> Result<(), AiError> {
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(service.told(chunk));
        }
        let chunk = Chunk::deserialize(chunk).map_err(|error| nonsense(service, &error))?;
        // Where several answers were asked for, the first is the answer.
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            if let Some(piece) = choice.delta {
                self.take_piece(piece);
            }
            if let Some(reason) = choice.finish_reason {
                self.finish = Some(finish(&reason));
            }
        }
        if let Some(tokens) = chunk.usage {
            self.usage = Some(tokens.into());
        }
        Ok(())
    }

    fn take_piece(&mut self, piece: Piece) {
        let reasoning = [piece.reasoning_content, piece.reasoning].into_iter().map(|value| text(&value));
        if let Some(text) = reasoning.into_iter().find(|text| !text.is_empty()) {
            self.ready.push_back(AiDelta::Reasoning { text });
        }
        for text in [text(&piece.content), text(&piece.refusal)] {
            if !text.is_empty() {
                self.ready.push_back(AiDelta::text(text));
            }
        }
        for call in piece.tool_calls.into_iter().flatten() {
            self.take_call(call);
        }
    }

    fn take_call(&mut self, call: Call) {
        let Function { name, arguments } = call.function;
        let arguments = match arguments {
            Value::String(text) => text,
            Value::Null => String::new(),
            // Some services send them as JSON and not as its text.
            value => value.to_string(),
        };
        let id = call.id.filter(|id| !id.is_empty());
        // Without an index it goes on with the last call, unless it has an identifier or a name of its own.
        let begun = match (call.index, &id) {
            (Some(index), Some(id)) => {
                // Some services give every call the index 0.
                self.calls.iter().rposition(|(known, known_id)| *known == index && known_id == id)
            }
            (Some(index), None) => self.calls.iter().rposition(|(known, _)| *known == index),
            (None, Some(id)) => self.calls.iter().rposition(|(_, known)| known == id),
            (None, None) if name.is_none() => self.calls.len().checked_sub(1),
            (None, None) => None,
        };
        let (at, id, name) = match begun {
            Some(at) => (at, None, None),
            None => {
                let at = self.calls.len();
                let id = id.unwrap_or_else(|| format!("call_{at}"));
                self.calls.push((call.index.unwrap_or(at as u64), id.clone()));
                (at, Some(id), Some(name.unwrap_or_default()))
            }
        };
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        self.ready.push_back(AiDelta::ToolCall { index, id, name, arguments });
    }
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "length" | "max_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

/// Text, or parts that have text: some services send a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.prompt_tokens.unwrap_or(0),
            output_tokens: tokens.completion_tokens.unwrap_or(0),
            cached_input_tokens: tokens.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
        }
    }
}

fn nonsense(service: &AiService, error: &serde_json::Error) -> AiError {
    service.nonsense(&format!("the service sent a piece that is not what was expected: {error}"))
}
