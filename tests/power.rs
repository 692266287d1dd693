//! Fault 49, the power goes under load: what was not synced is lost or torn, and all the same every acknowledged message is
//! there, none twice, order kept. Rounds: `PLEXICHAT_POWER_CUTS` (100 where nothing is set). The disk is
//! `tests/fixtures/bundle/src/power.rs`.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Instant;

use crate::kill::{CLIENTS, ROOMS, Sender, settled};
use crate::support::history::{Sent, Told, Violation, check};
use crate::support::load::UNLIMITED;
use crate::support::seed::Seed;
use crate::support::server::Failed;
use crate::support::{Setup, bundle};

/// The most writes and syncs until a cut: enough for the log to be written back to the database now and then.
const OPERATIONS: u64 = 2000;

/// What came of some rounds.
struct Outcome {
    sent: Vec<Sent>,
    violations: Vec<Violation>,
    /// Cuts before the server listened.
    early: u64,
    held: usize,
    /// What the server said that would not start any more.
    refused: Option<String>,
}

/// Whether the disk of the test ended it: nothing else aborts.
fn is_cut(ended: &Failed) -> bool {
    ended.status.signal() == Some(rustix::process::Signal::ABORT.as_raw())
}

async fn cuts(rounds: u64, mut seed: Seed, mode: &str) -> Outcome {
    let clock = Instant::now();
    let setup = Setup::of(bundle::fixtures()).config(UNLIMITED);
    let server = setup.start();
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(server.client().room(&format!("room-{number}")).await);
    }
    let rooms = Arc::new(rooms);
    assert!(server.stop().status.success());
    let mut senders: Vec<Sender> =
        (0..CLIENTS).map(|number| Sender::new(number, Seed::new(seed.below(u64::MAX)))).collect();
    let mut outcome = Outcome { sent: Vec::new(), violations: Vec::new(), early: 0, held: 0, refused: None };
    for round in 0..rounds {
        let plan = format!("{}:{}{mode}", seed.below(u64::MAX), 1 + seed.below(OPERATIONS));
        let server = match setup.clone().environment("PLEXICHAT_POWER", &plan).try_start() {
            Ok(server) => server,
            Err(failed) if is_cut(&failed) => {
                outcome.early += 1;
                continue;
            }
            Err(failed) => {
                outcome.refused = Some(format!("round {round}, {plan}: {}", failed.stderr));
                break;
            }
        };
        let client = server.client();
        let running: Vec<_> =
            senders.drain(..).map(|sender| tokio::spawn(sender.run(client.clone(), rooms.clone(), clock))).collect();
        for sender in running {
            senders.push(sender.await.unwrap());
        }
        let ended = server.ended();
        assert!(is_cut(&ended), "round {round}, {plan}: {ended:#?}");
    }
    outcome.sent = senders.into_iter().flat_map(|sender| sender.sent).collect();
    if outcome.refused.is_none() {
        match setup.try_start() {
            Ok(server) => {
                let held = settled(&server, &rooms).await;
                outcome.held = held.len();
                outcome.violations = check(&outcome.sent, &held, |text| text.starts_with("/echo "));
            }
            Err(failed) => outcome.refused = Some(failed.stderr),
        }
    }
    outcome
}

/// Cuts the power so many times under load, and checks the history.
pub(crate) async fn survives(rounds: u64) {
    let began = Instant::now();
    let outcome = cuts(rounds, Seed::from_environment(), "").await;
    let acknowledged = outcome.sent.iter().filter(|sent| matches!(sent.told, Told::Stored { .. })).count();
    println!(
        "{rounds} power cuts in {:.1?}, {} of them before the server listened: {acknowledged} acknowledged of {} sent, {} held",
        began.elapsed(),
        outcome.early,
        outcome.sent.len(),
        outcome.held,
    );
    assert_eq!(outcome.refused, None, "the server does not start again");
    assert!(acknowledged as u64 > rounds * 5, "there was hardly any load");
    let violations = &outcome.violations;
    assert!(
        violations.is_empty(),
        "{} violations, such as {:#?}",
        violations.len(),
        &violations[..violations.len().min(5)]
    );
}

/// Fault 49.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_49_a_power_cut_loses_nothing_that_was_acknowledged() {
    let rounds = std::env::var("PLEXICHAT_POWER_CUTS")
        .map_or(100, |rounds| rounds.parse().expect("PLEXICHAT_POWER_CUTS is a number"));
    survives(rounds).await;
}

/// The test above can fail: over a disk whose syncs are lies, as if the store swallowed its errors, messages are lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swallowed_sync_is_caught() {
    for _ in 0..5 {
        let outcome = cuts(3, Seed::from_environment(), ":lying").await;
        if outcome.violations.iter().any(|violation| matches!(violation, Violation::Lost(_))) {
            return;
        }
    }
    panic!("nothing was lost, though nothing was synced");
}
