//! What belongs to one test: its clock, the faults it asked for, the events that were seen. A descriptor holds functions
//! and no state, so a starting instance finds its test by the clock that it is given.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::ai::ScriptedAi;
use super::clock::TestClock;
use super::fault::{Faults, Faulty};
use crate::command::{CommandCall, CommandReply};
use crate::context::Services;
use crate::descriptor::{Descriptor, Entry, EventSpec, Instance, Package, Registered, StartError};
use crate::error::{PluginError, Result};
use crate::event::Event;
use crate::permission::Permission;
use crate::plugin::Health;
use crate::plugin::security::Security;

/// One test's own things.
pub(super) struct Bench {
    pub(super) clock: Arc<TestClock>,
    pub(super) faults: Faults,
    pub(super) ai: ScriptedAi,
    seen: Mutex<Vec<Event>>,
    running: Mutex<Option<Weak<dyn Instance>>>,
}

static BENCHES: Mutex<Vec<Weak<Bench>>> = Mutex::new(Vec::new());

impl Bench {
    pub(super) fn new(clock: Arc<TestClock>, faults: Faults, ai: ScriptedAi) -> Arc<Self> {
        let bench = Arc::new(Self { clock, faults, ai, seen: Mutex::default(), running: Mutex::default() });
        let mut benches = BENCHES.lock().unwrap_or_else(PoisonError::into_inner);
        benches.retain(|bench| bench.strong_count() > 0);
        benches.push(Arc::downgrade(&bench));
        bench
    }

    pub(super) fn seen(&self) -> Vec<Event> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The instance that started last, while it runs.
    pub(super) fn running(&self) -> Option<Arc<dyn Instance>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.upgrade()
    }

    pub(super) fn of(services: &Services) -> Result<Arc<Self>> {
        let clock = Arc::as_ptr(&services.clock).cast::<()>();
        let benches = BENCHES.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            benches.iter().filter_map(Weak::upgrade).find(|bench| Arc::as_ptr(&bench.clock).cast::<()>() == clock);
        found.ok_or_else(|| PluginError::internal("the test that started this plugin is over"))
    }
}

/// Starts an instance with the faults of its test built in.
pub(super) fn start<P: Registered>(
    services: Services,
    config: Value,
) -> BoxFuture<'static, Result<Arc<dyn Instance>, StartError>> {
    Box::pin(async move {
        let bench = Bench::of(&services)?;
        bench.faults.strike_plugin("initialize").await?;
        let instance = (P::DESCRIPTOR.entry.start)(services, config).await?;
        *bench.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(&instance));
        if bench.faults.is_empty() {
            return Ok(instance);
        }
        Ok(Arc::new(Faulty { instance, descriptor: P::DESCRIPTOR, faults: bench.faults.clone() }) as Arc<dyn Instance>)
    })
}

/// A plugin that sees every event, so that a test can ask for what happened. It runs beside the one under test.
pub(super) static OBSERVER: Descriptor = Descriptor {
    name: "test-observer",
    package: Package {
        name: "plexichat-test-observer",
        version: env!("CARGO_PKG_VERSION"),
        description: "Sees every event of a test",
        authors: env!("CARGO_PKG_AUTHORS"),
        license: "MIT OR Apache-2.0",
        repository: env!("CARGO_PKG_REPOSITORY"),
        rust_version: env!("CARGO_PKG_RUST_VERSION"),
    },
    entry_point: "plexichat::testing::Observer",
    category: "testing",
    tags: &[],
    core: "*",
    provides: &[],
    permissions: &[Permission::UserDataAccess],
    requires: &[],
    hooks: &[],
    events: &[EventSpec { method: "see", patterns: &["*"], own: true }],
    commands: &[],
    tools: &[],
    emits: &[],
    absolute_routes: &[],
    assets: &[],
    locales: &[],
    entry: Entry {
        config_schema: || json!({"type": "object", "additionalProperties": false}),
        default_config: || json!({}),
        check_config: |_| Vec::new(),
        routes: Vec::new,
        route_error: |_| None,
        gui: Vec::new,
        triggers: Vec::new,
        start: |services, _| {
            Box::pin(async move { Ok(Arc::new(Observer(Bench::of(&services)?)) as Arc<dyn Instance>) })
        },
    },
};

struct Observer(Arc<Bench>);

impl Instance for Observer {
    fn event<'a>(&'a self, _: usize, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn command(&self, _: usize, _: CommandCall) -> BoxFuture<'_, Result<CommandReply>> {
        Box::pin(std::future::ready(Ok(CommandReply::Nothing)))
    }

    fn security(&self) -> Option<&dyn Security> {
        None
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(std::future::ready(Health::Healthy))
    }

    fn cleanup(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
