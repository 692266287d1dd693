//! The bus: hands each event to every running plugin that asked for it. Plugins with their own thread have a mailbox;
//! inline plugins are called in place, one after the other. Knows no store and no pipeline.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use super::announced::Announced;
use super::local::{Mail, Mailbox, Refused, call_handlers};
use super::{CAUSE_DEPTH_MAX, Event};
use crate::automation::Tap;
use crate::capability::events::EventPort;
use crate::cause;
use crate::error::{PluginError, Result as PluginResult};
use crate::id::PluginName;
use crate::incident::Fault;
use crate::manager::snapshot::{Snapshot, Subscriber};
use crate::pipeline::Announcer;

/// The events that a plugin may miss when too many wait: they are not stored anywhere either.
const SHED: &[&str] = &["user_typing"];

/// How many events wait for whoever looks on; one who is slower misses the oldest.
const LOOKED_ON: usize = 1024;

/// Hands events to plugins.
#[derive(Clone)]
pub struct Bus {
    plugins: Arc<ArcSwap<Snapshot>>,
    host: Handle,
    announced: Announced,
    onlookers: Arc<Onlookers>,
    tap: Tapped,
}

/// What starts workflows, once there is something. Not kept alive: it announces through the bus.
#[derive(Clone, Default)]
struct Tapped(Arc<OnceLock<Weak<dyn Tap>>>);

impl Tapped {
    fn get(&self) -> Option<Arc<dyn Tap>> {
        self.0.get()?.upgrade()
    }

    fn waits_for(&self, event: &str) -> bool {
        self.get().is_some_and(|tap| tap.waits_for(event))
    }
}

/// Those who look on: operators, not plugins.
struct Onlookers {
    events: broadcast::Sender<Arc<Event>>,
    /// So that events cost nothing more while there are none.
    count: AtomicUsize,
}

impl Onlookers {
    fn are_there(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    fn tell(&self, event: &Arc<Event>) {
        if self.are_there() {
            // The last one may just have gone.
            let _ = self.events.send(event.clone());
        }
    }
}

/// Sees every event from when it was made on, without holding any of them up.
pub struct Onlooker {
    events: broadcast::Receiver<Arc<Event>>,
    onlookers: Arc<Onlookers>,
}

/// What an onlooker sees.
#[derive(Clone)]
pub enum Seen {
    /// An event.
    Event(Arc<Event>),
    /// So many went by while it was too slow.
    Missed(u64),
}

impl Onlooker {
    /// The next event; nothing once the bus is gone.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.events.recv().await {
            Ok(event) => Some(Seen::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Seen::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.onlookers.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why an event went nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It is one too many in a chain of events that cause each other.
    #[error("the chain of events that caused this one is longer than {CAUSE_DEPTH_MAX}: it is cut here")]
    TooDeep,
}

/// An event that every mailbox has taken. [`wait`](Self::wait) waits until every handler has answered, too.
#[derive(Debug, Default)]
#[must_use = "drop it where nobody waits for the handlers"]
pub struct Completion(Vec<(Arc<Mailbox>, u64)>);

impl Completion {
    /// Waits until every handler has answered, failed or was stopped.
    ///
    /// # Cancel safety
    /// Cancel safe: the handlers go on.
    pub async fn wait(self) {
        for (mailbox, number) in self.0 {
            mailbox.answered(number).await;
        }
    }
}

impl Bus {
    /// A bus over what runs now. Must be called on the host's runtime.
    pub fn new(plugins: Arc<ArcSwap<Snapshot>>) -> Self {
        let (host, to) = (Handle::current(), plugins.clone());
        let onlookers = Arc::new(Onlookers { events: broadcast::Sender::new(LOOKED_ON), count: AtomicUsize::new(0) });
        let told = onlookers.clone();
        let tap = Tapped::default();
        let tapped = tap.clone();
        let announced = Announced::new(&host, move |event| {
            let (plugins, onlookers, tap) = (to.clone(), told.clone(), tapped.clone());
            async move {
                // A chain that is too long has been told of.
                let _ = publish(&plugins, &onlookers, &tap, Arc::new(event)).await;
            }
        });
        Self { plugins, host, announced, onlookers, tap }
    }

    /// From now on events start workflows, too. Called once.
    pub(crate) fn tap(&self, tap: Weak<dyn Tap>) {
        let _ = self.tap.0.set(tap);
    }

    /// Looks on from now on.
    pub fn look_on(&self) -> Onlooker {
        let events = self.onlookers.events.subscribe();
        self.onlookers.count.fetch_add(1, Ordering::Relaxed);
        Onlooker { events, onlookers: self.onlookers.clone() }
    }

    /// The plugins that run and listen to events of this name.
    pub fn heard_by(&self, name: &str) -> Vec<PluginName> {
        let plugins = self.plugins.load();
        let mut names: Vec<PluginName> =
            plugins.subscribers(name).iter().map(|subscriber| subscriber.plugin.name().clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether somebody would hear an event of this name.
    pub fn is_heard(&self, name: &str) -> bool {
        self.onlookers.are_there() || !self.plugins.load().subscribers(name).is_empty() || self.tap.waits_for(name)
    }

    /// Hands an event to everyone who subscribed. Returns when every mailbox has taken it, every inline handler has answered, and
    /// the runs of workflows that it starts are stored: while a mailbox is full or the store is away it waits.
    ///
    /// # Errors
    /// [`PublishError::TooDeep`]: the event went to nobody, and the plugin that emitted it is told of in the log.
    ///
    /// # Cancel safety
    /// A dropped call may have reached some of the subscribers.
    pub async fn publish(&self, event: impl Into<Arc<Event>>) -> Result<Completion, PublishError> {
        publish(&self.plugins, &self.onlookers, &self.tap, event.into()).await
    }

    /// Whether an inline plugin handles the event, and this is another plugin's thread.
    fn calls_elsewhere(&self, event: &Event) -> bool {
        let plugins = self.plugins.load();
        let is_inline = |subscriber: &Subscriber| subscriber.mailbox.is_none();
        Handle::try_current().map_or(true, |here| here.id() != self.host.id())
            && plugins.subscribers(&event.name).iter().any(is_inline)
    }
}

async fn publish(
    plugins: &ArcSwap<Snapshot>,
    onlookers: &Onlookers,
    tap: &Tapped,
    event: Arc<Event>,
) -> Result<Completion, PublishError> {
    check_depth(plugins, &event)?;
    onlookers.tell(&event);
    // Not a guard of the swap, which may not be held across a wait.
    let plugins = plugins.load_full();
    let subscribers = plugins.subscribers(&event.name);
    let mut completion = Completion::default();
    // Measured once, and only where it is to wait somewhere.
    let mut size = None;
    for subscriber in subscribers {
        let Some(mailbox) = &subscriber.mailbox else { continue };
        let size = *size.get_or_insert_with(|| event.size());
        let mail = Mail { event: event.clone(), size, handlers: subscriber.handlers.clone() };
        let number = match mailbox.try_push(mail) {
            Ok(number) => Some(number),
            Err(Refused::Closed) => None,
            Err(Refused::Full(_)) if SHED.contains(&&*event.name) => {
                subscriber.plugin.guard().count_shed();
                None
            }
            Err(Refused::Full(mail)) => mailbox.push(mail).await,
        };
        completion.0.extend(number.map(|number| (mailbox.clone(), number)));
    }
    for subscriber in subscribers.iter().filter(|subscriber| subscriber.mailbox.is_none()) {
        call_handlers(&subscriber.plugin, &subscriber.handlers, &event).await;
    }
    if let Some(tap) = tap.get().filter(|tap| tap.waits_for(&event.name)) {
        tap.hear(&event).await;
    }
    Ok(completion)
}

fn check_depth(plugins: &ArcSwap<Snapshot>, event: &Event) -> Result<(), PublishError> {
    if event.cause_depth <= CAUSE_DEPTH_MAX {
        return Ok(());
    }
    let plugins = plugins.load();
    match event.actor.id.parse().ok().and_then(|name: PluginName| plugins.plugin(&name).cloned()) {
        Some(plugin) => {
            let message = format!("it continued a chain of events at depth {}: cut", event.cause_depth);
            plugin.guard().report(Fault::CauseTooDeep, "emit", &message, 0);
        }
        None => tracing::warn!(event = %event.name, id = %event.id, "a chain of events is too long: cut"),
    }
    Err(PublishError::TooDeep)
}

impl Announcer for Bus {
    fn announce(&self, event: Event) {
        if self.is_heard(&event.name) {
            self.announced.push(event);
        }
    }
}

/// The bus as plugins see it: what they emit while they answer an event names it as the cause.
#[async_trait]
impl EventPort for Bus {
    async fn emit(&self, _plugin: &PluginName, mut event: Event) -> PluginResult<()> {
        if let Some(cause) = cause::current() {
            event.cause_id = Some(cause.event_id());
            event.cause_depth = cause.next_depth();
        }
        if let Some(id) = cause::next_event_id() {
            event.id = id;
        }
        let published = if self.calls_elsewhere(&event) {
            // Not on the emitter's thread: inline plugins run on the host's, whoever emits.
            let (bus, event) = (self.clone(), Arc::new(event));
            let publishing = self.host.spawn(async move { bus.publish(event).await.map(drop) });
            publishing.await.map_err(|_| PluginError::transient("the server is stopping"))?
        } else {
            self.publish(event).await.map(drop)
        };
        published.map_err(|error| PluginError::transient(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
