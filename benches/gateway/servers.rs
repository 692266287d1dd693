//! What the gateway is measured against, each a process of this executable: an upstream that answers at once, and two proxies
//! in front of it, one that passes bytes on and one that reads and writes them. Knows nothing of PlexiChat.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

/// How many pieces a streamed answer has.
pub(crate) const PIECES: usize = 100;

/// The first of a server's arguments; the second says which, the third where its upstream is.
pub(crate) const SERVE: &str = "--serve-for-gateway";

const EVENTS: &str = "text/event-stream";

/// Serves where it was asked for; whether it was.
pub(crate) fn serve_if_asked() -> bool {
    let mut arguments = std::env::args().skip_while(|argument| argument != SERVE).skip(1);
    let Some(which) = arguments.next() else { return false };
    let upstream = arguments.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve(&which, upstream));
    true
}

async fn serve(which: &str, upstream: String) {
    let path = "/v1/chat/completions";
    let router = match which {
        "upstream" => Router::new().route(path, post(answer)),
        "passing" => Router::new().route(path, post(pass)).with_state(Upstream::new(upstream)),
        "typed" => Router::new().route(path, post(read_and_write)).with_state(Upstream::new(upstream)),
        other => panic!("no server is called {other}"),
    };
    let router = router.route("/healthz", get(|| async { "ok" }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    // Without it the system waits for more to send: a stream of a hundred pieces takes 44 ms instead of one.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// A whole answer, or one in pieces with a turn of the scheduler between two.
async fn answer(Json(request): Json<Value>) -> Response {
    if request["stream"] != true {
        return Json(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "stub",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "word ".repeat(PIECES)},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 10, "completion_tokens": PIECES, "total_tokens": PIECES + 10},
        }))
        .into_response();
    }
    let usage = request["stream_options"]["include_usage"] == true;
    let event = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "stub",
            "choices": choices, "usage": usage,
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let pieces = (0..PIECES).map(move |piece| {
        let delta = json!({"content": format!("word{piece} ")});
        event(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null)
    });
    let end = event(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null);
    let cost = json!({"prompt_tokens": 10, "completion_tokens": PIECES, "total_tokens": PIECES + 10});
    let cost = usage.then(|| event(json!([]), cost));
    let done = Bytes::from_static(b"data: [DONE]\n\n");
    let events = stream::iter(pieces.chain([end]).chain(cost).chain([done])).then(async |event| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(event)
    });
    ([(CONTENT_TYPE, EVENTS)], Body::from_stream(events)).into_response()
}

/// A client with the address that it asks.
#[derive(Clone)]
struct Upstream {
    client: reqwest::Client,
    url: String,
}

impl Upstream {
    fn new(upstream: String) -> Self {
        // The client wants one although nothing here is encrypted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().pool_max_idle_per_host(256).no_proxy().build().unwrap();
        Self { client, url: format!("{upstream}/v1/chat/completions") }
    }

    async fn ask(&self, body: Bytes) -> reqwest::Response {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }
}

async fn pass(State(upstream): State<Upstream>, body: Bytes) -> Response {
    let answer = upstream.ask(body).await;
    let kind = answer.headers()["content-type"].clone();
    ([("content-type", kind)], Body::from_stream(answer.bytes_stream())).into_response()
}

/// What any gateway has to do that looks at what passes: every piece read, changed and written again.
async fn read_and_write(State(upstream): State<Upstream>, Json(mut request): Json<Value>) -> Response {
    request["model"] = "stub".into();
    let streamed = request["stream"] == true;
    let answer = upstream.ask(serde_json::to_vec(&request).unwrap().into()).await;
    if !streamed {
        let whole: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        return Json(whole).into_response();
    }
    let events = stream::unfold((answer, Vec::new()), async |(mut answer, mut rest)| {
        let piece = answer.chunk().await.unwrap()?;
        rest.extend_from_slice(&piece);
        Some((Ok::<_, Infallible>(rewritten(&mut rest)), (answer, rest)))
    });
    ([(CONTENT_TYPE, EVENTS)], Body::from_stream(events)).into_response()
}

/// Takes the whole events out of what has arrived, each read and written again.
fn rewritten(arrived: &mut Vec<u8>) -> Bytes {
    let mut written = Vec::with_capacity(arrived.len() + 64);
    let mut begins = 0;
    while let Some(length) = arrived[begins..].windows(2).position(|pair| pair == b"\n\n") {
        let event = &arrived[begins..begins + length];
        begins += length + 2;
        written.extend_from_slice(b"data: ");
        match event.strip_prefix(b"data: ") {
            Some(b"[DONE]") | None => written.extend_from_slice(b"[DONE]"),
            Some(data) => {
                let mut chunk: Value = serde_json::from_slice(data).unwrap();
                chunk["model"] = "gateway".into();
                serde_json::to_writer(&mut written, &chunk).unwrap();
            }
        }
        written.extend_from_slice(b"\n\n");
    }
    arrived.drain(..begins);
    written.into()
}
