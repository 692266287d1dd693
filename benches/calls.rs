//! A guarded call into a plugin, beside the same call bare: a boxed future where the plugin is inline, a spawn on another
//! runtime where it has its own. Run it with `cargo bench --bench calls`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;
// Not part of `common`: the plugin in it is linked into every executable that has it.
#[path = "common/plugins.rs"]
mod plugins;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use common::{Candidate, Table, in_turn};
use futures_util::future::join_all;
use plexichat::settings::IsolationLevel;
use tokio::runtime::{Builder, Runtime};

use plugins::Running;

const TIMEOUT: Duration = Duration::from_secs(5);

fn main() {
    let host = Builder::new_current_thread().enable_all().build().unwrap();
    let mut table = Table::new("one call", "ns");
    inline(&host, &mut table);
    runtime(&host, 1, &mut table);
    runtime(&host, 64, &mut table);
    table.print();
}

fn inline(host: &Runtime, table: &mut Table) {
    let running = host.block_on(plugins::start(1, IsolationLevel::Inline));
    let plugin = running.handles[0].clone();
    let bare = plugins::bare(1).remove(0);
    let event = Arc::new(plugins::event());
    let figures = in_turn(vec![
        Candidate::new("bare", |times| {
            host.block_on(async {
                for _ in 0..times {
                    black_box(black_box(&bare).hear(black_box(&event)).await).unwrap();
                }
            });
        }),
        Candidate::new("inline, lent", |times| {
            host.block_on(async {
                for _ in 0..times {
                    let call =
                        plugin.inline().unwrap().call("hear", TIMEOUT, |instance| instance.event(0, black_box(&event)));
                    black_box(call.await).unwrap().unwrap();
                }
            });
        }),
        Candidate::new("inline, owned", |times| {
            host.block_on(async {
                for _ in 0..times {
                    black_box(call(&plugin, &event).await).unwrap().unwrap();
                }
            });
        }),
    ]);
    let bare = figures[0].1;
    table.row("inline, arguments lent", figures[1].1, bare, "<= 3");
    table.row("inline, arguments owned", figures[2].1, bare, "");
}

fn runtime(host: &Runtime, in_flight: usize, table: &mut Table) {
    let Running { handles, .. } = &host.block_on(plugins::start(1, IsolationLevel::Runtime));
    let plugin = handles[0].clone();
    let bare = plugins::bare(1).remove(0);
    let other = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let event = Arc::new(plugins::event());
    let figures = in_turn(vec![
        Candidate::new("bare", |times| {
            host.block_on(async {
                for _ in 0..times {
                    let spawn = || {
                        let (bare, event) = (bare.clone(), event.clone());
                        other.spawn(async move { bare.hear(&event).await })
                    };
                    for outcome in join_all((0..in_flight).map(|_| spawn())).await {
                        outcome.unwrap().unwrap();
                    }
                }
            });
        }),
        Candidate::new("runtime", |times| {
            host.block_on(async {
                for _ in 0..times {
                    for outcome in join_all((0..in_flight).map(|_| call(&plugin, &event))).await {
                        outcome.unwrap().unwrap();
                    }
                }
            });
        }),
    ]);
    let each = in_flight as f64;
    table.row(format!("runtime, {in_flight} in flight"), figures[1].1 / each, figures[0].1 / each, "<= 1.3");
}

async fn call(
    plugin: &plexichat::guard::PluginHandle,
    event: &Arc<plexichat::event::Event>,
) -> Result<plexichat::error::Result<()>, plexichat::guard::CallError> {
    let event = event.clone();
    plugin.call("hear", TIMEOUT, move |instance| Box::pin(async move { instance.event(0, &event).await })).await
}
