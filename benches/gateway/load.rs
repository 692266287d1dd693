//! Asks a target for answers, one after the other on each connection, written by hand so that the machine's processors are
//! left to the target. Knows HTTP as far as these answers need it.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::targets::Target;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole answer.
    Plain,
    /// An answer in pieces.
    Stream,
}

/// What a load gave.
#[derive(Default)]
pub(crate) struct Measured {
    /// From the request to the end of its answer, sorted.
    pub(crate) whole: Vec<Duration>,
    /// From the request to the first byte of its answer's body, sorted.
    pub(crate) first: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

/// Asks over so many connections for so long, from one thread.
pub(crate) fn ask(target: &Target, kind: Kind, connections: usize, length: Duration) -> Measured {
    let body = serde_json::json!({
        "model": target.model, "stream": kind == Kind::Stream,
        "messages": [{"role": "user", "content": "hello there, please answer"}],
    })
    .to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        target.process.address,
        target.token,
        body.len()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let connection = || one_connection(target.process.address, request.clone().into_bytes(), kind, began + length);
        let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(connection())).collect();
        let mut measured = Measured::default();
        for task in tasks {
            for (first, whole) in task.await.unwrap() {
                measured.first.push(first);
                measured.whole.push(whole);
            }
        }
        measured.elapsed = began.elapsed();
        measured.first.sort_unstable();
        measured.whole.sort_unstable();
        assert!(!measured.whole.is_empty(), "{} gave no answer within {length:?}", target.name);
        measured
    })
}

async fn one_connection(
    address: std::net::SocketAddr,
    request: Vec<u8>,
    kind: Kind,
    end: Instant,
) -> Vec<(Duration, Duration)> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut took = Vec::new();
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        let began = Instant::now();
        if began >= end && !took.is_empty() {
            return took;
        }
        stream.write_all(&request).await.unwrap();
        buffer.clear();
        let (mut head, mut first) = (None, None);
        loop {
            let length = stream.read_buf(&mut buffer).await.unwrap();
            assert!(length > 0, "closed after {}", String::from_utf8_lossy(&buffer));
            if head.is_none() {
                head = Head::read(&buffer);
            }
            let Some(head) = &head else { continue };
            if buffer.len() > head.length {
                first.get_or_insert_with(|| began.elapsed());
            }
            if head.is_end(&buffer) {
                break;
            }
        }
        let text = || String::from_utf8_lossy(&buffer);
        assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{}", text());
        assert!(kind == Kind::Plain || contains_end_of_stream(&buffer), "no end of the stream in {}", text());
        took.push((first.unwrap(), began.elapsed()));
    }
}

fn contains_end_of_stream(answer: &[u8]) -> bool {
    let last = &answer[answer.len().saturating_sub(64)..];
    last.windows(6).any(|window| window == b"[DONE]")
}

/// Where an answer's body begins, and how one sees its end.
struct Head {
    length: usize,
    /// Nothing where the body comes in chunks.
    body: Option<usize>,
}

impl Head {
    fn read(answer: &[u8]) -> Option<Self> {
        let length = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
        let body = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        assert!(body.is_some() || text.contains("transfer-encoding: chunked"), "{text}");
        Some(Self { length, body })
    }

    fn is_end(&self, answer: &[u8]) -> bool {
        match self.body {
            Some(body) => answer.len() >= self.length + body,
            // No answer here has this within a chunk.
            None => answer.ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}
