//! How many bytes and uploads each person and the server have left. What is coming in counts before it is stored. Knows no
//! bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plexichat::id::UserId;
use plexichat::settings::FileLimits;

/// How many files one person uploads at once.
const UPLOADS_PER_USER: u32 = 4;
/// How many files all upload at once: each holds an open file and a thread while it comes in.
const UPLOADS: u32 = 64;

/// Counts what is kept and what is coming in.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: FileLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of all files that are kept or coming in.
    bytes: u64,
    uploads: u32,
    /// Only those who upload now.
    users: HashMap<UserId, Share>,
}

/// What one person has.
#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    uploads: u32,
}

/// Why no more is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exhausted {
    /// The person uploads too many files at once.
    #[error("{UPLOADS_PER_USER} of your uploads are under way already")]
    OwnUploads,
    /// All together do.
    #[error("too many uploads are under way")]
    Uploads,
    /// The file is too large.
    #[error("the file is larger than {0} bytes")]
    Size(u64),
    /// The person has too many bytes of files.
    #[error("your files would have more than {0} bytes together")]
    Quota(u64),
    /// The server has too many bytes of files.
    #[error("the files of this server would have more than {0} bytes together")]
    Total(u64),
}

/// An upload's share. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Grant {
    ledger: Arc<Ledger>,
    user: UserId,
    bytes: u64,
    kept: bool,
}

impl Ledger {
    /// So many bytes are kept now.
    pub(crate) fn new(limits: FileLimits, kept: u64) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::new(State { bytes: kept, ..State::default() }) })
    }

    pub(crate) fn limits(&self) -> &FileLimits {
        &self.limits
    }

    /// Lets a person begin an upload, who has so many bytes of files.
    pub(crate) fn begin(self: &Arc<Self>, user: UserId, kept: u64) -> Result<Grant, Exhausted> {
        let mut state = self.state();
        if state.uploads >= UPLOADS {
            return Err(Exhausted::Uploads);
        }
        // Whoever uploads already is counted here, exactly; for others the store's count is the truth.
        let share = match state.users.entry(user) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Share { bytes: kept, uploads: 0 }),
        };
        if share.uploads >= UPLOADS_PER_USER {
            return Err(Exhausted::OwnUploads);
        }
        share.uploads += 1;
        state.uploads += 1;
        Ok(Grant { ledger: self.clone(), user, bytes: 0, kept: false })
    }

    /// So many bytes of files are gone.
    pub(crate) fn removed(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grant {
    /// Whether so many bytes more would fit now.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Exhausted> {
        self.fits(&self.ledger.state(), bytes)
    }

    /// Takes so many bytes more.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let mut state = self.ledger.state();
        self.fits(&state, bytes)?;
        state.bytes += bytes;
        if let Some(share) = state.users.get_mut(&self.user) {
            share.bytes += bytes;
        }
        self.bytes += bytes;
        Ok(())
    }

    fn fits(&self, state: &State, bytes: u64) -> Result<(), Exhausted> {
        let FileLimits { max_bytes, quota_per_user, quota_total } = *self.ledger.limits();
        let own = state.users.get(&self.user).map_or(0, |share| share.bytes);
        if self.bytes.saturating_add(bytes) > max_bytes.get() {
            return Err(Exhausted::Size(max_bytes.get()));
        }
        if own.saturating_add(bytes) > quota_per_user.get() {
            return Err(Exhausted::Quota(quota_per_user.get()));
        }
        if state.bytes.saturating_add(bytes) > quota_total.get() {
            return Err(Exhausted::Total(quota_total.get()));
        }
        Ok(())
    }

    /// The file is stored: its bytes stay taken.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        let given_back = if self.kept { 0 } else { self.bytes };
        state.bytes = state.bytes.saturating_sub(given_back);
        state.uploads = state.uploads.saturating_sub(1);
        if let Entry::Occupied(mut entry) = state.users.entry(self.user) {
            let share = entry.get_mut();
            share.bytes = share.bytes.saturating_sub(given_back);
            share.uploads = share.uploads.saturating_sub(1);
            if share.uploads == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn ledger(max_bytes: u64, per_user: u64, total: u64, kept: u64) -> Arc<Ledger> {
        let bytes = |bytes| NonZeroU64::new(bytes).expect("not zero");
        let mut limits = FileLimits::default();
        (limits.max_bytes, limits.quota_per_user, limits.quota_total) =
            (bytes(max_bytes), bytes(per_user), bytes(total));
        Ledger::new(limits, kept)
    }

    #[test]
    fn one_file_one_person_and_all_have_a_limit_each() {
        let ledger = ledger(10, 25, 40, 0);
        let (ann, bob) = (UserId::new(), UserId::new());
        let mut first = ledger.begin(ann, 10).expect("begins");
        assert_eq!(first.take(11), Err(Exhausted::Size(10)));
        first.take(10).expect("fits exactly");
        assert_eq!(first.take(1), Err(Exhausted::Size(10)));
        let mut second = ledger.begin(ann, 10).expect("begins");
        assert_eq!(second.take(6), Err(Exhausted::Quota(25)));
        second.take(5).expect("fits exactly");
        let mut others: Vec<Grant> = (0..2).map(|_| ledger.begin(bob, 0).expect("begins")).collect();
        others[0].take(10).expect("fits");
        others[1].take(10).expect("fits");
        let mut third = ledger.begin(UserId::new(), 0).expect("begins");
        assert_eq!(third.take(6), Err(Exhausted::Total(40)));
        third.take(5).expect("fits exactly");
    }

    #[test]
    fn what_is_given_up_is_given_back_and_what_is_kept_stays() {
        let ledger = ledger(10, 20, 20, 0);
        let ann = UserId::new();
        let mut first = ledger.begin(ann, 0).expect("begins");
        let mut second = ledger.begin(ann, 0).expect("begins");
        first.take(10).expect("fits");
        second.take(10).expect("fits");
        first.keep();
        drop(second);
        // Although the store was not asked again, what the first one kept is counted.
        let mut third = ledger.begin(ann, 10).expect("begins");
        third.take(10).expect("fits");
        let mut fourth = ledger.begin(ann, 0).expect("begins");
        assert_eq!(fourth.take(1), Err(Exhausted::Quota(20)));
        drop((third, fourth));
        ledger.removed(10);
        let mut fifth = ledger.begin(ann, 0).expect("begins");
        fifth.take(10).expect("fits again");
    }

    #[test]
    fn uploads_at_once_are_bounded() {
        let ledger = ledger(1, 1, 1, 0);
        let ann = UserId::new();
        let own: Vec<Grant> = (0..UPLOADS_PER_USER).map(|_| ledger.begin(ann, 0).expect("begins")).collect();
        assert_eq!(ledger.begin(ann, 0).err(), Some(Exhausted::OwnUploads));
        let rest = UPLOADS - UPLOADS_PER_USER;
        let others: Vec<Grant> = (0..rest).map(|_| ledger.begin(UserId::new(), 0).expect("begins")).collect();
        assert_eq!(ledger.begin(UserId::new(), 0).err(), Some(Exhausted::Uploads));
        drop((own, others));
        ledger.begin(ann, 0).expect("begins");
        assert!(ledger.state().users.is_empty());
    }
}
