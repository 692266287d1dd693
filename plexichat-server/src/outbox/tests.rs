//! Every message is told, in the order of its room, whatever dies in between.

use std::collections::HashSet;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use plexichat::id::MessageId;
use plexichat::message::StoredRow;
use plexichat::pipeline::Outbox as _;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::store::testing::{Bench, Ends, Place};

/// An outbox that runs.
struct Running {
    told: Arc<Mutex<Vec<Delivery>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Hands over with this, and notes what was handed over. It is done at once.
    fn start<F>(outbox: &Outbox, store: &Store, tell: impl Fn(Delivery) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hand_over = move |delivery| tell(delivery).map(ready);
        Self::start_in_steps(outbox, store, hand_over)
    }

    /// Hands over with this, and notes what was handed over.
    fn start_in_steps<F, C>(
        outbox: &Outbox,
        store: &Store,
        hand_over: impl Fn(Delivery) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = C> + Send + 'static,
        C: Future<Output = ()> + Send + 'static,
    {
        let told = Arc::<Mutex<Vec<Delivery>>>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let note = told.clone();
        let hand_over = move |delivery: Delivery| -> BoxFuture<'static, BoxFuture<'static, ()>> {
            // The store itself tells of rooms; only messages are looked at here.
            if delivery.message().is_none() {
                return Box::pin(ready(Box::pin(ready(())) as BoxFuture<'static, ()>));
            }
            let (note, handing) = (note.clone(), hand_over(delivery.clone()));
            Box::pin(handing.map(move |completion| {
                note.lock().expect("no panic").push(delivery);
                Box::pin(completion) as BoxFuture<'static, ()>
            }))
        };
        let (outbox, store) = (outbox.clone(), store.clone());
        let task = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            outbox.run(store, hand_over, stopped, Duration::from_millis(200)).await;
        });
        Self { told, stop, task }
    }

    fn told(&self) -> Vec<Delivery> {
        self.told.lock().expect("no panic").clone()
    }

    async fn wait_for(&self, count: usize) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while self.told().len() < count {
                sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "told {} of {count}", self.told().len());
    }

    async fn stop(self) -> Vec<Delivery> {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic");
        Arc::into_inner(self.told).expect("all ended").into_inner().expect("no panic")
    }
}

async fn ok(_: Delivery) {}

async fn open(place: &Place) -> (Outbox, Bench) {
    let outbox = Outbox::new();
    let bench = Bench::with_outbox(place.open(), Arc::<Ends>::default(), Arc::new(outbox.clone())).await;
    (outbox, bench)
}

#[track_caller]
fn row(delivery: &Delivery) -> &StoredRow {
    &delivery.message().expect("a message").row
}

/// Each message once, and those of each room in their order.
#[track_caller]
fn check(told: &[Delivery], expected: usize) {
    let ids: HashSet<MessageId> = told.iter().map(|delivery| row(delivery).id).collect();
    assert_eq!((told.len(), ids.len()), (expected, expected));
    check_order(told);
}

/// How many messages will be told at the next start.
async fn left(store: &Store) -> usize {
    let finished = store.outbox_finished().await.expect("reads");
    let left = store.outbox_after(finished, u32::MAX).await.expect("reads");
    left.iter().filter(|delivery| delivery.message().is_some()).count()
}

/// So many messages are not done: they will be told again at the next start, the others not.
async fn check_finished(store: &Store, open: usize) {
    assert_eq!(left(store).await, open);
}

#[track_caller]
fn check_order(told: &[Delivery]) {
    let mut last = HashMap::new();
    for delivery in told {
        let row = row(delivery);
        let before = last.insert(row.room_id, row.seq);
        assert!(before.is_none_or(|before| before < row.seq), "{} after {before:?}", row.seq);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_told_as_they_were_committed() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let running = Running::start(&outbox, &bench.store, ok);
    let rooms = [bench.room("one").await, bench.room("two").await];
    join_all((0..600).map(|number| bench.post(rooms[number % 2], "hello"))).await;
    running.wait_for(600).await;
    check(&running.stop().await, 600);
    check_finished(&bench.store, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_process_did_not_tell_is_told_first() {
    let place = Place::new();
    let (_, first) = open(&place).await;
    let room = first.room("general").await;
    join_all((0..700).map(|_| first.post(room, "before"))).await;
    // The process dies.
    std::mem::forget(first);

    let (outbox, second) = open(&place).await;
    // Some are posted before the outbox runs: they wait behind the old ones.
    join_all((0..5).map(|_| second.post(room, "after"))).await;
    let running = Running::start(&outbox, &second.store, ok);
    running.wait_for(705).await;
    join_all((0..5).map(|_| second.post(room, "live"))).await;
    running.wait_for(710).await;
    check(&running.stop().await, 710);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_finished_is_told_again_and_what_was_is_not() {
    let place = Place::new();
    let (outbox, first) = open(&place).await;
    let (good, stuck) = (first.room("good").await, first.room("stuck").await);
    let running = Running::start(&outbox, &first.store, move |delivery: Delivery| async move {
        if row(&delivery).room_id == stuck {
            std::future::pending::<()>().await;
        }
    });
    join_all((0..10).map(|_| first.post(good, "told"))).await;
    running.wait_for(10).await;
    join_all((0..10).map(|_| first.post(stuck, "not told"))).await;
    join_all((0..3).map(|_| first.post(good, "told behind one that is not"))).await;
    running.wait_for(13).await;
    // A room that is stuck holds no other one up, and the stop does not wait for it for ever.
    check(&running.stop().await, 13);
    first.store.close().await;

    let (outbox, second) = open(&place).await;
    let running = Running::start(&outbox, &second.store, ok);
    running.wait_for(13).await;
    let told = running.stop().await;
    check(&told, 13);
    assert_eq!(told.iter().filter(|delivery| row(delivery).room_id == stuck).count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_of_a_room_is_handed_over_at_a_time() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let rooms = [bench.room("one").await, bench.room("two").await];
    let now = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let together = Arc::new(AtomicUsize::new(0));
    let running = Running::start(&outbox, &bench.store, {
        let (now, together) = (now.clone(), together.clone());
        move |delivery: Delivery| {
            let (now, together) = (now.clone(), together.clone());
            async move {
                let room = usize::from(row(&delivery).room_id == rooms[1]);
                assert_eq!(now[room].fetch_add(1, Ordering::SeqCst), 0, "another one of the room is being handed over");
                together.fetch_max(now.iter().map(|now| now.load(Ordering::SeqCst)).sum(), Ordering::SeqCst);
                // Later ones take less time, so that they would overtake.
                sleep(Duration::from_millis(20 / row(&delivery).seq)).await;
                now[room].fetch_sub(1, Ordering::SeqCst);
            }
        }
    });
    join_all((0..40).map(|number| bench.post(rooms[number % 2], "hello"))).await;
    running.wait_for(40).await;
    check(&running.stop().await, 40);
    assert_eq!(together.load(Ordering::SeqCst), 2, "but of two rooms two");
}

/// Starts one that hands over at once, and is done with a message only when told to go.
fn start_slow(outbox: &Outbox, bench: &Bench) -> (Running, watch::Sender<bool>) {
    let (go, going) = watch::channel(false);
    let running = Running::start_in_steps(outbox, &bench.store, move |_| {
        let mut going = going.clone();
        ready(async move {
            let _ = going.wait_for(|going| *going).await;
        })
    });
    (running, go)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_on_while_plugins_are_at_a_message() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let room = bench.room("general").await;
    let (running, go) = start_slow(&outbox, &bench);
    join_all((0..50).map(|_| bench.post(room, "hello"))).await;
    running.wait_for(50).await;
    sleep(SAVE_AFTER * 2).await;
    check_finished(&bench.store, 50).await;
    go.send(true).expect("it listens");
    check(&running.stop().await, 50);
    check_finished(&bench.store, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plugins_are_at_when_it_stops_is_told_again() {
    let place = Place::new();
    let (outbox, first) = open(&place).await;
    let room = first.room("general").await;
    let (running, _go) = start_slow(&outbox, &first);
    join_all((0..5).map(|_| first.post(room, "hello"))).await;
    running.wait_for(5).await;
    running.stop().await;
    first.store.close().await;

    let (outbox, second) = open(&place).await;
    let running = Running::start(&outbox, &second.store, ok);
    running.wait_for(5).await;
    check(&running.stop().await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_messages_are_under_way() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let room = bench.room("general").await;
    let (running, go) = start_slow(&outbox, &bench);
    // The first one has the store remember who may write, so that the others do not all ask at once.
    bench.post(room, "hello").await;
    join_all((1..TAKEN + 50).map(|_| bench.post(room, "hello"))).await;
    running.wait_for(TAKEN).await;
    sleep(SAVE_AFTER).await;
    assert_eq!(running.told().len(), TAKEN);
    go.send(true).expect("it listens");
    running.wait_for(TAKEN + 50).await;
    check(&running.stop().await, TAKEN + 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_behind_the_hand_over_keeps_nobody_waiting() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let room = bench.room("general").await;
    let running = Running::start_in_steps(&outbox, &bench.store, |delivery: Delivery| {
        ready(async move { assert_ne!(row(&delivery).text, "poison") })
    });
    for text in ["before", "poison", "after"] {
        bench.post(room, text).await;
    }
    running.wait_for(3).await;
    check(&running.stop().await, 3);
    check_finished(&bench.store, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_panics_is_tried_again_in_its_place() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let room = bench.room("general").await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let running = Running::start(&outbox, &bench.store, {
        let attempts = attempts.clone();
        move |delivery: Delivery| {
            let attempts = attempts.clone();
            async move {
                let first_two = row(&delivery).seq == 2 && attempts.fetch_add(1, Ordering::SeqCst) < 2;
                assert!(!first_two, "not now");
            }
        }
    });
    join_all((0..5).map(|_| bench.post(room, "hello"))).await;
    running.wait_for(5).await;
    check(&running.stop().await, 5);
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_panics_each_time_is_left_out() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let room = bench.room("general").await;
    let running = Running::start(&outbox, &bench.store, |delivery: Delivery| async move {
        assert_ne!(row(&delivery).text, "poison");
    });
    bench.post(room, "before").await;
    bench.post(room, "poison").await;
    bench.post(room, "after").await;
    running.wait_for(2).await;
    let told = running.stop().await;
    assert_eq!(told.iter().map(|delivery| &*row(delivery).text).collect::<Vec<_>>(), ["before", "after"]);
    check_finished(&bench.store, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_read_from_the_store() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let rooms = [bench.room("one").await, bench.room("two").await];
    let (go, going) = watch::channel(false);
    let running = Running::start(&outbox, &bench.store, move |_| {
        let mut going = going.clone();
        async move {
            going.wait_for(|going| *going).await.expect("it is told to go");
        }
    });
    // Twelve of them are as large as the queue may be.
    let text = "x".repeat(QUEUE_BYTES / 12);
    for _ in 0..40 {
        bench.post(rooms[0], &text).await;
    }
    let total = TAKEN + QUEUE_MESSAGES + 1000;
    for start in (40..total).step_by(500) {
        join_all((start..total.min(start + 500)).map(|number| bench.post(rooms[number % 2], "hello"))).await;
    }
    {
        let waiting = outbox.queue.waiting();
        assert!(waiting.overflown && waiting.bytes <= QUEUE_BYTES && waiting.deliveries.len() <= QUEUE_MESSAGES);
    }
    go.send(true).expect("it listens");
    running.wait_for(total).await;
    // It is on the fast way again.
    bench.post(rooms[0], "live").await;
    running.wait_for(total + 1).await;
    assert!(!outbox.queue.waiting().overflown);
    check(&running.stop().await, total + 1);
}

/// Processes that die at any moment: every message is told, in its order, and few are told twice.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_over_many_deaths() {
    let seed = u64::from_le_bytes(*MessageId::new().as_bytes().last_chunk().expect("eight bytes"));
    println!("seed {seed:#x}");
    let mut random = seed | 1;
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let place = Place::new();
    let (mut posted, mut told) = (0, Vec::new());
    let mut rooms = Vec::new();
    for round in 0..12 {
        let (outbox, bench) = open(&place).await;
        if rooms.is_empty() {
            rooms = vec![bench.room("one").await, bench.room("two").await, bench.room("three").await];
        }
        let delay = below(3);
        let running = Running::start(&outbox, &bench.store, move |_| async move {
            sleep(Duration::from_millis(delay)).await;
        });
        let count = below(120);
        join_all((0..count).map(|number| bench.post(rooms[number as usize % 3], "hello"))).await;
        posted += count as usize;
        sleep(Duration::from_millis(below(150))).await;
        // Without a stop: what is in memory is gone.
        running.task.abort();
        let _ = running.task.await;
        let this_time = running.told.lock().expect("no panic").clone();
        check_order(&this_time);
        told.extend(this_time);
        assert!(left(&bench.store).await <= posted, "round {round}");
    }
    let (outbox, bench) = open(&place).await;
    let left = left(&bench.store).await;
    let running = Running::start(&outbox, &bench.store, ok);
    running.wait_for(left).await;
    let last = running.stop().await;
    check(&last, left);
    told.extend(last);
    let ids: HashSet<MessageId> = told.iter().map(|delivery| row(delivery).id).collect();
    assert_eq!(ids.len(), posted, "seed {seed:#x}");
    check_finished(&bench.store, 0).await;
}

#[tokio::test]
async fn enqueueing_never_waits() {
    let place = Place::new();
    let (outbox, bench) = open(&place).await;
    let room = bench.room("general").await;
    bench.post(room, "hello").await;
    let stored = bench.store.outbox_after(0, 9).await.expect("reads");
    let delivery = stored.last().expect("the message").clone();
    for number in delivery.outbox_id + 1..2 * QUEUE_MESSAGES as u64 {
        outbox.enqueue(Delivery { outbox_id: number, ..delivery.clone() });
    }
    assert_eq!(outbox.queue.waiting().deliveries.len(), QUEUE_MESSAGES);
}
