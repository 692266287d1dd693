//! What models say, before people see it; what is asked of them; and who wants to sign in: each shown to scanners that object,
//! fail, hang and panic.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use plexichat::descriptor::{FailMode, Hook};
use plexichat::login::{LoginAttempt, LoginMethod};
use plexichat::message::Origin;
use plexichat::pipeline::{REPLY_BYTES_MAX, Refusal, RoomPolicy};
use plexichat::settings::{HookSettings, PluginSettings};
use plexichat::testing::{Heard, RunningPlugin, TestHost, TestResult};
use serde_json::{Value, json};

mod ears {
    use plexichat::prelude::*;

    /// How the scanner listens.
    #[plexichat::config]
    pub(crate) struct Config {
        /// `buffer`, `window` or `audit`.
        #[serde(default = "window")]
        pub(crate) mode: String,
        /// How many characters a window has.
        #[serde(default = "ten")]
        pub(crate) chars: usize,
        /// How many are kept back.
        #[serde(default = "ten")]
        pub(crate) overlap: usize,
        /// What goes wrong: `error`, `panic`, `hang`, `mode` (a panic where the mode is asked for).
        #[serde(default)]
        pub(crate) mood: String,
    }

    fn window() -> String {
        "window".to_owned()
    }

    fn ten() -> usize {
        10
    }

    #[plexichat::plugin(
        name = "ears",
        provides(Security),
        scan_reply(timeout = "5s", on_error = "open"),
        check_login(timeout = "5s", on_error = "open"),
        scan_message(timeout = "5s", on_error = "open")
    )]
    pub(crate) struct Ears(Config);

    impl Plugin for Ears {
        type Config = Config;

        async fn initialize(_: Context<Self>, config: Config) -> Result<Self> {
            Ok(Self(config))
        }
    }

    impl Ears {
        async fn judge(&self, text: &str) -> Result<Verdict, ScanError> {
            match &*self.0.mood {
                "error" => return Err(ScanError::Internal("told to".to_owned())),
                "panic" => panic!("told to"),
                "hang" => std::future::pending().await,
                _ => {}
            }
            Ok(match text {
                text if text.contains("SECRET-42") => Verdict::Reject(Finding::new("secret")),
                text if text.contains("HOLD") => Verdict::Quarantine(Finding::new("hold")),
                text if text.contains("FLAG") => Verdict::Flag(Finding::new("flag")),
                _ => Verdict::Allow,
            })
        }
    }

    #[plexichat::role]
    impl Security for Ears {
        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            self.judge(message.text).await
        }

        async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
            assert!(reply.seen().chars().count() <= self.0.overlap.max(200), "{reply:?}");
            assert!(self.0.mode != "buffer" || (reply.last && reply.seen().is_empty()), "{reply:?}");
            self.judge(reply.text()).await
        }

        fn reply_mode(&self) -> ReplyMode {
            assert!(self.0.mood != "mode", "told to");
            match &*self.0.mode {
                "audit" => ReplyMode::AuditOnly,
                "window" => ReplyMode::Window { chars: self.0.chars, overlap: self.0.overlap },
                _ => ReplyMode::Buffer,
            }
        }

        async fn check_login(&self, attempt: &LoginAttempt) -> Result<Verdict, ScanError> {
            self.judge(&attempt.name).await
        }

        fn canaries(&self) -> Vec<Canary> {
            match &*self.0.mood {
                "" => vec![Canary::reply("secret", "it is SECRET-42")],
                _ => Vec::new(),
            }
        }
    }
}

mod whole {
    use plexichat::prelude::*;

    /// Wants the whole answer, and objects to none.
    #[plexichat::plugin(name = "whole", provides(Security))]
    pub(crate) struct Whole;

    impl Plugin for Whole {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Whole {
        async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
            assert!(reply.last && reply.asked_by.name.as_ref() == "alice" && reply.author.id.as_ref() == "test/model");
            Ok(Verdict::Allow)
        }
    }
}

mod deaf {
    use plexichat::prelude::*;

    /// A plugin that judges nothing.
    #[plexichat::plugin(name = "deaf")]
    pub(crate) struct Deaf;

    impl Plugin for Deaf {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }
}

use deaf::Deaf;
use ears::Ears;
use whole::Whole;

fn on_error(mode: FailMode) -> impl FnOnce(&mut PluginSettings) {
    move |settings| {
        for hook in [Hook::ScanReply, Hook::CheckLogin, Hook::ScanMessage] {
            let mut said = HookSettings::default();
            said.on_error = Some(mode);
            settings.hooks.insert(hook, said);
        }
    }
}

/// The same for a scanner that hangs: nobody waits long for it.
fn impatient(mode: FailMode) -> impl FnOnce(&mut PluginSettings) {
    move |settings| {
        on_error(mode)(settings);
        settings.hooks.values_mut().for_each(|said| said.timeout = Some(Duration::from_millis(100)));
    }
}

async fn listening(config: Value) -> TestResult<RunningPlugin<Ears>> {
    TestHost::new().config(config).settings(on_error(FailMode::Closed)).start::<Ears>().await
}

fn code(heard: &Heard) -> Option<&'static str> {
    heard.refusal.as_ref().map(Refusal::code)
}

/// The text in pieces of so many characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

async fn hear(host: &RunningPlugin<Ears>, text: &str, size: usize) -> TestResult<Heard> {
    let pieces = pieces(text, size);
    host.hear(&pieces.iter().map(String::as_str).collect::<Vec<_>>()).await
}

#[plexichat::test]
async fn nothing_of_a_secret_is_shown_however_it_is_cut() -> TestResult {
    let (before, after) = ("the key — größer als 10 € — is: ", " and that is all there is to say of it");
    for chars in [1, 4, 10, 25] {
        let host = listening(json!({ "chars": chars, "overlap": 9 })).await?;
        for size in 1..=24 {
            let heard = hear(&host, &format!("{before}SECRET-42{after}"), size).await?;
            assert_eq!(code(&heard), Some("rejected"), "{chars} {size}");
            assert!(before.starts_with(&heard.text()), "{chars} {size}: {:?}", heard.text());

            let harmless = format!("{before}SECRET-43{after}");
            let heard = hear(&host, &harmless, size).await?;
            assert_eq!((code(&heard), heard.text()), (None, harmless), "{chars} {size}");
        }
    }
    Ok(())
}

#[plexichat::test]
async fn a_secret_in_two_and_in_three_pieces_is_never_shown() -> TestResult {
    let host = listening(json!({})).await?;
    for pieces in [&["look: SECR", "ET-42, so"][..], &["long enough, SEC", "RET", "-42 is it"]] {
        let heard = host.hear(pieces).await?;
        assert_eq!(code(&heard), Some("rejected"));
        assert!(!heard.text().contains('S'), "{heard:?}");
    }
    Ok(())
}

#[plexichat::test]
async fn a_window_is_shown_when_it_is_full_but_for_its_overlap() -> TestResult {
    let host = listening(json!({ "chars": 10, "overlap": 4 })).await?;
    let heard = host.hear(&["äöü", "ßabcdefgh", "", "i", "€🙂"]).await?;
    let shown: Vec<(usize, &str)> = heard.shown.iter().map(|(at, text)| (*at, text.as_str())).collect();
    assert_eq!(shown, [(2, "äöüßabcd"), (6, "efghi€🙂")]);

    let host = listening(json!({ "chars": 3, "overlap": 0 })).await?;
    let heard = host.hear(&["ab", "cd", "ef"]).await?;
    assert_eq!(heard.shown, [(2, "abcd".to_owned()), (4, "ef".to_owned())]);
    assert_eq!(host.hear(&[]).await?.shown, []);
    assert_eq!(host.hear(&[""]).await?.shown, []);
    Ok(())
}

#[plexichat::test]
async fn a_whole_answer_is_shown_when_all_of_it_was_judged() -> TestResult {
    let host = listening(json!({ "mode": "buffer" })).await?;
    assert_eq!(host.hear(&["a ", "b ", "c"]).await?.shown, [(4, "a b c".to_owned())]);
    let heard = host.hear(&["SEC", "RET", "-42"]).await?;
    assert_eq!((code(&heard), heard.text()), (Some("rejected"), String::new()));

    let long = "a".repeat(REPLY_BYTES_MAX);
    assert_eq!(host.hear(&[&long]).await?.text().len(), REPLY_BYTES_MAX);
    let heard = host.hear(&[&long, "a", "b"]).await?;
    assert_eq!((code(&heard), heard.text()), (Some("message_too_large"), String::new()));
    Ok(())
}

#[plexichat::test]
async fn what_would_be_held_back_is_refused_and_what_is_flagged_is_told_once() -> TestResult {
    let host = listening(json!({})).await?;
    let heard = host.hear(&["please HOLD it"]).await?;
    assert_eq!((code(&heard), heard.text()), (Some("rejected"), String::new()));

    let heard = host.hear(&["a FLAG is seen ", "in two windows"]).await?;
    assert_eq!((code(&heard), heard.text()), (None, "a FLAG is seen in two windows".to_owned()));
    let told = alerts(&host, "flag").await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["subject"], "an answer of `test/model` to `alice`");
    assert_eq!((&told[0]["severity"], &told[0]["plugin_id"]), (&json!("low"), &json!("ears")));
    assert_eq!(alerts(&host, "hold").await?[0]["severity"], "medium");
    Ok(())
}

/// The alerts with this code, once there is one.
async fn alerts(host: &RunningPlugin<Ears>, code: &str) -> TestResult<Vec<Value>> {
    for _ in 0..2_000 {
        let events = host.events().into_iter().filter(|event| event.name == "security_alert");
        let data: Vec<Value> = events.filter_map(|event| event.data().ok()).collect();
        let found: Vec<Value> = data.into_iter().filter(|data| data["code"] == code).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(format!("there was no alert `{code}`").into())
}

#[plexichat::test]
async fn what_is_only_audited_is_shown_at_once_and_told_afterwards() -> TestResult {
    let host = listening(json!({ "mode": "audit" })).await?;
    let heard = host.hear(&["the SECRET", "-42", " is out"]).await?;
    assert_eq!(heard.refusal, None);
    assert_eq!(heard.shown.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(alerts(&host, "secret").await?[0]["severity"], "medium");

    // Where one audited window ends and the next one begins.
    let host = listening(json!({ "mode": "audit" })).await?;
    let long = "x".repeat(1_995);
    let heard = host.hear(&[&long, "SECRET", "-42", &long]).await?;
    assert_eq!((heard.refusal, heard.shown.len()), (None, 4));
    alerts(&host, "secret").await?;
    Ok(())
}

#[plexichat::test]
async fn the_strictest_mode_counts_for_all() -> TestResult {
    let host = TestHost::new().config(json!({ "mode": "audit" })).beside::<Whole>().start::<Ears>().await?;
    let heard = host.hear(&["some words, ", "and more of them"]).await?;
    assert_eq!(heard.shown, [(3, "some words, and more of them".to_owned())]);
    let heard = host.hear(&["SECRET", "-42"]).await?;
    assert_eq!((code(&heard), heard.text()), (Some("rejected"), String::new()));
    Ok(())
}

/// What becomes of an answer, a question and a sign-in where the scanner cannot judge.
#[track_caller]
fn check(policy: FailMode, mode: &str, mood: &str, expected: Option<&str>) {
    plexichat::testing::run(async {
        let host = TestHost::new().config(json!({ "mode": mode, "mood": mood })).settings(impatient(policy));
        let host = host.start::<Ears>().await.unwrap();
        let heard = host.hear(&["hello, this is ", "a longer answer"]).await.unwrap();
        assert_eq!(code(&heard), expected, "{policy:?} {mode} {mood}");
        match expected {
            None => assert_eq!(heard.text(), "hello, this is a longer answer"),
            Some(_) => assert_eq!(heard.text(), ""),
        }
        let attempt = LoginAttempt::new("alice", LoginMethod::Password);
        assert_eq!(host.sign_in(attempt).await.err().map(|refusal| refusal.code()), expected);
        let asked = host.host().pipeline.clear_prompt(&host.actor("alice"), None, "hi".to_owned(), Origin::Rest).await;
        assert_eq!(asked.err().map(|refusal| refusal.code()), expected);
    });
}

#[test]
fn where_a_scanner_fails_its_policy_decides() {
    for mood in ["error", "panic", "hang"] {
        for mode in ["window", "buffer"] {
            check(FailMode::Closed, mode, mood, Some("scanner_unavailable"));
        }
        check(FailMode::Quarantine, "window", mood, Some("scanner_unavailable"));
        check(FailMode::Open, "window", mood, None);
    }
}

#[plexichat::test]
async fn a_scanner_that_cannot_say_its_mode_gets_the_whole_answer() -> TestResult {
    let host = listening(json!({ "mood": "mode" })).await?;
    assert_eq!(host.hear(&["some words, ", "and more of them"]).await?.shown.len(), 1);
    Ok(())
}

#[plexichat::test]
async fn what_passed_without_a_word_is_counted() -> TestResult {
    let host = TestHost::new().config(json!({"mood": "error"})).settings(on_error(FailMode::Open));
    let host = host.start::<Ears>().await?;
    host.hear(&["long enough for one window"]).await?;
    let counts = host.host().manager.snapshot().standing().counts();
    let replies = counts.iter().find(|counts| counts.hook == "scan_reply").unwrap();
    assert_eq!((replies.calls, replies.unscanned), (2, 2), "{replies:?}");
    Ok(())
}

#[plexichat::test]
async fn an_answer_that_is_audited_ends_where_a_needed_word_cannot_be_had() -> TestResult {
    let host = listening(json!({ "mode": "audit", "mood": "error" })).await?;
    let about = || plexichat::pipeline::ReplyAbout {
        author: host.actor("model"),
        asked_by: host.actor("alice"),
        room_id: None,
        origin: Origin::Rest,
    };
    let mut scanner = host.host().pipeline.reply_scanner(about()).await?;
    assert!(scanner.push(&"a".repeat(2_000)).await?.is_some(), "it is shown at once");
    let mut pushed = Ok(None);
    for _ in 0..2_000 {
        pushed = scanner.push("b").await;
        if pushed.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(pushed.unwrap_err().code(), "scanner_unavailable");
    assert_eq!(scanner.finish().await.unwrap_err().code(), "scanner_unavailable");
    Ok(())
}

#[plexichat::test]
async fn a_scanner_that_a_room_requires_and_that_does_not_run_closes_its_answers() -> TestResult {
    let host = TestHost::new().beside::<Whole>().start::<Deaf>().await?;
    let policy = RoomPolicy { required_scanners: vec!["ears".parse()?], ..RoomPolicy::default() };
    host.store().set_policy(host.room(), policy);
    let error = host.hear_in(Some(host.room()), &["hello"]).await.unwrap_err();
    assert!(error.to_string().contains("the scan_reply hook of `ears` is not available"), "{error}");
    assert_eq!(host.hear(&["hello"]).await?.text(), "hello", "it counts in that room");
    Ok(())
}

#[plexichat::test]
async fn where_nobody_judges_every_piece_is_shown_as_it_comes() -> TestResult {
    let host = TestHost::new().start::<Deaf>().await?;
    let heard = host.hear(&["SEC", "", "RET-42", "!"]).await?;
    assert_eq!(heard.shown, [(1, "SEC".to_owned()), (3, "RET-42".to_owned()), (4, "!".to_owned())]);
    assert!(size_of::<plexichat::pipeline::ReplyScanner>() <= 16, "nothing is kept of the answer");
    host.sign_in(LoginAttempt::new("SECRET-42", LoginMethod::Password)).await?;
    Ok(())
}

#[plexichat::test]
async fn who_may_not_sign_in_is_told_so_and_operators_of_it() -> TestResult {
    let host = listening(json!({})).await?;
    let from = Some("192.0.2.7".parse()?);
    host.sign_in(LoginAttempt::new("alice", LoginMethod::Password)).await?;
    for (name, code) in [("SECRET-42", "secret"), ("HOLD", "hold")] {
        let refusal = host.sign_in(LoginAttempt::new(name, LoginMethod::Password).from(from, None)).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.http_status(), refusal.retryable()), ("login_rejected", 403, false));
        assert_eq!(refusal.to_string(), format!("`ears` does not let you in: {code}"));
        let alert = &alerts(&host, code).await?[0];
        assert_eq!(alert["subject"], format!("`{name}` wants to sign in from 192.0.2.7"));
    }
    host.sign_in(LoginAttempt::new("FLAG", LoginMethod::Registration)).await?;
    assert_eq!(alerts(&host, "flag").await?[0]["severity"], "low");
    Ok(())
}

#[plexichat::test]
async fn what_is_asked_of_a_model_is_judged_like_a_message() -> TestResult {
    let host = listening(json!({})).await?;
    let ask = async |text: &str| {
        host.host().pipeline.clear_prompt(&host.actor("alice"), None, text.to_owned(), Origin::Openai).await
    };
    assert_eq!(ask("hello").await?, "hello");
    for (text, expected) in [("a SECRET-42", "secret"), ("HOLD", "hold")] {
        let Err(Refusal::Rejected { plugin, finding }) = ask(text).await else { panic!("{text} passed") };
        assert_eq!((plugin.as_str(), &*finding.code), ("ears", expected));
        assert_eq!(alerts(&host, expected).await?[0]["subject"], "what `alice` asks of a model");
    }
    assert_eq!(ask("FLAG").await?, "FLAG");
    assert_eq!(alerts(&host, "flag").await?.len(), 1);
    assert!(host.messages().is_empty(), "nothing is stored");
    Ok(())
}

#[plexichat::test]
async fn a_sample_of_an_answer_that_passes_closes_the_road() -> TestResult {
    let host = listening(json!({})).await?;
    assert_eq!(host.check_canaries().await, []);
    assert_eq!(host.hear(&["hello"]).await?.text(), "hello");
    Ok(())
}
