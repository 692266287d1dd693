//! The plugin manager: which plugins run, and with which configuration. Decides by [`lifecycle`](crate::lifecycle), acts by
//! its driver. Knows no network and no store behind its ports.

mod canaries;
mod configure;
mod driver;
mod incidents;
mod info;
mod instance;
pub mod snapshot;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::capability::admin::AdminPort;
use crate::capability::ai::AiPort;
use crate::capability::chat::ChatPort;
use crate::capability::clock::Clock;
use crate::capability::files::FilesPort;
use crate::capability::http::HttpPort;
use crate::capability::sockets::SocketPort;
use crate::capability::storage::StoragePort;
use crate::capability::tools::ToolPort;
use crate::capability::triggers::TriggerPort;
use crate::capability::users::UserPort;
use crate::catalog::Catalog;
use crate::descriptor::Descriptor;
use crate::event::bus::Bus;
use crate::id::PluginName;
use crate::incident::{Incidents, Vitals};
use crate::lifecycle::{Command, Facts, Lifecycle, Need, State};
use crate::manifest::Manifest;
use crate::message::Actor;
use crate::permission::PermissionSet;
use crate::pipeline::Announcer;
use crate::plugin::Health;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::standing::Standing;
use crate::store::{PluginData, PluginRecord, PluginStore};
use crate::watchdog::Patience;

pub use self::canaries::Missed;
pub use self::info::{BreakerState, Grants, ManagerError, PluginConfig, PluginInfo};
use self::instance::Live;
use self::snapshot::Snapshot;

/// What a manager is built from.
pub struct ManagerParts {
    /// The plugins in this binary.
    pub catalog: Catalog,
    /// What the bundle and the operator set.
    pub settings: ArcSwap<Settings>,
    /// Where the manager puts what runs.
    pub plugins: Arc<ArcSwap<Snapshot>>,
    /// What plugins emit goes here, and what becomes of plugins is told here.
    pub bus: Bus,
    /// Where it keeps what was decided.
    pub store: Arc<dyn PluginStore>,
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
    /// The road of what plugins post.
    pub chat: Arc<dyn ChatPort>,
    /// The way to the bundle's AI providers.
    pub ai: Arc<dyn AiPort>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What makes triggers.
    pub triggers: Arc<dyn TriggerPort>,
    /// The way to the tools of other plugins.
    pub tools: Arc<dyn ToolPort>,
    /// What administrators see.
    pub admin: Arc<dyn AdminPort>,
}

/// Manages the plugins of one server.
pub struct PluginManager {
    parts: ManagerParts,
    linked: BTreeMap<PluginName, &'static Descriptor>,
    incidents: Incidents,
    patience: Patience,
    standing: Arc<Standing>,
    /// Told once the plugins that are to run have been started.
    started: Arc<Notify>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    board: Mutex<Board>,
}

/// What is known of all plugins. Locked for moments only, never across a wait.
#[derive(Default)]
struct Board {
    lifecycle: Lifecycle,
    records: BTreeMap<PluginName, PluginRecord>,
    live: BTreeMap<PluginName, Arc<Live>>,
    health: BTreeMap<PluginName, Health>,
    vitals: BTreeMap<PluginName, Arc<Vitals>>,
}

impl PluginManager {
    /// A manager. Must be called on the host's runtime; no plugin runs before [`start_all`](Self::start_all).
    pub fn new(parts: ManagerParts) -> Arc<Self> {
        Self::with_patience(parts, Patience::default())
    }

    /// A manager that waits less long for plugins that hold their thread; for tests.
    pub(crate) fn with_patience(parts: ManagerParts, patience: Patience) -> Arc<Self> {
        let (incidents, received) = Incidents::channel();
        let linked: BTreeMap<PluginName, &'static Descriptor> =
            parts.catalog.plugins().iter().map(|plugin| (plugin.plugin_name(), *plugin)).collect();
        let mut board = Board::default();
        for (name, descriptor) in &linked {
            let facts = facts(descriptor, &linked, granted(descriptor, &parts.settings.load(), None));
            board.lifecycle.add(name.clone(), State::Linked, false, facts);
        }
        let (bus, clock, started) = (parts.bus.clone(), parts.clock.clone(), Arc::new(Notify::new()));
        let standing = Arc::new(Standing::new(clock.clone(), move |event| bus.announce(event)));
        let manager = Arc::new(Self {
            parts,
            linked,
            incidents,
            patience,
            standing,
            started: started.clone(),
            changing: tokio::sync::Mutex::default(),
            board: Mutex::new(board),
        });
        incidents::listen(&manager, received);
        canaries::watch(&manager, started, clock);
        manager
    }

    /// The settings that count now.
    fn settings(&self) -> Arc<Settings> {
        self.parts.settings.load_full()
    }

    /// What runs now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.parts.plugins.load_full()
    }

    /// All plugins, linked or installed, by name.
    pub fn list(&self) -> Vec<PluginInfo> {
        let board = self.board();
        board.lifecycle.states().map(|(name, state)| self.info(&board, name, state)).collect()
    }

    /// One plugin.
    pub fn get(&self, name: &PluginName) -> Option<PluginInfo> {
        let board = self.board();
        board.lifecycle.state(name).map(|state| self.info(&board, name, state))
    }

    /// Makes a linked plugin known as installed, with what it is granted. It does not run yet.
    ///
    /// # Errors
    /// [`ManagerError::NotLinked`] with the way to link it, [`ManagerError::Version`] where another version is linked,
    /// [`ManagerError::Refused`] where it is installed already, [`ManagerError::Store`].
    ///
    /// # Cancel safety
    /// A dropped call may or may not have installed it.
    pub async fn install(
        &self,
        name: &PluginName,
        version: Option<&str>,
        grants: Grants,
    ) -> Result<PluginInfo, ManagerError> {
        let _changing = self.changing.lock().await;
        let descriptor = self.linked.get(name).ok_or_else(|| ManagerError::NotLinked(name.clone()))?;
        let linked = descriptor.package.version;
        if let Some(wanted) = version
            && !fits(wanted, linked)
        {
            let (linked, wanted) = (linked.to_owned(), wanted.to_owned());
            return Err(ManagerError::Version { name: name.clone(), linked, wanted });
        }
        let given = match grants {
            Grants::Settings => None,
            Grants::These(permissions) => Some(permissions),
        };
        let record = PluginRecord { granted: given, ..PluginRecord::new(name.clone(), linked) };
        let granted = granted(descriptor, &self.settings(), Some(&record));
        let facts = facts(descriptor, &self.linked, granted);
        let before = self.board().records.insert(name.clone(), record);
        let done = self.perform(Command::Install(name.clone(), facts), &Actor::system()).await;
        if done.is_err() {
            let mut board = self.board();
            match before {
                Some(record) => board.records.insert(name.clone(), record),
                None => board.records.remove(name),
            };
        }
        done?;
        self.info_of(name)
    }

    /// Stops a plugin and forgets it; with its keys and values where its data is to go too.
    ///
    /// # Errors
    /// [`ManagerError::Refused`] where others require it or it may not be disabled, [`ManagerError::Pinned`] where the
    /// operator's settings enable it, [`ManagerError::Store`].
    ///
    /// # Cancel safety
    /// A dropped call may have stopped the plugin and not removed what is kept of it.
    pub async fn uninstall(&self, name: &PluginName, data: PluginData, by: &Actor) -> Result<(), ManagerError> {
        let _changing = self.changing.lock().await;
        self.check_not_pinned(name, false)?;
        // Stopped first and for good, so that nothing is written behind what is removed.
        self.perform(Command::Disable(name.clone()), by).await?;
        self.perform_with(Command::Uninstall(name.clone()), by, data).await
    }

    /// Lets a plugin run, now and after each start.
    ///
    /// # Errors
    /// [`ManagerError::NotStarted`] where it cannot run yet: it runs as soon as what it lacks is there.
    /// [`ManagerError::Refused`], [`ManagerError::Pinned`], [`ManagerError::Store`]: nothing was changed.
    ///
    /// # Cancel safety
    /// A dropped call may leave the plugin half started; enabling it again is safe.
    pub async fn enable(&self, name: &PluginName, by: &Actor) -> Result<PluginInfo, ManagerError> {
        let _changing = self.changing.lock().await;
        self.check_not_pinned(name, true)?;
        self.perform(Command::Enable(name.clone()), by).await?;
        self.started(name)
    }

    /// Stops a plugin, now and after each start. When this returns none of its code runs any more, unless it blocks its
    /// thread. Calls that run may end, for as long as a handler of events may take; then they are dropped, and what its
    /// handlers have not answered counts as answered.
    ///
    /// # Errors
    /// [`ManagerError::Refused`] where others require it or it may not be disabled, [`ManagerError::Pinned`],
    /// [`ManagerError::Store`]: nothing was changed.
    ///
    /// # Cancel safety
    /// A dropped call may leave the plugin half stopped; disabling it again is safe.
    pub async fn disable(&self, name: &PluginName, by: &Actor) -> Result<PluginInfo, ManagerError> {
        let _changing = self.changing.lock().await;
        self.check_not_pinned(name, false)?;
        self.perform(Command::Disable(name.clone()), by).await?;
        self.info_of(name)
    }

    /// Lets a quarantined plugin try again.
    ///
    /// # Errors
    /// As [`enable`](Self::enable).
    ///
    /// # Cancel safety
    /// As [`enable`](Self::enable).
    pub async fn release(&self, name: &PluginName, by: &Actor) -> Result<PluginInfo, ManagerError> {
        let _changing = self.changing.lock().await;
        self.perform(Command::Release(name.clone()), by).await?;
        self.started(name)
    }

    fn started(&self, name: &PluginName) -> Result<PluginInfo, ManagerError> {
        let info = self.info_of(name)?;
        match info.state.cause() {
            Some(cause) => Err(ManagerError::NotStarted { name: name.clone(), cause }),
            None => Ok(info),
        }
    }

    fn info_of(&self, name: &PluginName) -> Result<PluginInfo, ManagerError> {
        self.get(name).ok_or_else(|| ManagerError::NotLinked(name.clone()))
    }

    fn info(&self, board: &Board, name: &PluginName, state: &State) -> PluginInfo {
        let descriptor = self.linked.get(name);
        let record = board.records.get(name);
        let granted = descriptor.map(|plugin| granted(plugin, &self.settings(), record)).unwrap_or_default();
        let version = descriptor.map(|plugin| plugin.package.version.to_owned());
        let live = board.live.get(name);
        let vitals = board.vitals.get(name);
        PluginInfo {
            name: name.clone(),
            version: version.or_else(|| record.map(|record| record.version.clone())).unwrap_or_default(),
            description: descriptor.map_or("", |plugin| plugin.package.description).to_owned(),
            state: state.clone(),
            breaker: live.map(|live| live.breaker()),
            // Whoever runs is well until it says otherwise.
            health: live.map(|_| board.health.get(name).cloned().unwrap_or(Health::Healthy)),
            declared: descriptor.map(|plugin| plugin.permission_set().iter().collect()).unwrap_or_default(),
            granted: granted.iter().collect(),
            isolation: self.settings().plugin(name).isolation,
            counters: match (live, vitals) {
                (Some(live), _) => live.counters(),
                (None, Some(vitals)) => vitals.counters(),
                (None, None) => Default::default(),
            },
            last_error: vitals.and_then(|vitals| vitals.last_error()),
            manifest: descriptor.map(|plugin| Manifest::of(plugin)),
        }
    }

    /// What the operator's file or environment decides the API may not.
    fn check_not_pinned(&self, name: &PluginName, wanted: bool) -> Result<(), ManagerError> {
        let settings = &self.settings();
        let pointer = format!("/plugins/{name}/enabled");
        match settings.pinned(&pointer) {
            Some(origin) if settings.plugin(name).enabled != Some(wanted) => {
                let message = format!("is set in {origin} and cannot be changed here");
                Err(ManagerError::Pinned(vec![Problem::new(pointer, message).origin(origin.to_string())]))
            }
            _ => Ok(()),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a plugin asks for and has: the settings decide, an install may narrow them, or decide where they say nothing.
fn granted(plugin: &Descriptor, settings: &Settings, record: Option<&PluginRecord>) -> PermissionSet {
    let at_install = record.and_then(|record| record.granted.as_ref());
    let at_install = at_install.map(|permissions| permissions.iter().copied().collect::<PermissionSet>());
    let granted = match (settings.plugin(&plugin.plugin_name()).grant, at_install) {
        (Some(settings), Some(at_install)) => settings.intersection(at_install),
        (Some(granted), None) | (None, Some(granted)) => granted,
        (None, None) => PermissionSet::EMPTY,
    };
    plugin.permission_set().intersection(granted)
}

fn facts(plugin: &Descriptor, linked: &BTreeMap<PluginName, &'static Descriptor>, granted: PermissionSet) -> Facts {
    let need = |name: &'static str, version: &'static str| {
        let name = PluginName::linked(name);
        let there = linked.get(&name).map(|plugin| plugin.package.version);
        let unfit = there
            .filter(|there| !fits(version, there))
            .map(|there| format!("is linked in version {there}, and {version} is wanted"));
        Need { name, unfit }
    };
    Facts {
        linked: true,
        needs: plugin.requires.iter().map(|requirement| need(requirement.name, requirement.version)).collect(),
        missing: plugin.permission_set().difference(granted).iter().collect(),
        required: plugin.hooks.iter().any(|spec| spec.policy.required),
    }
}

fn fits(wanted: &str, there: &str) -> bool {
    match (semver::VersionReq::parse(wanted), semver::Version::parse(there)) {
        (Ok(wanted), Ok(there)) => wanted.matches(&there),
        _ => wanted == there,
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
