//! What `/v1/chat/completions` is asked: OpenAI's messages, tools and options as a request to any provider. Knows no answer.

use plexichat::ai::{
    AiRequest, ImageSource, Part, ResponseFormat, Sampling, ToolChoice, ToolDefinition, ToolRequest, Turn, TurnRole,
};
use plexichat::prelude::*;

use crate::failure::Failure;
use crate::fields::{Fields, list, wrong};
use crate::host::is_public_host;

/// What was asked, and how the answer is wanted.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: AiRequest,
    /// Piece by piece.
    pub(crate) stream: bool,
    /// With what it cost in a piece of its own at the end.
    pub(crate) include_usage: bool,
}

/// Reads a request's body.
///
/// # Errors
/// What is wrong, with the parameter's name.
pub(crate) fn read(body: &[u8]) -> Result<Asked, Failure> {
    let mut fields = Fields::of_body(body)?;
    refuse_what_is_not_offered(&mut fields)?;
    let model = fields.text("model")?;
    let messages = fields.value("messages").ok_or_else(|| Failure::missing("messages"))?;
    let turns = turns(list("messages", messages)?)?;
    let mut request = AiRequest::new(model, turns);
    if let Some(tools) = fields.value("tools") {
        let tools = list("tools", tools)?.into_iter().enumerate();
        request.tools =
            tools.map(|(index, value)| tool(&format!("tools[{index}]"), value)).collect::<Result<_, _>>()?;
    }
    if let Some(choice) = fields.value("tool_choice") {
        request.tool_choice = tool_choice(choice)?;
    }
    if let Some(format) = fields.value("response_format") {
        request.response_format = response_format(format)?;
    }
    request.sampling = sampling(&mut fields)?;
    request.user = fields.take("user", "a string")?;
    let stream = fields.take("stream", "a boolean")?.unwrap_or(false);
    let include_usage = match fields.value("stream_options") {
        None => false,
        Some(_) if !stream => {
            let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(Failure::bad("stream_options", message));
        }
        Some(options) => Fields::of("stream_options", options)?.take("include_usage", "a boolean")?.unwrap_or(false),
    };
    request.extra = fields.rest();
    Ok(Asked { request, stream, include_usage })
}

/// What OpenAI's API knows and this one does not offer is told, not passed over: an answer without it would look complete.
fn refuse_what_is_not_offered(fields: &mut Fields) -> Result<(), Failure> {
    if let Some(number) = fields.take::<u64>("n", "an integer")?
        && number != 1
    {
        return Err(Failure::unsupported("n", "Only one choice is offered here: leave 'n' out, or ask several times."));
    }
    for (name, instead) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.value(name).is_some() {
            let message = format!("'{name}' is the older form and not offered here: use '{instead}' instead.");
            return Err(Failure::unsupported(name, message));
        }
    }
    if fields.take::<bool>("logprobs", "a boolean")? == Some(true) {
        return Err(Failure::unsupported("logprobs", "Log probabilities are not offered here."));
    }
    if let Some(modalities) = fields.take::<Vec<String>>("modalities", "an array of strings")?
        && modalities.iter().any(|modality| modality != "text")
    {
        return Err(Failure::unsupported("modalities", "Only text is answered here."));
    }
    match fields.value("audio") {
        Some(_) => Err(Failure::unsupported("audio", "Only text is answered here.")),
        None => Ok(()),
    }
}

fn sampling(fields: &mut Fields) -> Result<Sampling, Failure> {
    let mut sampling = Sampling::default();
    sampling.temperature = fields.take("temperature", "a number")?;
    sampling.top_p = fields.take("top_p", "a number")?;
    let older = fields.take("max_tokens", "an integer")?;
    sampling.max_output_tokens = fields.take("max_completion_tokens", "an integer")?.or(older);
    sampling.seed = fields.take("seed", "an integer")?;
    sampling.frequency_penalty = fields.take("frequency_penalty", "a number")?;
    sampling.presence_penalty = fields.take("presence_penalty", "a number")?;
    sampling.stop = match fields.value("stop") {
        None => Vec::new(),
        Some(Value::String(stop)) => vec![stop],
        Some(stops) => serde_json::from_value(stops)
            .map_err(|_| Failure::bad("stop", "Invalid type for 'stop': expected a string or an array of strings."))?,
    };
    Ok(sampling)
}

fn turns(messages: Vec<Value>) -> Result<Vec<Turn>, Failure> {
    if messages.is_empty() {
        return Err(Failure::bad("messages", "'messages' is empty: at least one message is needed."));
    }
    let messages = messages.into_iter().enumerate();
    messages.map(|(index, message)| turn(&format!("messages[{index}]"), message)).collect()
}

fn turn(place: &str, message: Value) -> Result<Turn, Failure> {
    let mut fields = Fields::of(place, message)?;
    let role = match fields.text("role")?.as_str() {
        "system" | "developer" => TurnRole::System,
        "user" => TurnRole::User,
        "assistant" => TurnRole::Assistant,
        "tool" => return tool_result(fields),
        "function" => {
            let message = "The role 'function' is the older form and not offered here: use 'tool' instead.";
            return Err(Failure::unsupported(&fields.place("role"), message));
        }
        other => {
            let other: String = other.chars().take(40).collect();
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'system', 'developer', 'user', 'assistant' and 'tool'."
            );
            return Err(Failure::bad(&fields.place("role"), message));
        }
    };
    let calls = match fields.value("tool_calls") {
        Some(calls) if role == TurnRole::Assistant => tool_calls(&fields.place("tool_calls"), calls)?,
        _ => Vec::new(),
    };
    let place = fields.place("content");
    let mut parts = match fields.value("content") {
        Some(content) => parts(&place, content)?,
        // What the model refused it has said, too.
        None if role == TurnRole::Assistant => {
            let refusal: Option<String> = fields.take("refusal", "a string")?;
            refusal.map(|text| Part::Text { text }).into_iter().collect()
        }
        None => return Err(Failure::missing(&place)),
    };
    parts.extend(calls.into_iter().map(Part::ToolCall));
    Ok(Turn { role, parts })
}

fn tool_result(mut fields: Fields) -> Result<Turn, Failure> {
    let id = fields.text("tool_call_id")?;
    let place = fields.place("content");
    let content = fields.value("content").ok_or_else(|| Failure::missing(&place))?;
    let turn = Turn { role: TurnRole::Tool, parts: parts(&place, content)? };
    if turn.parts.iter().any(|part| !matches!(part, Part::Text { .. })) {
        return Err(Failure::unsupported(&place, "A tool's result is text here."));
    }
    let content = turn.joined_text();
    Ok(Turn { parts: vec![Part::ToolResult { id, content, is_error: false }], ..turn })
}

fn parts(place: &str, content: Value) -> Result<Vec<Part>, Failure> {
    match content {
        Value::String(text) => Ok(vec![Part::Text { text }]),
        Value::Array(parts) => {
            parts.into_iter().enumerate().map(|(index, value)| part(&format!("{place}[{index}]"), value)).collect()
        }
        other => Err(wrong(place, "a string or an array of parts", &other)),
    }
}

fn part(place: &str, value: Value) -> Result<Part, Failure> {
    let mut fields = Fields::of(place, value)?;
    match fields.text("type")?.as_str() {
        "text" => Ok(Part::Text { text: fields.text("text")? }),
        "refusal" => Ok(Part::Text { text: fields.text("refusal")? }),
        "image_url" => {
            let image = fields.value("image_url").ok_or_else(|| Failure::missing(&fields.place("image_url")))?;
            let mut image = Fields::of(&fields.place("image_url"), image)?;
            let source =
                image_source(image.text("url")?).map_err(|message| Failure::bad(&image.place("url"), message))?;
            Ok(Part::Image { source })
        }
        other => {
            let other: String = other.chars().take(40).collect();
            let message =
                format!("Parts of the type '{other}' are not offered here: there are 'text' and 'image_url'.");
            Err(Failure::unsupported(&fields.place("type"), message))
        }
    }
}

/// A picture within the address, or one that the provider's service fetches.
fn image_source(url: String) -> Result<ImageSource, &'static str> {
    let Some(data) = url.strip_prefix("data:") else {
        return match url.strip_prefix("https://") {
            Some(rest) if is_public_host(rest) => Ok(ImageSource::Url { url }),
            Some(_) => Err(
                "Invalid image: only addresses of hosts on the public internet are taken; send the picture itself as 'data:image/…;base64,…'.",
            ),
            None => Err("Invalid image: an address beginning with 'https://' or 'data:' is expected."),
        };
    };
    match data.split_once(";base64,") {
        Some((mime, base64)) if mime.starts_with("image/") && !base64.is_empty() => {
            Ok(ImageSource::Data { mime: mime.to_owned(), base64: base64.to_owned() })
        }
        _ => Err("Invalid image: 'data:image/…;base64,' and the picture in base64 is expected."),
    }
}

fn tool_calls(place: &str, calls: Value) -> Result<Vec<ToolRequest>, Failure> {
    let call = |(index, value)| {
        let mut fields = Fields::of(&format!("{place}[{index}]"), value)?;
        let id = fields.text("id")?;
        let mut function = function(&mut fields)?;
        Ok(ToolRequest { id, name: function.text("name")?, arguments: function.text("arguments")? })
    };
    list(place, calls)?.into_iter().enumerate().map(call).collect()
}

/// The function of what must be one.
fn function(fields: &mut Fields) -> Result<Fields, Failure> {
    let kind = fields.take::<String>("type", "a string")?;
    if kind.is_some_and(|kind| kind != "function") {
        return Err(Failure::unsupported(&fields.place("type"), "Only tools of the type 'function' are offered here."));
    }
    let place = fields.place("function");
    let function = fields.value("function").ok_or_else(|| Failure::missing(&place))?;
    Fields::of(&place, function)
}

fn tool(place: &str, value: Value) -> Result<ToolDefinition, Failure> {
    let mut function = function(&mut Fields::of(place, value)?)?;
    Ok(ToolDefinition {
        name: function.text("name")?,
        description: function.take("description", "a string")?.unwrap_or_default(),
        // A function without parameters takes an empty object.
        parameters: function.value("parameters").unwrap_or_else(|| json!({ "type": "object", "properties": {} })),
    })
}

fn tool_choice(choice: Value) -> Result<ToolChoice, Failure> {
    match choice {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(Failure::bad("tool_choice", "Supported values are: 'auto', 'none', 'required' or a function.")),
        },
        named => Ok(ToolChoice::Tool(function(&mut Fields::of("tool_choice", named)?)?.text("name")?)),
    }
}

fn response_format(format: Value) -> Result<ResponseFormat, Failure> {
    let mut fields = Fields::of("response_format", format)?;
    match fields.text("type")?.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::JsonObject),
        "json_schema" => {
            let place = fields.place("json_schema");
            let schema = fields.value("json_schema").ok_or_else(|| Failure::missing(&place))?;
            let mut schema = Fields::of(&place, schema)?;
            Ok(ResponseFormat::JsonSchema {
                name: schema.text("name")?,
                strict: schema.take("strict", "a boolean")?.unwrap_or(false),
                schema: schema.value("schema").unwrap_or_else(|| json!({})),
            })
        }
        _ => {
            let message = "Supported values are: 'text', 'json_object' and 'json_schema'.";
            Err(Failure::bad(&fields.place("type"), message))
        }
    }
}

#[cfg(test)]
mod tests;
