//! The test kit for those who ask models, offer tools, serve routes and answer prompts; and that the compliance suite finds what
//! is wrong with a provider.

#![cfg(feature = "testing")]

use futures_util::StreamExt;
use plexichat::ai::{AiDelta, AiErrorKind, AiRequest, EmbedRequest, FinishReason, Turn};
use plexichat::plugin::interface::{RouteBody, RouteCall};
use plexichat::testing::compliance::Subject;
use plexichat::testing::{MODEL, TestHost, TestResult, ai, http};
use serde_json::json;

mod helper {
    use plexichat::ai::Turn;
    use plexichat::capability::ai::AiCall;
    use plexichat::message::Origin;
    use plexichat::prelude::*;
    use plexichat::testing::MODEL;
    use std::sync::Arc;

    /// Sums texts up, as a tool and as a route.
    #[plexichat::plugin(name = "helper", provides(Interface), permissions(AiAccess), absolute("/summary"))]
    pub(crate) struct Helper {
        ctx: Context<Self>,
    }

    impl Plugin for Helper {
        type Config = NoConfig;

        async fn initialize(ctx: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { ctx })
        }
    }

    #[plexichat::model]
    pub(crate) struct SumUp {
        /// What to sum up.
        #[garde(length(min = 1))]
        pub(crate) text: String,
    }

    #[plexichat::handlers]
    impl Helper {
        /// Sums a text up.
        #[tool("sum_up", approval = "never")]
        async fn sum_up(&self, call: ToolCall, args: SumUp) -> Result<ToolAnswer> {
            let request = AiRequest::new(MODEL, vec![Turn::user(args.text)]);
            let call = AiCall::new(request).on_behalf_of(call.caller, Origin::Plugin);
            Ok(self.ctx.ai().generate(call).await?.text.into())
        }
    }

    impl Helper {
        async fn words(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
            let SumUp { text } = call.json()?;
            let asked = call.parameter("unit").unwrap_or_default();
            RouteAnswer::json(200, &json!({ "unit": asked, "count": text.split(' ').count() }))
        }

        async fn about(self: Arc<Self>, call: RouteCall) -> Result<RouteAnswer> {
            let name = call.caller.actor().map_or("nobody", |actor| &*actor.name);
            Ok(RouteAnswer::text(200, format!("hello, {name}")))
        }
    }

    #[plexichat::role]
    impl Interface for Helper {
        fn register_routes(routes: Routes<Self>) -> Routes<Self> {
            routes.post("/count/{unit}", Auth::User, Self::words).get("/summary", Auth::Public, Self::about)
        }
    }
}

mod relay {
    use plexichat::ai::FinishReason;
    use plexichat::prelude::*;

    /// Passes on what a service streams. One of its kind does not let go of the service.
    #[plexichat::plugin(name = "relay", provides(AiProvider), permissions(NetworkAccess))]
    pub(crate) struct Relay {
        ctx: Context<Self>,
        config: Config,
    }

    #[plexichat::config]
    pub(crate) struct Config {
        /// Whether it goes on reading what nobody wants.
        #[serde(default)]
        pub(crate) clings: bool,
    }

    impl Plugin for Relay {
        type Config = Config;

        async fn initialize(ctx: Context<Self>, config: Config) -> Result<Self> {
            Ok(Self { ctx, config })
        }
    }

    #[plexichat::role]
    impl AiProvider for Relay {
        async fn models(&self) -> Result<Vec<Model>, AiError> {
            Ok(vec![Model::new("relayed")])
        }

        async fn stream_response(&self, _: AiRequest) -> Result<AiStream, AiError> {
            let mut response = self.ctx.http().post("https://example.org/").stream().await?;
            if self.config.clings {
                self.ctx.spawn(async move { while let Ok(Some(_)) = response.next().await {} })?;
                return Ok(AiStream::of([AiDelta::text("a"), AiDelta::finish(FinishReason::Stop)]));
            }
            Ok(AiStream::new(futures_util::stream::unfold(response, |mut response| async move {
                let piece = response.next().await.ok()??;
                Some((Ok(AiDelta::text(String::from_utf8_lossy(&piece))), response))
            })))
        }
    }
}

use helper::Helper;
use relay::Relay;

mod the_helper {
    use super::*;
    plexichat::compliance!(Helper);
}

mod the_relay {
    use super::*;
    plexichat::compliance!(Relay);
}

fn hello() -> AiRequest {
    AiRequest::new("relayed", vec![Turn::user("Say hello")])
}

#[plexichat::test]
async fn a_tool_is_called_and_its_models_are_scripted() -> TestResult {
    let host = TestHost::new().ai(|request| Ok(ai::says(&format!("short: {}", request.turns[0].joined_text()))));
    let plugin = host.start::<Helper>().await?;
    let answer = plugin.tool("alice", "sum_up", json!({ "text": "long" })).await?;
    assert_eq!(answer.content, "short: long");
    assert_eq!(plugin.asked()[0].model, "model");
    let row = &plugin.store().usage()[0];
    assert_eq!((&*row.actor.name, &*row.model, row.usage.output_tokens), ("alice", MODEL, 2));

    for (arguments, expected) in [
        (json!({}), "the arguments of `sum_up` do not fit"),
        (json!({ "text": "" }), "the arguments of `sum_up` do not fit"),
        (json!({ "text": "a", "more": 1 }), "more"),
    ] {
        let error = plugin.tool("alice", "sum_up", arguments).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = plugin.tool("alice", "sum", json!({})).await.unwrap_err().to_string();
    assert_eq!(error, "plugin `helper` has no tool `sum`; it has: sum_up");
    Ok(())
}

#[plexichat::test]
async fn what_the_script_refuses_the_plugin_sees() -> TestResult {
    let plugin = TestHost::new()
        .ai(|_| Err(plexichat::ai::AiError::new(AiErrorKind::ContextLength { limit: None }, "too long")))
        .start::<Helper>()
        .await?;
    let error = plugin.tool("alice", "sum_up", json!({ "text": "long" })).await.unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    Ok(())
}

#[plexichat::test]
async fn routes_are_found_by_method_and_path() -> TestResult {
    let plugin = TestHost::new().start::<Helper>().await?;
    let mut call = RouteCall::new("POST", "/count/words", plugin.caller("alice"));
    call.body = json!({ "text": "one two" }).to_string().into_bytes();
    let answer = plugin.route(call).await?;
    let RouteBody::Whole(body) = answer.body else { panic!("it does not stream") };
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body)?, json!({ "unit": "words", "count": 2 }));
    let answer = plugin.route(RouteCall::new("GET", "/summary", plugin.caller("alice"))).await?;
    assert!(matches!(answer.body, RouteBody::Whole(body) if body == b"hello, alice"));
    let error = plugin.route(RouteCall::new("GET", "/count/words", plugin.caller("alice"))).await.unwrap_err();
    let expected = "there is no route `GET /count/words`; there are: POST /count/{unit}, GET /summary";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

#[plexichat::test]
async fn a_provider_is_asked_and_read_piece_by_piece() -> TestResult {
    let host = TestHost::new().http_stream(|_| Ok(http::events(["Hel", "lo"])));
    let plugin = host.start::<Relay>().await?;
    assert_eq!(plugin.models().await?[0].id, "relayed");
    let pieces: Vec<_> = StreamExt::collect(plugin.stream(hello()).await?).await;
    let expected = [AiDelta::text("Hel"), AiDelta::text("lo"), AiDelta::finish(FinishReason::Incomplete)];
    assert_eq!(pieces, expected.map(Ok));
    let refused = plugin.embed(EmbedRequest::new("relayed", vec!["a".to_owned()])).await.unwrap_err();
    assert_eq!(refused.kind(), AiErrorKind::InvalidRequest);

    let plugin = TestHost::new().start::<Helper>().await?;
    assert_eq!(plugin.models().await.unwrap_err().message(), "the plugin is no AI provider");
    Ok(())
}

#[test]
fn the_suite_finds_a_provider_that_does_not_let_go() {
    let subject = |config| Subject::<Relay>::new(config, env!("CARGO_MANIFEST_DIR"));
    subject(json!({})).a_dropped_answer_cancels_its_request().unwrap();
    let error = subject(json!({ "clings": true })).a_dropped_answer_cancels_its_request().unwrap_err();
    assert_eq!(error.to_string(), "nobody wants an answer of `relay` and it still reads it");
}
