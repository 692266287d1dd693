//! An answer while it comes: watched for its times, shown to the scanners, counted when it ends. Knows no provider's shape.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::ask::{event, refused, too_long};
use super::choose::{Chosen, lost};
use super::flight::Flight;
use super::judge::judge_calls;
use super::{AiLedger, UsageRecord};
use crate::ai::{AiDelta, AiError, AiErrorKind, AiResponse, FinishReason, Usage};
use crate::cause::Cause;
use crate::event::Payload;
use crate::event::catalog::{AiReply, AiReplyFailed};
use crate::guard::{GuardedStream, PluginHandle};
use crate::id::{MessageId, PluginName};
use crate::message::Actor;
use crate::pipeline::{Announcer, Cleared, Pipeline, ReplyAbout, ReplyDelta, ReplyScanner};

/// The longest answer, tool calls included, in bytes: far beyond what any model says at once.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What a piece of a tool call counts beside its text.
const PIECE_COST: usize = 64;

/// A piece of an answer that everyone may see.
#[derive(Debug)]
pub enum Piece {
    /// Text that every scanner has seen.
    Text(ReplyDelta<Cleared>),
    /// Anything but text: tool calls, the end.
    Other(AiDelta),
}

/// An answer on its way. Dropping it cancels the request; it is counted all the same.
pub struct Answer {
    plugin: Arc<PluginHandle>,
    author: Actor,
    first: Option<AiDelta>,
    stream: GuardedStream<Result<AiDelta, AiError>>,
    scanner: ReplyScanner,
    /// Who judges the tools that it calls, and of what.
    judges: (Arc<Pipeline>, ReplyAbout),
    /// The tool calls so far, in their pieces: nobody acts on them before they are judged.
    calls: Vec<AiDelta>,
    bytes: usize,
    flight: Option<Flight>,
    account: Account,
    ready: VecDeque<Piece>,
    deadline: Instant,
    shown: bool,
    ended: bool,
}

impl Answer {
    pub(super) fn new(
        chosen: &Chosen,
        first: AiDelta,
        stream: GuardedStream<Result<AiDelta, AiError>>,
        scanner: ReplyScanner,
        judges: (Arc<Pipeline>, ReplyAbout),
        mut account: Account,
    ) -> Self {
        account.first_piece();
        let plugin = chosen.plugin.clone();
        let author = Actor {
            kind: crate::message::ActorKind::Ai,
            id: chosen.public_name().into(),
            name: chosen.model.as_str().into(),
        };
        let deadline = Instant::now() + plugin.timeouts().answer;
        let ready = VecDeque::new();
        Self {
            plugin,
            author,
            first: Some(first),
            stream,
            scanner,
            judges,
            calls: Vec::new(),
            bytes: 0,
            flight: None,
            account,
            ready,
            deadline,
            shown: false,
            ended: false,
        }
    }

    /// It counts as on its way until it ends.
    pub(super) fn counts(&mut self, flight: Option<Flight>) {
        self.flight = flight;
    }

    /// The model that answers, as it would sign a message: its identifier is `plugin/model`.
    pub fn author(&self) -> &Actor {
        &self.author
    }

    /// The request's identifier, as in its events.
    pub fn request_id(&self) -> &str {
        self.account.request_id()
    }

    /// Keeps the event of its end until it is known which message the answer became.
    pub fn hold(&mut self) {
        self.account.held = true;
    }

    /// The answer became this message: tells the event that [`hold`](Self::hold) kept. Without it, it is told when the answer
    /// is dropped.
    pub fn became(&mut self, message: Option<MessageId>) {
        self.account.became(message);
    }

    /// Whether any of its text was given out.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// The next piece; nothing after the end, which is one `Finish` or one error.
    ///
    /// # Errors
    /// The provider broke it off, a scanner objects (`ContentFiltered`), or one whose word is needed gives none.
    ///
    /// # Cancel safety
    /// Not cancel safe: a piece that was on its way through the scanners may be lost.
    pub async fn next(&mut self) -> Option<Result<Piece, AiError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.shown |= matches!(piece, Piece::Text(_));
                return Some(Ok(piece));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                self.flight = None;
                self.ready.clear();
                self.account.failed(&error, self.shown);
                return Some(Err(error));
            }
        }
    }

    /// Takes one piece of the provider's through the scanners.
    async fn advance(&mut self) -> Result<(), AiError> {
        let delta = match self.first.take() {
            Some(first) => first,
            None => self.receive().await?,
        };
        match delta {
            AiDelta::Text { text } => {
                self.measure(text.len())?;
                self.account.count_output(text.len());
                let cleared = self.scanner.push(&text).await.map_err(|refusal| refused(&refusal))?;
                self.ready.extend(cleared.map(Piece::Text));
            }
            AiDelta::Finish { reason } => {
                let rest = self.scanner.finish().await.map_err(|refusal| refused(&refusal))?;
                self.ready.extend(rest.map(Piece::Text));
                self.release_calls().await?;
                self.ready.push_back(Piece::Other(AiDelta::finish(reason)));
                self.ended = true;
                self.flight = None;
                self.account.finished(reason.as_str());
            }
            AiDelta::Usage(usage) => {
                self.account.set_usage(Some(usage));
                self.ready.push_back(Piece::Other(AiDelta::Usage(usage)));
            }
            // What a model thinks is not shown: no scanner sees it.
            AiDelta::Reasoning { text } => self.account.count_output(text.len()),
            call @ AiDelta::ToolCall { .. } => {
                if let AiDelta::ToolCall { arguments, id, name, .. } = &call {
                    let named = id.as_ref().map_or(0, String::len) + name.as_ref().map_or(0, String::len);
                    // Each piece costs something to keep, however small it is.
                    self.measure(arguments.len() + named + PIECE_COST)?;
                    self.account.count_output(arguments.len());
                }
                self.calls.push(call);
            }
        }
        Ok(())
    }

    /// Lets the tools that it calls out, once those who judge answers have seen them whole.
    async fn release_calls(&mut self) -> Result<(), AiError> {
        if self.calls.is_empty() {
            return Ok(());
        }
        let mut whole = AiResponse::default();
        self.calls.iter().for_each(|call| whole.push(call.clone()));
        let (pipeline, about) = &self.judges;
        judge_calls(pipeline, about, &whole.tool_calls).await?;
        self.ready.extend(self.calls.drain(..).map(Piece::Other));
        Ok(())
    }

    /// An answer has an end, whatever the service thinks.
    fn measure(&mut self, bytes: usize) -> Result<(), AiError> {
        self.bytes += bytes;
        if self.bytes <= ANSWER_BYTES_MAX {
            return Ok(());
        }
        let message = format!("`{}` answered with more than {ANSWER_BYTES_MAX} bytes", self.plugin.name());
        Err(AiError::new(AiErrorKind::Protocol, message))
    }

    async fn receive(&mut self) -> Result<AiDelta, AiError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let gap = self.plugin.timeouts().gap;
        let patience = gap.min(left);
        match tokio::time::timeout(patience, self.stream.next()).await {
            Ok(Some(Ok(delta))) => delta,
            Ok(Some(Err(error))) => Err(lost(&self.plugin, &error)),
            Ok(None) => Ok(AiDelta::finish(FinishReason::Incomplete)),
            Err(_) => Err(AiError::new(AiErrorKind::Timeout, self.too_slow(gap, left))),
        }
    }

    fn too_slow(&self, gap: Duration, left: Duration) -> String {
        let name = self.plugin.name();
        match left < gap {
            true => too_long(name, self.plugin.timeouts().answer).message().to_owned(),
            false => format!("`{name}` said nothing more for {gap:?}"),
        }
    }
}

/// What a request cost, told once: when it ends, or when it is dropped.
pub(super) struct Account {
    record: UsageRecord,
    provider: PluginName,
    cause: Option<Cause>,
    announcer: Arc<dyn Announcer>,
    ledger: Arc<dyn AiLedger>,
    /// Where it is stored: whoever asked may be gone by then.
    host: Handle,
    began: Instant,
    output_bytes: usize,
    told: bool,
    /// Whether the event of its end is kept until its message is known, and the reason of the end meanwhile.
    held: bool,
    ended: Option<String>,
}

impl Account {
    pub(super) fn new(
        record: UsageRecord,
        provider: PluginName,
        cause: Option<Cause>,
        announcer: Arc<dyn Announcer>,
        ledger: Arc<dyn AiLedger>,
        host: Handle,
    ) -> Self {
        let began = Instant::now();
        Self {
            record,
            provider,
            cause,
            announcer,
            ledger,
            host,
            began,
            output_bytes: 0,
            told: false,
            held: false,
            ended: None,
        }
    }

    pub(super) fn request_id(&self) -> &str {
        &self.record.request_id
    }

    pub(super) fn announce<P: Payload>(&self, payload: P) {
        self.announcer.announce(event(payload, &self.record, self.cause));
    }

    fn first_piece(&mut self) {
        self.record.first_delta_ms = Some(self.milliseconds());
    }

    fn count_output(&mut self, bytes: usize) {
        self.output_bytes += bytes;
    }

    /// What the provider says that it cost.
    pub(super) fn set_usage(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            self.record.usage = usage;
            self.record.estimated = false;
        }
    }

    /// It came to an end.
    pub(super) fn finished(&mut self, finish: &str) {
        self.close(finish);
        self.ended = Some(finish.to_owned());
        if !self.held {
            self.became(None);
        }
    }

    fn became(&mut self, message: Option<MessageId>) {
        let Some(finish) = self.ended.take() else { return };
        let record = &self.record;
        self.announce(AiReply::new(
            record.request_id.clone(),
            message,
            record.model.clone(),
            record.usage.input_tokens,
            record.usage.output_tokens,
            finish,
            record.latency_ms,
            record.first_delta_ms.unwrap_or(record.latency_ms),
        ));
    }

    /// It failed; whether some of it was shown before.
    pub(super) fn failed(&mut self, error: &AiError, partial: bool) {
        let kind = error.kind();
        self.close(kind.code());
        // The message may be the operator's alone, and this is where it is read.
        tracing::warn!(provider = %self.provider, model = %self.record.model, request = %self.record.request_id,
            code = kind.code(), partial, "an answer of a model failed: {error}");
        let (request_id, provider) = (self.record.request_id.clone(), self.provider.clone());
        self.announce(AiReplyFailed::new(request_id, provider, kind.code().to_owned(), kind.retryable(), partial));
    }

    fn close(&mut self, outcome: &str) {
        self.told = true;
        self.record.outcome = outcome.to_owned();
        self.record.latency_ms = self.milliseconds();
        if self.record.estimated {
            self.record.usage.output_tokens = self.output_bytes.div_ceil(4) as u64;
        }
        let (ledger, record) = (self.ledger.clone(), self.record.clone());
        self.host.spawn(async move {
            let request = record.request_id.clone();
            if let Err(error) = ledger.record(record).await {
                tracing::error!(request, %error, "what an answer cost could not be stored");
            }
        });
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.told {
            self.finished(FinishReason::Cancelled.as_str());
        }
        self.became(None);
    }
}
