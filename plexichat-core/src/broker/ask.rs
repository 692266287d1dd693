//! A question on its way to a provider: judged, counted, sent, tried again and elsewhere until the first piece of an answer is
//! there. Knows nothing of what comes after it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::answer::{Account, Answer};
use super::choose::{Chosen, lost};
use super::{Broker, UsageRecord};
use crate::ai::{AiDelta, AiError, AiErrorKind, AiRequest, EmbedRequest, Embeddings, Turn, Usage};
use crate::cause::Cause;
use crate::event::catalog::AiRequest as AiRequested;
use crate::event::{Event, Payload};
use crate::guard::GuardedStream;
use crate::id::{EventId, PluginName, RoomId};
use crate::message::{Actor, ActorKind, Origin};
use crate::pipeline::{Refusal, ReplyAbout};
use crate::plugin::ai_provider::estimated_tokens;

/// How long the host waits before it asks a provider again that gives no time of its own.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest time that a provider may ask the host to wait: beyond it another one is asked.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a provider may count; then the host's own estimate counts.
const COUNT_TIMEOUT: Duration = Duration::from_millis(500);

/// How often one provider is asked before the first piece of its answer.
const TRIES: u32 = 2;

/// What is asked, for whom.
#[derive(Debug, Clone)]
pub struct Ask<R> {
    /// The models to ask, in this order, until one answers: `plugin/model`, or `plugin` for its first one. None: the
    /// default ones.
    pub models: Vec<String>,
    /// What is asked. Its own `model` is not looked at.
    pub request: R,
    /// For whom: whose quota it counts against, and whose words the scanners judge.
    pub actor: Actor,
    /// The room that it is for.
    pub room_id: Option<RoomId>,
    /// By which road it came.
    pub origin: Origin,
    /// Whether every word of it was judged before, as the messages of a room were.
    pub judged: bool,
    /// What caused it.
    pub cause: Option<Cause>,
}

impl Broker {
    /// Asks for an answer. Returns when its first piece is there.
    ///
    /// # Errors
    /// `ModelNotFound`, `QuotaExceeded`, `ContentFiltered` where a scanner objects to the question, `ScannerUnavailable`,
    /// and the last provider's own error where none answers.
    ///
    /// # Cancel safety
    /// Dropping the call or the answer cancels the request, which is counted all the same.
    pub async fn ask(&self, mut ask: Ask<AiRequest>) -> Result<Answer, AiError> {
        let candidates = self.candidates(&ask.models, |model| model.abilities.chat).await?;
        if !ask.judged {
            self.judge(&mut ask).await?;
        }
        let tokens = match (self.quotas.load().count_tokens(), candidates.first()) {
            (true, Some(first)) => self.count(first, ask.request.turns.clone()).await,
            _ => estimated_tokens(&ask.request.turns),
        };
        let tokens = u64::from(tokens);
        self.check_quota(&ask.actor, ask.room_id, tokens).await?;
        let mut flight = Some(self.flights.begin(&ask.actor, ask.room_id, tokens)?);
        let mut last = None;
        for chosen in candidates {
            match self.ask_one(&ask, &chosen, tokens).await {
                Ok(mut answer) => {
                    answer.counts(flight.take());
                    return Ok(answer);
                }
                Err(error) => {
                    let another = error.kind().another_may_answer();
                    last = Some(error);
                    if !another {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| AiError::new(AiErrorKind::ModelNotFound, "there is no model to ask")))
    }

    /// About how many tokens these turns are to the model that would be asked first: by its provider's own count.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn count_tokens(&self, models: &[String], turns: Vec<Turn>) -> u32 {
        match self.candidates(models, |model| model.abilities.chat).await {
            Ok(candidates) if !candidates.is_empty() => self.count(&candidates[0], turns).await,
            _ => estimated_tokens(&turns),
        }
    }

    async fn count(&self, chosen: &Chosen, turns: Vec<Turn>) -> u32 {
        let (model, estimate) = (chosen.model.clone(), estimated_tokens(&turns));
        let counted = chosen.plugin.call("count_tokens", COUNT_TIMEOUT, move |instance| {
            Box::pin(async move {
                let provider = instance.ai_provider();
                Ok::<_, AiError>(provider.map(|provider| provider.count_tokens(&model, &turns)))
            })
        });
        match counted.await {
            Ok(Ok(Some(tokens))) => tokens,
            _ => estimate,
        }
    }

    /// Asks one provider, and once more where that may help.
    async fn ask_one(&self, ask: &Ask<AiRequest>, chosen: &Chosen, tokens: u64) -> Result<Answer, AiError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut account = self.account(ask, chosen, tokens);
            account.announce(AiRequested::new(
                account.request_id().to_owned(),
                chosen.plugin.name().clone(),
                chosen.model.clone(),
                ask.room_id,
                ask.actor.id.parse().ok().filter(|_| ask.actor.kind == ActorKind::User),
                tokens,
            ));
            let error = match self.begin(ask, chosen).await {
                Ok((first, stream)) => {
                    let about = ReplyAbout {
                        author: Actor {
                            kind: ActorKind::Ai,
                            id: chosen.public_name().into(),
                            name: chosen.model.as_str().into(),
                        },
                        asked_by: ask.actor.clone(),
                        room_id: ask.room_id,
                        origin: ask.origin,
                    };
                    match self.pipeline.reply_scanner(about.clone()).await {
                        Ok(scanner) => {
                            let judges = (self.pipeline.clone(), about);
                            return Ok(Answer::new(chosen, first, stream, scanner, judges, account));
                        }
                        Err(refusal) => refused(&refusal),
                    }
                }
                Err(error) => error,
            };
            account.failed(&error, false);
            let pause = error.retry_after().unwrap_or(PAUSE);
            if tries >= TRIES || !error.kind().retryable() || pause > PAUSE_MAX {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends the request and waits for the first piece.
    async fn begin(
        &self,
        ask: &Ask<AiRequest>,
        chosen: &Chosen,
    ) -> Result<(AiDelta, GuardedStream<Result<AiDelta, AiError>>), AiError> {
        let plugin = &chosen.plugin;
        let request = AiRequest { model: chosen.model.clone(), ..ask.request.clone() };
        let times = plugin.timeouts();
        // A reader that is slow holds it no longer either: the plugin's own stream ends then.
        let (whole, late) = (times.answer, too_long(plugin.name(), times.answer));
        let asked = plugin.stream(ask.cause, "stream_response", times.connect, move |instance| {
            Box::pin(async move {
                let Some(provider) = instance.ai_provider() else {
                    return Err(AiError::new(AiErrorKind::Internal, "the plugin is no AI provider"));
                };
                let stream = provider.stream_response(request).await?.take_until(tokio::time::sleep(whole));
                let late = futures_util::stream::once(std::future::ready(Err(late)));
                let stream: BoxStream<'static, _> = stream.chain(late).boxed();
                Ok(stream)
            })
        });
        let mut stream = asked.await.map_err(|error| lost(plugin, &error))??;
        let first = tokio::time::timeout(times.first_delta, stream.next()).await;
        match first {
            Ok(Some(Ok(Ok(delta)))) => Ok((delta, stream)),
            Ok(Some(Ok(Err(error)))) => Err(error),
            Ok(Some(Err(error))) => Err(lost(plugin, &error)),
            Ok(None) => Err(AiError::new(AiErrorKind::Protocol, format!("`{}` ended without a word", plugin.name()))),
            Err(_) => Err(AiError::new(
                AiErrorKind::Timeout,
                format!("`{}` gave no answer within {:?}", plugin.name(), times.first_delta),
            )),
        }
    }

    /// Makes texts into vectors.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    ///
    /// # Cancel safety
    /// Dropping the call cancels the request.
    pub async fn embed(&self, mut ask: Ask<EmbedRequest>) -> Result<Embeddings, AiError> {
        let candidates = self.candidates(&ask.models, |model| model.abilities.embeddings).await?;
        let Some(chosen) = candidates.into_iter().next() else {
            return Err(AiError::new(AiErrorKind::ModelNotFound, "there is no model to ask"));
        };
        if !ask.judged {
            for text in &mut ask.request.input {
                *text = self.judge_text(&ask.actor, ask.room_id, std::mem::take(text), ask.origin).await?;
            }
        }
        let tokens = ask.request.input.iter().map(|text| text.len() as u64 / 4 + 1).sum();
        self.check_quota(&ask.actor, ask.room_id, tokens).await?;
        let _flight = self.flights.begin(&ask.actor, ask.room_id, tokens)?;
        let mut account = self.account(&ask, &chosen, tokens);
        let plugin = &chosen.plugin;
        let request = EmbedRequest { model: chosen.model.clone(), ..ask.request.clone() };
        let times = plugin.timeouts();
        let asked = plugin.call_for(ask.cause, "embed", times.connect + times.first_delta, move |instance| {
            Box::pin(async move {
                match instance.ai_provider() {
                    Some(provider) => provider.embed(request).await,
                    None => Err(AiError::new(AiErrorKind::Internal, "the plugin is no AI provider")),
                }
            })
        });
        match asked.await.map_err(|error| lost(plugin, &error)).and_then(|answer| answer) {
            Ok(embeddings) => {
                account.set_usage(embeddings.usage);
                account.finished("stop");
                Ok(embeddings)
            }
            Err(error) => {
                account.failed(&error, false);
                Err(error)
            }
        }
    }

    fn account<R>(&self, ask: &Ask<R>, chosen: &Chosen, tokens: u64) -> Account {
        let record = UsageRecord {
            request_id: EventId::new().to_string(),
            time: self.clock.now(),
            model: chosen.public_name(),
            actor: ask.actor.clone(),
            room_id: ask.room_id,
            origin: ask.origin,
            usage: Usage { input_tokens: tokens, ..Usage::default() },
            estimated: true,
            outcome: String::new(),
            latency_ms: 0,
            first_delta_ms: None,
        };
        Account::new(
            record,
            chosen.plugin.name().clone(),
            ask.cause,
            self.announcer.clone(),
            self.ledger.clone(),
            self.host.clone(),
        )
    }
}

/// An answer that takes longer than all of it may.
pub(super) fn too_long(provider: &PluginName, whole: Duration) -> AiError {
    AiError::new(AiErrorKind::Timeout, format!("`{provider}` took longer than {whole:?} for its answer"))
}

/// What a scanner's word means to whoever asked a model.
pub(super) fn refused(refusal: &Refusal) -> AiError {
    let kind = match refusal {
        Refusal::Rejected { .. } | Refusal::Held => AiErrorKind::ContentFiltered,
        Refusal::ScannerUnavailable { .. } => AiErrorKind::ScannerUnavailable,
        Refusal::Store(_) => AiErrorKind::Unavailable,
        _ => AiErrorKind::InvalidRequest,
    };
    let message = match refusal {
        Refusal::Rejected { plugin, finding } => format!("withheld by `{plugin}`: {}", finding.code),
        refusal => refusal.to_string(),
    };
    AiError::of_scanner(kind, message)
}

/// An event about a request.
pub(super) fn event<P: Payload>(payload: P, record: &UsageRecord, cause: Option<Cause>) -> Event {
    let mut event = Event::new(payload);
    event.actor = record.actor.clone();
    event.origin = record.origin;
    event.room_id = record.room_id;
    if let Some(cause) = cause {
        event.cause_id = Some(cause.event_id());
        event.cause_depth = cause.next_depth();
    }
    event
}
