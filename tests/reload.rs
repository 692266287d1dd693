//! SIGHUP: settings that are read again while the server works, from outside.

use rustix::process::Signal;

use crate::support::{Client, Setup};

/// Whether a text of this size is taken now.
async fn takes(client: &Client, room: &str, bytes: usize) -> bool {
    let path = format!("/api/v1/rooms/{room}/messages");
    let answer = client.post(&path, serde_json::json!({ "text": "x".repeat(bytes) })).await;
    if answer.status.as_u16() == 201 {
        return true;
    }
    answer.error(413, "message_too_large");
    false
}

fn settings(port: u16, text_bytes: u32) -> String {
    format!("[server]\nlisten = \"127.0.0.1:{port}\"\n\n[server.limits]\ntext_bytes = {text_bytes}\n")
}

#[tokio::test]
async fn limits_count_at_once_and_the_rest_is_named() {
    let server = Setup::new().listen_as_set().config(&settings(0, 100)).start();
    let file = server.setup().folder().join("plexichat.toml");
    let (client, process) = (server.client(), server.id());
    let room = client.room("lobby").await;
    assert!(takes(&client, &room, 100).await && !takes(&client, &room, 101).await);

    // One that counts at once, one that cannot: each is treated as it must be, and the second is named.
    std::fs::write(&file, settings(1, 50)).unwrap();
    server.signal(Signal::HUP);
    let line = server.wait_for_log(&["WARN", "read again", "server.listen"]);
    assert!(line.contains("restart") && !line.contains("text_bytes"), "{line}");
    assert!(takes(&client, &room, 50).await && !takes(&client, &room, 51).await);
    let stranger = client.clone();
    assert!(takes(&stranger, &room, 50).await, "it listens where it did");

    // With anything wrong, nothing counts, not even what is right; the log says where and what.
    std::fs::write(&file, settings(0, 200) + "colour = \"red\"\n").unwrap();
    server.signal(Signal::HUP);
    let line = server.wait_for_log(&["WARN", "old ones go on", "colour"]);
    assert!(line.contains("plexichat.toml:6:"), "{line}");
    assert!(takes(&client, &room, 50).await && !takes(&client, &room, 51).await);
    std::fs::write(&file, "[server]\nlisten = = 1\n").unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log(&["WARN", "old ones go on", "plexichat.toml:2:"]);
    assert!(takes(&client, &room, 50).await && !takes(&client, &room, 51).await);

    // Mended, it counts, and nothing is left to name.
    std::fs::write(&file, settings(0, 200)).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log(&["INFO", "the settings were read again"]);
    assert!(takes(&client, &room, 200).await && !takes(&client, &room, 201).await);
    assert_eq!(server.id(), process);
    assert!(server.stop().status.success());
}
