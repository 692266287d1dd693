//! One model and those who wait for it: its weights are read behind the start, one answer is made at a time, off the
//! runtime's threads, for as long as somebody listens. Knows requests as plain words, no host's types of AI but the pieces of
//! an answer.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream;
use plexichat::ai::{AiDelta, AiError, AiErrorKind, AiStream, FinishReason, Usage};
use plexichat::context::Context;
use plexichat::error::{ErrorKind, PluginError, Result};
use plexichat::plugin::Health;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::LocalAi;
use crate::config::Config;
use crate::error::ModelError;
use crate::model::{End, Listener, Model, Past, Plan, Refusal, Wish};
use crate::prompt::Said;
use crate::tokens::Tokens;

/// How many pieces of an answer may wait for whoever listens.
const PIECES: usize = 64;

/// When somebody who found no place may come again.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// How far reading the weights has come.
#[derive(Clone)]
enum State {
    Reading,
    Ready(Arc<Model>),
    Failed(String),
}

/// A model of a file.
pub(crate) struct Engine {
    context: Context<LocalAi>,
    /// What it is called.
    pub(crate) name: String,
    /// What the file calls it.
    pub(crate) title: Option<String>,
    /// How many tokens question and answer may have together.
    pub(crate) context_tokens: usize,
    path: String,
    size: u64,
    tokens: Arc<Tokens>,
    state: watch::Receiver<State>,
    /// Whose answer is made.
    turn: Arc<Semaphore>,
    /// How many are there, with the one whose answer is made.
    present: Arc<AtomicUsize>,
    most_present: usize,
    past: Arc<Mutex<Option<Past>>>,
}

impl Engine {
    /// Looks through the file, and has its weights read while the server goes on.
    ///
    /// # Errors
    /// Where the file may not be read, or is no model that this plugin runs.
    pub(crate) async fn start(context: &Context<LocalAi>, config: &Config, path: &str) -> Result<Self> {
        let mut file = context.files().open(path).await?;
        let (most_tokens, template) = (config.context_tokens as usize, config.chat_template.clone());
        let looked = context.blocking(move || {
            let plan = Plan::read(&mut file, most_tokens, template.as_deref());
            plan.map(|plan| (plan, file))
        });
        let (plan, mut file) = looked.await?.map_err(|error| refused(path, &error))?;
        let (tell, state) = watch::channel(State::Reading);
        let engine = Self {
            context: context.clone(),
            name: config.model_name(path),
            title: plan.title().map(str::to_owned),
            context_tokens: plan.context(),
            path: path.to_owned(),
            size: plan.size(),
            tokens: plan.tokens(),
            state,
            turn: Arc::new(Semaphore::new(1)),
            present: Arc::default(),
            most_present: config.queue as usize + 1,
            past: Arc::default(),
        };
        let (reader, path) = (context.clone(), path.to_owned());
        context.spawn(async move {
            let read = reader.blocking(move || plan.load(&mut file)).await;
            let state = match read {
                Ok(Ok(model)) => State::Ready(Arc::new(model)),
                Ok(Err(error)) => State::Failed(refused(&path, &error).to_string()),
                Err(error) => State::Failed(format!("`{path}` could not be read: {error}")),
            };
            // Nobody listens where the plugin was stopped meanwhile.
            let _ = tell.send(state);
        })?;
        Ok(engine)
    }

    /// Whether there is a model to answer.
    pub(crate) fn health(&self) -> Health {
        match &*self.state.borrow() {
            State::Ready(_) => Health::Healthy,
            State::Reading => {
                Health::Degraded(format!("is reading `{}` ({} MB); requests wait", self.path, self.size / 1_000_000))
            }
            State::Failed(why) => Health::Down(why.clone()),
        }
    }

    /// How many tokens a text has.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.tokens.count(text)
    }

    /// Begins an answer.
    ///
    /// # Errors
    /// Where too many wait already, or the plugin is being stopped.
    pub(crate) fn answer(&self, said: Vec<Said>, wish: Wish) -> Result<AiStream, AiError> {
        let place = self.place()?;
        let (tell, mut pieces) = mpsc::channel(PIECES);
        let task = Task {
            context: self.context.clone(),
            state: self.state.clone(),
            turn: self.turn.clone(),
            past: self.past.clone(),
            tell,
        };
        self.context.spawn(async move {
            let tell = task.tell.clone();
            let (answered, unwanted) = (pin!(task.run(said, wish)), pin!(tell.closed()));
            // Whoever does not listen any more leaves the queue at once; an answer in the making stops by itself.
            let Either::Left((made, _)) = select(answered, unwanted).await else { return };
            // Before the end is told: whoever hears of it may come again at once.
            drop(place);
            let last = match made {
                Ok(last) => last.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            for piece in last {
                let _ = tell.send(piece).await;
            }
        })?;
        Ok(AiStream::new(stream::poll_fn(move |context| pieces.poll_recv(context))))
    }

    fn place(&self) -> Result<Place, AiError> {
        let place = Place(self.present.clone());
        if place.0.fetch_add(1, Ordering::AcqRel) >= self.most_present {
            let message = "the model is busy, and as many requests wait as may";
            return Err(AiError::new(AiErrorKind::RateLimited { retry_after: Some(COME_AGAIN) }, message));
        }
        Ok(place)
    }
}

/// Somebody who waits, or whose answer is made.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

type Pieces = mpsc::Sender<Result<AiDelta, AiError>>;

/// One answer, from the queue to its end.
struct Task {
    context: Context<LocalAi>,
    state: watch::Receiver<State>,
    turn: Arc<Semaphore>,
    past: Arc<Mutex<Option<Past>>>,
    tell: Pieces,
}

impl Task {
    /// What is told last.
    async fn run(mut self, said: Vec<Said>, wish: Wish) -> Result<Vec<AiDelta>, AiError> {
        let stopped = || AiError::new(AiErrorKind::Unavailable, "the plugin is being stopped");
        let turn = self.turn.acquire_owned().await.map_err(|_| stopped())?;
        let read = self.state.wait_for(|state| !matches!(state, State::Reading)).await;
        let model = match &*read.map_err(|_| stopped())? {
            State::Ready(model) => model.clone(),
            _ => {
                return Err(AiError::new(
                    AiErrorKind::Unavailable,
                    "the model could not be read: see the plugin's health",
                ));
            }
        };
        let (past, tell) = (self.past, self.tell);
        let made = self.context.blocking(move || {
            // Kept here, not by the caller: the next answer begins when this one has really ended.
            let _turn = turn;
            make(&model, &past, &said, &wish, tell)
        });
        made.await?
    }
}

/// Makes an answer, on a thread that may be busy for long. What is to be told last comes back.
fn make(
    model: &Model,
    past: &Mutex<Option<Past>>,
    said: &[Said],
    wish: &Wish,
    tell: Pieces,
) -> Result<Vec<AiDelta>, AiError> {
    let prompt = model.prompt(said).map_err(|refusal| {
        let kind = match refusal {
            Refusal::TooLong { limit, .. } => AiErrorKind::ContextLength { limit: u32::try_from(limit).ok() },
            Refusal::Template(_) => AiErrorKind::InvalidRequest,
        };
        AiError::new(kind, refusal.to_string())
    })?;
    let mut listener = Told(tell);
    // Taken out: after a panic on the way, nobody goes on from what is half taken in.
    let kept = past.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut kept = kept.unwrap_or_else(|| model.past());
    let report = model.answer(&mut kept, &prompt, wish, &mut listener);
    *past.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    let reason = match report.end {
        End::Complete => FinishReason::Stop,
        End::Length => FinishReason::Length,
        End::Unwanted => return Ok(Vec::new()),
    };
    let usage = Usage {
        input_tokens: report.asked as u64,
        output_tokens: report.answered as u64,
        // What was known is often somebody else's conversation: how much of it fits would tell what they asked.
        cached_input_tokens: 0,
    };
    Ok(vec![AiDelta::Usage(usage), AiDelta::finish(reason)])
}

/// Whoever reads the stream.
struct Told(Pieces);

impl Told {
    fn tell(&self, piece: AiDelta) -> bool {
        self.0.blocking_send(Ok(piece)).is_ok()
    }
}

impl Listener for Told {
    fn waits(&self) -> bool {
        !self.0.is_closed()
    }

    fn hear(&mut self, text: String) -> bool {
        if text.is_empty() { self.waits() } else { self.tell(AiDelta::text(text)) }
    }
}

fn refused(path: &str, error: &ModelError) -> PluginError {
    PluginError::new(ErrorKind::Config, format!("`{path}`: {}", error.whole()))
}
