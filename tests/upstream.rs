//! A server that this project did not write behind `plugins/openai`: llama.cpp's, over a tiny model made here, up to the room.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plexichat_tiny_gguf::{Kind, TinyModel};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::PATIENCE;
use crate::support::websocket::WebSocket;
use crate::support::{Server, Setup};

const KEY: &str = "sk-llama-0123456789";

/// What the tiny model says to everything.
const WORDS: &str = "Hello from the tiny model";

/// How long a conversation may be: what goes on and on is cut here, which takes it some ten seconds.
const CONTEXT: usize = 16_384;

/// llama.cpp's server in a process of its own. Dropping it kills it.
struct Llama {
    child: Child,
    port: u16,
}

impl Llama {
    /// `kind` is `chat` or `embeddings`.
    fn start(model: &Path, port: u16, kind: &str) -> Self {
        let python = std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON");
        let mut command = Command::new(python);
        let (script, context) = (crate::tidy::root().join("tests/upstream/llama.py"), CONTEXT.to_string());
        // It calls its model as it was told to find it.
        command.current_dir(model.parent().unwrap()).arg(script).arg(model.file_name().unwrap());
        command.args([&port.to_string(), &context, kind]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "listening", "llama.cpp's server does not start");
        Self { child, port }
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Writes a model below the folder and starts a server over it.
fn llama(folder: &Path, mut model: TinyModel, kind: &str) -> Llama {
    let path = folder.join("tiny.gguf");
    model.shape.context = CONTEXT;
    std::fs::write(&path, model.file().to_bytes()).unwrap();
    Llama::start(&path, free_port(), kind)
}

fn that_says() -> TinyModel {
    TinyModel::new(1, Kind::SentencePiece).that_says(WORDS)
}

/// It never comes to an end by itself.
fn that_goes_on() -> TinyModel {
    TinyModel::new(1, Kind::SentencePiece).that_repeats("and on")
}

/// The bundle with this server behind `plugins/openai`, and further settings. Its models are what llama.cpp says they are.
fn server(port: u16, more: &str) -> Server {
    Setup::new()
        .config(&format!(
            r#"
[plugins.openai]
enabled = true
private_network = true
hosts = ["127.0.0.1:{port}"]

[plugins.openai.config]
base_url = "http://127.0.0.1:{port}/v1"
api_key = "{KEY}"

[plugins.openai-gateway]
enabled = true
grant = ["ai_access"]

{more}"#
        ))
        .start()
}

const EVERY: &str = "[server.ai.assistant]\ntrigger = \"every\"\n";

fn question(more: Value) -> Value {
    let mut body = json!({"model": "openai/tiny.gguf", "messages": [{"role": "user", "content": "Hello"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `xllamacpp`"]
async fn a_model_answers_in_a_room() {
    let folder = tempfile::tempdir().unwrap();
    let llama = llama(folder.path(), that_says(), "chat");
    let server = server(llama.port, EVERY);
    let client = server.client();
    let room = client.room("lobby").await;
    let mut socket = WebSocket::connect(&client).await;
    socket.subscribe(&room, None).await;
    let asked = client.say(&room, "Is anybody there?").await;
    let answer = loop {
        let message = socket.message().await;
        if message["author"]["kind"] == "ai" {
            break message;
        }
    };
    assert_eq!(answer["text"].as_str().unwrap().trim(), WORDS, "{answer}");
    assert_eq!((&answer["reply_to"], &answer["author"]["id"]), (&asked["id"], &json!("openai/tiny.gguf")), "{answer}");
    // What it was shown is what the room keeps.
    let stored = client.history(&room).await;
    assert_eq!(stored.last().unwrap()["id"], answer["id"]);
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `xllamacpp`"]
async fn the_gateway_passes_its_answers_on() {
    let folder = tempfile::tempdir().unwrap();
    let llama = llama(folder.path(), that_says(), "chat");
    let server = server(llama.port, "");
    let client = server.client();
    let models = client.get("/v1/models").await.expect(200);
    assert_eq!(models["data"][0]["id"], "openai/tiny.gguf", "{models}");

    let whole = client.post("/v1/chat/completions", question(json!({}))).await.expect(200);
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["content"].as_str().unwrap().trim(), WORDS, "{whole}");
    assert_eq!(choice["finish_reason"], "stop");
    assert!(whole["usage"]["prompt_tokens"].as_u64().unwrap() > 0, "{whole}");
    assert!(whole["usage"]["completion_tokens"].as_u64().unwrap() > 3, "{whole}");

    let stream = json!({"stream": true, "stream_options": {"include_usage": true}});
    let events = client.post("/v1/chat/completions", question(stream)).await.text();
    assert!(events.contains("tiny") && events.contains("\"completion_tokens\":"), "{events}");
    assert!(events.trim_end().ends_with("data: [DONE]"), "{events}");

    // Its own words for what goes wrong are understood.
    let stopped = client.post("/v1/chat/completions", question(json!({"stop": [" tiny"]}))).await.expect(200);
    assert_eq!(stopped["choices"][0]["message"]["content"].as_str().unwrap().trim(), "Hello from the", "{stopped}");
    let cut = client.post("/v1/chat/completions", question(json!({"max_tokens": 2}))).await.expect(200);
    assert_eq!(cut["choices"][0]["finish_reason"], "length", "{cut}");
    let code = async |body: Value| {
        let answer = client.post("/v1/chat/completions", body).await;
        (answer.status.as_u16(), answer.json()["error"]["code"].as_str().unwrap_or("none").to_owned())
    };
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(6_000)}]});
    assert_eq!(code(question(long)).await, (400, "context_length_exceeded".to_owned()));
    assert_eq!(code(question(json!({"model": "openai/other"}))).await, (404, "model_not_found".to_owned()));
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `xllamacpp`"]
async fn embeddings_come_through() {
    let folder = tempfile::tempdir().unwrap();
    let llama = llama(folder.path(), that_says(), "embeddings");
    let listed = "[[plugins.openai.config.models]]\nid = \"vectors\"\nmodel = \"tiny.gguf\"\nembeddings = true\n";
    let server = server(llama.port, listed);
    let body = json!({"model": "openai/vectors", "input": ["Hello", "from the model", "Hello"]});
    let answer = server.client().post("/v1/embeddings", body).await.expect(200);
    let vectors: Vec<Vec<f64>> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect())
        .collect();
    assert_eq!(vectors.len(), 3);
    assert!(vectors.iter().all(|vector| vector.len() == vectors[0].len() && vector.len() > 8), "{answer}");
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
    assert!(distance(&vectors[0], &vectors[2]) < 1e-3, "the same text is the same vector");
    assert!(distance(&vectors[0], &vectors[1]) > 1e-3, "another one is not");
}

/// Asks for a stream on a connection of its own, and reads until it has begun.
async fn begin(server: &Server) -> TcpStream {
    let body = question(json!({"stream": true})).to_string();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        server.token(),
        body.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut seen = [0; 64];
    tokio::time::timeout(PATIENCE, client.read(&mut seen)).await.expect("the head of an answer").unwrap();
    assert!(seen.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&seen));
    client
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `xllamacpp`"]
async fn whoever_hangs_up_stops_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let llama = llama(folder.path(), that_goes_on(), "chat");
    let server = server(llama.port, "");
    // It has two places: were one of the first four not given back, the last one would wait for ever.
    for _ in 0..4 {
        drop(begin(&server).await);
    }
    let last = server.client().post("/v1/chat/completions", question(json!({"max_tokens": 4}))).await.expect(200);
    assert_eq!(last["choices"][0]["finish_reason"], "length", "{last}");
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `xllamacpp`"]
async fn a_server_that_is_killed_in_the_middle_is_asked_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let llama = llama(folder.path(), that_goes_on(), "chat");
    let port = llama.port;
    let server = server(port, "");
    let mut client = begin(&server).await;
    drop(llama);
    let mut rest = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = client.read(&mut buffer).await {
            rest.extend_from_slice(&buffer[..length]);
            if rest.windows(7).any(|part| part == b"\"error\"") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("an error in the stream");
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("provider_unavailable") && !rest.contains("[DONE]"), "{rest}");

    let down = server.client().post("/v1/chat/completions", question(json!({"max_tokens": 4}))).await;
    assert_eq!((down.status.as_u16(), &down.json()["error"]["code"]), (503, &json!("provider_unavailable")));
    let _llama = Llama::start(&path, port, "chat");
    let began = Instant::now();
    let back = server.client().post("/v1/chat/completions", question(json!({"max_tokens": 4}))).await.expect(200);
    assert_eq!(back["choices"][0]["finish_reason"], "length", "{back}");
    assert!(began.elapsed() < Duration::from_secs(15), "nothing keeps it away: {:?}", began.elapsed());
    let log = server.stderr();
    assert!(!log.contains(KEY) && !log.contains("quarantine"), "{log}");
}
