//! Trust in the history checker: good histories pass, hand-made bad ones do not, and seven broken servers are caught.

use super::history::{Held, Sent, Told, Violation, check};
use super::seed::Seed;

fn sent(client: usize, number: u64, began: u64, ended: u64, seq: Option<u64>) -> Sent {
    let told = seq.map_or(Told::Nothing, |seq| Told::Stored { id: format!("id-{number}"), seq });
    Sent { client, room: 0, key: format!("key-{number}"), text: format!("text-{number}"), began, ended, told }
}

fn held(number: u64, seq: u64) -> Held {
    let (id, text) = (format!("id-{number}"), format!("text-{number}"));
    Held { room: 0, seq, id, text, answers: None, by_plugin: false }
}

fn answer(to: u64, seq: u64) -> Held {
    let text = format!("answer to {to}");
    Held { room: 0, seq, id: format!("answer-{seq}"), text, answers: Some(format!("id-{to}")), by_plugin: true }
}

/// The kinds of violation, by name.
#[track_caller]
fn verdict(sent: &[Sent], held: &[Held], commands: bool, expected: &[&str]) {
    let found = check(sent, held, |_| commands);
    let kinds: Vec<String> = found.iter().map(kind).collect();
    assert_eq!(kinds, expected, "{found:#?}");
}

fn kind(violation: &Violation) -> String {
    format!("{violation:?}").split('(').next().unwrap().to_owned()
}

#[test]
fn a_good_history_has_no_violation() {
    let history = [sent(0, 1, 0, 1, Some(1)), sent(0, 2, 2, 3, Some(2)), sent(1, 3, 0, 9, None)];
    verdict(&history, &[held(1, 1), held(2, 2)], false, &[]);
    // What nobody was told of may be there or not.
    verdict(&history, &[held(1, 1), held(3, 2), held(2, 3)][..1], false, &["Lost"]);
    let late = [sent(0, 1, 0, 1, Some(1)), sent(0, 2, 2, 3, Some(3)), sent(1, 3, 0, 9, None)];
    verdict(&late, &[held(1, 1), held(3, 2), held(2, 3)], false, &[]);
    verdict(&[sent(0, 1, 0, 1, Some(1))], &[held(1, 1), answer(1, 2)], true, &[]);
}

#[test]
fn each_kind_of_bad_history_is_named() {
    let one = [sent(0, 1, 0, 1, Some(1))];
    verdict(&one, &[], false, &["Lost"]);
    verdict(&one, &[held(1, 1), held(1, 2)], false, &["Twice"]);
    verdict(&one, &[held(1, 1), held(7, 2)], false, &["Phantom"]);
    verdict(&one, &[held(1, 2)], false, &["Gap", "Differs"]);
    verdict(&one, &[Held { id: "other".to_owned(), ..held(1, 1) }], false, &["Differs"]);
    verdict(&one, &[held(1, 1)], true, &["Unanswered"]);
    verdict(&one, &[held(1, 1), answer(1, 2), answer(1, 3)], true, &["AnsweredTwice"]);
    verdict(&one, &[held(1, 1), answer(9, 2)], false, &["Phantom"]);
    let refused = [Sent { told: Told::Refused, ..sent(0, 1, 0, 1, None) }];
    verdict(&refused, &[held(1, 1)], false, &["Phantom"]);
    let swapped = [sent(0, 1, 0, 1, Some(2)), sent(1, 2, 2, 3, Some(1))];
    verdict(&swapped, &[held(2, 1), held(1, 2)], false, &["Reordered"]);
    let overlapping = [sent(0, 1, 0, 5, Some(2)), sent(1, 2, 2, 3, Some(1))];
    verdict(&overlapping, &[held(2, 1), held(1, 2)], false, &[]);
}

/// What a broken server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Acknowledges before it has committed, so that a crash loses what was acknowledged.
    AckBeforeCommit,
    /// Forgets, when it starts again, a message that it had committed.
    DropsOnRestart,
    /// Goes on as if nothing were when the disk says that it did not store a batch.
    SwallowsSyncErrors,
    /// Forgets the key when the client asks again after a crash.
    StoresTwice,
    /// Numbers the batch backwards.
    Reorders,
    /// Stores what it refused.
    StoresRefused,
    /// Takes a number for a message that it then does not store.
    LeavesGaps,
}

/// A server of one room in memory, that commits in batches and loses what is not committed when it crashes.
struct Model {
    fault: Fault,
    committed: Vec<Held>,
    batch: Vec<Held>,
    next: u64,
}

impl Model {
    fn post(&mut self, number: u64, seed: &mut Seed) -> Told {
        let text = format!("text-{number}");
        let known = self.committed.iter().chain(&self.batch).find(|held| held.text == text);
        if let Some(known) = known.filter(|_| self.fault != Fault::StoresTwice) {
            return Told::Stored { id: known.id.clone(), seq: known.seq };
        }
        let refused = seed.one_in(7);
        if self.fault == Fault::LeavesGaps && refused {
            self.next += 1;
        }
        if refused && self.fault != Fault::StoresRefused {
            return Told::Refused;
        }
        let seq = self.next;
        self.next += 1;
        self.batch.push(Held { id: format!("id-{number}-{seq}"), ..held(number, seq) });
        if refused {
            return Told::Refused;
        }
        Told::Stored { id: format!("id-{number}-{seq}"), seq }
    }

    fn commit(&mut self) {
        // Every few batches the disk fails; a right server then ends and has acknowledged nothing, so that here only the
        // wrong one meets it.
        if self.fault == Fault::SwallowsSyncErrors && self.committed.len() % 7 == 6 {
            self.batch.clear();
            return;
        }
        self.committed.append(&mut self.batch);
    }

    fn crash(&mut self) {
        self.batch.clear();
        if self.fault == Fault::DropsOnRestart {
            self.committed.pop();
        }
        self.next = self.committed.iter().map(|held| held.seq).max().unwrap_or(0) + 1;
    }
}

fn run(fault: Fault, seed: u64) -> Vec<Violation> {
    let mut seed = Seed::new(seed);
    let mut model = Model { fault, committed: Vec::new(), batch: Vec::new(), next: 1 };
    let mut history = Vec::new();
    for number in 0..60 {
        let began = number * 10;
        let mut told = model.post(number, &mut seed);
        let crashes = seed.one_in(6);
        if fault != Fault::AckBeforeCommit || seed.one_in(3) {
            if crashes && seed.one_in(2) {
                // Down before the commit: the client hears nothing and asks again.
                model.crash();
                told = model.post(number, &mut seed);
            }
            model.commit();
        }
        if crashes {
            model.crash();
            // Down after the commit, before the answer: the client asks again with the same key.
            if told != Told::Refused && fault != Fault::AckBeforeCommit {
                told = model.post(number, &mut seed);
                model.commit();
            }
        }
        history.push(Sent { told, ..sent(0, number, began, began + 5, None) });
    }
    model.commit();
    if fault == Fault::Reorders {
        let count = model.committed.len();
        for pair in 0..count / 2 {
            let (left, right) = (model.committed[pair].seq, model.committed[count - 1 - pair].seq);
            model.committed[pair].seq = right;
            model.committed[count - 1 - pair].seq = left;
        }
        // It tells its clients the same wrong order, so that only the order gives it away.
        for message in &mut history {
            let held = model.committed.iter().find(|held| held.text == message.text);
            if let (Told::Stored { seq, .. }, Some(held)) = (&mut message.told, held) {
                *seq = held.seq;
            }
        }
    }
    check(&history, &model.committed, |_| false)
}

#[track_caller]
fn caught(fault: Fault, expected: &str) {
    let missed: Vec<u64> =
        (0..50).filter(|seed| !run(fault, *seed).iter().any(|violation| kind(violation) == expected)).collect();
    assert!(missed.is_empty(), "{fault:?} is not caught as {expected} with the seeds {missed:?}");
}

#[test]
fn a_right_server_passes() {
    for seed in 0..50 {
        assert_eq!(run(Fault::None, seed), [], "seed {seed}");
    }
}

#[test]
fn an_acknowledgement_before_the_commit_is_caught() {
    caught(Fault::AckBeforeCommit, "Lost");
}

#[test]
fn a_message_dropped_at_a_restart_is_caught() {
    caught(Fault::DropsOnRestart, "Lost");
}

#[test]
fn a_swallowed_error_of_the_disk_is_caught() {
    caught(Fault::SwallowsSyncErrors, "Lost");
}

#[test]
fn a_message_stored_twice_is_caught() {
    caught(Fault::StoresTwice, "Twice");
}

#[test]
fn a_changed_order_is_caught() {
    caught(Fault::Reorders, "Reordered");
}

#[test]
fn a_phantom_is_caught() {
    caught(Fault::StoresRefused, "Phantom");
}

#[test]
fn a_gap_is_caught() {
    caught(Fault::LeavesGaps, "Gap");
}
