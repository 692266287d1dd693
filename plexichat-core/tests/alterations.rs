//! Edits, deletions, reactions and what is held back, from outside: scanners have their say about an edit as about a new
//! message, and plugins are told what befell it.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use plexichat::id::MessageId;
use plexichat::message::{MessageState, Origin, StoredRow};
use plexichat::pipeline::{Access, Altered, Changed, Edit, Incoming, React, Refusal};
use plexichat::testing::{RunningPlugin, TestHost, TestResult};

mod guard {
    use plexichat::prelude::*;

    /// Obeys what a message says, and answers a command.
    #[plexichat::plugin(
        name = "guard",
        provides(Security),
        permissions(UserDataAccess, PostMessages),
        scan_message(timeout = "100ms"),
        rewrite_message(timeout = "100ms")
    )]
    pub(crate) struct Guard;

    impl Plugin for Guard {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Guard {
        async fn rewrite_message(&self, message: &MessageView<'_>) -> Result<Option<MessagePatch>, ScanError> {
            let text = message.text.replace("darn", "d**n");
            Ok((text != message.text).then(|| MessagePatch::text(text)))
        }

        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            match message.text {
                text if text.contains("!reject") => Ok(Verdict::Reject(Finding::new("refused"))),
                text if text.contains("!hold") => Ok(Verdict::Quarantine(Finding::new("held"))),
                text if text.contains("!flag") => Ok(Verdict::Flag(Finding::new("flagged"))),
                text if text.contains("!error") => Err(ScanError::Unavailable("told to".to_owned())),
                text if text.contains("!panic") => panic!("told to"),
                text if text.contains("!hang") => std::future::pending().await,
                text if text.contains("!edits") && message.edit_of != Some(message.id) => {
                    Ok(Verdict::Reject(Finding::new("new")))
                }
                _ => Ok(Verdict::Allow),
            }
        }
    }

    #[plexichat::handlers]
    impl Guard {
        /// /ping answers.
        #[command("ping")]
        async fn ping(&self, _call: CommandCall) -> Result<CommandReply> {
            Ok(CommandReply::text("pong"))
        }
    }
}

use guard::Guard;

async fn edit(
    host: &RunningPlugin<Guard>,
    person: &str,
    message_id: MessageId,
    text: &str,
) -> Result<Altered, Refusal> {
    let (by, text) = (host.actor(person), text.to_owned());
    let edit = Edit { by, message_id, text, expected_revision: None, origin: Origin::Rest };
    host.host().pipeline.edit(edit).await
}

fn message(host: &RunningPlugin<Guard>, id: MessageId) -> StoredRow {
    host.messages().into_iter().find(|row| row.id == id).unwrap()
}

fn names(host: &RunningPlugin<Guard>) -> Vec<String> {
    host.events().iter().map(|event| event.name.to_string()).filter(|name| name.contains("message")).collect()
}

/// Edits a message to this text: what it says then and its state, or the code of the refusal. What is refused leaves the
/// message as it was.
#[track_caller]
fn check(text: &'static str, expected: Result<(&'static str, MessageState), &'static str>) {
    plexichat::testing::run(async move {
        let host = TestHost::new().start::<Guard>().await.unwrap();
        let posted = host.post("alice", "hello").await.unwrap().row;
        let found = edit(&host, "alice", posted.id, text).await;
        let row = message(&host, posted.id);
        match (&found, expected) {
            (Ok(_), Ok((now, state))) => assert_eq!((&*row.text, row.state, row.revision), (now, state, 2)),
            (Err(refusal), Err(code)) => {
                assert_eq!(refusal.code(), code, "{text:?}: {refusal}");
                assert_eq!((&row, host.changes().len()), (&*posted, 0), "{text:?} was refused");
            }
            _ => panic!("{text:?} gave {found:?}, expected {expected:?}"),
        }
    });
}

#[test]
fn an_edit_is_judged_like_a_new_message() {
    check("well", Ok(("well", MessageState::Stored)));
    check("darn !edits", Ok(("d**n !edits", MessageState::Stored)));
    check("!flag", Ok(("!flag", MessageState::Stored)));
    check("!hold", Ok(("!hold", MessageState::Quarantined)));
    check("!reject", Err("rejected"));
    check("!error", Err("scanner_unavailable"));
    check("!panic", Err("scanner_unavailable"));
    check("!hang", Err("scanner_unavailable"));
    check("", Err("invalid_message"));
    check("a\0b", Err("invalid_message"));
}

#[plexichat::test]
async fn what_is_held_back_is_told_when_it_is_released() -> TestResult {
    let host = TestHost::new().start::<Guard>().await?;
    let held = host.post("alice", "/ping !hold").await?.row;
    host.event("message_quarantined").await?;
    host.idle().await?;
    assert_eq!(names(&host), ["message_quarantined"], "nobody else hears of it");
    assert_eq!(host.messages().len(), 1, "its command waits, too");

    let moderator = host.actor("mo");
    host.store().set_access(host.room(), &moderator, Access::Moderate);
    host.host().pipeline.release(moderator, held.id, Origin::Rest).await?;
    let released = host.event("message_released").await?;
    assert_eq!(&*released.actor.name, "mo");
    host.event("command_executed").await?;
    host.idle().await?;
    let told = names(&host);
    assert_eq!(told[1..4], ["user_message", "message_received", "message_released"], "{told:?}");
    assert!(host.messages().iter().any(|row| row.text == "pong" && row.reply_to == Some(held.id)));
    assert!(matches!(&host.changes()[0].what, Changed::Updated(row) if row.id == held.id));
    Ok(())
}

#[plexichat::test]
async fn nobody_releases_what_they_wrote() -> TestResult {
    let host = TestHost::new().start::<Guard>().await?;
    let held = host.post("alice", "!hold").await?.row;
    let alice = host.actor("alice");
    let refused = host.host().pipeline.release(alice.clone(), held.id, Origin::Rest).await;
    assert_eq!(refused.err(), Some(Refusal::NotJudge));
    host.store().set_access(host.room(), &alice, Access::Moderate);
    let refused = host.host().pipeline.release(alice.clone(), held.id, Origin::Rest).await;
    assert_eq!(refused.err(), Some(Refusal::OwnMessage), "whatever the author is");
    assert_eq!(message(&host, held.id).state, MessageState::Quarantined);
    host.host().pipeline.reject(alice, held.id, Origin::Rest).await?;
    Ok(())
}

#[plexichat::test]
async fn a_flag_is_told_behind_the_message() -> TestResult {
    let host = TestHost::new().start::<Guard>().await?;
    let posted = host.post("alice", "!flag").await?.row;
    host.event("message_flagged").await?;
    edit(&host, "alice", posted.id, "!flag again").await?;
    host.event("message_updated").await?;
    host.idle().await?;
    let expected = ["user_message", "message_received", "message_flagged", "message_updated", "message_flagged"];
    assert_eq!(names(&host), expected);
    Ok(())
}

#[plexichat::test]
async fn edits_deletions_and_reactions_count_like_messages() -> TestResult {
    let host = TestHost::new().start::<Guard>().await?;
    let posted = host.post("alice", "hello").await?.row;
    let mut codes = Vec::new();
    for number in 0..200 {
        let outcome = if number % 2 == 0 {
            edit(&host, "alice", posted.id, "again").await
        } else {
            let (by, emoji) = (host.actor("alice"), "👍".to_owned());
            let react = React { by, message_id: posted.id, emoji, on: number % 4 == 1, origin: Origin::Ws };
            host.host().pipeline.react(react).await
        };
        codes.extend(outcome.err().map(|refusal| refusal.code()));
    }
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == "rate_limited"), "{codes:?}");
    let deleted = host.host().pipeline.delete(host.actor("alice"), posted.id, Origin::Ws).await;
    assert_eq!(deleted.unwrap_err().code(), "rate_limited");
    Ok(())
}

#[plexichat::test]
async fn a_check_says_what_would_become_of_it_and_stores_nothing() -> TestResult {
    let host = TestHost::new().start::<Guard>().await?;
    let check = async |text: &str| {
        let incoming = Incoming {
            author: host.actor("alice"),
            room_id: host.room(),
            text: text.to_owned(),
            reply_to: None,
            attachments: Vec::new(),
            origin: Origin::Scheduled,
            key: None,
            cause_id: None,
            cause_depth: 0,
        };
        host.host().pipeline.check(incoming).await
    };
    assert_eq!(check("hello").await?, MessageState::Stored);
    assert_eq!(check("!hold").await?, MessageState::Quarantined);
    assert_eq!(check("!reject").await.unwrap_err().code(), "rejected");
    assert_eq!(check("!hang").await.unwrap_err().code(), "scanner_unavailable");
    assert!(host.messages().is_empty());
    Ok(())
}
