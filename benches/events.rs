//! Events per second to 1, 10 and 100 handlers, beside a loop over trait objects where plugins are inline, and beside raw
//! channels to as many threads where each has its own. Run it with `cargo bench --bench events`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;
// Not part of `common`: the plugin in it is linked into every executable that has it.
#[path = "common/plugins.rs"]
mod plugins;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Candidate, Table, in_turn};
use plexichat::event::Event;
use plexichat::settings::IsolationLevel;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};

/// How many events are under way before anybody waits for their handlers.
const IN_FLIGHT: usize = 256;

fn main() {
    let mut rows = Vec::new();
    for handlers in [1, 10, 100] {
        let goal = if handlers == 1 { "<= 3" } else { "<= 1.5" };
        rows.push((format!("inline, {handlers} handlers"), inline(handlers), goal));
    }
    for handlers in [1, 10, 100] {
        rows.push((format!("runtime, {handlers} handlers"), through_mailboxes(handlers), "<= 1.2"));
    }
    let mut each = Table::new("one event to all its handlers", "ns");
    let mut per_second = Table::new("events per second to all their handlers", "per second");
    for (name, (ours, bare), goal) in rows {
        each.row(name.clone(), ours, bare, goal);
        per_second.row(name, 1e9 / ours, 1e9 / bare, "");
    }
    each.print();
    per_second.print();
}

fn host() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn inline(handlers: usize) -> (f64, f64) {
    let host = host();
    let running = host.block_on(plugins::start(handlers, IsolationLevel::Inline));
    let bare = plugins::bare(handlers);
    let event = Arc::new(plugins::event());
    let figures = in_turn(vec![
        Candidate::new("bare", |times| {
            host.block_on(async {
                for _ in 0..times {
                    for handler in &bare {
                        black_box(handler.hear(black_box(&event)).await).unwrap();
                    }
                }
            });
        }),
        Candidate::new("bus", |times| {
            host.block_on(async {
                for _ in 0..times {
                    let completion = running.bus.publish(black_box(&event).clone()).await.unwrap();
                    completion.wait().await;
                }
            });
        }),
    ]);
    (figures[1].1, figures[0].1)
}

fn through_mailboxes(handlers: usize) -> (f64, f64) {
    let host = host();
    let running = host.block_on(plugins::start(handlers, IsolationLevel::Runtime));
    let channels = Channels::start(handlers);
    let event = Arc::new(plugins::event());
    let figures = in_turn(vec![
        Candidate::new("channels", |times| host.block_on(channels.send(&event, times as usize * IN_FLIGHT))),
        Candidate::new("bus", |times| {
            host.block_on(async {
                for _ in 0..times {
                    let mut last = None;
                    for _ in 0..IN_FLIGHT {
                        last = Some(running.bus.publish(event.clone()).await.unwrap());
                    }
                    // Mailboxes keep their order: when the last is answered, all are.
                    last.unwrap().wait().await;
                }
            });
        }),
    ]);
    (figures[1].1 / IN_FLIGHT as f64, figures[0].1 / IN_FLIGHT as f64)
}

/// A runtime with one thread for each handler, and a channel to it.
struct Channels {
    senders: Vec<mpsc::Sender<Arc<Event>>>,
    answered: Arc<AtomicUsize>,
    moved: Arc<Notify>,
    _runtimes: Vec<Runtime>,
}

impl Channels {
    fn start(handlers: usize) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let moved = Arc::new(Notify::new());
        let mut senders = Vec::new();
        let mut runtimes = Vec::new();
        for handler in plugins::bare(handlers) {
            let (sender, mut receiver) = mpsc::channel::<Arc<Event>>(1024);
            let (answered, moved) = (answered.clone(), moved.clone());
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.spawn(async move {
                while let Some(event) = receiver.recv().await {
                    handler.hear(&event).await.unwrap();
                    if (answered.fetch_add(1, Ordering::AcqRel) + 1).is_multiple_of(IN_FLIGHT * handlers) {
                        moved.notify_one();
                    }
                }
            });
            senders.push(sender);
            runtimes.push(runtime);
        }
        Self { senders, answered, moved, _runtimes: runtimes }
    }

    async fn send(&self, event: &Arc<Event>, count: usize) {
        self.answered.store(0, Ordering::Release);
        for _ in 0..count / IN_FLIGHT {
            for _ in 0..IN_FLIGHT {
                for sender in &self.senders {
                    sender.send(event.clone()).await.unwrap();
                }
            }
            self.moved.notified().await;
        }
    }
}
