//! What steps do to the outside, done by the host's capabilities. Knows no definition.

use std::time::Duration;

use async_trait::async_trait;
use plexichat::ai::Turn;
use plexichat::capability::ai::AiCall;
use plexichat::capability::http::HttpResponse;
use plexichat::capability::tools::ToolUse;
use plexichat::id::RoomId;
use plexichat::message::{Origin, Time};
use plexichat::prelude::*;

use crate::Workflow;
use crate::approvals::{Answer, Approval, Approvals};
use crate::engine::origin;
use crate::engine::world::{Act, Body, Failure, World};

/// How much of a service's answer an error shows, in letters.
const SHOWN: usize = 200;

/// The host as the engine sees it.
pub(crate) struct Outside {
    pub(crate) context: Context<Workflow>,
    pub(crate) approvals: Approvals,
}

#[async_trait]
impl World for Outside {
    fn now(&self) -> Time {
        self.context.now()
    }

    async fn sleep(&self, length: Duration) {
        self.context.sleep(length).await;
    }

    async fn act(&self, run: &WorkflowRun, act: Act, key: &str, timeout: Duration) -> Result<Value, Failure> {
        match act {
            Act::Post { room, text, reply_to } => self.post(run, room, text, reply_to, key).await,
            Act::Ai { model, system, prompt, max_output_tokens, temperature } => {
                if model.trim().is_empty() {
                    let message =
                        "it names no model: set `model` in the step or in `defaults`, such as `openai/gpt-4o`";
                    return Err(Failure::for_good(message));
                }
                let turns = system.map(Turn::system).into_iter().chain([Turn::user(prompt)]).collect();
                let mut request = AiRequest::new(model.trim(), turns);
                request.sampling.max_output_tokens = max_output_tokens;
                request.sampling.temperature = temperature;
                let mut call = AiCall::new(request).on_behalf_of(run.caller.clone(), Origin::Plugin);
                if let Some(room) = run.cause.room_id {
                    call = call.in_room(room);
                }
                let answer = self.context.ai().generate(call).await?;
                Ok(with_json(json!({ "text": answer.text })))
            }
            Act::Tool { name, arguments } => {
                let call = ToolUse::new(name, arguments, key).on_behalf_of(run.caller.clone(), run.cause.room_id);
                let text = self.context.tools().call(call).await?;
                Ok(with_json(json!({ "text": text })))
            }
            Act::Http { method, url, headers, body, expects } => {
                let mut request = self.context.http().request(&method, &url).timeout(timeout);
                let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
                if !has("idempotency-key") {
                    request = request.header("idempotency-key", key);
                }
                let has_type = has("content-type");
                for (name, value) in &headers {
                    request = request.header(name, value);
                }
                request = match body {
                    Some(Body::Json(json)) if has_type => request.body(json.to_string()),
                    Some(Body::Json(json)) => request.json(&json),
                    Some(Body::Text(text)) if has_type => request.body(text),
                    Some(Body::Text(text)) => request.header("content-type", "text/plain; charset=utf-8").body(text),
                    None => request,
                };
                let response = request.send().await?;
                self.judged(&response, &expects)
            }
        }
    }

    async fn ask(&self, run: &WorkflowRun, mut approval: Approval, key: &str) -> Result<(), Failure> {
        let named = approval.room.is_some() || origin::room(run).is_some();
        if named {
            approval.room_id = Some(self.room(run, approval.room.as_deref()).await?);
        }
        if !self.approvals.keep(&approval).await? {
            match self.approvals.get(&approval.id).await? {
                Some(kept) if kept.answer.is_some() => return Ok(()),
                Some(kept) if kept.until == approval.until => approval = kept,
                // Asked anew, with a time of its own.
                Some(_) if self.approvals.renew(&approval).await? => {}
                // Somebody answered just now: a second message would ask again.
                _ => return Ok(()),
            }
        }
        if let Some(room_id) = approval.room_id {
            let post = Post { key: Some(key.to_owned()), ..Post::new(room_id, approval.message()) };
            self.context.chat().post(post).await?;
        }
        Ok(())
    }

    async fn answer(&self, id: &str) -> Result<Option<Answer>, Failure> {
        Ok(self.approvals.get(id).await?.and_then(|approval| approval.answer))
    }

    async fn close(&self, id: &str) {
        if let Err(error) = self.approvals.close(id).await {
            tracing::debug!(approval = id, %error, "an approval that is settled is still kept");
        }
    }
}

impl Outside {
    async fn post(
        &self,
        run: &WorkflowRun,
        room: Option<String>,
        text: String,
        reply_to: Option<String>,
        key: &str,
    ) -> Result<Value, Failure> {
        let room_id = self.room(run, room.as_deref()).await?;
        let mut post = Post { key: Some(key.to_owned()), ..Post::new(room_id, text) };
        if let Some(id) = reply_to {
            let id =
                id.trim().parse().map_err(|_| Failure::for_good(format!("`reply_to` is `{id}`: no message's id")))?;
            post = post.reply_to(id);
        }
        let row = self.context.chat().post(post).await?;
        Ok(json!({ "message_id": row.id, "room_id": row.room_id }))
    }

    async fn room(&self, run: &WorkflowRun, named: Option<&str>) -> Result<RoomId, Failure> {
        let Some(name) = named.map(str::trim).filter(|name| !name.is_empty()) else {
            let message = "it names no room, and the run began in none: set `room` in the step or in `defaults`";
            return origin::room(run).ok_or_else(|| Failure::for_good(message));
        };
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let found = self.context.chat().room_named(name.trim_start_matches('#')).await?;
        found.ok_or_else(|| Failure::for_good(format!("there is no room `{name}`")))
    }

    fn judged(&self, response: &HttpResponse, expects: &[u16]) -> Result<Value, Failure> {
        let status = response.status;
        let fine = if expects.is_empty() { response.is_success() } else { expects.contains(&status) };
        let text = response.text();
        if !fine {
            let shown: String = text.chars().take(SHOWN).collect();
            return Err(Failure {
                message: format!("the service answered {status}: {shown}"),
                passes: matches!(status, 408 | 425 | 429 | 500..=599),
                after: response.retry_after(self.context.now()),
            });
        }
        let headers: serde_json::Map<String, Value> =
            response.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
        let mut result = json!({ "status": status, "headers": headers, "body": text });
        if let Ok(json) = serde_json::from_slice::<Value>(&response.body) {
            result["json"] = json;
        }
        Ok(result)
    }
}

/// The same with what the text is as JSON, where it is; models like to put it between fences.
fn with_json(mut result: Value) -> Value {
    let text = result["text"].as_str().unwrap_or_default().trim();
    let inner =
        text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).and_then(|rest| rest.strip_suffix("```"));
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(inner.unwrap_or(text)) {
        result["json"] = json;
    }
    result
}
