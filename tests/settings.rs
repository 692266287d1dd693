//! Where a setting comes from, what a bad one gets, and that what file or environment set is pinned.

use serde_json::{Value, json};

use crate::support::Setup;

#[test]
fn every_finding_comes_at_once_with_its_place() {
    let setup = Setup::new().listen_as_set().config(
        "[server]\nlisten = \"nowhere\"\ncolour = \"red\"\n\n[plugins.eco]\nenabled = true\n\n[plugins.echo]\nenabled = \
         \"yes\"\nisolation = \"moon\"\n\n[plugins.echo.config]\nprefix = 7\nnam = \"e\"\n",
    );
    let failed = setup.fail();
    assert_eq!(failed.status.code(), Some(78), "{failed:#?}");
    let checked = setup.run(&["config", "check", "--config", "plexichat.toml"]);
    assert_eq!(checked.status.code(), Some(78));
    let checked = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    for (place, what) in [
        ("plexichat.toml:2:", "listen"),
        ("plexichat.toml:3:", "colour"),
        ("plexichat.toml:5:", "eco"),
        ("plexichat.toml:9:", "enabled"),
        ("plexichat.toml:10:", "isolation"),
        ("plexichat.toml:13:", "prefix"),
        ("plexichat.toml:14:", "nam"),
    ] {
        for text in [&failed.stderr, &checked] {
            let found = text.lines().any(|line| line.contains(place) && line.contains(what));
            assert!(found, "no line has {place:?} and {what:?}:\n{text}");
        }
    }
}

#[test]
fn a_file_that_is_no_toml_is_shown_where_it_breaks() {
    let failed = Setup::new().config("[server]\nlisten = = 1\n").fail();
    assert_eq!(failed.status.code(), Some(78));
    assert!(failed.stderr.contains("plexichat.toml:2:"), "{}", failed.stderr);
    let setup = Setup::new().argument("--config").argument("missing.toml");
    let failed = setup.fail();
    assert_eq!(failed.status.code(), Some(78));
    assert!(failed.stderr.contains("missing.toml"), "{}", failed.stderr);
}

#[test]
fn a_mistake_in_the_environment_is_named() {
    let failed = Setup::new().listen_as_set().environment("PLEXICHAT__SERVER__LISTEN", "nowhere").fail();
    assert_eq!(failed.status.code(), Some(78));
    assert!(failed.stderr.contains("PLEXICHAT__SERVER__LISTEN"), "{}", failed.stderr);
    let failed = Setup::new().environment("PLEXICHAT__SERVER__LISTN", "127.0.0.1:0").fail();
    assert_eq!(failed.status.code(), Some(78));
    assert!(failed.stderr.contains("PLEXICHAT__SERVER__LISTN"), "{}", failed.stderr);
}

#[tokio::test]
async fn the_environment_is_over_the_file_and_the_file_over_the_api() {
    let setup = Setup::new();
    let server = setup.start();
    let path = "/api/v1/plugins/echo/config";
    server.client().put(path, json!({ "prefix": "api ", "name": "api" })).await.expect(200);
    let setup = server.kill().config("[plugins.echo.config]\nprefix = \"file \"\n");
    let server = setup.start();
    let client = server.client();
    let room = client.room("lobby").await;
    let message = client.say(&room, "@api x").await;
    assert_eq!(client.answer_to(&room, &message).await["text"], "file x");
    let refused = client.put(path, json!({ "prefix": "again " })).await.error(409, "pinned");
    assert!(refused.to_string().contains("plexichat.toml:2:"), "{refused}");
    // What is not pinned may be set beside it.
    client.put(path, json!({ "name": "other" })).await.expect(200);
    let setup = server.kill().environment("PLEXICHAT__PLUGINS__ECHO__CONFIG__PREFIX", "environment ");
    let server = setup.start();
    let client = server.client();
    let message = client.say(&room, "@other x").await;
    assert_eq!(client.answer_to(&room, &message).await["text"], "environment x");
    let refused = client.put(path, json!({ "prefix": "again " })).await.error(409, "pinned");
    assert!(refused.to_string().contains("PLEXICHAT__PLUGINS__ECHO__CONFIG__PREFIX"), "{refused}");
}

#[tokio::test]
async fn a_pinned_state_is_not_changed_over_the_api() {
    let server = Setup::new().config("[plugins.echo]\nenabled = true\n").start();
    let client = server.client();
    let refused = client.post("/api/v1/plugins/echo/disable", Value::Null).await.error(409, "pinned");
    assert!(refused.to_string().contains("plexichat.toml:2:"), "{refused}");
    let setup = server.kill().config("[plugins.echo]\nenabled = false\n");
    let plugin = setup.start();
    assert_eq!(plugin.client().get("/api/v1/plugins/echo").await.expect(200)["state"], "disabled");
}

#[tokio::test]
async fn a_plugin_without_its_grant_is_blocked_and_says_why() {
    let server = Setup::new().config("[plugins.echo]\ngrant = [\"user_data_access\"]\n").start();
    let client = server.client();
    let plugin = client.get("/api/v1/plugins/echo").await.expect(200);
    assert_eq!(plugin["state"], "blocked", "{plugin}");
    assert!(plugin.to_string().contains("post_messages"), "{plugin}");
    let list = server.cli_ok(&["plugin", "list"]);
    assert!(list.lines().any(|line| line.contains("echo") && line.contains("post_messages")), "{list}");
}

#[test]
fn an_example_is_a_good_file() {
    let setup = Setup::new();
    let example = setup.run(&["config", "example"]);
    assert!(example.status.success());
    let setup = setup.config(&String::from_utf8(example.stdout).unwrap());
    let checked = setup.run(&["config", "check", "--config", "plexichat.toml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()));
}
