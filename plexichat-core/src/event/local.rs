//! The mailbox of a plugin: events wait here, a bounded number of them, and one task of the plugin hands them to its
//! handlers, in the order in which they came. Knows no other plugin.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Event;
use crate::cause::Cause;
use crate::guard::PluginHandle;

/// How many events wait for one plugin.
pub(crate) const MAILBOX_MAX: usize = 1024;

/// How many bytes of events wait for one plugin. One event alone may be larger.
pub(crate) const MAILBOX_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An event and the handlers that are to have it: their indexes, each with whether it wants the plugin's own events too.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) event: Arc<Event>,
    /// The event's [`size`](Event::size).
    pub(crate) size: usize,
    pub(crate) handlers: Arc<[(usize, bool)]>,
}

/// Why a mailbox did not take an event.
#[derive(Debug)]
pub(crate) enum Refused {
    /// As many wait as may.
    Full(Mail),
    /// The plugin was stopped.
    Closed,
}

/// Events that wait for one plugin.
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    closed: AtomicBool,
    /// Counts the instances that had it.
    instance: AtomicU64,
    /// How many were handed over.
    answered: AtomicU64,
    filled: Notify,
    /// Who waits for room or for an answer.
    waiting: AtomicUsize,
    moved: Notify,
}

#[derive(Default)]
struct Queue {
    mails: VecDeque<Mail>,
    /// How many were ever taken: the number of the last.
    taken: u64,
    /// The bytes of those that were not answered.
    bytes: usize,
    /// The one that is with the handlers.
    handed: Option<Handed>,
    /// A task waits for the next one.
    idle: bool,
}

/// An event that is with the handlers of an instance.
struct Handed {
    instance: u64,
    mail: Mail,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            closed: AtomicBool::new(false),
            instance: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            filled: Notify::new(),
            waiting: AtomicUsize::new(0),
            moved: Notify::new(),
        })
    }

    /// Takes an event, if there is room. Its number.
    pub(crate) fn try_push(&self, mail: Mail) -> Result<u64, Refused> {
        let mut queue = self.queue();
        if self.is_closed() {
            return Err(Refused::Closed);
        }
        let waiting = queue.taken - self.answered.load(Ordering::Acquire);
        if waiting >= MAILBOX_MAX as u64 || waiting > 0 && queue.bytes + mail.size > MAILBOX_BYTES_MAX {
            return Err(Refused::Full(mail));
        }
        queue.bytes += mail.size;
        queue.mails.push_back(mail);
        queue.taken += 1;
        let number = queue.taken;
        let wake = mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
        Ok(number)
    }

    /// Takes an event as soon as there is room. Its number; nothing where the plugin was stopped.
    pub(crate) async fn push(&self, mail: Mail) -> Option<u64> {
        let mut mail = Some(mail);
        let mut number = None;
        self.when(|| match mail.take().map(|mail| self.try_push(mail)) {
            Some(Ok(taken)) => {
                number = Some(taken);
                true
            }
            Some(Err(Refused::Full(refused))) => {
                mail = Some(refused);
                false
            }
            Some(Err(Refused::Closed)) | None => true,
        })
        .await;
        number
    }

    /// Waits until the event with this number was answered or the plugin was stopped.
    pub(crate) async fn answered(&self, number: u64) {
        self.when(|| self.answered.load(Ordering::SeqCst) >= number || self.is_closed()).await;
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u64 {
        self.queue().taken - self.answered.load(Ordering::Acquire)
    }

    /// The plugin was stopped: what waits is dropped, whoever waits goes on.
    pub(crate) fn close(&self) {
        let mails = {
            let mut queue = self.queue();
            self.closed.store(true, Ordering::SeqCst);
            mem::take(&mut queue.mails)
        };
        drop(mails);
        self.filled.notify_one();
        self.moved.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The instance that empties it is to stop with that after the event that its handlers have: another one will go on.
    pub(crate) fn retire(&self) {
        self.instance.fetch_add(1, Ordering::SeqCst);
        self.wake_all();
    }

    /// What the handlers of a retired instance still have is the next event again: they take too long.
    pub(crate) fn take_back(&self) {
        let mut queue = self.queue();
        let current = self.instance();
        if let Some(handed) = queue.handed.take_if(|handed| handed.instance != current) {
            self.put_back(&mut queue, handed.mail);
        }
    }

    fn put_back(&self, queue: &mut Queue, mail: Mail) {
        if !self.is_closed() {
            queue.mails.push_front(mail);
        }
        queue.idle = false;
        self.wake_all();
    }

    /// Wakes whoever waits for an event, and whoever is about to.
    fn wake_all(&self) {
        self.filled.notify_waiters();
        self.filled.notify_one();
    }

    /// Hands events to the plugin's handlers until the mailbox is closed or the instance is to stop with it. Begins when
    /// the instance before has ended with its last one.
    ///
    /// # Cancel safety
    /// An event that is with the handlers is the next one again.
    pub(crate) async fn hand_over(self: Arc<Self>, plugin: Arc<PluginHandle>, instance: u64) {
        loop {
            let mail = {
                let mut queue = self.queue();
                if self.is_closed() || self.instance() != instance {
                    return;
                }
                let mail = if queue.handed.is_none() { queue.mails.pop_front() } else { None };
                queue.handed = match (&mail, queue.handed.take()) {
                    (Some(mail), _) => Some(Handed { instance, mail: mail.clone() }),
                    (None, others) => others,
                };
                queue.idle = mail.is_none();
                mail
            };
            match mail {
                Some(mail) => {
                    let mut handing = Handing { mailbox: &self, instance, done: false };
                    call_handlers(&plugin, &mail.handlers, &mail.event).await;
                    handing.done = true;
                }
                None => self.filled.notified().await,
            }
        }
    }

    /// Which instance is to empty it.
    pub(crate) fn instance(&self) -> u64 {
        self.instance.load(Ordering::SeqCst)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn when(&self, mut ready: impl FnMut() -> bool) {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Before it looks, so that nothing that moves in between is missed.
            moved.as_mut().enable();
            if ready() {
                return;
            }
            moved.await;
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mailbox({} waiting)", self.len())
    }
}

/// Handlers have an event. Where they are dropped before they have answered, it is the next one again.
struct Handing<'a> {
    mailbox: &'a Mailbox,
    instance: u64,
    done: bool,
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        let mailbox = self.mailbox;
        {
            let mut queue = mailbox.queue();
            // Not this instance's any more where it was taken back.
            let Some(handed) = queue.handed.take_if(|handed| handed.instance == self.instance) else { return };
            if !self.done {
                mailbox.put_back(&mut queue, handed.mail);
                return;
            }
            queue.bytes -= handed.mail.size;
            mailbox.answered.fetch_add(1, Ordering::SeqCst);
            if mailbox.instance() != self.instance {
                mailbox.wake_all();
            }
        }
        if mailbox.waiting.load(Ordering::SeqCst) > 0 {
            mailbox.moved.notify_waiters();
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Calls a plugin's handlers with an event, one after the other, on this task. What goes wrong the guard tells of.
pub(crate) async fn call_handlers(plugin: &PluginHandle, handlers: &[(usize, bool)], event: &Event) {
    let is_own = event.actor.is_plugin(plugin.name().as_str());
    for (index, own) in handlers {
        if is_own && !own {
            continue;
        }
        let step = plugin.descriptor().events[*index].method;
        let cause = Cause::new(event.id, event.cause_depth, plugin.descriptor().name, step);
        plugin.guard().count_event();
        let timeout = plugin.timeouts().event;
        let _ = plugin.call_here(Some(cause), step, timeout, |instance| instance.event(*index, event)).await;
    }
}
