//! Who comes and goes at random, and is slow at random, still hears everything once and in order.

use std::collections::VecDeque;

use super::*;

/// Posts, late deliveries, slow reads and new beginnings in a random order: each reader sees every message once.
#[tokio::test(start_paused = true)]
async fn resuming_neither_loses_nor_repeats() {
    for round in 0..40 {
        let seed = u64::from_le_bytes(*RoomId::new().as_bytes().last_chunk().expect("eight bytes"));
        resume(seed).await.unwrap_or_else(|what| panic!("round {round}, seed {seed:#x}: {what}"));
    }
}

/// What a client knows of a room: the last frame it got, how far it read the history after a gap, and the last change.
#[derive(Clone, Copy, Default)]
struct Client {
    frame: u64,
    history: u64,
    change: u64,
}

impl Client {
    fn knows(self) -> u64 {
        self.frame.max(self.history)
    }

    /// Frames come in their order, and none is missing but what the history had.
    fn get(&mut self, seq: u64) -> Result<(), String> {
        if seq <= self.frame || seq > self.knows() + 1 {
            return Err(format!("{seq} after frame {} and history {}", self.frame, self.history));
        }
        self.frame = seq;
        Ok(())
    }

    /// So do changes.
    fn change(&mut self, number: u64, next: Option<u64>) -> Result<(), String> {
        if Some(number) != next {
            return Err(format!("change {number} after {}, and {next:?} is next", self.change));
        }
        self.change = number;
        Ok(())
    }
}

/// What was committed and is not told yet.
enum Waiting {
    Message(StoredRow),
    Change(ChangeRow),
}

impl Fixture {
    fn tell(&self, waiting: Waiting) {
        match waiting {
            Waiting::Message(row) => self.hub.tell(&row),
            Waiting::Change(row) => self.hub.tell_change(&row),
        }
    }

    /// The room's first change after this one.
    fn change_after(&self, room: RoomId, after: u64) -> Option<u64> {
        let changes = self.history.changes.lock().expect("no panic");
        changes.iter().find(|row| row.room_id == room && row.number > after).map(|row| row.number)
    }
}

async fn resume(seed: u64) -> Result<(), String> {
    let mut random = seed | 1;
    let mut below = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let fixture = Fixture::new();
    let rooms = [RoomId::new(), RoomId::new()];
    // In the order of their commits.
    let mut waiting = VecDeque::new();
    let mut clients = [Client::default(); 2];
    let (mut subscriber, mut frames) = fixture.hub.connect(&somebody());
    rooms.iter().for_each(|room| subscriber.subscribe(*room, Some(0), Some(0)).expect("room"));
    for step in 0..120 {
        match below(12) {
            0..4 => {
                let room = below(2) as usize;
                let burst = if below(12) == 0 { 300 } else { 1 + below(3) };
                (0..burst).for_each(|_| waiting.push_back(Waiting::Message(fixture.commit(rooms[room], "hello"))));
            }
            4..6 => {
                let room = below(2) as usize;
                let burst = if below(12) == 0 { 300 } else { 1 + below(3) };
                (0..burst).for_each(|_| waiting.push_back(Waiting::Change(fixture.change(rooms[room]))));
            }
            6..9 => {
                let count = below(waiting.len() as u64 + 1) as usize;
                waiting.drain(..count).for_each(|what| fixture.tell(what));
            }
            9..11 => {
                let limit = 1 + below(100) as usize;
                // Something happens while the store is read.
                let (moments, room, change) = (below(4), below(2) as usize, below(2) == 0);
                let post = async {
                    for _ in 0..moments {
                        tokio::task::yield_now().await;
                    }
                    waiting.push_back(if change {
                        Waiting::Change(fixture.change(rooms[room]))
                    } else {
                        Waiting::Message(fixture.commit(rooms[room], "hello"))
                    });
                    waiting.drain(..).for_each(|what| fixture.tell(what));
                };
                let (found, ()) = tokio::join!(biased; next(&mut frames, limit), post);
                read(&fixture, &mut clients, &rooms, &found).map_err(|what| format!("step {step}: {what}"))?;
            }
            _ => {
                // It goes without reading what it was sent, and comes back with what it knows.
                (subscriber, frames) = fixture.hub.connect(&somebody());
                for (room, client) in rooms.iter().zip(&mut clients) {
                    client.frame = client.knows();
                    subscriber.subscribe(*room, Some(client.frame), Some(client.change)).expect("room");
                }
            }
        }
    }
    waiting.drain(..).for_each(|what| fixture.tell(what));
    read(&fixture, &mut clients, &rooms, &all(&mut frames).await)?;
    for (room, client) in rooms.iter().zip(clients) {
        let last = fixture.last(*room);
        if client.knows() != last {
            return Err(format!("it knows {} of {last}", client.knows()));
        }
        if let Some(missed) = fixture.change_after(*room, client.change) {
            return Err(format!("it has not heard of change {missed}"));
        }
    }
    Ok(())
}

/// Reads as a client does: at a gap it reads the history.
fn read(fixture: &Fixture, clients: &mut [Client; 2], rooms: &[RoomId; 2], frames: &[Value]) -> Result<(), String> {
    for frame in frames {
        let room = rooms.iter().position(|room| frame["room_id"] == room.to_string()).ok_or("another room")?;
        let client = &mut clients[room];
        let change = frame["change"].as_u64();
        match (frame["type"].as_str(), change) {
            (Some("gap"), change) => {
                let from = frame["from_seq"].as_u64().ok_or("no from_seq")?;
                if from > client.knows() + 1 {
                    return Err(format!("a gap from {from} after {}", client.knows()));
                }
                client.history = fixture.last(rooms[room]);
                client.change = change.unwrap_or(client.change);
            }
            (_, Some(change)) => client.change(change, fixture.change_after(rooms[room], client.change))?,
            (_, None) => client.get(frame["seq"].as_u64().ok_or("no seq")?)?,
        }
    }
    Ok(())
}
