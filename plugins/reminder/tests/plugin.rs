//! Reminders as people meet them: on the test kit's real host, whose clock stands still until it is moved.

use std::time::Duration;

use plexichat::automation::RunState;
use plexichat::message::{StoredRow, Time};
use plexichat::pipeline::Access;
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_reminder::Reminder;

plexichat::compliance!(Reminder);

/// Monday, half past ten in London.
const MONDAY: &str = "2026-11-23T10:30:00Z";

async fn start(host: TestHost) -> TestResult<RunningPlugin<Reminder>> {
    host.at(Time(MONDAY.parse()?)).start::<Reminder>().await
}

const HOUR: Duration = Duration::from_secs(3600);

/// Asks as this person, and the answer has this in it.
#[track_caller]
fn check(answer: &StoredRow, part: &str) {
    assert!(answer.text.contains(part), "{:?} has no {part:?}", answer.text);
}

/// What was posted as a reminder.
fn reminders(plugin: &RunningPlugin<Reminder>) -> Vec<String> {
    plugin.messages().into_iter().map(|row| row.text).filter(|text| text.starts_with('⏰')).collect()
}

#[plexichat::test]
async fn reminds_once_at_its_time() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    let answer = plugin.say("ann", "/remind me in 2 hours to call Bob").await?;
    assert_eq!(answer.text, "Reminder 1: Monday, 23 November 2026 at 12:30 (UTC). `/remind cancel 1` ends it.");
    plugin.advance(HOUR).await?;
    assert_eq!(reminders(&plugin), [""; 0]);
    plugin.advance(HOUR).await?;
    assert_eq!(reminders(&plugin), ["⏰ @ann call Bob"]);
    plugin.advance(24 * HOUR).await?;
    assert_eq!(reminders(&plugin).len(), 1);
    check(&plugin.say("ann", "/remind list").await?, "You have no reminders");
    Ok(())
}

#[plexichat::test]
async fn a_command_that_is_told_again_reminds_of_nothing_twice() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    plugin.say("ann", "/remind me in 2 hours to call Bob").await?;
    plugin.say("ann", "/remind me in 3 hours to call Eve").await?;
    plugin.say("ann", "/remind cancel 2").await?;
    // While it is there, when it has come, and when it was cancelled.
    plugin.tell_again().await?;
    plugin.advance(2 * HOUR).await?;
    plugin.tell_again().await?;
    plugin.advance(24 * HOUR).await?;
    assert_eq!(reminders(&plugin), ["⏰ @ann call Bob"]);
    check(&plugin.say("ann", "/remind list").await?, "You have no reminders");
    Ok(())
}

#[plexichat::test]
async fn comes_again_and_again_until_it_is_cancelled() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    let answer = plugin.say("ann", "/remind here every day at 10:00 stand-up").await?;
    check(&answer, "Tuesday, 24 November 2026 at 10:00 (UTC)");
    for _ in 0..3 {
        plugin.advance(24 * HOUR).await?;
    }
    assert_eq!(reminders(&plugin), ["⏰ stand-up (a reminder from ann)"; 3]);
    check(&plugin.say("ann", "/remind cancel 1").await?, "Reminder 1 is cancelled");
    plugin.advance(24 * HOUR).await?;
    assert_eq!(reminders(&plugin).len(), 3);
    Ok(())
}

#[plexichat::test]
async fn everybody_has_their_own() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    plugin.say("ann", "/remind me on friday to go home").await?;
    plugin.say("ann", "/remind me tomorrow to write").await?;
    plugin.say("bob", "/remind me tomorrow at 11 to read").await?;
    let list = plugin.say("ann", "/remind list").await?;
    let lines: Vec<&str> = list.text.lines().collect();
    assert_eq!(
        lines,
        ["2. Tuesday, 24 November 2026 at 09:00 (UTC): write", "1. Friday, 27 November 2026 at 09:00 (UTC): go home",]
    );
    // A number is one's own, and stays.
    check(&plugin.say("bob", "/remind cancel 2").await?, "you have no reminder 2");
    plugin.say("ann", "/remind cancel 2").await?;
    check(&plugin.say("ann", "/remind me tomorrow to sing").await?, "Reminder 3");
    check(&plugin.say("ann", "/remind cancel all").await?, "Reminders cancelled: 2");
    check(&plugin.say("bob", "/remind list").await?, "1. Tuesday, 24 November 2026 at 11:00 (UTC): read");
    Ok(())
}

#[plexichat::test]
async fn times_are_in_ones_own_zone() -> TestResult {
    let plugin = start(TestHost::new().config(json!({ "zone": "Asia/Tokyo" }))).await?;
    check(&plugin.say("ann", "/remind me tomorrow at 9 tea").await?, "24 November 2026 at 09:00 (Asia/Tokyo)");
    check(&plugin.say("ann", "/remind zone").await?, "Asia/Tokyo");
    check(&plugin.say("ann", "/remind zone paris").await?, "do you mean `/remind zone Europe/Paris`?");
    check(&plugin.say("ann", "/remind zone europe/berlin").await?, "Your time zone is Europe/Berlin from now on");
    check(
        &plugin.say("ann", "/remind me every weekday at 9 coffee").await?,
        "24 November 2026 at 09:00 (Europe/Berlin)",
    );
    check(&plugin.say("ann", "/remind list").await?, "1. Tuesday, 24 November 2026 at 01:00 (Europe/Berlin): tea");
    check(&plugin.say("bob", "/remind zone").await?, "Asia/Tokyo");
    check(&plugin.say("ann", "/remind zone default").await?, "Asia/Tokyo");
    // What comes again keeps the zone that it was made in.
    check(
        &plugin.say("ann", "/remind list").await?,
        "at 17:00 (Asia/Tokyo), every weekday at 09:00 in Europe/Berlin: coffee",
    );
    Ok(())
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

#[plexichat::test]
async fn what_could_not_come_in_time_says_so() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    plugin.say("ann", "/remind me in 1 hour tea").await?;
    plugin.say("ann", "/remind me every day at 12:00 lunch").await?;
    plugin.disable().await?;
    plugin.clock().advance(72 * HOUR);
    assert_eq!(reminders(&plugin), [""; 0]);
    plugin.enable().await?;
    plugin.advance(Duration::from_secs(1)).await?;
    let mut late = reminders(&plugin);
    late.sort();
    // Of what comes again the last one that was missed.
    let [lunch, tea] = &late[..] else { panic!("{late:?}") };
    assert_eq!(
        lunch,
        "⏰ @ann lunch\nThis is late: it was due on Wednesday, 25 November 2026 at 12:00 (UTC), while I could not speak."
    );
    assert!(tea.contains("due on Monday, 23 November 2026 at 11:30 (UTC)"), "{tea}");
    Ok(())
}

/// The plugin speaks in rooms where it may: not for somebody who was put out of one since.
#[plexichat::test]
async fn nobody_is_spoken_for_who_may_not_speak() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    plugin.say("ann", "/remind here every day at 12:00 lunch").await?;
    plugin.say("ann", "/remind here in 90 minutes tea").await?;
    plugin.say("bob", "/remind here at 12:00 to eat").await?;
    plugin.store().set_access(plugin.room(), &plugin.actor("ann"), Access::Read);
    plugin.advance(2 * HOUR).await?;
    assert_eq!(reminders(&plugin), ["⏰ eat (a reminder from bob)"]);
    assert_eq!(plugin.triggers().await?.len(), 0);
    let mut came: Vec<_> = plugin.runs().await?.into_iter().map(|run| run.state).collect();
    came.sort_by_key(|state| format!("{state:?}"));
    assert_eq!(came, [RunState::Done, RunState::Skipped, RunState::Skipped]);
    Ok(())
}

#[plexichat::test]
async fn one_host_makes_it_and_another_tells_it() -> TestResult {
    let plugin = start(TestHost::new()).await?;
    plugin.say("ann", "/remind me in 1 hour tea").await?;
    let (store, room) = (plugin.store(), plugin.room());
    drop(plugin);
    let next =
        TestHost::new().store(store.clone()).at(Time("2026-11-23T11:00:00Z".parse()?)).start::<Reminder>().await?;
    next.advance(HOUR).await?;
    let told = store.messages(room).into_iter().filter(|row| row.text.starts_with('⏰')).count();
    assert_eq!(told, 1);
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
