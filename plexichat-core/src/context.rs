//! What a plugin is given. Each method opens one capability; the bound on it is the permission the compiler asks for.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::asset::Asset;
use crate::capability::Scope;
use crate::capability::admin::{Admin, AdminPort};
use crate::capability::ai::{Ai, AiPort};
use crate::capability::assets::Assets;
use crate::capability::cache::Cache;
use crate::capability::chat::{Chat, ChatPort};
use crate::capability::clock::Clock;
use crate::capability::events::{EventPort, Events};
use crate::capability::files::{Files, FilesPort};
use crate::capability::http::{HttpClient, HttpPort};
use crate::capability::sockets::{SocketPort, Sockets};
use crate::capability::storage::{Storage, StoragePort};
use crate::capability::tasks::{TaskPort, Tasks};
use crate::capability::texts::TextPort;
use crate::capability::tools::{ToolPort, Tools};
use crate::capability::triggers::{TriggerBook, TriggerPort};
use crate::capability::users::{UserPort, Users};
use crate::error::{PluginError, Result};
use crate::id::PluginName;
use crate::message::Time;
use crate::permission::{AdminAccess, AiAccess, FileSystemRead, Has, NetworkAccess, PostMessages, UserDataAccess};
use crate::text::Text;

/// What the host fills in for one instance of a plugin.
#[derive(Clone)]
#[expect(missing_docs, reason = "each is documented at its port")]
pub struct Services {
    pub scope: Arc<Scope>,
    /// The custom events that the descriptor declares.
    pub emits: &'static [&'static str],
    pub events: Arc<dyn EventPort>,
    pub storage: Arc<dyn StoragePort>,
    pub chat: Arc<dyn ChatPort>,
    pub ai: Arc<dyn AiPort>,
    pub http: Arc<dyn HttpPort>,
    pub sockets: Arc<dyn SocketPort>,
    pub files: Arc<dyn FilesPort>,
    pub users: Arc<dyn UserPort>,
    pub tasks: Arc<dyn TaskPort>,
    pub clock: Arc<dyn Clock>,
    pub triggers: Arc<dyn TriggerPort>,
    pub tools: Arc<dyn ToolPort>,
    pub admin: Arc<dyn AdminPort>,
    /// The files that the descriptor embeds.
    pub assets: &'static [Asset],
    pub texts: Arc<dyn TextPort>,
    pub public_url: Option<String>,
}

/// What the plugin `P` is given when it starts. Keep it, or the handles taken from it, in the plugin.
pub struct Context<P> {
    services: Arc<Services>,
    cache: Cache,
    plugin: PhantomData<fn() -> P>,
}

impl<P> Clone for Context<P> {
    fn clone(&self) -> Self {
        Self { services: self.services.clone(), cache: self.cache.clone(), plugin: PhantomData }
    }
}

impl<P> Context<P> {
    /// A context over a host's services; hosts and tests call it.
    pub fn new(services: Services) -> Self {
        Self { services: Arc::new(services), cache: Cache::default(), plugin: PhantomData }
    }

    /// The plugin's name.
    pub fn name(&self) -> &PluginName {
        self.services.scope.plugin()
    }

    /// Emits events.
    pub fn events(&self) -> Events<P> {
        Events::new(self.services.scope.clone(), self.services.events.clone(), self.services.emits)
    }

    /// The plugin's own durable keys and values.
    pub fn storage(&self) -> Storage {
        Storage::new(self.services.scope.clone(), self.services.storage.clone())
    }

    /// A bounded map with expiry that dies with the instance.
    pub fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// The files that the plugin's crate embeds.
    pub fn assets(&self) -> Assets {
        Assets::new(self.services.assets)
    }

    /// A text in the language that somebody reads: `language` is one such as `de`, or all that they read, as `Accept-Language`
    /// writes it. What that language lacks is in English.
    ///
    /// ```ignore
    /// self.ctx.text(&interaction.language, &t!("files", count = 3)) // `3 files`, `3 Dateien`
    /// ```
    pub fn text(&self, language: &str, text: &Text) -> String {
        self.services.texts.text(language, text)
    }

    /// The time of day.
    pub fn now(&self) -> Time {
        self.services.clock.now()
    }

    /// The address that people use, such as `https://chat.example.org`, without a slash at its end; nothing where the operator
    /// does not set `server.public_url`.
    pub fn public_url(&self) -> Option<&str> {
        self.services.public_url.as_deref()
    }

    /// Waits, by the host's clock.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn sleep(&self, duration: Duration) {
        self.services.clock.sleep(duration).await;
    }

    /// Runs a task beside the plugin; it ends when the plugin is disabled or replaced.
    ///
    /// # Errors
    /// `Transient` where the plugin already has as many tasks as it may, `Permission` once it was stopped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.tasks().spawn(Box::pin(task))
    }

    /// Runs a function that blocks (a long computation, a C library) where it holds nobody up.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn); `Internal` where the function panicked.
    ///
    /// # Cancel safety
    /// A function that has begun goes on to its end; its result is lost.
    pub async fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R> {
        let (send, receive) = futures_util::future::abortable(std::future::pending::<()>());
        let slot = Arc::new(std::sync::Mutex::new(None));
        let result = slot.clone();
        let done = DoneOnDrop(receive);
        self.tasks().spawn_blocking(Box::new(move || {
            // Told in any case, so that a panic in `work` does not leave the caller waiting.
            let _done = done;
            let value = work();
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
        }))?;
        let _ = send.await;
        let value = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        value.ok_or_else(|| PluginError::internal("the blocking function panicked"))
    }

    /// The plugin's own durable triggers, and the runs that they start.
    pub fn triggers(&self) -> TriggerBook {
        TriggerBook::new(self.services.scope.clone(), self.services.triggers.clone())
    }

    /// Posts messages.
    pub fn chat(&self) -> Chat
    where
        P: Has<PostMessages>,
    {
        Chat::new(self.services.scope.clone(), self.services.chat.clone())
    }

    /// Asks the AI providers of the bundle.
    pub fn ai(&self) -> Ai
    where
        P: Has<AiAccess>,
    {
        Ai::new(self.services.scope.clone(), self.services.ai.clone())
    }

    /// Calls the tools of other plugins.
    pub fn tools(&self) -> Tools
    where
        P: Has<AiAccess>,
    {
        Tools::new(self.services.scope.clone(), self.services.tools.clone())
    }

    /// Looks at the server as an administrator does.
    pub fn admin(&self) -> Admin
    where
        P: Has<AdminAccess>,
    {
        Admin::new(self.services.scope.clone(), self.services.admin.clone())
    }

    /// HTTP to the outside.
    pub fn http(&self) -> HttpClient
    where
        P: Has<NetworkAccess>,
    {
        HttpClient::new(self.services.scope.clone(), self.services.http.clone())
    }

    /// Plain connections to the outside, over TCP and Unix sockets.
    pub fn sockets(&self) -> Sockets
    where
        P: Has<NetworkAccess>,
    {
        Sockets::new(self.services.scope.clone(), self.services.sockets.clone())
    }

    /// Files in the granted directories.
    pub fn files(&self) -> Files
    where
        P: Has<FileSystemRead>,
    {
        Files::new(self.services.scope.clone(), self.services.files.clone())
    }

    /// People and what they wrote.
    pub fn users(&self) -> Users
    where
        P: Has<UserDataAccess>,
    {
        Users::new(self.services.scope.clone(), self.services.users.clone())
    }

    fn tasks(&self) -> Tasks {
        Tasks { scope: self.services.scope.clone(), port: self.services.tasks.clone() }
    }
}

struct DoneOnDrop(futures_util::future::AbortHandle);

impl Drop for DoneOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
