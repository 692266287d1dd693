//! The pipeline from outside: what scanners say, how they fail, and what becomes of the message in each case.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use plexichat::descriptor::{FailMode, Hook};
use plexichat::message::MessageState;
use plexichat::pipeline::Refusal;
use plexichat::settings::HookSettings;
use plexichat::testing::{TestHost, TestResult};

/// What a scanner does with a message that says `NAME:reject`, `NAME:error` and so on.
async fn obey(name: &str, text: &str) -> Result<plexichat::message::Verdict, plexichat::message::ScanError> {
    use plexichat::message::{Finding, ScanError, Verdict};
    let order = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
    match order {
        None => Ok(Verdict::Allow),
        Some("flag") => Ok(Verdict::Flag(Finding::new("flagged"))),
        Some("hold") => Ok(Verdict::Quarantine(Finding::new("held"))),
        Some("reject") => Ok(Verdict::Reject(Finding::new("refused"))),
        Some("late-reject") => {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            Ok(Verdict::Reject(Finding::new("refused late")))
        }
        Some("error") => Err(ScanError::Unavailable("its database is away".to_owned())),
        Some("panic") => panic!("told to"),
        Some("hang") => std::future::pending().await,
        Some(order) => panic!("the test orders {order:?}"),
    }
}

mod strict {
    use plexichat::prelude::*;

    /// Closed, as every scanner is unless it says otherwise; rewrites what it is told to.
    #[plexichat::plugin(
        name = "strict",
        provides(Security),
        scan_message(timeout = "100ms"),
        rewrite_message(timeout = "100ms")
    )]
    pub(crate) struct Strict;

    impl Plugin for Strict {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Strict {
        async fn rewrite_message(&self, message: &MessageView<'_>) -> Result<Option<MessagePatch>, ScanError> {
            if message.text.contains("rewrite:error") {
                return Err(ScanError::Internal("told to".to_owned()));
            }
            let text = message.text.replace("rewrite:reject", "strict:reject").replace("rewrite:away", "");
            Ok((text != message.text).then(|| MessagePatch::text(text)))
        }

        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            super::obey("strict", message.text).await
        }
    }
}

mod lenient {
    use plexichat::prelude::*;

    /// May be open where the operator says so too.
    #[plexichat::plugin(name = "lenient", provides(Security), scan_message(timeout = "100ms", on_error = "open"))]
    pub(crate) struct Lenient;

    impl Plugin for Lenient {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Lenient {
        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            super::obey("lenient", message.text).await
        }
    }
}

use lenient::Lenient;
use strict::Strict;

/// Posts a text past both scanners: the state it is stored in, or the code it is refused with. What is refused leaves
/// nothing behind.
#[track_caller]
fn check(text: &'static str, expected: Result<MessageState, &'static str>) {
    plexichat::testing::run(async move {
        let host = TestHost::new().beside::<Lenient>().start::<Strict>().await.unwrap();
        let found = host.post("alice", text).await;
        let stored = host.messages().len();
        match (&found, expected) {
            (Ok(outcome), Ok(state)) => assert_eq!(outcome.row.state, state, "{text:?}"),
            (Err(refusal), Err(code)) => assert_eq!(refusal.code(), code, "{text:?}: {refusal}"),
            _ => panic!("{text:?} gave {found:?}, expected {expected:?}"),
        }
        assert!(found.is_ok() || stored == 0, "{text:?} was refused and stored");
    });
}

#[test]
fn the_strictest_verdict_counts() {
    check("hello", Ok(MessageState::Stored));
    check("strict:flag", Ok(MessageState::Stored));
    check("strict:flag lenient:hold", Ok(MessageState::Quarantined));
    check("strict:hold lenient:reject", Err("rejected"));
    check("strict:flag lenient:reject", Err("rejected"));
}

#[test]
fn a_scanner_that_fails_keeps_the_message_out() {
    check("strict:error", Err("scanner_unavailable"));
    check("strict:panic", Err("scanner_unavailable"));
    check("strict:hang", Err("scanner_unavailable"));
    check("rewrite:error", Err("scanner_unavailable"));
    // Open in its attribute is not enough: the operator did not say so.
    check("lenient:error", Err("scanner_unavailable"));
    // What one scanner rejects stays rejected, whichever other fails, and whichever of the two is first.
    check("strict:error lenient:late-reject", Err("rejected"));
}

#[test]
fn scanners_see_what_would_be_stored() {
    check("rewrite:reject", Err("rejected"));
    check("rewrite:away hello", Ok(MessageState::Stored));
    check("rewrite:away", Err("invalid_message"));
}

#[plexichat::test]
async fn open_needs_the_operator_too() -> TestResult {
    let open = |settings: &mut plexichat::settings::PluginSettings| {
        let mut hook = HookSettings::default();
        hook.on_error = Some(FailMode::Open);
        settings.hooks.insert(Hook::ScanMessage, hook);
    };
    let lenient = TestHost::new().settings(open).start::<Lenient>().await?;
    assert_eq!(lenient.post("alice", "lenient:error").await?.row.state, MessageState::Unscanned);
    assert_eq!(lenient.post("alice", "lenient:panic").await?.row.state, MessageState::Unscanned);
    // The plugin itself must say so, too.
    let strict = TestHost::new().settings(open).start::<Strict>().await?;
    assert_eq!(strict.post("alice", "strict:error").await.unwrap_err().code(), "scanner_unavailable");
    Ok(())
}

#[plexichat::test]
async fn the_operator_may_hold_back_instead() -> TestResult {
    let hold = |settings: &mut plexichat::settings::PluginSettings| {
        let mut hook = HookSettings::default();
        hook.on_error = Some(FailMode::Quarantine);
        settings.hooks.insert(Hook::ScanMessage, hook);
    };
    let host = TestHost::new().settings(hold).start::<Strict>().await?;
    assert_eq!(host.post("alice", "strict:hang").await?.row.state, MessageState::Quarantined);
    assert!(host.post("alice", "hello").await?.row.state == MessageState::Stored);
    Ok(())
}

#[plexichat::test]
async fn a_rejection_is_told_without_the_text() -> TestResult {
    let host = TestHost::new().start::<Strict>().await?;
    let Refusal::Rejected { plugin, finding } = host.post("alice", "strict:reject secret").await.unwrap_err() else {
        panic!("it is rejected");
    };
    assert_eq!((plugin.as_str(), &*finding.code), ("strict", "refused"));
    let event = host.event("message_rejected").await?;
    assert!(!serde_json::to_string(&event)?.contains("secret"));
    Ok(())
}
