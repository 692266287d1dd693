//! The provider as the host meets it: on the test kit's real host, before a stub of the documented wire format.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use plexichat::ai::{EmbedRequest, FinishReason, ToolRequest, Turn, Usage};
use plexichat::broker::Ask;
use plexichat::capability::http::HttpStream;
use plexichat::message::Origin;
use plexichat::prelude::*;
use plexichat::testing::http::{events, fed_events, json as json_response, text as text_response};
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_anthropic::Anthropic;

plexichat::compliance!(Anthropic);

const KEY: &str = "sk-ant-api03-0123456789abcdefWXYZ";

fn host() -> TestHost {
    TestHost::new().config(json!({ "api_key": KEY, "models": [{"id": "tiny"}] }))
}

fn request() -> AiRequest {
    AiRequest::new("tiny", vec![Turn::user("Hello")])
}

async fn answer(plugin: &RunningPlugin<Anthropic>) -> Result<AiResponse, AiError> {
    plugin.plugin().unwrap().generate_response(request()).await
}

/// What a service streams, in pieces of so many bytes.
fn pieces(text: &str, size: usize) -> HttpStream {
    events(text.as_bytes().chunks(size).map(<[u8]>::to_vec))
}

/// However the stream is cut, the answer is the same.
#[track_caller]
fn check(text: &'static str) -> AiResponse {
    let mut answers = Vec::new();
    for size in [1, 2, 3, 7, 64, text.len()] {
        let seen = plexichat::testing::run(async {
            let plugin = host().http_stream(move |_| Ok(pieces(text, size))).start::<Anthropic>().await.unwrap();
            answer(&plugin).await.unwrap()
        });
        answers.push(seen);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers.pop().unwrap()
}

#[test]
fn text_streams() {
    let seen = check(
        r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-4-5","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße, "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"日本 👋"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: a_later_version
data: {"type":"a_later_version","more":true}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

"#,
    );
    assert_eq!((seen.text.as_str(), seen.finish), ("Grüße, 日本 👋", FinishReason::Stop));
    assert_eq!(seen.usage, Some(Usage { input_tokens: 135, output_tokens: 15, cached_input_tokens: 100 }));
}

fn call(id: &str, name: &str, arguments: &str) -> ToolRequest {
    ToolRequest { id: id.into(), name: name.into(), arguments: arguments.into() }
}

#[test]
fn thoughts_and_tool_calls_stream() {
    let seen = check(
        r#"data: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Where? "}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}

data: {"type":"content_block_stop","index":0}

data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"x"}}

data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":"Let me "}}

data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"see."}}

data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_a","name":"look","input":{}}}

data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}

data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":" 7}"}}

data: {"type":"content_block_stop","index":3}

data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_b","name":"now","input":{}}}

data: {"type":"content_block_stop","index":4}

data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":40}}

data: {"type":"message_stop"}

"#,
    );
    assert_eq!((seen.reasoning.as_str(), seen.text.as_str()), ("Where? ", "Let me see."));
    assert_eq!(seen.tool_calls, [call("toolu_a", "look", r#"{"at": 7}"#), call("toolu_b", "now", "{}")]);
    assert_eq!(seen.finish, FinishReason::ToolCalls);
}

#[plexichat::test]
async fn an_answer_ends_for_many_reasons() -> TestResult {
    let reasons = [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
        ("pause_turn", FinishReason::Incomplete),
        ("of_a_later_version", FinishReason::Stop),
    ];
    for (reason, expected) in reasons {
        let text = format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        let plugin = host().http_stream(move |_| Ok(pieces(&text, 9))).start::<Anthropic>().await?;
        assert_eq!(answer(&plugin).await?.finish, expected, "{reason}");
    }
    Ok(())
}

#[plexichat::test]
async fn a_service_that_does_not_stream_answers_whole() -> TestResult {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 2},
        "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "a", "name": "look", "input": {"at": 7}},
            {"type": "tool_use", "id": "b", "name": "now", "input": {}}
        ]
    });
    let plugin = host().http(move |_| Ok(json_response(200, &body))).start::<Anthropic>().await?;
    let seen = answer(&plugin).await?;
    assert_eq!((seen.text.as_str(), seen.finish), ("Let me see.", FinishReason::ToolCalls));
    assert_eq!(seen.tool_calls, [call("a", "look", r#"{"at":7}"#), call("b", "now", "{}")]);
    assert_eq!(seen.usage.unwrap().total(), 5);
    Ok(())
}

#[plexichat::test]
async fn the_service_is_told_who_asks_and_what() -> TestResult {
    let config = json!({
        "base_url": "https://example.org/claude/", "api_key": KEY, "headers": [{"name": "anthropic-beta", "value": "new-1"}],
    });
    let plugin = TestHost::new().config(config).http_stream(|_| Ok(pieces("", 1))).start::<Anthropic>().await?;
    assert_eq!(answer(&plugin).await?.finish, FinishReason::Incomplete);
    let sent = plugin.http().requests().remove(0);
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://example.org/claude/v1/messages"));
    let headers: Vec<String> = sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    for header in [&format!("x-api-key: {KEY}"), "anthropic-version: 2023-06-01", "anthropic-beta: new-1"] {
        assert!(headers.iter().any(|sent| sent == header), "{header:?} is not in {headers:?}");
    }
    assert!(!headers.iter().any(|header| header.starts_with("authorization")), "{headers:?}");
    let body: Value = serde_json::from_slice(&sent.body)?;
    let text = json!([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]);
    assert_eq!(body, json!({"model": "tiny", "stream": true, "max_tokens": 4096, "messages": text}));
    Ok(())
}

#[plexichat::test]
async fn no_error_shows_a_key() -> TestResult {
    for status in [400, 401, 403, 404, 429, 500, 529] {
        let body = json!({"type": "error", "error": {
            "type": "invalid_request_error", "message": format!("the key {KEY}, or sk-ant-...WXYZ, is wrong")
        }});
        let plugin = host().http(move |_| Ok(json_response(status, &body))).start::<Anthropic>().await?;
        let error = answer(&plugin).await.unwrap_err();
        let told = format!("{error} {error:?} {:?} {:?}", plugin.plugin()?.health().await, plugin.last_error());
        for part in ["sk-a", "WXYZ", "0123"] {
            assert!(!told.contains(part), "{status}: {told}");
        }
    }
    Ok(())
}

#[plexichat::test]
async fn a_stream_can_fail_in_the_middle() -> TestResult {
    let begun = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"Once\"}}\n\n";
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let cases = [
        (overloaded, Some(AiErrorKind::Unavailable)),
        ("data: {\"type\":\"content_block_delta\"}\n\n", Some(AiErrorKind::Protocol)),
        ("data: <html>\n\n", Some(AiErrorKind::Protocol)),
        ("", None),
    ];
    for (then, expected) in cases {
        let text = format!("{begun}{then}");
        let plugin = host().http_stream(move |_| Ok(pieces(&text, 5))).start::<Anthropic>().await?;
        match (answer(&plugin).await, expected) {
            (Err(error), Some(kind)) => assert_eq!(error.kind(), kind, "{then:?}: {error}"),
            (Ok(seen), None) => assert_eq!((seen.text.as_str(), seen.finish), ("Once", FinishReason::Incomplete)),
            (seen, expected) => panic!("{then:?}: {seen:?} is not {expected:?}"),
        }
    }
    Ok(())
}

#[plexichat::test]
async fn an_overloaded_service_may_be_asked_again() -> TestResult {
    let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let plugin = host().http(move |_| Ok(json_response(529, &body))).start::<Anthropic>().await?;
    let error = answer(&plugin).await.unwrap_err();
    assert_eq!(error.kind(), AiErrorKind::Unavailable);
    assert!(error.kind().retryable() && !error.kind().blames_plugin());
    assert!(matches!(plugin.plugin()?.health().await, Health::Degraded(why) if why.contains("HTTP 529")));
    Ok(())
}

#[plexichat::test]
async fn whoever_drops_an_answer_hangs_up() -> TestResult {
    let (stream, feed) = fed_events();
    let stream = std::sync::Mutex::new(Some(stream));
    let plugin = host().http_stream(move |_| Ok(stream.lock().unwrap().take().unwrap())).start::<Anthropic>().await?;
    let text = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Once upon a time \"}}\n\n";
    feed.send(text);
    let ask = Ask {
        models: vec!["anthropic/tiny".to_owned()],
        request: request(),
        actor: plugin.actor("alice"),
        room_id: Some(plugin.room()),
        origin: Origin::Rest,
        judged: false,
        cause: None,
    };
    let answer = plugin.host().broker.ask(ask).await?;
    drop(answer);
    tokio::time::timeout(Duration::from_secs(1), feed.dropped()).await?;
    assert!(!feed.send(text), "nobody reads any more");
    Ok(())
}

#[plexichat::test]
async fn models_are_listed_or_told() -> TestResult {
    let told = json!({"data": [
        {"type": "model", "id": "claude-opus-4-1", "display_name": "Claude Opus 4.1", "created_at": "2025-08-05T00:00:00Z"},
        {"type": "model", "id": "claude-next", "display_name": "Next", "max_input_tokens": 1_000_000, "max_tokens": 64_000}
    ], "has_more": false});
    let config = json!({ "api_key": KEY });
    let plugin =
        TestHost::new().config(config).http(move |_| Ok(json_response(200, &told))).start::<Anthropic>().await?;
    let models = plugin.plugin()?.models().await?;
    let seen: Vec<_> =
        models.iter().map(|model| (model.name.as_str(), model.context_tokens, model.max_output_tokens)).collect();
    assert_eq!(seen, [("Claude Opus 4.1", Some(200_000), None), ("Next", Some(1_000_000), Some(64_000))]);
    assert!(models.iter().all(|model| model.abilities.tools && model.abilities.images && !model.abilities.embeddings));

    let plugin = host().http(|_| Ok(text_response(500, "never asked"))).start::<Anthropic>().await?;
    assert_eq!(plugin.plugin()?.models().await?[0].id, "tiny");
    Ok(())
}

#[plexichat::test]
async fn embeddings_are_refused_with_a_reason() -> TestResult {
    let plugin = host().start::<Anthropic>().await?;
    let refused = plugin.plugin()?.embed(EmbedRequest::new("tiny", vec!["a".into()])).await.unwrap_err();
    assert_eq!(refused.kind(), AiErrorKind::InvalidRequest);
    assert!(refused.message().contains("another provider"), "{refused}");
    Ok(())
}

#[plexichat::test]
async fn without_a_key_it_says_what_it_wants() -> TestResult {
    let plugin = TestHost::new().start::<Anthropic>().await?;
    assert!(matches!(plugin.plugin()?.health().await, Health::Degraded(why) if why.contains("`api_key`")));
    Ok(())
}

#[track_caller]
fn check_config(config: Value, pointer: &str) {
    let problems = (plexichat_anthropic::PLEXICHAT_PLUGIN.entry.check_config)(&config);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, [pointer], "{problems:?}");
}

#[test]
fn settings_that_cannot_work_are_found_before_anything_starts() {
    for url in
        ["api.anthropic.com", "https://", "https://me:key@example.org", "https://api.anthropic.com/v1", "https://a b"]
    {
        check_config(json!({ "base_url": url }), "/base_url");
    }
    check_config(json!({"api_key": "two\nlines"}), "/api_key");
    check_config(json!({"headers": [{"name": "a b", "value": "x"}]}), "/headers/0/name");
    check_config(json!({"models": [{"id": "a"}, {"id": "a"}]}), "/models");
    check_config(json!({"models": [{"id": "a", "context_tokens": 0}]}), "/models/0/context_tokens");
    check_config(json!({"max_tokens": 0}), "/max_tokens");
}
