//! An answer piece by piece, as OpenAI's server-sent events. What does not change from piece to piece is written once. Knows no
//! request.

use plexichat::ai::{FinishReason, Usage};
use plexichat::prelude::*;

use crate::answer::{Head, finish_reason, usage};
use crate::failure::Failure;

/// Writes the events of one answer.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Everything up to `choices`.
    begin: Vec<u8>,
    /// Everything behind the choices.
    end: &'static [u8],
    include_usage: bool,
    /// What it cost so far.
    spent: Option<Usage>,
    begun: bool,
}

impl Writer {
    pub(crate) fn new(head: &Head<'_>, include_usage: bool) -> Self {
        let mut begin = b"data: {\"id\":".to_vec();
        text(&mut begin, &format!("chatcmpl-{}", head.request_id));
        begin.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        begin.extend_from_slice(head.created.to_string().as_bytes());
        begin.extend_from_slice(b",\"model\":");
        text(&mut begin, head.model);
        begin.extend_from_slice(b",\"system_fingerprint\":null,\"choices\":[");
        // Whoever asks for what it cost is told of it in one piece, and of nothing in all the others.
        let end: &[u8] = if include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" };
        Self { begin, end, include_usage, spent: None, begun: false }
    }

    /// The events of these pieces.
    pub(crate) fn write(&mut self, pieces: Vec<Result<AiDelta, AiError>>) -> Vec<u8> {
        let mut out = Vec::with_capacity((self.begin.len() + 128) * (pieces.len() + 1));
        if !self.begun {
            self.begun = true;
            self.choice(&mut out, None, |out| {
                out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
            });
        }
        for piece in pieces {
            match piece {
                Ok(delta) => self.delta(&mut out, &delta),
                Err(error) => failure(&mut out, &error.into()),
            }
        }
        out
    }

    fn delta(&mut self, out: &mut Vec<u8>, delta: &AiDelta) {
        match delta {
            AiDelta::Text { text: said } => self.choice(out, None, |out| {
                out.extend_from_slice(b"\"content\":");
                text(out, said);
            }),
            AiDelta::ToolCall { index, id, name, arguments } => self.choice(out, None, |out| {
                out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                out.extend_from_slice(index.to_string().as_bytes());
                if let Some(id) = id {
                    out.extend_from_slice(b",\"id\":");
                    text(out, id);
                    out.extend_from_slice(b",\"type\":\"function\"");
                }
                out.extend_from_slice(b",\"function\":{");
                if let Some(name) = name {
                    out.extend_from_slice(b"\"name\":");
                    text(out, name);
                    out.push(b',');
                }
                out.extend_from_slice(b"\"arguments\":");
                text(out, arguments);
                out.extend_from_slice(b"}}]");
            }),
            AiDelta::Usage(spent) => self.spent = Some(*spent),
            AiDelta::Finish { reason } => self.finish(out, *reason),
            // What a model thinks is no part of OpenAI's answers.
            _ => {}
        }
    }

    fn finish(&self, out: &mut Vec<u8>, reason: FinishReason) {
        let reason = match finish_reason(reason) {
            Ok(reason) => reason,
            Err(broken) => return failure(out, &broken),
        };
        self.choice(out, Some(reason), |_| {});
        if let Some(spent) = self.spent.filter(|_| self.include_usage) {
            out.extend_from_slice(&self.begin);
            out.extend_from_slice(b"],\"usage\":");
            out.extend_from_slice(usage(spent).to_string().as_bytes());
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// One event with one choice.
    fn choice(&self, out: &mut Vec<u8>, finish: Option<&str>, delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.begin);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        match finish {
            None => out.extend_from_slice(b"null"),
            Some(reason) => text(out, reason),
        }
        out.push(b'}');
        out.extend_from_slice(self.end);
    }
}

/// What OpenAI's clients raise on in the middle of a stream; nothing comes after it.
fn failure(out: &mut Vec<u8>, failure: &Failure) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json!({ "error": failure.body() }).to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// A text as JSON.
fn text(out: &mut Vec<u8>, text: &str) {
    // A text is always JSON, and memory takes every byte.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events' data, parsed.
    fn events(include_usage: bool, batches: Vec<Vec<Result<AiDelta, AiError>>>) -> Vec<Value> {
        let head = Head { request_id: "r", model: "a \"b\"", created: 7 };
        let mut writer = Writer::new(&head, include_usage);
        let written: Vec<u8> = batches.into_iter().flat_map(|batch| writer.write(batch)).collect();
        let written = String::from_utf8(written).unwrap();
        let events = written.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
        events
            .map(|data| match data {
                "[DONE]" => json!("done"),
                data => serde_json::from_str(data).unwrap(),
            })
            .collect()
    }

    #[track_caller]
    fn check(include_usage: bool, deltas: Vec<AiDelta>, expected: &[Value]) {
        // However they come together, the same events come of it.
        let one_by_one = deltas.iter().cloned().map(|delta| vec![Ok(delta)]).collect();
        let together = vec![deltas.into_iter().map(Ok).collect()];
        for batches in [one_by_one, together] {
            let shown: Vec<Value> = events(include_usage, batches)
                .into_iter()
                .map(|event| match (event["choices"].get(0), event.get("usage")) {
                    (Some(choice), _) if choice["finish_reason"].is_null() => choice["delta"].clone(),
                    (Some(choice), _) => choice["finish_reason"].clone(),
                    (None, Some(usage)) => usage["total_tokens"].clone(),
                    _ => event,
                })
                .collect();
            assert_eq!(shown, expected);
        }
    }

    fn role() -> Value {
        json!({ "role": "assistant", "content": "", "refusal": null })
    }

    fn call(index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> AiDelta {
        let (id, name) = (id.map(str::to_owned), name.map(str::to_owned));
        AiDelta::ToolCall { index, id, name, arguments: arguments.to_owned() }
    }

    #[test]
    fn each_piece_is_an_event() {
        let stop = || AiDelta::finish(FinishReason::Stop);
        check(
            false,
            vec![AiDelta::text("a\n\"b\"\u{1}é"), AiDelta::Usage(Usage::default()), stop()],
            &[role(), json!({ "content": "a\n\"b\"\u{1}é" }), json!("stop"), json!("done")],
        );
        let spent = Usage { input_tokens: 3, output_tokens: 4, cached_input_tokens: 0 };
        check(
            true,
            vec![AiDelta::text("a"), AiDelta::Usage(spent), stop()],
            &[role(), json!({ "content": "a" }), json!("stop"), json!(7), json!("done")],
        );
        let (one, two) = (call(0, Some("c1"), Some("add"), ""), call(0, None, None, "{\"x\":1}"));
        let begun =
            json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "add", "arguments": "" } });
        let more = json!({ "index": 0, "function": { "arguments": "{\"x\":1}" } });
        check(
            false,
            vec![one, two, AiDelta::finish(FinishReason::ToolCalls)],
            &[
                role(),
                json!({ "tool_calls": [begun] }),
                json!({ "tool_calls": [more] }),
                json!("tool_calls"),
                json!("done"),
            ],
        );
    }

    #[test]
    fn a_failure_is_an_event_and_the_last() {
        let failed = AiError::new(AiErrorKind::ContentFiltered, "org-Xk29 at 10.1.2.3 withheld it");
        let events = events(true, vec![vec![Ok(AiDelta::text("a")), Err(failed)]]);
        let error = json!({
            "message": "it was withheld", "type": "invalid_request_error", "param": null,
            "code": "content_filter",
        });
        assert_eq!(events.last(), Some(&json!({ "error": error })));
        assert_eq!(events.len(), 3, "{events:?}");
        check(
            false,
            vec![AiDelta::finish(FinishReason::Incomplete)],
            &[
                role(),
                json!({ "error": {
                    "message": "the provider answered what makes no sense", "type": "server_error", "param": null,
                    "code": "provider_protocol",
                } }),
            ],
        );
    }

    #[test]
    fn every_event_says_whose_it_is() {
        for event in events(true, vec![vec![Ok(AiDelta::text("a"))]]) {
            assert_eq!((&event["id"], &event["object"]), (&json!("chatcmpl-r"), &json!("chat.completion.chunk")));
            assert_eq!((&event["model"], &event["created"]), (&json!("a \"b\""), &json!(7)));
            assert_eq!(event.get("usage"), Some(&Value::Null));
        }
    }
}
