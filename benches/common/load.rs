//! A load of many connections, each with one request after the other, written by hand so that the machine's processors are
//! left to the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a load gave.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) count: usize,
}

/// Posts the same message over so many connections for so long, from one thread.
pub(crate) fn post_messages(
    address: SocketAddr,
    token: &str,
    room: &str,
    connections: usize,
    length: Duration,
) -> Measured {
    let body = format!("{{\"text\":\"{}\"}}", "The quick brown fox jumps over the lazy dog. ".repeat(4).trim_end());
    let request = format!(
        "POST /api/v1/rooms/{room}/messages HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(one_connection(address, request.clone().into_bytes(), began + length)))
            .collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await.unwrap());
        }
        let elapsed = began.elapsed();
        took.sort_unstable();
        let quantile = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
        Measured {
            per_second: took.len() as f64 / elapsed.as_secs_f64(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            count: took.len(),
        }
    })
}

async fn one_connection(address: SocketAddr, request: Vec<u8>, end: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut took = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let began = Instant::now();
        if began >= end {
            return took;
        }
        stream.write_all(&request).await.unwrap();
        buffer.clear();
        while !is_whole(&buffer) {
            let length = stream.read_buf(&mut buffer).await.unwrap();
            assert!(length > 0, "the server closed: {}", String::from_utf8_lossy(&buffer));
        }
        assert!(buffer.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&buffer));
        took.push(began.elapsed());
    }
}

/// Whether head and body have arrived.
pub(crate) fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    answer.len() >= head + 4 + length.expect("a content-length")
}
