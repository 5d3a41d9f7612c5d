//! Pausing, resuming and draining the queue.
//!
//! The state is a row that every claim and every acceptance asks in its own statement, so it holds from the moment it is
//! committed, whoever sets it: this server, or the command line beside it. The value in memory is a copy for those who
//! wait for a change, and for what status tells.

use std::time::Duration;

use super::store::Depth;
use super::{Job, Jobs, Priority, Shared, StoreError, now_ms, with_causes};

/// How often the state is read for what another process has set.
const STATE_POLL: Duration = Duration::from_millis(500);

/// What the queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueState {
    /// It takes jobs and speaks them.
    #[default]
    Running,
    /// It takes jobs and keeps them. What is being spoken gives way at its next chunk edge, unless it is of high priority:
    /// then somebody holds the line, and it is finished.
    Paused,
    /// It takes no jobs and speaks those that it has. A start ends it.
    Draining,
}

impl QueueState {
    const ALL: [Self; 3] = [Self::Running, Self::Paused, Self::Draining];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining => "draining",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The queue at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    pub state: QueueState,
    /// Milliseconds since the Unix epoch.
    pub since: i64,
    depth: Depth,
}

impl Queue {
    /// Jobs of this priority that wait.
    pub fn queued(&self, priority: Priority) -> u64 {
        count(&self.depth.queued, priority)
    }

    /// Jobs of this priority that are being spoken.
    pub fn running(&self, priority: Priority) -> u64 {
        count(&self.depth.running, priority)
    }

    /// Jobs that have not ended.
    pub fn unfinished(&self) -> u64 {
        Priority::ALL.iter().map(|&priority| self.queued(priority) + self.running(priority)).sum()
    }

    /// How long the job waits that waits for longest.
    pub fn longest_wait(&self) -> Option<Duration> {
        let ms = now_ms().saturating_sub(self.depth.oldest?);
        Some(Duration::from_millis(ms.max(0).cast_unsigned()))
    }
}

fn count(counts: &[(Priority, u64)], priority: Priority) -> u64 {
    counts.iter().filter(|(known, _)| *known == priority).map(|(_, count)| count).sum()
}

impl Jobs {
    /// The queue now.
    pub async fn queue(&self) -> Result<Queue, StoreError> {
        let (state, since) = self.shared.store.queue_state().await?;
        Ok(Queue { state, since, depth: self.shared.store.depth().await? })
    }

    /// What the queue does, as this process heard last; it hears of other processes within half a second.
    pub fn queue_state(&self) -> QueueState {
        self.shared.state()
    }

    /// Keeps what waits from being spoken, until [`Self::resume`]; over restarts too.
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.shared.set_state(QueueState::Paused).await
    }

    /// Ends a pause, and a drain.
    pub async fn resume(&self) -> Result<(), StoreError> {
        self.shared.set_state(QueueState::Running).await
    }

    /// Takes no more jobs, and speaks those that there are, also where the queue was paused. Until [`Self::resume`] or
    /// the next start.
    pub async fn drain(&self) -> Result<(), StoreError> {
        self.shared.set_state(QueueState::Draining).await
    }

    /// Resolves while the queue is paused and this job only waits: whoever holds the line for it waits for nothing.
    /// Never, where the job has ended or is gone.
    pub async fn held_up(&self, job: &Job) {
        let mut gate = self.shared.gate.subscribe();
        loop {
            let is_waiting = async || {
                let now = self.get(job.id).await.ok().flatten();
                now.is_some_and(|now| now.status == super::JobStatus::Queued)
            };
            if *gate.borrow_and_update() == QueueState::Paused && is_waiting().await {
                return;
            }
            if gate.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Shared {
    async fn set_state(&self, state: QueueState) -> Result<(), StoreError> {
        self.store.set_queue_state(state, now_ms()).await?;
        self.show_state(state);
        Ok(())
    }

    /// Hears of what other processes set, also while a long job is spoken.
    pub(super) async fn follow_state(&self) -> ! {
        loop {
            match self.store.queue_state().await {
                Ok((state, _since)) => self.show_state(state),
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), "cannot read whether the queue is paused");
                }
            }
            tokio::time::sleep(STATE_POLL).await;
        }
    }

    /// A start ends a drain: the upgrade that it was for is done.
    pub(super) async fn open_gate(&self) -> Result<(), StoreError> {
        match self.store.queue_state().await?.0 {
            QueueState::Draining => self.set_state(QueueState::Running).await,
            state @ (QueueState::Running | QueueState::Paused) => {
                self.show_state(state);
                Ok(())
            }
        }
    }

    /// As this process heard last.
    pub(super) fn state(&self) -> QueueState {
        *self.gate.borrow()
    }

    fn show_state(&self, state: QueueState) {
        let has_changed = self.gate.send_if_modified(|known| std::mem::replace(known, state) != state);
        if has_changed {
            tracing::info!("the queue is {}", state.as_str());
            self.wakeups.wake_worker();
        }
    }
}
