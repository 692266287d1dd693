//! What is sent: turns, tools and sampling in OpenAI's words. Knows no HTTP.

use plexichat::ai::{ImageSource, Part, ResponseFormat, Sampling, ToolChoice, ToolRequest, Turn, TurnRole};
use plexichat::prelude::*;
use serde_json::{Map, Number};

use crate::config::Config;

/// The body of a chat's request.
///
/// # Errors
/// `ModelNotFound` where models are listed and this one is not among them.
pub(crate) fn body(request: &AiRequest, config: &Config) -> Result<Value, AiError> {
    // What the caller said beyond our words comes first: where both say something, ours counts.
    let mut body = request.extra.clone();
    let model = config.upstream_model(&request.model)?;
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), request.turns.iter().flat_map(messages).collect());
    body.insert("stream".to_owned(), json!(true));
    if config.stream_usage {
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    } else {
        body.remove("stream_options");
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body.insert("tools".to_owned(), tools.collect());
        if let Some(choice) = tool_choice(&request.tool_choice) {
            body.insert("tool_choice".to_owned(), choice);
        }
    }
    if let Some(format) = response_format(&request.response_format) {
        body.insert("response_format".to_owned(), format);
    }
    if let Some(user) = &request.user {
        body.insert("user".to_owned(), json!(user));
    }
    sampling(&request.sampling, config, &mut body);
    Ok(Value::Object(body))
}

/// A turn as messages: each result of a tool is one of its own.
fn messages(turn: &Turn) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut content = Vec::new();
    let mut calls = Vec::new();
    for part in &turn.parts {
        match part {
            Part::Text { text } => content.push(json!({ "type": "text", "text": text })),
            Part::Image { source } => {
                content.push(json!({ "type": "image_url", "image_url": { "url": address(source) } }));
            }
            Part::ToolCall(call) => calls.push(tool_call(call)),
            Part::ToolResult { id, content, is_error } => {
                // The protocol has no word for it, and the model has to know.
                let text = if *is_error { format!("Error: {content}") } else { content.clone() };
                messages.push(json!({ "role": "tool", "tool_call_id": id, "content": text }));
            }
            // A part of a later version, which this one cannot say.
            _ => {}
        }
    }
    if content.is_empty() && calls.is_empty() {
        return messages;
    }
    let role = match turn.role {
        TurnRole::System => "system",
        TurnRole::Assistant => "assistant",
        _ => "user",
    };
    let mut message = json!({ "role": role, "content": joined(content) });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    messages.push(message);
    messages
}

/// A single text is text: services that see no pictures know no parts.
fn joined(mut content: Vec<Value>) -> Value {
    match &mut content[..] {
        [] => Value::Null,
        [only] if only["type"] == "text" => only["text"].take(),
        parts if parts.iter().all(|part| part["type"] == "text") => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            Value::String(texts.join("\n"))
        }
        _ => Value::Array(content),
    }
}

fn address(source: &ImageSource) -> String {
    match source {
        ImageSource::Data { mime, base64 } => format!("data:{mime};base64,{base64}"),
        ImageSource::Url { url } => url.clone(),
        _ => String::new(),
    }
}

fn tool_call(call: &ToolRequest) -> Value {
    // Some models write nothing where a tool wants nothing, and services refuse that.
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
}

fn tool_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Tool(name) => Some(json!({ "type": "function", "function": { "name": name } })),
        _ => None,
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::JsonObject => Some(json!({ "type": "json_object" })),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let schema = json!({ "name": name, "schema": schema, "strict": strict });
            Some(json!({ "type": "json_schema", "json_schema": schema }))
        }
        _ => None,
    }
}

fn sampling(sampling: &Sampling, config: &Config, body: &mut Map<String, Value>) {
    let numbers = [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
    ];
    for (name, number) in numbers {
        if let Some(number) = number.and_then(as_written) {
            body.insert(name.to_owned(), number);
        }
    }
    if let Some(tokens) = sampling.max_output_tokens {
        body.remove("max_tokens");
        body.remove("max_completion_tokens");
        body.insert(config.max_tokens_field().to_owned(), json!(tokens));
    }
    if !sampling.stop.is_empty() {
        body.insert("stop".to_owned(), json!(sampling.stop));
    }
    if let Some(seed) = sampling.seed {
        body.insert("seed".to_owned(), json!(seed));
    }
}

/// 0.7 and not 0.699999988079071, which is what it is in twice the width.
fn as_written(number: f32) -> Option<Value> {
    number.to_string().parse::<Number>().ok().map(Value::Number)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn config(changes: Value) -> Config {
        serde_json::from_value(changes).unwrap()
    }

    #[track_caller]
    fn check(settings: Value, request: Value, expected: Expect) {
        let request: AiRequest = serde_json::from_value(request).unwrap();
        let mut body = body(&request, &config(settings)).unwrap();
        body.sort_all_objects();
        expected.assert_eq(&serde_json::to_string_pretty(&body).unwrap());
    }

    #[test]
    fn a_plain_question() {
        let turns = json!([
            {"role": "system", "parts": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]}
        ]);
        check(
            json!({}),
            json!({"model": "gpt-5", "turns": turns}),
            expect![[r#"
            {
              "messages": [
                {
                  "content": "Be brief.",
                  "role": "system"
                },
                {
                  "content": "Hello\nthere",
                  "role": "user"
                }
              ],
              "model": "gpt-5",
              "stream": true,
              "stream_options": {
                "include_usage": true
              }
            }"#]],
        );
    }

    #[test]
    fn all_that_can_be_said() {
        let request = json!({
            "model": "fast",
            "turns": [{"role": "user", "parts": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"from": "data", "mime": "image/png", "base64": "iVBORw0="}},
                {"type": "image", "source": {"from": "url", "url": "https://example.org/a.png"}}
            ]}],
            "tools": [{"name": "look", "description": "Looks it up", "parameters": {"type": "object"}}],
            "tool_choice": {"tool": "look"},
            "response_format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": true},
            "sampling": {
                "temperature": 0.7, "top_p": 0.9, "max_output_tokens": 100, "stop": ["END"], "seed": 7,
                "frequency_penalty": -0.5, "presence_penalty": 1.0
            },
            "user": "u-4711",
            "extra": {"logit_bias": {"50256": -100}, "reasoning_effort": "low", "stream": false, "model": "evil", "max_tokens": 9}
        });
        let settings = json!({"models": [{"id": "fast", "model": "gpt-5-mini"}], "stream_usage": false});
        check(
            settings,
            request,
            expect![[r#"
            {
              "frequency_penalty": -0.5,
              "logit_bias": {
                "50256": -100
              },
              "max_completion_tokens": 100,
              "messages": [
                {
                  "content": [
                    {
                      "text": "What is this?",
                      "type": "text"
                    },
                    {
                      "image_url": {
                        "url": "data:image/png;base64,iVBORw0="
                      },
                      "type": "image_url"
                    },
                    {
                      "image_url": {
                        "url": "https://example.org/a.png"
                      },
                      "type": "image_url"
                    }
                  ],
                  "role": "user"
                }
              ],
              "model": "gpt-5-mini",
              "presence_penalty": 1,
              "reasoning_effort": "low",
              "response_format": {
                "json_schema": {
                  "name": "answer",
                  "schema": {
                    "type": "object"
                  },
                  "strict": true
                },
                "type": "json_schema"
              },
              "seed": 7,
              "stop": [
                "END"
              ],
              "stream": true,
              "temperature": 0.7,
              "tool_choice": {
                "function": {
                  "name": "look"
                },
                "type": "function"
              },
              "tools": [
                {
                  "function": {
                    "description": "Looks it up",
                    "name": "look",
                    "parameters": {
                      "type": "object"
                    }
                  },
                  "type": "function"
                }
              ],
              "top_p": 0.9,
              "user": "u-4711"
            }"#]],
        );
    }

    #[test]
    fn tools_are_called_and_answer() {
        let turns = json!([
            {"role": "user", "parts": [{"type": "text", "text": "Weather?"}]},
            {"role": "assistant", "parts": [
                {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": "{\"city\":\"Bonn\"}"},
                {"type": "tool_call", "id": "call_2", "name": "time", "arguments": ""}
            ]},
            {"role": "tool", "parts": [
                {"type": "tool_result", "id": "call_1", "content": "{\"celsius\":7}"},
                {"type": "tool_result", "id": "call_2", "content": "no clock", "is_error": true}
            ]},
            {"role": "assistant", "parts": [
                {"type": "text", "text": "Seven degrees."},
                {"type": "tool_call", "id": "call_3", "name": "time", "arguments": "{}"}
            ]},
            {"role": "user", "parts": []}
        ]);
        let local = json!({"base_url": "http://localhost:11434/v1"});
        check(
            local,
            json!({"model": "llama", "turns": turns, "sampling": {"max_output_tokens": 5}, "tool_choice": "required"}),
            expect![[r#"
                {
                  "max_tokens": 5,
                  "messages": [
                    {
                      "content": "Weather?",
                      "role": "user"
                    },
                    {
                      "content": null,
                      "role": "assistant",
                      "tool_calls": [
                        {
                          "function": {
                            "arguments": "{\"city\":\"Bonn\"}",
                            "name": "weather"
                          },
                          "id": "call_1",
                          "type": "function"
                        },
                        {
                          "function": {
                            "arguments": "{}",
                            "name": "time"
                          },
                          "id": "call_2",
                          "type": "function"
                        }
                      ]
                    },
                    {
                      "content": "{\"celsius\":7}",
                      "role": "tool",
                      "tool_call_id": "call_1"
                    },
                    {
                      "content": "Error: no clock",
                      "role": "tool",
                      "tool_call_id": "call_2"
                    },
                    {
                      "content": "Seven degrees.",
                      "role": "assistant",
                      "tool_calls": [
                        {
                          "function": {
                            "arguments": "{}",
                            "name": "time"
                          },
                          "id": "call_3",
                          "type": "function"
                        }
                      ]
                    }
                  ],
                  "model": "llama",
                  "stream": true,
                  "stream_options": {
                    "include_usage": true
                  }
                }"#]],
        );
    }

    #[test]
    fn a_model_that_is_not_listed_is_refused() {
        let listed = config(json!({"models": [{"id": "fast"}]}));
        let error = body(&AiRequest::new("slow", Vec::new()), &listed).unwrap_err();
        assert_eq!(error.kind(), AiErrorKind::ModelNotFound);
    }
}
