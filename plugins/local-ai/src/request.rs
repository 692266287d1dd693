//! A request in the words of the engine, or why it cannot be met here. Knows no model.

use std::hash::{BuildHasher, RandomState};

use plexichat::ai::{AiError, AiRequest, Part, ResponseFormat, ToolChoice, Turn, TurnRole};

use crate::config::Config;
use crate::model::Wish;
use crate::prompt::Said;
use crate::sampling::Choice;

/// How an answer is wanted, and where the request says nothing, as it is set.
///
/// # Errors
/// Where the request wants what cannot be promised here: a tool to be called, or an answer of a certain form.
pub(crate) fn wish(request: &AiRequest, config: &Config) -> Result<Wish, AiError> {
    if matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_)) {
        return Err(AiError::invalid("this model calls no tools: leave `tool_choice` out"));
    }
    if request.response_format != ResponseFormat::Text {
        return Err(AiError::invalid("this model cannot be held to a form: leave `response_format` out"));
    }
    let sampling = &request.sampling;
    let top_k = match request.extra.get("top_k") {
        None => u64::from(config.top_k),
        Some(top_k) => top_k.as_u64().ok_or_else(|| AiError::invalid("`top_k` is no whole number"))?,
    };
    let most = config.max_output_tokens;
    Ok(Wish {
        choice: Choice {
            temperature: sampling.temperature.unwrap_or(config.temperature),
            top_p: sampling.top_p.unwrap_or(config.top_p),
            top_k: usize::try_from(top_k).unwrap_or(usize::MAX),
            frequency_penalty: sampling.frequency_penalty.unwrap_or(0.0),
            presence_penalty: sampling.presence_penalty.unwrap_or(0.0),
        },
        seed: sampling.seed.map_or_else(by_chance, i64::cast_unsigned),
        most: sampling.max_output_tokens.map_or(most, |wanted| wanted.min(most)) as usize,
        stops: sampling.stop.clone(),
    })
}

/// The standard library's own keys come from the system's random numbers: enough for a beginning.
fn by_chance() -> u64 {
    RandomState::new().hash_one(0)
}

/// What was said, as text. Calls of tools and their results, which another model may have made, are told as text as well.
///
/// # Errors
/// Where there is a picture.
pub(crate) fn said(turns: &[Turn]) -> Result<Vec<Said>, AiError> {
    turns.iter().map(|turn| Ok(Said { role: role(turn.role), content: content(&turn.parts)? })).collect()
}

fn role(role: TurnRole) -> &'static str {
    match role {
        TurnRole::System => "system",
        TurnRole::Assistant => "assistant",
        // Templates of models without tools know no role for their results.
        _ => "user",
    }
}

fn content(parts: &[Part]) -> Result<String, AiError> {
    let texts = parts.iter().map(|part| match part {
        Part::Text { text } => Ok(text.clone()),
        Part::ToolCall(call) => Ok(format!("[called {} with {}]", call.name, call.arguments)),
        Part::ToolResult { content, is_error: false, .. } => Ok(format!("[it answered: {content}]")),
        Part::ToolResult { content, is_error: true, .. } => Ok(format!("[it failed: {content}]")),
        _ => Err(AiError::invalid("this model sees no pictures")),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}
