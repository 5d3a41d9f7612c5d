//! The table of jobs and the loop that empties it.
//!
//! The table is the only truth: whoever wants to know how a job is doing reads its row, and whoever changes a job
//! changes its row by compare-and-set. Wake-ups in memory only shorten the wait. `Jobs` is all that the rest of the
//! program sees: it accepts, shows and cancels; `worker` speaks; `cleanup` forgets.

mod batches;
pub mod cleanup;
mod events;
mod gate;
mod history;
mod job;
mod keys;
mod meters;
pub mod outputs;
mod pace;
mod store;
mod streams;
pub mod upkeep;
mod wakeups;
pub mod webhooks;
pub mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Settings;
use crate::files::FileError;
use crate::speech::SpeechRequest;
use crate::speech::stream::{Ending, Heard};
use crate::speech::timeline::Timeline;
pub use batches::{AcceptedBatch, Batch, NewBatch};
use cleanup::{Cleaner, CleanupError};
use events::Hub;
pub use events::{Event, EventKind, Follower, Following, Tail};
pub use gate::{Queue, QueueState};
pub use history::{DeleteError, DeleteOutcome, Filter};
pub use job::{
    Accepted, CancelOutcome, Client, Counts, Idempotency, Job, JobId, JobStatus, NewJob, Output, Priority,
    Redo, RetryOutcome, UnknownStatus,
};
pub use keys::{
    Key, KeyError, NewKey, Overdrawn, OwnQuota, Quota, SESSION_LASTS, Scope, Scopes, Secret, UnknownScope,
    Usage,
};
use meters::Meters;
use outputs::Outputs;
pub use outputs::Scratch;
use pace::Pace;
pub use store::StoreError;
use store::{Addition, Bounds, Refusal, Store};
pub use streams::Listening;
use streams::Streams;
use tokio::sync::watch;
use wakeups::Wakeups;

/// How long a waiter trusts its wake-up before it reads the row anyway: another process may have changed it.
const WAIT_POLL: Duration = Duration::from_millis(500);

/// How the queue behaves; `job_queue` in config.yaml.
#[derive(Clone, Copy, Debug)]
pub struct QueueSettings {
    /// How often a job is tried again after the device failed. What the user caused is never tried again.
    pub max_retries: u32,
    /// How long ended jobs and their files are kept.
    pub job_ttl: Duration,
    pub cleanup_interval: Duration,
    /// Jobs that may wait; more are refused.
    pub max_queued: u32,
    /// Jobs of one client that may wait.
    pub max_queued_per_client: u32,
    /// A job that has waited for so long gets a turn now and then, whatever is more urgent.
    pub overdue_after: Duration,
    /// Nothing is accepted while the disk has less left.
    pub min_free_bytes: u64,
    /// Results beyond this go, the oldest first; `None` bounds them by time alone.
    pub max_output_bytes: Option<u64>,
    /// Of keys that have none of their own.
    pub quota: Quota,
    /// The chunks of completed jobs are kept up to here, so that one can be spoken again; beyond it the oldest go.
    pub max_chunk_bytes: u64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_retries: 0,
            job_ttl: Duration::from_hours(24),
            cleanup_interval: Duration::from_hours(1),
            max_queued: 1000,
            max_queued_per_client: 1000,
            overdue_after: Duration::from_mins(10),
            min_free_bytes: 0,
            max_output_bytes: None,
            quota: Quota::NONE,
            max_chunk_bytes: 0,
        }
    }
}

impl From<&Settings> for QueueSettings {
    fn from(settings: &Settings) -> Self {
        // The ranges of the settings keep the counts below 2^32.
        Self {
            max_retries: settings.job_queue.max_retries,
            job_ttl: settings.job_queue.job_ttl,
            cleanup_interval: settings.job_queue.cleanup_interval,
            max_queued: settings.limits.max_queued_jobs as u32,
            max_queued_per_client: settings.limits.max_queued_jobs_per_client as u32,
            overdue_after: settings.job_queue.overdue_after,
            min_free_bytes: settings.limits.min_free_disk_bytes,
            max_output_bytes: settings.job_queue.max_output_bytes,
            quota: Quota::from(settings),
            max_chunk_bytes: settings.job_queue.max_chunk_bytes,
        }
    }
}

/// Why the table could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot prepare the data directory")]
    Outputs(#[from] FileError),
    #[error("cannot open the job database")]
    Store(#[from] StoreError),
}

/// Why the jobs of the last run could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outputs(#[from] FileError),
    #[error(transparent)]
    Cleanup(#[from] CleanupError),
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    #[error("the queue is full: {limit} jobs are waiting; try again later")]
    QueueFull {
        limit: u32,
        /// Until there is room, as this machine spoke lately.
        retry_in: Option<Duration>,
    },
    #[error("{limit} of your jobs are waiting already; try again later")]
    ClientFull { limit: u32, retry_in: Option<Duration> },
    #[error(
        "the disk has {free} bytes left, and {least} are kept free; delete jobs, or wait for them to expire"
    )]
    DiskFull { free: u64, least: u64 },
    #[error("the disk cannot be asked how much it has left")]
    Disk(#[source] FileError),
    #[error("the server takes no jobs at the moment: it finishes those that it has, to be upgraded")]
    Draining,
    #[error("the quota of this key does not allow it")]
    Overdrawn(Overdrawn),
    #[error("the Idempotency-Key was sent with another body before; send a new key with a new wish")]
    KeyReused,
    #[error("the job could not be stored")]
    Store(#[from] StoreError),
}

/// The queue, as everybody but the worker sees it. Clones share everything.
#[derive(Clone, Debug)]
pub struct Jobs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    outputs: Outputs,
    wakeups: Wakeups,
    streams: Streams,
    hub: Hub,
    pace: Pace,
    meters: Meters,
    /// What the queue does, for those who wait for a change; the row is the truth.
    gate: watch::Sender<QueueState>,
    keys: keys::KeyMemory,
    settings: QueueSettings,
    /// Kept of completed jobs since the last sweep for it.
    new_chunk_bytes: AtomicU64,
}

impl Jobs {
    /// Opens the table in `data_dir`, making it where it is missing. Starts nothing and changes no job, so a command
    /// line may open the directory of a running server.
    pub async fn open(data_dir: &Path, settings: QueueSettings) -> Result<Self, OpenError> {
        let outputs = Outputs::open(data_dir)?;
        let store = Store::open(&data_dir.join(upkeep::DATABASE)).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                outputs,
                wakeups: Wakeups::default(),
                streams: Streams::default(),
                hub: Hub::default(),
                pace: Pace::default(),
                meters: Meters::default(),
                gate: watch::Sender::default(),
                keys: keys::KeyMemory::default(),
                settings,
                new_chunk_bytes: AtomicU64::new(0),
            }),
        })
    }

    /// Takes up what the last run left: half-written files go, interrupted jobs return to the queue, a first sweep cleans
    /// up. Only for whoever holds the lock of the data directory, and before a worker starts.
    pub async fn recover(&self) -> Result<(), RecoverError> {
        let parts = self.shared.outputs.remove_parts()?;
        let recovered = self.shared.store.recover(now_ms()).await?;
        self.shared.open_gate().await?;
        self.shared.learn_from_history().await?;
        self.shared.tidy_redone().await?;
        let swept = Cleaner::new(self).sweep(Duration::ZERO).await?;
        tracing::info!(
            requeued = recovered.requeued,
            failed = recovered.failed,
            half_written = parts,
            ?swept,
            "took up the jobs of the last run"
        );
        Ok(())
    }

    /// Accepts a job of nobody in particular; see [`Self::accept`].
    pub async fn enqueue(&self, request: SpeechRequest, priority: Priority) -> Result<Job, EnqueueError> {
        Ok(self.accept(NewJob::new(request, priority)).await?.job)
    }

    /// Accepts a job. When this returns, the row is committed and synced: the job survives a loss of power.
    pub async fn accept(&self, new: NewJob) -> Result<Accepted, EnqueueError> {
        self.accept_as(JobId::new(), new).await
    }

    /// [`Self::accept`] for somebody who listens from the first word on.
    pub async fn accept_heard(&self, new: NewJob) -> Result<(Job, Listening), EnqueueError> {
        let id = JobId::new();
        // Before a worker can take it up: it decides at each chunk whether anybody listens.
        let listening = self.listen(id);
        Ok((self.accept_as(id, new).await?.job, listening))
    }

    async fn accept_as(&self, id: JobId, new: NewJob) -> Result<Accepted, EnqueueError> {
        self.check_disk()?;
        let bounds = self.bounds();
        let (id, is_known) = match self.shared.store.add(vec![(id, new)], now_ms(), bounds).await? {
            Addition::Added => {
                self.shared.wakeups.wake_worker();
                (id, false)
            }
            Addition::Known(known) => (Store::known_id(&known)?, true),
            Addition::Refused(refusal) => return Err(self.refused(refusal, bounds).await),
        };
        // Only somebody who removes a job in this very moment takes it away from here.
        let job = self.get(id).await?.ok_or_else(|| StoreError::Unknown(id.to_string()))?;
        Ok(Accepted { job, is_known })
    }

    fn bounds(&self) -> Bounds {
        let settings = &self.shared.settings;
        Bounds {
            total: settings.max_queued,
            per_client: settings.max_queued_per_client,
            quota: settings.quota,
        }
    }

    /// Why a wish was not taken.
    async fn refused(&self, refusal: Refusal, bounds: Bounds) -> EnqueueError {
        let retry_in = self.shared.until_room().await;
        match refusal {
            Refusal::KeyReused => EnqueueError::KeyReused,
            Refusal::Draining => EnqueueError::Draining,
            Refusal::Overdrawn(overdrawn) => EnqueueError::Overdrawn(overdrawn),
            Refusal::QueueFull => EnqueueError::QueueFull { limit: bounds.total, retry_in },
            Refusal::ClientFull => EnqueueError::ClientFull { limit: bounds.per_client, retry_in },
        }
    }

    /// Before anything is accepted: a full disk could keep the row and not the speech.
    fn check_disk(&self) -> Result<(), EnqueueError> {
        let least = self.shared.settings.min_free_bytes;
        if least == 0 {
            return Ok(());
        }
        let free = self.shared.outputs.free_bytes().map_err(EnqueueError::Disk)?;
        if free < least { Err(EnqueueError::DiskFull { free, least }) } else { Ok(()) }
    }

    /// An empty file on the disk of the results that is gone when it is closed.
    pub fn scratch(&self) -> Result<Scratch, FileError> {
        self.shared.outputs.scratch()
    }

    /// The calls back that a job has caused.
    pub async fn webhooks_of(&self, id: JobId) -> Result<Vec<webhooks::WebhookStatus>, StoreError> {
        self.shared.store.webhooks_of(id).await
    }

    pub async fn get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.shared.store.get(id).await
    }

    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.shared.store.counts().await
    }

    /// How many jobs that have not ended are to be spoken with this voice.
    pub async fn needing_voice(&self, voice: &str) -> Result<u64, StoreError> {
        self.shared.store.needing_voice(voice).await
    }

    /// Ends a queued or running job as cancelled. A running model hears of it at its next token.
    pub async fn cancel(&self, id: JobId) -> Result<CancelOutcome, StoreError> {
        let outcome = self.shared.store.cancel(id, now_ms()).await?;
        if outcome == CancelOutcome::Cancelled {
            // The worker that speaks it, if any, removes what it writes from here on when it notices.
            self.shared.wakeups.cancel(id);
            self.shared.streams.end(id, Some(Ending::Broken));
            self.shared.outputs.forget(id).await;
            self.shared.wakeups.job_ended();
        }
        Ok(outcome)
    }

    /// Puts a failed job back into the queue; its finished chunks are not spoken again.
    ///
    /// # Errors
    /// As for a new job: the queue is full or draining, or the disk is.
    pub async fn retry(&self, id: JobId) -> Result<RetryOutcome, EnqueueError> {
        self.check_disk()?;
        let bounds = self.bounds();
        match self.shared.store.retry_by_hand(id, now_ms(), bounds).await? {
            Some(Addition::Refused(refusal)) => Err(self.refused(refusal, bounds).await),
            Some(Addition::Added | Addition::Known(_)) => {
                self.shared.wakeups.wake_worker();
                Ok(RetryOutcome::Queued)
            }
            None => {
                let status = self.shared.store.status(id).await?;
                Ok(status.map_or(RetryOutcome::Unknown, RetryOutcome::NotFailed))
            }
        }
    }

    /// Listens to a job of this process's worker, which may have ended: look at its row afterwards.
    pub fn listen(&self, id: JobId) -> Listening {
        Listening::to(&self.shared, id)
    }

    /// How many listen to a job.
    pub fn listeners(&self, id: JobId) -> usize {
        self.shared.streams.listeners(id)
    }

    /// Hears of what happens, from after the event numbered `after` on; 0 is the beginning.
    pub fn follow(&self, following: Following, after: i64) -> Follower {
        Follower::new(&self.shared, following, after)
    }

    /// The number of the last event of all.
    pub async fn last_event(&self) -> Result<i64, StoreError> {
        self.shared.store.last_event().await
    }

    /// The job once its status is final; `None` for an unknown job. Waits without bound.
    pub async fn wait(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut ended = self.shared.wakeups.ends();
        loop {
            ended.mark_unchanged();
            match self.get(id).await? {
                Some(job) if !job.status.is_final() => {}
                end => return Ok(end),
            }
            // Elapsing is as good as a wake-up: either way the row is read again.
            let _ = tokio::time::timeout(WAIT_POLL, ended.changed()).await;
        }
    }

    /// The file of a completed job. It may be gone by the time it is opened, when its time to live ran out.
    pub fn result_path(&self, job: &Job) -> Option<PathBuf> {
        job.output.as_ref().map(|output| self.shared.outputs.result_path(&output.file_name))
    }

    /// When what is heard in the result of a completed job; `None` where an older program made it.
    pub async fn spoken_when(&self, job: &Job) -> Option<Timeline> {
        let (outputs, file_name) = (self.shared.outputs.clone(), job.output.as_ref()?.file_name.clone());
        tokio::task::spawn_blocking(move || outputs.timeline(&file_name)).await.ok().flatten()
    }

    /// Whether the chunks of a completed job are still there, so that one of them can be spoken again.
    pub async fn has_chunks(&self, id: JobId) -> bool {
        let outputs = self.shared.outputs.clone();
        tokio::task::spawn_blocking(move || outputs.has_chunks(id)).await.unwrap_or(false)
    }

    /// The same of a job that is being spoken, as far as somebody was sent it; `None` where no run of it has begun.
    pub fn heard_when(&self, job: &Job) -> Option<Heard> {
        self.shared.streams.heard(job.id, job.request.sample_rate)
    }

    /// Closes the database after the last write; later calls fail.
    pub async fn close(&self) {
        self.shared.store.close().await;
    }
}

/// Milliseconds since the Unix epoch; a clock before 1970 reads as 0.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// What log lines of a job stand in: its id is then a field of each, in the same place. Of the highest level, so that
/// warnings keep it where nothing else is logged.
pub(crate) fn log_span(id: JobId) -> tracing::Span {
    tracing::error_span!("job", %id)
}

/// An error and all its causes in one line: the last cause is the one that helps.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
