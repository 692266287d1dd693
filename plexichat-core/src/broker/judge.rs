//! What is asked of a model, and the tools that a model calls, before the scanners. Everything in a question that its sender
//! could have written is shown to them; what cannot be rewritten in its place is refused where a hook would rewrite it.

use serde_json::Value;

use super::Broker;
use super::ask::{Ask, refused};
use crate::ai::{AiError, AiErrorKind, AiRequest, ImageSource, Part, ResponseFormat, ToolChoice, ToolRequest, Turn};
use crate::id::RoomId;
use crate::message::{Actor, Origin};
use crate::pipeline::{Pipeline, ReplyAbout};

impl Broker {
    /// Shows every text of the question to the scanners, and puts what rewriting hooks made of it in its place. What the
    /// model said before is among it: whoever asks from outside could have written it.
    pub(super) async fn judge(&self, ask: &mut Ask<AiRequest>) -> Result<(), AiError> {
        let (actor, room_id, origin) = (ask.actor.clone(), ask.room_id, ask.origin);
        for turn in &mut ask.request.turns {
            let mut parts = 0;
            for part in &mut turn.parts {
                let (Part::Text { text } | Part::ToolResult { content: text, .. }) = part else { continue };
                *text = self.judge_text(&actor, room_id, std::mem::take(text), origin).await?;
                parts += 1;
            }
            if parts > 1 {
                // A provider may put them side by side: what is nothing in each may be something in both.
                self.judge_fixed(&actor, room_id, joined(turn), origin).await?;
            }
        }
        let rest = rest(&ask.request);
        self.judge_fixed(&actor, room_id, rest, origin).await
    }

    /// Shows a text to the scanners: what comes back is what to send in its place.
    pub(super) async fn judge_text(
        &self,
        actor: &Actor,
        room_id: Option<RoomId>,
        text: String,
        origin: Origin,
    ) -> Result<String, AiError> {
        if text.is_empty() {
            return Ok(text);
        }
        self.pipeline.clear_prompt(actor, room_id, text, origin).await.map_err(|refusal| refused(&refusal))
    }

    /// The same for what must stay as it is.
    async fn judge_fixed(
        &self,
        actor: &Actor,
        room_id: Option<RoomId>,
        text: String,
        origin: Origin,
    ) -> Result<(), AiError> {
        let rewritten = self.judge_text(actor, room_id, text.clone(), origin).await?;
        if rewritten == text {
            return Ok(());
        }
        let message = "withheld: something that is to be redacted stands where nothing can be put in its place";
        Err(AiError::new(AiErrorKind::ContentFiltered, message))
    }
}

/// Shows the calls of one answer to those who judge answers, before anybody acts on them.
pub(super) async fn judge_calls(pipeline: &Pipeline, about: &ReplyAbout, calls: &[ToolRequest]) -> Result<(), AiError> {
    let mut texts = Vec::new();
    for call in calls {
        texts.push(call.name.clone());
        // As it reads once it is decoded; what is no JSON reads as it stands.
        match serde_json::from_str::<Value>(&call.arguments) {
            Ok(arguments) => leaves(&arguments, &mut texts),
            Err(_) => texts.push(call.arguments.clone()),
        }
    }
    let mut scanner = pipeline.reply_scanner(about.clone()).await.map_err(|refusal| refused(&refusal))?;
    scanner.push(&texts.join("\n")).await.map_err(|refusal| refused(&refusal))?;
    scanner.finish().await.map_err(|refusal| refused(&refusal))?;
    Ok(())
}

/// The texts of a turn, as a provider that knows no parts puts them together.
fn joined(turn: &Turn) -> String {
    let texts = turn.parts.iter().filter_map(|part| match part {
        Part::Text { text } | Part::ToolResult { content: text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Every other text of a question.
fn rest(request: &AiRequest) -> String {
    let mut texts = Vec::new();
    for part in request.turns.iter().flat_map(|turn| &turn.parts) {
        match part {
            Part::ToolCall(call) => {
                texts.push(call.name.clone());
                match serde_json::from_str::<Value>(&call.arguments) {
                    Ok(arguments) => leaves(&arguments, &mut texts),
                    Err(_) => texts.push(call.arguments.clone()),
                }
            }
            Part::ToolResult { id, .. } => texts.push(id.clone()),
            Part::Image { source: ImageSource::Url { url } } => texts.push(url.clone()),
            Part::Image { .. } | Part::Text { .. } => {}
        }
    }
    for tool in &request.tools {
        texts.extend([tool.name.clone(), tool.description.clone()]);
        leaves(&tool.parameters, &mut texts);
    }
    if let ToolChoice::Tool(name) = &request.tool_choice {
        texts.push(name.clone());
    }
    if let ResponseFormat::JsonSchema { name, schema, .. } = &request.response_format {
        texts.push(name.clone());
        leaves(schema, &mut texts);
    }
    texts.extend(request.sampling.stop.iter().cloned());
    texts.extend(request.user.clone());
    for (name, value) in &request.extra {
        texts.push(name.clone());
        leaves(value, &mut texts);
    }
    texts.join("\n")
}

/// Every text and name in a JSON value.
fn leaves(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(name.clone());
                leaves(value, texts);
            }
        }
        Value::Number(number) => texts.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}
