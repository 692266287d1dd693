//! Load: clients that post one message after the other, remember what they were told, and how long each answer took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Client;

/// Settings for a server whose load is the point: no bucket slows it.
pub(crate) const UNLIMITED: &str = "[server.limits]\nmessages_per_second = 1000000\nmessage_burst = 1000000\n";

/// The answer times of a stretch of load.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// The time that this share of answers kept within, such as 0.99.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let last = self.0.len().checked_sub(1).expect("some answers");
        self.0[(last as f64 * share).round() as usize]
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Posts from several clients at once until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
}

impl Load {
    /// Starts so many clients; `text` makes the text of a client's n-th message. A pause between messages keeps the
    /// machine from being the limit.
    pub(crate) fn start(
        client: &Client,
        room: &str,
        clients: usize,
        pause: Duration,
        text: fn(usize, u64) -> String,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let refused = Arc::new(AtomicU64::new(0));
        let clients = (0..clients).map(|number| {
            let (client, room, stop, refused) = (client.clone(), room.to_owned(), stop.clone(), refused.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                for count in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let path = format!("/api/v1/rooms/{room}/messages");
                    let began = Instant::now();
                    let answer =
                        client.request("POST", &path, &serde_json::json!({ "text": text(number, count) })).await;
                    took.push(began.elapsed());
                    match answer {
                        Ok(answer) if answer.status == 201 => {}
                        Ok(answer) => {
                            eprintln!("refused under load: {} {}", answer.status, answer.text());
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            eprintln!("refused under load: {error}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    tokio::time::sleep(pause).await;
                }
                took
            })
        });
        let clients = clients.collect();
        Self { stop, refused, clients }
    }

    /// Stops; the answer times in order, and how many were refused or broken off.
    pub(crate) async fn stop(self) -> (Latencies, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        for client in self.clients {
            took.extend(client.await.unwrap());
        }
        took.sort_unstable();
        (Latencies(took), self.refused.load(Ordering::Relaxed))
    }
}
