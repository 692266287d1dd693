//! The provider as the host meets it: on the test kit's real host, before services that speak as real ones do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use plexichat::ai::{EmbedRequest, FinishReason, ToolRequest, Turn, Usage};
use plexichat::broker::{Ask, Piece};
use plexichat::capability::http::HttpStream;
use plexichat::message::Origin;
use plexichat::prelude::*;
use plexichat::testing::http::{events, fed_events, json as json_response, text as text_response, whole};
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_openai::OpenAi;

plexichat::compliance!(OpenAi);

const KEY: &str = "sk-proj-0123456789abcdefWXYZ";

fn host() -> TestHost {
    TestHost::new().config(json!({ "api_key": KEY, "models": [{"id": "tiny"}] }))
}

fn request() -> AiRequest {
    AiRequest::new("tiny", vec![Turn::user("Hello")])
}

async fn answer(plugin: &RunningPlugin<OpenAi>) -> Result<AiResponse, AiError> {
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
            let plugin = host().http_stream(move |_| Ok(pieces(text, size))).start::<OpenAi>().await.unwrap();
            answer(&plugin).await.unwrap()
        });
        answers.push(seen);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers.pop().unwrap()
}

#[test]
fn openai_streams() {
    let seen = check(
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}

data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Grüße, "},"finish_reason":null}],"usage":null}

data: {"id":"c1","choices":[{"index":0,"delta":{"content":"日本 👋"},"finish_reason":null}],"usage":null}

data: {"id":"c1","choices":[{"index":1,"delta":{"content":"another answer"},"finish_reason":null}],"usage":null}

data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"c1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":8}}}

data: [DONE]

"#,
    );
    assert_eq!((seen.text.as_str(), seen.finish), ("Grüße, 日本 👋", FinishReason::Stop));
    assert_eq!(seen.usage, Some(Usage { input_tokens: 9, output_tokens: 4, cached_input_tokens: 8 }));
}

#[test]
fn local_servers_stream_their_thoughts_and_forget_the_end() {
    let seen = check(
        ": ping\r\n\r\ndata: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm. \"}}]}\r\n\r\n\
         data: {\"choices\":[{\"delta\":{\"reasoning\":\"So.\"}}]}\r\n\r\n\
         data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"Yes\"}]}}]}\r\n\r\n\
         data: {\"choices\":[{\"delta\":{\"content\":null},\"finish_reason\":\"length\"}],\"timings\":{\"n\":1}}",
    );
    assert_eq!((seen.reasoning.as_str(), seen.text.as_str()), ("Hm. So.", "Yes"));
    assert_eq!((seen.finish, seen.usage), (FinishReason::Length, None));
}

fn call(id: &str, name: &str, arguments: &str) -> ToolRequest {
    ToolRequest { id: id.into(), name: name.into(), arguments: arguments.into() }
}

#[test]
fn tool_calls_come_in_pieces() {
    let seen = check(
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"look","arguments":""}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]}}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","function":{"name":"add","arguments":"{}"}},{"index":0,"function":{"arguments":"7}"}}]}}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
    );
    assert_eq!(seen.tool_calls, [call("call_a", "look", r#"{"at":7}"#), call("call_b", "add", "{}")]);
    assert_eq!(seen.finish, FinishReason::ToolCalls);
}

#[test]
fn some_services_number_their_calls_wrongly_or_not_at_all() {
    // Every call has the index 0, arguments are JSON, and it says that it stops.
    let seen = check(
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":{"at":7}}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"add","arguments":"{}"}}]},"finish_reason":"stop"}]}

"#,
    );
    assert_eq!(seen.tool_calls, [call("a", "look", r#"{"at":7}"#), call("b", "add", "{}")]);
    assert_eq!(seen.finish, FinishReason::ToolCalls);
    // Neither index nor identifier.
    let seen = check(
        r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"look","arguments":"{"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"}"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"add","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}

"#,
    );
    assert_eq!(seen.tool_calls, [call("call_0", "look", "{}"), call("call_1", "add", "{}")]);
}

#[plexichat::test]
async fn a_service_that_does_not_stream_answers_whole() -> TestResult {
    let body = json!({
        "id": "c1", "object": "chat.completion", "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "Let me see.",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
        }}]
    });
    let plugin = host().http(move |_| Ok(json_response(200, &body))).start::<OpenAi>().await?;
    let seen = answer(&plugin).await?;
    assert_eq!((seen.text.as_str(), seen.tool_calls), ("Let me see.", vec![call("a", "look", "{}")]));
    assert_eq!((seen.finish, seen.usage.unwrap().total()), (FinishReason::ToolCalls, 5));
    Ok(())
}

#[plexichat::test]
async fn the_service_is_told_who_asks_and_what() -> TestResult {
    let config = json!({
        "base_url": "https://example.org/v1/?api-version=7", "api_key": format!(" {KEY}"), "organization": "org-1",
        "project": "proj-1", "headers": [{"name": "X-Mine", "value": "hidden"}],
    });
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    let plugin = TestHost::new().config(config).http_stream(|_| Ok(pieces(text, 9))).start::<OpenAi>().await?;
    let mut request = request();
    request.extra.insert("reasoning_effort".into(), json!("low"));
    plugin.plugin()?.generate_response(request).await?;
    let sent = plugin.http().requests().remove(0);
    assert_eq!(
        (sent.method.as_str(), sent.url.as_str()),
        ("POST", "https://example.org/v1/chat/completions?api-version=7")
    );
    let headers: Vec<String> = sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    for header in [
        &format!("authorization: Bearer {KEY}"),
        "openai-organization: org-1",
        "openai-project: proj-1",
        "X-Mine: hidden",
    ] {
        assert!(headers.iter().any(|sent| sent == header), "{header:?} is not in {headers:?}");
    }
    let body: Value = serde_json::from_slice(&sent.body)?;
    assert_eq!(
        (&body["model"], &body["reasoning_effort"], &body["stream"]),
        (&json!("tiny"), &json!("low"), &json!(true))
    );
    Ok(())
}

#[plexichat::test]
async fn no_error_shows_a_key() -> TestResult {
    let bodies = [
        format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. See https://example.org."}}}}"#),
        r#"{"error":{"message":"Incorrect API key provided: sk-proj-********************WXYZ."}}"#.to_owned(),
        "the key sk-p... is unknown, and so is hidden-header-value".to_owned(),
    ];
    for status in [400, 401, 403, 404, 429, 500] {
        for body in bodies.clone() {
            let config = json!({ "api_key": KEY, "headers": [{"name": "x-key", "value": "hidden-header-value"}] });
            let host = TestHost::new().config(config).http(move |_| Ok(text_response(status, &body)));
            let plugin = host.start::<OpenAi>().await?;
            let error = answer(&plugin).await.unwrap_err();
            let told = format!("{error} {error:?} {:?} {:?}", plugin.plugin()?.health().await, plugin.last_error());
            for part in ["sk-p", "WXYZ", "0123", "hidden-header"] {
                assert!(!told.contains(part), "{status}: {told}");
            }
        }
    }
    Ok(())
}

#[plexichat::test]
async fn a_stream_can_fail_in_the_middle() -> TestResult {
    let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"Once\"}}]}\n\n";
    let cases = [
        ("data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n", Some(AiErrorKind::Unavailable)),
        (
            "event: error\ndata: {\"message\":\"too long\",\"type\":\"exceed_context_size_error\",\"n_ctx\":64}\n\n",
            Some(AiErrorKind::ContextLength { limit: Some(64) }),
        ),
        ("data: {\"choices\": 7}\n\n", Some(AiErrorKind::Protocol)),
        ("data: <html>\n\n", Some(AiErrorKind::Protocol)),
        // It just ends.
        ("", None),
        ("data: [DONE]\n\n", None),
    ];
    for (then, expected) in cases {
        let text = format!("{begun}{then}");
        let plugin = host().http_stream(move |_| Ok(pieces(&text, 5))).start::<OpenAi>().await?;
        match (answer(&plugin).await, expected) {
            (Err(error), Some(kind)) => assert_eq!(error.kind(), kind, "{then:?}: {error}"),
            (Ok(seen), None) => assert_eq!((seen.text.as_str(), seen.finish), ("Once", FinishReason::Incomplete)),
            (seen, expected) => panic!("{then:?}: {seen:?} is not {expected:?}"),
        }
    }
    Ok(())
}

fn ask(plugin: &RunningPlugin<OpenAi>) -> Ask<AiRequest> {
    Ask {
        models: vec!["openai/tiny".to_owned()],
        request: request(),
        actor: plugin.actor("alice"),
        room_id: Some(plugin.room()),
        origin: Origin::Rest,
        judged: false,
        cause: None,
    }
}

#[plexichat::test]
async fn whoever_drops_an_answer_hangs_up() -> TestResult {
    let (stream, feed) = fed_events();
    let stream = std::sync::Mutex::new(Some(stream));
    let plugin = host().http_stream(move |_| Ok(stream.lock().unwrap().take().unwrap())).start::<OpenAi>().await?;
    feed.send("data: {\"choices\":[{\"delta\":{\"content\":\"Once upon a time \"}}]}\n\n");
    let answer = plugin.host().broker.ask(ask(&plugin)).await?;
    drop(answer);
    tokio::time::timeout(Duration::from_secs(1), feed.dropped()).await?;
    assert!(!feed.send("data: {}\n\n"), "nobody reads any more");
    Ok(())
}

#[plexichat::test]
async fn the_host_gives_out_what_the_service_says() -> TestResult {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi \"}}]}\n\n\
                data: {\"choices\":[{\"delta\":{\"content\":\"there\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let plugin = host().http_stream(move |_| Ok(pieces(text, 11))).start::<OpenAi>().await?;
    let mut answer = plugin.host().broker.ask(ask(&plugin)).await?;
    let mut finish = None;
    while let Some(piece) = answer.next().await {
        if let Piece::Other(AiDelta::Finish { reason }) = piece? {
            finish = Some(reason);
        }
    }
    assert_eq!(finish, Some(FinishReason::Stop));
    let models = plugin.host().broker.models().await;
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["openai/tiny"]);
    Ok(())
}

#[plexichat::test]
async fn a_service_that_is_down_is_no_fault_of_the_plugin() -> TestResult {
    let plugin = host().http(|_| Ok(text_response(503, "busy"))).start::<OpenAi>().await?;
    let asking = async {
        for _ in 0..12 {
            let refused = plugin.host().broker.ask(ask(&plugin)).await.err().unwrap();
            assert_eq!(refused.kind(), AiErrorKind::Unavailable);
            assert!(refused.message().contains("HTTP 503"), "the breaker stays closed: {refused}");
        }
    };
    // The host waits before it asks once more.
    let time_passes = async {
        loop {
            plugin.clock().advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    futures_util::future::select(std::pin::pin!(asking), std::pin::pin!(time_passes)).await;
    assert_eq!(plugin.http().requests().len(), 24, "each was asked twice");
    Ok(())
}

#[plexichat::test]
async fn embeddings_are_asked_for_and_checked() -> TestResult {
    let body = json!({
        "object": "list", "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [{"index": 1, "embedding": [0.5, 1.0]}, {"index": 0, "embedding": [0.25, 2.0]}]
    });
    let plugin = host().http(move |_| Ok(json_response(200, &body))).start::<OpenAi>().await?;
    let mut request = EmbedRequest::new("tiny", vec!["a".into(), "b".into()]);
    request.dimensions = Some(2);
    let seen = plugin.plugin()?.embed(request).await?;
    assert_eq!(seen.vectors, [[0.25, 2.0], [0.5, 1.0]]);
    assert_eq!(seen.usage.unwrap().input_tokens, 5);
    let sent = plugin.http().requests().remove(0);
    assert_eq!(sent.url, "https://api.openai.com/v1/embeddings");
    let body: Value = serde_json::from_slice(&sent.body)?;
    assert_eq!(body, json!({"model": "tiny", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2}));
    let missing = plugin.plugin()?.embed(EmbedRequest::new("other", vec!["a".into()])).await.unwrap_err();
    assert_eq!(missing.kind(), AiErrorKind::ModelNotFound);
    Ok(())
}

#[plexichat::test]
async fn many_texts_are_sent_in_several_requests() -> TestResult {
    let host = host().http(|request| {
        let body: Value = serde_json::from_slice(&request.body)?;
        let texts = body["input"].as_array().map_or(&[][..], Vec::as_slice);
        let number = |text: &Value| text.as_str().and_then(|text| text.parse::<f32>().ok());
        let data: Vec<Value> = texts.iter().map(|text| json!({ "embedding": [number(text)] })).collect();
        Ok(json_response(200, &json!({ "data": data, "usage": {"prompt_tokens": texts.len()} })))
    });
    let plugin = host.start::<OpenAi>().await?;
    let texts = (0..300).map(|number| number.to_string()).collect();
    let seen = plugin.plugin()?.embed(EmbedRequest::new("tiny", texts)).await?;
    let numbers: Vec<f32> = seen.vectors.concat();
    assert_eq!(numbers, (0_u16..300).map(f32::from).collect::<Vec<_>>());
    assert_eq!((seen.usage.unwrap().input_tokens, plugin.http().requests().len()), (300, 3));
    Ok(())
}

#[plexichat::test]
async fn health_is_what_the_last_request_met() -> TestResult {
    let status = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(401));
    let answers = status.clone();
    let host = TestHost::new().http(move |_| {
        let status = answers.load(std::sync::atomic::Ordering::Relaxed);
        Ok(json_response(status, &json!({"data": [{"id": "gpt-5"}, {"id": "text-embedding-3-small"}]})))
    });
    let plugin = host.start::<OpenAi>().await?;
    let provider = plugin.plugin()?;
    assert!(matches!(provider.health().await, Health::Degraded(why) if why.contains("`api_key`")));
    assert_eq!(provider.models().await.unwrap_err().kind(), AiErrorKind::Auth);
    assert!(matches!(provider.health().await, Health::Down(why) if why.contains("does not know the key")));
    status.store(500, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(provider.models().await.unwrap_err().kind(), AiErrorKind::Unavailable);
    assert!(matches!(provider.health().await, Health::Degraded(why) if why.contains("HTTP 500")));
    status.store(200, std::sync::atomic::Ordering::Relaxed);
    let models = provider.models().await?;
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["gpt-5", "text-embedding-3-small"]);
    assert_eq!(provider.health().await, Health::Healthy);
    Ok(())
}

#[plexichat::test]
async fn a_stream_of_an_error_is_read_like_a_whole_one() -> TestResult {
    let refused = |_: &_| Ok(whole(json_response(400, &json!({"error": {"message": "No such tool", "type": "x"}}))));
    let plugin = host().http_stream(refused).start::<OpenAi>().await?;
    let error = answer(&plugin).await.unwrap_err();
    assert_eq!(error.kind(), AiErrorKind::InvalidRequest);
    assert!(error.public_message().contains("No such tool"), "{error}");
    Ok(())
}

#[track_caller]
fn check_config(config: Value, pointer: &str) {
    let problems = (plexichat_openai::PLEXICHAT_PLUGIN.entry.check_config)(&config);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, [pointer], "{problems:?}");
}

#[test]
fn settings_that_cannot_work_are_found_before_anything_starts() {
    for url in ["api.openai.com", "ftp://example.org", "https://", "https://me:key@example.org/v1", "https://a b/"] {
        check_config(json!({ "base_url": url }), "/base_url");
    }
    check_config(json!({"base_url": "https://example.org/v1/chat/completions"}), "/base_url");
    check_config(json!({"api_key": "two\nlines"}), "/api_key");
    check_config(json!({"api_key": ""}), "/api_key");
    check_config(json!({"headers": [{"name": "a b", "value": "x"}]}), "/headers/0/name");
    check_config(json!({"models": [{"id": "a"}, {"id": "a"}]}), "/models");
    check_config(json!({"models": [{"id": "a", "context_tokens": 0}]}), "/models/0/context_tokens");
    check_config(json!({"timeout": 0}), "/timeout");
}
