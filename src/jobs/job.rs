//! What a job is: its name, its states, its row as readers see it, and what it takes to make one.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::now_ms;
use crate::speech::{AudioFormat, SpeechRequest};

/// The name of a job: a UUID v7, so ids sort by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(Uuid);

impl JobId {
    pub(super) fn new() -> Self {
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

/// Where a job stands. The last three are final: only a wish to retry a failed job leads out of them.
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
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

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
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// Who is served first. A job gives way to a more urgent one at its next chunk edge and goes on afterwards; one that has
/// waited for long gets a turn now and then whatever is more urgent. Within a priority clients share fairly, and the jobs
/// of a client are served in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// `low`: whenever there is nothing else to do, such as a batch.
    Low,
    /// `normal`: a job that somebody will come back for.
    Normal,
    /// `high`: somebody holds the line: `POST /tts` and the like.
    Interactive,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::Interactive];

    /// The word for it in requests and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::Interactive => "high",
        }
    }

    /// As the table keeps it. Gaps leave room for a level between.
    pub(super) const fn as_number(self) -> i64 {
        match self {
            Self::Low => -10,
            Self::Normal => 0,
            Self::Interactive => 10,
        }
    }

    pub(super) const fn from_number(number: i64) -> Self {
        if number >= Self::Interactive.as_number() {
            Self::Interactive
        } else if number >= Self::Normal.as_number() {
            Self::Normal
        } else {
            Self::Low
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == word)
    }
}

/// Who sends a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// Whose the job is: the id of a key; empty without keys, when all jobs are everybody's.
    pub owner: String,
    /// Between whom the queue is shared fairly: the key, else the address.
    pub name: String,
}

/// A client's word for a wish, so that a wish whose answer was lost can be sent again without doubling the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The header `Idempotency-Key`.
    pub key: String,
    /// Of the body that it came with.
    pub digest: String,
}

/// A chunk of a completed job that is spoken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redo {
    pub job: JobId,
    /// Counted from 0.
    pub chunk: u32,
}

/// A job that is to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    pub request: SpeechRequest,
    pub priority: Priority,
    pub client: Client,
    pub idempotency: Option<Idempotency>,
    /// Told when the job ends.
    pub callback_url: Option<String>,
    /// The job that this one repeats.
    pub rerun_of: Option<JobId>,
    /// What it speaks is to be a part of another job.
    pub redo: Option<Redo>,
}

impl NewJob {
    pub fn new(request: SpeechRequest, priority: Priority) -> Self {
        Self {
            request,
            priority,
            client: Client::default(),
            idempotency: None,
            callback_url: None,
            rerun_of: None,
            redo: None,
        }
    }
}

/// What became of a wish to add a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub job: Job,
    /// The same wish was sent before; this is the job that it made then.
    pub is_known: bool,
}

/// One row of the table, as readers see it. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    /// Order of arrival.
    pub seq: i64,
    pub status: JobStatus,
    pub priority: Priority,
    pub client: Client,
    /// Includes the seed that was, or will be, used.
    pub request: SpeechRequest,
    /// 0..=100; never decreases but by a retry by hand; 100 only with [`JobStatus::Completed`].
    pub progress: u8,
    /// The chunk being spoken, counted from 1; 0 before the first.
    pub current_chunk: u32,
    /// Known once the text was planned.
    pub total_chunks: Option<u32>,
    pub created_at: i64,
    /// The first start; a job that was interrupted keeps it.
    pub started_at: Option<i64>,
    /// When its first sound was there: its first chunk, or the first block of it where somebody listened.
    pub first_audio_at: Option<i64>,
    /// Present exactly when the status is final.
    pub finished_at: Option<i64>,
    /// Present exactly when the job failed; a sentence for the user.
    pub error: Option<String>,
    /// Present exactly when the job completed.
    pub output: Option<Output>,
    /// How often a worker took it up, apart from going on after a more urgent job.
    pub starts: u32,
    /// Why it waits although its turn has come; only while queued.
    pub waits_for: Option<String>,
    /// Jobs that will be taken up before this one plus one; only while queued.
    pub queue_position: Option<u32>,
    /// Never expires.
    pub favourite: bool,
    /// The job that this one repeats.
    pub rerun_of: Option<String>,
    pub callback_url: Option<String>,
    /// Its batch, and its place there counted from 0.
    pub batch: Option<(String, u32)>,
    /// What it speaks is, or is to be, a part of another job.
    pub redo: Option<Redo>,
    /// How often its result was replaced since it completed.
    pub revision: u32,
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

/// What a wish to try a failed job again met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It waits for its turn; finished chunks are kept.
    Queued,
    /// Only failed jobs can be retried.
    NotFailed(JobStatus),
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back_from_its_own_word() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("done".parse::<JobStatus>().is_err());
    }

    #[test]
    fn every_priority_reads_back_from_its_own_number_and_word() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_number(priority.as_number()), priority);
            assert_eq!(Priority::from_word(priority.as_str()), Some(priority));
        }
        assert_eq!(Priority::from_word("urgent"), None);
    }
}
