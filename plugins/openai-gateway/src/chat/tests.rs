//! Requests as OpenAI's clients write them, and what is wrong with those that cannot be answered.

use super::*;

fn asked(more: Value) -> Result<Asked, Failure> {
    let mut body = json!({ "model": "parrot/grey", "messages": [{ "role": "user", "content": "hi" }] });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    read(body.to_string().as_bytes())
}

fn turn_of(message: Value) -> Result<Turn, Failure> {
    asked(json!({ "messages": [message] })).map(|mut asked| asked.request.turns.remove(0))
}

#[track_caller]
fn check_turn(message: Value, role: TurnRole, parts: Vec<Part>) {
    assert_eq!(turn_of(message.clone()).unwrap(), Turn { role, parts }, "{message}");
}

#[track_caller]
fn check_wrong(more: Value, param: &str) {
    let failure = asked(more.clone()).unwrap_err();
    assert_eq!(failure.body()["param"], json!(param), "{more}: {failure:?}");
    assert_eq!(failure.answer().unwrap().status, 400, "{more}");
}

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned() }
}

#[test]
fn messages_become_turns() {
    check_turn(json!({ "role": "system", "content": "be kind" }), TurnRole::System, vec![text("be kind")]);
    check_turn(json!({ "role": "developer", "content": "be kind" }), TurnRole::System, vec![text("be kind")]);
    check_turn(json!({ "role": "user", "content": "", "name": "ann" }), TurnRole::User, vec![text("")]);
    check_turn(
        json!({ "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }),
        TurnRole::User,
        vec![text("a"), text("b")],
    );
    check_turn(json!({ "role": "assistant", "content": null, "refusal": "no" }), TurnRole::Assistant, vec![text("no")]);
    let call = json!({ "id": "c1", "type": "function", "function": { "name": "add", "arguments": "{}" } });
    let request = || ToolRequest { id: "c1".to_owned(), name: "add".to_owned(), arguments: "{}".to_owned() };
    check_turn(
        json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        TurnRole::Assistant,
        vec![Part::ToolCall(request())],
    );
    check_turn(
        json!({ "role": "assistant", "content": "so", "tool_calls": [call] }),
        TurnRole::Assistant,
        vec![text("so"), Part::ToolCall(request())],
    );
    check_turn(
        json!({ "role": "tool", "tool_call_id": "c1", "content": [{ "type": "text", "text": "3" }] }),
        TurnRole::Tool,
        vec![Part::ToolResult { id: "c1".to_owned(), content: "3".to_owned(), is_error: false }],
    );
}

#[test]
fn pictures_come_as_data_or_by_address() {
    let image = |url: &str| {
        let message = json!({ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] });
        turn_of(message).map(|mut turn| turn.parts.remove(0)).map_err(|failure| failure.body()["param"].clone())
    };
    let data = ImageSource::Data { mime: "image/png".to_owned(), base64: "iVBO".to_owned() };
    assert_eq!(image("data:image/png;base64,iVBO"), Ok(Part::Image { source: data }));
    let url = "https://example.org/a.png".to_owned();
    assert_eq!(image(&url), Ok(Part::Image { source: ImageSource::Url { url: url.clone() } }));
    for bad in [
        "http://example.org/a.png",
        "https://10.0.0.1/a.png",
        "https://localhost/a.png",
        "",
        "file:///etc/passwd",
        "data:text/html;base64,AA",
        "data:image/png,AA",
        "data:image/png;base64,",
    ] {
        assert_eq!(image(bad), Err(json!("messages[0].content[0].image_url.url")), "{bad}");
    }
}

#[test]
fn options_are_read_and_the_rest_passes_through() {
    let more = json!({
        "temperature": 0.5, "top_p": null, "max_tokens": 1, "max_completion_tokens": 7, "stop": ["a", "b"], "seed": -3,
        "frequency_penalty": 1, "presence_penalty": -1.5, "user": "u", "n": 1, "stream": true,
        "stream_options": { "include_usage": true }, "logprobs": false, "modalities": ["text"],
        "logit_bias": { "50256": -100 }, "reasoning_effort": "low", "x-vendor": { "deep": [1] },
    });
    let Asked { request, stream, include_usage } = asked(more).unwrap();
    assert!(stream && include_usage);
    let sampling = &request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.max_output_tokens), (Some(0.5), None, Some(7)));
    assert_eq!((sampling.stop.as_slice(), sampling.seed), (["a".to_owned(), "b".to_owned()].as_slice(), Some(-3)));
    assert_eq!((sampling.frequency_penalty, sampling.presence_penalty), (Some(1.0), Some(-1.5)));
    assert_eq!((request.model.as_str(), request.user.as_deref()), ("parrot/grey", Some("u")));
    let rest = json!({ "logit_bias": { "50256": -100 }, "reasoning_effort": "low", "x-vendor": { "deep": [1] } });
    assert_eq!(Value::from(request.extra), rest);
    let plain = asked(json!({ "stop": "x", "max_tokens": 9 })).unwrap();
    assert!(!plain.stream && !plain.include_usage && plain.request.extra.is_empty());
    assert_eq!(plain.request.sampling.stop, ["x"]);
    assert_eq!(plain.request.sampling.max_output_tokens, Some(9));
}

#[test]
fn tools_and_formats_are_read() {
    let schema = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });
    let tools = json!([
        { "type": "function", "function": { "name": "add", "description": "adds", "parameters": schema, "strict": true } },
        { "type": "function", "function": { "name": "now" } },
    ]);
    let request = asked(json!({ "tools": tools })).unwrap().request;
    assert_eq!((request.tools[0].name.as_str(), request.tools[0].description.as_str()), ("add", "adds"));
    assert_eq!(request.tools[0].parameters, schema);
    assert_eq!(request.tools[1].parameters["type"], "object");
    for (choice, expected) in [
        (json!("auto"), ToolChoice::Auto),
        (json!("none"), ToolChoice::None),
        (json!("required"), ToolChoice::Required),
        (json!({ "type": "function", "function": { "name": "add" } }), ToolChoice::Tool("add".to_owned())),
    ] {
        assert_eq!(asked(json!({ "tool_choice": choice })).unwrap().request.tool_choice, expected);
    }
    let named = json!({ "type": "json_schema", "json_schema": { "name": "sum", "schema": schema, "strict": true } });
    let expected = ResponseFormat::JsonSchema { name: "sum".to_owned(), schema, strict: true };
    for (format, expected) in [
        (json!({ "type": "text" }), ResponseFormat::Text),
        (json!({ "type": "json_object" }), ResponseFormat::JsonObject),
        (named, expected),
    ] {
        assert_eq!(asked(json!({ "response_format": format })).unwrap().request.response_format, expected);
    }
}

#[test]
fn mistakes_name_their_parameter() {
    check_wrong(json!({ "model": null }), "model");
    check_wrong(json!({ "model": 1 }), "model");
    check_wrong(json!({ "messages": null }), "messages");
    check_wrong(json!({ "messages": [] }), "messages");
    check_wrong(json!({ "messages": "hi" }), "messages");
    check_wrong(json!({ "messages": [1] }), "messages[0]");
    check_wrong(json!({ "messages": [{ "content": "a" }] }), "messages[0].role");
    check_wrong(json!({ "messages": [{ "role": "robot", "content": "a" }] }), "messages[0].role");
    check_wrong(json!({ "messages": [{ "role": "function", "content": "a" }] }), "messages[0].role");
    check_wrong(json!({ "messages": [{ "role": "user" }] }), "messages[0].content");
    check_wrong(json!({ "messages": [{ "role": "user", "content": 1 }] }), "messages[0].content");
    check_wrong(json!({ "messages": [{ "role": "tool", "content": "a" }] }), "messages[0].tool_call_id");
    let audio = json!([{ "type": "input_audio", "input_audio": {} }]);
    check_wrong(json!({ "messages": [{ "role": "user", "content": audio }] }), "messages[0].content[0].type");
    let call = json!([{ "id": "c", "type": "custom", "custom": {} }]);
    check_wrong(json!({ "messages": [{ "role": "assistant", "tool_calls": call }] }), "messages[0].tool_calls[0].type");
    check_wrong(json!({ "n": 2 }), "n");
    check_wrong(json!({ "functions": [] }), "functions");
    check_wrong(json!({ "function_call": "auto" }), "function_call");
    check_wrong(json!({ "logprobs": true }), "logprobs");
    check_wrong(json!({ "modalities": ["text", "audio"] }), "modalities");
    check_wrong(json!({ "temperature": "hot" }), "temperature");
    check_wrong(json!({ "max_tokens": -1 }), "max_tokens");
    check_wrong(json!({ "stop": 1 }), "stop");
    check_wrong(json!({ "stream": "yes" }), "stream");
    check_wrong(json!({ "stream_options": { "include_usage": true } }), "stream_options");
    check_wrong(json!({ "tools": [{ "type": "web_search" }] }), "tools[0].type");
    check_wrong(json!({ "tools": [{ "type": "function", "function": {} }] }), "tools[0].function.name");
    check_wrong(json!({ "tool_choice": "maybe" }), "tool_choice");
    check_wrong(json!({ "response_format": { "type": "xml" } }), "response_format.type");
}

#[test]
fn what_is_no_json_is_told() {
    for body in ["", "{", "[]", "null", "\u{0}"] {
        let failure = read(body.as_bytes()).unwrap_err();
        assert_eq!(failure.answer().unwrap().status, 400, "{body:?}");
    }
}
