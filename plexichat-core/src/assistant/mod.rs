//! The assistant of a room: who asks it and when, what it is told, how its answer is shown while it comes, which tools it
//! may call and with whose leave. Asks models through the broker, and writes through the pipeline like everyone. Knows no
//! provider, no socket and no engine.

mod answer;
pub mod approval;
mod ask;
pub(crate) mod command;
mod conversation;
pub mod frame;
pub mod policy;
mod question;
mod reply;
pub mod running;
mod say;
mod tools;
mod trigger;

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::Semaphore;

pub use self::approval::{ApprovalDecision, ApprovalRequest, ApprovalState, Approvals, DecideError};
pub use self::frame::{ReplyError, ReplyFrame, ReplyStep, ReplyText};
pub use self::policy::{AssistantPolicy, ToolRule, Trigger};
pub use self::question::{KeptAnswer, KeptQuestion, Questions, RESTARTS_MAX, TOO_OLD};
pub use self::running::CancelError;

use self::approval::Awaited;
use self::ask::Question;
use self::question::Ending;
use self::running::Running;
use crate::broker::Broker;
use crate::capability::clock::Clock;
use crate::dispatch::turns::Turns;
use crate::id::PluginName;
use crate::manager::snapshot::Snapshot;
use crate::pipeline::files::Servable;
use crate::pipeline::{Announcer, Fanout, MessageStore, Pipeline};

/// How many answers are on their way at once, in all rooms. In one room it is one; further questions wait in line.
pub const ANSWERS_MAX: usize = 32;

/// The line in which a room's questions wait.
const LINE: PluginName = PluginName::linked("assistant");

/// Lends the bytes of files that hang on messages.
#[async_trait]
pub trait Pictures: Send + Sync + 'static {
    /// The content of a file that may be handed out; nothing where it is gone, or longer than so many bytes.
    async fn read(&self, file: Servable, most: u64) -> io::Result<Option<Vec<u8>>>;
}

/// The assistants of all rooms.
pub struct Assistants {
    plugins: Arc<ArcSwap<Snapshot>>,
    pipeline: Arc<Pipeline>,
    broker: Arc<Broker>,
    store: Arc<dyn MessageStore>,
    approvals: Arc<dyn Approvals>,
    questions: Arc<dyn Questions>,
    pictures: Arc<dyn Pictures>,
    fanout: Arc<dyn Fanout>,
    announcer: Arc<dyn Announcer>,
    clock: Arc<dyn Clock>,
    default: ArcSwap<Option<AssistantPolicy>>,
    awaited: Awaited,
    running: Arc<Running>,
    ending: Ending,
    turns: Turns,
    places: Arc<Semaphore>,
}

/// What assistants are built from.
pub(crate) struct Parts {
    pub(crate) plugins: Arc<ArcSwap<Snapshot>>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) questions: Arc<dyn Questions>,
    pub(crate) pictures: Arc<dyn Pictures>,
    pub(crate) fanout: Arc<dyn Fanout>,
    pub(crate) announcer: Arc<dyn Announcer>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Assistants {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { plugins, pipeline, broker, store, approvals, questions, pictures, fanout, announcer, clock } =
            parts;
        let (default, awaited, running, ending, turns) = Default::default();
        let places = Arc::new(Semaphore::new(ANSWERS_MAX));
        Self {
            plugins,
            pipeline,
            broker,
            store,
            approvals,
            questions,
            pictures,
            fanout,
            announcer,
            clock,
            default,
            awaited,
            running,
            ending,
            turns,
            places,
        }
    }

    /// Lets another assistant count from now on where a room says nothing of its own.
    pub fn set_default(&self, policy: Option<AssistantPolicy>) {
        self.default.store(Arc::new(policy));
    }
}
