//! Ends what somebody listens to once they may not any more: who was put out of a room, and everybody where it is deleted.
//! Knows no socket.

use plexichat::message::Actor;
use plexichat::pipeline::{Access, MessageStore};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::hub::Hub;
use crate::stop::stopped;
use crate::store::{AccessChange, Store};

/// Ends subscriptions as access ends, until the server stops.
///
/// # Cancel safety
/// A dropped call ends none any more.
pub(crate) async fn keep(hub: Hub, store: Store, mut stopping: watch::Receiver<bool>) {
    let mut changes = store.access_changes();
    loop {
        let change = tokio::select! {
            () = stopped(&mut stopping) => return,
            change = changes.recv() => change,
        };
        match change {
            Ok(change) => check(&hub, &store, change).await,
            // Some were missed: everything is asked for again.
            Err(RecvError::Lagged(_)) => check(&hub, &store, AccessChange { room: None, user: None }).await,
            Err(RecvError::Closed) => return,
        }
    }
}

async fn check(hub: &Hub, store: &Store, change: AccessChange) {
    for (room, subscriber) in hub.listening(change.room, change.user) {
        let actor = Actor::user(&subscriber.user().to_string(), "");
        match store.access(&actor, room).await {
            Ok(Access::Read | Access::Write | Access::Moderate) => {}
            Ok(Access::None) => subscriber.put_out(room),
            // Whether they may is not known: who may listen still comes back and is let in.
            Err(error) => {
                tracing::warn!(%error, %room, user = %subscriber.user(), "who may listen is not known: put out");
                subscriber.put_out(room);
            }
        }
    }
}
