//! A reminder through a kill: it is set, the server is gone when it is due, and it comes after the next start: late, and once.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Client, Setup};

/// The reminders in a room, once so many are there.
async fn reminders(client: &Client, room: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = client.history(room).await;
        found.retain(|row| row["author"]["id"] == "reminder" && row["text"].as_str().unwrap().starts_with('⏰'));
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} reminders were expected, there are {found:?}");
}

#[tokio::test]
async fn a_reminder_outlives_a_kill_and_comes_once() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let asked = client.say(&room, "/remind me in 2 seconds to call Ann").await;
    let answer = client.answer_to(&room, &asked).await;
    assert!(answer["text"].as_str().unwrap().starts_with("Reminder 1: "), "{answer}");
    let asked = client.say(&room, "/remind here every day at noon stand-up").await;
    client.answer_to(&room, &asked).await;
    let setup = server.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let server = setup.start();
    let client = server.client();
    let told = reminders(&client, &room, 1).await;
    assert_eq!(told[0]["text"], "⏰ @admin call Ann");
    // Neither a second start nor the time that passes tells it again, and what comes again is still there.
    let server = server.kill_and_restart();
    let client = server.client();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = reminders(&client, &room, 1).await;
    assert_eq!(told.len(), 1, "{told:#?}");
    let asked = client.say(&room, "/remind list").await;
    let list = client.answer_to(&room, &asked).await;
    let list = list["text"].as_str().unwrap();
    assert!(list.starts_with("2. ") && list.ends_with(", every day at 12:00: stand-up"), "{list}");
    client.say(&room, "/remind cancel 2").await;
}
