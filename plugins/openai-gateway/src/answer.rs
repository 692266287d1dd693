//! A whole answer in OpenAI's shape. Knows no request.

use plexichat::ai::{FinishReason, Usage};
use plexichat::prelude::*;

use crate::failure::Failure;

/// What every piece of an answer says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// The request's identifier in logs.
    pub(crate) request_id: &'a str,
    /// The model as it was asked for.
    pub(crate) model: &'a str,
    /// Seconds since 1970.
    pub(crate) created: i64,
}

/// The body of a whole answer.
///
/// # Errors
/// The answer broke off.
pub(crate) fn whole(head: &Head<'_>, response: AiResponse) -> Result<Value, Failure> {
    let finish_reason = finish_reason(response.finish)?;
    let calls = response.tool_calls.iter().map(|call| {
        let function = json!({ "name": call.name, "arguments": call.arguments });
        json!({ "id": call.id, "type": "function", "function": function })
    });
    let calls: Vec<Value> = calls.collect();
    // As OpenAI has it: who only calls tools says nothing.
    let content = (!response.text.is_empty() || calls.is_empty()).then_some(response.text);
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason });
    let mut body = json!({
        "id": format!("chatcmpl-{}", head.request_id),
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [choice],
        "system_fingerprint": null,
    });
    if let Some(spent) = response.usage {
        body["usage"] = usage(spent);
    }
    Ok(body)
}

/// What an answer cost.
pub(crate) fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": { "cached_tokens": usage.cached_input_tokens },
    })
}

/// OpenAI's word for why an answer ends.
///
/// # Errors
/// It did not end: it broke off, and must not look whole.
pub(crate) fn finish_reason(reason: FinishReason) -> Result<&'static str, Failure> {
    match reason {
        FinishReason::Stop => Ok("stop"),
        FinishReason::Length => Ok("length"),
        FinishReason::ToolCalls => Ok("tool_calls"),
        FinishReason::ContentFilter => Ok("content_filter"),
        _ => Err(AiError::new(AiErrorKind::Protocol, "the answer broke off").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(response: AiResponse, choice: Value) {
        let head = Head { request_id: "r", model: "parrot/grey", created: 7 };
        let body = whole(&head, response).unwrap();
        assert_eq!(body["choices"], json!([choice]));
        assert_eq!((&body["id"], &body["object"]), (&json!("chatcmpl-r"), &json!("chat.completion")));
        assert_eq!((&body["model"], &body["created"]), (&json!("parrot/grey"), &json!(7)));
    }

    fn response(deltas: impl IntoIterator<Item = AiDelta>) -> AiResponse {
        let mut response = AiResponse::default();
        deltas.into_iter().for_each(|delta| response.push(delta));
        response
    }

    #[test]
    fn an_answer_says_what_was_said_and_called() {
        let message = json!({ "role": "assistant", "content": "hello", "refusal": null });
        check(
            response([AiDelta::text("hello"), AiDelta::finish(FinishReason::Length)]),
            json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "length" }),
        );
        let message = json!({ "role": "assistant", "content": "", "refusal": null });
        check(
            response([AiDelta::finish(FinishReason::ContentFilter)]),
            json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "content_filter" }),
        );
        let call = AiDelta::ToolCall {
            index: 0,
            id: Some("c1".to_owned()),
            name: Some("add".to_owned()),
            arguments: "{}".to_owned(),
        };
        let called = json!({ "id": "c1", "type": "function", "function": { "name": "add", "arguments": "{}" } });
        let message = json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [called] });
        check(
            response([call, AiDelta::finish(FinishReason::ToolCalls)]),
            json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls" }),
        );
    }

    #[test]
    fn what_it_cost_is_told_where_it_is_known() {
        let head = Head { request_id: "r", model: "m", created: 7 };
        let spent = Usage { input_tokens: 5, output_tokens: 2, cached_input_tokens: 1 };
        let stop = || AiDelta::finish(FinishReason::Stop);
        let body = whole(&head, response([AiDelta::Usage(spent), stop()])).unwrap();
        let expected = json!({
            "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": { "cached_tokens": 1 }
        });
        assert_eq!(body["usage"], expected);
        assert_eq!(whole(&head, response([stop()])).unwrap().get("usage"), None);
    }

    #[test]
    fn what_broke_off_is_no_answer() {
        let head = Head { request_id: "r", model: "m", created: 7 };
        let broken = whole(&head, response([AiDelta::text("hel")])).unwrap_err();
        assert_eq!(broken.body()["code"], "provider_protocol");
    }
}
