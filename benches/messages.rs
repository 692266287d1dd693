//! Durable messages per second over HTTP at 64 connections, beside axum with rusqlite in group commit and nothing else. Run
//! it with `cargo bench --bench messages`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;

use std::process::ExitCode;
use std::time::Duration;

use common::load::{Measured, post_messages};
use common::process::{Process, Start, UNLIMITED, post};
use common::{Table, bare, median};

const CONNECTIONS: usize = 64;
const LENGTH: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;

/// Ten plugins with a handler each: what a message meets in a bundle that is in use.
mod listeners {
    macro_rules! listener {
        ($module:ident, $name:literal) => {
            pub(crate) mod $module {
                use std::sync::atomic::{AtomicU64, Ordering};

                use plexichat::prelude::*;

                /// Counts what it hears.
                #[plexichat::plugin(name = $name, permissions(UserDataAccess))]
                pub(crate) struct Listener(AtomicU64);

                impl Plugin for Listener {
                    type Config = NoConfig;

                    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
                        Ok(Self(AtomicU64::new(0)))
                    }
                }

                #[plexichat::handlers]
                impl Listener {
                    #[on("message_received")]
                    async fn hear(&self, message: &MessageReceived) -> Result<()> {
                        self.0.fetch_add(message.text.len() as u64, Ordering::Relaxed);
                        Ok(())
                    }
                }
            }
        };
    }
    listener!(l0, "listener-0");
    listener!(l1, "listener-1");
    listener!(l2, "listener-2");
    listener!(l3, "listener-3");
    listener!(l4, "listener-4");
    listener!(l5, "listener-5");
    listener!(l6, "listener-6");
    listener!(l7, "listener-7");
    listener!(l8, "listener-8");
    listener!(l9, "listener-9");

    pub(crate) const ALL: &[plexichat::Descriptor] = &[
        l0::PLEXICHAT_PLUGIN,
        l1::PLEXICHAT_PLUGIN,
        l2::PLEXICHAT_PLUGIN,
        l3::PLEXICHAT_PLUGIN,
        l4::PLEXICHAT_PLUGIN,
        l5::PLEXICHAT_PLUGIN,
        l6::PLEXICHAT_PLUGIN,
        l7::PLEXICHAT_PLUGIN,
        l8::PLEXICHAT_PLUGIN,
        l9::PLEXICHAT_PLUGIN,
    ];
}

/// Set where this executable is to be the server with the ten listeners.
const AS_BUNDLE: &str = "BENCHMARK_AS_BUNDLE";

fn main() -> ExitCode {
    if bare::serve_if_asked() {
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(AS_BUNDLE).is_some() {
        return plexichat_server::main(plexichat_server::Bundle {
            name: "plexichat",
            version: env!("CARGO_PKG_VERSION"),
            expected: listeners::ALL,
            config: "",
        });
    }
    let bare = Start::bare();
    let servers = [
        (
            "no plugin enabled",
            Start::bundle(&format!(
                "{UNLIMITED}{}",
                plugins(&["echo", "moderation", "word-filter"], "enabled = false")
            )),
            "",
        ),
        ("default bundle", Start::bundle(UNLIMITED), ""),
        (
            "default bundle, inline",
            Start::bundle(&format!(
                "{UNLIMITED}{}",
                plugins(&["echo", "moderation", "word-filter"], "isolation = \"inline\"")
            )),
            "",
        ),
        ("ten listeners, inline", listening("inline"), ">= 0.85"),
        ("ten listeners, runtime", listening("runtime"), ">= 0.70"),
    ];
    let mut limit = Rounds::default();
    let mut ours: Vec<Rounds> = servers.iter().map(|_| Rounds::default()).collect();
    for _ in 0..ROUNDS {
        limit.add(&bare, "bare");
        for ((_, start, _), rounds) in servers.iter().zip(&mut ours) {
            rounds.add(start, "");
        }
    }
    let title = format!("durable messages over HTTP, {CONNECTIONS} connections");
    type Figure = fn(&Rounds) -> f64;
    let tables: [(&str, &str, Figure); 4] = [
        ("", "per second", |rounds| median(rounds.per_second.clone())),
        (", answer time p50", "ms", |rounds| median(rounds.p50.clone())),
        (", answer time p99", "ms", |rounds| median(rounds.p99.clone())),
        (", processor time of the server", "us per message", |rounds| median(rounds.processor.clone())),
    ];
    for (what, unit, figure) in tables {
        let mut table = Table::new(format!("{title}{what}"), unit);
        for ((name, _, goal), rounds) in servers.iter().zip(&ours) {
            table.row(*name, figure(rounds), figure(&limit), if what.is_empty() { goal } else { "" });
        }
        table.print();
    }
    ExitCode::SUCCESS
}

/// A section of settings for each of these plugins.
fn plugins(names: &[&str], setting: &str) -> String {
    names.iter().map(|name| format!("[plugins.{name}]\n{setting}\n")).collect()
}

fn listening(isolation: &str) -> Start {
    let names: Vec<&str> = listeners::ALL.iter().map(|plugin| plugin.name).collect();
    let setting = format!("enabled = true\ngrant = [\"user_data_access\"]\nisolation = \"{isolation}\"");
    let config = format!("{UNLIMITED}{}", plugins(&names, &setting));
    let start = Start::server(&std::env::current_exe().unwrap(), &[], &config);
    start.environment(AS_BUNDLE, "1")
}

/// What a server gave in each round.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    processor: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, start: &Start, bare_room: &str) {
        let process = start.start();
        let room = if bare_room.is_empty() { make_room(&process) } else { bare_room.to_owned() };
        let token = process.token();
        post_messages(process.address, &token, &room, CONNECTIONS, LENGTH / 8);
        let before = process.processor_time();
        let Measured { per_second, p50, p99, count } =
            post_messages(process.address, &token, &room, CONNECTIONS, LENGTH);
        let used = process.processor_time() - before;
        self.per_second.push(per_second);
        self.p50.push(p50.as_secs_f64() * 1e3);
        self.p99.push(p99.as_secs_f64() * 1e3);
        self.processor.push(used.as_secs_f64() * 1e6 / count as f64);
    }
}

fn make_room(process: &Process) -> String {
    let answer = post(process.address, &process.token(), "/api/v1/rooms", "{\"name\":\"benchmark\"}");
    let (_, after) = answer.split_once("\"id\":\"").unwrap_or_else(|| panic!("{answer}"));
    after[..36].to_owned()
}
