//! The broker through a running host: which provider is asked, how often, what is counted, what scanners withhold.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use plexichat::ai::{
    AiDelta, AiError, AiErrorKind, AiRequest, AiResponse, AiStream, EmbedRequest, Embeddings, FinishReason, Model,
    Part, ToolDefinition, ToolRequest, Turn, Usage,
};
use plexichat::broker::{Ask, Piece, Quotas};
use plexichat::message::{Actor, Origin};
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};

use self::censor::Censor;
use self::clerk::Clerk;
use self::spare::Spare;

static ASKED: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Answers by the model's name: what goes wrong is in it.
#[plexichat::plugin(name = "oracle", provides(AiProvider))]
pub struct Oracle {
    asked: AtomicUsize,
}

impl Plugin for Oracle {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self { asked: AtomicUsize::new(0) })
    }
}

struct CountsDrop;

impl Drop for CountsDrop {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

fn unavailable() -> AiError {
    AiError::new(AiErrorKind::Unavailable, "it is down")
}

#[plexichat::role]
impl AiProvider for Oracle {
    async fn models(&self) -> Result<Vec<Model>, AiError> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        let names = [
            "echo",
            "first-fails",
            "down",
            "auth",
            "half",
            "slow",
            "stalls",
            "panics",
            "panics-later",
            "endless",
            "mute",
            "calls",
            "runaway",
        ];
        let vectors = {
            let mut model = Model::new("vectors");
            model.abilities.chat = false;
            model.abilities.embeddings = true;
            model
        };
        Ok(names.into_iter().map(Model::new).chain([vectors]).collect())
    }

    async fn stream_response(&self, request: AiRequest) -> Result<AiStream, AiError> {
        let said = request.turns.last().map(Turn::joined_text).unwrap_or_default();
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        let whole = || {
            let usage = AiDelta::Usage(Usage { input_tokens: 7, output_tokens: 3, cached_input_tokens: 0 });
            let words: Vec<AiDelta> = said.split_inclusive(' ').map(AiDelta::text).collect();
            AiStream::of(words.into_iter().chain([usage, AiDelta::finish(FinishReason::Stop)]).collect::<Vec<_>>())
        };
        match request.model.as_str() {
            "echo" => Ok(whole()),
            "first-fails" if nth == 0 => Err(unavailable()),
            "first-fails" => Ok(whole()),
            "down" => Err(unavailable()),
            "auth" => Err(AiError::new(AiErrorKind::Auth, "the key ends in 1234")),
            "half" => Ok(AiStream::new(stream::iter([Ok(AiDelta::text("half")), Err(unavailable())]))),
            "slow" => Ok(AiStream::new(stream::pending())),
            "stalls" => {
                let first = stream::iter([Ok(AiDelta::text("a"))]);
                Ok(AiStream::new(futures_util::StreamExt::chain(first, stream::pending())))
            }
            "panics" => panic!("it panics on purpose"),
            "panics-later" => Ok(AiStream::new(stream::unfold(0, |step| async move {
                assert!(step == 0, "it panics on purpose");
                Some((Ok(AiDelta::text("a")), 1))
            }))),
            "endless" => {
                let held = Arc::new(CountsDrop);
                Ok(AiStream::new(stream::unfold(held, |held| async move {
                    futures_util::future::ready(()).await;
                    Some((Ok(AiDelta::text("and ")), held))
                })))
            }
            "calls" => {
                let call = |name: Option<&str>, arguments: String| AiDelta::ToolCall {
                    index: 0,
                    id: name.map(str::to_owned),
                    name: name.map(str::to_owned),
                    arguments,
                };
                let pieces = [call(Some("look"), "{\"what\":\"".to_owned()), call(None, format!("{said}\"}}"))];
                Ok(AiStream::of(pieces.into_iter().chain([AiDelta::finish(FinishReason::ToolCalls)])))
            }
            "runaway" => Ok(AiStream::new(stream::repeat(Ok(AiDelta::text("x".repeat(64 * 1024)))))),
            _ => Ok(AiStream::of([])),
        }
    }

    fn count_tokens(&self, _: &str, turns: &[Turn]) -> u32 {
        turns.len() as u32 * 1_000
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, AiError> {
        let vectors = request.input.iter().map(|text| vec![text.len() as f32]).collect();
        Ok(Embeddings { vectors, usage: None })
    }
}

mod spare {
    use plexichat::ai::FinishReason;
    use plexichat::prelude::*;

    /// Another provider, with one model that answers.
    #[plexichat::plugin(name = "spare", provides(AiProvider))]
    pub(crate) struct Spare;

    impl Plugin for Spare {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl AiProvider for Spare {
        async fn models(&self) -> Result<Vec<Model>, AiError> {
            Ok(vec![Model::new("only")])
        }

        async fn stream_response(&self, _: AiRequest) -> Result<AiStream, AiError> {
            Ok(AiStream::of([AiDelta::text("spare"), AiDelta::finish(FinishReason::Stop)]))
        }
    }
}

mod censor {
    use plexichat::prelude::*;

    /// Rejects what has the word, and redacts another.
    #[plexichat::plugin(name = "censor", provides(Security))]
    pub(crate) struct Censor;

    impl Plugin for Censor {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Censor {
        async fn rewrite_message(&self, message: &MessageView<'_>) -> Result<Option<MessagePatch>, ScanError> {
            Ok(message.text.contains("4111").then(|| MessagePatch::text(message.text.replace("4111", "****"))))
        }

        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            Ok(if message.text.contains("forbidden") { Verdict::Reject(Finding::new("word")) } else { Verdict::Allow })
        }
    }
}

mod clerk {
    use plexichat::prelude::*;

    /// Judges what models say.
    #[plexichat::plugin(name = "clerk", provides(Security))]
    pub(crate) struct Clerk;

    impl Plugin for Clerk {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self)
        }
    }

    #[plexichat::role]
    impl Security for Clerk {
        async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
            Ok(if reply.text().contains("classified") { Verdict::Reject(Finding::new("word")) } else { Verdict::Allow })
        }
    }
}

fn question(models: &[&str], text: &str) -> Ask<AiRequest> {
    Ask {
        models: models.iter().map(|&model| model.to_owned()).collect(),
        request: AiRequest::new("", vec![Turn::user(text)]),
        actor: Actor::user("ada", "Ada"),
        room_id: None,
        origin: Origin::Openai,
        judged: false,
        cause: None,
    }
}

/// The answer, or the code that it failed with behind what was shown of it.
async fn answer(running: &RunningPlugin<Oracle>, ask: Ask<AiRequest>) -> Result<String, (String, &'static str)> {
    let mut answer = running.host().broker.ask(ask).await.map_err(|error| (String::new(), error.kind().code()))?;
    let mut response = AiResponse::default();
    while let Some(piece) = answer.next().await {
        match piece {
            Ok(Piece::Text(delta)) => response.push(AiDelta::text(delta.text())),
            Ok(Piece::Other(delta)) => response.push(delta),
            Err(error) => return Err((response.text, error.kind().code())),
        }
    }
    assert_ne!(response.finish, FinishReason::Length, "none of these models says so");
    Ok(response.text)
}

fn host() -> TestHost {
    TestHost::new().beside::<Spare>().beside::<Censor>().settings(|settings| {
        settings.timeouts.first_delta = Duration::from_millis(200);
        settings.timeouts.gap = Duration::from_millis(200);
    })
}

async fn started() -> TestResult<RunningPlugin<Oracle>> {
    host().start::<Oracle>().await
}

/// One question to one host of its own, so that no breaker remembers another one's failures.
#[track_caller]
fn check(models: &[&str], text: &str, expected: Result<&str, (&str, &str)>) {
    check_on(host(), models, text, expected);
}

#[track_caller]
fn check_on(host: TestHost, models: &[&str], text: &str, expected: Result<&str, (&str, &str)>) {
    let (ask, caller) = (question(models, text), std::panic::Location::caller());
    plexichat::testing::run(async move {
        let running = host.start::<Oracle>().await.unwrap();
        let told = answer(&running, ask).await;
        let told = told.as_ref().map(String::as_str).map_err(|(shown, code)| (shown.as_str(), *code));
        assert_eq!(told, expected, "at {caller}");
    });
}

#[test]
fn the_named_model_answers() {
    check(&["oracle/echo"], "say this", Ok("say this"));
    check(&["oracle"], "say this", Ok("say this"));
    check(&["spare"], "say this", Ok("spare"));
    check(&["oracle/unknown"], "say this", Err(("", "model_not_found")));
    check(&["nobody/echo"], "say this", Err(("", "model_not_found")));
    check(&["nobody/echo", "spare/only"], "say this", Ok("spare"));
    check(&[], "say this", Ok("say this"));
}

#[test]
fn it_is_tried_again_and_elsewhere_before_the_first_piece_and_not_after_it() {
    check(&["oracle/first-fails"], "say this", Ok("say this"));
    check(&["oracle/down"], "say this", Err(("", "provider_unavailable")));
    check(&["oracle/down", "spare/only"], "say this", Ok("spare"));
    check(&["oracle/auth", "spare/only"], "say this", Ok("spare"));
    check(&["oracle/slow", "spare/only"], "say this", Ok("spare"));
    check(&["oracle/panics", "spare/only"], "say this", Ok("spare"));
    check(&["oracle/half", "spare/only"], "say this", Err(("half", "provider_unavailable")));
    check(&["oracle/stalls", "spare/only"], "say this", Err(("a", "provider_timeout")));
    check(&["oracle/panics-later"], "say this", Err(("a", "provider_failed")));
    check(&["oracle/mute"], "say this", Ok(""));
}

#[test]
fn questions_are_judged_like_messages() {
    check(&["oracle/echo"], "this is forbidden", Err(("", "content_filter")));
    check(&["oracle/echo"], "my card is 4111", Ok("my card is ****"));
}

#[plexichat::test]
async fn everything_that_is_asked_is_judged() -> TestResult {
    let running = started().await?;
    let asked = |change: &dyn Fn(&mut AiRequest)| {
        let mut ask = question(&["oracle/echo"], "hello");
        change(&mut ask.request);
        answer(&running, ask)
    };
    let refused = Err((String::new(), "content_filter"));
    let tool = |description: &str, schema: Value| ToolDefinition {
        name: "look".to_owned(),
        description: description.to_owned(),
        parameters: schema,
    };
    let harmless = asked(&|request| request.tools = vec![tool("it looks", json!({"type": "object"}))]).await;
    assert_eq!(harmless, Ok("hello".to_owned()));
    assert_eq!(asked(&|request| request.tools = vec![tool("forbidden", json!({}))]).await, refused);
    assert_eq!(asked(&|request| request.tools = vec![tool("", json!({"x": {"forbidden": 1}}))]).await, refused);
    assert_eq!(asked(&|request| drop(request.extra.insert("note".into(), json!(["forbidden"])))).await, refused);
    assert_eq!(asked(&|request| request.sampling.stop = vec!["forbidden".into()]).await, refused);
    assert_eq!(asked(&|request| request.user = Some("forbidden".into())).await, refused);
    let (id, name) = ("1".to_owned(), "look".to_owned());
    let called = Part::ToolCall(ToolRequest { id, name, arguments: r#"{"what":"\u0066orbidden"}"#.into() });
    assert_eq!(asked(&|request| request.turns[0].parts.insert(0, called.clone())).await, refused);
    let half = |text: &str| Part::Text { text: text.into() };
    assert_eq!(asked(&|request| request.turns[0].parts = vec![half("forb"), half("idden")]).await, refused);
    // What would be redacted cannot be where nothing can be put in its place.
    assert_eq!(asked(&|request| request.sampling.stop = vec!["4111".into()]).await, refused);
    Ok(())
}

#[test]
fn what_models_say_is_judged_their_tool_calls_too() {
    check_on(host().beside::<Clerk>(), &["oracle/echo"], "this is classified", Err(("", "content_filter")));
    check_on(host().beside::<Clerk>(), &["oracle/calls"], "this is classified", Err(("", "content_filter")));
    check_on(host().beside::<Clerk>(), &["oracle/calls"], r"this is \u0063lassified", Err(("", "content_filter")));
    check_on(host().beside::<Clerk>(), &["oracle/calls"], "this is known", Ok(""));
    check_on(host().beside::<Clerk>(), &["oracle/runaway"], "go on", Err(("", "provider_protocol")));
}

#[plexichat::test]
async fn dropping_an_answer_cancels_it_and_counts_it() -> TestResult {
    let running = started().await?;
    let mut answer = running.host().broker.ask(question(&["oracle/endless"], "go")).await?;
    assert!(matches!(answer.next().await, Some(Ok(Piece::Text(_)))));
    drop(answer);
    for _ in 0..200 {
        if DROPPED.load(Ordering::SeqCst) == 1 && !running.store().usage().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(DROPPED.load(Ordering::SeqCst), 1, "the provider's stream was dropped");
    let usage = running.store().usage();
    assert_eq!(usage.len(), 1);
    assert_eq!((usage[0].outcome.as_str(), usage[0].estimated), ("cancelled", true));
    assert!(usage[0].usage.output_tokens > 0);
    Ok(())
}

#[plexichat::test]
async fn what_is_asked_is_counted_and_limited() -> TestResult {
    let running = started().await?;
    assert_eq!(answer(&running, question(&["oracle/echo"], "one")).await, Ok("one".to_owned()));
    running.idle().await?;
    let usage = wait_for_usage(&running, 1).await;
    assert_eq!((usage.model.as_str(), usage.usage.total(), usage.estimated), ("oracle/echo", 10, false));
    assert_eq!(usage.outcome, "stop");
    let quotas = Quotas { actor_requests: Some(1), ..Quotas::default() };
    running.host().broker.set_quotas(quotas);
    let refused = answer(&running, question(&["oracle/echo"], "two")).await;
    assert_eq!(refused, Err((String::new(), "quota_exceeded")));
    let mut somebody = question(&["oracle/echo"], "two");
    somebody.actor = Actor::user("bob", "Bob");
    assert_eq!(answer(&running, somebody).await, Ok("two".to_owned()), "the quota is each person's own");
    let quotas = Quotas { actor_tokens: Some(500), ..Quotas::default() };
    running.host().broker.set_quotas(quotas);
    let mut somebody = question(&["oracle/echo"], "three");
    somebody.actor = Actor::user("eve", "Eve");
    assert_eq!(answer(&running, somebody).await, Err((String::new(), "quota_exceeded")), "by the provider's own count");
    Ok(())
}

async fn wait_for_usage(running: &RunningPlugin<Oracle>, count: usize) -> plexichat::broker::UsageRecord {
    for _ in 0..200 {
        if running.store().usage().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.store().usage().swap_remove(count - 1)
}

#[plexichat::test]
async fn models_are_named_by_their_plugin_and_remembered() -> TestResult {
    let running = started().await?;
    let models = running.host().broker.models().await;
    let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    assert!(names.contains(&"oracle/echo") && names.contains(&"spare/only"), "{names:?}");
    let before = ASKED.load(Ordering::SeqCst);
    running.host().broker.models().await;
    running.host().broker.models().await;
    // Other tests of this process ask too, each of its own host.
    assert!(ASKED.load(Ordering::SeqCst) <= before + 20);
    Ok(())
}

#[plexichat::test]
async fn texts_become_vectors() -> TestResult {
    let running = started().await?;
    let ask = |model: &str, input: &[&str]| Ask {
        models: vec![model.to_owned()],
        request: EmbedRequest::new("", input.iter().map(|&text| text.to_owned()).collect()),
        actor: Actor::user("ada", "Ada"),
        room_id: None,
        origin: Origin::Openai,
        judged: false,
        cause: None,
    };
    let broker = &running.host().broker;
    let embeddings = broker.embed(ask("oracle", &["a", "abc"])).await?;
    assert_eq!(embeddings.vectors, [[1.0], [3.0]]);
    let refused = broker.embed(ask("oracle", &["forbidden"])).await.unwrap_err();
    assert_eq!(refused.kind(), AiErrorKind::ContentFiltered);
    let refused = broker.embed(ask("spare/only", &["a"])).await.unwrap_err();
    assert_eq!(refused.kind(), AiErrorKind::InvalidRequest);
    Ok(())
}
