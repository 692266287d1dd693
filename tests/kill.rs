//! Fault 48, `kill -9` under load: every acknowledged message is there, none twice, order kept, each command answered once. Rounds:
//! `PLEXICHAT_KILLS` (100 where nothing is set).

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::history::{Held, Sent, Told, check};
use crate::support::load::UNLIMITED;
use crate::support::seed::Seed;
use crate::support::{Client, Server, Setup};

pub(crate) const CLIENTS: usize = 6;
pub(crate) const ROOMS: usize = 3;

/// One client: what it sent so far, and what it does next.
pub(crate) struct Sender {
    number: usize,
    count: u64,
    seed: Seed,
    pub(crate) sent: Vec<Sent>,
}

impl Sender {
    pub(crate) fn new(number: usize, seed: Seed) -> Self {
        Self { number, count: 0, seed, sent: Vec::new() }
    }

    /// Posts until the server is gone. What was left unanswered is asked for again first, under its old key, most times.
    pub(crate) async fn run(mut self, client: Client, rooms: Arc<Vec<String>>, clock: Instant) -> Self {
        let unanswered = self.sent.last().is_some_and(|sent| sent.told == Told::Nothing);
        if unanswered && !self.seed.one_in(4) {
            let mut again = self.sent.pop().unwrap();
            let answered = attempt(&client, &rooms, &mut again, clock).await;
            self.sent.push(again);
            if !answered {
                return self;
            }
        }
        loop {
            self.count += 1;
            let key = format!("{}-{}", self.number, self.count);
            let command = self.seed.one_in(8);
            let text = if command { format!("/echo {key}") } else { format!("text {key}") };
            let (room, began) = (self.seed.below(ROOMS as u64) as usize, elapsed(clock));
            let mut message =
                Sent { client: self.number, room, key, text, began, ended: u64::MAX, told: Told::Nothing };
            let answered = attempt(&client, &rooms, &mut message, clock).await;
            self.sent.push(message);
            if !answered {
                return self;
            }
            // The same key once more, although it was answered: nothing may happen.
            if self.seed.one_in(20) {
                let sent = self.sent.last_mut().unwrap();
                let (room, told) = (&rooms[sent.room], sent.told.clone());
                if let Ok(answer) = client.say_with_key(room, &sent.text, &sent.key).await {
                    assert!(answer.status.is_success(), "{}", answer.text());
                    assert_eq!(told, stored(&answer.json()), "{}", sent.key);
                }
            }
        }
    }
}

fn elapsed(clock: Instant) -> u64 {
    clock.elapsed().as_micros() as u64
}

fn stored(message: &Value) -> Told {
    Told::Stored { id: message["id"].as_str().unwrap().to_owned(), seq: message["seq"].as_u64().unwrap() }
}

/// Sends it and notes what came of it; whether an answer came.
async fn attempt(client: &Client, rooms: &[String], message: &mut Sent, clock: Instant) -> bool {
    let Ok(answer) = client.say_with_key(&rooms[message.room], &message.text, &message.key).await else {
        return false;
    };
    match answer.status.as_u16() {
        200 | 201 => message.told = stored(&answer.json()),
        // Not stored, and the server says so: it is stopping or too busy.
        503 | 429 => return false,
        status => panic!("{status}: {}", answer.text()),
    }
    message.ended = elapsed(clock);
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_doubled_or_reordered() {
    let rounds =
        std::env::var("PLEXICHAT_KILLS").map_or(100, |rounds| rounds.parse().expect("PLEXICHAT_KILLS is a number"));
    kill_under_load(rounds).await;
}

/// Kills a server under load so many times, and checks the history.
pub(crate) async fn kill_under_load(rounds: u64) {
    let began = Instant::now();
    let mut seed = Seed::from_environment();
    let mut server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(client.room(&format!("room-{number}")).await);
    }
    let rooms = Arc::new(rooms);
    let senders = (0..CLIENTS).map(|number| Sender::new(number, Seed::new(seed.below(u64::MAX))));
    let mut senders: Vec<Sender> = senders.collect();
    let mut slowest_start = Duration::ZERO;
    for _ in 0..rounds {
        let client = server.client();
        let running: Vec<_> =
            senders.drain(..).map(|sender| tokio::spawn(sender.run(client.clone(), rooms.clone(), began))).collect();
        tokio::time::sleep(Duration::from_millis(20 + seed.below(180))).await;
        let setup = server.kill();
        for sender in running {
            senders.push(sender.await.unwrap());
        }
        server = setup.start();
        slowest_start = slowest_start.max(server.ready);
    }
    let sent: Vec<Sent> = senders.into_iter().flat_map(|sender| sender.sent).collect();
    let held = settled(&server, &rooms).await;
    let violations = check(&sent, &held, |text| text.starts_with("/echo "));
    let acknowledged = sent.iter().filter(|sent| matches!(sent.told, Told::Stored { .. })).count();
    let commands = held.iter().filter(|held| held.by_plugin).count();
    println!(
        "{rounds} kills in {:.1?}: {acknowledged} acknowledged of {} sent, {} held, {commands} commands answered; slowest start \
         {slowest_start:.1?}",
        began.elapsed(),
        sent.len(),
        held.len(),
    );
    assert!(acknowledged as u64 > rounds * 5, "there was hardly any load");
    assert!(commands > 0, "no command was among it");
    assert!(
        violations.is_empty(),
        "{} violations, such as {:#?}",
        violations.len(),
        &violations[..violations.len().min(5)]
    );
}

/// Everything that is stored, once every command has its answer or none came for a while.
pub(crate) async fn settled(server: &Server, rooms: &[String]) -> Vec<Held> {
    let client = server.client();
    let mut last = 0;
    loop {
        let mut held = Vec::new();
        for (room, id) in rooms.iter().enumerate() {
            held.extend(client.history(id).await.iter().map(|row| to_held(room, row)));
        }
        if held.len() == last {
            return held;
        }
        last = held.len();
        tokio::time::sleep(Duration::from_millis(1000)).await;
    }
}

fn to_held(room: usize, row: &Value) -> Held {
    Held {
        room,
        seq: row["seq"].as_u64().unwrap(),
        id: row["id"].as_str().unwrap().to_owned(),
        text: row["text"].as_str().unwrap().to_owned(),
        answers: row["reply_to"].as_str().map(str::to_owned),
        by_plugin: row["author"]["kind"] == json!("plugin"),
    }
}

/// Fault 54: SIGTERM under load.
#[tokio::test]
async fn sigterm_under_load_loses_nothing_and_ends_with_zero() {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let rooms = Arc::new(vec![client.room("a").await, client.room("b").await, client.room("c").await]);
    let clock = Instant::now();
    let senders: Vec<_> = (0..CLIENTS)
        .map(|number| Sender::new(number, Seed::new(number as u64)))
        .map(|sender| tokio::spawn(sender.run(client.clone(), rooms.clone(), clock)))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let setup = server.setup().clone();
    let stopped = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert!(stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
    let mut sent = Vec::new();
    for sender in senders {
        sent.extend(sender.await.unwrap().sent);
    }
    let server = setup.start();
    let held = settled(&server, &rooms).await;
    let violations = check(&sent, &held, |text| text.starts_with("/echo "));
    assert!(violations.is_empty(), "{violations:#?}");
    // Whoever asks for what was left unanswered gets it once.
    assert!(held.len() > 20, "there was hardly any load");
}
