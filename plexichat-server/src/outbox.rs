//! From committed messages and events to whoever tells plugins of them: at least once, in order within a room, however slow plugins
//! are and whenever the process dies. Knows neither plugins nor what telling them means.
//!
//! The fast way is a bounded queue in memory. What does not fit, and what an earlier process left, is read from the
//! store. Telling has two steps: a message is handed over, then the next one of its room may be; later it is done. A
//! watermark says up to which message all are done; it is written now and then, so a crash has some told again.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use plexichat::id::RoomId;
use plexichat::message::Time;
use plexichat::pipeline::{self, Delivery, Told};
use plexichat::store::StoreError;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until};

use crate::store::Store;

/// How many messages, and how many bytes of text, wait in memory to be taken. The store has the rest.
const QUEUE_MESSAGES: usize = 4096;
const QUEUE_BYTES: usize = 8 << 20;

/// How many messages are taken and not done: those that wait for their room and those that plugins are at. They are in
/// memory, so there is a bound; where slow plugins reach it, all rooms go at their pace.
const TAKEN: usize = 1024;

/// Of how many rooms one is being handed over.
const HANDING: usize = 256;

/// How many messages are read from the store at once.
const PAGE: u32 = 256;

/// The watermark is written after so many messages, or after this time.
const SAVE_MESSAGES: u64 = 256;
const SAVE_AFTER: Duration = Duration::from_millis(100);

/// How often the age of the oldest message that is not done is reported.
const REPORT: Duration = Duration::from_secs(1);

/// The waits between two attempts grow from the first of these to the second.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// How often handing a message over may panic before it is left out: it would keep its room waiting for ever.
const PANICS: u32 = 3;

/// The pipeline's end of the outbox. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Outbox {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    /// A message did not fit: the store has it.
    overflown: bool,
}

impl Outbox {
    /// An empty one. [`run`](Self::run) empties it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands every message over that is not done yet, and goes on until `stop` is ready. Then it takes no more, waits up
    /// to `drain` for those that are under way, and writes down how far it came.
    ///
    /// `hand_over` is asked for one message of a room at a time, in their order; what it gives is waited for beside the
    /// others, and the message is done when it is ready.
    ///
    /// # Cancel safety
    /// What was not done when the watermark was last written is told again at the next start.
    pub async fn run<F, C>(
        &self,
        store: Store,
        hand_over: impl Fn(Delivery) -> F,
        stop: impl Future<Output = ()>,
        drain: Duration,
    ) where
        F: Future<Output = C> + Send,
        C: Future<Output = ()> + Send,
    {
        let mut driver = Driver::new(&self.queue, store);
        let mut handing = FuturesUnordered::new();
        let mut under_way = FuturesUnordered::new();
        let hand_over = &hand_over;
        let mut stop = pin!(stop);
        let mut deadline = None;
        let mut reports = tokio::time::interval(REPORT);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if deadline.is_none() {
                driver.take();
            }
            while handing.len() < HANDING
                && let Some(delivery) = driver.begin()
            {
                handing.push(until_handed_over(delivery, hand_over));
            }
            if deadline.is_some() && handing.is_empty() && under_way.is_empty() {
                break;
            }
            let save_at = driver.save_at();
            tokio::select! {
                biased;
                () = &mut stop, if deadline.is_none() => {
                    deadline = Some(Instant::now() + drain);
                    driver.stop();
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break,
                Some((delivery, completion)) = handing.next(), if !handing.is_empty() => {
                    driver.handed_over(delivery.room_id());
                    under_way.push(until_done(delivery, completion));
                }
                Some(number) = under_way.next(), if !under_way.is_empty() => driver.done(number),
                answer = answer(&mut driver.reading), if driver.reading.is_some() => {
                    driver.reading = None;
                    driver.answered(answer);
                }
                answer = answer(&mut driver.saving), if driver.saving.is_some() => {
                    driver.saving = None;
                    driver.answered(answer);
                }
                () = sleep_until(save_at.unwrap_or_else(Instant::now)), if save_at.is_some() => driver.save(),
                _ = reports.tick() => driver.report(),
                () = self.queue.wake.notified(), if deadline.is_none() && !driver.is_full() => {}
            }
        }
        drop((handing, under_way));
        driver.finish().await;
    }
}

impl pipeline::Outbox for Outbox {
    fn enqueue(&self, delivery: Delivery) {
        if matches!(delivery.what, Told::Message(_)) {
            metrics::counter!("plexichat_messages_stored_total").increment(1);
        }
        let mut waiting = self.queue.waiting();
        let bytes = waiting.bytes + delivery.size();
        // Behind one that did not fit the others wait in the store too, so that the order stays.
        if waiting.overflown || waiting.deliveries.len() >= QUEUE_MESSAGES || bytes > QUEUE_BYTES {
            waiting.overflown = true;
        } else {
            waiting.bytes = bytes;
            waiting.deliveries.push_back(delivery);
        }
        let first = waiting.overflown || waiting.deliveries.len() == 1;
        drop(waiting);
        if first {
            self.queue.wake.notify_one();
        }
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store was asked for.
enum Answer {
    Finished(Result<u64, StoreError>),
    Page(Result<Vec<Delivery>, StoreError>),
    Saved(u64, Result<(), StoreError>),
}

/// Decides what is handed over next and how far all are done. Only [`Outbox::run`] waits.
struct Driver<'a> {
    queue: &'a Queue,
    store: Store,
    /// The last message that was taken, from the queue or the store; nothing until the watermark is read.
    taken: Option<u64>,
    /// The store may have messages after `taken` that are not in the queue.
    behind: bool,
    /// Taken and not done yet, with the times of their commits.
    open: BTreeMap<u64, Time>,
    /// Those of each room that wait for the one before them, which is being handed over.
    rooms: HashMap<Option<RoomId>, VecDeque<Delivery>>,
    /// The first of rooms of which none is being handed over.
    ready: VecDeque<Delivery>,
    saved: u64,
    /// When the watermark is written at the latest.
    save_at: Option<Instant>,
    reading: Option<BoxFuture<'static, Answer>>,
    saving: Option<BoxFuture<'static, Answer>>,
    retry: Duration,
}

impl<'a> Driver<'a> {
    fn new(queue: &'a Queue, store: Store) -> Self {
        let mut driver = Self {
            queue,
            store,
            taken: None,
            behind: true,
            open: BTreeMap::new(),
            rooms: HashMap::new(),
            ready: VecDeque::new(),
            saved: 0,
            save_at: None,
            reading: None,
            saving: None,
            retry: RETRY_FIRST,
        };
        driver.read(Duration::ZERO);
        driver
    }

    fn is_full(&self) -> bool {
        self.open.len() >= TAKEN
    }

    /// Takes what can be taken, from the queue where it goes on without a gap, else from the store.
    fn take(&mut self) {
        while self.reading.is_none() && !self.is_full() {
            let Some(taken) = self.taken else { return };
            let mut waiting = self.queue.waiting();
            let next = waiting.deliveries.front().map(|delivery| delivery.outbox_id);
            if next.is_some_and(|next| next > taken + 1) {
                drop(waiting);
                self.read(Duration::ZERO);
                return;
            }
            if let Some(delivery) = waiting.deliveries.pop_front() {
                waiting.bytes -= delivery.size();
                drop(waiting);
                if delivery.outbox_id > taken {
                    self.accept(delivery);
                }
                continue;
            }
            // An empty queue takes messages again; those that did not fit are read.
            self.behind |= std::mem::take(&mut waiting.overflown);
            drop(waiting);
            if !self.behind {
                return;
            }
            self.read(Duration::ZERO);
        }
    }

    fn read(&mut self, after: Duration) {
        let (store, taken) = (self.store.clone(), self.taken);
        self.reading = Some(Box::pin(async move {
            sleep(after).await;
            match taken {
                None => Answer::Finished(store.outbox_finished().await),
                Some(taken) => Answer::Page(store.outbox_after(taken, PAGE).await),
            }
        }));
    }

    fn accept(&mut self, delivery: Delivery) {
        self.taken = Some(delivery.outbox_id);
        // Where there is nothing to tell, it is done.
        let Some(time) = delivery.time() else { return };
        self.open.insert(delivery.outbox_id, time);
        // What belongs to no room has a line of its own.
        match self.rooms.get_mut(&delivery.room_id()) {
            Some(room) => room.push_back(delivery),
            None => {
                self.rooms.insert(delivery.room_id(), VecDeque::new());
                self.ready.push_back(delivery);
            }
        }
    }

    /// The next one to hand over.
    fn begin(&mut self) -> Option<Delivery> {
        self.ready.pop_front()
    }

    fn handed_over(&mut self, room: Option<RoomId>) {
        match self.rooms.get_mut(&room).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => {
                self.rooms.remove(&room);
            }
        }
    }

    fn done(&mut self, number: u64) {
        self.open.remove(&number);
        let unsaved = self.watermark().saturating_sub(self.saved);
        if unsaved >= SAVE_MESSAGES {
            self.save();
        } else if unsaved > 0 && self.save_at.is_none() {
            self.save_at = Some(Instant::now() + SAVE_AFTER);
        }
    }

    /// All messages up to this one are done.
    fn watermark(&self) -> u64 {
        self.open.first_key_value().map_or(self.taken.unwrap_or(0), |(number, _)| number - 1)
    }

    fn save_at(&self) -> Option<Instant> {
        self.save_at.filter(|_| self.saving.is_none())
    }

    fn save(&mut self) {
        let watermark = self.watermark();
        if self.saving.is_some() || watermark <= self.saved {
            return;
        }
        self.save_at = None;
        let store = self.store.clone();
        self.saving = Some(Box::pin(async move { Answer::Saved(watermark, store.outbox_finish(watermark).await) }));
    }

    fn report(&self) {
        let oldest = self.open.first_key_value().map_or(0, |(_, time)| Time::now().as_micros() - time.as_micros());
        metrics::gauge!("plexichat_outbox_oldest_seconds").set(oldest.max(0) as f64 / 1e6);
        metrics::gauge!("plexichat_outbox_open").set(self.open.len() as f64);
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Finished(Ok(finished)) => {
                (self.taken, self.saved, self.retry) = (Some(finished), finished, RETRY_FIRST);
            }
            Answer::Page(Ok(page)) => {
                self.retry = RETRY_FIRST;
                self.behind = page.len() == PAGE as usize;
                let last = page.last().map(|delivery| delivery.outbox_id);
                page.into_iter().for_each(|delivery| self.accept(delivery));
                self.forget_gap(last);
            }
            Answer::Saved(watermark, Ok(())) => {
                self.saved = watermark;
                if self.watermark() > watermark && self.save_at.is_none() {
                    self.save_at = Some(Instant::now() + SAVE_AFTER);
                }
            }
            Answer::Finished(Err(error)) | Answer::Page(Err(error)) => {
                tracing::warn!(%error, "reading the outbox; trying again");
                self.read(self.retry);
                self.retry = (self.retry * 2).min(RETRY_LAST);
            }
            Answer::Saved(_, Err(error)) => {
                // Nothing is lost: at worst some are told again after a crash.
                tracing::warn!(%error, "writing how far the outbox is done; trying again");
                self.save_at = Some(Instant::now() + SAVE_AFTER * 10);
            }
        }
    }

    /// Numbers that the store does not have, up to the first one in the queue, are of messages that are gone.
    fn forget_gap(&mut self, last: Option<u64>) {
        let waiting = self.queue.waiting();
        let Some(next) = waiting.deliveries.front().map(|delivery| delivery.outbox_id) else { return };
        if !self.behind && last.or(self.taken).is_some_and(|last| last + 1 < next) {
            self.taken = Some(next - 1);
        }
    }

    /// Takes no more: what is taken and not begun is left for the next start.
    fn stop(&mut self) {
        self.ready.clear();
        self.rooms.values_mut().for_each(VecDeque::clear);
        self.reading = None;
    }

    async fn finish(&mut self) {
        if let Some(saving) = self.saving.take() {
            let answer = saving.await;
            self.answered(answer);
        }
        self.save();
        if let Some(saving) = self.saving.take()
            && let Answer::Saved(_, Err(error)) = saving.await
        {
            tracing::warn!(%error, "writing how far the outbox is done; the rest is told again at the next start");
        }
    }
}

async fn answer(asked: &mut Option<BoxFuture<'static, Answer>>) -> Answer {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

/// Hands one message over, again where that panics; nothing where it is left out.
async fn until_handed_over<F, C>(delivery: Delivery, hand_over: &impl Fn(Delivery) -> F) -> (Delivery, Option<C>)
where
    F: Future<Output = C> + Send,
{
    let mut wait = RETRY_FIRST;
    for attempt in 1..=PANICS {
        match AssertUnwindSafe(hand_over(delivery.clone())).catch_unwind().await {
            Ok(completion) => return (delivery, Some(completion)),
            Err(panic) => tell_panic(panic, &delivery, attempt),
        }
        if attempt < PANICS {
            metrics::counter!("plexichat_outbox_retries_total").increment(1);
            sleep(wait).await;
            wait = (wait * 2).min(RETRY_LAST);
        }
    }
    (delivery, None)
}

/// Waits until a message is done. After a panic it is: plugins have been told, and the room has gone on.
async fn until_done<C: Future<Output = ()> + Send>(delivery: Delivery, completion: Option<C>) -> u64 {
    if let Some(completion) = completion
        && let Err(panic) = AssertUnwindSafe(completion).catch_unwind().await
    {
        tell_panic(panic, &delivery, 1);
    }
    delivery.outbox_id
}

fn tell_panic(panic: Box<dyn Any + Send>, delivery: &Delivery, attempt: u32) {
    // Its own destructor may panic too.
    std::mem::forget(panic);
    tracing::error!(number = delivery.outbox_id, attempt, "telling plugins of a message or an event panicked");
}

#[cfg(test)]
mod tests;
