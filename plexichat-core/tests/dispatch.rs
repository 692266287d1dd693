//! From stored messages to plugins, seen from outside: who waits for whom, and what becomes of an answer that cannot be
//! stored.

#![cfg(feature = "testing")]

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plexichat::event::Event;
use plexichat::message::StoredRow;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use tokio::time::{Instant, sleep};
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

/// How long what is slow takes.
const SLOW: Duration = Duration::from_millis(600);

static BOOM_RUNS: AtomicU32 = AtomicU32::new(0);
static BOOM_SCANS: AtomicU32 = AtomicU32::new(0);

/// The warnings that were logged, as text; this is the whole process's.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct KeepWarnings;

impl Subscriber for KeepWarnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| line.push_str(&format!("{field}={value:?} ")));
        WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

mod slow {
    use std::sync::atomic::Ordering;

    use plexichat::prelude::*;

    /// Slow in its handler and in one of its commands.
    #[plexichat::plugin(name = "slow", permissions(UserDataAccess))]
    pub(crate) struct Slow;

    impl Plugin for Slow {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::handlers]
    impl Slow {
        /// /slow answers late.
        #[command("slow")]
        async fn slow(&self, _call: CommandCall) -> Result<CommandReply> {
            tokio::time::sleep(super::SLOW).await;
            Ok(CommandReply::text("slow"))
        }

        /// /brisk answers at once.
        #[command("brisk")]
        async fn brisk(&self, _call: CommandCall) -> Result<CommandReply> {
            Ok(CommandReply::text("brisk"))
        }

        /// /boom answers what its scanner cannot judge.
        #[command("boom")]
        async fn boom(&self, _call: CommandCall) -> Result<CommandReply> {
            super::BOOM_RUNS.fetch_add(1, Ordering::SeqCst);
            Ok(CommandReply::text("poison"))
        }

        /// /flaky answers what its scanner can judge at the third time.
        #[command("flaky")]
        async fn flaky(&self, _call: CommandCall) -> Result<CommandReply> {
            Ok(CommandReply::text("flaky"))
        }

        #[on("user_message")]
        async fn seen(&self, message: &UserMessage) -> Result<()> {
            if message.text == "dawdle" {
                tokio::time::sleep(super::SLOW).await;
            }
            Ok(())
        }
    }
}

mod quick {
    use plexichat::prelude::*;

    /// Never slow.
    #[plexichat::plugin(name = "quick")]
    pub(crate) struct Quick;

    impl Plugin for Quick {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::handlers]
    impl Quick {
        /// /quick answers at once.
        #[command("quick")]
        async fn quick(&self, _call: CommandCall) -> Result<CommandReply> {
            Ok(CommandReply::text("quick"))
        }
    }
}

mod scanner {
    use std::sync::atomic::{AtomicU32, Ordering};

    use plexichat::prelude::*;

    static FLAKY_SCANS: AtomicU32 = AtomicU32::new(0);

    /// Fails on some texts.
    #[plexichat::plugin(name = "scanner", provides(Security), scan_message(timeout = "5s"))]
    pub(crate) struct Scanner;

    impl Plugin for Scanner {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Scanner {
        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            let fails = match message.text {
                "poison" => super::BOOM_SCANS.fetch_add(1, Ordering::SeqCst) < u32::MAX,
                "flaky" => FLAKY_SCANS.fetch_add(1, Ordering::SeqCst) < 2,
                _ => false,
            };
            if fails { Err(ScanError::Internal("told to".to_owned())) } else { Ok(Verdict::Allow) }
        }
    }
}

use quick::Quick;
use scanner::Scanner;
use slow::Slow;

async fn host() -> TestResult<RunningPlugin<Slow>> {
    TestHost::new().beside::<Quick>().beside::<Scanner>().start().await
}

/// Posts these texts, and waits until all is done: the answers in their order.
async fn answers(host: &RunningPlugin<Slow>, texts: &[&str]) -> TestResult<Vec<String>> {
    for text in texts {
        host.post("alice", text).await?;
    }
    host.idle().await?;
    let is_answer = |row: &StoredRow| row.reply_to.is_some();
    Ok(host.messages().into_iter().filter(is_answer).map(|row| row.text.to_string()).collect())
}

#[plexichat::test]
async fn a_slow_command_delays_its_own_plugin_and_no_other() -> TestResult {
    let found = answers(&host().await?, &["/slow", "/brisk", "/quick"]).await?;
    // `/brisk` is of the slow plugin: its answers keep their order.
    assert_eq!(found, ["quick", "slow", "brisk"]);
    Ok(())
}

#[plexichat::test]
async fn a_slow_handler_delays_nobody() -> TestResult {
    let host = host().await?;
    let began = Instant::now();
    host.post("alice", "dawdle").await?;
    host.post("alice", "/quick").await?;
    while !host.messages().iter().any(|row| row.text == "quick") {
        assert!(began.elapsed() < SLOW, "the command waits for a handler of another plugin");
        sleep(Duration::from_millis(2)).await;
    }
    host.idle().await?;
    assert!(began.elapsed() >= SLOW, "done only when the handler is");
    Ok(())
}

#[plexichat::test]
async fn an_answer_that_breaks_its_scanner_is_given_up() -> TestResult {
    tracing::subscriber::set_global_default(KeepWarnings)?;
    let host = host().await?;
    let found = answers(&host, &["/boom", "/brisk", "/quick"]).await?;
    assert_eq!(found.len(), 2, "all but one: {found:?}");
    assert_eq!(BOOM_RUNS.load(Ordering::SeqCst), 1, "the command is run once");
    assert_eq!(BOOM_SCANS.load(Ordering::SeqCst), 5);
    let told = |event: &&Event| event.name == "user_message";
    assert_eq!(host.events().iter().filter(told).count(), 3, "each message is told once");
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let given_up: Vec<_> = warnings.iter().filter(|line| line.contains("given up")).collect();
    let asked = host.messages().into_iter().find(|row| row.text == "/boom").ok_or("it is stored")?;
    assert_eq!(given_up.len(), 1, "{given_up:?}");
    assert!(given_up[0].contains("plugin=slow") && given_up[0].contains(&asked.id.to_string()), "{given_up:?}");
    Ok(())
}

#[plexichat::test]
async fn an_answer_is_tried_until_its_scanner_is_back() -> TestResult {
    assert_eq!(answers(&host().await?, &["/flaky"]).await?, ["flaky"]);
    Ok(())
}

#[plexichat::test]
async fn what_tells_of_a_command_stands_one_deeper_than_the_message() -> TestResult {
    let host = host().await?;
    host.post("alice", "/quick").await?;
    let (received, executed) = (host.event("message_received").await?, host.event("command_executed").await?);
    assert_eq!((executed.cause_id, executed.cause_depth), (Some(received.id), received.cause_depth + 1));
    Ok(())
}
