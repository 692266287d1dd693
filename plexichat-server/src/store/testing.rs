//! For tests only: a store in a directory of its own behind a pipeline without plugins. Knows nothing of HTTP.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use plexichat::event::Event;
use plexichat::id::RoomId;
use plexichat::manager::snapshot::Snapshot;
use plexichat::message::{Actor, Origin, StoredRow};
use plexichat::pipeline::{
    Announcer, Change, ChangeRow, Delivery, Fanout, Incoming, Limits, Message, Outbox, Outcome, Parts, Pipeline,
    Refusal, Stored,
};

use super::{Act, NewRoom, Role, Store, User};

/// What the pipeline delivered; nobody is told events.
#[derive(Default)]
pub(crate) struct Ends {
    delivered: Mutex<Vec<Arc<StoredRow>>>,
    changes: Mutex<Vec<ChangeRow>>,
}

impl Ends {
    pub(crate) fn delivered(&self) -> Vec<Arc<StoredRow>> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Fanout for Ends {
    fn deliver(&self, message: &Message<Stored>) {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).push(message.row().clone());
    }

    fn changed(&self, change: &Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change.row().clone());
    }
}

impl Outbox for Ends {
    fn enqueue(&self, _: Delivery) {}
}

impl Announcer for Ends {
    fn announce(&self, _: Event) {}
}

/// Where a store is, which survives the store.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("plexichat.db")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.database()).expect("opens")
    }
}

/// A store, somebody who writes in it, and the road there.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) user: User,
    pub(crate) ends: Arc<Ends>,
    pub(crate) pipeline: Arc<Pipeline>,
}

impl Bench {
    /// Opens the store, and makes the person at the first time.
    pub(crate) async fn open(place: &Place) -> Self {
        let ends = Arc::<Ends>::default();
        Self::with_outbox(place.open(), ends.clone(), ends).await
    }

    /// The same where one actor may post only so many messages at once in a room, and so many a second.
    pub(crate) async fn with_limits(place: &Place, burst: u32) -> Self {
        let ends = Arc::<Ends>::default();
        Self::build(place.open(), ends.clone(), ends, NonZeroU32::new(burst).expect("not zero")).await
    }

    pub(crate) async fn with_outbox(store: Store, ends: Arc<Ends>, outbox: Arc<dyn Outbox>) -> Self {
        Self::build(store, ends, outbox, NonZeroU32::new(1_000_000).expect("not zero")).await
    }

    async fn build(store: Store, ends: Arc<Ends>, outbox: Arc<dyn Outbox>, burst: NonZeroU32) -> Self {
        store.set_outbox(outbox.clone());
        let user = match store.user_by_name("ann".into()).await.expect("looks") {
            Some(user) => user,
            None => store.create_user("ann", Role::User).await.expect("makes"),
        };
        let pipeline = Arc::new(Pipeline::new(Parts {
            plugins: Arc::new(ArcSwap::from_pointee(Snapshot::default())),
            store: Arc::new(store.clone()),
            fanout: ends.clone(),
            outbox,
            announcer: ends.clone(),
            limits: Limits { text_bytes: 1 << 20, per_second: burst, burst },
        }));
        Self { store, user, ends, pipeline }
    }

    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.clone()
    }

    pub(crate) async fn room(&self, name: &str) -> RoomId {
        self.store.create_room(NewRoom::named(name), self.user.id, &Act::system()).await.expect("makes").0.id
    }

    pub(crate) fn incoming(&self, room: RoomId, text: &str) -> Incoming {
        Incoming {
            author: self.user.actor(),
            room_id: room,
            text: text.into(),
            reply_to: None,
            attachments: Vec::new(),
            origin: Origin::Rest,
            key: None,
            cause_id: None,
            cause_depth: 0,
        }
    }

    pub(crate) async fn send(&self, incoming: Incoming) -> Result<Outcome, Refusal> {
        self.pipeline.send(incoming).await
    }

    pub(crate) async fn post(&self, room: RoomId, text: &str) -> Outcome {
        self.send(self.incoming(room, text)).await.expect("is stored")
    }

    pub(crate) fn writer(&self) -> Actor {
        self.user.actor()
    }
}
