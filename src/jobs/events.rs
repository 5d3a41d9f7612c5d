//! What happens to jobs, told to whoever follows them.
//!
//! Events are rows, written in the statements that make them happen, so a follower misses none: not by a restart, not by
//! being slow. One task reads new rows and hands them out; a follower that cannot keep up loses what was handed to it and
//! reads the rows instead, at its own pace. So nobody waits for a follower, and a hundred of them cost one reading. Only
//! the progress within a chunk is told without a row: the next one makes up for any that is lost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{JobId, Jobs, Shared, StoreError, now_ms, with_causes};

/// How long the task trusts its wake-up: another process, such as the command line, may have changed a job.
const TAIL_POLL: Duration = Duration::from_millis(250);

/// Between two readings, so that a burst of events is one.
const TAIL_PAUSE: Duration = Duration::from_millis(5);

/// Rows read at once.
const PAGE: u32 = 200;

/// Events that a follower of one job, and of all jobs, may be behind before it goes back to the rows.
const BEHIND_ONE: usize = 32;
const BEHIND_ALL: usize = 512;

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Queued,
    Started,
    /// Its text was cut into chunks.
    Planned,
    /// A chunk was spoken and is on the disk.
    Chunk,
    /// It let a more urgent job pass, or a pause begin.
    Yielded,
    /// The server stopped, or died.
    Interrupted,
    /// The machine failed, and it will be tried again.
    Retrying,
    /// Somebody wants a failed job tried again.
    Retried,
    Completed,
    Failed,
    Cancelled,
    /// How far it is; the only kind that is no row.
    Progress,
}

impl EventKind {
    pub(super) const ALL: [Self; 12] = [
        Self::Queued,
        Self::Started,
        Self::Planned,
        Self::Chunk,
        Self::Yielded,
        Self::Interrupted,
        Self::Retrying,
        Self::Retried,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Progress,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Planned => "planned",
            Self::Chunk => "chunk",
            Self::Yielded => "yielded",
            Self::Interrupted => "interrupted",
            Self::Retrying => "retrying",
            Self::Retried => "retried",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Progress => "progress",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// To resume from; `None` for what is no row.
    pub seq: Option<i64>,
    pub job: JobId,
    pub owner: String,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    pub kind: EventKind,
    /// What else there is to say, by kind.
    pub data: Map<String, Value>,
}

/// Who follows what, in this process.
#[derive(Debug)]
pub(super) struct Hub {
    by_job: Mutex<HashMap<JobId, broadcast::Sender<Arc<Event>>>>,
    all: broadcast::Sender<Arc<Event>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { by_job: Mutex::default(), all: broadcast::Sender::new(BEHIND_ALL) }
    }
}

impl Hub {
    fn hand_out(&self, event: Event) {
        let event = Arc::new(event);
        let mut by_job = self.by_job();
        if let Some(followers) = by_job.get(&event.job)
            && followers.send(Arc::clone(&event)).is_err()
        {
            // The last one has left.
            by_job.remove(&event.job);
        }
        drop(by_job);
        // Nobody there is fine.
        let _ = self.all.send(event);
    }

    /// Tells how far a job is.
    pub(super) fn progress(&self, job: JobId, owner: &str, percent: u8, chunk: u32) {
        let mut data = Map::new();
        data.insert("progress".to_owned(), json!(percent));
        data.insert("current_chunk".to_owned(), json!(chunk));
        let kind = EventKind::Progress;
        self.hand_out(Event { seq: None, job, owner: owner.to_owned(), at: now_ms(), kind, data });
    }

    fn subscribe(&self, job: Option<JobId>) -> broadcast::Receiver<Arc<Event>> {
        let Some(job) = job else { return self.all.subscribe() };
        let mut by_job = self.by_job();
        by_job.entry(job).or_insert_with(|| broadcast::Sender::new(BEHIND_ONE)).subscribe()
    }

    /// Forgets a job that nobody follows any more.
    fn leave(&self, job: JobId) {
        let mut by_job = self.by_job();
        // The one who leaves is still counted.
        if by_job.get(&job).is_some_and(|followers| followers.receiver_count() <= 1) {
            by_job.remove(&job);
        }
    }

    fn by_job(&self) -> MutexGuard<'_, HashMap<JobId, broadcast::Sender<Arc<Event>>>> {
        // A map of senders has no state that a panic could leave half-made.
        self.by_job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads new events and hands them out.
#[derive(Debug)]
pub struct Tail {
    shared: Arc<Shared>,
    /// The last event that was handed out.
    last: i64,
}

impl Tail {
    /// From now on; must be made before anybody follows, who could otherwise miss what happens in between.
    pub async fn from_now(jobs: &Jobs) -> Result<Self, StoreError> {
        let shared = Arc::clone(&jobs.shared);
        let last = shared.store.last_event().await?;
        Ok(Self { shared, last })
    }

    /// Hands out until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let shared = Arc::clone(&self.shared);
            let written = shared.store.written();
            match self.hand_out_new().await {
                Ok(more) if more => {}
                Ok(_all) => {
                    // Elapsing is as good as a wake-up: either way the table is looked at again.
                    let wait = tokio::time::timeout(TAIL_POLL, written);
                    if stop.run_until_cancelled(wait).await.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), "cannot read what happened to jobs");
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(TAIL_PAUSE)).await.is_none() {
                return;
            }
        }
    }

    /// Whether there may be more.
    async fn hand_out_new(&mut self) -> Result<bool, StoreError> {
        let page = self.shared.store.events_after(self.last, PAGE).await?;
        let more = page.len() == PAGE as usize;
        for event in page {
            self.last = event.seq.unwrap_or(self.last);
            self.shared.meters.saw(&event);
            self.shared.hub.hand_out(event);
        }
        Ok(more)
    }
}

/// What a follower wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    /// One job, to its end.
    Job(JobId),
    /// All jobs of an owner, without end.
    Owner(String),
    /// All jobs, without end.
    All,
}

/// Hears of everything that happens, each thing once and in order, from some event on.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    following: Following,
    handed: broadcast::Receiver<Arc<Event>>,
    /// The last event that was told.
    last: i64,
    /// Rows read and not told yet.
    rows: VecDeque<Arc<Event>>,
    /// Whether there may be rows that were neither handed out nor read.
    is_behind: bool,
    /// The followed job is at an end, by what was told.
    is_at_end: bool,
    has_ended: bool,
}

impl Follower {
    pub(super) fn new(shared: &Arc<Shared>, following: Following, after: i64) -> Self {
        let job = match &following {
            Following::Job(id) => Some(*id),
            Following::Owner(_) | Following::All => None,
        };
        // Before any row is read, so that what happens in between is handed to it.
        let handed = shared.hub.subscribe(job);
        Self {
            shared: Arc::clone(shared),
            following,
            handed,
            last: after,
            rows: VecDeque::new(),
            is_behind: true,
            is_at_end: false,
            has_ended: false,
        }
    }

    /// The next event; `None` when a followed job is at its end, or is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Arc<Event>>, StoreError> {
        while !self.has_ended {
            if let Some(event) = self.rows.pop_front() {
                return Ok(Some(self.tell(event)));
            }
            if self.is_behind {
                self.catch_up().await?;
                continue;
            }
            match self.handed.recv().await {
                Ok(event) if self.is_new(&event) => return Ok(Some(self.tell(event))),
                Ok(_told_or_not_ours) => {}
                Err(RecvError::Lagged(_lost)) => self.is_behind = true,
                Err(RecvError::Closed) => self.has_ended = true,
            }
        }
        Ok(None)
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let store = &self.shared.store;
        let page = match &self.following {
            Following::Job(id) => store.events_of(*id, self.last, PAGE).await?,
            Following::Owner(_) | Following::All => {
                let mut page = store.events_after(self.last, PAGE).await?;
                self.is_behind = page.len() == PAGE as usize;
                self.last = page.last().and_then(|event| event.seq).unwrap_or(self.last);
                if let Following::Owner(owner) = &self.following {
                    page.retain(|event| event.owner == *owner);
                }
                self.rows.extend(page.into_iter().map(Arc::new));
                return Ok(());
            }
        };
        self.is_behind = page.len() == PAGE as usize;
        self.rows.extend(page.into_iter().map(Arc::new));
        if self.rows.is_empty()
            && let Following::Job(id) = self.following
        {
            // Whoever resumes behind the end hears nothing more.
            self.has_ended = store.status(id).await?.is_none_or(super::JobStatus::is_final);
        }
        Ok(())
    }

    fn is_new(&self, event: &Event) -> bool {
        let is_ours = match &self.following {
            Following::Job(id) => event.job == *id,
            Following::Owner(owner) => event.owner == *owner,
            Following::All => true,
        };
        is_ours && event.seq.is_none_or(|seq| seq > self.last)
    }

    fn tell(&mut self, event: Arc<Event>) -> Arc<Event> {
        self.last = event.seq.unwrap_or(self.last).max(self.last);
        let is_last_known = self.rows.is_empty() && !self.is_behind;
        // A job that was retried by hand has ended more than once; one whose chunk was spoken again stays at its end.
        self.is_at_end = match event.kind {
            EventKind::Chunk => self.is_at_end,
            kind => kind.is_end(),
        };
        if matches!(self.following, Following::Job(_)) && self.is_at_end && is_last_known {
            self.has_ended = true;
        }
        event
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Following::Job(id) = self.following {
            self.shared.hub.leave(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_own_word() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn a_job_that_nobody_follows_is_forgotten() {
        let hub = Hub::default();
        let id = JobId::new();
        let (first, second) = (hub.subscribe(Some(id)), hub.subscribe(Some(id)));
        hub.leave(id);
        drop(first);
        assert_eq!(hub.by_job().len(), 1, "another one still follows");
        hub.leave(id);
        drop(second);
        assert!(hub.by_job().is_empty());
    }
}
