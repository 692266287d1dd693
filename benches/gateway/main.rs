//! The gateway: time that it adds and requests per second, plain and streamed in a hundred pieces, on one connection and on
//! 32, beside the same upstream asked directly, through a proxy that only passes on, through one that reads and writes every
//! piece, and through LiteLLM. Run it with `cargo bench --bench gateway`; LiteLLM's proxy takes part where
//! `PLEXICHAT_LITELLM` names its executable (`pip install 'litellm[proxy]'`, then `bin/litellm`).

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

#[path = "../common/mod.rs"]
mod common;
mod load;
mod report;
mod servers;
mod targets;

use std::process::ExitCode;
use std::time::Duration;

use load::Kind;
use report::Rounds;
use targets::Target;

/// How long each target is asked in each round.
const LENGTH: Duration = Duration::from_millis(2500);

/// How often, one target after the other in turn.
const ROUNDS: usize = 3;

/// How many connections ask at once where many do.
const MANY: usize = 32;

fn main() -> ExitCode {
    if servers::serve_if_asked() {
        return ExitCode::SUCCESS;
    }
    let targets = Target::start_all();
    let mut rounds: Vec<Rounds> = targets.iter().map(|target| Rounds::new(target.name)).collect();
    for _ in 0..ROUNDS {
        for (connections, kind) in [(1, Kind::Plain), (1, Kind::Stream), (MANY, Kind::Plain), (MANY, Kind::Stream)] {
            for (target, rounds) in targets.iter().zip(&mut rounds) {
                load::ask(target, kind, connections, LENGTH / 8);
                let before = target.process.processor_time();
                let measured = load::ask(target, kind, connections, LENGTH);
                rounds.add(connections, kind, measured, target.process.processor_time() - before);
            }
        }
    }
    report::print(&rounds);
    ExitCode::SUCCESS
}
