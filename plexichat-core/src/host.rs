//! Puts the running parts together: pipeline, bus, plugin manager, dispatcher. Servers and the test kit give it their ports.
//! Knows no engine behind them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::assistant::{self, Approvals, Assistants, Pictures, Questions};
use crate::automation::{self, AutomationStore, Automations, Tap};
use crate::broker::{AiLedger, Broker, Quotas};
use crate::capability::admin::AdminPort;
use crate::capability::clock::Clock;
use crate::capability::files::FilesPort;
use crate::capability::http::HttpPort;
use crate::capability::sockets::SocketPort;
use crate::capability::storage::StoragePort;
use crate::capability::users::UserPort;
use crate::catalog::Catalog;
use crate::dispatch::Dispatcher;
use crate::event::bus::Bus;
use crate::guard::PluginHandle;
use crate::manager::snapshot::Snapshot;
use crate::manager::{ManagerParts, PluginManager};
use crate::pipeline::chat::PluginRoad;
use crate::pipeline::{Fanout, Limits, MessageStore, Outbox, Parts, Pipeline};
use crate::routes::RouteTable;
use crate::settings::Settings;
use crate::store::PluginStore;
use crate::toolbox::Toolbox;
use crate::translate::Translator;

/// What a host runs on.
pub struct Ports {
    /// Where the plugin manager keeps what it decided.
    pub plugins: Arc<dyn PluginStore>,
    /// Where messages are kept.
    pub messages: Arc<dyn MessageStore>,
    /// Plugins' own keys and values.
    pub storage: Arc<dyn StoragePort>,
    /// People.
    pub users: Arc<dyn UserPort>,
    /// The way out over HTTP.
    pub http: Arc<dyn HttpPort>,
    /// Plain connections to the outside.
    pub sockets: Arc<dyn SocketPort>,
    /// Files in the granted directories.
    pub files: Arc<dyn FilesPort>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What models cost, and what each may.
    pub ai: Arc<dyn AiLedger>,
    /// What people were asked before tools were called for them.
    pub approvals: Arc<dyn Approvals>,
    /// The questions to assistants that are not answered yet.
    pub questions: Arc<dyn Questions>,
    /// The content of files, for models that see pictures.
    pub pictures: Arc<dyn Pictures>,
    /// Triggers of workflows, and their runs.
    pub automations: Arc<dyn AutomationStore>,
    /// What administrators see of the server.
    pub admin: Arc<dyn AdminPort>,
    /// This node's name, the same at every start: whose runs are whose where several nodes share a store.
    pub node: String,
    /// Who listens.
    pub fanout: Arc<dyn Fanout>,
    /// From committed messages to plugins.
    pub outbox: Arc<dyn Outbox>,
}

/// A host's running parts.
#[derive(Clone)]
pub struct Host {
    /// The one road of messages.
    pub pipeline: Arc<Pipeline>,
    /// The plugins.
    pub manager: Arc<PluginManager>,
    /// Tells plugins of stored messages; the outbox calls it.
    pub dispatcher: Arc<Dispatcher>,
    /// Tells plugins of everything else.
    pub bus: Bus,
    /// Asks AI providers.
    pub broker: Arc<Broker>,
    /// Answers in rooms.
    pub assistants: Arc<Assistants>,
    /// Runs workflows.
    pub automations: Arc<Automations>,
    /// The routes of linked plugins.
    pub routes: Arc<RouteTable>,
    /// Says plugins' texts in the language that is read.
    pub texts: Arc<Translator>,
    plugins: Arc<ArcSwap<Snapshot>>,
}

impl Host {
    /// Puts the parts together. Must be called on the host's runtime; no plugin runs before
    /// [`PluginManager::start_all`].
    pub fn new(catalog: Catalog, settings: Settings, limits: Limits, ports: Ports) -> Self {
        let plugins = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let routes = Arc::new(RouteTable::new(catalog.plugins()));
        let texts = Arc::new(Translator::new(catalog.plugins()));
        let bus = Bus::new(plugins.clone());
        let pipeline = Arc::new(Pipeline::new(Parts {
            plugins: plugins.clone(),
            store: ports.messages.clone(),
            fanout: ports.fanout.clone(),
            outbox: ports.outbox,
            announcer: Arc::new(bus.clone()),
            limits,
        }));
        let broker = Arc::new(Broker::new(
            plugins.clone(),
            pipeline.clone(),
            Arc::new(bus.clone()),
            ports.ai,
            ports.clock.clone(),
        ));
        broker.set_quotas(Quotas::from(&settings.server.ai));
        let default_assistant = settings.server.ai.assistant.clone();
        let assistants = Arc::new(Assistants::new(assistant::Parts {
            plugins: plugins.clone(),
            pipeline: pipeline.clone(),
            broker: broker.clone(),
            store: ports.messages,
            approvals: ports.approvals,
            questions: ports.questions,
            pictures: ports.pictures,
            fanout: ports.fanout,
            announcer: Arc::new(bus.clone()),
            clock: ports.clock.clone(),
        }));
        assistants.set_default(Some(default_assistant));
        let automations = Arc::new(Automations::new(automation::Parts {
            plugins: plugins.clone(),
            linked: catalog.plugins().to_vec(),
            store: ports.automations,
            announcer: Arc::new(bus.clone()),
            clock: ports.clock.clone(),
            node: ports.node,
        }));
        let tap: Arc<dyn Tap> = automations.clone();
        bus.tap(Arc::downgrade(&tap));
        let manager = PluginManager::new(ManagerParts {
            catalog,
            settings: ArcSwap::from_pointee(settings),
            plugins: plugins.clone(),
            bus: bus.clone(),
            store: ports.plugins,
            storage: ports.storage,
            users: ports.users,
            http: ports.http,
            sockets: ports.sockets,
            files: ports.files,
            chat: Arc::new(PluginRoad::new(pipeline.clone())),
            ai: broker.clone(),
            clock: ports.clock,
            triggers: automations.clone(),
            tools: Arc::new(Toolbox::new(plugins.clone())),
            admin: ports.admin,
        });
        let dispatcher = Dispatcher::new(plugins.clone(), bus.clone(), pipeline.clone());
        let dispatcher = Arc::new(dispatcher.with_assistants(assistants.clone()).with_automations(automations.clone()));
        Self { pipeline, manager, dispatcher, bus, broker, assistants, automations, routes, texts, plugins }
    }

    /// A plugin, if it runs now.
    pub fn running(&self, name: &str) -> Option<Arc<PluginHandle>> {
        self.plugins.load().plugins().find(|plugin| plugin.name().as_str() == name).cloned()
    }
}
