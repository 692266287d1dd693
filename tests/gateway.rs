//! OpenAI's own clients against the gateway: what they list, ask and stream, and what they raise on.

use std::process::{Command, Output};

use serde_json::json;

use crate::support::bundle::fixtures;
use crate::support::{Server, Setup};

/// The gateway over the fixtures' provider. The moderation is there for the scripts to put between them.
fn start() -> Server {
    let config = "[plugins.parrot]\nenabled = true\n[plugins.openai-gateway]\nenabled = true\n\
                  [server.accounts]\nbad_tokens_per_minute = 1000\n";
    Setup::of(fixtures()).config(config).start()
}

/// Runs a client's script with a server, tokens of a person, and the room in which the parrot tells what it counts.
async fn check(command: impl FnOnce() -> Command) {
    let server = start();
    let client = server.client();
    let room = client.room("lobby").await;
    client.post("/api/v1/plugins/moderation/install", json!({})).await.expect(200);
    let token = async |scopes: &[&str]| {
        let asked = json!({ "user": "robot", "name": "ci", "scopes": scopes });
        let made = client.post("/api/v1/tokens", asked).await.expect(201);
        made["token"].as_str().unwrap().to_owned()
    };
    let (key, other) = (token(&["ai"]).await, token(&["read", "write"]).await);
    let mut command = command();
    command.args([&format!("http://{}", server.address), &key, &other, &server.token(), &room]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}\n{}", told(&output), server.stderr());
    // A script that ended early would have shown less.
    let shown = told(&output);
    assert!(shown.lines().filter(|line| line.starts_with("ok ")).count() >= 16, "{shown}");
    println!("{shown}");
}

fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `PLEXICHAT_TEST_PYTHON` names a Python that has the package; `cargo xtask test --suite gateway --setup` makes one.
#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `openai`"]
async fn the_official_client_for_python_talks() {
    let python = std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON");
    check(|| {
        let mut command = Command::new(python);
        command.arg(crate::tidy::root().join("tests/gateway/openai_client.py"));
        command
    })
    .await;
}

/// `PLEXICHAT_TEST_NODE_MODULES` names a folder that has the package; `cargo xtask test --suite gateway --setup` makes one.
#[tokio::test]
#[ignore = "needs node and PLEXICHAT_TEST_NODE_MODULES, a folder with the package `openai`"]
async fn the_official_client_for_node_talks() {
    let modules = std::env::var_os("PLEXICHAT_TEST_NODE_MODULES").expect("PLEXICHAT_TEST_NODE_MODULES");
    check(|| {
        let mut command = Command::new("node");
        command.arg(crate::tidy::root().join("tests/gateway/openai_client.js")).arg(modules);
        command
    })
    .await;
}
