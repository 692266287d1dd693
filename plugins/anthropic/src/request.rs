//! What is sent: turns, tools and sampling in the words of the Messages API. Knows no HTTP.

use plexichat::ai::{ImageSource, Part, ResponseFormat, ToolChoice, Turn, TurnRole};
use plexichat::prelude::*;
use serde_json::Number;

use crate::config::Config;

/// What stands first where the conversation begins with the model: the service wants a person there.
const EARLIER: &str = "(What was said before is not shown.)";

/// The body of a request.
///
/// # Errors
/// `ModelNotFound` where models are listed and this one is not among them; `InvalidRequest` where nobody says anything.
pub(crate) fn body(request: &AiRequest, config: &Config) -> Result<Value, AiError> {
    let (model, most) = config.upstream_model(&request.model)?;
    // What the caller said beyond our words comes first: where both say something, ours counts.
    let mut body = request.extra.clone();
    // OpenAI's word for what this protocol always tells.
    body.remove("stream_options");
    body.insert("model".to_owned(), json!(model));
    body.insert("stream".to_owned(), json!(true));
    let wanted = request.sampling.max_output_tokens.unwrap_or(config.max_tokens);
    body.insert("max_tokens".to_owned(), json!(wanted.min(most.unwrap_or(u32::MAX))));
    let messages = messages(&request.turns);
    if messages.is_empty() {
        return Err(AiError::invalid("there is no question: nobody but the system says anything"));
    }
    body.insert("messages".to_owned(), messages.into());
    let system = system(request);
    if !system.is_empty() {
        body.insert("system".to_owned(), json!(system));
    }
    if !request.tools.is_empty() {
        let tools = request
            .tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }));
        body.insert("tools".to_owned(), tools.collect());
        if let Some(choice) = tool_choice(&request.tool_choice) {
            body.insert("tool_choice".to_owned(), choice);
        }
    }
    let sampling = &request.sampling;
    // Here the scale ends at 1.
    let numbers = [("temperature", sampling.temperature.map(|value| value.min(1.0))), ("top_p", sampling.top_p)];
    for (name, number) in numbers {
        if let Some(number) = number.and_then(as_written) {
            body.insert(name.to_owned(), number);
        }
    }
    let stop: Vec<&String> = sampling.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    if let Some(user) = &request.user {
        body.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    Ok(Value::Object(body))
}

/// All instructions: they have a field of their own. The protocol has no word for JSON, so it is asked for among them.
fn system(request: &AiRequest) -> String {
    let turns = request.turns.iter().filter(|turn| turn.role == TurnRole::System);
    let mut texts: Vec<String> = turns.map(Turn::joined_text).filter(|text| !text.trim().is_empty()).collect();
    match &request.response_format {
        ResponseFormat::JsonObject => texts.push("Answer with one JSON object and nothing else.".to_owned()),
        ResponseFormat::JsonSchema { schema, .. } => {
            texts.push(format!("Answer with JSON that fits this JSON Schema, and nothing else:\n{schema}"));
        }
        _ => {}
    }
    texts.join("\n\n")
}

/// The turns of people, tools and the model by turns: what follows one another from one side is one message.
fn messages(turns: &[Turn]) -> Vec<Value> {
    let mut sides: Vec<(&str, Vec<Value>)> = Vec::new();
    for turn in turns.iter().filter(|turn| turn.role != TurnRole::System) {
        for (side, block) in turn.parts.iter().filter_map(|part| block(turn.role, part)) {
            match sides.last_mut() {
                Some((last, blocks)) if *last == side => blocks.push(block),
                _ => sides.push((side, vec![block])),
            }
        }
    }
    if sides.first().is_some_and(|(side, _)| *side == "assistant") {
        sides.insert(0, ("user", vec![json!({ "type": "text", "text": EARLIER })]));
    }
    if let Some(("assistant", blocks)) = sides.last_mut() {
        // The model goes on with it, and the service refuses white space there.
        if let Some(block) = blocks.last_mut()
            && let Some(text) = block["text"].as_str()
        {
            block["text"] = json!(text.trim_end());
        }
    }
    let message = |(side, mut blocks): (&str, Vec<Value>)| {
        // Results come before anything that was said after them.
        blocks.sort_by_key(|block| block["type"] != "tool_result");
        if side == "assistant" {
            // And calls after what was said with them.
            blocks.sort_by_key(|block| block["type"] == "tool_use");
        }
        json!({ "role": side, "content": blocks })
    };
    sides.into_iter().map(message).collect()
}

/// A part as a block, and whose it is. The service takes no empty text.
fn block(role: TurnRole, part: &Part) -> Option<(&'static str, Value)> {
    let side = if role == TurnRole::Assistant { "assistant" } else { "user" };
    let block = match part {
        Part::Text { text } if text.trim().is_empty() => return None,
        Part::Text { text } => json!({ "type": "text", "text": text }),
        Part::Image { source: ImageSource::Data { mime, base64 } } => {
            json!({ "type": "image", "source": { "type": "base64", "media_type": mime, "data": base64 } })
        }
        Part::Image { source: ImageSource::Url { url } } => {
            json!({ "type": "image", "source": { "type": "url", "url": url } })
        }
        Part::ToolCall(call) => {
            let block =
                json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input(&call.arguments) });
            return Some(("assistant", block));
        }
        Part::ToolResult { id, content, is_error } => {
            let mut block = json!({ "type": "tool_result", "tool_use_id": id, "content": content });
            if *is_error {
                block["is_error"] = json!(true);
            }
            return Some(("user", block));
        }
        // A part of a later version, which this one cannot say.
        _ => return None,
    };
    Some((side, block))
}

/// The arguments as the object that the service wants, also where the model wrote something else.
fn input(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Value::Object(input),
        _ if arguments.trim().is_empty() => json!({}),
        _ => json!({ "invalid": arguments }),
    }
}

fn tool_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::None => Some(json!({ "type": "none" })),
        ToolChoice::Required => Some(json!({ "type": "any" })),
        ToolChoice::Tool(name) => Some(json!({ "type": "tool", "name": name })),
        _ => None,
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

    #[track_caller]
    fn check(settings: Value, request: Value, expected: Expect) {
        let (config, request) = (serde_json::from_value(settings).unwrap(), serde_json::from_value(request).unwrap());
        let mut body = body(&request, &config).unwrap();
        body.sort_all_objects();
        expected.assert_eq(&serde_json::to_string_pretty(&body).unwrap());
    }

    #[test]
    fn a_plain_question() {
        let turns = json!([
            {"role": "system", "parts": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "text": "Hello"}]}
        ]);
        check(
            json!({}),
            json!({"model": "claude-sonnet-4-5", "turns": turns}),
            expect![[r#"
            {
              "max_tokens": 4096,
              "messages": [
                {
                  "content": [
                    {
                      "text": "Hello",
                      "type": "text"
                    }
                  ],
                  "role": "user"
                }
              ],
              "model": "claude-sonnet-4-5",
              "stream": true,
              "system": "Be brief."
            }"#]],
        );
    }

    #[test]
    fn one_side_speaks_once() {
        let turns = json!([
            {"role": "assistant", "parts": [{"type": "text", "text": "Welcome back."}]},
            {"role": "user", "parts": [{"type": "text", "text": "alice: Hello"}]},
            {"role": "system", "parts": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "parts": [{"type": "text", "text": "bob: Hi"}, {"type": "text", "text": "  "}]},
            {"role": "assistant", "parts": [{"type": "text", "text": "Both of you: \n"}]}
        ]);
        let sampling =
            json!({"temperature": 1.7, "top_p": 0.9, "max_output_tokens": 9000, "stop": ["END", "\n"], "seed": 7});
        let request = json!({
            "model": "short", "turns": turns, "sampling": sampling, "user": "u-4711", "response_format": {"type": "json_object"},
            "extra": {"top_k": 5, "max_tokens": 1, "stream_options": {"include_usage": true}}
        });
        let settings = json!({"models": [{"id": "short", "model": "claude-haiku-4-5", "max_output_tokens": 8192}]});
        check(
            settings,
            request,
            expect![[r#"
            {
              "max_tokens": 8192,
              "messages": [
                {
                  "content": [
                    {
                      "text": "(What was said before is not shown.)",
                      "type": "text"
                    }
                  ],
                  "role": "user"
                },
                {
                  "content": [
                    {
                      "text": "Welcome back.",
                      "type": "text"
                    }
                  ],
                  "role": "assistant"
                },
                {
                  "content": [
                    {
                      "text": "alice: Hello",
                      "type": "text"
                    },
                    {
                      "text": "bob: Hi",
                      "type": "text"
                    }
                  ],
                  "role": "user"
                },
                {
                  "content": [
                    {
                      "text": "Both of you:",
                      "type": "text"
                    }
                  ],
                  "role": "assistant"
                }
              ],
              "metadata": {
                "user_id": "u-4711"
              },
              "model": "claude-haiku-4-5",
              "stop_sequences": [
                "END"
              ],
              "stream": true,
              "system": "Be kind.\n\nAnswer with one JSON object and nothing else.",
              "temperature": 1,
              "top_k": 5,
              "top_p": 0.9
            }"#]],
        );
    }

    #[test]
    fn tools_are_called_and_answer() {
        let turns = json!([
            {"role": "user", "parts": [
                {"type": "image", "source": {"from": "data", "mime": "image/png", "base64": "iVBORw0="}},
                {"type": "image", "source": {"from": "url", "url": "https://example.org/a.png"}},
                {"type": "text", "text": "Where is this?"}
            ]},
            {"role": "assistant", "parts": [
                {"type": "tool_call", "id": "toolu_1", "name": "look", "arguments": "{\"at\":\"a\"}"},
                {"type": "tool_call", "id": "toolu_2", "name": "look", "arguments": ""},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_call", "id": "toolu_3", "name": "look", "arguments": "{\"at\":"}
            ]},
            {"role": "user", "parts": [{"type": "text", "text": "Hurry"}]},
            {"role": "tool", "parts": [
                {"type": "tool_result", "id": "toolu_1", "content": "Bonn"},
                {"type": "tool_result", "id": "toolu_2", "content": "at is missing", "is_error": true}
            ]}
        ]);
        let request = json!({
            "model": "claude-sonnet-4-5", "turns": turns, "tool_choice": {"tool": "look"},
            "tools": [{"name": "look", "description": "Looks", "parameters": {"type": "object"}}],
            "response_format": {"type": "json_schema", "name": "place", "schema": {"type": "object"}}
        });
        check(
            json!({"max_tokens": 100}),
            request,
            expect![[r#"
            {
              "max_tokens": 100,
              "messages": [
                {
                  "content": [
                    {
                      "source": {
                        "data": "iVBORw0=",
                        "media_type": "image/png",
                        "type": "base64"
                      },
                      "type": "image"
                    },
                    {
                      "source": {
                        "type": "url",
                        "url": "https://example.org/a.png"
                      },
                      "type": "image"
                    },
                    {
                      "text": "Where is this?",
                      "type": "text"
                    }
                  ],
                  "role": "user"
                },
                {
                  "content": [
                    {
                      "text": "Let me see.",
                      "type": "text"
                    },
                    {
                      "id": "toolu_1",
                      "input": {
                        "at": "a"
                      },
                      "name": "look",
                      "type": "tool_use"
                    },
                    {
                      "id": "toolu_2",
                      "input": {},
                      "name": "look",
                      "type": "tool_use"
                    },
                    {
                      "id": "toolu_3",
                      "input": {
                        "invalid": "{\"at\":"
                      },
                      "name": "look",
                      "type": "tool_use"
                    }
                  ],
                  "role": "assistant"
                },
                {
                  "content": [
                    {
                      "content": "Bonn",
                      "tool_use_id": "toolu_1",
                      "type": "tool_result"
                    },
                    {
                      "content": "at is missing",
                      "is_error": true,
                      "tool_use_id": "toolu_2",
                      "type": "tool_result"
                    },
                    {
                      "text": "Hurry",
                      "type": "text"
                    }
                  ],
                  "role": "user"
                }
              ],
              "model": "claude-sonnet-4-5",
              "stream": true,
              "system": "Answer with JSON that fits this JSON Schema, and nothing else:\n{\"type\":\"object\"}",
              "tool_choice": {
                "name": "look",
                "type": "tool"
              },
              "tools": [
                {
                  "description": "Looks",
                  "input_schema": {
                    "type": "object"
                  },
                  "name": "look"
                }
              ]
            }"#]],
        );
    }

    #[test]
    fn instructions_alone_are_no_question() {
        let config: Config = serde_json::from_value(json!({})).unwrap();
        for turns in [vec![], vec![Turn::system("Be brief.")], vec![Turn::user(" ")]] {
            let error = body(&AiRequest::new("claude", turns), &config).unwrap_err();
            assert_eq!(error.kind(), AiErrorKind::InvalidRequest);
        }
    }
}
