//! Running plugins without a server: the real manager, guard and bus over a store in memory, and the same work done bare.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use plexichat::Descriptor;
use plexichat::ai::{AiError, AiErrorKind, AiRequest, AiStream, EmbedRequest, Embeddings, Model};
use plexichat::capability::admin::{AdminPort, Metric, ServerStatus};
use plexichat::capability::ai::{AiCall, AiPort};
use plexichat::capability::chat::{ChatPort, Post};
use plexichat::capability::clock::Clock;
use plexichat::capability::files::{FileInfo, FilesError, FilesPort, ListLimits, OpenFile};
use plexichat::capability::http::{HttpPort, HttpRequest, HttpResponse};
use plexichat::capability::sockets::{SocketAddress, SocketLink, SocketPort};
use plexichat::capability::triggers::{Armed, TriggerPort};
use plexichat::catalog::Catalog;
use plexichat::error::PluginError;
use plexichat::event::Event;
use plexichat::event::bus::Bus;
use plexichat::event::catalog::MessageReceived;
use plexichat::guard::PluginHandle;
use plexichat::id::{MessageId, PluginName, RoomId, RunId};
use plexichat::manager::snapshot::Snapshot;
use plexichat::manager::{ManagerParts, PluginManager};
use plexichat::message::{Actor, ActorKind, StoredRow, Time};
use plexichat::settings::{IsolationLevel, PluginSettings, Settings};
use plexichat::store::memory::MemoryStore;
use plexichat::store::{PluginRecord, PluginStore};
use plexichat::toolbox::Toolbox;
use plexichat::trigger::TriggerSpec;
use serde_json::{Value, json};

/// A plugin with one handler that does next to nothing.
mod listener {
    use plexichat::prelude::*;

    use super::{AtomicU64, Ordering};

    /// Counts what it hears.
    #[plexichat::plugin(name = "listener", permissions(UserDataAccess))]
    pub(crate) struct Listener(AtomicU64);

    impl Plugin for Listener {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self(AtomicU64::new(0)))
        }
    }

    #[plexichat::handlers]
    impl Listener {
        #[on("message_received")]
        async fn hear(&self, message: &MessageReceived) -> Result<()> {
            self.0.fetch_add(message.text.len() as u64, Ordering::Relaxed);
            Ok(())
        }
    }
}

/// The same handler without anything of ours around it.
#[async_trait]
pub(crate) trait Bare: Send + Sync {
    async fn hear(&self, event: &Event) -> Result<(), PluginError>;
}

/// Does what the plugin's handler does.
#[derive(Default)]
pub(crate) struct BareListener(AtomicU64);

#[async_trait]
impl Bare for BareListener {
    async fn hear(&self, event: &Event) -> Result<(), PluginError> {
        let message = event.payload::<MessageReceived>()?;
        self.0.fetch_add(message.text.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// So many bare listeners.
pub(crate) fn bare(count: usize) -> Vec<Arc<dyn Bare>> {
    (0..count).map(|_| Arc::new(BareListener::default()) as Arc<dyn Bare>).collect()
}

/// An event as a message of about 200 bytes makes it.
pub(crate) fn event() -> Event {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(4);
    Event::new(MessageReceived::new(MessageId::new(), RoomId::new(), text, None, Vec::new(), ActorKind::User))
}

/// Plugins that run.
pub(crate) struct Running {
    pub(crate) bus: Bus,
    pub(crate) handles: Vec<Arc<PluginHandle>>,
    _manager: Arc<PluginManager>,
}

/// Starts so many listeners. Must be called on a runtime.
pub(crate) async fn start(count: usize, isolation: IsolationLevel) -> Running {
    let listener = |number: usize| -> Linked {
        // As long as the program lives, like a linked plugin's.
        let name: &'static str = Box::leak(format!("listener-{number}").into_boxed_str());
        let descriptor = Descriptor { name, ..listener::PLEXICHAT_PLUGIN };
        (Box::leak(Box::new(descriptor)), json!({}))
    };
    start_linked((0..count).map(listener).collect(), isolation).await
}

/// A plugin and its configuration.
pub(crate) type Linked = (&'static Descriptor, Value);

/// Starts these plugins, with everything granted that they ask for. Must be called on a runtime.
pub(crate) async fn start_linked(linked: Vec<Linked>, isolation: IsolationLevel) -> Running {
    let store = Arc::new(MemoryStore::new());
    let mut settings = Settings::default();
    for (descriptor, config) in &linked {
        let mut setting = PluginSettings::default();
        setting.grant = Some(descriptor.permission_set());
        setting.isolation = isolation;
        settings.plugins.insert(descriptor.plugin_name(), setting);
        store.save_plugin(record(descriptor, config.clone())).await.unwrap();
    }
    let descriptors: Vec<&'static Descriptor> = linked.iter().map(|(descriptor, _)| *descriptor).collect();
    let catalog = Catalog::of(&descriptors).unwrap();
    let plugins = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let bus = Bus::new(plugins.clone());
    let manager = PluginManager::new(ManagerParts {
        catalog,
        settings: ArcSwap::from_pointee(settings),
        plugins: plugins.clone(),
        bus: bus.clone(),
        store: store.clone(),
        storage: store.clone(),
        users: store,
        http: Arc::new(Nowhere),
        sockets: Arc::new(Nowhere),
        files: Arc::new(Nowhere),
        chat: Arc::new(Nowhere),
        ai: Arc::new(Nowhere),
        clock: Arc::new(MachineClock),
        triggers: Arc::new(Nowhere),
        tools: Arc::new(Toolbox::new(plugins.clone())),
        admin: Arc::new(Nowhere),
    });
    manager.start_all().await.unwrap();
    let running = plugins.load_full();
    let handles: Vec<_> = running.plugins().cloned().collect();
    assert_eq!(handles.len(), linked.len(), "{:?}", manager.list());
    Running { bus, handles, _manager: manager }
}

fn record(descriptor: &Descriptor, config: Value) -> PluginRecord {
    PluginRecord { enabled: true, config, ..PluginRecord::new(descriptor.plugin_name(), descriptor.package.version) }
}

/// Ports that nothing under test uses, but for files.
struct Nowhere;

/// The only directory there is, where a benchmark has put a file into it.
pub(crate) const DIRECTORY: &str = "/rules";
/// What is in its only file.
pub(crate) static RULES: OnceLock<String> = OnceLock::new();

#[async_trait]
impl AiPort for Nowhere {
    async fn models(&self, _: &PluginName) -> Result<Vec<Model>, AiError> {
        Ok(Vec::new())
    }

    async fn stream(&self, _: &PluginName, call: AiCall<AiRequest>) -> Result<AiStream, AiError> {
        Err(AiError::new(AiErrorKind::ModelNotFound, call.request.model))
    }

    async fn embed(&self, _: &PluginName, call: AiCall<EmbedRequest>) -> Result<Embeddings, AiError> {
        Err(AiError::new(AiErrorKind::ModelNotFound, call.request.model))
    }
}

#[async_trait]
impl SocketPort for Nowhere {
    async fn connect(
        &self,
        _: &PluginName,
        _: &SocketAddress,
        _: Duration,
    ) -> Result<Box<dyn SocketLink>, PluginError> {
        Err(PluginError::permission("no network here"))
    }
}

#[async_trait]
impl FilesPort for Nowhere {
    async fn read(&self, _: &PluginName, path: &Path, _: u64) -> Result<Vec<u8>, FilesError> {
        let rules = RULES.get().ok_or_else(|| FilesError::NotFound { path: path.to_owned() })?;
        Ok(rules.clone().into_bytes())
    }

    async fn open(&self, _: &PluginName, path: &Path) -> Result<Box<dyn OpenFile>, FilesError> {
        Err(FilesError::NotFound { path: path.to_owned() })
    }

    async fn info(&self, _: &PluginName, path: &Path) -> Result<FileInfo, FilesError> {
        let rules = RULES.get().ok_or_else(|| FilesError::NotFound { path: path.to_owned() })?;
        Ok(FileInfo { path: path.to_owned(), size: rules.len() as u64, modified: Time::from_micros(0) })
    }

    async fn list(&self, plugin: &PluginName, _: &Path, _: ListLimits) -> Result<Vec<FileInfo>, FilesError> {
        Ok(vec![self.info(plugin, &Path::new(DIRECTORY).join("own.yar")).await?])
    }
}

#[async_trait]
impl HttpPort for Nowhere {
    async fn send(&self, _: &PluginName, _: HttpRequest) -> Result<HttpResponse, PluginError> {
        Err(PluginError::permission("no network here"))
    }
}

#[async_trait]
impl ChatPort for Nowhere {
    async fn post(&self, _: &PluginName, _: Post) -> Result<StoredRow, PluginError> {
        Err(PluginError::permission("no rooms here"))
    }

    async fn room_named(&self, _: &str) -> Result<Option<RoomId>, PluginError> {
        Ok(None)
    }

    async fn may_post(&self, _: &Actor, _: RoomId) -> Result<bool, PluginError> {
        Ok(false)
    }
}

#[async_trait]
impl AdminPort for Nowhere {
    async fn status(&self) -> Result<ServerStatus, PluginError> {
        Err(PluginError::permission("no server here"))
    }

    async fn metrics(&self) -> Result<Vec<Metric>, PluginError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl TriggerPort for Nowhere {
    fn check(&self, _: &TriggerSpec) -> Result<(), PluginError> {
        Err(PluginError::permission("no triggers here"))
    }

    async fn put(&self, _: &PluginName, _: TriggerSpec) -> Result<Armed, PluginError> {
        Err(PluginError::permission("no triggers here"))
    }

    async fn remove(&self, _: &PluginName, _: &str) -> Result<bool, PluginError> {
        Ok(false)
    }

    async fn list(&self, _: &PluginName, _: &str) -> Result<Vec<Armed>, PluginError> {
        Ok(Vec::new())
    }

    async fn start(&self, _: &PluginName, id: &str, _: Value, _: Option<String>) -> Result<RunId, PluginError> {
        Err(PluginError::not_found(id))
    }

    async fn wake(&self, _: &PluginName, _: RunId, _: Value) -> Result<bool, PluginError> {
        Ok(false)
    }

    async fn cancel(&self, _: &PluginName, _: RunId) -> Result<bool, PluginError> {
        Ok(false)
    }
}

struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Time {
        Time::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
