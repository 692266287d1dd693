//! The assistant of a room: who asks it and when, what it is told, how its answer is shown while it comes, which tools it
//! may call and with whose leave. Asks models through the broker, and writes through the pipeline like everyone. Knows no
//! provider, no socket and no engine.

pub mod approval;
pub mod frame;
pub mod policy;
pub mod running;

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;

pub use self::approval::{ApprovalDecision, ApprovalRequest, ApprovalState, Approvals, DecideError};
pub use self::frame::{ReplyError, ReplyFrame, ReplyStep, ReplyText};
pub use self::policy::{AssistantPolicy, ToolRule, Trigger};
pub use self::running::CancelError;

use self::approval::Awaited;
use self::running::Running;
use crate::capability::clock::Clock;
use crate::pipeline::MessageStore;
use crate::pipeline::files::Servable;

/// Lends the bytes of files that hang on messages.
#[async_trait]
pub trait Pictures: Send + Sync + 'static {
    /// The content of a file that may be handed out; nothing where it is gone, or longer than so many bytes.
    async fn read(&self, file: Servable, most: u64) -> io::Result<Option<Vec<u8>>>;
}

/// The assistants of all rooms.
pub struct Assistants {
    store: Arc<dyn MessageStore>,
    approvals: Arc<dyn Approvals>,
    clock: Arc<dyn Clock>,
    default: ArcSwap<Option<AssistantPolicy>>,
    awaited: Awaited,
    running: Arc<Running>,
}

/// What assistants are built from.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Assistants {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, approvals, clock } = parts;
        let (default, awaited, running) = Default::default();
        Self { store, approvals, clock, default, awaited, running }
    }

    /// Lets another assistant count from now on where a room says nothing. It answers where it is mentioned, and to `/ai`.
    pub fn set_default(&self, policy: Option<AssistantPolicy>) {
        self.default.store(Arc::new(policy));
    }
}
