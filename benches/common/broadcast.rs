//! The bare limit of fan-out: axum's WebSocket, one broadcast channel, a frame written once and sent in batches with one flush.
//! Keeps nothing, asks nobody who they are. A benchmark's own executable, started again with `--bare`, serves it.

use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// How many frames go out with one flush, as in the server.
const BATCH: usize = 64;

/// How many frames wait for whoever is slow.
const WAITING: usize = 16 * 1024;

type Channel = broadcast::Sender<Utf8Bytes>;

/// Serves where `--bare` was asked for; whether it was.
pub(crate) fn serve_if_asked() -> bool {
    if !std::env::args().any(|argument| argument == "--bare") {
        return false;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve());
    true
}

async fn serve() {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/api/v1/rooms/{room}/messages", post(send))
        .route("/api/v1/ws", get(open))
        .with_state(Channel::new(WAITING));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// The frame has the members that the server's has, so that both carry as many bytes.
async fn send(
    State(channel): State<Channel>,
    Path(room): Path<String>,
    Json(message): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let message = json!({
        "type": "message", "id": "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f", "room_id": room, "seq": 1000,
        "text": message["text"], "state": "stored", "revision": 1, "created_at": "2026-01-01T00:00:00.000000Z",
        "author": { "kind": "user", "id": "01890c6e-8b5a-7cc0-98c4-dc0c0c07398f", "name": "admin" },
    });
    // Nobody may listen yet.
    let _ = channel.send(message.to_string().into());
    (StatusCode::CREATED, Json(message))
}

async fn open(State(channel): State<Channel>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| tell(socket, channel))
}

async fn tell(mut socket: WebSocket, channel: Channel) {
    let mut frames = channel.subscribe();
    drop(channel);
    for greeting in ["hello", "pong"] {
        if socket.send(Message::text(greeting)).await.is_err() {
            return;
        }
    }
    loop {
        match frames.recv().await {
            Ok(frame) => {
                if socket.feed(Message::Text(frame)).await.is_err() {
                    return;
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        for _ in 1..BATCH {
            match frames.try_recv() {
                Ok(frame) => {
                    if socket.feed(Message::Text(frame)).await.is_err() {
                        return;
                    }
                }
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}
