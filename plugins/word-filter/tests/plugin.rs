//! The word filter as people meet it: on the test kit's real host.

use plexichat::message::{Actor, MessageState, Origin};
use plexichat::pipeline::{Incoming, Refusal, ReplyAbout};
use plexichat::prelude::*;
use plexichat::testing::{Fault, TestHost, TestResult};
use plexichat_word_filter::WordFilter;

plexichat::compliance!(WordFilter);

fn host() -> TestHost {
    TestHost::new().config(json!({
        "rules": [
            {"pattern": "swordfish", "action": "reject"},
            {"pattern": "hush", "action": "flag", "name": "secrets"},
            {"pattern": "darn", "action": "redact"},
            {"pattern": "darn swordfish", "action": "reject"},
        ]
    }))
}

#[plexichat::test]
async fn rejects_without_storing() -> TestResult {
    let plugin = host().start::<WordFilter>().await?;
    for text in
        ["swordfish", "the SWORDFISH!", "ｓｗｏｒｄｆｉｓｈ", "sword\u{200B}fish", "darn swordfish", "s̶w̶o̶r̶d̶f̶i̶s̶h̶"]
    {
        let refused = plugin.post("alice", text).await;
        let Err(Refusal::Rejected { finding, .. }) = refused else { panic!("{text:?}: {refused:?}") };
        assert_eq!(finding.code, "banned_word");
        assert!(!format!("{finding:?}").contains("fish"), "a finding does not repeat the word: {finding:?}");
    }
    assert_eq!(plugin.messages(), []);
    Ok(())
}

#[plexichat::test]
async fn judges_the_names_of_files() -> TestResult {
    let plugin = host().start::<WordFilter>().await?;
    let alice = plugin.actor("alice");
    let post = async |name: &str| {
        let incoming = Incoming {
            author: alice.clone(),
            room_id: plugin.room(),
            text: "look".to_owned(),
            reply_to: None,
            attachments: vec![plugin.store().add_file(&alice, plugin.room(), name)],
            origin: Origin::Rest,
            key: None,
            cause_id: None,
            cause_depth: 0,
        };
        plugin.host().pipeline.send(incoming).await
    };
    for name in ["swordfish.txt", "ＳＷＯＲＤＦＩＳＨ.png", "darn.txt"] {
        let refused = post(name).await;
        assert!(matches!(refused, Err(Refusal::Rejected { .. })), "{name:?}: {refused:?}");
    }
    assert_eq!(post("fish.txt").await?.row.attachments[0].name, "fish.txt");
    post("hush.txt").await?;
    plugin.event("message_flagged").await?;
    Ok(())
}

#[plexichat::test]
async fn redacts_what_is_stored() -> TestResult {
    let plugin = host().start::<WordFilter>().await?;
    let stored = plugin.post("alice", "Darn, a d\u{200B}arn darned day").await?;
    assert_eq!(stored.row.text, "***, a *** darned day");
    assert_eq!(plugin.messages()[0].text, stored.row.text);
    Ok(())
}

#[plexichat::test]
async fn flags_and_lets_through() -> TestResult {
    let plugin = host().start::<WordFilter>().await?;
    let stored = plugin.post("alice", "hush now").await?;
    assert_eq!((stored.row.text.as_str(), stored.row.state), ("hush now", MessageState::Stored));
    let flagged = plugin.event("message_flagged").await?;
    assert!(flagged.data()?.to_string().contains("rule `secrets`"), "moderators are told which rule, not which words");
    Ok(())
}

#[plexichat::test]
async fn lets_everything_else_through() -> TestResult {
    let plugin = host().start::<WordFilter>().await?;
    for text in ["swordfishing", "a sword, a fish", "hushed", "schön", "👋"] {
        assert_eq!(plugin.post("alice", text).await?.row.text, text);
    }
    Ok(())
}

#[plexichat::test]
async fn a_filter_that_fails_lets_nothing_through() -> TestResult {
    for fault in [Fault::Error, Fault::Panic, Fault::Timeout] {
        for hook in ["scan_message", "rewrite_message"] {
            let plugin = host().fault(hook, fault).start::<WordFilter>().await?;
            let refused = plugin.post("alice", "hello").await;
            assert!(matches!(refused, Err(Refusal::ScannerUnavailable { .. })), "{hook} {fault:?}: {refused:?}");
            assert_eq!(plugin.messages(), []);
        }
    }
    Ok(())
}

#[plexichat::test]
async fn its_own_words_are_its_samples() -> TestResult {
    let rules = json!([
        {"pattern": "darn", "action": "redact"},
        {"name": "mild", "pattern": "\u{200B}Doubtful  words ", "action": "flag", "whole_word": true},
        {"pattern": "muppet", "action": "reject"}
    ]);
    let plugin = TestHost::new().config(json!({ "rules": rules })).start::<WordFilter>().await?;
    let samples: Vec<String> = plugin.plugin()?.canaries().into_iter().map(|sample| sample.name.into_owned()).collect();
    // In messages and answers; a word is redacted in messages only, which is no objection.
    assert_eq!(samples, ["rules/2", "rules/2", "mild", "mild", "rules/0"]);
    assert_eq!(plugin.check_canaries().await, []);
    plugin.post("alice", "fine").await?;
    Ok(())
}

#[track_caller]
fn check(config: Value, pointer: &str) {
    let problems = (plexichat_word_filter::PLEXICHAT_PLUGIN.entry.check_config)(&config);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, [pointer], "{problems:?}");
}

#[test]
fn bad_patterns_are_found_before_anything_starts() {
    check(
        json!({"rules": [{"pattern": "a", "action": "redact"}, {"pattern": "", "action": "flag"}]}),
        "/rules/1/pattern",
    );
    check(json!({"rules": [{"pattern": "\u{200B} \u{AD}", "action": "flag"}]}), "/rules/0/pattern");
    check(json!({"rules": [{"pattern": "a", "action": "explode"}]}), "/rules/0/action");
    check(json!({"rules": [{"pattern": "a", "action": "flag", "regex": true}]}), "/rules/0/regex");
    check(json!({"replacement": ""}), "/replacement");
    check(json!({"rules": [{"pattern": "darn", "action": "redact"}], "replacement": "DARN"}), "");
}

/// What is shown of an answer that comes word by word, and what ended it.
async fn shown(host: TestHost, answer: &str) -> TestResult<(String, Option<Refusal>)> {
    let plugin = host.start::<WordFilter>().await?;
    assert_eq!(plugin.check_canaries().await, []);
    let about = ReplyAbout {
        author: Actor::plugin("model"),
        asked_by: plugin.actor("ada"),
        room_id: Some(plugin.room()),
        origin: Origin::Rest,
    };
    let mut scanner = plugin.host().pipeline.reply_scanner(about).await?;
    let mut shown = String::new();
    for word in answer.split_inclusive(' ') {
        match scanner.push(word).await {
            Ok(delta) => shown.extend(delta.iter().map(|delta| delta.text())),
            Err(refusal) => return Ok((shown, Some(refusal))),
        }
    }
    match scanner.finish().await {
        Ok(delta) => shown.extend(delta.iter().map(|delta| delta.text())),
        Err(refusal) => return Ok((shown, Some(refusal))),
    }
    Ok((shown, None))
}

#[plexichat::test]
async fn an_answer_ends_before_a_word_that_nobody_may_read() -> TestResult {
    let words = "what I know of it ".repeat(20);
    for (word, rule) in [("Swordfish", "rules/0"), ("d\u{AD}arn", "rules/2"), ("darn swordfish", "rules/0")] {
        for answer in [format!("{words}{word}, and so on. {words}"), format!("{words}{word}")] {
            let (shown, refusal) = shown(host(), &answer).await?;
            let Some(Refusal::Rejected { finding, .. }) = refusal else { panic!("{answer}: {refusal:?}") };
            assert_eq!(finding.detail, Some(format!("rule `{rule}`")));
            assert!(words.starts_with(&shown) && shown.len() > 100, "{shown}");
        }
    }
    for answer in [format!("{words}hush {words}"), format!("{words}swordfishing {words}darned")] {
        assert_eq!(shown(host(), &answer).await?, (answer, None));
    }
    let flags = TestHost::new().config(json!({ "rules": [{ "pattern": "hush", "action": "flag" }] }));
    let running = flags.start::<WordFilter>().await?;
    assert_eq!(running.plugin()?.reply_mode(), ReplyMode::AuditOnly);
    Ok(())
}
