//! The gateway on the test kit's real host, beside a provider of the test: what clients send and what they get.

use std::time::Duration;

use futures_util::stream;
use plexichat::ai::{AiRequest, EmbedRequest, Embeddings, FinishReason, Usage};
use plexichat::guard::{GuardedAnswer, GuardedBody};
use plexichat::plugin::interface::Caller;
use plexichat::prelude::*;
use plexichat::routes::Lookup;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_openai_gateway::OpenaiGateway;

plexichat::compliance!(OpenaiGateway);

/// Answers with what it was asked: what the user's last words say is to come of it.
#[plexichat::plugin(name = "parrot", provides(AiProvider))]
struct Parrot;

impl Plugin for Parrot {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

#[plexichat::role]
impl AiProvider for Parrot {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        let mut vectors = Model::new("vectors");
        vectors.abilities.embeddings = true;
        Ok(vec![Model::new("grey"), vectors])
    }

    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let said = request.turns.last().map(plexichat::ai::Turn::joined_text).unwrap_or_default();
        let down = || AiError::new(AiErrorKind::Unavailable, "the cage is empty");
        let end = [
            AiDelta::Usage(Usage { input_tokens: 3, output_tokens: 2, cached_input_tokens: 0 }),
            AiDelta::finish(FinishReason::Stop),
        ];
        Ok(match said.as_str() {
            "down" => return Err(down()),
            "break" => AiStream::new(stream::iter([Ok(AiDelta::text("half")), Err(down())])),
            "call" => AiStream::of([
                AiDelta::ToolCall {
                    index: 0,
                    id: Some("c1".to_owned()),
                    name: Some("look".to_owned()),
                    arguments: "{}".to_owned(),
                },
                AiDelta::finish(FinishReason::ToolCalls),
            ]),
            // What it was asked, beside the words.
            "tell" => {
                let told = json!({ "model": request.model, "extra": request.extra, "user": request.user });
                AiStream::of([AiDelta::text(told.to_string())].into_iter().chain(end))
            }
            said => AiStream::of([AiDelta::text("you said "), AiDelta::text(said)].into_iter().chain(end)),
        })
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        let vectors = request.input.iter().map(|text| vec![text.len() as f32, 0.5]).collect();
        Ok(Embeddings { vectors, usage: None })
    }
}

async fn start() -> TestResult<RunningPlugin<OpenaiGateway>> {
    let aliases = json!({ "aliases": { "gpt-4o": "parrot/grey" } });
    TestHost::new().config(aliases).beside::<Parrot>().start::<OpenaiGateway>().await
}

/// Calls a route as the server does, for a person.
async fn call(
    plugin: &RunningPlugin<OpenaiGateway>,
    method: &str,
    path: &str,
    body: Value,
) -> TestResult<GuardedAnswer> {
    let host = plugin.host();
    let Lookup::Found(route, parameters) = host.routes.find(method, path) else {
        return Err(format!("{method} {path}: no route").into());
    };
    let mut call = RouteCall::new(method, path, Caller::known(plugin.actor("ann")));
    call.parameters = parameters;
    call.body = body.to_string().into_bytes();
    call.request_id = "r1".to_owned();
    let gateway = host.running("openai-gateway").ok_or("the gateway does not run")?;
    Ok(gateway.route(route.index, call, Duration::from_secs(20)).await??)
}

async fn whole(
    plugin: &RunningPlugin<OpenaiGateway>,
    method: &str,
    path: &str,
    body: Value,
) -> TestResult<(u16, Value)> {
    let answer = call(plugin, method, path, body).await?;
    let GuardedBody::Whole(bytes) = answer.body else { return Err("it is a stream".into()) };
    Ok((answer.status, serde_json::from_slice(&bytes)?))
}

fn says(text: &str) -> Value {
    json!({ "model": "parrot/grey", "messages": [{ "role": "user", "content": text }] })
}

/// The data of each event.
async fn events(plugin: &RunningPlugin<OpenaiGateway>, body: Value) -> TestResult<Vec<String>> {
    let answer = call(plugin, "POST", "/v1/chat/completions", body).await?;
    assert!(answer.headers.contains(&("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned())));
    let GuardedBody::Stream(mut pieces) = answer.body else { return Err("it is no stream".into()) };
    let mut written = Vec::new();
    while let Some(piece) = pieces.next().await {
        written.extend(piece??);
    }
    let written = String::from_utf8(written)?;
    Ok(written.split_terminator("\n\n").map(|event| event.trim_start_matches("data: ").to_owned()).collect())
}

#[plexichat::test]
async fn lists_models() -> TestResult {
    let plugin = start().await?;
    let (status, list) = whole(&plugin, "GET", "/v1/models", Value::Null).await?;
    let ids: Vec<&str> = list["data"].as_array().ok_or("no list")?.iter().filter_map(|it| it["id"].as_str()).collect();
    assert_eq!((status, ids.as_slice()), (200, ["parrot/grey", "parrot/vectors", "gpt-4o"].as_slice()));
    for path in ["/v1/models/parrot/grey", "/v1/models/parrot%2Fgrey", "/v1/models/gpt-4o"] {
        let (status, model) = whole(&plugin, "GET", path, Value::Null).await?;
        assert_eq!((status, &model["owned_by"]), (200, &json!("parrot")), "{path}");
    }
    let (status, refused) = whole(&plugin, "GET", "/v1/models/parrot/blue", Value::Null).await?;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("model_not_found")));
    Ok(())
}

#[plexichat::test]
async fn answers_whole() -> TestResult {
    let plugin = start().await?;
    let (status, answer) = whole(&plugin, "POST", "/v1/chat/completions", says("hello")).await?;
    assert_eq!((status, &answer["choices"][0]["message"]["content"]), (200, &json!("you said hello")), "{answer}");
    assert_eq!((&answer["usage"]["total_tokens"], &answer["id"]), (&json!(5), &json!("chatcmpl-r1")));
    let mut aliased = says("hello");
    aliased["model"] = json!("gpt-4o");
    let (_, answer) = whole(&plugin, "POST", "/v1/chat/completions", aliased).await?;
    assert_eq!(answer["model"], "gpt-4o");
    let mut body = says("tell");
    body["logit_bias"] = json!({ "1": 2 });
    let (_, answer) = whole(&plugin, "POST", "/v1/chat/completions", body).await?;
    let told: Value = serde_json::from_str(answer["choices"][0]["message"]["content"].as_str().ok_or("no text")?)?;
    assert_eq!(told, json!({ "model": "grey", "extra": { "logit_bias": { "1": 2 } }, "user": null }));
    let (_, answer) = whole(&plugin, "POST", "/v1/chat/completions", says("call")).await?;
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "look");
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    Ok(())
}

#[plexichat::test]
async fn answers_piece_by_piece() -> TestResult {
    let plugin = start().await?;
    let mut body = says("hello");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let events = events(&plugin, body).await?;
    let chunks: Vec<Value> = events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let said: Vec<&str> = chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said.concat(), "you said hello");
    assert_eq!(chunks.last().ok_or("nothing")?["usage"]["completion_tokens"], 2);
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    Ok(())
}

#[plexichat::test]
async fn a_provider_that_fails_is_told() -> TestResult {
    let plugin = start().await?;
    let answer = call(&plugin, "POST", "/v1/chat/completions", says("down")).await?;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains(&("x-should-retry".to_owned(), "false".to_owned())), "{:?}", answer.headers);
    let mut body = says("break");
    body["stream"] = json!(true);
    let events = events(&plugin, body).await?;
    let last: Value = serde_json::from_str(events.last().ok_or("nothing")?)?;
    assert_eq!(last["error"]["code"], "provider_unavailable");
    Ok(())
}

#[plexichat::test]
async fn bad_requests_and_unknown_models_are_told() -> TestResult {
    let plugin = start().await?;
    let (status, refused) = whole(&plugin, "POST", "/v1/chat/completions", json!({ "model": "parrot/grey" })).await?;
    assert_eq!((status, &refused["error"]["param"]), (400, &json!("messages")));
    let mut body = says("hello");
    body["model"] = json!("parrot/blue");
    let (status, refused) = whole(&plugin, "POST", "/v1/chat/completions", body).await?;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("model_not_found")));
    assert!(plugin.last_error().is_none(), "what callers do wrong is no fault of the plugin");
    Ok(())
}

#[plexichat::test]
async fn makes_vectors() -> TestResult {
    let plugin = start().await?;
    let body = json!({ "model": "parrot/vectors", "input": ["a", "bcd"] });
    let (status, answer) = whole(&plugin, "POST", "/v1/embeddings", body).await?;
    assert_eq!((status, &answer["data"][1]["embedding"]), (200, &json!([3.0, 0.5])), "{answer}");
    let body = json!({ "model": "parrot/vectors", "input": "a", "encoding_format": "base64" });
    let (_, answer) = whole(&plugin, "POST", "/v1/embeddings", body).await?;
    assert_eq!(answer["data"][0]["embedding"], "AACAPwAAAD8=");
    Ok(())
}
