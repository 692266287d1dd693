//! What comes back: events of a stream, or a whole message, as deltas. Knows no request.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream;
use plexichat::ai::{FinishReason, Usage};
use plexichat::message::Time;
use plexichat::prelude::*;
use plexichat::sse::SseStream;
use serde::Deserialize;

use crate::service::Service;

/// The largest whole answer.
const WHOLE_MAX: usize = 16 * 1024 * 1024;

/// Sends the request; the answer streams once the service has taken it.
pub(crate) async fn stream(service: Arc<Service>, body: Value, now: Time) -> Result<AiStream, AiError> {
    let response = service.open("/v1/messages", &body, now).await?;
    if response.header("content-type").is_some_and(|kind| kind.contains("json")) {
        let whole = response.collect(WHOLE_MAX).await.map_err(|error| service.failed(service.unreachable(error)))?;
        let message: Message = service.read(&whole)?;
        service.worked();
        let mut reader = Reader::default();
        reader.take_message(message);
        return Ok(AiStream::of(reader.ready));
    }
    let reading = Reading { events: SseStream::new(response), service, reader: Reader::default() };
    Ok(AiStream::new(stream::unfold(reading, |mut reading| async {
        let next = reading.next().await?;
        Some((next, reading))
    })))
}

/// An answer while it is read.
struct Reading {
    events: SseStream,
    service: Arc<Service>,
    reader: Reader,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<AiDelta, AiError>> {
        loop {
            if let Some(delta) = self.reader.ready.pop_front() {
                return Some(Ok(delta));
            }
            if self.reader.ended {
                return None;
            }
            let taken = match self.events.next().await {
                Ok(Some(event)) => self.take(&event.data),
                Ok(None) => {
                    self.reader.end();
                    Ok(())
                }
                // It said that it was done before it hung up.
                Err(_) if self.reader.finish.is_some() => {
                    self.reader.end();
                    Ok(())
                }
                Err(error) => Err(self.service.failed(self.service.unreachable(error))),
            };
            if let Err(error) = taken {
                self.reader.ended = true;
                return Some(Err(error));
            }
        }
    }

    fn take(&mut self, data: &str) -> Result<(), AiError> {
        let nonsense = |error: serde_json::Error| {
            let message = format!("Anthropic sent an event that is not what was expected: {error}");
            self.service.failed(AiError::new(AiErrorKind::Protocol, self.service.stripped(&message)))
        };
        match serde_json::from_str(data).map_err(nonsense)? {
            Event::Error { error } => return Err(self.service.told(&error)),
            event => self.reader.take(event),
        }
        if self.reader.ended {
            self.service.worked();
        }
        Ok(())
    }
}

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
struct Reader {
    ready: VecDeque<AiDelta>,
    /// The calls of tools, each with the index of its block, and whether any of its arguments came.
    calls: Vec<(u64, bool)>,
    tokens: Tokens,
    finish: Option<FinishReason>,
    ended: bool,
}

impl Reader {
    fn take(&mut self, event: Event) {
        match event {
            Event::MessageStart { message } => self.tokens.add(message.usage),
            Event::ContentBlockStart { index, content_block } => self.begin(index, content_block),
            Event::ContentBlockDelta { index, delta } => self.go_on(index, delta),
            Event::ContentBlockStop { index } => self.close(index),
            Event::MessageDelta { delta, usage } => {
                self.tokens.add(usage);
                self.finish = delta.stop_reason.as_deref().map(finish).or(self.finish);
            }
            Event::MessageStop => self.end(),
            Event::Error { .. } | Event::Other => {}
        }
    }

    fn take_message(&mut self, message: Message) {
        self.tokens.add(message.usage);
        self.finish = message.stop_reason.as_deref().map(finish);
        for (index, block) in (0..).zip(message.content) {
            self.begin(index, block);
            self.close(index);
        }
        self.end();
    }

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

    /// No more comes. What it cost goes before the end.
    fn end(&mut self) {
        self.ended = true;
        self.ready.extend(self.tokens.usage().map(AiDelta::Usage));
        self.ready.extend(self.finish.map(AiDelta::finish));
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
