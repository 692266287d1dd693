//! Finds plugins that hold their thread: each poll of a plugin's code notes whose it is and when it began, one thread
//! looks on. Knows what is polled, not why.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::cause::Cause;
use crate::guard::Guard;

/// How often it looks.
pub const TICK: Duration = Duration::from_millis(10);

/// Counts the looks. It may fall behind the time of day on a busy machine and then accuses nobody; a clock read at each
/// poll would cost more than the poll.
static NOW: AtomicU64 = AtomicU64::new(0);

static NEXT_GUARD: AtomicU32 = AtomicU32::new(1);

const TICK_BITS: u32 = 40;

/// When a plugin that holds its thread is named, no longer asked, and given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// It is named in the log.
    pub warn: Duration,
    /// Its breaker opens.
    pub open: Duration,
    /// Its thread is given up.
    pub abandon: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // Two looks before the quarter of a second that is promised.
        Self { warn: Duration::from_millis(230), open: Duration::from_secs(2), abandon: Duration::from_secs(10) }
    }
}

/// What this thread polls: the number of a guard and when that began, or 0.
struct Thread {
    polling: Arc<AtomicU64>,
    cause: Cell<Option<Cause>>,
}

thread_local! {
    static THREAD: Thread = Thread::register();
}

impl Thread {
    fn register() -> Self {
        let polling = Arc::new(AtomicU64::new(0));
        watched().threads.push(Watched { polling: polling.clone(), seen: 0, told: 0 });
        Self { polling, cause: Cell::new(None) }
    }
}

/// Runs one poll of a plugin's code. `work` must not unwind.
pub(crate) fn polling<R>(guard: u32, cause: &mut Option<Cause>, work: impl FnOnce() -> R) -> R {
    let value = u64::from(guard) << TICK_BITS | NOW.load(Ordering::Relaxed);
    let mut work = Some(work);
    let done = THREAD.try_with(|thread| {
        // One plugin's code may poll another's: the outer one goes on afterwards.
        let outer = thread.polling.load(Ordering::Relaxed);
        thread.polling.store(value, Ordering::Relaxed);
        let outer_cause = thread.cause.replace(cause.take());
        let result = work.take().map(|work| work());
        *cause = thread.cause.replace(outer_cause);
        thread.polling.store(outer, Ordering::Relaxed);
        result
    });
    // A thread that is ending has no place to note it in.
    match (done, work) {
        (Ok(Some(result)), _) => result,
        (_, Some(work)) => work(),
        (_, None) => unreachable!("whoever took the work has its result"),
    }
}

/// Lends the cause of what this thread polls.
pub(crate) fn with_cause(work: impl FnOnce(&mut Option<Cause>)) {
    // A thread that is ending polls nothing.
    let _ = THREAD.try_with(|thread| {
        let mut cause = thread.cause.get();
        work(&mut cause);
        thread.cause.set(cause);
    });
}

/// The time in looks; for durations to a hundredth of a second.
pub(crate) fn now() -> u64 {
    NOW.load(Ordering::Relaxed)
}

/// The milliseconds since a look.
pub(crate) fn milliseconds_since(then: u64) -> u64 {
    now().saturating_sub(then) * TICK.as_millis() as u64
}

/// The guard with this number, while it lives.
pub(crate) fn guard(id: u32) -> Option<Arc<Guard>> {
    watched().guards.get(&id).and_then(|(guard, _)| guard.upgrade())
}

pub(crate) fn next_id() -> u32 {
    // 24 bits of it stand beside the tick.
    NEXT_GUARD.fetch_add(1, Ordering::Relaxed) & 0x00ff_ffff
}

/// From now on the guard's plugin is looked after.
pub(crate) fn watch(guard: &Arc<Guard>) {
    static STARTED: OnceLock<()> = OnceLock::new();
    let entry = (Arc::downgrade(guard), guard.patience());
    watched().guards.insert(guard.id(), entry);
    STARTED.get_or_init(|| {
        let started = thread::Builder::new().name("watchdog".to_owned()).stack_size(256 * 1024).spawn(look_on);
        if let Err(error) = started {
            tracing::error!(%error, "the watchdog's thread does not start: a plugin that blocks will not be found");
        }
        spare_panics();
    });
}

/// While a panic is told, with a backtrace perhaps, which takes seconds on a busy machine, its plugin is not accused of
/// holding the thread as well.
fn spare_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let polled = THREAD.try_with(|thread| thread.polling.swap(0, Ordering::Relaxed)).unwrap_or(0);
        tell(panic);
        if polled != 0 {
            let again = (polled >> TICK_BITS) << TICK_BITS | NOW.load(Ordering::Relaxed);
            // A thread that is ending polls nothing.
            let _ = THREAD.try_with(|thread| thread.polling.store(again, Ordering::Relaxed));
        }
    }));
}

pub(crate) fn forget(id: u32) {
    watched().guards.remove(&id);
}

#[derive(Default)]
struct Everything {
    threads: Vec<Watched>,
    guards: HashMap<u32, (Weak<Guard>, Patience)>,
}

struct Watched {
    polling: Arc<AtomicU64>,
    /// What was polled at the last look.
    seen: u64,
    /// How many of the three steps of [`Patience`] were taken for it.
    told: u8,
}

fn watched() -> MutexGuard<'static, Everything> {
    static EVERYTHING: OnceLock<Mutex<Everything>> = OnceLock::new();
    EVERYTHING.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_on() {
    loop {
        thread::sleep(TICK);
        let now = NOW.fetch_add(1, Ordering::Relaxed) + 1;
        // Acted on without the lock: a guard that opens its breaker may be dropped by it, which takes the lock.
        for (guard, held) in due(now) {
            guard.holds_thread(held);
        }
    }
}

/// The plugins that have held a thread long enough for the next step, and how long.
fn due(now: u64) -> Vec<(Arc<Guard>, Held)> {
    let mut everything = watched();
    let Everything { threads, guards } = &mut *everything;
    threads.retain(|thread| Arc::strong_count(&thread.polling) > 1);
    let mut due = Vec::new();
    for thread in threads {
        let value = thread.polling.load(Ordering::Relaxed);
        if value != thread.seen {
            thread.seen = value;
            thread.told = 0;
        }
        if value == 0 {
            continue;
        }
        let began = value & ((1 << TICK_BITS) - 1);
        let Some((guard, patience)) = guards.get(&((value >> TICK_BITS) as u32)) else { continue };
        let time = TICK * u32::try_from(now.saturating_sub(began)).unwrap_or(u32::MAX);
        let steps = [patience.warn, patience.open, patience.abandon];
        if steps.get(usize::from(thread.told)).is_some_and(|step| time >= *step) {
            thread.told += 1;
            // Not dropped in here: the last reference takes the lock.
            due.extend(guard.upgrade().map(|guard| (guard, Held { time, step: thread.told })));
        }
    }
    due
}

/// How long a plugin has held a thread, and which step that calls for: 1 to name it, 2 to open its breaker, 3 to give the
/// thread up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) time: Duration,
    pub(crate) step: u8,
}
