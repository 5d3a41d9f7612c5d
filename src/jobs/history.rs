//! What is done with jobs after they were accepted: found, looked at, kept, repeated, deleted.

use tokio::task::spawn_blocking;

use super::{Event, Job, JobId, JobStatus, Jobs, StoreError, log_span, with_causes};
use crate::files::FileError;

/// Events read at once.
const PAGE: u32 = 500;

/// Events of one job that are told at most; a book of 500 000 characters has about 10 000.
const MOST_EVENTS: usize = 50_000;

/// Which jobs a page shows, and from where on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only those of this owner.
    pub owner: Option<String>,
    /// In one of these states; none means in any.
    pub statuses: Vec<JobStatus>,
    /// Words in the text, in any order; the last one may be the beginning of a word.
    pub search: Option<String>,
    pub voice: Option<String>,
    pub batch: Option<String>,
    /// Only those that are kept for ever.
    pub favourite: bool,
    /// Created at or after, and before, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// Arrived before this one: [`Job::seq`] of the last job of the page before.
    pub before: Option<i64>,
    pub limit: u32,
}

/// What a wish to delete met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    Deleted,
    /// It must be cancelled first.
    NotEnded(JobStatus),
    Unknown,
}

/// Why a job was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Files(#[from] FileError),
    #[error("removing a job's files crashed")]
    Crashed(#[from] tokio::task::JoinError),
}

impl Jobs {
    /// A page of jobs, the newest first.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Job>, StoreError> {
        self.shared.store.list(filter).await
    }

    /// All that has happened to a job, in order.
    pub async fn timeline(&self, id: JobId) -> Result<Vec<Event>, StoreError> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().and_then(|event| event.seq).unwrap_or_default();
            let page = self.shared.store.events_of(id, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            events.extend(page);
            if is_last || events.len() >= MOST_EVENTS {
                return Ok(events);
            }
        }
    }

    /// Keeps a job for ever, or no longer. Whether there is such a job.
    pub async fn set_favourite(&self, id: JobId, favourite: bool) -> Result<bool, StoreError> {
        self.shared.store.set_favourite(id, favourite).await
    }

    /// Forgets an ended job with its files, a favourite too.
    pub async fn delete(&self, id: JobId) -> Result<DeleteOutcome, DeleteError> {
        match self.shared.store.status(id).await? {
            None => return Ok(DeleteOutcome::Unknown),
            Some(status) if !status.is_final() => return Ok(DeleteOutcome::NotEnded(status)),
            Some(_ended) => {}
        }
        // File first: should the process die in between, the row is still there to find the rest by.
        let outputs = self.shared.outputs.clone();
        spawn_blocking(move || outputs.remove(id)).await?.inspect_err(|error| {
            let _entered = log_span(id).entered();
            tracing::warn!(error = with_causes(error), "cannot remove a job's files");
        })?;
        let is_deleted = self.shared.store.delete(id).await?;
        // Somebody had it tried again in this very moment, or deleted it too.
        Ok(if is_deleted { DeleteOutcome::Deleted } else { DeleteOutcome::NotEnded(JobStatus::Queued) })
    }
}
