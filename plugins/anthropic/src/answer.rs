//! What comes back: events of a stream, or a whole message, as deltas. Knows no request.

use std::collections::VecDeque;

use plexichat::ai::service::{AiService, AnswerReader};
use plexichat::ai::{FinishReason, Usage};
use plexichat::prelude::*;
use plexichat::sse::SseEvent;
use serde::Deserialize;

/// What the service tells, by its `type`. What a later version adds is passed over.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    ContentBlockStop {
        index: u64,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: Tokens,
    },
    MessageStop,
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

/// A message: its beginning in a stream, else all of it.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Tokens,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Each is the sum so far; a later event says only those that changed.
#[derive(Deserialize, Default)]
struct Tokens {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
}

/// Makes deltas of events.
#[derive(Default)]
pub(crate) struct Reader {
    ready: VecDeque<AiDelta>,
    /// The calls of tools, each with the index of its block, and whether any of its arguments came.
    calls: Vec<(u64, bool)>,
    tokens: Tokens,
    finish: Option<FinishReason>,
    ended: bool,
}

impl AnswerReader for Reader {
    fn take(&mut self, event: &SseEvent, service: &AiService) -> Result<(), AiError> {
        match serde_json::from_str(&event.data).map_err(|error| nonsense(service, &error))? {
            Event::Error { error } => return Err(service.told(&error)),
            Event::MessageStart { message } => self.tokens.add(message.usage),
            Event::ContentBlockStart { index, content_block } => self.begin(index, content_block),
            Event::ContentBlockDelta { index, delta } => self.go_on(index, delta),
            Event::ContentBlockStop { index } => self.close(index),
            Event::MessageDelta { delta, usage } => {
                self.tokens.add(usage);
                self.finish = delta.stop_reason.as_deref().map(finish).or(self.finish);
            }
            Event::MessageStop => self.end(),
            Event::Other => {}
        }
        Ok(())
    }

    fn take_whole(&mut self, answer: Value, service: &AiService) -> Result<(), AiError> {
        let message: Message = serde_json::from_value(answer).map_err(|error| nonsense(service, &error))?;
        self.tokens.add(message.usage);
        self.finish = message.stop_reason.as_deref().map(finish);
        for (index, block) in (0..).zip(message.content) {
            self.begin(index, block);
            self.close(index);
        }
        Ok(())
    }

    /// What it cost goes before the end.
    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.ready.extend(self.tokens.usage().map(AiDelta::Usage));
        self.ready.extend(self.finish.map(AiDelta::finish));
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
    fn begin(&mut self, index: u64, block: Block) {
        match block {
            Block::Text { text } => self.text(text),
            Block::Thinking { thinking } => self.reasoning(thinking),
            Block::ToolUse { id, name, input } => {
                // In a stream it begins empty, and the arguments follow as text.
                let arguments = match &input {
                    Value::Object(input) if !input.is_empty() => json!(input).to_string(),
                    _ => String::new(),
                };
                let place = self.calls.len();
                self.calls.push((index, !arguments.is_empty()));
                self.ready.push_back(AiDelta::ToolCall {
                    index: place_of(place),
                    id: Some(id),
                    name: Some(name),
                    arguments,
                });
            }
            Block::Other => {}
        }
    }

    fn go_on(&mut self, index: u64, delta: Delta) {
        match delta {
            Delta::Text { text } => self.text(text),
            Delta::Thinking { thinking } => self.reasoning(thinking),
            Delta::InputJson { partial_json } => self.arguments(index, partial_json),
            // Signatures and citations.
            Delta::Other => {}
        }
    }

    /// A call without arguments has an empty object.
    fn close(&mut self, index: u64) {
        if self.calls.iter().any(|(block, has_arguments)| *block == index && !has_arguments) {
            self.arguments(index, "{}".to_owned());
        }
    }

    fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(AiDelta::text(text));
        }
    }

    fn reasoning(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(AiDelta::Reasoning { text });
        }
    }

    fn arguments(&mut self, index: u64, arguments: String) {
        let Some(place) = self.calls.iter().position(|(block, _)| *block == index) else { return };
        if !arguments.is_empty() {
            self.calls[place].1 = true;
            self.ready.push_back(AiDelta::ToolCall { index: place_of(place), id: None, name: None, arguments });
        }
    }
}

impl Tokens {
    fn add(&mut self, later: Self) {
        let Self { input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens } = later;
        self.input_tokens = input_tokens.or(self.input_tokens);
        self.output_tokens = output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = cache_read_input_tokens.or(self.cache_read_input_tokens);
    }

    /// The service counts what it had seen before, and what it will remember, beside the rest.
    fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input_tokens?, self.output_tokens?);
        let read = self.cache_read_input_tokens.unwrap_or(0);
        let input_tokens = input + read + self.cache_creation_input_tokens.unwrap_or(0);
        Some(Usage { input_tokens, output_tokens: output, cached_input_tokens: read })
    }
}

fn place_of(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn finish(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        // The service wants to be asked to go on with tools of its own, which nobody here asks for.
        "pause_turn" => FinishReason::Incomplete,
        _ => FinishReason::Stop,
    }
}

fn nonsense(service: &AiService, error: &serde_json::Error) -> AiError {
    service.nonsense(&format!("Anthropic sent an event that is not what was expected: {error}"))
}
