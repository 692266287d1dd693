//! What becomes of a question where the service behind `plugins/openai` is slow, down, or gone: a stub of a service, the built
//! binary, and its gateway as the road in.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::server::PATIENCE;
use crate::support::{Server, Setup};

/// Put together here so that no scanner of secrets objects to this source.
fn key() -> String {
    format!("sk-{}-{}", "test", "0123456789abcdefWXYZ")
}

/// What the stub does with a request.
#[derive(Clone)]
enum Next {
    /// It answers with these words.
    Says(&'static str),
    /// It refuses, with this header.
    Refuses(StatusCode, &'static str, &'static str),
    /// It sends no byte.
    Silent,
    /// It begins with these words and says nothing more.
    Begins(&'static str),
    /// It begins with these words and hangs up.
    BreaksOff(&'static str),
}

/// A service that speaks OpenAI's protocol as a test wants it to.
struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Told each time that whoever asked hung up.
    gone: mpsc::UnboundedReceiver<()>,
}

struct Shared {
    script: Mutex<VecDeque<Next>>,
    seen: Mutex<Vec<Value>>,
    gone: mpsc::UnboundedSender<()>,
}

/// Tells that it was dropped before its time.
struct TellsDrop(mpsc::UnboundedSender<()>);

impl Drop for TellsDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Stub {
    /// A service that does this, one thing for each request, and answers whatever comes after.
    async fn that(script: impl IntoIterator<Item = Next>) -> Self {
        let (sender, gone) = mpsc::unbounded_channel();
        let script = Mutex::new(script.into_iter().collect());
        let shared = Arc::new(Shared { script, seen: Mutex::default(), gone: sender });
        let router = Router::new()
            .route("/v1/models", get(async || axum::Json(json!({"data": [{"id": "first"}]}))))
            .route("/v1/chat/completions", post(answer))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, gone }
    }

    /// The bundle with this service behind `plugins/openai`, and further settings.
    fn server(&self, more: &str) -> Server {
        self.setup(more).start()
    }

    fn setup(&self, more: &str) -> Setup {
        let (address, key) = (self.address, key());
        Setup::new().config(&format!(
            r#"
[plugins.openai]
enabled = true
private_network = true
hosts = ["{address}"]

[plugins.openai.config]
base_url = "http://{address}/v1"
api_key = "{key}"

[[plugins.openai.config.models]]
id = "first"

[[plugins.openai.config.models]]
id = "second"

[plugins.openai-gateway]
enabled = true
grant = ["ai_access"]

{more}"#
        ))
    }

    /// What it was asked, the models alone.
    fn models(&self) -> Vec<String> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().map(|body| body["model"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until it was asked so often.
    async fn asked(&self, times: usize) {
        let began = Instant::now();
        while self.models().len() < times {
            assert!(began.elapsed() < PATIENCE, "asked {} times only", self.models().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    assert_eq!(headers["authorization"], format!("Bearer {}", key()));
    shared.seen.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    let next = shared.script.lock().unwrap().pop_front().unwrap_or(Next::Says("Hello from the stub."));
    let guard = TellsDrop(shared.gone.clone());
    let event = |words: &str| {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": null}]});
        Ok::<_, std::io::Error>(format!("data: {chunk}\n\n"))
    };
    let events = |body: Body| ([("content-type", "text/event-stream")], body).into_response();
    match next {
        Next::Says(words) => {
            std::mem::forget(guard);
            let end = json!({
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 5}
            });
            let end = Ok(format!("data: {end}\n\ndata: [DONE]\n\n"));
            events(Body::from_stream(stream::iter([event(words), end])))
        }
        Next::Refuses(status, name, value) => {
            std::mem::forget(guard);
            // As services do, it repeats the key that it was given.
            let message = format!("refused: {}, or {}…{}", key(), &key()[..8], &key()[20..]);
            (status, [(name, value)], axum::Json(json!({"error": {"message": message}}))).into_response()
        }
        Next::Silent => {
            let _guard = guard;
            std::future::pending::<Infallible>().await;
            unreachable!("it never answers")
        }
        Next::Begins(words) => {
            let silence = stream::once(async move {
                let _guard = guard;
                std::future::pending().await
            });
            let words: Vec<_> = (!words.is_empty()).then(|| event(words)).into_iter().collect();
            events(Body::from_stream(stream::iter(words).chain(silence)))
        }
        Next::BreaksOff(words) => {
            std::mem::forget(guard);
            let broken = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("gone"))
            });
            events(Body::from_stream(stream::iter([event(words)]).chain(broken)))
        }
    }
}

fn question(model: &str, streamed: bool) -> Value {
    json!({"model": format!("openai/{model}"), "messages": [{"role": "user", "content": "Hello"}], "stream": streamed})
}

/// Asks for a whole answer: its text, or its status and code.
async fn ask(server: &Server, model: &str) -> Result<String, (u16, String)> {
    let answer = server.client().post("/v1/chat/completions", question(model, false)).await;
    let body = answer.json();
    match answer.status.as_u16() {
        200 => Ok(body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()),
        status => Err((status, body["error"]["code"].as_str().unwrap_or("none").to_owned())),
    }
}

fn failed(status: u16, code: &str) -> Result<String, (u16, String)> {
    Err((status, code.to_owned()))
}

#[tokio::test]
async fn before_the_first_word_it_is_asked_once_more() {
    let down = Next::Refuses(StatusCode::SERVICE_UNAVAILABLE, "x-a", "b");
    let stub = Stub::that([down.clone(), Next::Says("Here I am.")]).await;
    let server = stub.server("");
    assert_eq!(ask(&server, "first").await.as_deref(), Ok("Here I am."));
    assert_eq!(stub.models(), ["first", "first"]);

    // Once, and not for ever.
    let stub = Stub::that([down.clone(), down]).await;
    let server = stub.server("");
    assert_eq!(ask(&server, "second").await, failed(503, "provider_unavailable"));
    assert_eq!(stub.models(), ["second", "second"]);
    // And it recovers by itself.
    assert_eq!(ask(&server, "second").await.as_deref(), Ok("Hello from the stub."));
}

#[tokio::test]
async fn after_the_first_word_nothing_is_asked_again() {
    let stub = Stub::that([Next::BreaksOff("Once upon a time ")]).await;
    let server = stub.server("");
    assert_eq!(ask(&server, "first").await, failed(503, "provider_unavailable"));
    assert_eq!(stub.models(), ["first"]);
    assert_eq!(ask(&server, "first").await.as_deref(), Ok("Hello from the stub."));
}

#[tokio::test]
async fn each_kind_of_slowness_has_its_own_limit() {
    let cases = [("connect", Next::Silent, 2), ("first_delta", Next::Begins(""), 2), ("gap", Next::Begins("Once "), 1)];
    for (limit, behaviour, asked) in cases {
        let mut stub = Stub::that([behaviour.clone(), behaviour]).await;
        let server = stub.server(&format!("[plugins.openai.timeouts]\n{limit} = \"400ms\"\n"));
        let began = Instant::now();
        assert_eq!(ask(&server, "first").await, failed(504, "provider_timeout"), "{limit}");
        assert!(began.elapsed() < Duration::from_secs(5), "{limit}: {:?}", began.elapsed());
        assert_eq!(stub.models().len(), asked, "{limit}");
        // Whatever was not waited for is let go of.
        for _ in 0..asked {
            tokio::time::timeout(Duration::from_secs(1), stub.gone.recv()).await.expect(limit);
        }
        assert_eq!(ask(&server, "first").await.is_ok(), asked == 2, "{limit}: the script has one more for it");
    }
}

#[tokio::test]
async fn a_service_says_when_it_may_be_asked_again() {
    let limited = |after| Next::Refuses(StatusCode::TOO_MANY_REQUESTS, "retry-after", after);
    let stub = Stub::that([limited("1"), Next::Says("Here I am."), limited("60")]).await;
    let server = stub.server("");
    let began = Instant::now();
    assert_eq!(ask(&server, "first").await.as_deref(), Ok("Here I am."));
    assert!(began.elapsed() >= Duration::from_secs(1), "it waited as it was told: {:?}", began.elapsed());
    assert_eq!(stub.models().len(), 2);

    // A minute is too long to wait: the client is told.
    let answer = server.client().post("/v1/chat/completions", question("first", false)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    let after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((60..=61).contains(&after), "{after}");
    assert_eq!(stub.models().len(), 3);
}

#[tokio::test]
async fn a_client_that_hangs_up_hangs_up_on_the_service() {
    for behaviour in [Next::Silent, Next::Begins(""), Next::Begins("Once upon a time ")] {
        for streamed in [true, false] {
            let mut stub = Stub::that([behaviour.clone()]).await;
            let server = stub.server("");
            let body = question("first", streamed).to_string();
            let mut client = TcpStream::connect(server.address).await.unwrap();
            let head = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                server.token(),
                body.len()
            );
            client.write_all(head.as_bytes()).await.unwrap();
            stub.asked(1).await;
            // What there is to read is read, as a client would.
            let _ = tokio::time::timeout(Duration::from_millis(200), client.read(&mut [0; 4096])).await;
            assert!(stub.gone.try_recv().is_err(), "nobody hung up yet");
            let began = Instant::now();
            drop(client);
            tokio::time::timeout(Duration::from_secs(1), stub.gone.recv()).await.expect("the service sees it in time");
            assert!(began.elapsed() < Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn the_key_is_in_no_answer_and_no_log() {
    let statuses = [400, 401, 403, 404, 429, 500];
    let refusals = statuses.map(|status| Next::Refuses(StatusCode::from_u16(status).unwrap(), "retry-after", "60"));
    let stub = Stub::that(refusals).await;
    let server = stub.setup("").environment("PLEXICHAT__SERVER__LOG_LEVEL", "trace").start();
    let mut told = String::new();
    for _ in statuses {
        told += &server.client().post("/v1/chat/completions", question("first", false)).await.text();
    }
    told += &server.client().get("/api/v1/plugins/openai").await.text();
    told += &server.cli_ok(&["plugin", "info", "openai"]);
    told += &server.wait_for_log(&["an answer of a model failed", "provider_auth"]);
    told += &(server.stderr() + &server.stdout());
    for part in [&key(), "sk-test", "WXYZ", "0123456789"] {
        assert!(!told.contains(part), "{part:?} is told: {told}");
    }
}

/// The room's second model answers where the first one's service is down.
#[tokio::test]
async fn a_room_has_a_second_model() {
    let down = Next::Refuses(StatusCode::SERVICE_UNAVAILABLE, "x-a", "b");
    let stub = Stub::that([down.clone(), down, Next::Says("The second one answers.")]).await;
    let server =
        stub.server("[server.ai.assistant]\ntrigger = \"every\"\nmodels = [\"openai/first\", \"openai/second\"]\n");
    let client = server.client();
    let room = client.room("lobby").await;
    let asked = client.say(&room, "Is anybody there?").await;
    let answer = client.answer_to(&room, &asked).await;
    assert_eq!(
        (&answer["text"], &answer["author"]["kind"]),
        (&json!("The second one answers."), &json!("ai")),
        "{answer}"
    );
    assert_eq!(stub.models(), ["first", "first", "second"]);
}
