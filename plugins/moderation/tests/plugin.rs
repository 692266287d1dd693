//! The moderation as people meet it: on the test kit's real host.

use std::time::Duration;

use plexichat::message::{Actor, MessageState, Origin};
use plexichat::pipeline::{Edit, Incoming, Refusal, ReplyAbout};
use plexichat::prelude::*;
use plexichat::testing::{Fault, RunningPlugin, TestHost, TestResult};
use plexichat_moderation::Moderation;

plexichat::compliance!(Moderation);

const CARD: &str = "4111 1111 1111 1111";
const IBAN: &str = "DE89 3704 0044 0532 0130 00";

/// A token, put together here so that no scanner of secrets objects to this source.
fn token() -> String {
    ["gh", "p_", "a7Bc2Df3Gh4Jk5Lm6Np7Qr2St3Uv4Wx5Yza7"].concat()
}

async fn with(config: Value) -> TestResult<RunningPlugin<Moderation>> {
    TestHost::new().config(config).start::<Moderation>().await
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> Finding {
    match outcome {
        Err(Refusal::Rejected { finding, .. }) => finding,
        other => panic!("{other:?}"),
    }
}

/// Posts as this actor, by this road.
async fn send(
    plugin: &RunningPlugin<Moderation>,
    author: &Actor,
    text: &str,
    origin: Origin,
    file: Option<&str>,
) -> Result<String, Refusal> {
    let room_id = plugin.room();
    let incoming = Incoming {
        author: author.clone(),
        room_id,
        text: text.to_owned(),
        reply_to: None,
        attachments: file.map(|name| plugin.store().add_file(author, room_id, name)).into_iter().collect(),
        origin,
        key: None,
        cause_id: None,
        cause_depth: 0,
    };
    Ok(plugin.host().pipeline.send(incoming).await?.row.text.clone())
}

#[plexichat::test]
async fn as_it_comes_it_rejects_secrets_and_redacts_accounts() -> TestResult {
    let plugin = with(json!({})).await?;
    let finding = rejected(plugin.post("ada", &format!("use {}", token())).await);
    assert_eq!((finding.code.as_str(), &finding.threats[..]), ("token", &["github_token".to_owned()][..]));
    assert!(!format!("{finding:?}").contains("a7Bc2"), "a finding does not repeat what was found: {finding:?}");
    assert_eq!(plugin.messages(), []);

    let stored = plugin.post("ada", &format!("card {CARD}, account {IBAN}")).await?;
    assert_eq!(stored.row.text, "card [card number removed], account [IBAN removed]");
    assert_eq!(plugin.messages()[0].text, stored.row.text);
    for text in ["ada@lovelace.org", "+49 30 901820", "8.8.4.4", "@ada https://example.org ok", "ok", "ok", "ok", "ok"]
    {
        assert_eq!(plugin.post("ada", text).await?.row.text, text);
    }
    assert_eq!(plugin.check_canaries().await, []);
    Ok(())
}

#[plexichat::test]
async fn each_action_does_what_it_says() -> TestResult {
    let plugin = with(json!({
        "detectors": {"tokens": "flag", "card_numbers": "quarantine", "ibans": "off", "email_addresses": "redact"},
        "redaction": {"replacement": "<{kind}>"},
    }))
    .await?;
    assert_eq!(plugin.post("ada", &token()).await?.row.state, MessageState::Stored);
    let flagged = plugin.event("message_flagged").await?.data()?.to_string();
    assert!(flagged.contains("github_token") && !flagged.contains("a7Bc2"), "{flagged}");
    assert_eq!(plugin.post("ada", CARD).await?.row.state, MessageState::Quarantined);
    assert_eq!(plugin.post("ada", IBAN).await?.row.text, IBAN);
    assert_eq!(plugin.post("ada", "to ada@lovelace.org!").await?.row.text, "to <e-mail address>!");
    // The strongest counts.
    assert_eq!(plugin.post("ada", &format!("{CARD} {}", token())).await?.row.state, MessageState::Quarantined);
    Ok(())
}

#[plexichat::test]
async fn the_last_four_are_kept_where_asked_for() -> TestResult {
    let plugin = with(json!({"redaction": {"keep_last_four": true}})).await?;
    assert_eq!(plugin.post("ada", &format!("my {CARD}")).await?.row.text, "my [card number …1111 removed]");
    Ok(())
}

#[plexichat::test]
async fn names_of_files_are_judged() -> TestResult {
    let plugin = with(json!({})).await?;
    let ada = plugin.actor("ada");
    for name in [format!("{CARD}.png"), format!("{}.txt", token())] {
        rejected(send(&plugin, &ada, "look", Origin::Rest, Some(&name)).await);
    }
    assert_eq!(send(&plugin, &ada, "look", Origin::Rest, Some("IMG_20241123_015000.jpg")).await?, "look");
    Ok(())
}

#[plexichat::test]
async fn edits_are_judged_like_new_messages() -> TestResult {
    let plugin = with(json!({"flood": {"messages": 2}})).await?;
    let ada = plugin.actor("ada");
    let message_id = plugin.post("ada", "fine").await?.row.id;
    let edit = async |text: &str| {
        let edit =
            Edit { by: ada.clone(), message_id, text: text.to_owned(), expected_revision: None, origin: Origin::Rest };
        plugin.host().pipeline.edit(edit).await
    };
    rejected(edit(&token()).await);
    for round in 0..5 {
        // And edits are no new messages.
        assert_eq!(edit(&format!("{CARD} {round}")).await?.row.text, format!("[card number removed] {round}"));
    }
    plugin.post("ada", "the second").await?;
    assert_eq!(rejected(plugin.post("ada", "the third").await).code, "flood");
    Ok(())
}

#[plexichat::test]
async fn who_floods_a_room_is_stopped_until_the_window_has_passed() -> TestResult {
    let plugin = with(json!({"flood": {"messages": 3, "seconds": 10}})).await?;
    for number in 0..3 {
        plugin.post("ada", &format!("message {number}")).await?;
        plugin.clock().advance(Duration::from_secs(1));
    }
    let finding = rejected(plugin.post("ada", "one more").await);
    assert_eq!(finding.code, "flood");
    // Others are not stopped.
    plugin.post("bob", "hello").await?;
    // What was refused does not count: the first is ten seconds old by now.
    plugin.clock().advance(Duration::from_secs(7));
    plugin.post("ada", "again").await?;
    rejected(plugin.post("ada", "and again").await);
    plugin.clock().advance(Duration::from_secs(60));
    for number in 0..3 {
        plugin.post("ada", &format!("message {number}")).await?;
    }
    Ok(())
}

#[plexichat::test]
async fn the_same_text_again_and_again_is_stopped() -> TestResult {
    let plugin = with(json!({"duplicates": {"times": 2, "seconds": 60, "action": "quarantine"}})).await?;
    for text in ["Buy cheap things now!", "buy CHEAP  things now!"] {
        assert_eq!(plugin.post("ada", text).await?.row.state, MessageState::Stored);
    }
    assert_eq!(plugin.post("ada", "buy cheap things\nnow!").await?.row.state, MessageState::Quarantined);
    assert_eq!(plugin.post("bob", "Buy cheap things now!").await?.row.state, MessageState::Stored);
    for _ in 0..5 {
        assert_eq!(plugin.post("ada", "ok").await?.row.state, MessageState::Stored, "too short to count");
    }
    plugin.clock().advance(Duration::from_secs(61));
    assert_eq!(plugin.post("ada", "Buy cheap things now!").await?.row.state, MessageState::Stored);
    Ok(())
}

#[plexichat::test]
async fn a_post_for_later_counts_once_though_it_is_looked_at_twice() -> TestResult {
    let plugin = with(json!({"flood": {"messages": 2, "seconds": 60}})).await?;
    let ada = plugin.actor("ada");
    let incoming = |text: &str| Incoming {
        author: ada.clone(),
        room_id: plugin.room(),
        text: text.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: Origin::Scheduled,
        key: None,
        cause_id: None,
        cause_depth: 0,
    };
    for text in ["one", "two"] {
        plugin.host().pipeline.check(incoming(text)).await?;
        plugin.host().pipeline.send(incoming(text)).await?;
    }
    rejected(plugin.host().pipeline.check(incoming("three")).await);
    assert_eq!(plugin.messages().len(), 2);
    // A secret is refused when it is written.
    let fresh = with(json!({})).await?;
    rejected(
        fresh
            .host()
            .pipeline
            .check(Incoming { room_id: fresh.room(), author: fresh.actor("ada"), ..incoming(&token()) })
            .await,
    );
    Ok(())
}

#[plexichat::test]
async fn what_plugins_post_is_judged_and_not_counted() -> TestResult {
    let plugin = with(json!({"flood": {"messages": 1}})).await?;
    let bot = Actor::plugin("echo");
    rejected(send(&plugin, &bot, &token(), Origin::Plugin, None).await);
    for _ in 0..5 {
        assert_eq!(send(&plugin, &bot, CARD, Origin::Plugin, None).await?, "[card number removed]");
    }
    Ok(())
}

#[plexichat::test]
async fn models_may_not_say_what_people_may_not_post() -> TestResult {
    let plugin = with(json!({"links": {"block": ["evil.com"]}})).await?;
    let running = plugin.plugin()?;
    assert!(matches!(running.reply_mode(), ReplyMode::Window { .. }));
    let (model, asker) = (Actor::plugin("model"), plugin.actor("ada"));
    let said = async |text: &str| running.scan_reply(&ReplyView::new(&model, &asker, text, 0)).await;
    for (text, code) in
        [(token(), "token"), (format!("it is {CARD}"), "card_number"), ("see evil.com".to_owned(), "link")]
    {
        let verdict = said(&text).await?;
        let Verdict::Reject(finding) = verdict else { panic!("{text}: {verdict:?}") };
        assert_eq!(finding.code, code);
    }
    assert_eq!(said("Write it to your own vault, never into a chat.").await?, Verdict::Allow);

    let plugin = with(json!({"detectors": {"tokens": "flag"}})).await?;
    let running = plugin.plugin()?;
    let verdict = running.scan_reply(&ReplyView::new(&model, &asker, &token(), 0)).await?;
    assert!(matches!(verdict, Verdict::Flag(_)), "{verdict:?}");
    Ok(())
}

/// What is shown of an answer that comes in pieces of so many characters, and what ended it.
async fn shown(
    plugin: &RunningPlugin<Moderation>,
    answer: &str,
    piece: usize,
) -> TestResult<(String, Option<Refusal>)> {
    let about = ReplyAbout {
        author: Actor::plugin("model"),
        asked_by: plugin.actor("ada"),
        room_id: Some(plugin.room()),
        origin: Origin::Rest,
    };
    let mut scanner = plugin.host().pipeline.reply_scanner(about).await?;
    let mut shown = String::new();
    let characters: Vec<char> = answer.chars().collect();
    for piece in characters.chunks(piece) {
        match scanner.push(&piece.iter().collect::<String>()).await {
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
async fn an_answer_ends_before_any_of_a_secret_is_shown() -> TestResult {
    let plugin = with(json!({})).await?;
    let words = "Here is what I know of it, in many words. ".repeat(12);
    for piece in [1, 5, 64, 4000] {
        for secret in [token(), CARD.to_owned(), IBAN.to_owned()] {
            let (shown, refusal) = shown(&plugin, &format!("{words}{secret}, and more. {words}"), piece).await?;
            assert!(matches!(refusal, Some(Refusal::Rejected { .. })), "{piece}: {refusal:?}");
            assert!(words.starts_with(&shown), "{piece}: {shown:?}");
        }
        assert_eq!(shown(&plugin, &words, piece).await?, (words.clone(), None));
    }
    let (shown, _) = shown(&plugin, &format!("{words}{}", token()), 5).await?;
    assert!(shown.len() > 200, "people see the beginning of a long answer before its end: {shown:?}");
    Ok(())
}

#[plexichat::test]
async fn links_and_mentions_are_kept_within_limits() -> TestResult {
    let plugin = with(json!({
        "links": {"block": ["*.evil.com"], "max": 2},
        "mentions": {"max": 2, "action": "flag"},
    }))
    .await?;
    let finding = rejected(plugin.post("ada", "see http://www.evil.com").await);
    assert_eq!((finding.code.as_str(), &finding.threats[..]), ("link", &["blocked_host".to_owned()][..]));
    let finding = rejected(plugin.post("ada", "http://a.de http://b.de http://c.de").await);
    assert_eq!(finding.threats, ["too_many_links"]);
    plugin.post("ada", "http://a.de @ada @bob").await?;
    plugin.post("ada", "@ada @bob @cy").await?;
    let flagged = plugin.event("message_flagged").await?;
    assert!(flagged.data()?.to_string().contains("too_many_mentions"));

    let plugin = with(json!({"links": {"allow": ["*.good.com"]}})).await?;
    plugin.post("ada", "https://wiki.good.com/x").await?;
    assert_eq!(rejected(plugin.post("ada", "https://other.com").await).threats, ["unlisted_host"]);
    Ok(())
}

#[plexichat::test]
async fn a_scanner_that_fails_lets_nothing_through() -> TestResult {
    for fault in [Fault::Error, Fault::Panic, Fault::Timeout] {
        for hook in ["scan_message", "rewrite_message"] {
            let plugin = TestHost::new().fault(hook, fault).start::<Moderation>().await?;
            let refused = plugin.post("ada", "hello").await;
            assert!(matches!(refused, Err(Refusal::ScannerUnavailable { .. })), "{hook} {fault:?}: {refused:?}");
            assert_eq!(plugin.messages(), []);
        }
    }
    Ok(())
}

#[plexichat::test]
async fn it_objects_to_its_samples_whatever_is_set() -> TestResult {
    for action in ["flag", "redact", "quarantine", "reject"] {
        let detectors = [
            "private_keys",
            "tokens",
            "json_web_tokens",
            "assigned_secrets",
            "card_numbers",
            "ibans",
            "email_addresses",
            "phone_numbers",
            "ip_addresses",
            "national_ids",
        ];
        let all: Value = detectors.iter().map(|name| ((*name).to_owned(), json!(action))).collect();
        let plugin =
            with(json!({"detectors": all, "assigned_secrets": {"min_entropy": 5.0, "min_length": 64}})).await?;
        assert_eq!(plugin.plugin()?.canaries().len(), 2 * detectors.len());
        assert_eq!(plugin.check_canaries().await, [], "{action}");
        let none: Value = detectors.iter().map(|name| ((*name).to_owned(), json!("off"))).collect();
        plugin.reconfigure(json!({"detectors": none})).await?;
        assert_eq!(plugin.plugin()?.canaries(), []);
        plugin.post("ada", &token()).await?;
    }
    Ok(())
}

#[track_caller]
fn check(config: Value, pointer: &str) {
    let problems = (plexichat_moderation::PLEXICHAT_PLUGIN.entry.check_config)(&config);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, [pointer], "{problems:?}");
}

#[test]
fn bad_settings_are_found_before_anything_starts() {
    check(json!({"detectors": {"tokens": "explode"}}), "/detectors/tokens");
    check(json!({"detectors": {"passwords": "reject"}}), "/detectors/passwords");
    check(json!({"redaction": {"replacement": ""}}), "/redaction/replacement");
    check(json!({"redaction": {"replacement": CARD}}), "/redaction/replacement");
    check(json!({"links": {"block": ["https://evil.com"]}}), "/links/block/0");
    check(json!({"links": {"allow": ["good.com", "*.*.com"]}}), "/links/allow/1");
    check(json!({"flood": {"messages": 0}}), "/flood/messages");
    check(json!({"duplicates": {"times": 3, "action": "redact"}}), "/duplicates/action");
    check(json!({"assigned_secrets": {"min_entropy": 9.0}}), "/assigned_secrets/min_entropy");
}
