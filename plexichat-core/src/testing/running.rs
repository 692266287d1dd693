//! A plugin that runs in a test, and what the test can do to it and see of it.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::TestResult;
use super::bench::Bench;
use super::clock::TestClock;
use super::disk::TestDisk;
use super::ends::{Ends, RETRY};
use super::frames::SeenReply;
use super::http::RecordingHttp;
use super::server::TestServer;
use super::sockets::RecordingSockets;
use crate::catalog::Catalog;
use crate::descriptor::{Instance, Registered};
use crate::dispatch::Dispatcher;
use crate::event::{Event, Payload};
use crate::host::{Host, Ports};
use crate::id::{PluginName, RoomId};
use crate::incident::LastError;
use crate::lifecycle::State;
use crate::manager::PluginInfo;
use crate::message::{Actor, ActorKind, Origin, StoredRow};
use crate::pipeline::{ChangeRow, Incoming, Limits, Outcome, Refusal};
use crate::settings::Settings;
use crate::store::memory::MemoryStore;

/// How long a test waits for what should happen: longer than any call of a plugin may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How long it waits for an answer once every handler is done, since a task beside them may still give one.
const GRACE: Duration = Duration::from_secs(1);

/// What a host is put together from.
pub(super) struct Parts {
    pub(super) catalog: Catalog,
    pub(super) settings: Settings,
    pub(super) store: Arc<MemoryStore>,
    pub(super) bench: Arc<Bench>,
    pub(super) http: Arc<RecordingHttp>,
    pub(super) sockets: Arc<RecordingSockets>,
    pub(super) disk: Arc<TestDisk>,
}

/// A plugin that runs, in a room with people. It stops when this is dropped.
pub struct RunningPlugin<P> {
    name: PluginName,
    host: Host,
    store: Arc<MemoryStore>,
    bench: Arc<Bench>,
    http: Arc<RecordingHttp>,
    sockets: Arc<RecordingSockets>,
    disk: Arc<TestDisk>,
    server: Arc<TestServer>,
    ends: Arc<Ends>,
    room: RoomId,
    people: Mutex<Vec<Actor>>,
    worker: tokio::task::JoinHandle<()>,
    engine: tokio::task::JoinHandle<()>,
    plugin: PhantomData<fn() -> P>,
}

impl<P: Registered> RunningPlugin<P> {
    pub(super) async fn start(parts: Parts, name: PluginName) -> TestResult<Self> {
        let Parts { catalog, settings, store, bench, http, sockets, disk } = parts;
        let ends = Arc::new(Ends::default());
        let server = TestServer::new(&bench.clock);
        let ports = Ports {
            plugins: store.clone(),
            messages: store.clone(),
            storage: store.clone(),
            users: store.clone(),
            http: http.clone(),
            ai: store.clone(),
            sockets: sockets.clone(),
            files: disk.clone(),
            approvals: store.clone(),
            questions: store.clone(),
            pictures: store.clone(),
            automations: store.clone(),
            admin: server.clone(),
            node: "test".to_owned(),
            clock: bench.clock.clone(),
            fanout: ends.clone(),
            outbox: ends.clone(),
        };
        let host = Host::new(catalog, settings, Limits::default(), ports);
        let worker = tokio::spawn(ends.clone().tell(Dispatcher::clone(&host.dispatcher).with_retry(RETRY)));
        let room = store.create_room();
        let people = Mutex::default();
        let engine = tokio::spawn(host.automations.clone().run());
        let running = Self {
            name,
            host,
            store,
            bench,
            http,
            sockets,
            disk,
            server,
            ends,
            room,
            people,
            worker,
            engine,
            plugin: PhantomData,
        };
        running.host.manager.start_all().await?;
        running.check_runs()?;
        Dispatcher::clone(&running.host.dispatcher).with_retry(RETRY).ask_again().await;
        Ok(running)
    }

    /// Posts as this person, as a client would.
    ///
    /// # Errors
    /// What the pipeline refuses.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have posted.
    pub async fn post(&self, person: &str, text: &str) -> Result<Outcome, Refusal> {
        let incoming = Incoming {
            author: self.person(person),
            room_id: self.room,
            text: text.to_owned(),
            reply_to: None,
            attachments: Vec::new(),
            origin: Origin::Rest,
            key: None,
            cause_id: None,
            cause_depth: 0,
        };
        self.host.pipeline.send(incoming).await
    }

    /// Posts as this person and waits for what the plugin answers.
    ///
    /// # Errors
    /// Where the message is refused, and where no answer comes in time: with the last thing that went wrong.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have posted.
    pub async fn say(&self, person: &str, text: &str) -> TestResult<StoredRow> {
        let posted = self.post(person, text).await?.row;
        let is_answer = |row: &StoredRow| {
            row.seq > posted.seq && row.author.kind == ActorKind::Plugin && *row.author.id == *self.name.as_str()
        };
        let answer = self.wait(|| self.ends.delivered(is_answer)).await;
        answer.map(|row| (*row).clone()).ok_or_else(|| {
            let why = self.last_error().map_or_else(String::new, |error| format!("; the last error: {error:?}"));
            format!("plugin `{}` gave no answer to {text:?}{why}", self.name).into()
        })
    }

    /// What listeners of the room were told of answers on their way, so far.
    pub fn replies(&self) -> Vec<SeenReply> {
        self.ends.replies()
    }

    /// Waits for a step of an answer of which this is true; gives the first one, also where it was seen before.
    ///
    /// # Errors
    /// Where none comes in time.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn reply(&self, wanted: impl Fn(&SeenReply) -> bool) -> TestResult<SeenReply> {
        let began = std::time::Instant::now();
        loop {
            if let Some(seen) = self.ends.replies().into_iter().find(&wanted) {
                return Ok(seen);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("no such step of an answer was seen; there were: {:?}", self.replies()).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until plugins were told of every message and are done with it, no assistant answers, and no run of a workflow is due or
    /// attempted.
    ///
    /// # Errors
    /// Where that takes too long.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn idle(&self) -> TestResult {
        let mut progress = self.ends.watch();
        let done = async {
            loop {
                if progress.wait_for(|progress| progress.told == progress.committed).await.is_err() {
                    return;
                }
                self.host.assistants.idle().await;
                while !self.host.automations.is_settled().await {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                // An answer that ended is told in its turn.
                let progress = *progress.borrow();
                if progress.told == progress.committed {
                    return;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, done).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("plugin `{}` is still busy after {PATIENCE:?}", self.name).into()),
        }
    }

    /// Tells plugins once more of everything that they were told, and waits until they are done with it: what a server does that
    /// crashed before it noted how far it was. Whatever a command or a handler does has to be there once all the same.
    ///
    /// # Errors
    /// Where that takes too long.
    ///
    /// # Cancel safety
    /// Not cancel safe: what is told again goes on.
    pub async fn tell_again(&self) -> TestResult {
        self.ends.again();
        self.idle().await
    }

    /// The messages of the room.
    pub fn messages(&self) -> Vec<StoredRow> {
        self.store.messages(self.room)
    }

    /// What listeners were told that befell messages: edits, deletions, reactions, releases.
    pub fn changes(&self) -> Vec<ChangeRow> {
        self.ends.changes()
    }

    /// The actor that posts under this name.
    pub fn actor(&self, person: &str) -> Actor {
        self.person(person)
    }

    /// Emits an event as the server would, and waits until every handler is done.
    ///
    /// # Errors
    /// Where the bus does not take it.
    ///
    /// # Cancel safety
    /// A dropped call may have reached some handlers.
    pub async fn emit<E: Payload>(&self, payload: E) -> TestResult {
        let mut event = Event::new(payload);
        event.room_id = Some(self.room);
        self.host.bus.publish(event).await?.wait().await;
        Ok(())
    }

    /// The events that were seen so far.
    pub fn events(&self) -> Vec<Event> {
        self.bench.seen()
    }

    /// Waits for an event of this name; gives the first one, also where it was seen before.
    ///
    /// # Errors
    /// Where none comes in time.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn event(&self, name: &str) -> TestResult<Event> {
        let seen = || self.events().into_iter().find(|event| event.name == name);
        self.wait(seen).await.ok_or_else(|| {
            let names: Vec<String> = self.events().iter().map(|event| event.name.to_string()).collect();
            format!("no event `{name}` was seen; there were: {}", names.join(", ")).into()
        })
    }

    /// The plugin itself.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn plugin(&self) -> TestResult<Typed<P>> {
        match self.bench.running() {
            Some(instance) => Ok(Typed { instance, plugin: PhantomData }),
            None => Err(format!("plugin `{}` does not run", self.name).into()),
        }
    }

    /// The last thing that went wrong with it.
    pub fn last_error(&self) -> Option<LastError> {
        self.info().last_error
    }

    /// Gives it another configuration, as an operator would.
    ///
    /// # Errors
    /// Where it is refused: the old one goes on.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have changed it.
    pub async fn reconfigure(&self, config: Value) -> TestResult {
        self.host.manager.reconfigure(&self.name, &config, None, &Actor::system()).await?;
        Ok(())
    }

    /// Enables it.
    ///
    /// # Errors
    /// Where it does not start.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have started it.
    pub async fn enable(&self) -> TestResult {
        self.host.manager.enable(&self.name, &Actor::system()).await?;
        self.check_runs()
    }

    /// Disables it.
    ///
    /// # Errors
    /// Where that is refused.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have stopped it.
    pub async fn disable(&self) -> TestResult {
        self.host.manager.disable(&self.name, &Actor::system()).await?;
        Ok(())
    }

    /// The clock that the plugin sees.
    pub fn clock(&self) -> &TestClock {
        &self.bench.clock
    }

    /// What it asked for over HTTP.
    pub fn http(&self) -> &RecordingHttp {
        &self.http
    }

    /// Where it connected to over plain sockets.
    pub fn sockets(&self) -> &RecordingSockets {
        &self.sockets
    }

    /// The files that it may read: change them as an operator would.
    pub fn disk(&self) -> &TestDisk {
        &self.disk
    }

    /// The server, as `ctx.admin()` sees it.
    pub fn server(&self) -> &TestServer {
        &self.server
    }

    /// The store, for another host to go on with.
    pub fn store(&self) -> Arc<MemoryStore> {
        self.store.clone()
    }

    /// The room in which people post.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// The host's running parts.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What became of the plugin, by the manager.
    pub fn info(&self) -> PluginInfo {
        self.host.manager.get(&self.name).expect("the manager knows what the test host linked")
    }

    pub(super) fn name(&self) -> &PluginName {
        &self.name
    }

    pub(super) fn bench(&self) -> &Bench {
        &self.bench
    }

    fn check_runs(&self) -> TestResult {
        match self.info().state {
            State::Enabled => Ok(()),
            state => match state.cause() {
                Some(cause) => Err(format!("plugin `{}` does not run: {cause}", self.name).into()),
                None => Err(format!("plugin `{}` does not run: it is {state:?}", self.name).into()),
            },
        }
    }

    pub(super) fn person(&self, name: &str) -> Actor {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = people.iter().find(|person| *person.name == *name) {
            return known.clone();
        }
        let person = self.store.create_user(name);
        people.push(person.clone());
        person
    }

    /// What can be found, as soon as it can be; nothing once all is done and still nothing was found.
    async fn wait<T>(&self, find: impl Fn() -> Option<T>) -> Option<T> {
        let looking = async {
            loop {
                if let Some(found) = find() {
                    return found;
                }
                // Events that are not messages move no watch, so time does.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let giving_up = async {
            // Where it stays busy, the time is up too.
            let _ = self.idle().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            found = looking => Some(found),
            () = giving_up => find(),
        }
    }
}

impl<P> Drop for RunningPlugin<P> {
    fn drop(&mut self) {
        self.worker.abort();
        self.engine.abort();
        self.host.automations.cut_off();
        self.host.assistants.cut_off();
    }
}

/// A running plugin as its own type.
pub struct Typed<P> {
    instance: Arc<dyn Instance>,
    plugin: PhantomData<fn() -> P>,
}

impl<P: 'static> Deref for Typed<P> {
    type Target = P;

    fn deref(&self) -> &P {
        self.instance.as_any().downcast_ref().expect("the test host started an instance of this type under this name")
    }
}
