//! Workflows on the test kit's real host: where definitions come from, what is told of them, and the files that are generated.

use std::path::Path;

use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_workflow::Workflow;

plexichat::compliance!(Workflow);

const HELLO: &str =
    "name = 'hello'\ndescription = 'Says hello'\n[[steps]]\npost = { room = 'general', text = 'hello' }\n";

fn in_files() -> TestHost {
    TestHost::new()
        .config(json!({ "directories": ["/flows"], "operators": ["alice"] }))
        .directory("/flows")
        .file("/flows/hello.toml", HELLO)
}

async fn said(plugin: &RunningPlugin<Workflow>, text: &str) -> TestResult<String> {
    Ok(plugin.say("alice", text).await?.text)
}

#[plexichat::test]
async fn starts_with_nothing_set() -> TestResult {
    let plugin = TestHost::new().start::<Workflow>().await?;
    assert!(said(&plugin, "/workflow").await?.starts_with("There are no workflows yet"));
    assert!(said(&plugin, "/workflow lst").await?.contains("did you mean `/workflow list`?"));
    assert!(said(&plugin, "/workflow reload").await?.contains("that is for operators"));
    Ok(())
}

#[plexichat::test]
async fn a_wrong_file_never_replaces_the_one_that_runs() -> TestResult {
    let plugin = in_files().start::<Workflow>().await?;
    assert!(said(&plugin, "/workflow list").await?.starts_with("`hello`: Says hello"));

    plugin.disk().write("/flows/hello.toml", "name = 'hello'\n[[steps]]\npst.text = 'x'\n");
    let told = said(&plugin, "/workflow reload").await?;
    assert!(told.contains("`hello`: Says hello"), "{told}");
    assert!(
        told.contains("/flows/hello.toml:3:1: /steps/0/pst: unknown key `pst` (did you mean `post`?); workflow `hello` goes on as it was"),
        "{told}"
    );

    // Also after a restart.
    let store = plugin.store();
    drop(plugin);
    let broken = in_files().file("/flows/hello.toml", "name = ").store(store);
    let plugin = broken.start::<Workflow>().await?;
    let told = said(&plugin, "/workflow list").await?;
    assert!(told.contains("`hello`: Says hello") && told.contains("/flows/hello.toml:1:8"), "{told}");

    plugin.disk().write("/flows/hello.toml", HELLO.replace("Says", "Shouts"));
    let told = said(&plugin, "/workflow reload").await?;
    assert!(told.starts_with("`hello`: Shouts hello") && !told.contains("Not taken"), "{told}");
    plugin.disk().remove("/flows/hello.toml");
    assert!(
        said(&plugin, "/workflow reload").await?.starts_with("There are no workflows"),
        "a file that goes takes its workflow along"
    );
    Ok(())
}

#[plexichat::test]
async fn wrong_configuration_is_refused_with_pointers() -> TestResult {
    let plugin = TestHost::new()
        .config(json!({ "definitions": [{ "name": "a", "steps": [{ "stop": "x" }] }] }))
        .start::<Workflow>()
        .await?;
    let wrong = json!({ "definitions": [{ "name": "a", "steps": [{ "if": "nope" }] }, { "name": "b", "stps": [] }] });
    let refused = plugin.reconfigure(wrong).await.unwrap_err().to_string();
    assert!(refused.contains("/definitions/0/steps/0/if: nothing is called `nope`"), "{refused}");
    assert!(refused.contains("/definitions/1/stps: unknown key `stps` (did you mean `steps`?)"), "{refused}");
    assert!(said(&plugin, "/workflow").await?.starts_with("`a`"), "the old one goes on");
    Ok(())
}

/// The files that are generated and committed.
#[test]
fn the_schema_for_editors_is_committed() -> TestResult {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/workflow.schema.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&plexichat_workflow::editor_schema())?);
    if std::env::var_os("PLEXICHAT_UPDATE").is_some() {
        std::fs::write(&path, &text)?;
    }
    assert_eq!(std::fs::read_to_string(&path)?, text, "run this test with PLEXICHAT_UPDATE=1");
    Ok(())
}
