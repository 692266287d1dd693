//! A WebSocket of a plugin: what speaks on it runs where the plugin does, and the host hands messages to and fro through
//! bounded channels. Knows no listener.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::{CallError, Guard, PluginHandle};
use crate::error::{ErrorKind, PluginError, Result as PluginResult};
use crate::incident::Fault;
use crate::isolation::Contained;
use crate::plugin::interface::{RouteCall, Socket, SocketMessage, SocketReceive, SocketSend, SocketTask};

/// How many messages may wait each way. Then whoever sends them waits.
const WAITING_MAX: usize = 16;

/// How long a handler may go on once the other side is gone.
const GRACE: Duration = Duration::from_secs(5);

/// How the call is named in the log.
const WHAT: &str = "socket";

/// A call for a WebSocket that the plugin accepted.
pub struct OpenSocket {
    guard: Arc<Guard>,
    task: SocketTask,
    place: OwnedSemaphorePermit,
}

impl fmt::Debug for OpenSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OpenSocket({})", self.guard.plugin())
    }
}

/// Where the host puts what the other side says. Dropping it tells the plugin that the other side is gone.
#[derive(Debug)]
pub struct SocketInbox(mpsc::Sender<SocketMessage>);

/// Where the host takes what the plugin says. Once it is dropped, the plugin's handler is, a little later.
#[derive(Debug)]
pub struct SocketOutbox {
    from_plugin: mpsc::Receiver<SocketOut>,
    closing: watch::Receiver<bool>,
}

/// What comes from the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketOut {
    /// A message to be sent.
    Message(SocketMessage),
    /// No more comes.
    End(SocketEnd),
}

/// Why a plugin's side of a WebSocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketEnd {
    /// Its handler is done.
    Done,
    /// The other side made a mistake, which is told to it.
    Refused(String),
    /// The handler failed.
    Failed,
    /// The plugin stops or is disabled.
    Stopped,
}

impl PluginHandle {
    /// Asks the plugin whether it speaks on the WebSocket with this index.
    ///
    /// # Errors
    /// [`CallError`] where the call gives no result, `Busy` also where too many are open; what the plugin's own error is,
    /// within.
    ///
    /// # Cancel safety
    /// The plugin's call is dropped with this one.
    pub async fn socket(
        &self,
        index: usize,
        call: RouteCall,
        timeout: Duration,
    ) -> Result<PluginResult<OpenSocket>, CallError> {
        let place = self.connection_place()?;
        let asked = self.call(WHAT, timeout, move |instance| instance.socket(index, call));
        let guard = self.guard().clone();
        Ok(asked.await?.map(|task| OpenSocket { guard, task, place }))
    }

    /// A place of what stays open.
    pub(super) fn connection_place(&self) -> Result<OwnedSemaphorePermit, CallError> {
        self.guard().connections.clone().try_acquire_owned().map_err(|_| CallError::Busy)
    }
}

impl OpenSocket {
    /// Lets the plugin speak, where it runs.
    ///
    /// # Errors
    /// The plugin was stopped meanwhile.
    pub fn begin(self) -> Result<(SocketInbox, SocketOutbox), CallError> {
        let Self { guard, task, place } = self;
        let handle = guard.handle()?.clone();
        let closing = guard.closing.subscribe();
        let (to_plugin, incoming) = mpsc::channel(WAITING_MAX);
        let (outgoing, from_plugin) = mpsc::channel(WAITING_MAX);
        handle.spawn(async move {
            let socket = Socket::new(Incoming(incoming), Outgoing(outgoing.downgrade()));
            let spoken = Contained::new(guard.id(), WHAT, None, move || task(socket));
            let gone = async {
                outgoing.closed().await;
                tokio::time::sleep(GRACE).await;
            };
            let end = tokio::select! {
                biased;
                spoken = spoken => guard.socket_end(spoken.map_err(|panicked| panicked.0), outgoing.is_closed()),
                () = gone => SocketEnd::Done,
            };
            let _ = outgoing.send(SocketOut::End(end)).await;
            drop(place);
        });
        Ok((SocketInbox(to_plugin), SocketOutbox { from_plugin, closing }))
    }
}

impl Guard {
    /// What it means that a handler returned, or panicked.
    fn socket_end(&self, spoken: Result<PluginResult<()>, String>, is_gone: bool) -> SocketEnd {
        match spoken {
            Ok(Ok(())) => SocketEnd::Done,
            // It could not send what nobody was there to take.
            Ok(Err(_)) if is_gone => SocketEnd::Done,
            Ok(Err(error)) if error.kind() == ErrorKind::Input => SocketEnd::Refused(error.to_string()),
            Ok(Err(error)) => {
                if error.kind().blames_plugin() {
                    self.failed_later(Fault::Error, WHAT, &error.to_string());
                }
                SocketEnd::Failed
            }
            Err(panicked) => {
                self.failed_later(Fault::Panic, WHAT, &format!("it panicked: {panicked}"));
                SocketEnd::Failed
            }
        }
    }
}

impl SocketInbox {
    /// Hands a message over as soon as there is room. Whether anybody takes it.
    ///
    /// # Cancel safety
    /// A dropped call hands nothing over.
    pub async fn put(&self, message: SocketMessage) -> bool {
        self.0.send(message).await.is_ok()
    }
}

impl SocketOutbox {
    /// What the plugin says next; its end comes once, as the last.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> SocketOut {
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => SocketOut::End(SocketEnd::Stopped),
            out = self.from_plugin.recv() => out.unwrap_or(SocketOut::End(SocketEnd::Stopped)),
        }
    }
}

struct Incoming(mpsc::Receiver<SocketMessage>);

impl SocketReceive for Incoming {
    fn receive(&mut self) -> BoxFuture<'_, Option<SocketMessage>> {
        Box::pin(self.0.recv())
    }
}

/// It does not keep the way open: a sender that a plugin keeps somewhere outlives nothing.
struct Outgoing(mpsc::WeakSender<SocketOut>);

impl SocketSend for Outgoing {
    fn send(&self, message: SocketMessage) -> BoxFuture<'_, PluginResult<()>> {
        Box::pin(async move {
            let closed = || PluginError::transient("the WebSocket is closed");
            let sender = self.0.upgrade().ok_or_else(closed)?;
            sender.send(SocketOut::Message(message)).await.map_err(|_| closed())
        })
    }
}
