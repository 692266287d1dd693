//! What is said of definitions that are wrong: the exact words and places.

use std::sync::Arc;

use expect_test::{Expect, expect};
use plexichat::secret::Secret;
use serde_json::json;

use super::*;

fn checked<R>(look: impl FnOnce(&Checks<'_>) -> R) -> R {
    let secrets = Arc::new([("github_token".to_owned(), Secret::new("ghp_4711"))].into());
    let language = Language::new(&secrets);
    let tools = ["weather__forecast".to_owned(), "tickets__create".to_owned()];
    let trigger = |spec: &TriggerSpec| match &spec.on {
        On::Cron { zone, .. } if zone == "Europe/Berlni" => Err(PluginError::input(
            "`on.zone` is `Europe/Berlni`: there is no such time zone (did you mean `Europe/Berlin`?)",
        )),
        _ => spec.check(),
    };
    let secrets = ["github_token".to_owned()];
    look(&Checks { language: &language, secrets: &secrets, tools: Some(&tools), trigger: &trigger })
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    let format = Format::of_text(text);
    let file = format!("release.{}", format.as_str());
    let told = match checked(|checks| parse_text(&file, text, format, checks)) {
        Ok(definition) => format!("fine: {} steps", all_steps(&definition.steps).count()),
        Err(problems) => told(&problems),
    };
    expected.assert_eq(&told);
}

#[test]
fn what_is_right_is_taken() {
    check(
        r#"
name = "release"
[[triggers]]
command = { name = "release" }
[[triggers]]
cron = { expression = "0 9 * * MON-FRI", zone = "Europe/Berlin", misfire = { catch_up = 2 } }
[[steps]]
id = "ask"
approve = { text = "Release?", users = ["ann"] }
[[steps]]
if = "steps.ask.result.approved"
then = [{ tool = { name = "tickets__create", arguments = { title = "{{ input.arguments }}" } } }]
[[steps]]
http = { url = "https://example.org", headers = { authorization = "Bearer {{ secret('github_token') }}" } }
"#,
        &expect!["fine: 4 steps"],
    );
    check(r#"{"name": "a", "steps": [{"stop": "x"}]}"#, &expect!["fine: 1 steps"]);
}

#[test]
fn unknown_words_say_what_was_meant() {
    check(
        "name = 'a'\n[[steps]]\npst = { text = 'x' }\n",
        &expect!["release.toml:3:1: /steps/0/pst: unknown key `pst` (did you mean `post`?)"],
    );
    check(
        "name = 'a'\n[[steps]]\npost = { txt = 'x' }\n",
        &expect![[r#"
            release.toml:3:1: /steps/0/post/text: is required and missing (What, as a template)
            release.toml:3:10: /steps/0/post/txt: unknown key `txt` (did you mean `text`?)"#]],
    );
    check(
        "{\n  \"name\": \"a\",\n  \"steps\": [{\"tool\": {\"name\": \"weather__forcast\"}}]\n}",
        &expect![
            "release.json:3:31: /steps/0/tool/name: no plugin that runs has a tool `weather__forcast` (did you mean `weather__forecast`?)"
        ],
    );
    check(
        "name = 'a'\nsteps = [{ http = { url = \"https://x/{{ secret('githb_token') }}\" } }]\n",
        &expect![
            "release.toml:2:41: /steps/0/http/url: there is no secret `githb_token` (did you mean `github_token`?)"
        ],
    );
}

#[test]
fn expressions_say_where() {
    check(
        "name = 'a'\n[[steps]]\nif = \"vars.count >\"\nthen = []\n",
        &expect!["release.toml:3:18: /steps/0/if: unexpected end of input, expected expression at `>`"],
    );
    check(
        "name = 'a'\n[[steps]]\npost.text = '''\nHello\n  {{ evnt.data }}'''\n",
        &expect!["release.toml:5:6: /steps/0/post/text: nothing is called `evnt` (did you mean `event`?)"],
    );
    check(
        "name = 'a'\n[[steps]]\nid = 'ask'\nai = { prompt = 'x', model = 'a/b' }\n[[steps]]\npost.text = '{{ steps.aks.result.text }}'\n",
        &expect!["release.toml:6:23: /steps/1/post/text: no step has the id `aks` (there is `ask`)"],
    );
    check(
        "name = 'a'\nsteps = [{ if = '{{ vars.x }}', then = [] }]\n",
        &expect!["release.toml:2:17: /steps/0/if: this is an expression already: write it without `{{ }}`"],
    );
    check(
        "name = 'a'\nsteps = [{ post.text = '{{ secret(\"github_token\") }}' }]\n",
        &expect![
            "release.toml:2:28: /steps/0/post/text: a secret may stand only in `http` and `tool` steps: what stands elsewhere is kept with the run"
        ],
    );
}

#[test]
fn triggers_say_what_is_wrong() {
    check(
        "name = 'a'\nsteps = [{ stop = 'x' }]\n[[triggers]]\ncron = { expression = '0 9 * * *', zone = 'Europe/Berlni' }\n",
        &expect![
            "release.toml:4:43: /triggers/0/cron/zone: `on.zone` is `Europe/Berlni`: there is no such time zone (did you mean `Europe/Berlin`?)"
        ],
    );
    check(
        "name = 'a'\nsteps = [{ stop = 'x' }]\n[[triggers]]\nevery = '5x'\n[[triggers]]\nevery = '5m'\nwebhook = {}\n",
        &expect![
            "release.toml:4:9: /triggers/0/every: `5x` is no length of time: write `90s`, `15m`, `2h`, `7d` or `1h 30m`"
        ],
    );
    check(
        "name = 'a'\nsteps = [{ stop = 'x' }]\n[[triggers]]\nid = 'x'\nevery = '5m'\nwebhook = {}\n[[triggers]]\nat = 'tomorrow'\n",
        &expect![[r#"
            release.toml:3:1: /triggers/0: a trigger is exactly one of `event`, `cron`, `every`, `at`, `webhook`, `command` (give each a `[[triggers]]` of its own)
            release.toml:8:6: /triggers/1/at: `tomorrow` is no moment: write `2027-01-31T09:00:00Z` or `2027-01-31T10:00:00+01:00`"#]],
    );
}

#[test]
fn triggers_have_ids_of_their_own() {
    let text = |triggers: &str| format!("name = 'a'\nsteps = [{{ stop = 'x' }}]\n{triggers}");
    check(
        &text("[[triggers]]\nwebhook = {}\n"),
        &expect![
            "release.toml:3:1: /triggers/0: a webhook needs an `id`: its address and its secret hang on it, and must not change with its place (such as `id = \"alerts\"`)"
        ],
    );
    check(
        &text(
            "[[triggers]]\nid = 'ci'\nwebhook = {}\n[[triggers]]\nid = 'ci'\nevery = '5m'\n[[triggers]]\nid = 'manual'\nevery = '5m'\n",
        ),
        &expect![[r#"
            release.toml:7:6: /triggers/1/id: another trigger has the id `ci`, too
            release.toml:10:6: /triggers/2/id: an id is words of lower-case letters and digits joined by `-`, at most 40 bytes, and not `manual`"#]],
    );
    let two = text("[[triggers]]\nevery = '5m'\n[[triggers]]\nid = 'ci'\nwebhook = {}\n");
    let mut definition = checked(|checks| parse_text("a.toml", &two, Format::Toml, checks)).unwrap();
    let ids = |definition: &Definition| definition.specs().into_iter().map(|spec| spec.id).collect::<Vec<_>>();
    assert_eq!(ids(&definition), ["wf.a.0", "wf.a.ci", "wf.a.manual"]);
    assert!(definition.trigger("wf.a.ci").is_some_and(|trigger| trigger.webhook.is_some()));
    assert!(definition.trigger("wf.a.0").is_some_and(|trigger| trigger.every.is_some()));
    // The second one has a name; its place is none.
    assert_eq!(definition.trigger("wf.a.1"), None);
    assert_eq!(definition.trigger("wf.a.manual"), None);
    definition.enabled = false;
    assert_eq!(ids(&definition), ["wf.a.ci", "wf.a.manual"]);
}

#[test]
fn steps_say_what_is_wrong() {
    check(
        "name = 'Release it'\nsteps = [{ stop = 'x' }]\n",
        &expect![
            "release.toml:1:8: /name: a name is words of lower-case letters and digits joined by `-`, at most 40 bytes"
        ],
    );
    check(
        "name = 'a'\n[[steps]]\nid = 'x'\n[[steps]]\nid = 'x'\nstop = 'a'\nfail = 'b'\nthen = []\n[[steps]]\nwait = { for = '1s', until = 'x' }\n",
        &expect![[r#"
            release.toml:2:1: /steps/0: it says nothing to do (give it one of `post`, `ai`, `tool`, `http`, `set`, `if`, `for_each`, `wait`, `approve`, `parallel`, `stop`, `fail`)
            release.toml:5:6: /steps/1/id: another step has the id `x`, too
            release.toml:4:1: /steps/1: it says `stop` and `fail` at once (make a step of each)
            release.toml:10:8: /steps/2/wait: it has either `for` or `until`"#]],
    );
    check("name = 'a'\nsteps = []\n", &expect!["release.toml:2:9: /steps: must have at least 1 item, has 0"]);
}

#[test]
fn configuration_says_json_pointers() {
    let value = json!({ "name": "a", "steps": [{ "post": { "text": "{{ nope }}" } }] });
    let places = Places::of_config("/definitions/0");
    let problems = checked(|checks| parse_value(&value, &places, checks)).unwrap_err();
    assert_eq!(
        told(&problems),
        "/definitions/0/steps/0/post/text: nothing is called `nope` (there is `event`, `input`, `steps`, `vars`, `run`, `now`)"
    );
}
