//! From start to the first good answer, and memory at rest, beside axum with rusqlite and nothing else. Run it with
//! `cargo bench --bench start`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;

use std::time::Duration;

use common::process::Start;
use common::{ROUNDS, Table, bare, median};

fn main() {
    if bare::serve_if_asked() {
        return;
    }
    let bundle = Start::bundle("");
    let bare = Start::bare();
    let mut first = Vec::new();
    let mut again = Vec::new();
    let mut limit = Vec::new();
    for _ in 0..ROUNDS {
        limit.push(bare.start().ready);
        let process = bundle.start();
        first.push(process.ready);
        again.push(bundle.start_in(process.end()).ready);
    }
    let milliseconds = |times: Vec<Duration>| median(times.iter().map(|time| time.as_secs_f64() * 1e3).collect());
    let limit = milliseconds(limit);
    let mut table = Table::new("start to the first 200", "ms");
    table.row("first start, empty directory", milliseconds(first), limit, "");
    table.row("next start", milliseconds(again), limit, "<= 3, and within 10 ms with 50 plugins");
    table.print();

    let at_rest = |start: &Start| {
        let process = start.start();
        std::thread::sleep(Duration::from_secs(1));
        process.resident()
    };
    let mut table = Table::new("memory at rest", "MiB");
    table.row("default bundle", at_rest(&bundle), at_rest(&bare), "<= 3, and <= 12 MiB");
    table.print();
}
