//! Forgets what nobody needs any more: ended jobs whose time to live ran out, files without a row, rows without a file.
//!
//! A sweep takes no input, can be repeated at any moment and does a bounded amount of work, so that it never competes
//! with speaking for long; what is left over waits for the next one. It runs at the start, when nothing can be in use,
//! and then at an interval.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::outputs::Found;
use super::store::Redone;
use super::upkeep::is_orphan;
use super::{JobId, JobStatus, Jobs, Shared, StoreError, log_span, now_ms, with_causes};
use crate::files::FileError;

/// Rows expired, files removed and rows compared in one sweep, each.
const SWEEP_LIMIT: u32 = 500;

/// A worker that lost its job may still be writing for a moment; it removes those files itself.
const ORPHAN_GRACE: Duration = Duration::from_mins(10);

/// A wall clock that has gained more than this on the time that passed was set forward, or the machine slept.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// An eighth of what may be kept of chunks is new: then the next sweep does not wait for its time.
const NEW_CHUNKS: u64 = 8;

impl Shared {
    /// Keeps the chunks of a job that has completed, and sees to it that not too many are kept.
    pub(super) async fn keep_chunks(&self, id: JobId) {
        let outputs = self.outputs.clone();
        let bytes = spawn_blocking(move || outputs.chunk_bytes(id)).await.unwrap_or(0);
        let new = self.new_chunk_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if new > self.settings.max_chunk_bytes / NEW_CHUNKS {
            self.new_chunk_bytes.store(0, Ordering::Relaxed);
            self.wakeups.wake_cleaner();
        }
    }
}

impl Shared {
    /// Removes what is left where the last run died between the commit that replaced a chunk and the removal of the old one.
    /// Before a worker starts, so that no version is being written.
    pub(super) async fn tidy_redone(&self) -> Result<(), CleanupError> {
        let redone = self.store.redone().await?;
        let outputs = self.outputs.clone();
        spawn_blocking(move || {
            for Redone { job, replaced } in redone {
                outputs.remove_chunks(job)?;
                if let Some((of, position, version)) = replaced {
                    outputs.remove_chunk(of, (position, version))?;
                }
            }
            Ok(())
        })
        .await?
        .map_err(CleanupError::Outputs)
    }
}

/// Why a sweep ended early.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Outputs(#[from] FileError),
    #[error("a clean-up task crashed")]
    Crashed(#[from] tokio::task::JoinError),
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ended jobs forgotten with their files, for their age or for the room they take.
    pub expired: usize,
    /// Files and folders removed that no row speaks of.
    pub orphans: usize,
    /// Completed jobs whose file was gone.
    pub lost: usize,
    /// Completed jobs whose chunks went for the room that they take.
    pub forgotten: usize,
}

/// What a file is good for.
enum Use {
    Needed,
    /// It may go where room is needed.
    Kept,
    None,
}

/// Sweeps now and then.
#[derive(Debug)]
pub struct Cleaner {
    shared: Arc<Shared>,
    /// Where the comparison of rows with files goes on: the arrival number of the last row looked at.
    compared_to: i64,
    /// When the last sweep was, or the first look at the clock, and what the wall clock said.
    swept: (Instant, i64),
}

impl Cleaner {
    pub fn new(jobs: &Jobs) -> Self {
        Self { shared: Arc::clone(&jobs.shared), compared_to: 0, swept: (Instant::now(), now_ms()) }
    }

    /// Sweeps at every interval until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        // An interval of 0 would be a busy loop.
        let interval = self.shared.settings.cleanup_interval.max(Duration::from_millis(100));
        let shared = Arc::clone(&self.shared);
        let wait = async || {
            // Elapsing and being woken are the same.
            let _ = tokio::time::timeout(interval, shared.wakeups.clean()).await;
        };
        while stop.run_until_cancelled(wait()).await.is_some() {
            match self.sweep(ORPHAN_GRACE).await {
                Ok(swept) if swept == Swept::default() => {}
                Ok(Swept { expired, orphans, lost, forgotten }) => {
                    tracing::info!(expired, orphans, lost, forgotten, "cleaned up");
                }
                Err(error) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "the clean-up failed and is tried again later"
                    );
                }
            }
        }
    }

    /// One sweep. Files without a row are spared while they are younger than `grace`.
    pub async fn sweep(&mut self, grace: Duration) -> Result<Swept, CleanupError> {
        self.shared.store.tidy_keys(now_ms()).await?;
        let expired = if self.believes_the_clock(now_ms()) { self.expire().await? } else { 0 };
        let (orphans, chunks) = self.remove_orphans(grace).await?;
        let forgotten = self.bound_chunks(chunks).await?;
        Ok(Swept { expired, orphans, lost: self.find_lost().await?, forgotten })
    }

    /// A clock that was set forward makes everything old. It is believed by the next sweep, so that one that is put right
    /// until then costs nobody what they made.
    fn believes_the_clock(&mut self, now: i64) -> bool {
        let (then, wall) = std::mem::replace(&mut self.swept, (Instant::now(), now));
        let passed = i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX);
        let gained = now.saturating_sub(wall).saturating_sub(passed);
        if gained > CLOCK_TOLERANCE_MS {
            tracing::warn!(
                gained_ms = gained,
                "the clock was set forward; nothing expires before the next clean-up"
            );
        }
        gained <= CLOCK_TOLERANCE_MS
    }

    async fn expire(&self) -> Result<usize, CleanupError> {
        let ttl = i64::try_from(self.shared.settings.job_ttl.as_millis()).unwrap_or(i64::MAX);
        let mut expired = self.shared.store.ended_before(now_ms().saturating_sub(ttl), SWEEP_LIMIT).await?;
        if let Some(most) = self.shared.settings.max_output_bytes {
            let beyond = self.shared.store.beyond_bytes(most, SWEEP_LIMIT).await?;
            expired.extend(beyond.into_iter().filter(|id| !expired.contains(id)).collect::<Vec<_>>());
        }
        for &id in &expired {
            // File first: should the process die in between, the row is still there to find the rest by.
            self.remove_files(id).await?;
            self.shared.store.delete(id).await?;
        }
        if !expired.is_empty() {
            self.shared.store.delete_empty_batches().await?;
        }
        Ok(expired.len())
    }

    /// How many were removed, and the chunks of completed jobs, which may be kept.
    async fn remove_orphans(&self, grace: Duration) -> Result<(usize, Vec<Found>), CleanupError> {
        let outputs = self.shared.outputs.clone();
        let found = spawn_blocking(move || outputs.found()).await??;
        let (mut removed, mut chunks) = (0, Vec::new());
        for file in found {
            if removed == SWEEP_LIMIT as usize {
                break;
            }
            match self.use_of(&file).await? {
                Use::Kept => chunks.push(file),
                Use::None if file.age() >= grace => {
                    tracing::debug!(path = %file.path.display(), "removing a file that no job needs");
                    spawn_blocking(move || file.remove()).await??;
                    removed += 1;
                }
                Use::Needed | Use::None => {}
            }
        }
        Ok((removed, chunks))
    }

    /// Forgets the oldest chunks of completed jobs beyond what may be kept of them.
    async fn bound_chunks(&self, chunks: Vec<Found>) -> Result<usize, CleanupError> {
        let most = self.shared.settings.max_chunk_bytes;
        let forgotten = spawn_blocking(move || {
            let mut chunks: Vec<_> = chunks.into_iter().map(|folder| (folder.age(), folder)).collect();
            chunks.sort_by_key(|(age, _)| *age);
            let (mut kept, mut forgotten) = (0, 0);
            for (_, folder) in chunks {
                kept += folder.bytes();
                if kept > most && forgotten < SWEEP_LIMIT as usize {
                    folder.remove()?;
                    forgotten += 1;
                }
            }
            Ok::<_, FileError>(forgotten)
        });
        Ok(forgotten.await??)
    }

    /// Chunks of completed jobs are kept while there is room.
    async fn use_of(&self, file: &Found) -> Result<Use, StoreError> {
        let Some(id) = file.id else {
            // Somebody else's; not ours to remove.
            return Ok(Use::Needed);
        };
        Ok(match self.shared.store.standing(id).await? {
            Some((JobStatus::Completed, _)) if file.is_chunks => match self.shared.settings.max_chunk_bytes {
                0 => Use::None,
                _ => Use::Kept,
            },
            standing if is_orphan(file, standing.as_ref()) => Use::None,
            _ => Use::Needed,
        })
    }

    async fn find_lost(&mut self) -> Result<usize, CleanupError> {
        let page = self.shared.store.completed_after(self.compared_to, SWEEP_LIMIT).await?;
        // After the last page the comparison starts over.
        self.compared_to = page.last().map_or(0, |row| row.seq);
        let mut lost = 0;
        for row in page {
            let path = self.shared.outputs.result_path(&row.file_name);
            if !tokio::fs::try_exists(&path).await.unwrap_or(true)
                && self.shared.store.lose_result(row.id).await?
            {
                let _entered = log_span(row.id).entered();
                tracing::warn!(path = %path.display(), "a result file is gone");
                lost += 1;
            }
        }
        Ok(lost)
    }

    async fn remove_files(&self, id: JobId) -> Result<(), CleanupError> {
        let outputs = self.shared.outputs.clone();
        Ok(spawn_blocking(move || outputs.remove(id)).await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::QueueSettings;

    #[tokio::test]
    async fn a_clock_that_is_set_forward_is_believed_only_when_it_stays_there() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = Jobs::open(folder.path(), QueueSettings::default()).await.unwrap();
        let mut cleaner = Cleaner::new(&jobs);
        let (now, day) = (now_ms(), 86_400_000);
        assert!(cleaner.believes_the_clock(now));
        assert!(!cleaner.believes_the_clock(now + day));
        assert!(cleaner.believes_the_clock(now + day + 1000), "it stayed there");
        assert!(cleaner.believes_the_clock(now), "set back, nothing gets older");
        assert!(!cleaner.believes_the_clock(now + 2 * day));
        assert!(cleaner.believes_the_clock(now), "it was put right, and nothing has expired");
        jobs.close().await;
    }
}
