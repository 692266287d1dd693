//! The rounds: what is due is fired, what is queued is taken, what is made keeps its lease. Knows no workflow.
//!
//! A tick that is looked at within [`GRACE`] is on time, and so are those before it if all are. Otherwise the server was away, the
//! plugin was disabled, or the clock was put forward: the policy says what becomes of the ticks meanwhile. A clock that is put back
//! makes nothing due that was. The store makes one run for each tick at most, whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::calendar::Calendar;
use super::running::Stop;
use super::{Added, Automations, Claim, KeptTrigger, Phase, Wanted};
use crate::event::catalog::TriggerFired;
use crate::id::{PluginName, RunId};
use crate::message::Time;
use crate::store::StoreError;
use crate::trigger::{Misfire, On};
use crate::workflow::RunCause;

/// A tick is not missed before it is this old.
pub const GRACE: Duration = Duration::from_secs(60);

/// How many attempts are made at once, of all plugins.
pub const ATTEMPTS_MAX: usize = 64;

/// With how many a plugin gets no more.
const PLUGIN_ATTEMPTS_MAX: usize = 32;

/// How many runs are taken in one round.
const CLAIMED_MAX: usize = 16;

/// How long nobody else takes a run. Renewed when a third of it has gone by.
const LEASE: Duration = Duration::from_secs(30);
const RENEW_AT: Duration = Duration::from_secs(20);

/// How many triggers are fired before runs are looked at again.
const FIRED_MAX: u32 = 100;

/// The longest time between two rounds: then a clock that was put forward is noticed, and what another host left.
const ROUND_MAX: Duration = Duration::from_secs(5);

/// What is due and cannot be taken now is looked at again after this.
const ROUND_BUSY: Duration = Duration::from_millis(500);

/// How long it waits for a store that fails.
const STORE_AWAY: Duration = Duration::from_secs(1);

impl Automations {
    /// Fires triggers and attempts runs until [`stop`](Self::stop) is called. Must run on the host's runtime.
    ///
    /// # Cancel safety
    /// A dropped call lets attempts go on that have begun; their leases are not renewed.
    pub async fn run(self: Arc<Self>) {
        let mut phase = self.phase.subscribe();
        let mut away = false;
        while *phase.borrow_and_update() == Phase::Open {
            let pause = match self.round().await {
                Ok(pause) => {
                    away = false;
                    self.parts.clock.pause(pause)
                }
                Err(error) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(%error, "workflows wait for the store");
                    }
                    Box::pin(tokio::time::sleep(STORE_AWAY))
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.changed.notified() => {}
                _ = phase.changed() => {}
            }
        }
    }

    /// One round. How long the next one may wait.
    async fn round(self: &Arc<Self>) -> Result<Duration, StoreError> {
        self.prepare().await?;
        let mut last = self.rounds.lock().await;
        let plugins = self.ready_plugins();
        self.give_back_stopped();
        let now = self.now();
        if last.is_none_or(|last| now < last) {
            self.bring_forward(now).await?;
        }
        *last = Some(now);
        self.renew(now).await?;
        let fired = self.fire_due(now, &plugins).await?;
        let taken = self.take(now, &plugins).await?;
        let next = self.parts.store.next_due(plugins).await?;
        let now = self.now();
        let wait = next.map_or(ROUND_MAX, |next| until(now, next).min(ROUND_MAX));
        Ok(if wait.is_zero() && !fired && !taken { ROUND_BUSY } else { wait })
    }

    /// Looks at once at what is due: the clock was moved.
    pub fn look(&self) {
        self.changed.notify_one();
    }

    /// Whether nothing is due and nothing is attempted: for tests.
    #[cfg(feature = "testing")]
    pub(crate) async fn is_settled(&self) -> bool {
        let _round = self.rounds.lock().await;
        if self.running.count() > 0 {
            return false;
        }
        let next = self.parts.store.next_due(self.ready_plugins()).await;
        next.is_ok_and(|next| next.is_none_or(|next| next > self.now()))
    }

    async fn renew(&self, now: Time) -> Result<(), StoreError> {
        let lease = later(now, LEASE);
        for leased in self.running.leased_until(later(now, RENEW_AT)) {
            if self.parts.store.renew(leased.run, leased.fence, lease).await? {
                self.running.renewed(&leased, lease);
            } else {
                self.running.stop(leased.run, Stop::Overtaken);
            }
        }
        Ok(())
    }

    /// Fires what is due. Whether something was.
    async fn fire_due(&self, now: Time, plugins: &BTreeSet<PluginName>) -> Result<bool, StoreError> {
        let due = self.parts.store.due_triggers(now, plugins.clone(), FIRED_MAX).await?;
        let fired = !due.is_empty();
        for trigger in due {
            self.fire(&trigger, now).await?;
        }
        Ok(fired)
    }

    /// The clock was ahead, now or before the server started: what recurs is due at its next time by the clock as it is. Ticks that
    /// have had their run have it under their key.
    async fn bring_forward(&self, now: Time) -> Result<(), StoreError> {
        for trigger in self.parts.store.triggers(None).await? {
            let recurs = matches!(trigger.spec.on, On::Cron { .. } | On::Every { .. });
            let (Some(seen), true) = (trigger.next_at, recurs) else { continue };
            let calendar = Calendar::of(&trigger.spec.on, trigger.since).ok().flatten();
            let next = calendar.and_then(|calendar| calendar.next(now)).filter(|next| *next < seen);
            if next.is_some() {
                let KeptTrigger { plugin, spec, .. } = trigger;
                self.parts.store.fire(plugin, spec.id, seen, next, Vec::new()).await?;
            }
        }
        Ok(())
    }

    async fn fire(&self, trigger: &KeptTrigger, now: Time) -> Result<(), StoreError> {
        let Some(seen) = trigger.next_at else { return Ok(()) };
        let (plugin, id) = (&trigger.plugin, &trigger.spec.id);
        let calendar = match Calendar::of(&trigger.spec.on, trigger.since) {
            Ok(calendar) => calendar,
            Err(error) => {
                tracing::warn!(%plugin, trigger = id, %error, "a trigger is not understood any more: it does not fire");
                None
            }
        };
        let (next, ticks) = match &calendar {
            Some(calendar) => (calendar.next(now.max(seen)), ticks(calendar, &trigger.spec.on, seen, now)),
            None => (None, Vec::new()),
        };
        let runs: Vec<_> = ticks
            .into_iter()
            .map(|tick| {
                self.new_run(Wanted {
                    at: tick,
                    // A trigger that was ended and made anew has ticks of its own.
                    key: format!("tick/{id}/{}/{}", trigger.since.as_micros(), tick.as_micros()),
                    ..Wanted::of(trigger, RunCause::TIME, serde_json::json!({}))
                })
            })
            .collect();
        let store = &self.parts.store;
        let Some(added) = store.fire(plugin.clone(), id.clone(), seen, next, runs).await? else { return Ok(()) };
        self.tell_fired(trigger, &RunCause::TIME, &added);
        Ok(())
    }

    pub(super) fn tell_fired(&self, trigger: &KeptTrigger, cause: &RunCause, added: &[Added]) {
        for added in added {
            if let Added::New(run) = added {
                let fired = TriggerFired::new(trigger.spec.id.clone(), run.to_string(), cause.event_id);
                self.announce(&trigger.plugin, cause.depth, cause.event_id, fired);
            }
        }
    }

    /// Takes runs and begins their attempts. Whether there were any.
    async fn take(self: &Arc<Self>, now: Time, plugins: &BTreeSet<PluginName>) -> Result<bool, StoreError> {
        let free = ATTEMPTS_MAX.saturating_sub(self.running.count()).min(CLAIMED_MAX);
        // One plugin whose runs hang leaves places for the others.
        let mut plugins = plugins.clone();
        plugins.retain(|plugin| self.running.count_of(plugin) < PLUGIN_ATTEMPTS_MAX);
        if free == 0 || plugins.is_empty() {
            return Ok(false);
        }
        let lease_until = later(now, LEASE);
        let claim = Claim {
            node: self.parts.node.clone(),
            now,
            lease_until,
            plugins,
            limit: u32::try_from(free).unwrap_or(u32::MAX),
        };
        let claimed = self.parts.store.claim(claim).await?;
        let taken = !claimed.is_empty();
        for claimed in claimed {
            let (run, plugin): (RunId, _) = (claimed.run.id, claimed.run.plugin.clone());
            let begun = self.running.begin(run, plugin, claimed.fence, lease_until);
            tokio::spawn(self.clone().attempt(claimed, begun));
        }
        Ok(taken)
    }
}

/// The ticks that are to run, of those from `seen` up to now.
fn ticks(calendar: &Calendar, on: &On, seen: Time, now: Time) -> Vec<Time> {
    let misfire = match on {
        On::Cron { misfire, .. } | On::Every { misfire, .. } => *misfire,
        _ => return vec![seen],
    };
    let before = Time::from_micros(seen.as_micros() - 1);
    let is_late = |tick: Time| until(tick, now) > GRACE;
    if !is_late(seen) {
        return calendar_or(seen, calendar.last(before, now, usize::try_from(GRACE.as_secs()).unwrap_or(60) + 1));
    }
    match misfire {
        Misfire::CatchUp(most) => calendar_or(seen, calendar.last(before, now, usize::try_from(most).unwrap_or(1))),
        Misfire::RunOnce => calendar_or(seen, calendar.last(before, now, 1)),
        Misfire::Skip => calendar.last(before, now, 1).into_iter().filter(|tick| !is_late(*tick)).collect(),
    }
}

/// The ticks that were found, or the one that the store had where the calendar has another opinion by now.
fn calendar_or(seen: Time, found: Vec<Time>) -> Vec<Time> {
    if found.is_empty() { vec![seen] } else { found }
}

pub(super) fn later(time: Time, by: Duration) -> Time {
    Time::from_micros(time.as_micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// How long it is from one time to a later one.
pub(super) fn until(from: Time, to: Time) -> Duration {
    Duration::from_micros(u64::try_from(to.as_micros().saturating_sub(from.as_micros())).unwrap_or(0))
}
