//! Wake-ups within this process. They only shorten waits: whoever is woken reads the table, and whoever is not woken
//! reads it a moment later. So a lost or a superfluous wake-up is never wrong, merely slow or idle.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::JobId;
use crate::speech::Cancel;

#[derive(Debug)]
pub(super) struct Wakeups {
    work: Notify,
    clean: Notify,
    /// Counts ended jobs; only the fact that it changed matters.
    ended: watch::Sender<u64>,
    /// The jobs that workers of this process are speaking.
    running: Mutex<HashMap<JobId, Cancel>>,
}

impl Default for Wakeups {
    fn default() -> Self {
        Self {
            work: Notify::new(),
            clean: Notify::new(),
            ended: watch::Sender::new(0),
            running: Mutex::default(),
        }
    }
}

impl Wakeups {
    /// There may be a job to take. Kept for the next worker that asks when none is waiting.
    pub(super) fn wake_worker(&self) {
        self.work.notify_one();
    }

    /// Ask for this before looking in the table: a job that arrives in between then still wakes.
    pub(super) fn work(&self) -> tokio::sync::futures::Notified<'_> {
        self.work.notified()
    }

    /// There is much to clean up.
    pub(super) fn wake_cleaner(&self) {
        self.clean.notify_one();
    }

    pub(super) fn clean(&self) -> tokio::sync::futures::Notified<'_> {
        self.clean.notified()
    }

    /// Some job ended.
    pub(super) fn job_ended(&self) {
        self.ended.send_modify(|count| *count += 1);
    }

    pub(super) fn ends(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Makes `cancel` reachable by the job's id until the guard is dropped.
    pub(super) fn register(&self, id: JobId, cancel: Cancel) -> Registered<'_> {
        self.running().insert(id, cancel);
        Registered { wakeups: self, id }
    }

    /// Tells the model that speaks this job to stop, if one of this process does.
    pub(super) fn cancel(&self, id: JobId) {
        if let Some(cancel) = self.running().get(&id) {
            cancel.cancel();
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<JobId, Cancel>> {
        // A map of flags has no state that a panic could leave half-made.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unregisters its job when dropped, also by a panic.
#[derive(Debug)]
pub(super) struct Registered<'a> {
    wakeups: &'a Wakeups,
    id: JobId,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.wakeups.running().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_reaches_a_job_only_while_it_is_registered() {
        let wakeups = Wakeups::default();
        let id = JobId::new();
        let (first, second) = (Cancel::default(), Cancel::default());
        let registered = wakeups.register(id, first.clone());
        wakeups.cancel(id);
        drop(registered);
        wakeups.cancel(id);
        let _registered = wakeups.register(id, second.clone());
        assert!(first.is_cancelled());
        assert!(!second.is_cancelled());
    }

    #[tokio::test]
    async fn a_wake_up_sent_while_nobody_waits_is_kept() {
        let wakeups = Wakeups::default();
        wakeups.wake_worker();
        wakeups.work().await;
    }
}
