//! How many calls of a plugin run, and how many have ended, in one word: each call costs two atomic operations. Knows no
//! plugin.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::{CALLS_MAX, Guard};

const RUNNING_BITS: u32 = 16;
const RUNNING: u64 = (1 << RUNNING_BITS) - 1;

/// The calls of one guard.
#[derive(Default)]
pub(super) struct Calls {
    /// The calls that ended, above the calls that run.
    word: AtomicU64,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Calls {
    /// Takes a place, if one is free.
    pub(super) fn try_begin(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & RUNNING >= CALLS_MAX as u64 {
                return false;
            }
            match self.word.compare_exchange_weak(word, word + 1, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
    }

    /// Takes a place as soon as one is free.
    pub(super) async fn begin(&self) {
        self.when(|| self.try_begin()).await;
    }

    /// Gives a place back.
    pub(super) fn end(&self) {
        // One more has ended, one fewer runs.
        self.word.fetch_add((1 << RUNNING_BITS) - 1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }

    pub(super) fn running(&self) -> usize {
        (self.word.load(Ordering::SeqCst) & RUNNING) as usize
    }

    pub(super) fn ended(&self) -> u64 {
        self.word.load(Ordering::Relaxed) >> RUNNING_BITS
    }

    /// Waits until none runs.
    pub(super) async fn idle(&self) {
        self.when(|| self.running() == 0).await;
    }

    async fn when(&self, ready: impl Fn() -> bool) {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Before it looks, so that nothing that ends in between is missed.
            freed.as_mut().enable();
            if ready() {
                return;
            }
            freed.await;
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

/// A place that was taken: given back when this is dropped.
pub(super) struct Slot<G: Deref<Target = Guard>>(G);

impl<G: Deref<Target = Guard>> Slot<G> {
    pub(super) fn new(guard: G) -> Self {
        Self(guard)
    }
}

impl<G: Deref<Target = Guard>> Drop for Slot<G> {
    fn drop(&mut self) {
        self.0.calls.end();
    }
}
