//! A plugin for the host's own tests: it does what it is told, well or badly. And a manager over it.

use std::any::Any;
use std::future::pending;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::snapshot::Snapshot;
use super::{ManagerParts, PluginManager};
use crate::ai::{AiError, AiErrorKind, AiRequest, AiStream, EmbedRequest, Embeddings, Model};
use crate::automation::{self, Automations};
use crate::capability::admin::{AdminPort, Metric, ServerStatus};
use crate::capability::ai::{AiCall, AiPort};
use crate::capability::chat::{ChatPort, Post};
use crate::capability::clock::Clock;
use crate::capability::files::{FileInfo, FilesError, FilesPort, ListLimits, OpenFile};
use crate::capability::http::{HttpPort, HttpRequest, HttpResponse};
use crate::capability::sockets::{SocketAddress, SocketLink, SocketPort};
use crate::catalog::Catalog;
use crate::cause;
use crate::command::{CommandCall, CommandReply};
use crate::context::{Context, Services};
use crate::descriptor::{Descriptor, Entry, EventSpec, Instance, StartError, sample};
use crate::error::{PluginError, Result};
use crate::event::Event;
use crate::event::bus::Bus;
use crate::id::{PluginName, RoomId};
use crate::message::{Actor, StoredRow, Time};
use crate::plugin::Health;
use crate::plugin::security::Security;
use crate::problem::Problem;
use crate::settings::{Settings, Sources};
use crate::store::memory::MemoryStore;
use crate::toolbox::Toolbox;
use crate::watchdog::Patience;

/// The custom event that every fake handles: its data says what to do.
pub(crate) const DO: &str = "custom.do";

/// A running fake.
pub(crate) struct Fake {
    pub(crate) config: Value,
    pub(crate) services: Services,
    pub(crate) seen: Mutex<Vec<Value>>,
    pub(crate) causes: Mutex<Vec<(Option<String>, u8)>>,
    pub(crate) cleaned: AtomicUsize,
    /// The names of the threads that its handlers ran on.
    pub(crate) threads: Mutex<Vec<Option<String>>>,
}

/// How many fakes exist: none may be left behind.
pub(crate) static FAKES: AtomicUsize = AtomicUsize::new(0);

impl Drop for Fake {
    fn drop(&mut self) {
        FAKES.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

/// Does one thing, as told.
pub(crate) async fn act(what: &str) -> Result<()> {
    let (what, milliseconds) = what.split_once(' ').unwrap_or((what, "0"));
    let time = Duration::from_millis(milliseconds.parse().unwrap_or(0));
    match what {
        "" | "ok" => Ok(()),
        "error" => Err(PluginError::internal("it is broken")),
        "input" => Err(PluginError::input("no such thing")),
        "panic" => panic!("it panicked on purpose"),
        "hang" => pending().await,
        "wait" => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        "block" => {
            thread::sleep(time);
            Ok(())
        }
        "hang-and-panic-on-drop" => {
            let _held = PanicsOnDrop;
            pending().await
        }
        other => panic!("it does not know what `{other}` is"),
    }
}

impl Instance for Fake {
    fn event<'a>(&'a self, _: usize, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let data = event.data()?;
            self.threads.lock().unwrap().push(thread::current().name().map(str::to_owned));
            self.seen.lock().unwrap().push(data.clone());
            let depth = cause::current().map_or(0, |cause| cause.next_depth());
            self.causes.lock().unwrap().push((cause::next_key(), depth));
            if data["emit"] == true {
                let mut next = Event::json(DO, data.clone());
                next.actor = Actor::plugin(self.services.scope.plugin().as_str());
                self.services.events.emit(self.services.scope.plugin(), next).await?;
            }
            act(data["do"].as_str().unwrap_or_default()).await
        })
    }

    fn command(&self, _: usize, call: CommandCall) -> BoxFuture<'_, Result<CommandReply>> {
        Box::pin(async move {
            act(&call.arguments).await?;
            Ok(CommandReply::text("done"))
        })
    }

    fn security(&self) -> Option<&dyn Security> {
        None
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            match self.config["health"].as_str() {
                Some(why) => Health::Degraded(why.to_owned()),
                None => Health::Healthy,
            }
        })
    }

    fn cleanup(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.cleaned.fetch_add(1, Ordering::SeqCst);
            act(self.config["cleanup"].as_str().unwrap_or_default()).await
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn start(services: Services, config: Value) -> BoxFuture<'static, std::result::Result<Arc<dyn Instance>, StartError>> {
    Box::pin(async move {
        act(config["start"].as_str().unwrap_or_default()).await?;
        let context = Context::<()>::new(services.clone());
        for _ in 0..config["tasks"].as_u64().unwrap_or(0) {
            context.spawn(pending())?;
        }
        FAKES.fetch_add(1, Ordering::SeqCst);
        let fake = Fake {
            config,
            services,
            seen: Mutex::default(),
            causes: Mutex::default(),
            cleaned: AtomicUsize::new(0),
            threads: Mutex::default(),
        };
        Ok(Arc::new(fake) as Arc<dyn Instance>)
    })
}

/// A fake's descriptor, to be changed.
pub(crate) fn fake(name: &'static str) -> Descriptor {
    let entry = Entry {
        config_schema: || {
            let names = ["word", "wrong", "start", "cleanup", "health", "tasks", "round"];
            let properties: serde_json::Map<_, _> =
                names.map(|name| (name.to_owned(), json!({}))).into_iter().collect();
            json!({ "type": "object", "properties": properties })
        },
        default_config: || json!({}),
        check_config: |config| match config["wrong"].is_null() {
            true => Vec::new(),
            false => vec![Problem::new("/wrong", "is wrong")],
        },
        routes: Vec::new,
        route_error: |_| None,
        gui: Vec::new,
        triggers: Vec::new,
        start,
    };
    Descriptor { entry, events: &[EventSpec { method: "act", patterns: &[DO], own: true }], ..sample::plugin(name) }
}

pub(crate) fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

/// What a test's host is made of.
pub(crate) struct World {
    pub(crate) manager: Arc<PluginManager>,
    pub(crate) plugins: Arc<ArcSwap<Snapshot>>,
    pub(crate) bus: Bus,
    pub(crate) store: Arc<MemoryStore>,
}

/// A world with short patience.
pub(crate) fn world(descriptors: impl IntoIterator<Item = Descriptor>, settings: &str) -> World {
    world_over(Arc::new(MemoryStore::new()), descriptors, settings)
}

pub(crate) fn world_over(
    store: Arc<MemoryStore>,
    descriptors: impl IntoIterator<Item = Descriptor>,
    settings: &str,
) -> World {
    let linked: Vec<&'static Descriptor> =
        descriptors.into_iter().map(|descriptor| &*Box::leak(Box::new(descriptor))).collect();
    let catalog = Catalog::of(&linked).unwrap();
    let sources = Sources { bundle: settings, linked: &linked, ..Sources::default() };
    let settings = Settings::load(&sources).unwrap();
    let plugins = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let bus = Bus::new(plugins.clone());
    let parts = ManagerParts {
        catalog,
        settings: ArcSwap::from_pointee(settings),
        plugins: plugins.clone(),
        bus: bus.clone(),
        store: store.clone(),
        storage: store.clone(),
        users: store.clone(),
        http: Arc::new(Nowhere),
        sockets: Arc::new(Nowhere),
        files: Arc::new(Nowhere),
        chat: Arc::new(Nowhere),
        ai: Arc::new(Nowhere),
        clock: Arc::new(Nowhere),
        triggers: Arc::new(Automations::new(automation::Parts {
            plugins: plugins.clone(),
            linked: Vec::new(),
            store: store.clone(),
            announcer: Arc::new(bus.clone()),
            clock: Arc::new(Nowhere),
            node: "test".to_owned(),
        })),
        tools: Arc::new(Toolbox::new(plugins.clone())),
        admin: Arc::new(Nowhere),
    };
    let patience = Patience {
        warn: Duration::from_millis(100),
        open: Duration::from_millis(200),
        abandon: Duration::from_millis(600),
    };
    World { manager: PluginManager::with_patience(parts, patience), plugins, bus, store }
}

impl World {
    /// Runs something on the running fake of this name.
    pub(crate) fn with<R>(&self, plugin: &str, work: impl FnOnce(&Fake) -> R) -> R {
        let plugins = self.plugins.load();
        let plugin = plugins.plugin(&name(plugin)).expect("it runs");
        work(plugin.instance().as_any().downcast_ref().expect("it is a fake"))
    }

    pub(crate) fn state(&self, plugin: &str) -> String {
        let state = self.manager.get(&name(plugin)).expect("it is linked").state;
        match state.cause() {
            Some(cause) => format!("{}: {cause}", state.as_str()),
            None => state.as_str().to_owned(),
        }
    }

    /// Publishes an event that tells every fake what to do, and waits until all have done it.
    pub(crate) async fn tell(&self, what: Value) {
        self.bus.publish(Event::json(DO, what)).await.unwrap().wait().await;
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..1000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{what} did not come true ({caller})");
    }
}

/// The ports that no test of the manager uses.
pub(crate) struct Nowhere;

#[async_trait]
impl AiPort for Nowhere {
    async fn models(&self, _: &PluginName) -> std::result::Result<Vec<Model>, AiError> {
        Ok(Vec::new())
    }

    async fn stream(&self, _: &PluginName, call: AiCall<AiRequest>) -> std::result::Result<AiStream, AiError> {
        Err(AiError::new(AiErrorKind::ModelNotFound, call.request.model))
    }

    async fn embed(&self, _: &PluginName, call: AiCall<EmbedRequest>) -> std::result::Result<Embeddings, AiError> {
        Err(AiError::new(AiErrorKind::ModelNotFound, call.request.model))
    }
}

#[async_trait]
impl ChatPort for Nowhere {
    async fn post(&self, _: &PluginName, _: Post) -> Result<StoredRow> {
        Err(PluginError::transient("there is no road"))
    }

    async fn room_named(&self, _: &str) -> Result<Option<RoomId>> {
        Ok(None)
    }

    async fn may_post(&self, _: &Actor, _: RoomId) -> Result<bool> {
        Ok(false)
    }
}

#[async_trait]
impl AdminPort for Nowhere {
    async fn status(&self) -> Result<ServerStatus> {
        Err(PluginError::transient("there is no server"))
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl SocketPort for Nowhere {
    async fn connect(&self, _: &PluginName, _: &SocketAddress, _: Duration) -> Result<Box<dyn SocketLink>> {
        Err(PluginError::transient("there is no network"))
    }
}

#[async_trait]
impl FilesPort for Nowhere {
    async fn read(&self, _: &PluginName, path: &Path, _: u64) -> Result<Vec<u8>, FilesError> {
        Err(FilesError::NotFound { path: path.to_owned() })
    }

    async fn open(&self, _: &PluginName, path: &Path) -> Result<Box<dyn OpenFile>, FilesError> {
        Err(FilesError::NotFound { path: path.to_owned() })
    }

    async fn info(&self, _: &PluginName, path: &Path) -> Result<FileInfo, FilesError> {
        Err(FilesError::NotFound { path: path.to_owned() })
    }

    async fn list(&self, _: &PluginName, path: &Path, _: ListLimits) -> Result<Vec<FileInfo>, FilesError> {
        Err(FilesError::NotFound { path: path.to_owned() })
    }
}

#[async_trait]
impl HttpPort for Nowhere {
    async fn send(&self, _: &PluginName, _: HttpRequest) -> Result<HttpResponse> {
        Err(PluginError::transient("there is no network"))
    }
}

impl Clock for Nowhere {
    fn now(&self) -> Time {
        static NOW: AtomicU64 = AtomicU64::new(0);
        Time::from_micros(NOW.fetch_add(1, Ordering::Relaxed) as i64)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
