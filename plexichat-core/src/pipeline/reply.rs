//! Stage 12: what a model says, shown to scanners before anybody sees it. The only maker of a [`ReplyDelta<Cleared>`], which
//! is the only thing that can be delivered of an answer on its way. Knows no provider.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::judge::Subject;
use super::message::Cleared;
use super::ports::Tail;
use super::scan::Scanning;
use super::{Pipeline, Refusal, told};
use crate::descriptor::Hook;
use crate::event::Event;
use crate::id::{PluginName, RoomId};
use crate::message::{Actor, Finding, Origin, Verdict};
use crate::reply::{ReplyMode, ReplyView};

/// The longest answer that is kept back until all of it was judged, in bytes: beyond what any model says at once.
pub const REPLY_BYTES_MAX: usize = 1 << 20;

/// How many characters are judged at once, and seen again, where answers are shown before they are judged.
const AUDITED: (usize, usize) = (2_000, 200);

const SUBJECT: Subject = Subject { hook: Hook::ScanReply, what: "an answer of a model" };

/// A piece of an answer at the stage `S`: only [`Cleared`] can be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyDelta<S> {
    index: u32,
    text: String,
    stage: PhantomData<S>,
}

impl<S> ReplyDelta<S> {
    /// Its place in the answer, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What was said.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whose answer it is, and for whom.
#[derive(Debug, Clone)]
pub struct ReplyAbout {
    /// The model, as it would sign a message.
    pub author: Actor,
    /// Who asked.
    pub asked_by: Actor,
    /// The room that it is for.
    pub room_id: Option<RoomId>,
    /// By which road the question came.
    pub origin: Origin,
}

/// Judges one answer while it comes.
pub struct ReplyScanner {
    index: u32,
    /// Nothing where nobody judges answers: then it costs nothing.
    bench: Option<Box<Bench>>,
}

impl Pipeline {
    /// A scanner for one answer, with everyone who has a say about it now. The strictest mode that any of them wants counts
    /// for all.
    ///
    /// # Errors
    /// A scanner whose word is needed does not run.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn reply_scanner(&self, about: ReplyAbout) -> Result<ReplyScanner, Refusal> {
        let scanning = match about.room_id {
            Some(room_id) => self.scanning(room_id).await?,
            None => self.scanning_everywhere(),
        };
        SUBJECT.check_absent(&scanning)?;
        let mut mode = None;
        for entry in scanning.entries(SUBJECT.hook) {
            let wanted = entry.plugin.reply_mode().await;
            mode = Some(mode.map_or(wanted, |mode: ReplyMode| mode.and(wanted)));
        }
        let bench = mode.map(|mode| {
            let (tail, runtime) = (self.tail.clone(), self.runtime.clone().unwrap_or_else(Handle::current));
            let court = Court { scanning, about, tail, runtime, record: Mutex::default() };
            Box::new(Bench { court: Arc::new(court), mode, held: String::new(), new_at: 0, new_chars: 0, begun: false })
        });
        Ok(ReplyScanner { index: 0, bench })
    }
}

impl ReplyScanner {
    /// More of the answer: what may be shown now, if anything.
    ///
    /// # Errors
    /// A scanner objects, or one whose word is needed gives none: nothing more of the answer may be shown, and every further
    /// call says the same.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was pushed may be lost.
    pub async fn push(&mut self, text: &str) -> Result<Option<ReplyDelta<Cleared>>, Refusal> {
        let shown = match &mut self.bench {
            None => text.to_owned(),
            Some(bench) => bench.push(text).await?,
        };
        Ok(self.cleared(shown))
    }

    /// The answer is complete: the rest of what may be shown.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Cancel safety
    /// Not cancel safe.
    pub async fn finish(&mut self) -> Result<Option<ReplyDelta<Cleared>>, Refusal> {
        let shown = match &mut self.bench {
            None => return Ok(None),
            Some(bench) => bench.finish().await?,
        };
        Ok(self.cleared(shown))
    }

    fn cleared(&mut self, text: String) -> Option<ReplyDelta<Cleared>> {
        if text.is_empty() {
            return None;
        }
        let index = self.index;
        self.index += 1;
        Some(ReplyDelta { index, text, stage: PhantomData })
    }
}

impl std::fmt::Debug for ReplyScanner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = self.bench.as_ref().map(|bench| bench.mode);
        formatter.debug_struct("ReplyScanner").field("index", &self.index).field("mode", &mode).finish_non_exhaustive()
    }
}

/// What is kept back of an answer, and who judges it.
struct Bench {
    court: Arc<Court>,
    mode: ReplyMode,
    /// What was judged and is kept back, then what was not judged yet.
    held: String,
    /// Where what was not judged begins.
    new_at: usize,
    /// How many characters were not judged.
    new_chars: usize,
    /// Whether anything came at all.
    begun: bool,
}

impl Bench {
    /// What may be shown now.
    async fn push(&mut self, text: &str) -> Result<String, Refusal> {
        self.court.check()?;
        if text.is_empty() {
            return Ok(String::new());
        }
        self.begun = true;
        let size = self.held.len() + text.len();
        if self.mode == ReplyMode::Buffer && size > REPLY_BYTES_MAX {
            let refusal = Refusal::TooLarge { limit: REPLY_BYTES_MAX, found: size };
            return Err(self.court.close(refusal));
        }
        self.held.push_str(text);
        match self.mode {
            ReplyMode::Buffer => Ok(String::new()),
            ReplyMode::Window { chars, overlap } => {
                self.new_chars += text.chars().count();
                if self.new_chars < chars {
                    return Ok(String::new());
                }
                self.court.judge(self.part(false)).await?;
                Ok(self.release(overlap))
            }
            ReplyMode::AuditOnly => {
                let (chars, overlap) = AUDITED;
                self.new_chars += text.chars().count();
                if self.new_chars >= chars {
                    self.audit(false);
                    self.release(overlap);
                }
                Ok(text.to_owned())
            }
        }
    }

    /// The rest of what may be shown.
    async fn finish(&mut self) -> Result<String, Refusal> {
        self.court.check()?;
        if !self.begun {
            return Ok(String::new());
        }
        self.begun = false;
        if self.mode == ReplyMode::AuditOnly {
            self.audit(true);
            return Ok(String::new());
        }
        // Also where nothing is new: a scanner that waits for what follows learns that nothing does.
        self.court.judge(self.part(true)).await?;
        Ok(std::mem::take(&mut self.held))
    }

    fn part(&self, last: bool) -> Part {
        Part { text: self.held.clone(), new_at: self.new_at, last }
    }

    /// Judges what was shown already, beside the answer: nobody waits for it.
    fn audit(&self, last: bool) {
        let (court, part) = (self.court.clone(), self.part(last));
        self.court.runtime.clone().spawn(async move { court.audit(part).await });
    }

    /// All of it was judged: what is before the overlap may be shown.
    fn release(&mut self, overlap: usize) -> String {
        let keep_from = match overlap.checked_sub(1) {
            None => self.held.len(),
            Some(before) => self.held.char_indices().rev().nth(before).map_or(0, |(at, _)| at),
        };
        let kept = self.held.split_off(keep_from);
        self.new_at = kept.len();
        self.new_chars = 0;
        std::mem::replace(&mut self.held, kept)
    }
}

impl Drop for Bench {
    /// What was shown of an answer that broke off is judged all the same.
    fn drop(&mut self) {
        if self.mode == ReplyMode::AuditOnly && self.begun {
            self.audit(true);
        }
    }
}

/// A part of an answer on its way to the scanners.
struct Part {
    text: String,
    new_at: usize,
    last: bool,
}

/// Everyone who judges one answer, and what came of it so far.
struct Court {
    scanning: Scanning,
    about: ReplyAbout,
    tail: Arc<Tail>,
    /// Where is judged what was shown already: whoever reads the answer may be gone by then.
    runtime: Handle,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    /// Why nothing more of it is shown.
    closed: Option<Refusal>,
    /// What was told: two windows show the same text to a scanner, which may flag it twice.
    told: BTreeSet<(PluginName, String)>,
}

impl Court {
    /// Whether more of the answer may be shown.
    fn check(&self) -> Result<(), Refusal> {
        self.record().closed.clone().map_or(Ok(()), Err)
    }

    /// Nothing more of the answer is shown.
    fn close(&self, refusal: Refusal) -> Refusal {
        self.record().closed = Some(refusal.clone());
        refusal
    }

    async fn judge(self: &Arc<Self>, part: Part) -> Result<(), Refusal> {
        match self.ask(part).await {
            Ok(()) => Ok(()),
            Err(Refusal::Rejected { plugin, finding }) => {
                self.tell("medium", &plugin, &finding);
                let (model, asked_by) = (&*self.about.author.id, &*self.about.asked_by.id);
                tracing::info!(%plugin, model, asked_by, code = %finding.code, "an answer of a model was rejected");
                Err(self.close(Refusal::Rejected { plugin, finding }))
            }
            Err(refusal) => Err(self.close(refusal)),
        }
    }

    /// The same for what is shown already: what is found is told. Where a scanner's word is needed and cannot be had, what
    /// follows is not shown.
    async fn audit(self: Arc<Self>, part: Part) {
        match self.ask(part).await {
            Ok(()) => {}
            Err(Refusal::Rejected { plugin, finding }) => self.tell("medium", &plugin, &finding),
            Err(refusal) => drop(self.close(refusal)),
        }
    }

    async fn ask(self: &Arc<Self>, part: Part) -> Result<(), Refusal> {
        let (court, part) = (self.clone(), Arc::new(part));
        let judged = SUBJECT.judge(&self.scanning, move |instance| {
            let (court, part) = (court.clone(), part.clone());
            Box::pin(async move {
                match instance.security() {
                    Some(security) => security.scan_reply(&court.view(&part)).await,
                    None => Ok(Verdict::Allow),
                }
            })
        });
        for (plugin, finding) in judged.await? {
            self.tell("low", &plugin, &finding);
        }
        Ok(())
    }

    fn view<'a>(&'a self, part: &'a Part) -> ReplyView<'a> {
        let ReplyAbout { author, asked_by, room_id, origin } = &self.about;
        let view = ReplyView::new(author, asked_by, &part.text, part.new_at).of(*room_id, *origin);
        if part.last { view } else { view.unfinished() }
    }

    /// Tells operators what a scanner found, once for each kind of finding.
    fn tell(&self, severity: &str, plugin: &PluginName, finding: &Finding) {
        if !self.record().told.insert((plugin.clone(), finding.code.clone())) {
            return;
        }
        let ReplyAbout { author, asked_by, room_id, origin } = &self.about;
        let subject = format!("an answer of `{}` to `{}`", author.id, asked_by.name);
        let mut event = Event::new(told::alert(severity, plugin, finding, subject));
        event.actor = author.clone();
        event.origin = *origin;
        event.room_id = *room_id;
        self.tail.announcer.announce(event);
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
