//! Whose command is next: those that one plugin answers in one room run one after the other, in the order in which they
//! were posted, and wait for nobody else's. Knows no command and calls no plugin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::id::{PluginName, RoomId};

type Key = (RoomId, PluginName);

/// The lines in which commands wait. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    /// The last place of each line, with what tells that it is free.
    last: HashMap<Key, (u64, oneshot::Receiver<()>)>,
    /// The places that were given so far, in all lines.
    given: u64,
}

impl Turns {
    /// The place behind everyone who took one for this room and plugin.
    pub(crate) fn take(&self, room: RoomId, plugin: PluginName) -> Turn {
        let (free, freed) = oneshot::channel();
        let key = (room, plugin);
        let mut lines = self.lines();
        lines.given += 1;
        let number = lines.given;
        let before = lines.last.insert(key.clone(), (number, freed)).map(|(_, before)| before);
        drop(lines);
        Turn { turns: self.clone(), key, number, before, _free: free }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // No code of others runs under this lock, so a poisoned one still guards whole data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a line. Dropped, the next one comes.
pub(crate) struct Turn {
    turns: Turns,
    key: Key,
    number: u64,
    before: Option<oneshot::Receiver<()>>,
    /// Nothing is sent: that it is gone is the message.
    _free: oneshot::Sender<()>,
}

impl Turn {
    /// Waits until all before it are gone.
    pub(crate) async fn come(&mut self) {
        if let Some(before) = &mut self.before {
            let _ = before.await;
        }
        self.before = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        if lines.last.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            lines.last.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_line_is_walked_in_its_order_and_no_other_waits() {
        let turns = Turns::default();
        let (here, there) = (RoomId::new(), RoomId::new());
        let name = |text: &str| text.parse::<PluginName>().expect("a name");
        let first = turns.take(here, name("echo"));
        let mut second = turns.take(here, name("echo"));
        let mut third = turns.take(here, name("echo"));
        assert!(second.come().now_or_never().is_none());
        assert!(turns.take(here, name("other")).come().now_or_never().is_some());
        assert!(turns.take(there, name("echo")).come().now_or_never().is_some());
        drop(first);
        assert!(third.come().now_or_never().is_none());
        assert!(second.come().now_or_never().is_some());
        drop(second);
        assert!(third.come().now_or_never().is_some());
        assert_eq!(turns.lines().last.len(), 1, "only the line that somebody stands in is kept");
        drop(third);
        assert!(turns.lines().last.is_empty());
    }
}
