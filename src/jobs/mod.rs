//! The table of jobs and the loop that empties it.
//!
//! The table is the only truth: whoever wants to know how a job is doing reads its row, and whoever changes a job
//! changes its row by compare-and-set. Wake-ups in memory only shorten the wait. `Jobs` is all that the rest of the
//! program sees: it accepts, shows and cancels; `worker` speaks; `cleanup` forgets.

pub mod cleanup;
mod events;
pub mod outputs;
mod store;
pub mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::files::FileError;
use crate::speech::timeline::Timeline;
use crate::speech::{AudioFormat, SpeechRequest};
use cleanup::{Cleaner, CleanupError};
use events::Events;
use outputs::Outputs;
use store::Store;
pub use store::StoreError;

/// How long a waiter trusts its wake-up before it reads the row anyway: another process may have changed it.
const WAIT_POLL: Duration = Duration::from_millis(500);

/// The name of a job: a UUID v7, so ids sort by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(Uuid);

impl JobId {
    fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Where a job stands. The last three are final: no transition leaves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl JobStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Not one of the five words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job status")]
pub struct UnknownStatus(String);

impl FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// Who is served first. Within a priority, first come, first served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A job that somebody will come back for.
    Normal,
    /// Somebody holds the line: `POST /tts` and the like.
    Interactive,
}

impl Priority {
    /// As the table keeps it. Gaps leave room for a level between.
    const fn as_number(self) -> i64 {
        match self {
            Self::Normal => 0,
            Self::Interactive => 10,
        }
    }

    const fn from_number(number: i64) -> Self {
        if number >= Self::Interactive.as_number() { Self::Interactive } else { Self::Normal }
    }
}

/// One row of the table, as readers see it. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub status: JobStatus,
    pub priority: Priority,
    /// Includes the seed that was, or will be, used.
    pub request: SpeechRequest,
    /// 0..=100; never decreases; 100 only with [`JobStatus::Completed`].
    pub progress: u8,
    /// The chunk being spoken, counted from 1; 0 before the first.
    pub current_chunk: u32,
    /// Known once the text was planned.
    pub total_chunks: Option<u32>,
    pub created_at: i64,
    /// The first start; a job that was interrupted keeps it.
    pub started_at: Option<i64>,
    /// Present exactly when the status is final.
    pub finished_at: Option<i64>,
    /// Present exactly when the job failed; a sentence for the user.
    pub error: Option<String>,
    /// Present exactly when the job completed.
    pub output: Option<Output>,
    /// How often a worker took it up.
    pub starts: u32,
    /// Why it waits although its turn has come; only while queued.
    pub waits_for: Option<String>,
    /// Jobs that will be taken up before this one plus one; only while queued.
    pub queue_position: Option<u32>,
}

impl Job {
    /// Milliseconds of work so far: from the first start to the end, or to now.
    pub fn elapsed_ms(&self) -> Option<i64> {
        self.started_at.map(|started| (self.finished_at.unwrap_or_else(now_ms) - started).max(0))
    }
}

/// The finished file of a completed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Within the outputs folder.
    pub file_name: String,
    pub format: AudioFormat,
    pub bytes: u64,
    /// Of the audio.
    pub duration_ms: u64,
}

/// How many jobs stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub queued: u64,
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}

/// What a wish to cancel met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It was queued or running and is cancelled now, for good.
    Cancelled,
    /// It had ended before.
    AlreadyFinished(JobStatus),
    Unknown,
}

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
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_retries: 0,
            job_ttl: Duration::from_hours(24),
            cleanup_interval: Duration::from_hours(1),
            max_queued: 1000,
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
    QueueFull { limit: u32 },
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
    events: Events,
    settings: QueueSettings,
}

impl Jobs {
    /// Opens the table in `data_dir`, making it where it is missing. Starts nothing and changes no job, so a command
    /// line may open the directory of a running server.
    pub async fn open(data_dir: &Path, settings: QueueSettings) -> Result<Self, OpenError> {
        let outputs = Outputs::open(data_dir)?;
        let store = Store::open(&data_dir.join("declaim.db")).await?;
        Ok(Self { shared: Arc::new(Shared { store, outputs, events: Events::default(), settings }) })
    }

    /// Takes up what the last run left: half-written files go, interrupted jobs return to the queue, a first sweep cleans
    /// up. Only for whoever holds the lock of the data directory, and before a worker starts.
    pub async fn recover(&self) -> Result<(), RecoverError> {
        let parts = self.shared.outputs.remove_parts()?;
        let recovered = self.shared.store.recover(now_ms()).await?;
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

    /// Accepts a job. When this returns, the row is committed and synced: the job survives a loss of power.
    pub async fn enqueue(&self, request: SpeechRequest, priority: Priority) -> Result<Job, EnqueueError> {
        let limit = self.shared.settings.max_queued;
        let id = JobId::new();
        match self.shared.store.enqueue(id, &request, priority, now_ms(), limit).await? {
            Some(job) => {
                self.shared.events.wake_worker();
                Ok(job)
            }
            None => Err(EnqueueError::QueueFull { limit }),
        }
    }

    pub async fn get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.shared.store.get(id).await
    }

    /// The newest `limit` jobs, newest first.
    pub async fn list(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.shared.store.list(limit).await
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
            self.shared.events.cancel(id);
            self.shared.outputs.forget(id).await;
            self.shared.events.job_ended();
        }
        Ok(outcome)
    }

    /// The job once its status is final; `None` for an unknown job. Waits without bound.
    pub async fn wait(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut ended = self.shared.events.ends();
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
    pub async fn timeline(&self, id: JobId) -> Option<Timeline> {
        let outputs = self.shared.outputs.clone();
        tokio::task::spawn_blocking(move || outputs.timeline(id)).await.ok().flatten()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back_from_its_own_word() {
        for status in [
            JobStatus::Queued,
            JobStatus::Running,
            JobStatus::Completed,
            JobStatus::Failed,
            JobStatus::Cancelled,
        ] {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("done".parse::<JobStatus>().is_err());
    }

    #[test]
    fn every_priority_reads_back_from_its_own_number() {
        for priority in [Priority::Normal, Priority::Interactive] {
            assert_eq!(Priority::from_number(priority.as_number()), priority);
        }
    }
}
