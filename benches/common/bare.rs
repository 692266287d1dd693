//! The bare limit of a durable message over HTTP: axum and rusqlite, one writer thread, group commit, FULL synchronisation,
//! and nothing else. A benchmark's own executable, started again with `--bare DIRECTORY`, serves it.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How many messages one transaction takes at most, as in the server.
const GROUP: usize = 256;

struct Job {
    room: String,
    text: String,
    done: oneshot::Sender<i64>,
}

type Writer = Arc<mpsc::Sender<Job>>;

/// Serves where `--bare DIRECTORY` was asked for; whether it was.
pub(crate) fn serve_if_asked() -> bool {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--bare").skip(1);
    let Some(directory) = arguments.next() else { return false };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve(Path::new(&directory)));
    true
}

async fn serve(directory: &Path) {
    let (sender, receiver) = mpsc::channel(4096);
    let connection = open(directory);
    std::thread::spawn(move || write(&connection, receiver));
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/api/v1/rooms/{room}/messages", post(store))
        .with_state(Arc::new(sender));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn store(
    State(writer): State<Writer>,
    UrlPath(room): UrlPath<String>,
    Json(message): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let text = message["text"].as_str().unwrap().to_owned();
    let (done, stored) = oneshot::channel();
    writer.send(Job { room: room.clone(), text: text.clone(), done }).await.ok().unwrap();
    let seq = stored.await.unwrap();
    (StatusCode::CREATED, Json(json!({ "room_id": room, "seq": seq, "text": text })))
}

fn open(directory: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(directory.join("bare.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS messages
                 (number INTEGER PRIMARY KEY, room TEXT NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL);
             CREATE INDEX IF NOT EXISTS by_room ON messages (room, number);",
        )
        .unwrap();
    connection
}

fn write(connection: &rusqlite::Connection, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP);
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut numbers = Vec::with_capacity(group.len());
        let mut insert = connection
            .prepare_cached("INSERT INTO messages (room, author, text, at) VALUES (?1, 'somebody', ?2, 1700000000)")
            .unwrap();
        for job in &group {
            insert.execute((&job.room, &job.text)).unwrap();
            numbers.push(connection.last_insert_rowid());
        }
        connection.execute_batch("COMMIT").unwrap();
        for (job, number) in group.drain(..).zip(numbers) {
            let _ = job.done.send(number);
        }
    }
}
