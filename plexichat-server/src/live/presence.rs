//! Who is here: online, away or offline, out of all connections of a person; and who is to be told of it where. Decides
//! without doing: knows no connection, queue or clock.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use plexichat::id::{RoomId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long somebody without a connection counts as here: a page that is loaded again is no departure.
const GRACE: Duration = Duration::from_secs(5);

/// Whether somebody is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At least one of their connections is attended.
    Online,
    /// They are connected, and every connection says that nobody attends it.
    Away,
    /// They are not connected.
    Offline,
}

impl Status {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }
}

/// Everybody who is here.
#[derive(Default)]
pub(super) struct Presence {
    people: HashMap<UserId, Person>,
    /// Those of whom something may have to be told, each once, in their order.
    due: VecDeque<UserId>,
}

#[derive(Default)]
struct Person {
    attended: usize,
    away: usize,
    /// When the last connection went.
    left: Option<Instant>,
    rooms: HashMap<RoomId, Room>,
    /// What plugins were told.
    announced: Option<Status>,
    is_due: bool,
}

/// A room that one of the person's connections listens to, or did when something was told there.
#[derive(Default)]
struct Room {
    connections: usize,
    told: Option<Status>,
}

/// What is to be told of somebody.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) user: UserId,
    pub(super) status: Status,
    /// The rooms whose listeners do not know it yet.
    pub(super) rooms: Vec<RoomId>,
    /// Whether plugins do not know it yet.
    pub(super) is_change: bool,
}

impl Presence {
    /// A connection of the person begins, attended.
    pub(super) fn connect(&mut self, user: UserId) {
        let person = self.person(user);
        person.attended += 1;
        person.left = None;
    }

    /// A connection of the person says whether anybody attends it.
    pub(super) fn attend(&mut self, user: UserId, away: bool) {
        let person = self.person(user);
        if away {
            person.attended = person.attended.saturating_sub(1);
            person.away += 1;
        } else {
            person.away = person.away.saturating_sub(1);
            person.attended += 1;
        }
    }

    /// A connection of the person ends, with the rooms that it listened to.
    pub(super) fn disconnect(&mut self, user: UserId, away: bool, rooms: impl Iterator<Item = RoomId>, now: Instant) {
        rooms.for_each(|room| self.leave(user, room));
        let person = self.person(user);
        let count = if away { &mut person.away } else { &mut person.attended };
        *count = count.saturating_sub(1);
        if person.attended + person.away == 0 {
            person.left = Some(now);
        }
    }

    /// A connection of the person listens to one more room.
    pub(super) fn listen(&mut self, user: UserId, room: RoomId) {
        self.person(user).rooms.entry(room).or_default().connections += 1;
    }

    /// A connection of the person listens to a room no more.
    pub(super) fn leave(&mut self, user: UserId, room: RoomId) {
        if let Some(room) = self.person(user).rooms.get_mut(&room) {
            room.connections = room.connections.saturating_sub(1);
        }
    }

    /// How the person is now.
    pub(super) fn status(&self, user: UserId) -> Status {
        match self.people.get(&user) {
            Some(Person { attended: 1.., .. }) => Status::Online,
            Some(Person { away: 1.., .. }) => Status::Away,
            // Whoever has just gone is what they were told to be.
            Some(person) => person.announced.unwrap_or(Status::Offline),
            None => Status::Offline,
        }
    }

    /// What is to be told now, of so many people at most: a thousand who come at once are told of one after the other.
    pub(super) fn take(&mut self, now: Instant, limit: usize) -> Vec<News> {
        let mut news = Vec::new();
        for _ in 0..self.due.len() {
            if news.len() == limit {
                break;
            }
            let Some(user) = self.due.pop_front() else { break };
            let Some(person) = self.people.get_mut(&user) else { continue };
            person.is_due = false;
            let status = match person {
                Person { attended: 1.., .. } => Status::Online,
                Person { away: 1.., .. } => Status::Away,
                Person { left: Some(left), .. } if now.saturating_duration_since(*left) < GRACE => {
                    person.is_due = true;
                    self.due.push_back(user);
                    continue;
                }
                _ => Status::Offline,
            };
            let found = person.tell(user, status);
            if status == Status::Offline {
                self.people.remove(&user);
            }
            news.extend(found);
        }
        news
    }

    fn person(&mut self, user: UserId) -> &mut Person {
        let person = self.people.entry(user).or_default();
        if !person.is_due {
            person.is_due = true;
            self.due.push_back(user);
        }
        person
    }
}

impl Person {
    fn tell(&mut self, user: UserId, status: Status) -> Option<News> {
        let is_change = match self.announced {
            None => status != Status::Offline,
            Some(announced) => announced != status,
        };
        self.announced = Some(status);
        let mut rooms = Vec::new();
        for (room, state) in &mut self.rooms {
            // Nobody there was told of who was never there.
            let news = if status == Status::Offline { state.told.is_some() } else { state.connections > 0 };
            if news && state.told != Some(status) {
                rooms.push(*room);
            }
            if news {
                state.told = Some(status);
            }
        }
        // What was told in a room that was left is remembered until the end is told there, too.
        self.rooms.retain(|_, room| room.connections > 0 || room.told.is_some());
        (is_change || !rooms.is_empty()).then_some(News { user, status, rooms, is_change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        presence: Presence,
        user: UserId,
        room: RoomId,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { presence: Presence::default(), user: UserId::new(), room: RoomId::new(), now: Instant::now() }
        }

        #[track_caller]
        fn check(&mut self, expected: Option<(Status, usize, bool)>) {
            let news = self.presence.take(self.now, 10);
            let found = news.first().map(|news| (news.status, news.rooms.len(), news.is_change));
            assert_eq!(found, expected, "{news:?}");
            assert!(news.len() <= 1, "{news:?}");
        }
    }

    #[test]
    fn the_best_of_several_connections_counts() {
        let mut world = World::new();
        let (user, room) = (world.user, world.room);
        world.presence.connect(user);
        world.check(Some((Status::Online, 0, true)));
        world.presence.listen(user, room);
        world.check(Some((Status::Online, 1, false)));
        world.presence.connect(user);
        world.presence.attend(user, true);
        world.check(None);
        assert_eq!(world.presence.status(user), Status::Online);
        world.presence.attend(user, true);
        world.check(Some((Status::Away, 1, true)));
        world.presence.attend(user, false);
        world.check(Some((Status::Online, 1, true)));
    }

    #[test]
    fn who_comes_back_at_once_was_never_gone() {
        let mut world = World::new();
        let (user, room) = (world.user, world.room);
        world.presence.connect(user);
        world.presence.listen(user, room);
        world.check(Some((Status::Online, 1, true)));
        world.presence.disconnect(user, false, [room].into_iter(), world.now);
        world.check(None);
        assert_eq!(world.presence.status(user), Status::Online);
        world.presence.connect(user);
        world.presence.listen(user, room);
        world.now += GRACE;
        world.check(None);
        world.presence.disconnect(user, false, [room].into_iter(), world.now);
        world.now += GRACE;
        world.check(Some((Status::Offline, 1, true)));
        assert_eq!(world.presence.status(user), Status::Offline);
        assert!(world.presence.people.is_empty() && world.presence.due.is_empty());
    }

    #[test]
    fn a_room_that_was_left_hears_of_the_end() {
        let mut world = World::new();
        let (user, room) = (world.user, world.room);
        world.presence.connect(user);
        world.presence.listen(user, room);
        world.check(Some((Status::Online, 1, true)));
        world.presence.leave(user, room);
        world.check(None);
        world.presence.disconnect(user, false, std::iter::empty(), world.now);
        world.now += GRACE;
        world.check(Some((Status::Offline, 1, true)));
    }

    #[test]
    fn a_thousand_who_come_at_once_are_told_of_one_after_the_other() {
        let mut world = World::new();
        (0..1000).for_each(|_| world.presence.connect(UserId::new()));
        let rounds: Vec<usize> = (0..11).map(|_| world.presence.take(world.now, 100).len()).collect();
        assert_eq!(rounds, [100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 0]);
    }
}
