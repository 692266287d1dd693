//! Chromium on `/ui`: what plugins add to it, and that their own pages reach nothing but what is theirs.

use std::process::Command;

use serde_json::json;

use crate::support::Setup;
use crate::support::bundle::fixtures;

/// `PLEXICHAT_TEST_NODE_MODULES` names a folder that has the package; `cargo xtask test --suite browser --setup` makes one.
#[tokio::test]
#[ignore = "needs chromium, node and PLEXICHAT_TEST_NODE_MODULES, a folder with the package `playwright-core`"]
async fn people_use_what_plugins_add_to_the_pages() {
    let modules = std::env::var_os("PLEXICHAT_TEST_NODE_MODULES").expect("PLEXICHAT_TEST_NODE_MODULES");
    let server = Setup::of(fixtures()).start();
    let client = server.client();
    // Not by the settings: what these enable the API cannot disable.
    for what in ["install", "enable"] {
        client.post(&format!("/api/v1/plugins/board/{what}"), json!({})).await.expect(200);
    }
    let room = client.room("lobby").await;
    client.say(&room, "<i>hello</i>").await;
    for (name, role) in [("ada", "admin"), ("ulf", "user")] {
        let account = json!({ "name": name, "role": role, "password": "a long password" });
        client.post("/api/v1/users", account).await.expect(201);
    }
    let mut command = Command::new("node");
    command.arg(crate::tidy::root().join("tests/browser/ui.js")).arg(modules);
    command.args([&format!("http://{}", server.address), &server.token()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).join("\n");
    assert!(output.status.success(), "{told}\n{}", server.stderr());
    // A script that ended early would have shown less.
    assert!(told.lines().filter(|line| line.starts_with("ok ")).count() >= 20, "{told}");
    println!("{told}");
}

/// As above, in the bundle that people run.
#[tokio::test]
#[ignore = "needs chromium, node and PLEXICHAT_TEST_NODE_MODULES, a folder with the package `playwright-core`"]
async fn the_status_page_draws_itself() {
    let modules = std::env::var_os("PLEXICHAT_TEST_NODE_MODULES").expect("PLEXICHAT_TEST_NODE_MODULES");
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    for (name, role) in [("ada", "admin"), ("uwe", "user")] {
        let account = json!({ "name": name, "role": role, "password": "a long password" });
        client.post("/api/v1/users", account).await.expect(201);
    }
    let mut command = Command::new("node");
    command.arg(crate::tidy::root().join("tests/browser/status_page.js")).arg(modules);
    command.args([&format!("http://{}", server.address), &server.token(), &room]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).join("\n");
    assert!(output.status.success(), "{told}\n{}", server.stderr());
    assert_eq!(told.lines().filter(|line| line.starts_with("ok ")).count(), 8, "{told}");
    println!("{told}");
}
