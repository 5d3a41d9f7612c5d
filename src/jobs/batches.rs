//! Many texts as one: accepted whole or not at all, counted together, cancelled together.

use uuid::Uuid;

use super::store::Addition;
use super::{
    CancelOutcome, Client, Counts, EnqueueError, Idempotency, Job, JobId, Jobs, NewJob, StoreError, now_ms,
};

/// A batch that is to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBatch {
    pub title: String,
    pub client: Client,
    pub idempotency: Option<Idempotency>,
    /// At least one.
    pub jobs: Vec<NewJob>,
}

/// How a batch is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub id: String,
    pub title: String,
    pub owner: String,
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Jobs that it had; those that were deleted since are missing in `counts`.
    pub total: u32,
    pub counts: Counts,
    /// Percent of its text; 100 when all have ended.
    pub progress: u8,
}

impl Batch {
    pub fn has_ended(&self) -> bool {
        self.counts.queued + self.counts.running == 0
    }

    /// One word for the whole: `partial` where some completed and others did not.
    pub fn status(&self) -> &'static str {
        let Counts { queued, running, completed, failed, cancelled } = self.counts;
        let ended = completed + failed + cancelled;
        if running > 0 || (queued > 0 && ended > 0) {
            "running"
        } else if queued > 0 {
            "queued"
        } else if failed + cancelled == 0 {
            "completed"
        } else if completed > 0 {
            "partial"
        } else if failed > 0 {
            "failed"
        } else {
            "cancelled"
        }
    }
}

/// What became of a wish to add a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedBatch {
    pub batch: Batch,
    /// The same wish was sent before; this is the batch that it made then.
    pub is_known: bool,
}

impl Jobs {
    /// Accepts all jobs of a batch or none. When this returns, all of them survive a loss of power.
    pub async fn accept_batch(&self, new: NewBatch) -> Result<AcceptedBatch, EnqueueError> {
        self.check_disk()?;
        let bounds = self.bounds();
        let id = Uuid::now_v7().hyphenated().to_string();
        let added = self.shared.store.add_batch(&id, new, now_ms(), bounds).await?;
        let (id, is_known) = match added {
            Addition::Added => {
                self.shared.wakeups.wake_worker();
                (id, false)
            }
            Addition::Known(known) => (known, true),
            Addition::Refused(refusal) => return Err(self.refused(refusal, bounds).await),
        };
        let batch = self.batch(&id).await?.ok_or(StoreError::Unknown(id))?;
        Ok(AcceptedBatch { batch, is_known })
    }

    pub async fn batch(&self, id: &str) -> Result<Option<Batch>, StoreError> {
        self.shared.store.batch(id).await
    }

    /// The newest of an owner, or of all, first.
    pub async fn batches(&self, owner: Option<&str>, limit: u32) -> Result<Vec<Batch>, StoreError> {
        self.shared.store.batches(owner, limit).await
    }

    /// All jobs of a batch, in its order.
    pub async fn jobs_of_batch(&self, id: &str) -> Result<Vec<Job>, StoreError> {
        self.shared.store.jobs_of_batch(id).await
    }

    /// Cancels what has not ended of a batch, the last job first, so that none of them is begun meanwhile. How many that
    /// were.
    pub async fn cancel_batch(&self, id: &str) -> Result<u32, StoreError> {
        let mut cancelled = 0;
        let jobs: Vec<JobId> = self
            .shared
            .store
            .ids_of_batch(id)
            .await?
            .into_iter()
            .filter(|(_, status)| !status.is_final())
            .map(|(id, _)| id)
            .collect();
        for id in jobs.into_iter().rev() {
            if self.cancel(id).await? == CancelOutcome::Cancelled {
                cancelled += 1;
            }
        }
        Ok(cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_tells_how_a_batch_is_doing() {
        let status = |queued, running, completed, failed, cancelled| {
            let counts = Counts { queued, running, completed, failed, cancelled };
            let (id, title, owner) = (String::new(), String::new(), String::new());
            Batch { id, title, owner, created_at: 0, total: 9, counts, progress: 0 }.status()
        };
        assert_eq!(status(9, 0, 0, 0, 0), "queued");
        assert_eq!(status(8, 1, 0, 0, 0), "running");
        assert_eq!(status(8, 0, 1, 0, 0), "running");
        assert_eq!(status(0, 0, 9, 0, 0), "completed");
        assert_eq!(status(0, 0, 8, 1, 0), "partial");
        assert_eq!(status(0, 0, 0, 8, 1), "failed");
        assert_eq!(status(0, 0, 0, 0, 9), "cancelled");
    }
}
