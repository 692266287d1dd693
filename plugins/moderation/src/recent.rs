//! A map that forgets: what was not asked for of late makes room for what is new, so its size has a bound.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use plexichat::id::MessageId;

/// A map of at most twice as many entries as its capacity. What was asked for since the last turn is kept at the next.
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Hash + Eq, V: Default> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    /// The value of this key; a new one where it is not known any more.
    pub(crate) fn get(&mut self, key: K) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key).or_insert_with_key(|key| old.remove(key).unwrap_or_default())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// What was posted of late, each with its weight.
#[derive(Default)]
pub(crate) struct Window {
    posts: VecDeque<(i64, MessageId, u32)>,
}

impl Window {
    /// The weight of what was posted after `since`, in microseconds; what is older is forgotten.
    pub(crate) fn weight(&mut self, since: i64) -> u32 {
        // A clock that was set back leaves posts in the future: those count until it has caught up.
        while self.posts.front().is_some_and(|(time, ..)| *time <= since) {
            self.posts.pop_front();
        }
        self.posts.iter().map(|(.., weight)| weight).sum()
    }

    pub(crate) fn has(&self, message: MessageId) -> bool {
        self.posts.iter().any(|(_, known, _)| *known == message)
    }

    pub(crate) fn push(&mut self, now: i64, message: MessageId, weight: u32) {
        self.posts.push_back((now, message, weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut recent = Recent::<u32, u32>::new(10);
        *recent.get(0) = 7;
        for key in 1..1000 {
            recent.get(key);
            assert_eq!(*recent.get(0), 7, "after {key}");
            assert!(recent.len() <= 20);
        }
        assert_eq!(*recent.get(1), 0, "forgotten long ago");
    }

    #[test]
    fn a_window_slides() {
        let mut window = Window::default();
        let first = MessageId::new();
        window.push(10, first, 2);
        window.push(20, MessageId::new(), 1);
        assert!(window.has(first));
        assert_eq!(window.weight(0), 3);
        assert_eq!(window.weight(10), 1);
        assert!(!window.has(first));
        assert_eq!(window.weight(20), 0);
    }
}
