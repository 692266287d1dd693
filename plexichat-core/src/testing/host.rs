//! Puts a host together for one plugin's tests: the real manager, guard, bus and pipeline over the store in memory. Knows
//! nothing of what the plugin does.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::TestResult;
use super::ai::{self, ScriptedAi};
use super::bench::{self, Bench};
use super::clock::TestClock;
use super::disk::TestDisk;
use super::fault::{Fault, Faults};
use super::http::RecordingHttp;
use super::running::{Parts, RunningPlugin};
use super::sockets::RecordingSockets;
use crate::ai::{AiError, AiRequest, AiStream};
use crate::capability::http::{HttpRequest, HttpResponse, HttpStream};
use crate::capability::sockets::{SocketAddress, SocketLink};
use crate::catalog::Catalog;
use crate::descriptor::{Descriptor, Entry, Registered};
use crate::error::Result as PluginResult;
use crate::message::Time;
use crate::permission::{Permission, PermissionSet};
use crate::problem::Problem;
use crate::settings::{IsolationLevel, PluginSettings, Settings};
use crate::store::memory::MemoryStore;
use crate::store::{PluginRecord, PluginStore};

/// A host being put together.
///
/// It grants what the plugin's descriptor asks for, and starts with its default configuration.
#[must_use = "nothing runs before `start`"]
pub struct TestHost {
    config: Value,
    granted: Option<PermissionSet>,
    settings: PluginSettings,
    faults: Faults,
    ai: ScriptedAi,
    http: RecordingHttp,
    sockets: Arc<RecordingSockets>,
    disk: Arc<TestDisk>,
    clock: Arc<TestClock>,
    store: Option<Arc<MemoryStore>>,
    others: Vec<&'static Descriptor>,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// A host with nothing set.
    pub fn new() -> Self {
        let clock = Arc::<TestClock>::default();
        Self {
            config: json!({}),
            granted: None,
            settings: PluginSettings::default(),
            faults: Faults::default(),
            ai: ScriptedAi::default(),
            http: RecordingHttp::default(),
            sockets: Arc::default(),
            disk: Arc::new(TestDisk::new(clock.clone())),
            clock,
            store: None,
            others: Vec::new(),
        }
    }

    /// Starts the clock at this moment instead of the present one.
    pub fn at(self, now: Time) -> Self {
        self.clock.put(now);
        self
    }

    /// What the plugin is configured with, over its defaults.
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Grants these permissions, instead of all that the plugin asks for.
    pub fn grant(mut self, permissions: &[Permission]) -> Self {
        self.granted = Some(PermissionSet::of(permissions));
        self
    }

    /// Changes what an operator can set about the plugin: where it runs, how long its calls may take.
    pub fn settings(mut self, change: impl FnOnce(&mut PluginSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Puts a fault into a method of the plugin: every call of it hangs, fails or panics.
    pub fn fault(mut self, method: &str, fault: Fault) -> Self {
        self.faults.add(method, fault);
        self
    }

    /// Answers what the plugin asks for over HTTP.
    pub fn http(mut self, script: impl Fn(&HttpRequest) -> PluginResult<HttpResponse> + Send + Sync + 'static) -> Self {
        self.http.answer(script);
        self
    }

    /// Answers what the plugin asks for over HTTP with `stream()`; without this the script of [`http`](Self::http) does.
    pub fn http_stream(
        mut self,
        script: impl Fn(&HttpRequest) -> PluginResult<HttpStream> + Send + Sync + 'static,
    ) -> Self {
        self.http.answer_streams(script);
        self
    }

    /// Answers what the plugin asks models: the model [`MODEL`](super::MODEL) is there, behind the real broker and every scanner
    /// that runs. [`RunningPlugin::asked`] has what it was asked.
    ///
    /// ```
    /// # use plexichat::testing::{TestHost, ai};
    /// let host = TestHost::new().ai(|request| Ok(ai::says(&format!("{} turns", request.turns.len()))));
    /// # drop(host);
    /// ```
    pub fn ai(mut self, script: impl Fn(&AiRequest) -> Result<AiStream, AiError> + Send + Sync + 'static) -> Self {
        self.ai.answer(script);
        self
    }

    /// Stands behind what the plugin connects to over plain sockets.
    pub fn sockets(
        mut self,
        script: impl Fn(&SocketAddress) -> PluginResult<Box<dyn SocketLink>> + Send + Sync + 'static,
    ) -> Self {
        self.sockets = RecordingSockets::scripted(script);
        self
    }

    /// Grants a directory, as `directories` of the plugin's settings would. It is in memory: [`file`](Self::file) fills it.
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        self.disk.grant(directory);
        self
    }

    /// Puts a file into a granted directory.
    pub fn file(self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.disk.write(path, bytes);
        self
    }

    /// Sees this clock, as another host may. Said before directories and files.
    pub fn clock(mut self, clock: Arc<TestClock>) -> Self {
        self.disk = Arc::new(TestDisk::new(clock.clone()));
        self.clock = clock;
        self
    }

    /// Runs on this store: what an earlier host left in it is still there.
    pub fn store(mut self, store: Arc<MemoryStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Runs another plugin beside it, such as one that it requires, with its default configuration and all that it asks for.
    pub fn beside<Q: Registered>(mut self) -> Self {
        self.others.push(Q::DESCRIPTOR);
        self
    }

    /// Starts the plugin.
    ///
    /// # Errors
    /// Where it does not run: the manager's reason.
    ///
    /// # Cancel safety
    /// A dropped call stops what it started.
    pub async fn start<P: Registered>(self) -> TestResult<RunningPlugin<P>> {
        if let Some(unknown) = self.faults.unknown(P::DESCRIPTOR) {
            return Err(unknown.into());
        }
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::with_clock(self.clock.clone())));
        let has_ai = self.ai.is_there();
        let bench = Bench::new(self.clock.clone(), self.faults, self.ai);
        // One small leak for each started test: descriptors live as long as the program.
        let entry = Entry { start: bench::start::<P>, ..P::DESCRIPTOR.entry };
        let subject: &'static Descriptor = Box::leak(Box::new(Descriptor { entry, ..*P::DESCRIPTOR }));

        let mut settings = Settings::default();
        let mut set = |descriptor: &Descriptor, change: PluginSettings| {
            let grant = change.grant.or(Some(descriptor.permission_set()));
            settings.plugins.insert(descriptor.plugin_name(), PluginSettings { grant, ..change });
        };
        for other in &self.others {
            set(other, PluginSettings::default());
            install(&store, other, json!({})).await?;
        }
        set(&bench::OBSERVER, PluginSettings { isolation: IsolationLevel::Inline, ..PluginSettings::default() });
        install(&store, &bench::OBSERVER, json!({})).await?;
        set(subject, PluginSettings { grant: self.granted, ..self.settings });
        install(&store, subject, self.config).await?;

        let scripted = has_ai.then_some(&ai::PROVIDER);
        if let Some(scripted) = scripted {
            set(scripted, PluginSettings::default());
            install(&store, scripted, json!({})).await?;
        }

        let plugins: Vec<_> = self.others.into_iter().chain(scripted).chain([subject, &bench::OBSERVER]).collect();
        let catalog = Catalog::of(&plugins).map_err(|problems| listed(&problems))?;
        let http = Arc::new(self.http);
        let parts = Parts { catalog, settings, store, bench, http, sockets: self.sockets, disk: self.disk };
        RunningPlugin::start(parts, subject.plugin_name()).await
    }
}

/// What an operator's install would have left in the store; a store that was used before keeps what it has.
async fn install(store: &MemoryStore, descriptor: &Descriptor, config: Value) -> TestResult {
    let name = descriptor.plugin_name();
    if store.plugins().await?.iter().any(|record| record.name == name) {
        return Ok(());
    }
    let record = PluginRecord { enabled: true, config, ..PluginRecord::new(name, descriptor.package.version) };
    Ok(store.save_plugin(record).await?)
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
