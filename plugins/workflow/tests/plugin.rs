//! Workflows on the test kit's real host: where definitions come from, what is told of them, and the files that are generated.

use std::path::Path;
use std::time::Duration;

use plexichat::guard::GuardedBody;
use plexichat::plugin::interface::Caller;
use plexichat::prelude::*;
use plexichat::routes::Lookup;
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

/// Calls a route as the server does, for a person whose role it has checked.
async fn call(
    plugin: &RunningPlugin<Workflow>,
    method: &str,
    path: &str,
    body: impl Into<Vec<u8>>,
) -> TestResult<(u16, Value)> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let host = plugin.host();
    let path = format!("/api/v1/plugins/workflow{path}");
    let Lookup::Found(route, parameters) = host.routes.find(method, &path) else {
        return Err(format!("{method} {path}: no route").into());
    };
    let mut call = RouteCall::new(method, &path, Caller::known(plugin.actor("alice")));
    (call.parameters, call.query, call.body) = (parameters, query.to_owned(), body.into());
    let running = host.running("workflow").ok_or("it does not run")?;
    match running.route(route.index, call, Duration::from_secs(20)).await? {
        Ok(answer) => {
            let GuardedBody::Whole(bytes) = answer.body else { return Err("it is a stream".into()) };
            Ok((answer.status, serde_json::from_slice(&bytes).unwrap_or_default()))
        }
        Err(error) => Ok((error.kind().http_status(), json!(error.to_string()))),
    }
}

#[plexichat::test]
async fn administrators_keep_definitions() -> TestResult {
    let plugin = in_files().start::<Workflow>().await?;
    let bye = HELLO.replace("hello", "bye");
    let (status, body) = call(&plugin, "PUT", "/definitions/bye?version=0", bye.clone()).await?;
    assert_eq!((status, &body["stored_version"], &body["source"]), (200, &json!(1), &json!("stored bye")));
    // Somebody else made it meanwhile.
    assert_eq!(call(&plugin, "PUT", "/definitions/bye?version=0", bye.clone()).await?.0, 409);
    let (status, body) = call(&plugin, "PUT", "/definitions/bye", bye.replace("text", "txt")).await?;
    let message = body["error"]["message"].as_str().ok_or("no message")?;
    assert_eq!(status, 422);
    assert!(
        message.contains("bye.toml:4:28: /steps/0/post/txt: unknown key `txt` (did you mean `text`?)"),
        "{message}"
    );
    let (status, body) = call(&plugin, "PUT", "/definitions/other", bye.clone()).await?;
    assert_eq!((status, &body["error"]["details"][0]["origin"]), (422, &json!("other.toml")));
    // What stands in a file is changed there.
    assert_eq!(call(&plugin, "PUT", "/definitions/hello", HELLO).await?.0, 409);
    assert_eq!(call(&plugin, "DELETE", "/definitions/hello", "").await?.0, 409);

    let (_, body) = call(&plugin, "GET", "/definitions", "").await?;
    let names: Vec<&Value> = body["definitions"].as_array().ok_or("no list")?.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["bye", "hello"]);
    assert_eq!(body["definitions"][0]["triggers"][0]["id"], "wf.bye.manual");
    let (_, body) = call(&plugin, "GET", "/definitions/bye", "").await?;
    assert_eq!((&body["text"], &body["format"]), (&json!(bye), &json!("toml")));
    let (status, body) = call(&plugin, "POST", "/definitions/-/check", "name = 'x'\nsteps = []").await?;
    assert_eq!((status, &body["ok"]), (200, &json!(false)));
    assert_eq!(call(&plugin, "GET", "/workflow.schema.json", "").await?.1, plexichat_workflow::editor_schema());

    assert_eq!(call(&plugin, "DELETE", "/definitions/bye", "").await?.0, 204);
    assert_eq!(call(&plugin, "GET", "/definitions/bye", "").await?.0, 404);
    let (_, body) = call(&plugin, "GET", "/definitions", "").await?;
    assert_eq!(body["definitions"].as_array().map(Vec::len), Some(1));
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
