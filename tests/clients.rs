//! Clients that the project did not write.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::Setup;

/// `PLEXICHAT_TEST_PYTHON` names a Python that has the package `websockets`. Where there is none the test shows as ignored, not as
/// passed; `cargo xtask test` makes one and asks for ignored tests too.
#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `websockets`"]
async fn pythons_websockets_hears_the_answer_live() {
    let python = std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON");
    let server = Setup::new().start();
    let room = server.client().room("lobby").await;
    let script = crate::tidy::root().join("tests/clients/websocket.py");
    let mut command = Command::new(python);
    command.arg(script).args([&server.address.to_string(), &server.token(), &room, "/echo hello from Python"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello from Python");
}

/// The client that `docs/protocol.md` shows, as it stands there, talks in a room and hears what happens, through a restart of the
/// server.
#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `websockets`"]
async fn the_client_of_the_documented_protocol_talks() {
    let python = std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON");
    let page = std::fs::read_to_string(crate::tidy::root().join("docs/protocol.md")).unwrap();
    let script = page.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    client.say(&room, "before it came").await;
    let mut talker = Command::new(python)
        .args(["-c", script, &server.address.to_string(), &server.token(), &room])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    let output = BufReader::new(talker.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| said.send(line).is_ok()));
    let mut typed = talker.stdin.take().unwrap();
    typed.write_all(b"/echo hello from Python\n").unwrap();
    let next = || heard.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert_eq!(next(), "admin: /echo hello from Python");
    assert_eq!(next(), "echo: hello from Python");
    let message = client.say(&room, "a mistake").await;
    assert_eq!(next(), "admin: a mistake");
    let path = format!("/api/v1/messages/{}", message["id"].as_str().unwrap());
    client.request("PATCH", &path, &json!({ "text": "mended" })).await.unwrap().expect(200);
    assert_eq!(next(), "admin: mended");
    client.request("DELETE", &path, &Value::Null).await.unwrap();
    assert!(next().contains("message_deleted"));
    // The server goes, and comes back where it was: the client does, too.
    let address = server.address;
    let setup = server.setup().clone();
    server.stop();
    let server = setup.argument("--listen").argument(&address.to_string()).start();
    server.client().say(&room, "after the restart").await;
    assert_eq!(next(), "admin: after the restart");
    talker.kill().unwrap();
    talker.wait().unwrap();
}
