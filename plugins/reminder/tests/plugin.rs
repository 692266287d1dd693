//! Reminders as people meet them: on the test kit's real host, whose clock stands still until it is moved.

use plexichat::message::{StoredRow, Time};
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_reminder::Reminder;

plexichat::compliance!(Reminder);

/// Monday, half past ten in London.
const MONDAY: &str = "2026-11-23T10:30:00Z";

async fn start(host: TestHost) -> TestResult<RunningPlugin<Reminder>> {
    host.at(Time(MONDAY.parse()?)).start::<Reminder>().await
}

/// Asks as this person, and the answer has this in it.
#[track_caller]
fn check(answer: &StoredRow, part: &str) {
    assert!(answer.text.contains(part), "{:?} has no {part:?}", answer.text);
}

#[plexichat::test]
async fn what_is_wrong_is_said_with_an_example() -> TestResult {
    let plugin = start(TestHost::new().config(json!({ "per_person": 2, "shortest_minutes": 60 }))).await?;
    for (line, part) in [
        ("/remind", "`/remind me in 2 hours to call Ann`"),
        ("/remind Bob", "I find no time in that"),
        ("/remind me today at 9 tea", "has passed"),
        ("/remind me in 2 years tea", "more than a year away"),
        ("/remind me every 30 minutes tea", "60 minutes or more"),
        ("/remind cancel", "`/remind list` shows their numbers"),
        ("/remind cancel 7", "you have no reminder 7"),
    ] {
        check(&plugin.say("ann", line).await?, part);
    }
    let long = format!("/remind me tomorrow {}", "a".repeat(1001));
    check(&plugin.say("ann", &long).await?, "1001 characters");
    plugin.say("ann", "/remind me tomorrow tea").await?;
    plugin.say("ann", "/remind me tomorrow tea").await?;
    check(&plugin.say("ann", "/remind me tomorrow tea").await?, "you have 2 reminders");
    check(&plugin.say("bob", "/remind me tomorrow tea").await?, "Reminder 1");
    Ok(())
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let check = |config: Value, pointer: &str| {
        let problems = (plexichat_reminder::PLEXICHAT_PLUGIN.entry.check_config)(&config);
        let found: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(found, [pointer], "{problems:?}");
    };
    check(json!({ "zone": "Europe/Bielefeld" }), "/zone");
    check(json!({ "morning": "early" }), "/morning");
    check(json!({ "per_person": 0 }), "/per_person");
}
