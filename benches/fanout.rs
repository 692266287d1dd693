//! One room with 1,000 WebSocket clients, one of which does not read, beside axum with a broadcast channel and nothing else. Run it with
//! `cargo bench --bench fanout`.
//!
//! The server stores every message durably before it tells anybody; the bare one keeps nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::listeners::{Heard, connect};
use common::process::{Process, Start, UNLIMITED, post};
use common::{Table, broadcast, median};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const CLIENTS: usize = 1000;
/// How many messages are posted at once, over so many connections.
const BURST: usize = 200;
const CONNECTIONS: usize = 20;
const BURSTS: usize = 7;
/// How many messages are sent alone, each once the one before has reached everybody.
const SINGLES: usize = 50;
const ROUNDS: usize = 3;
/// How long one who does not read is kept, and a little more.
const PATIENCE: Duration = Duration::from_secs(13);

fn main() -> ExitCode {
    if broadcast::serve_if_asked() {
        return ExitCode::SUCCESS;
    }
    allow_files();
    let servers = [Start::bare(), Start::bundle(UNLIMITED)];
    let mut rounds = [Rounds::default(), Rounds::default()];
    for round in 0..ROUNDS {
        for (start, rounds) in servers.iter().zip(&mut rounds) {
            // The deaf one is waited for once: it takes as long as the server's patience.
            measure(start, rounds, round + 1 == ROUNDS);
        }
    }
    let [bare, ours] = rounds;
    let title = format!("one room, {CLIENTS} WebSocket clients, one of them not reading");
    type Figure = fn(&Rounds) -> &Vec<f64>;
    let tables: [(&str, &str, &str, Figure); 5] = [
        ("bursts", "deliveries per second", ">= 0.60", |rounds| &rounds.per_second),
        ("bursts, processor time of the server", "us per delivery", "", |rounds| &rounds.processor),
        ("one message to all, p50", "ms", "<= 2.00", |rounds| &rounds.p50),
        ("one message to all, p99", "ms", "", |rounds| &rounds.p99),
        ("memory of the server", "KiB per connection", "", |rounds| &rounds.memory),
    ];
    for (what, unit, goal, figure) in tables {
        let mut table = Table::new(format!("{title}: {what}"), unit);
        table.row("default bundle", median(figure(&ours).clone()), median(figure(&bare).clone()), goal);
        table.print();
    }
    let cut_off = |rounds: &Rounds| if rounds.is_cut_off { "cut off" } else { "kept" };
    println!("\nthe one that does not read: {} by the default bundle, {} by bare axum", cut_off(&ours), cut_off(&bare));
    if ours.is_cut_off { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each client is a file here and one in the server, which inherits the limit.
fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let wanted = 2 * CLIENTS as u64;
    assert!(maximum.is_none_or(|maximum| maximum > wanted), "{wanted} open files are needed: raise `ulimit -Hn`");
}

/// What a server gave in each round.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    processor: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    memory: Vec<f64>,
    is_cut_off: bool,
}

fn measure(start: &Start, rounds: &mut Rounds, wait_for_the_deaf: bool) {
    let process = start.start();
    let room = if process.token().is_empty() { "bare".to_owned() } else { make_room(&process) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let heard = Rc::new(Heard::default());
        let empty = process.resident();
        let mut deaf = connect(process.address, &process.token(), &room, CLIENTS, &heard, &tasks).await;
        rounds.memory.push((process.resident() - empty) * 1024.0 / CLIENTS as f64);

        let mut posters = Vec::new();
        for _ in 0..CONNECTIONS {
            posters.push(Poster::connect(&process, &room).await);
        }
        burst(&mut posters, &heard).await;
        for _ in 0..BURSTS {
            let before = process.processor_time();
            let took = burst(&mut posters, &heard).await;
            let deliveries = (BURST * (CLIENTS - 1)) as f64;
            rounds.per_second.push(deliveries / took.as_secs_f64());
            let used = process.processor_time() - before;
            rounds.processor.push(used.as_secs_f64() * 1e6 / deliveries);
        }
        let took = singles(&mut posters[0], &heard).await;
        let quantile = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        rounds.p50.push(quantile(0.5));
        rounds.p99.push(quantile(0.99));
        if wait_for_the_deaf {
            tokio::time::sleep(PATIENCE).await;
            rounds.is_cut_off = is_cut_off(&mut deaf).await;
        }
    });
}

/// Posts a burst and waits until everybody who reads has it; how long that took.
async fn burst(posters: &mut [Poster], heard: &Heard) -> Duration {
    let wanted = heard.count.get() + (BURST * (CLIENTS - 1)) as u64;
    let began = Instant::now();
    let share = BURST / posters.len();
    let posting = futures_util::future::join_all(posters.iter_mut().map(|poster| async move {
        for _ in 0..share {
            poster.post().await;
        }
    }));
    tokio::join!(posting, heard.wait_for(wanted));
    began.elapsed()
}

/// How long each delivery of a message took that is on its way alone, from before it was posted; the shortest first.
async fn singles(poster: &mut Poster, heard: &Heard) -> Vec<Duration> {
    for _ in 0..SINGLES {
        let wanted = heard.count.get() + (CLIENTS - 1) as u64;
        heard.time_from(Some(Instant::now()));
        tokio::join!(poster.post(), heard.wait_for(wanted));
    }
    heard.time_from(None);
    let mut took = heard.took();
    took.sort_unstable();
    took
}

/// Reads what the one that did not read was sent before; whether the end comes.
async fn is_cut_off(deaf: &mut TcpStream) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match tokio::time::timeout(Duration::from_secs(1), deaf.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
    }
}

/// Posts messages over one connection that is kept.
struct Poster {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Poster {
    async fn connect(process: &Process, room: &str) -> Self {
        let body = format!("{{\"text\":\"{}\"}}", "The quick brown fox jumps over the lazy dog. ".repeat(4).trim_end());
        let request = format!(
            "POST /api/v1/rooms/{room}/messages HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: \
             application/json\r\ncontent-length: {}\r\n\r\n{body}",
            process.address,
            process.token(),
            body.len()
        );
        let stream = TcpStream::connect(process.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, request: request.into_bytes(), buffer: Vec::with_capacity(4096) }
    }

    async fn post(&mut self) {
        self.stream.write_all(&self.request).await.unwrap();
        self.buffer.clear();
        while !common::load::is_whole(&self.buffer) {
            let length = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(length > 0, "the server closed: {}", String::from_utf8_lossy(&self.buffer));
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&self.buffer));
    }
}

fn make_room(process: &Process) -> String {
    let answer = post(process.address, &process.token(), "/api/v1/rooms", "{\"name\":\"benchmark\"}");
    let (_, after) = answer.split_once("\"id\":\"").unwrap_or_else(|| panic!("{answer}"));
    after[..36].to_owned()
}
