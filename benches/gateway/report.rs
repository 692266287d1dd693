//! The figures of all rounds as tables, each beside what it is held against, with the goals of this project. Knows no HTTP.

use std::time::Duration;

use crate::MANY;
use crate::common::{Table, median};
use crate::load::{Kind, Measured};
use crate::servers::PIECES;
use crate::targets::{DIRECT, PEER, PLEXICHAT, TYPED};

/// What one target gave.
pub(crate) struct Rounds {
    name: &'static str,
    figures: Vec<(usize, Kind, Figures)>,
}

#[derive(Clone, Copy)]
struct Figures {
    p50: f64,
    p99: f64,
    first_p50: f64,
    per_second: f64,
    /// Microseconds of the processor for each request.
    processor: f64,
}

impl Rounds {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new() }
    }

    pub(crate) fn add(&mut self, connections: usize, kind: Kind, measured: Measured, processor: Duration) {
        let count = measured.whole.len();
        let milliseconds =
            |times: &[Duration], share: f64| times[((count - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let figures = Figures {
            p50: milliseconds(&measured.whole, 0.5),
            p99: milliseconds(&measured.whole, 0.99),
            first_p50: milliseconds(&measured.first, 0.5),
            per_second: count as f64 / measured.elapsed.as_secs_f64(),
            processor: processor.as_secs_f64() * 1e6 / count as f64,
        };
        self.figures.push((connections, kind, figures));
    }

    fn median(&self, connections: usize, kind: Kind, figure: fn(&Figures) -> f64) -> f64 {
        let rounds = self.figures.iter().filter(|(many, which, _)| (*many, *which) == (connections, kind));
        median(rounds.map(|(_, _, figures)| figure(figures)).collect())
    }
}

type Figure = fn(&Figures) -> f64;

/// Prints everything.
pub(crate) fn print(rounds: &[Rounds]) {
    let of = |name: &str| rounds.iter().find(|rounds| rounds.name == name);
    let (direct, typed, ours) = (of(DIRECT).unwrap(), of(TYPED).unwrap(), of(PLEXICHAT).unwrap());
    let shown: [(&str, &'static str, usize, Kind, Figure); 11] = [
        ("one connection, whole answer, p50", "ms", 1, Kind::Plain, |figures| figures.p50),
        ("one connection, whole answer, p99", "ms", 1, Kind::Plain, |figures| figures.p99),
        ("one connection, streamed answer, p50", "ms", 1, Kind::Stream, |figures| figures.p50),
        ("one connection, streamed answer, p99", "ms", 1, Kind::Stream, |figures| figures.p99),
        ("one connection, streamed answer, first byte p50", "ms", 1, Kind::Stream, |figures| figures.first_p50),
        ("32 connections, whole answers", "per second", MANY, Kind::Plain, |figures| figures.per_second),
        ("32 connections, whole answers, p99", "ms", MANY, Kind::Plain, |figures| figures.p99),
        ("32 connections, whole answers, processor", "us each", MANY, Kind::Plain, |figures| figures.processor),
        ("32 connections, streamed answers", "per second", MANY, Kind::Stream, |figures| figures.per_second),
        ("32 connections, streamed answers, p99", "ms", MANY, Kind::Stream, |figures| figures.p99),
        ("32 connections, streamed answers, processor", "us each", MANY, Kind::Stream, |figures| figures.processor),
    ];
    for (title, unit, connections, kind, figure) in shown {
        let mut table = Table::new(format!("{title}; bare is the upstream asked directly"), unit);
        for rounds in rounds {
            let bare = direct.median(connections, kind, figure);
            table.row(rounds.name, rounds.median(connections, kind, figure), bare, "");
        }
        table.print();
    }
    goals(direct, typed, ours, of(PEER));
}

/// The goals D1 to D3.
fn goals(direct: &Rounds, typed: &Rounds, ours: &Rounds, peer: Option<&Rounds>) {
    let added = |rounds: &Rounds| {
        let p50: Figure = |figures| figures.p50;
        rounds.median(1, Kind::Plain, p50) - direct.median(1, Kind::Plain, p50)
    };
    let per_second = |rounds: &Rounds, kind| rounds.median(MANY, kind, |figures| figures.per_second);
    let first = |rounds: &Rounds| rounds.median(1, Kind::Stream, |figures| figures.first_p50);
    let piece = |rounds: &Rounds| rounds.median(MANY, Kind::Stream, |figures| figures.processor) / PIECES as f64;

    let mut table = Table::new("goals: PlexiChat beside the typed proxy", "figure and bare as named");
    table.row("added p50, whole answer, ms", added(ours), added(typed), "figure <= 0.25");
    table.row("first byte p50, ms", first(ours), first(typed), "<= 1.5");
    table.row("whole answers per second", per_second(ours, Kind::Plain), per_second(typed, Kind::Plain), ">= 0.8");
    table.row("streamed answers per second", per_second(ours, Kind::Stream), per_second(typed, Kind::Stream), ">= 0.8");
    table.row("processor per piece, us", piece(ours), piece(typed), "figure <= 13");
    table.print();
    let Some(peer) = peer else {
        println!("\ngoals beside {PEER}: not measured, it took no part");
        return;
    };
    let mut table = Table::new(format!("goals: PlexiChat beside {PEER}"), "figure and bare as named");
    table.row("added p50, whole answer, ms", added(ours), added(peer), "<= 0.02");
    table.row("whole answers per second", per_second(ours, Kind::Plain), per_second(peer, Kind::Plain), ">= 100");
    table.row("streamed answers per second", per_second(ours, Kind::Stream), per_second(peer, Kind::Stream), ">= 50");
    table.print();
}
