//! What the benchmarks share: medians of interleaved rounds, a table with each figure beside its bare limit, processes under
//! test and a load of many connections. Knows no subject.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub(crate) mod bare;
pub(crate) mod broadcast;
pub(crate) mod listeners;
pub(crate) mod load;
pub(crate) mod process;

use std::time::{Duration, Instant};

/// Figures, each beside what the machine gives without us in the same run.
pub(crate) struct Table {
    title: String,
    unit: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    figure: f64,
    bare: f64,
    goal: String,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, unit: &'static str) -> Self {
        Self { title: title.into(), unit, rows: Vec::new() }
    }

    /// A figure and its bare limit. `goal` says what the ratio should be, such as `<= 1.5`.
    pub(crate) fn row(&mut self, name: impl Into<String>, figure: f64, bare: f64, goal: &str) {
        self.rows.push(Row { name: name.into(), figure, bare, goal: goal.to_owned() });
    }

    pub(crate) fn print(&self) {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(24);
        println!("\n{} ({})", self.title, self.unit);
        println!("{:width$}  {:>12}  {:>12}  {:>7}  goal", "", "figure", "bare", "ratio");
        for row in &self.rows {
            let ratio = row.figure / row.bare;
            println!(
                "{:width$}  {:>12}  {:>12}  {:>7}  {}",
                row.name,
                shown(row.figure),
                shown(row.bare),
                format!("{ratio:.2}"),
                row.goal
            );
        }
    }
}

fn shown(figure: f64) -> String {
    match figure {
        figure if figure >= 1000.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

/// The middle of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How many rounds of each kind are run, one kind after the other in turn, so that a slow moment of the machine hits all.
pub(crate) const ROUNDS: usize = 15;

/// About how long one round takes.
const ROUND: Duration = Duration::from_millis(40);

/// Something that is timed: does its work so many times and says how long that took.
pub(crate) struct Candidate<'a> {
    name: String,
    run: Box<dyn FnMut(u64) + 'a>,
    times: u64,
    nanoseconds: Vec<f64>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(name: impl Into<String>, mut run: impl FnMut(u64) + 'a) -> Self {
        let mut times = 8;
        loop {
            let began = Instant::now();
            run(times);
            let took = began.elapsed();
            if took * 4 > ROUND {
                let wanted = times as f64 * ROUND.as_secs_f64() / took.as_secs_f64();
                return Self {
                    name: name.into(),
                    run: Box::new(run),
                    times: (wanted as u64).max(1),
                    nanoseconds: Vec::new(),
                };
            }
            times *= 2;
        }
    }

    fn round(&mut self) {
        let began = Instant::now();
        (self.run)(self.times);
        self.nanoseconds.push(began.elapsed().as_secs_f64() * 1e9 / self.times as f64);
    }
}

/// Runs the candidates in turn; the median nanoseconds of one piece of work of each, by name.
pub(crate) fn in_turn(mut candidates: Vec<Candidate<'_>>) -> Vec<(String, f64)> {
    for _ in 0..ROUNDS {
        for candidate in &mut candidates {
            candidate.round();
        }
    }
    candidates.into_iter().map(|candidate| (candidate.name, median(candidate.nanoseconds))).collect()
}
