//! The plugin as people meet it, on the test kit's real host, with models of a few hundred kilobytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use plexichat::ai::{AiStream, FinishReason, Part, ResponseFormat, Sampling, ToolChoice, Turn, Usage};
use plexichat::prelude::*;
use plexichat::testing::{TestHost, TestResult};
use plexichat_local_ai::LocalAi;
use plexichat_tiny_gguf::{File, Kind, Storage, TinyModel, Value as GgufValue};

plexichat::compliance!(LocalAi);

const PATH: &str = "/models/tiny.gguf";

fn host(file: &[u8], config: Value) -> TestHost {
    let mut settings = json!({"path": PATH});
    settings.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    TestHost::new().directory("/models").file(PATH, file).config(settings)
}

fn tiny(model: &TinyModel) -> Vec<u8> {
    model.file().to_bytes()
}

/// A request for the only model.
fn ask(text: &str, sampling: Sampling) -> AiRequest {
    let mut request = AiRequest::new("tiny", vec![Turn::user(text)]);
    request.sampling = sampling;
    request
}

fn sampling(set: impl FnOnce(&mut Sampling)) -> Sampling {
    let mut sampling = Sampling::default();
    set(&mut sampling);
    sampling
}

/// Waits for the first piece: the model has then been read, and its answer is being made.
async fn begun(mut stream: AiStream) -> AiStream {
    let first = stream.next().await;
    assert!(matches!(first, Some(Ok(AiDelta::Text { .. }))), "{first:?}");
    stream
}

#[plexichat::test]
async fn answers_with_what_the_model_says() -> TestResult {
    for (kind, storage) in [(Kind::SentencePiece, Storage::F32), (Kind::ByteLevel, Storage::Q8)] {
        let words = "The tiny model answers with words that it knows by heart.";
        let file = tiny(&TinyModel { storage, ..TinyModel::new(3, kind).that_says(words) });
        let plugin = host(&file, json!({})).start::<LocalAi>().await?;
        let provider = plugin.plugin()?;
        let answer = provider.generate_response(ask("hello", Sampling::default())).await?;
        assert_eq!((answer.text.trim_start(), answer.finish), (words, FinishReason::Stop));
        let usage = answer.usage.expect("a usage");
        assert_eq!((usage.output_tokens, usage.cached_input_tokens), (12, 0));
        assert!(usage.input_tokens > 5, "{usage:?}");
        assert_eq!(provider.health().await, Health::Healthy);

        let models = provider.models().await?;
        assert_eq!((models[0].id.as_str(), models[0].name.as_str()), ("tiny", "tiny 3"));
        assert_eq!((models[0].context_tokens, models[0].max_output_tokens), (Some(512), Some(512)));
        assert!(models[0].abilities.chat && !models[0].abilities.tools);
    }
    Ok(())
}

#[plexichat::test]
async fn is_asked_through_the_broker_like_any_other() -> TestResult {
    use plexichat::broker::{Ask, Piece};
    let file = tiny(&TinyModel::new(3, Kind::ByteLevel).that_says("Hello from within."));
    let plugin = host(&file, json!({"name": "own"})).start::<LocalAi>().await?;
    let asked = Ask {
        models: vec!["local-ai/own".to_owned()],
        request: AiRequest::new("", vec![Turn::user("hello")]),
        actor: plugin.actor("alice"),
        room_id: None,
        origin: plexichat::message::Origin::Rest,
        judged: false,
        cause: None,
    };
    let mut answer = plugin.host().broker.ask(asked).await?;
    assert_eq!(&*answer.author().id, "local-ai/own");
    let mut text = String::new();
    while let Some(piece) = answer.next().await {
        if let Piece::Text(piece) = piece? {
            text.push_str(piece.text());
        }
    }
    assert_eq!(text, " Hello from within.");
    Ok(())
}

#[plexichat::test]
async fn the_same_seed_gives_the_same_answer() -> TestResult {
    let file = tiny(&TinyModel::new(8, Kind::SentencePiece));
    let plugin = host(&file, json!({"temperature": 1.5, "top_k": 0, "top_p": 1.0})).start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    let answer = async |seed: Option<i64>| {
        let sampling = sampling(|sampling| (sampling.seed, sampling.max_output_tokens) = (seed, Some(30)));
        provider.generate_response(ask("hello", sampling)).await
    };
    let first = answer(Some(42)).await?;
    assert_eq!(answer(Some(42)).await?.text, first.text);
    assert_ne!(answer(Some(43)).await?.text, first.text);
    assert_ne!(answer(None).await?.text, answer(None).await?.text);
    Ok(())
}

#[plexichat::test]
async fn an_answer_ends_where_it_is_told_to() -> TestResult {
    let words = "one two three four five";
    let file = tiny(&TinyModel::new(3, Kind::ByteLevel).that_repeats(words));
    let plugin = host(&file, json!({"max_output_tokens": 7})).start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    let check = async |set: fn(&mut Sampling), text: &str, finish| {
        let answer = provider.generate_response(ask("hello", sampling(set))).await?;
        assert_eq!((answer.text.as_str(), answer.finish), (text, finish));
        TestResult::Ok(())
    };
    check(|_| {}, " one two three four five one two", FinishReason::Length).await?;
    check(|sampling| sampling.max_output_tokens = Some(2), " one two", FinishReason::Length).await?;
    check(|sampling| sampling.max_output_tokens = Some(99), " one two three four five one two", FinishReason::Length)
        .await?;
    check(|sampling| sampling.stop = vec!["ee fo".to_owned()], " one two thr", FinishReason::Stop).await
}

#[plexichat::test]
async fn a_conversation_that_is_too_long_says_how_long_it_may_be() -> TestResult {
    let file = tiny(&TinyModel::new(3, Kind::ByteLevel).that_repeats("a b"));
    let plugin = host(&file, json!({"context_tokens": 64})).start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    let refused = provider.generate_response(ask(&"x".repeat(100), Sampling::default())).await.unwrap_err();
    assert_eq!(refused.kind(), AiErrorKind::ContextLength { limit: Some(64) });
    assert!(refused.message().contains("tokens; with an answer, at most 64 are possible"), "{refused}");
    let answer = provider.generate_response(ask("x", Sampling::default())).await?;
    assert_eq!((answer.finish, answer.usage.map(Usage::total)), (FinishReason::Length, Some(64)));
    Ok(())
}

#[plexichat::test]
async fn a_conversation_that_goes_on_is_answered_as_a_new_one_is() -> TestResult {
    let file = tiny(&TinyModel::new(5, Kind::ByteLevel));
    let plugin = host(&file, json!({"temperature": 0.0, "max_output_tokens": 8})).start::<LocalAi>().await?;
    let fresh = host(&file, json!({"temperature": 0.0, "max_output_tokens": 8})).start::<LocalAi>().await?;
    let (provider, fresh) = (plugin.plugin()?, fresh.plugin()?);
    let mut request = ask("the first question", Sampling::default());
    let first = provider.generate_response(request.clone()).await?;
    request.turns.extend([Turn::assistant("an answer"), Turn::user("the second")]);
    let second = provider.generate_response(request.clone()).await?;
    let usage = second.usage.unwrap();
    assert!(usage.input_tokens > first.usage.unwrap().input_tokens, "{usage:?}");
    assert_eq!(usage.cached_input_tokens, 0, "nobody is told that others asked the same");
    assert_eq!(second.text, fresh.generate_response(request).await?.text, "it answers as one that knows nothing");
    Ok(())
}

/// An endless answer that nobody reads any more is not made any more: the next one begins at once.
#[plexichat::test]
async fn stops_when_nobody_listens() -> TestResult {
    let mut model = TinyModel::new(3, Kind::ByteLevel).that_repeats("again and");
    model.shape.context = 1_000_000;
    let limits = json!({"context_tokens": 1_000_000, "max_output_tokens": 900_000, "queue": 0});
    let plugin = host(&tiny(&model), limits).start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    for _ in 0..3 {
        let stream = begun(provider.stream_response(ask("hello", Sampling::default())).await?).await;
        let busy = provider.stream_response(ask("hello", Sampling::default())).await.map(|_| ()).unwrap_err();
        assert_eq!(busy.kind(), AiErrorKind::RateLimited { retry_after: Some(Duration::from_secs(5)) });
        drop(stream);
        let dropped = Instant::now();
        let end = sampling(|sampling| sampling.max_output_tokens = Some(1));
        let answer = loop {
            match provider.generate_response(ask("hello", end.clone())).await {
                Err(error) if matches!(error.kind(), AiErrorKind::RateLimited { .. }) => {
                    assert!(dropped.elapsed() < Duration::from_secs(5), "its place is still taken");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                answer => break answer?,
            }
        };
        assert_eq!(answer.text, " again");
        assert!(dropped.elapsed() < Duration::from_secs(5), "{:?}", dropped.elapsed());
    }
    Ok(())
}

#[plexichat::test]
async fn who_waits_is_answered_in_turn_and_who_finds_no_place_is_told() -> TestResult {
    let mut model = TinyModel::new(3, Kind::ByteLevel).that_repeats("again and");
    model.shape.context = 100_000;
    let limits = json!({"context_tokens": 100_000, "max_output_tokens": 90_000, "queue": 1});
    let plugin = host(&tiny(&model), limits).start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    let short = || ask("hello", sampling(|sampling| sampling.max_output_tokens = Some(2)));
    let first = begun(provider.stream_response(ask("hello", Sampling::default())).await?).await;
    let waiting = provider.stream_response(short()).await?;
    assert!(provider.stream_response(short()).await.is_err(), "one answer is made, one waits");
    drop(waiting);
    // Whoever gives up while waiting leaves the place to another.
    let second = loop {
        match provider.stream_response(short()).await {
            Ok(second) => break second,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    drop(first);
    assert_eq!(second.collect().await?.text, " again and");
    Ok(())
}

#[plexichat::test]
async fn without_a_model_it_runs_and_says_how_to_get_one() -> TestResult {
    let plugin = TestHost::new().start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    assert_eq!(provider.models().await?, []);
    let Health::Degraded(why) = provider.health().await else { panic!("{:?}", provider.health().await) };
    for part in ["no model is set", "GGUF", "`directories` of `[plugins.local-ai]`", "`path`"] {
        assert!(why.contains(part), "{why}");
    }
    let refused = provider.generate_response(ask("hello", Sampling::default())).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (AiErrorKind::ModelNotFound, why.as_str()));
    Ok(())
}

#[plexichat::test]
async fn what_cannot_be_promised_is_refused() -> TestResult {
    let plugin = host(&tiny(&TinyModel::new(3, Kind::ByteLevel)), json!({})).start::<LocalAi>().await?;
    let provider = plugin.plugin()?;
    let check = async |change: &dyn Fn(&mut AiRequest), kind, part: &str| {
        let mut request = ask("hello", Sampling::default());
        change(&mut request);
        let refused = provider.generate_response(request).await.unwrap_err();
        assert!(refused.kind() == kind && refused.message().contains(part), "{refused:?}");
    };
    let invalid = AiErrorKind::InvalidRequest;
    check(&|request| request.model = "other".to_owned(), AiErrorKind::ModelNotFound, "no model `other`").await;
    check(&|request| request.tool_choice = ToolChoice::Required, invalid, "calls no tools").await;
    check(&|request| request.response_format = ResponseFormat::JsonObject, invalid, "`response_format`").await;
    check(&|request| drop(request.extra.insert("top_k".to_owned(), json!("all"))), invalid, "`top_k`").await;
    let picture = serde_json::from_value::<Part>(json!({
        "type": "image", "source": {"from": "url", "url": "https://example.org/a.png"}
    }))?;
    check(&|request| request.turns[0].parts.push(picture.clone()), invalid, "sees no pictures").await;
    Ok(())
}

/// Starts the plugin with this file; what it is refused with.
async fn refusal(file: &[u8]) -> String {
    match host(file, json!({})).start::<LocalAi>().await {
        Ok(_) => panic!("it started"),
        Err(refused) => refused.to_string(),
    }
}

async fn check_refused(spoil: impl FnOnce(&mut File), parts: &[&str]) {
    let mut file = TinyModel::new(1, Kind::SentencePiece).file();
    spoil(&mut file);
    let refused = refusal(&file.to_bytes()).await;
    for part in parts {
        assert!(refused.contains(part), "{part:?} is not in: {refused}");
    }
}

#[plexichat::test]
async fn a_file_of_another_kind_is_refused_by_its_key_or_tensor() -> TestResult {
    let text = |text: &str| GgufValue::Text(text.to_owned());
    check_refused(
        |file| file.set("general.architecture", text("qwen3")),
        &["/models/tiny.gguf", "`general.architecture` is `qwen3`; this plugin runs `llama`", "TinyLlama"],
    )
    .await;
    check_refused(|file| file.remove("llama.block_count"), &["`llama.block_count` is missing"]).await;
    check_refused(
        |file| file.set("llama.block_count", GgufValue::U32(3)),
        &["tensor `blk.2.attn_norm.weight` is missing", "take another file"],
    )
    .await;
    check_refused(
        |file| file.set("llama.feed_forward_length", GgufValue::U32(64)),
        &["tensor `blk.0.ffn_gate.weight` has the lengths [64, 128]; [64, 64] follow from the metadata"],
    )
    .await;
    check_refused(
        |file| file.tensors[1].kind = 23,
        &["tensor `blk.0.attn_q.weight` is of type 23 (one of the IQ types)"],
    )
    .await;
    check_refused(
        |file| file.tensors.last_mut().unwrap().name = "blk.0.attn_q.bias".to_owned(),
        &["tensor `output_norm.weight` is missing"],
    )
    .await;
    check_refused(
        |file| {
            let mut bias = file.tensors.last().unwrap().clone();
            bias.name = "blk.0.attn_q.bias".to_owned();
            file.tensors.push(bias);
        },
        &["tensor `blk.0.attn_q.bias` is none of a plain llama model"],
    )
    .await;
    check_refused(|file| file.set("llama.expert_count", GgufValue::U32(8)), &["`llama.expert_count`", "experts"]).await;
    check_refused(
        |file| file.set("llama.context_length", text("long")),
        &["`llama.context_length` is text, not a whole"],
    )
    .await;
    check_refused(|file| file.set("llama.rope.scaling.type", text("yarn")), &["`llama.rope.scaling.type` is `yarn`"])
        .await;
    check_refused(
        |file| file.set("tokenizer.chat_template", text("{% for %}")),
        &["`tokenizer.chat_template` is no template", "(line 1)", "set `chat_template`"],
    )
    .await;
    check_refused(
        |file| file.set("llama.attention.head_count_kv", GgufValue::U32(3)),
        &["`llama.attention.head_count_kv` 3 does not divide the 4 heads"],
    )
    .await;
    Ok(())
}

#[plexichat::test]
async fn a_file_that_is_broken_is_refused_where_it_breaks() -> TestResult {
    let file = TinyModel::new(1, Kind::SentencePiece).file();
    let whole = file.to_bytes();
    let refused = refusal(b"\x89PNG and more").await;
    assert!(refused.contains("it begins with") && refused.contains("set `path` to a model in GGUF"), "{refused}");
    let refused = refusal(&whole[..whole.len() - 300]).await;
    assert!(refused.contains("the file ends within tensor `output_norm.weight`: 256 bytes"), "{refused}");
    assert!(refused.contains("the download was cut off"), "{refused}");
    let refused = refusal(&whole[..100]).await;
    assert!(refused.contains("the file ends within"), "{refused}");
    let mut version = whole.clone();
    version[4] = 9;
    assert!(refusal(&version).await.contains("version 9 of GGUF"));
    let mut many = whole.clone();
    many[8..16].fill(0xff);
    assert!(refusal(&many).await.contains("the number of tensors, at byte 8"));
    // Whatever byte of the head is wrong, nothing panics and nothing is taken on trust.
    for at in (0..4000).step_by(61) {
        let mut broken = whole.clone();
        broken[at] ^= 0x80;
        let read = plexichat_local_ai::model::Plan::read(&mut std::io::Cursor::new(broken), 4096, None);
        if let Err(error) = read {
            assert!(!error.whole().is_empty());
        }
    }
    Ok(())
}

#[plexichat::test]
async fn a_model_outside_the_granted_directories_is_not_read() -> TestResult {
    let other = TestHost::new().directory("/elsewhere").config(json!({"path": PATH}));
    let refused = other.start::<LocalAi>().await.err().expect("it started").to_string();
    assert!(refused.contains("in `directories` of `[plugins.local-ai]`"), "{refused}");
    let missing = TestHost::new().directory("/models").config(json!({"path": PATH}));
    let refused = missing.start::<LocalAi>().await.err().expect("it started").to_string();
    assert!(refused.contains("there is no `/models/tiny.gguf`"), "{refused}");
    Ok(())
}
