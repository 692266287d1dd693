//! The steps that reach the outside: filling in their templates, trying again, asking people. Knows the outside only as a port.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{Either, select};
use plexichat::message::Time;
use serde_json::{Map, Value, json};

use super::state::Open;
use super::world::{Act, Body, Failure};
use super::{BACKOFF_MAX, Going, Halt, Locals, SHORT, Went, later, short};
use crate::approvals::{self, Answer, Approval};
use crate::definition::{ApproveStep, Kind, OnRefuse, Step, Unanswered};
use crate::expression::Wrong;

impl Going<'_> {
    /// Carries out a step, and again where it failed and may work later.
    pub(super) async fn act(&self, path: &str, step: &Step, kind: &Kind<'_>, locals: &Locals) -> Went {
        let act = match self.filled(kind, locals) {
            Ok(act) => act,
            Err(wrong) => return self.failed(path, step, wrong.to_string()).await,
        };
        if self.run.dry_run {
            self.record(path, "would", json!(act)).await?;
            let sample = if step.sample.is_null() { placeholder(&act) } else { step.sample.clone() };
            return self.done(path, step, sample).await;
        }
        let known = match self.kept().open.get(path) {
            Some(Open::Failed { tries, again }) => Some((*tries, *again)),
            _ => None,
        };
        let (mut tries, again) = known.unwrap_or((0, self.engine.world.now()));
        if again > self.engine.world.now() {
            return Err(Halt::Wait(again));
        }
        let (retry, timeout) = (self.retry(step), self.timeout(step));
        loop {
            self.check_time(timeout)?;
            self.record(path, "started", if tries == 0 { Value::Null } else { json!({ "try": tries + 1 }) }).await?;
            let failure = match self
                .within(timeout, self.engine.world.act(self.run, act.clone(), &self.run.key(path), timeout))
                .await
            {
                Ok(result) => return self.done(path, step, result).await,
                Err(failure) => failure,
            };
            self.moved.store(true, Ordering::Relaxed);
            tries += 1;
            if !failure.passes || tries >= retry.attempts {
                let tried = if tries > 1 { format!(" (tried {tries} times)") } else { String::new() };
                return self.failed(path, step, format!("{}{tried}", failure.message)).await;
            }
            let backoff = retry.backoff.duration().saturating_mul(1 << (tries - 1).min(16)).min(BACKOFF_MAX);
            let wait = backoff.max(failure.after.unwrap_or_default());
            let again = later(self.engine.world.now(), wait);
            self.kept().open.insert(path.to_owned(), Open::Failed { tries, again });
            let error = self.engine.scrubber.text(&failure.message);
            self.record(path, "retrying", json!({ "error": short(&error), "try": tries, "again": again })).await?;
            self.save().await?;
            if wait > SHORT {
                return Err(Halt::Wait(again));
            }
            self.engine.world.sleep(wait).await;
        }
    }

    async fn within(
        &self,
        timeout: Duration,
        doing: impl Future<Output = Result<Value, Failure>> + Send,
    ) -> Result<Value, Failure> {
        let doing = std::pin::pin!(doing);
        match select(doing, self.engine.world.sleep(timeout)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(Failure::passing(format!("it took longer than {} s", timeout.as_secs()))),
        }
    }

    /// What the step does, with its templates filled in.
    fn filled(&self, kind: &Kind<'_>, locals: &Locals) -> Result<Act, Wrong> {
        let scope = self.scope(locals);
        let (language, plain, secret) = (self.engine.language, self.how(), self.with_secrets());
        let maybe = |text: Option<&String>| text.map(|text| language.render(text, plain, &scope)).transpose();
        let defaults = &self.engine.definition.defaults;
        Ok(match kind {
            Kind::Post(post) => Act::Post {
                room: maybe(post.room.as_ref().or(defaults.room.as_ref()))?,
                text: self.engine.scrubber.text(&language.render(&post.text, plain, &scope)?),
                reply_to: maybe(post.reply_to.as_ref())?.filter(|id| !id.trim().is_empty()),
            },
            Kind::Ai(ai) => Act::Ai {
                model: maybe(ai.model.as_ref().or(defaults.model.as_ref()))?.unwrap_or_default(),
                system: maybe(ai.system.as_ref())?,
                prompt: language.render(&ai.prompt, plain, &scope)?,
                max_output_tokens: ai.max_output_tokens,
                temperature: ai.temperature,
            },
            Kind::Tool(tool) => Act::Tool {
                name: tool.name.clone(),
                arguments: language.fill(&Value::Object(tool.arguments.clone()), secret, &scope)?,
            },
            Kind::Http(http) => {
                let headers = http.headers.iter();
                let headers = headers.map(|(name, value)| Ok((name.clone(), language.render(value, secret, &scope)?)));
                let body = match (&http.json, &http.body) {
                    (Some(json), _) => Some(Body::Json(language.fill(json, secret, &scope)?)),
                    (None, Some(text)) => Some(Body::Text(language.render(text, secret, &scope)?)),
                    (None, None) => None,
                };
                let method = if body.is_some() { "POST" } else { "GET" };
                Act::Http {
                    method: http.method.clone().unwrap_or_else(|| method.to_owned()),
                    url: language.render(&http.url, secret, &scope)?,
                    headers: headers.collect::<Result<_, Wrong>>()?,
                    body,
                    expects: http.expects.clone(),
                }
            }
            _ => return Err(Wrong { message: "this step does nothing".to_owned(), range: None, part: String::new() }),
        })
    }

    /// Asks people, and waits for what they say.
    pub(super) async fn approve(&self, path: &str, step: &Step, approve: &ApproveStep, locals: &Locals) -> Went {
        let known = match self.kept().open.get(path) {
            Some(Open::Asked { id, until }) => Some((id.clone(), *until)),
            _ => None,
        };
        let now = self.engine.world.now();
        let (id, until) = match known {
            Some(known) => known,
            None => {
                let approval = match self.question(path, approve, locals) {
                    Ok(approval) => approval,
                    Err(wrong) => return self.failed(path, step, wrong.to_string()).await,
                };
                if self.run.dry_run {
                    self.record(
                        path,
                        "would",
                        json!({ "does": "ask", "text": approval.text, "users": approval.users }),
                    )
                    .await?;
                    let sample = json!({ "approved": true, "by": Value::Null, "note": "" });
                    let sample = if step.sample.is_null() { sample } else { step.sample.clone() };
                    return self.done(path, step, sample).await;
                }
                let (id, until) = (approval.id.clone(), approval.until);
                let waiting = json!({ "asks": short(&approval.text), "approval": id, "until": until });
                self.kept().open.insert(path.to_owned(), Open::Asked { id: id.clone(), until });
                // The time is kept before anybody is told it.
                self.save().await?;
                if let Err(failure) = self.engine.world.ask(self.run, approval, &self.key_to_ask(path, until)).await {
                    self.kept().open.remove(path);
                    if failure.passes {
                        self.save().await?;
                        return Err(Halt::Host(plexichat::error::PluginError::transient(failure.message)));
                    }
                    return self.failed(path, step, failure.message).await;
                }
                self.record(path, "waiting", waiting).await?;
                (id, until)
            }
        };
        let answer = match self.engine.world.answer(&id).await {
            Ok(answer) => answer,
            Err(failure) => return Err(Halt::Host(plexichat::error::PluginError::transient(failure.message))),
        };
        let answer = match (answer, approve.default) {
            (Some(answer), _) => answer,
            (None, _) if now < until => return self.asked_again(path, approve, &id, until, locals).await,
            (None, Unanswered::Fail) => {
                self.engine.world.close(&id).await;
                return self.failed(path, step, format!("nobody answered within {}", approve.timeout)).await;
            }
            (None, default) => Answer {
                approved: default == Unanswered::Approve,
                by: None,
                note: format!("nobody answered within {}", approve.timeout),
                at: now,
            },
        };
        let result = json!({
            "approved": answer.approved,
            "by": answer.by.as_ref().map(|by| json!({ "id": by.id, "name": by.name })),
            "note": answer.note,
            "at": answer.at,
        });
        let stops = !answer.approved && approve.on_refuse == OnRefuse::Stop;
        self.done(path, step, result).await?;
        self.engine.world.close(&id).await;
        match stops {
            true => {
                let by = answer.by.map_or_else(|| answer.note.clone(), |by| format!("by {}", by.name));
                Err(Halt::Stop(format!("refused: {by}")))
            }
            false => Ok(()),
        }
    }

    /// Nobody answered yet. A crash between keeping the time and asking leaves nobody asked, so it is asked again, which does
    /// nothing where it was.
    async fn asked_again(&self, path: &str, approve: &ApproveStep, id: &str, until: Time, locals: &Locals) -> Went {
        if let Ok(mut approval) = self.question(path, approve, locals)
            && approval.id == id
        {
            approval.until = until;
            if let Err(failure) = self.engine.world.ask(self.run, approval, &self.key_to_ask(path, until)).await {
                return Err(Halt::Host(plexichat::error::PluginError::transient(failure.message)));
            }
        }
        Err(Halt::Wait(until))
    }

    /// The key of telling a room. A replay after a question that nobody answered asks anew, so that its time is part of it.
    fn key_to_ask(&self, path: &str, until: Time) -> String {
        self.run.key(&format!("{path}/{}", until.as_micros()))
    }

    fn question(&self, path: &str, approve: &ApproveStep, locals: &Locals) -> Result<Approval, Wrong> {
        let defaults = &self.engine.definition.defaults;
        let users: Result<Vec<String>, Wrong> = approve.users.iter().map(|user| self.render(user, locals)).collect();
        let room = approve.room.as_ref().or(defaults.room.as_ref());
        let now = self.engine.world.now();
        Ok(Approval {
            id: approvals::identifier(&self.run.key(path)),
            run: self.run.id,
            workflow: self.engine.definition.name.clone(),
            step: path.to_owned(),
            text: self.render(&approve.text, locals)?,
            room: room.map(|room| self.render(room, locals)).transpose()?,
            room_id: None,
            users: users?.into_iter().map(|user| user.trim().to_owned()).filter(|user| !user.is_empty()).collect(),
            moderators: approve.moderators,
            asked_at: now,
            until: later(now, approve.timeout.duration()),
            otherwise: approve.default,
            answer: None,
        })
    }
}

/// What a dry run takes for a result where the definition says nothing.
fn placeholder(act: &Act) -> Value {
    match act {
        Act::Post { .. } => json!({ "message_id": "dry-run", "room_id": "dry-run" }),
        Act::Ai { model, .. } => json!({ "text": format!("(what `{model}` answers)"), "json": Map::new() }),
        Act::Tool { name, .. } => json!({ "text": format!("(what `{name}` answers)"), "json": Map::new() }),
        Act::Http { .. } => json!({ "status": 200, "headers": {}, "body": "", "json": Map::new() }),
    }
}
