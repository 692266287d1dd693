//! A WebSocket that a plugin speaks on, as the plugin sees it: messages in and out, each queue bounded. Knows no frame.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::error::Result;

/// A message on a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl SocketMessage {
    /// JSON as text.
    ///
    /// # Errors
    /// `Internal` where the value cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Text(serde_json::to_string(value)?))
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl From<String> for SocketMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for SocketMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for SocketMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// Where messages come from: the host's side of a [`Socket`].
pub trait SocketReceive: Send + Sync {
    /// The next message; nothing once no more come.
    fn receive(&mut self) -> BoxFuture<'_, Option<SocketMessage>>;
}

/// Where messages go: the host's side of a [`Socket`].
pub trait SocketSend: Send + Sync {
    /// Puts a message in line, as soon as there is room.
    fn send(&self, message: SocketMessage) -> BoxFuture<'_, Result<()>>;
}

/// An open WebSocket. The host opens and closes it, asks every 30 s whether the other side lives, and keeps what it sends
/// within limits.
///
/// It is closed when the handler returns: with 1000 after `Ok`, with 1008 and the message where the error is the other side's
/// mistake ([`ErrorKind::Input`](crate::error::ErrorKind::Input)), else with 1011. Once the plugin stops or is disabled it is
/// closed with 1001. When the other side is gone [`recv`](Self::recv) gives nothing, and a handler that has not returned a
/// few seconds later is dropped.
pub struct Socket {
    incoming: Box<dyn SocketReceive>,
    sender: SocketSender,
}

impl Socket {
    /// A socket between these; hosts and tests make them.
    pub fn new(incoming: impl SocketReceive + 'static, outgoing: impl SocketSend + 'static) -> Self {
        Self { incoming: Box::new(incoming), sender: SocketSender(Arc::new(outgoing)) }
    }

    /// The next message; nothing once the other side is gone.
    ///
    /// # Cancel safety
    /// Cancel safe: a dropped call takes no message.
    pub async fn recv(&mut self) -> Option<SocketMessage> {
        self.incoming.receive().await
    }

    /// Sends a message: it waits while the other side does not read what was sent before.
    ///
    /// # Errors
    /// `Transient` once the other side is gone.
    ///
    /// # Cancel safety
    /// A dropped call sends nothing.
    pub async fn send(&self, message: impl Into<SocketMessage>) -> Result<()> {
        self.sender.send(message).await
    }

    /// Another way to send, which may go elsewhere: to a task, or to where others find it.
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Socket")
    }
}

/// Sends on a [`Socket`]. It does not keep it open.
#[derive(Clone)]
pub struct SocketSender(Arc<dyn SocketSend>);

impl SocketSender {
    /// Sends a message, as [`Socket::send`] does.
    ///
    /// # Errors
    /// `Transient` once the socket is closed.
    ///
    /// # Cancel safety
    /// A dropped call sends nothing.
    pub async fn send(&self, message: impl Into<SocketMessage>) -> Result<()> {
        self.0.send(message.into()).await
    }
}

impl fmt::Debug for SocketSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SocketSender")
    }
}
