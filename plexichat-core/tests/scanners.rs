//! Scanners from outside: files, samples that they must object to, rooms that require them, and what is told and counted
//! where one fails.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use plexichat::descriptor::{FailMode, Hook};
use plexichat::message::MessageState;
use plexichat::pipeline::{FileVerdict, RoomPolicy};
use plexichat::settings::{HookSettings, PluginSettings};
use plexichat::standing::Failure;
use plexichat::testing::{Fault, RunningPlugin, TestHost, TestResult, logs};
use serde_json::json;

mod watch {
    use plexichat::prelude::*;

    /// What the scanner looks for.
    #[plexichat::config]
    pub(crate) struct Config {
        /// The word that nobody may write; nothing: it sees nothing any more.
        #[serde(default = "bomb")]
        pub(crate) word: String,
        /// What goes wrong with it: `error`, `panic`, `hang`.
        #[serde(default)]
        pub(crate) mood: String,
    }

    fn bomb() -> String {
        "bomb".to_owned()
    }

    #[plexichat::plugin(
        name = "watch",
        provides(Security),
        scan_message(timeout = "100ms", on_error = "open"),
        scan_file(timeout = "100ms", max_bytes = "64KiB", on_error = "open")
    )]
    pub(crate) struct Watch(Config);

    impl Plugin for Watch {
        type Config = Config;

        async fn initialize(_: Context<Self>, config: Config) -> Result<Self> {
            Ok(Self(config))
        }
    }

    impl Watch {
        async fn judge(&self, text: &[u8]) -> Result<Verdict, ScanError> {
            match &*self.0.mood {
                "error" => return Err(ScanError::Internal("told to".to_owned())),
                "panic" => panic!("told to"),
                "hang" => std::future::pending().await,
                _ => {}
            }
            let word = self.0.word.as_bytes();
            match !word.is_empty() && text.windows(word.len()).any(|part| part == word) {
                true => Ok(Verdict::Reject(Finding::new("word"))),
                false => Ok(Verdict::Allow),
            }
        }
    }

    #[plexichat::role]
    impl Security for Watch {
        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            self.judge(message.text.as_bytes()).await
        }

        async fn scan_file(&self, _: &FileMeta, mut body: FileBody<'_>) -> Result<Verdict, ScanError> {
            let content = body.read_to_end(1 << 20).await?;
            self.judge(&content).await
        }

        fn canaries(&self) -> Vec<Canary> {
            vec![Canary::message("word", "a bomb"), Canary::file("word in a file", "a bomb")]
        }
    }
}

mod reader {
    use plexichat::prelude::*;

    /// Flags every file with its size and its number of pieces, and holds back what begins with `hold`.
    #[plexichat::plugin(name = "reader", provides(Security))]
    pub(crate) struct Reader;

    impl Plugin for Reader {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Reader {
        async fn scan_file(&self, file: &FileMeta, mut body: FileBody<'_>) -> Result<Verdict, ScanError> {
            let mut hold = false;
            while let Some(piece) = body.next().await? {
                hold |= piece.starts_with(b"hold");
            }
            let finding = Finding::new(format!("{} has {} bytes", file.name, body.position()));
            Ok(if hold { Verdict::Quarantine(finding) } else { Verdict::Flag(finding) })
        }
    }
}

use reader::Reader;
use watch::Watch;

/// What an operator says of both hooks.
fn on_error(mode: FailMode) -> impl FnOnce(&mut PluginSettings) {
    move |settings| {
        for hook in [Hook::ScanMessage, Hook::ScanFile] {
            let mut said = HookSettings::default();
            said.on_error = Some(mode);
            settings.hooks.insert(hook, said);
        }
    }
}

fn unavailable(too_large: bool) -> FileVerdict {
    FileVerdict::Unavailable { plugin: "watch".parse().unwrap(), too_large }
}

#[plexichat::test]
async fn every_scanner_reads_a_file_for_itself() -> TestResult {
    let host = TestHost::new().beside::<Reader>().start::<Watch>().await?;
    let report = host.scan_file("large.bin", vec![7; 60_000]).await?;
    assert_eq!(report.verdict, FileVerdict::Clean);
    let [(plugin, finding)] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((plugin.as_str(), &*finding.code), ("reader", "large.bin has 60000 bytes"));
    assert_eq!(report.scans.len(), 2, "{report:?}");
    assert_eq!(host.scan_file("a", "hold this").await?.verdict, FileVerdict::Held);
    let infected = FileVerdict::Infected("watch".parse().unwrap());
    assert_eq!(host.scan_file("a", "hold this bomb").await?.verdict, infected);
    assert_eq!(host.scan_file("empty", "").await?.verdict, FileVerdict::Clean);
    Ok(())
}

/// What becomes of a file that the scanner cannot judge, by its policy.
#[track_caller]
fn check(mode: Option<FailMode>, config: serde_json::Value, bytes: usize, expected: FileVerdict) {
    plexichat::testing::run(async move {
        let host = TestHost::new().config(config);
        let host = match mode {
            Some(mode) => host.settings(on_error(mode)),
            None => host,
        };
        let host = host.start::<Watch>().await.unwrap();
        let report = host.scan_file("a", vec![b' '; bytes]).await.unwrap();
        assert_eq!(report.verdict, expected, "{report:?}");
    });
}

#[test]
fn a_file_that_is_too_large_or_cannot_be_scanned_is_left_to_the_policy() {
    check(None, json!({}), 64 * 1024, FileVerdict::Clean);
    check(None, json!({}), 64 * 1024 + 1, unavailable(true));
    check(Some(FailMode::Quarantine), json!({}), 64 * 1024 + 1, FileVerdict::Held);
    check(Some(FailMode::Open), json!({}), 64 * 1024 + 1, FileVerdict::Unscanned);
    for mood in ["error", "panic", "hang"] {
        check(None, json!({ "mood": mood }), 1, unavailable(false));
        check(Some(FailMode::Quarantine), json!({ "mood": mood }), 1, FileVerdict::Waiting);
        check(Some(FailMode::Open), json!({ "mood": mood }), 1, FileVerdict::Unscanned);
    }
}

#[plexichat::test]
async fn the_operator_may_narrow_how_large_a_file_may_be() -> TestResult {
    let narrow = |bytes: u64| {
        move |settings: &mut PluginSettings| {
            let mut said = HookSettings::default();
            said.max_bytes = Some(bytes);
            settings.hooks.insert(Hook::ScanFile, said);
        }
    };
    let host = TestHost::new().settings(narrow(10)).start::<Watch>().await?;
    assert_eq!(host.scan_file("a", [0; 11]).await?.verdict, unavailable(true));
    let host = TestHost::new().settings(narrow(1 << 40)).start::<Watch>().await?;
    assert_eq!(host.scan_file("a", vec![0; 64 * 1024 + 1]).await?.verdict, unavailable(true));
    Ok(())
}

/// The names of the events that were seen, of those that tell of scanners.
fn told(host: &RunningPlugin<Watch>) -> Vec<String> {
    let events = host.events().into_iter().map(|event| event.name.to_string());
    events.filter(|name| name.starts_with("scan_")).collect()
}

#[plexichat::test]
async fn a_scanner_that_lets_a_sample_pass_counts_as_failed_until_it_objects_again() -> TestResult {
    let host =
        TestHost::new().settings(on_error(FailMode::Closed)).config(json!({"word": ""})).start::<Watch>().await?;
    assert_eq!(host.post("alice", "hello").await.unwrap_err().code(), "scanner_unavailable");
    assert_eq!(host.scan_file("a", "hello").await?.verdict, unavailable(false));
    assert_eq!(host.check_canaries().await.len(), 2);
    assert!(host.messages().is_empty(), "samples are stored nowhere");
    let closed_by = host.host().manager.snapshot().closed_by(Hook::ScanMessage).map(|plugin| plugin.to_string());
    assert_eq!(closed_by.as_deref(), Some("watch"));

    host.reconfigure(json!({})).await?;
    assert_eq!(host.check_canaries().await, []);
    host.post("alice", "hello").await?;
    assert_eq!(host.scan_file("a", "hello").await?.verdict, FileVerdict::Clean);
    host.event("scan_recovered").await?;
    Ok(())
}

#[plexichat::test]
async fn what_is_open_passes_a_blind_scanner_and_is_counted() -> TestResult {
    let host = TestHost::new().settings(on_error(FailMode::Open)).config(json!({"word": ""})).start::<Watch>().await?;
    assert_eq!(host.post("alice", "a bomb").await?.row.state, MessageState::Unscanned);
    let counts = host.host().manager.snapshot().standing().counts();
    let of = |hook: &str| counts.iter().find(|counts| counts.hook == hook).unwrap().clone();
    let messages = of("scan_message");
    assert_eq!((messages.plugin.as_str(), messages.unscanned, messages.calls), ("watch", 1, 0));
    assert!(messages.failures.contains(&(Failure::Canary, 1)), "{messages:?}");
    assert_eq!(of("scan_file").unscanned, 0);
    Ok(())
}

#[plexichat::test]
async fn samples_are_shown_again_each_hour() -> TestResult {
    let host = TestHost::new().settings(on_error(FailMode::Closed)).start::<Watch>().await?;
    let calls = || {
        let running = host.host().manager.snapshot();
        running.plugin(&"watch".parse().unwrap()).unwrap().counters().calls
    };
    let asleep = async || {
        while host.clock().pauses() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    asleep().await;
    let at_start = calls();
    // Named, and two shown; beside what `initialize` counts.
    assert!(at_start >= 3, "{at_start}");
    host.clock().advance(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(20)).await;
    asleep().await;
    assert_eq!(calls(), at_start, "it objected to all of them: there is an hour's time");
    host.clock().advance(Duration::from_secs(60 * 60));
    while calls() < at_start + 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[plexichat::test]
async fn that_a_scanner_fails_and_works_again_is_told_once() -> TestResult {
    let host = TestHost::new().settings(on_error(FailMode::Closed)).start::<Watch>().await?;
    host.post("alice", "hello").await?;
    host.reconfigure(json!({"mood": "error"})).await?;
    let event = host.event("scan_degraded").await?;
    let data = event.data()?;
    assert_eq!((&data["plugin_id"], &data["mode"]), (&json!("watch"), &json!("closed")));
    for _ in 0..3 {
        assert_eq!(host.post("alice", "hello").await.unwrap_err().code(), "scanner_unavailable");
    }
    assert_eq!(host.scan_file("a", "a").await?.verdict, unavailable(false));
    host.reconfigure(json!({})).await?;
    host.event("scan_recovered").await?;
    host.post("alice", "hello").await?;
    host.scan_file("a", "a").await?;
    host.idle().await?;
    assert_eq!(told(&host), ["scan_degraded", "scan_recovered"]);
    Ok(())
}

#[plexichat::test]
async fn a_room_may_require_scanners() -> TestResult {
    // Open, by its own policy and the operator's: in most rooms.
    let host =
        TestHost::new().settings(on_error(FailMode::Open)).config(json!({"mood": "error"})).start::<Watch>().await?;
    let require = |plugins: &[&str]| {
        let required_scanners = plugins.iter().map(|plugin| plugin.parse().unwrap()).collect();
        host.store().set_policy(host.room(), RoomPolicy { required_scanners, ..RoomPolicy::default() });
    };
    assert_eq!(host.post("alice", "hello").await?.row.state, MessageState::Unscanned);
    assert_eq!(host.scan_file("a", "a").await?.verdict, FileVerdict::Unscanned);
    require(&["watch"]);
    assert_eq!(host.post("alice", "hello").await.unwrap_err().code(), "scanner_unavailable");
    assert_eq!(host.scan_file("a", "a").await?.verdict, unavailable(false));
    host.reconfigure(json!({})).await?;
    host.post("alice", "hello").await?;

    // One that nobody has linked, and one that does not run.
    require(&["watch", "no-such-plugin"]);
    let refusal = host.post("alice", "hello").await.unwrap_err();
    assert_eq!(refusal.to_string(), "the rewrite_message hook of `no-such-plugin` is not available");
    require(&["watch"]);
    host.disable().await?;
    assert_eq!(host.post("alice", "hello").await.unwrap_err().code(), "scanner_unavailable");
    assert_eq!(host.scan_file("a", "a").await?.verdict, unavailable(false));
    require(&[]);
    host.post("alice", "hello").await?;
    Ok(())
}

/// A message that is refused because of a scanner is one line in the log, whatever kept the scanner from having its say.
#[plexichat::test]
async fn one_line_for_each_refused_message() -> TestResult {
    logs::keep();
    // Only this test's plugin is called so: others log at the same time.
    let lines = || logs::with("plugin=strict").into_iter().filter(|line| line.starts_with("WARN")).collect::<Vec<_>>();
    let host = TestHost::new().fault("scan_message", Fault::Error).start::<strict::Strict>().await?;
    // The breaker opens meanwhile: from then on the scanner is not asked.
    for refused in 1..=8 {
        assert_eq!(host.post("alice", "hello").await.unwrap_err().code(), "scanner_unavailable");
        let lines = lines();
        assert_eq!(lines.len(), refused, "{lines:#?}");
        let line = lines.last().unwrap();
        assert!(line.contains("scan_message") && line.contains("milliseconds="), "{line}");
    }
    assert!(lines().last().unwrap().contains("is not asked for a while"), "{:?}", lines().last());
    Ok(())
}

mod strict {
    use plexichat::prelude::*;

    /// Has nothing against anything.
    #[plexichat::plugin(name = "strict", provides(Security), scan_message(timeout = "100ms"))]
    pub(crate) struct Strict;

    impl Plugin for Strict {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Strict {
        async fn scan_message(&self, _: &MessageView<'_>) -> Result<Verdict, ScanError> {
            Ok(Verdict::Allow)
        }
    }
}
