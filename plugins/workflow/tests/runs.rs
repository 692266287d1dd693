//! Runs of workflows on the test kit's real host: triggers, approvals on every road, and crashes.

use std::time::Duration;

use plexichat::automation::RunState;
use plexichat::plugin::gui::OPEN;
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult, ai, http};
use plexichat_workflow::Workflow;

fn host(definition: &str) -> TestHost {
    TestHost::new()
        .config(json!({
            "directories": ["/flows"],
            "operators": ["alice"],
            "secrets": { "token": "s3cr3t-4711" },
        }))
        .directory("/flows")
        .file("/flows/flow.toml", definition)
        .ai(|request| {
            let asked = request.turns.last().map(plexichat::ai::Turn::joined_text).unwrap_or_default();
            Ok(ai::says(&format!("answer to {asked}")))
        })
        .http(|request| {
            let sent = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
            Ok(http::json(200, &json!({ "sent": sent })))
        })
}

fn texts(plugin: &RunningPlugin<Workflow>) -> Vec<String> {
    plugin.messages().into_iter().map(|row| row.text).collect()
}

/// The id of the only question that waits.
fn question(plugin: &RunningPlugin<Workflow>) -> TestResult<String> {
    let asked = texts(plugin).into_iter().find(|text| text.contains("waits for approval"));
    let asked = asked.ok_or("nobody was asked")?;
    let id = asked.split("waits for approval `").nth(1).and_then(|rest| rest.split('`').next());
    Ok(id.ok_or("no id")?.to_owned())
}

const RELEASE: &str = r#"
name = "release"
[defaults]
model = "scripted/model"
[[triggers]]
command = { name = "release", help = "releases" }
[[steps]]
id = "ask"
approve = { text = "Release {{ input.arguments }} for {{ run.by.name }}?", users = ["bob"], moderators = true, timeout = "1h" }
[[steps]]
id = "notes"
ai = { model = "MODEL", prompt = "Notes of {{ input.arguments }}" }
[[steps]]
id = "sent"
http = { url = "https://ci.example.org", json = { v = "{{ input.arguments }}" }, headers = { authorization = "Bearer {{ secret('token') }}" } }
[[steps]]
wait.for = "10m"
[[steps]]
post.text = "{{ steps.notes.result.text }}, {{ steps.ask.result.by.name }}: {{ steps.sent.result.json.sent | join('; ') }}"
"#;

fn release() -> TestHost {
    host(&RELEASE.replace("MODEL", plexichat::testing::MODEL))
}

#[plexichat::test]
async fn a_command_asks_and_goes_on() -> TestResult {
    let plugin = release().start::<Workflow>().await?;
    plugin.post("alice", "/release 1.4").await?;
    plugin.idle().await?;
    let id = question(&plugin)?;
    let refused = plugin.say("alice", &format!("/workflow approve {id}")).await?.text;
    assert!(refused.contains(&format!("approval `{id}` is for bob, moderators, administrators")), "{refused}");
    let answered = plugin.say("bob", &format!("/workflow approve {id} go")).await?.text;
    assert_eq!(answered, format!("bob approved `{id}` of workflow `release`."));
    let again = plugin.say("bob", &format!("/workflow refuse {id}")).await?.text;
    assert!(again.contains("approved by bob already") || again.contains("no approval"), "{again}");
    plugin.advance(Duration::from_secs(601)).await?;
    let run = plugin.run_finished("release").await?;
    assert_eq!((run.state, run.error.as_deref()), (RunState::Done, None));
    let said = texts(&plugin).pop().ok_or("nothing was said")?;
    let key = format!("idempotency-key: run/{}/sent", run.id);
    assert!(said.starts_with("answer to Notes of 1.4, bob: ") && said.contains(&key), "{said}");
    assert!(said.contains("authorization: Bearer ***"), "{said}");
    assert_eq!(
        plugin.http().requests()[0]
            .headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .map(|(_, value)| value.as_str()),
        Some("Bearer s3cr3t-4711")
    );
    let (record, steps) = plugin.run(run.id).await?;
    assert!(!format!("{record:?}{steps:?}").contains("s3cr3t"), "{steps:?}");
    let steps: Vec<String> = steps.iter().map(|step| format!("{} {}", step.name, step.status)).collect();
    assert_eq!(
        steps,
        [
            "ask waiting",
            "ask done",
            "notes started",
            "notes done",
            "sent started",
            "sent done",
            "3 waiting",
            "3 done",
            "4 started",
            "4 done"
        ]
    );
    Ok(())
}

#[plexichat::test]
async fn the_pages_have_buttons() -> TestResult {
    let plugin = release().start::<Workflow>().await?;
    plugin.post("alice", "/release 1.4").await?;
    plugin.idle().await?;
    let id = question(&plugin)?;
    let open = |component: &'static str, person: &'static str| plugin.interact(person, component, OPEN, json!({}));
    let nothing = serde_json::to_value(open("approvals", "alice").await?)?;
    assert_eq!(nothing["blocks"][0]["text"], "Nothing waits for you.");
    let shown = serde_json::to_value(open("approvals", "bob").await?)?;
    let buttons = &shown["blocks"][2]["buttons"];
    assert_eq!((&buttons[0]["action"], &buttons[0]["values"]["id"]), (&json!("approve"), &json!(id)), "{shown}");
    let form = plugin.interact("bob", "approvals", "ask-why", json!({ "id": id })).await?;
    let GuiReply::Form(form) = form else { panic!("{form:?}") };
    assert_eq!((form.action.as_str(), &form.carry["id"]), ("refuse", &json!(id)));
    let done = plugin.interact("carol", "moderators-approvals", "refuse", json!({ "id": id, "note": "no" })).await?;
    assert!(matches!(done, GuiReply::Notice { .. }), "{done:?}");
    let run = plugin.run_finished("release").await?;
    assert_eq!(run.output, Some(json!({ "stopped": "refused: by carol" })));
    let shown = serde_json::to_value(open("workflows", "carol").await?)?;
    assert_eq!(shown["blocks"][1]["rows"][0][0], "release");
    Ok(())
}

#[plexichat::test]
async fn without_an_answer_the_time_decides() -> TestResult {
    let plugin = release().start::<Workflow>().await?;
    plugin.post("alice", "/release 1.4").await?;
    plugin.advance(Duration::from_secs(3601)).await?;
    let run = plugin.run_finished("release").await?;
    assert_eq!(run.output, Some(json!({ "stopped": "refused: nobody answered within 1h" })));
    Ok(())
}

#[plexichat::test]
async fn a_run_goes_on_with_the_version_it_began_with() -> TestResult {
    let flow = "name = 'flow'\n[[triggers]]\nwebhook = {}\n[[steps]]\nwait.for = '1h'\n[[steps]]\nset.said = 'old {{ input.body.n }}'\n";
    let plugin = host(flow).start::<Workflow>().await?;
    plugin.call_hook("wf.flow.0", json!({ "n": 1 })).await?;
    plugin.idle().await?;
    plugin.disk().write("/flows/flow.toml", flow.replace("old", "new"));
    plugin.say("alice", "/workflow reload").await?;
    plugin.call_hook("wf.flow.0", json!({ "n": 2 })).await?;
    plugin.advance(Duration::from_secs(3601)).await?;
    let runs = plugin.runs().await?;
    let said: Vec<Value> =
        runs.iter().map(|run| run.output.clone().unwrap_or_default()["vars"]["said"].clone()).collect();
    assert_eq!(said, [json!("old 1"), json!("new 2")]);
    Ok(())
}

#[plexichat::test]
async fn triggers_come_and_go_with_their_definition() -> TestResult {
    let flow = "name = 'flow'\n[[triggers]]\nevery = '1h'\n[[triggers]]\ncron = { expression = '0 9 * * *', zone = 'Europe/Berlin' }\n[[steps]]\nstop = 'x'\n";
    let plugin = host(flow).start::<Workflow>().await?;
    let ids = |armed: Vec<plexichat::capability::triggers::Armed>| {
        armed.into_iter().map(|armed| armed.spec.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(plugin.triggers().await?), ["wf.flow.0", "wf.flow.1", "wf.flow.manual"]);
    plugin.advance(Duration::from_secs(3 * 3600)).await?;
    let every = plugin.runs().await?.into_iter().filter(|run| run.trigger.id == "wf.flow.0").count();
    assert_eq!(every, 3);
    plugin.disk().write("/flows/flow.toml", flow.replace("'Europe/Berlin'", "'Europe/Berlni'"));
    let told = plugin.say("alice", "/workflow reload").await?.text;
    assert!(
        told.contains("/flows/flow.toml:5:43: /triggers/1/cron/zone: ") && told.contains("goes on as it was"),
        "{told}"
    );
    assert_eq!(plugin.triggers().await?.len(), 3);
    plugin.disk().remove("/flows/flow.toml");
    plugin.say("alice", "/workflow reload").await?;
    assert!(plugin.triggers().await?.is_empty());
    Ok(())
}
