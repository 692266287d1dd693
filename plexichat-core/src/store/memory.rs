//! A store that forgets everything when it is dropped: what the test kit runs on, and the shortest correct answer to
//! what each port asks. Knows no engine and no disk.

mod ai;
mod automation;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::{PluginData, PluginRecord, PluginStore, StoreError};
use crate::assistant::ApprovalRequest;
use crate::broker::UsageRecord;
use crate::capability::clock::Clock;
use crate::capability::storage::{StoragePort, Versioned};
use crate::capability::users::{UserPort, UserView};
use crate::error::{PluginError, Result};
use crate::event::Event;
use crate::id::{EventId, FileId, MessageId, PluginName, RoomId, UserId};
use crate::message::{Actor, ActorKind, Attachment, Finding, Origin, StoredRow, Time};
use crate::pipeline::change::changed;
use crate::pipeline::files::FileState;
use crate::pipeline::ports::{Access, Commit, Committed, MessageStore, RoomPolicy};
use crate::pipeline::{Alter, Attachable, ChangeKind, ChangeRow, Changes, Decision, Kept, NewChange, Posted, Refusal};

/// Rooms, messages, people, plugins and their keys, in memory.
///
/// ```
/// use plexichat::store::memory::MemoryStore;
/// let store = MemoryStore::new();
/// let room = store.create_room();
/// assert!(store.messages(room).is_empty());
/// ```
#[derive(Default)]
pub struct MemoryStore {
    clock: Option<Arc<dyn Clock>>,
    data: Mutex<Data>,
    // Held from a message's insertion until it is handed on, so that messages are delivered in the order in which they
    // were committed. Another lock than the data's: a listener may read the store while it is told.
    committing: Mutex<()>,
}

#[derive(Default)]
struct Data {
    refusal: Option<StoreError>,
    rooms: HashMap<RoomId, Room>,
    names: HashMap<String, RoomId>,
    users: HashMap<UserId, UserView>,
    plugins: BTreeMap<PluginName, PluginRecord>,
    values: BTreeMap<(PluginName, String), Versioned<Value>>,
    outbox_id: u64,
    /// The room of each message, and its place among the room's.
    places: HashMap<MessageId, (RoomId, usize)>,
    changes: Vec<Change>,
    files: HashMap<FileId, Attachable>,
    usage: Vec<UsageRecord>,
    approvals: Vec<ApprovalRequest>,
    questions: BTreeMap<MessageId, ai::Question>,
    contents: HashMap<FileId, Vec<u8>>,
    automation: automation::Kept,
}

/// What is kept of a change: what is told of it is told as the message is by then.
struct Change {
    number: u64,
    kind: ChangeKind,
    room: RoomId,
    message: usize,
    event: Option<Arc<Event>>,
}

#[derive(Default)]
struct Room {
    rows: Vec<StoredRow>,
    /// What is not shown of each message.
    hidden: Vec<Hidden>,
    keys: HashMap<(ActorKind, Arc<str>, String), usize>,
    access: HashMap<(ActorKind, Arc<str>), Access>,
    policy: Arc<RoomPolicy>,
    direct: bool,
}

struct Hidden {
    origin: Origin,
    cause_id: Option<EventId>,
    cause_depth: u8,
    findings: Vec<(PluginName, Finding)>,
    old_text_hash: Option<String>,
    /// Who reacted with what.
    reactions: Vec<(Actor, String)>,
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store whose messages are stamped by this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..Self::default() }
    }

    /// Makes a room in which everyone may write.
    pub fn create_room(&self) -> RoomId {
        let room = RoomId::new();
        self.data().rooms.insert(room, Room::default());
        room
    }

    /// Gives a room a name.
    pub fn name_room(&self, room: RoomId, name: &str) {
        self.data().names.insert(name.to_owned(), room);
    }

    /// Sets what one actor may do in a room; a room that is not there stays so.
    pub fn set_access(&self, room: RoomId, actor: &Actor, access: Access) {
        if let Some(room) = self.data().rooms.get_mut(&room) {
            room.access.insert((actor.kind, actor.id.clone()), access);
        }
    }

    /// Has a judged file of this name, uploaded by this person to this room, to be hung on a message of theirs.
    pub fn add_file(&self, uploader: &Actor, room_id: RoomId, name: &str) -> FileId {
        let id = FileId::new();
        let attachment = Attachment { id, name: name.to_owned(), size: 1, mime: "text/plain".to_owned() };
        let state = FileState::Clean;
        let file = Attachable { uploader: uploader.clone(), room_id, attachment, state, attached: false };
        self.data().files.insert(id, file);
        id
    }

    /// The same for a file of this type with this content.
    pub fn add_content(&self, uploader: &Actor, room_id: RoomId, name: &str, mime: &str, content: Vec<u8>) -> FileId {
        let id = self.add_file(uploader, room_id, name);
        let mut data = self.data();
        if let Some(file) = data.files.get_mut(&id) {
            file.attachment.mime = mime.to_owned();
            file.attachment.size = content.len() as u64;
        }
        data.contents.insert(id, content);
        id
    }

    /// Makes a room that of a few people who talk in private.
    pub fn make_direct(&self, room: RoomId) {
        if let Some(room) = self.data().rooms.get_mut(&room) {
            room.direct = true;
        }
    }

    /// Sets what holds in a room; a room that is not there stays so.
    pub fn set_policy(&self, room: RoomId, policy: RoomPolicy) {
        if let Some(room) = self.data().rooms.get_mut(&room) {
            room.policy = Arc::new(policy);
        }
    }

    /// Makes a person's account.
    pub fn create_user(&self, name: &str) -> Actor {
        let id = UserId::new();
        self.data().users.insert(id, UserView { id, name: name.to_owned() });
        Actor::user(&id.to_string(), name)
    }

    /// Every message of a room, the held ones too.
    pub fn messages(&self, room: RoomId) -> Vec<StoredRow> {
        self.data().rooms.get(&room).map(|room| room.rows.clone()).unwrap_or_default()
    }

    /// From now on every write is refused with this error, until it is told `None`: a full disk, a store that stops.
    pub fn refuse(&self, refusal: Option<StoreError>) {
        self.data().refusal = refusal;
    }

    /// What models were asked, in the order in which it ended.
    pub fn usage(&self) -> Vec<UsageRecord> {
        self.data().usage.clone()
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        self.clock.as_ref().map_or_else(Time::now, |clock| clock.now())
    }

    fn insert(&self, commit: &Commit) -> std::result::Result<Appended, StoreError> {
        let created_at = self.now();
        let mut data = self.data();
        data.writable()?;
        let outbox_id = data.outbox_id + 1;
        let message = commit.message();
        let room = data
            .rooms
            .get_mut(&message.room_id())
            .ok_or_else(|| StoreError::Failed(format!("there is no room {}", message.room_id())))?;
        let key = message.key().map(|key| (message.author().kind, message.author().id.clone(), key.to_owned()));
        if let Some(known) = key.as_ref().and_then(|key| room.keys.get(key)) {
            return Ok(Appended::Known(room.rows[*known].clone()));
        }
        let place = room.rows.len();
        if let Some(key) = key {
            room.keys.insert(key, place);
        }
        room.hidden.push(Hidden {
            origin: message.origin(),
            cause_id: message.cause_id(),
            cause_depth: message.cause_depth(),
            findings: message.findings().to_vec(),
            old_text_hash: None,
            reactions: Vec::new(),
        });
        let seq = room.rows.len() as u64 + 1;
        room.rows.push(StoredRow {
            id: message.id(),
            room_id: message.room_id(),
            seq,
            text: message.text().to_owned(),
            author: message.author().clone(),
            reply_to: message.reply_to(),
            state: message.state(),
            revision: 1,
            created_at,
            edited_at: None,
            attachments: message.attached().to_vec(),
            reactions: Vec::new(),
        });
        data.places.insert(message.id(), (message.room_id(), place));
        // What scanners found is told behind the message.
        data.outbox_id = outbox_id + commit.events().len() as u64;
        Ok(Appended::New(Committed { seq, outbox_id, created_at }))
    }

    fn decide(&self, alter: &Alter) -> Decided {
        let now = self.now();
        let mut data = self.data();
        if let Err(error) = data.writable() {
            return Decided::Refused(error.into());
        }
        let found = data.places.get(&alter.message_id()).copied();
        let Some((room_id, place)) = found else { return Decided::Refused(Refusal::NoMessage) };
        let Some(kept) = data.kept(room_id, place, alter) else { return Decided::Refused(Refusal::NoMessage) };
        match alter.decide(&kept, now) {
            Err(refusal) => Decided::Refused(refusal),
            Ok(decision) => {
                let first = data.outbox_id + 1;
                data.write(room_id, place, alter, &decision);
                Decided::Stored(Box::new(decision), first)
            }
        }
    }
}

enum Decided {
    Stored(Box<Decision>, u64),
    Refused(Refusal),
}

enum Appended {
    New(Committed),
    Known(StoredRow),
}

impl Data {
    fn writable(&self) -> std::result::Result<(), StoreError> {
        self.refusal.clone().map_or(Ok(()), Err)
    }

    fn kept(&self, room_id: RoomId, place: usize, alter: &Alter) -> Option<Kept> {
        let room = self.rooms.get(&room_id)?;
        let hidden = &room.hidden[place];
        let posted = room.posted(place);
        let reacted = alter.reaction().is_some_and(|(emoji, _)| hidden.find(alter.by(), emoji).is_some());
        let (findings, old_text_hash) = (hidden.findings.clone(), hidden.old_text_hash.clone());
        Some(Kept { posted, findings, old_text_hash, reacted })
    }

    fn write(&mut self, room_id: RoomId, place: usize, alter: &Alter, decision: &Decision) {
        let Some(room) = self.rooms.get_mut(&room_id).filter(|_| !decision.changes().is_empty()) else { return };
        room.rows[place] = decision.row().clone();
        let hidden = &mut room.hidden[place];
        hidden.findings = decision.findings().to_vec();
        hidden.old_text_hash = decision.old_text_hash().map(str::to_owned);
        match alter.reaction() {
            Some((emoji, true)) => hidden.reactions.push((alter.by().clone(), emoji.to_owned())),
            Some((emoji, false)) => {
                if let Some(known) = hidden.find(alter.by(), emoji) {
                    hidden.reactions.remove(known);
                }
            }
            None if decision.wipes() => hidden.reactions.clear(),
            None => {}
        }
        for NewChange { kind, event } in decision.changes() {
            self.outbox_id += 1;
            let (number, kind, event) = (self.outbox_id, *kind, event.clone());
            self.changes.push(Change { number, kind, room: room_id, message: place, event });
        }
    }

    /// A change as it is told now; nothing where its message is not shown any more.
    fn told(&self, change: &Change) -> Option<ChangeRow> {
        let row = self.rooms.get(&change.room)?.rows.get(change.message)?;
        let what = changed(change.kind, row, change.event.as_deref())?;
        Some(ChangeRow { number: change.number, room_id: change.room, what })
    }
}

impl Room {
    fn posted(&self, place: usize) -> Posted {
        let hidden = &self.hidden[place];
        Posted {
            row: Arc::new(self.rows[place].clone()),
            origin: hidden.origin,
            cause_id: hidden.cause_id,
            cause_depth: hidden.cause_depth,
        }
    }
}

impl Hidden {
    fn find(&self, actor: &Actor, emoji: &str) -> Option<usize> {
        self.reactions.iter().position(|(by, with)| by.is_same(actor) && with == emoji)
    }
}

#[async_trait]
impl MessageStore for MemoryStore {
    async fn access(&self, actor: &Actor, room: RoomId) -> std::result::Result<Access, StoreError> {
        let data = self.data();
        let Some(room) = data.rooms.get(&room) else { return Ok(Access::None) };
        Ok(room.access.get(&(actor.kind, actor.id.clone())).copied().unwrap_or(Access::Write))
    }

    /// Whoever was made a moderator of some room.
    async fn judges(&self, actor: &Actor) -> std::result::Result<bool, StoreError> {
        let actor = (actor.kind, actor.id.clone());
        Ok(self.data().rooms.values().any(|room| room.access.get(&actor) == Some(&Access::Moderate)))
    }

    async fn files(&self, ids: &[FileId]) -> std::result::Result<Vec<Option<Attachable>>, StoreError> {
        let data = self.data();
        let hangs = |id: FileId| {
            let mut rows = data.rooms.values().flat_map(|room| &room.rows);
            rows.any(|row| row.attachments.iter().any(|attachment| attachment.id == id))
        };
        let find = |id: &FileId| data.files.get(id).map(|file| Attachable { attached: hangs(*id), ..file.clone() });
        Ok(ids.iter().map(find).collect())
    }

    async fn room_named(&self, name: &str) -> std::result::Result<Option<RoomId>, StoreError> {
        Ok(self.data().names.get(name).copied())
    }

    async fn policy(&self, room: RoomId) -> std::result::Result<Arc<RoomPolicy>, StoreError> {
        Ok(self.data().rooms.get(&room).map(|room| room.policy.clone()).unwrap_or_default())
    }

    async fn by_key(
        &self,
        author: &Actor,
        room: RoomId,
        key: &str,
    ) -> std::result::Result<Option<StoredRow>, StoreError> {
        let data = self.data();
        let Some(room) = data.rooms.get(&room) else { return Ok(None) };
        let known = room.keys.get(&(author.kind, author.id.clone(), key.to_owned()));
        Ok(known.map(|known| room.rows[*known].clone()))
    }

    async fn by_ai_key(&self, room: RoomId, key: &str) -> std::result::Result<Option<StoredRow>, StoreError> {
        let data = self.data();
        let Some(room) = data.rooms.get(&room) else { return Ok(None) };
        let known = room.keys.iter().find(|((kind, _, known), _)| *kind == ActorKind::Ai && known == key);
        Ok(known.map(|(_, place)| room.rows[*place].clone()))
    }

    async fn is_direct(&self, room: RoomId) -> std::result::Result<bool, StoreError> {
        Ok(self.data().rooms.get(&room).is_some_and(|room| room.direct))
    }

    async fn message(&self, message: MessageId) -> std::result::Result<Option<StoredRow>, StoreError> {
        let data = self.data();
        let Some((room, place)) = data.places.get(&message) else { return Ok(None) };
        Ok(data.rooms.get(room).map(|room| room.rows[*place].clone()))
    }

    async fn has_message(&self, room: RoomId, message: MessageId) -> std::result::Result<bool, StoreError> {
        let data = self.data();
        let is_it = |row: &StoredRow| row.id == message && row.state.is_shown();
        Ok(data.rooms.get(&room).is_some_and(|room| room.rows.iter().any(is_it)))
    }

    fn append(&self, commit: Commit) {
        let _committing = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.insert(&commit) {
            Ok(Appended::New(committed)) => commit.stored(committed),
            Ok(Appended::Known(row)) => commit.known(row),
            Err(error) => commit.failed(error),
        }
    }

    fn alter(&self, alter: Alter) {
        let _committing = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.decide(&alter) {
            Decided::Stored(decision, first) => alter.stored(*decision, first),
            Decided::Refused(refusal) => alter.refused(refusal),
        }
    }

    async fn changes(&self, room: RoomId, after: u64, limit: u32) -> std::result::Result<Changes, StoreError> {
        let data = self.data();
        let shown = |change: &&Change| change.room == room && change.number > after && change.kind != ChangeKind::Event;
        let mut wanted = data.changes.iter().filter(shown);
        let page: Vec<&Change> = wanted.by_ref().take(limit as usize).collect();
        let upto = page.last().map_or(after, |change| change.number);
        let more = wanted.next().is_some();
        let rows = page.into_iter().filter_map(|change| data.told(change)).collect();
        Ok(Changes { rows, upto, more, gone: false })
    }

    async fn last_change(&self) -> std::result::Result<u64, StoreError> {
        Ok(self.data().changes.last().map_or(0, |change| change.number))
    }

    async fn history(
        &self,
        room: RoomId,
        after: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> std::result::Result<Vec<StoredRow>, StoreError> {
        let data = self.data();
        let Some(room) = data.rooms.get(&room) else { return Ok(Vec::new()) };
        let wanted = room.rows.iter().filter(|row| {
            row.state.is_shown()
                && after.is_none_or(|after| row.seq > after)
                && before.is_none_or(|before| row.seq < before)
        });
        let limit = limit as usize;
        if after.is_some() {
            return Ok(wanted.take(limit).cloned().collect());
        }
        let mut last: Vec<StoredRow> = wanted.rev().take(limit).cloned().collect();
        last.reverse();
        Ok(last)
    }
}

#[async_trait]
impl PluginStore for MemoryStore {
    async fn plugins(&self) -> std::result::Result<Vec<PluginRecord>, StoreError> {
        Ok(self.data().plugins.values().cloned().collect())
    }

    async fn save_plugin(&self, record: PluginRecord) -> std::result::Result<(), StoreError> {
        let mut data = self.data();
        data.writable()?;
        data.plugins.insert(record.name.clone(), record);
        Ok(())
    }

    async fn remove_plugin(&self, name: PluginName, keep: PluginData) -> std::result::Result<(), StoreError> {
        let mut data = self.data();
        data.writable()?;
        data.plugins.remove(&name);
        if keep == PluginData::Remove {
            data.values.retain(|(plugin, _), _| *plugin != name);
        }
        Ok(())
    }
}

#[async_trait]
impl StoragePort for MemoryStore {
    async fn get(&self, plugin: &PluginName, key: &str) -> Result<Option<Versioned<Value>>> {
        Ok(self.data().values.get(&(plugin.clone(), key.to_owned())).cloned())
    }

    async fn set(&self, plugin: &PluginName, key: &str, value: Value, expected: Option<u64>) -> Result<Option<u64>> {
        let mut data = self.data();
        data.writable()?;
        let key = (plugin.clone(), key.to_owned());
        let found = data.values.get(&key).map_or(0, |found| found.version);
        if expected.is_some_and(|expected| expected != found) {
            return Ok(None);
        }
        let version = found + 1;
        data.values.insert(key, Versioned { value, version });
        Ok(Some(version))
    }

    async fn remove(&self, plugin: &PluginName, key: &str) -> Result<bool> {
        let mut data = self.data();
        data.writable()?;
        Ok(data.values.remove(&(plugin.clone(), key.to_owned())).is_some())
    }

    async fn keys(&self, plugin: &PluginName, prefix: &str) -> Result<Vec<String>> {
        let data = self.data();
        let keys = data.values.keys().filter(|(owner, key)| owner == plugin && key.starts_with(prefix));
        Ok(keys.map(|(_, key)| key.clone()).collect())
    }
}

#[async_trait]
impl UserPort for MemoryStore {
    async fn user(&self, _: &PluginName, id: UserId) -> Result<Option<UserView>> {
        Ok(self.data().users.get(&id).cloned())
    }

    async fn history(
        &self,
        plugin: &PluginName,
        room: RoomId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredRow>> {
        if MessageStore::access(self, &Actor::plugin(plugin.as_str()), room).await? == Access::None {
            return Err(PluginError::not_found(format!("there is no room {room}")));
        }
        Ok(MessageStore::history(self, room, None, before, limit).await?)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::conformance;

    #[test]
    fn conforms() {
        crate::testing::run(async {
            let make = async || Arc::new(MemoryStore::new());
            conformance::storage(make).await;
            conformance::plugin_store(make).await;
            conformance::automation_store(make).await;
            conformance::message_store(rooms).await;
        });
    }

    async fn rooms() -> conformance::Rooms<MemoryStore> {
        let store = MemoryStore::new();
        let (room, other_room) = (store.create_room(), store.create_room());
        let [writer, other_writer, reader, stranger] =
            ["wera", "otto", "rita", "sven"].map(|name| store.create_user(name));
        store.set_access(room, &reader, Access::Read);
        store.set_access(room, &stranger, Access::None);
        let (reader, stranger) = (Some(reader), Some(stranger));
        conformance::Rooms { store: Arc::new(store), room, other_room, writer, other_writer, reader, stranger }
    }
}
