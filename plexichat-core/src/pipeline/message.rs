//! A message that carries its stage in its type. The constructors are private to the pipeline.

use std::marker::PhantomData;
use std::sync::Arc;

use super::delivery::Posted;
use crate::id::{EventId, FileId, MessageId, PluginName, RoomId};
use crate::message::{Actor, Attachment, Finding, MessageState, MessageView, Origin, StoredRow};

/// It came in: parsed, with an identifier, by a known actor.
#[derive(Debug)]
pub struct Received(());
/// The actor may post it, within the limits.
#[derive(Debug)]
pub struct Admitted(());
/// Every rewriting hook and every scanner has had its say.
#[derive(Debug)]
pub struct Cleared(());
/// It is durable.
#[derive(Debug)]
pub struct Stored(());

/// What somebody wants to post.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Who posts.
    pub author: Actor,
    /// Where.
    pub room_id: RoomId,
    /// What.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The files that hang on it, each uploaded before by the same author to the same room.
    pub attachments: Vec<FileId>,
    /// By which road it came.
    pub origin: Origin,
    /// The sender's key: the same author, room and key give the same message, however often it is sent.
    pub key: Option<String>,
    /// The event that caused it.
    pub cause_id: Option<EventId>,
    /// How many events stand between it and what began the chain.
    pub cause_depth: u8,
}

/// A message at the stage `S`: [`Received`], [`Admitted`], [`Cleared`] or [`Stored`].
#[derive(Debug)]
pub struct Message<S> {
    inner: Box<Inner>,
    stage: PhantomData<S>,
}

#[derive(Debug)]
struct Inner {
    content: Arc<Snapshot>,
    state: MessageState,
    findings: Vec<(PluginName, Finding)>,
    row: Option<Arc<StoredRow>>,
}

/// What is judged: shared with every scanner, and copied only when a hook rewrites it.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    id: MessageId,
    incoming: Incoming,
    attached: Vec<Attachment>,
    edits: bool,
    prompt: bool,
}

impl Snapshot {
    /// The message as a security plugin sees it.
    pub(super) fn view(&self) -> MessageView<'_> {
        MessageView {
            id: self.id,
            room_id: self.incoming.room_id,
            author: &self.incoming.author,
            text: &self.incoming.text,
            origin: self.incoming.origin,
            reply_to: self.incoming.reply_to,
            edit_of: self.edits.then_some(self.id),
            prompt: self.prompt,
            attachments: &self.attached,
        }
    }
}

impl Message<Received> {
    pub(super) fn receive(id: MessageId, incoming: Incoming) -> Self {
        Self::with(Snapshot { id, incoming, attached: Vec::new(), edits: false, prompt: false })
    }

    /// What is asked of a model, and judged like a message. It is never stored.
    pub(super) fn receive_prompt(incoming: Incoming) -> Self {
        Self::with(Snapshot { id: MessageId::new(), incoming, attached: Vec::new(), edits: false, prompt: true })
    }

    /// A new text for this message: it is judged like a new message.
    pub(super) fn receive_edit(row: &StoredRow, text: String, origin: Origin) -> Self {
        let incoming = Incoming {
            author: row.author.clone(),
            room_id: row.room_id,
            text,
            reply_to: row.reply_to,
            // What hangs on it was looked up when it was sent, and stays.
            attachments: Vec::new(),
            origin,
            key: None,
            cause_id: None,
            cause_depth: 0,
        };
        Self::with(Snapshot { id: row.id, incoming, attached: row.attachments.clone(), edits: true, prompt: false })
    }

    fn with(content: Snapshot) -> Self {
        let content = Arc::new(content);
        let inner = Inner { content, state: MessageState::Stored, findings: Vec::new(), row: None };
        Self { inner: Box::new(inner), stage: PhantomData }
    }

    pub(super) fn admit(self) -> Message<Admitted> {
        self.step()
    }
}

impl Message<Admitted> {
    pub(super) fn rewrite(&mut self, text: String) {
        Arc::make_mut(&mut self.inner.content).incoming.text = text;
    }

    pub(super) fn attach(&mut self, attached: Vec<Attachment>) {
        Arc::make_mut(&mut self.inner.content).attached = attached;
    }

    pub(super) fn find(&mut self, plugin: PluginName, finding: Finding) {
        self.inner.findings.push((plugin, finding));
    }

    pub(super) fn clear(mut self, state: MessageState) -> Message<Cleared> {
        self.inner.state = state;
        self.step()
    }
}

impl Message<Cleared> {
    pub(super) fn store(mut self, row: StoredRow) -> Message<Stored> {
        self.inner.row = Some(Arc::new(row));
        self.step()
    }
}

impl Message<Stored> {
    /// A message that was held back and that a moderator lets through.
    pub(super) fn release(kept: &Posted, row: Arc<StoredRow>) -> Self {
        let incoming = Incoming {
            author: row.author.clone(),
            room_id: row.room_id,
            text: row.text.clone(),
            reply_to: row.reply_to,
            attachments: row.attachments.iter().map(|attachment| attachment.id).collect(),
            origin: kept.origin,
            key: None,
            cause_id: kept.cause_id,
            cause_depth: kept.cause_depth,
        };
        let content =
            Arc::new(Snapshot { id: row.id, incoming, attached: row.attachments.clone(), edits: false, prompt: false });
        let inner = Inner { content, state: row.state, findings: Vec::new(), row: Some(row) };
        Self { inner: Box::new(inner), stage: PhantomData }
    }

    /// The message as it is stored.
    pub fn row(&self) -> &Arc<StoredRow> {
        self.inner.row.as_ref().expect("only `store` and `release` make this stage, and they set the row")
    }
}

impl<S> Message<S> {
    fn step<T>(self) -> Message<T> {
        Message { inner: self.inner, stage: PhantomData }
    }

    /// Its identifier.
    pub fn id(&self) -> MessageId {
        self.inner.content.id
    }

    /// Who posts it.
    pub fn author(&self) -> &Actor {
        &self.inner.content.incoming.author
    }

    /// The room it is for.
    pub fn room_id(&self) -> RoomId {
        self.inner.content.incoming.room_id
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.inner.content.incoming.text
    }

    /// The message it answers.
    pub fn reply_to(&self) -> Option<MessageId> {
        self.inner.content.incoming.reply_to
    }

    /// What clients see of the files that hang on it, once each was found to be judged.
    pub fn attached(&self) -> &[Attachment] {
        &self.inner.content.attached
    }

    /// The files that are to hang on it.
    pub fn attachments(&self) -> &[FileId] {
        &self.inner.content.incoming.attachments
    }

    /// By which road it came.
    pub fn origin(&self) -> Origin {
        self.inner.content.incoming.origin
    }

    /// The sender's key.
    pub fn key(&self) -> Option<&str> {
        self.inner.content.incoming.key.as_deref()
    }

    /// The event that caused it.
    pub fn cause_id(&self) -> Option<EventId> {
        self.inner.content.incoming.cause_id
    }

    /// How many events stand between it and what began the chain.
    pub fn cause_depth(&self) -> u8 {
        self.inner.content.incoming.cause_depth
    }

    /// Whether it is delivered, held back, or delivered unscanned.
    pub fn state(&self) -> MessageState {
        self.inner.state
    }

    /// What scanners found: the plugin and its finding.
    pub fn findings(&self) -> &[(PluginName, Finding)] {
        &self.inner.findings
    }

    /// Whether it is a new text for a message that is stored.
    pub(super) fn is_edit(&self) -> bool {
        self.inner.content.edits
    }

    /// What was asked for.
    pub(super) fn incoming(&self) -> &Incoming {
        &self.inner.content.incoming
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.content.clone()
    }
}
