//! The loop that empties the table: takes a job up, speaks it chunk by chunk, puts the file in place, ends the row.
//!
//! A job may panic, the worker may not: each job runs in a task of its own. Every write names the claim, and a write
//! that changes no row tells the worker that the job was cancelled or taken away; then it stops speaking, removes what
//! it wrote and says nothing more, so a cancelled job can never end as failed. A finished chunk is on disk before its
//! row exists and is never spoken twice; after a crash at most the chunk in the making is lost.

mod progress;
mod redo;
mod speaking;
mod stopped;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::store::{Adopted, Adoption, Again, Claim, Claimed, Next};
use super::{JobId, Jobs, QueueState, Shared, StoreError, log_span, now_ms, with_causes};
use crate::speech::Cancel;
use crate::speech::catalog::UnknownModel;
use crate::speech::engine::{Engine, Lease, LeaseError};
use crate::speech::model::ModelError;
use crate::speech::stream::Ending;
use progress::Progress;
use speaking::Speaking;
use stopped::{Spoken, Stopped};

/// How long an idle worker trusts its wake-up: another process may have queued a job, and a retry may be due.
const IDLE_POLL: Duration = Duration::from_millis(500);

/// The wait before a database that fails is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The wait of a job whose model is not there and may come back: the server was started without its usual one.
const NO_MODEL_PAUSE: Duration = Duration::from_secs(30);

/// Of so many turns, one goes to the first job that is overdue, whatever is more urgent.
const TURNS_TO_ONE_OVERDUE: u32 = 4;

/// The wait before the first retry of a job; doubles up to [`RETRY_LONGEST`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// Failures of the device after which a job is spoken on the fallback device, where there is one. Before that it is tried
/// once more where it was, its chunks one by one.
const FAILURES_TO_FALL_BACK: u32 = 2;

/// Takes up jobs, one at a time.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    engine: Engine,
    /// Jobs taken up so far.
    turns: AtomicU32,
}

impl Worker {
    pub fn new(jobs: &Jobs, engine: Engine) -> Self {
        Self { shared: Arc::clone(&jobs.shared), engine, turns: AtomicU32::new(0) }
    }

    /// Works until told to stop; the job in hand then goes back to the queue.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.take_up_all(&stop) => {}
            never = self.shared.follow_state() => never,
        }
    }

    async fn take_up_all(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            // Before looking, so that a job that arrives in between still wakes.
            let woken = self.shared.wakeups.work();
            match self.next(stop).await {
                Ok(true) => {}
                Ok(false) => {
                    // Elapsing is as good as a wake-up: either way the table is looked at again.
                    let wait = tokio::time::timeout(IDLE_POLL, woken);
                    let _ = stop.run_until_cancelled(wait).await;
                }
                Err(error) => {
                    tracing::error!(error = with_causes(&error), "cannot take up a job");
                    stop.run_until_cancelled(tokio::time::sleep(STORE_PAUSE)).await;
                }
            }
        }
    }

    /// The job whose turn it is, to its end. False when there was none. A job stays in the queue, where it can wait for
    /// long, until its model is there to speak it.
    async fn next(&self, stop: &CancellationToken) -> Result<bool, StoreError> {
        let store = &self.shared.store;
        let Some(next) = store.next(now_ms(), self.overdue_before()).await? else { return Ok(false) };
        let Next { id, model, .. } = &next;
        let waiting = Instant::now();
        let Some(lease) = stop.run_until_cancelled(self.lease(&next)).await else {
            return Ok(true);
        };
        let lease = match lease {
            Ok(lease) => Ok(lease),
            // Gone for good: the job that names it cannot be spoken, today or tomorrow.
            Err(LeaseError::Unknown(unknown)) if model.is_some() => Err(unknown),
            Err(LeaseError::Unknown(unknown)) => {
                self.postpone(*id, NO_MODEL_PAUSE, &unknown.to_string()).await?;
                return Ok(true);
            }
            Err(error @ LeaseError::NotNow { retry_in, .. }) => {
                self.postpone(*id, retry_in, &error.to_string()).await?;
                return Ok(true);
            }
            // Only the stop signal, which is on its way, ends this.
            Err(LeaseError::Stopped) => return Ok(false),
        };
        // Another worker or a cancellation may have been quicker, or a more urgent job has come.
        if let Some(claimed) = store.claim(&next, millis(waiting.elapsed()), now_ms()).await? {
            self.turns.fetch_add(1, Ordering::Relaxed);
            if claimed.is_first {
                self.shared.meters.waited(claimed.priority, claimed.started_at - claimed.created_at);
            }
            let span = log_span(claimed.claim.id);
            self.work(claimed, lease, stop).instrument(span).await;
        }
        Ok(true)
    }

    /// In a turn for the overdue, the time before which they have arrived.
    fn overdue_before(&self) -> Option<i64> {
        let is_theirs = self.turns.load(Ordering::Relaxed) % TURNS_TO_ONE_OVERDUE == TURNS_TO_ONE_OVERDUE - 1;
        let after = millis(self.shared.settings.overdue_after).cast_signed();
        is_theirs.then(|| now_ms().saturating_sub(after))
    }

    async fn lease(&self, next: &Next) -> Result<Lease, LeaseError> {
        let name = match &next.model {
            Some(name) => name.clone(),
            None => self.engine.catalog().default_model()?.name,
        };
        if next.device_failures >= FAILURES_TO_FALL_BACK {
            self.engine.lease_fallback(&name).await
        } else {
            self.engine.lease(&name).await
        }
    }

    async fn postpone(&self, id: JobId, pause: Duration, why: &str) -> Result<(), StoreError> {
        // Rounded up, or it is due a moment too soon.
        let due_at = now_ms() + pause.as_millis() as i64 + 1;
        log_span(id).in_scope(|| tracing::info!(why, ?pause, "job waits for its model"));
        self.shared.store.postpone(id, due_at, why).await
    }

    /// One job, from its claim to the end of the claim.
    async fn work(&self, claimed: Claimed, lease: Result<Lease, UnknownModel>, stop: &CancellationToken) {
        let claim = claimed.claim.clone();
        let retries = claimed.retries;
        let cancel = Cancel::default();
        let registered = self.shared.wakeups.register(claim.id, cancel.clone());
        tracing::info!(characters = claimed.request.text.chars().count(), "job started");

        let spoken = match lease {
            Ok(lease) => {
                let job = Speaking {
                    shared: Arc::clone(&self.shared),
                    lease,
                    claim: claim.clone(),
                    owner: claimed.owner,
                    priority: claimed.priority,
                    created_at: claimed.created_at,
                    was_heard: AtomicBool::new(claimed.was_heard),
                    is_careful: claimed.device_failures > 0,
                    cancel: cancel.clone(),
                    stop: stop.clone(),
                    give_up: CancellationToken::new(),
                    progress: Arc::new(Progress::starting_at(claimed.progress)),
                    live: self.shared.streams.of(claim.id),
                    redo: claimed.redo,
                };
                let running = tokio::spawn(job.run(claimed.request).in_current_span());
                running.await.unwrap_or_else(|crash| Err(crash.into()))
            }
            Err(unknown) => Err(Stopped::NoModel(unknown)),
        };
        // A job that crashed may have left its chunk being spoken.
        cancel.cancel();
        drop(registered);

        while let Err(error) = self.settle(&claim, retries, claimed.started_at, &spoken).await {
            // The outcome must not be forgotten; but when stopping, the next start finds the row still running.
            tracing::error!(error = with_causes(&error), "cannot note how the job ended");
            if stop.run_until_cancelled(tokio::time::sleep(STORE_PAUSE)).await.is_none() {
                return;
            }
        }
    }

    /// Writes down how the job ended and removes the files that nobody needs then.
    async fn settle(
        &self,
        claim: &Claim,
        retries: u32,
        started_at: i64,
        spoken: &Result<Spoken, Stopped>,
    ) -> Result<(), StoreError> {
        let Shared { store, outputs, wakeups, streams, settings, meters, .. } = &*self.shared;
        let id = claim.id;
        let mut ending = Some(Ending::Broken);
        let mine = match spoken {
            Ok(Spoken { output, encode_ms, adoption: Some(adoption) }) => {
                match store.finish_redo(claim, output, *encode_ms, adoption, now_ms()).await? {
                    Adopted::Done => {
                        tracing::info!(of = %adoption.job, chunk = adoption.chunk.position, "chunk replaced");
                        ending = Some(Ending::Completed);
                        self.tidy(claim, adoption).await;
                        true
                    }
                    Adopted::Lost => false,
                    Adopted::Refused => {
                        store.fail(claim, &Stopped::NothingToRedo.to_string(), now_ms()).await?
                    }
                }
            }
            Ok(Spoken { output, encode_ms, adoption: None }) => {
                let mine = store.finish(claim, output, *encode_ms, now_ms()).await?;
                if mine {
                    tracing::info!(bytes = output.bytes, audio_ms = output.duration_ms, "job completed");
                    meters.ran(now_ms() - started_at);
                    ending = Some(Ending::Completed);
                    let is_unheard = streams.end(id, ending);
                    if settings.max_chunk_bytes > 0 {
                        self.shared.keep_chunks(id).await;
                    } else if is_unheard {
                        self.forget_chunks(claim).await;
                    }
                }
                mine
            }
            Err(Stopped::Lost) => false,
            Err(Stopped::Overtaken) => {
                let mine = store.give_way(claim).await?;
                if mine {
                    if self.shared.state() == QueueState::Paused {
                        tracing::info!("job gives way to a pause");
                    } else {
                        tracing::info!("job gives way to a more urgent one");
                    }
                    ending = None;
                }
                mine
            }
            // The job is not to blame for a stop or for a model that is not there; it goes on where it was.
            Err(Stopped::Interrupted | Stopped::Model(ModelError::NotLoaded(_))) => {
                let mine = store.requeue(claim).await?;
                if mine {
                    tracing::info!("job interrupted and put back");
                    ending = None;
                }
                mine
            }
            // Nor for a disk that is full, nor for a database that another process holds. What could not be kept is spoken
            // again.
            Err(error) if error.passes_by_itself().is_some() => {
                let pause = error.passes_by_itself().unwrap_or_default();
                let due_at = now_ms() + millis(pause).cast_signed();
                let why = with_causes(error);
                tracing::warn!(error = why, again_in = ?pause, "job put back, since nothing can be stored");
                let mine = store.put_back(claim, due_at, &why).await?;
                if mine {
                    ending = None;
                }
                mine
            }
            Err(error)
                if let Some(cause) = error.cause()
                    && retries < settings.max_retries =>
            {
                let pause = retry_pause(retries, getrandom::u32().unwrap_or_default());
                let due_at = now_ms() + millis(pause).cast_signed();
                let why = format!("{}; it is tried again", with_causes(error));
                tracing::warn!(error = with_causes(error), cause, retry_in = ?pause, "job will be tried again");
                let by_device = error.is_by_device();
                let mine = store.retry(claim, Again { due_at, why: &why, by_device }).await?;
                if mine {
                    meters.will_retry(cause);
                    ending = None;
                }
                mine
            }
            Err(error) => {
                let message = with_causes(error);
                let mine = store.fail(claim, &message, now_ms()).await?;
                if mine {
                    // Its chunks stay: somebody may have it tried again.
                    tracing::warn!(error = message, "job failed");
                }
                mine
            }
        };
        if !mine {
            tracing::info!("job was cancelled");
            outputs.forget(id).await;
        }
        streams.end(id, ending);
        wakeups.job_ended();
        Ok(())
    }

    async fn forget_chunks(&self, claim: &Claim) {
        let (outputs, id) = (self.shared.outputs.clone(), claim.id);
        if let Ok(Err(error)) = blocking(move || outputs.remove_chunks(id)).await {
            tracing::warn!(error = with_causes(&error), "chunks stay until the next clean-up");
        }
    }
}

impl Worker {
    /// Removes what a replaced chunk leaves behind. Its own files go with its job's, and those who still read the old result
    /// have it open.
    async fn tidy(&self, claim: &Claim, adoption: &Adoption) {
        let (outputs, id, adoption) = (self.shared.outputs.clone(), claim.id, adoption.clone());
        let is_unheard = self.shared.streams.end(id, Some(Ending::Completed));
        let removed = blocking(move || {
            let chunk = &adoption.chunk;
            outputs.remove_result(&adoption.was)?;
            outputs.remove_chunk(adoption.job, (chunk.position, chunk.version.saturating_sub(1)))?;
            if is_unheard { outputs.remove_chunks(id) } else { Ok(()) }
        });
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(error = with_causes(&error), "replaced files stay until the next clean-up");
        }
    }
}

/// `dice` spreads the pause by a quarter to both sides, so that what failed together is not tried again together.
fn retry_pause(retries: u32, dice: u32) -> Duration {
    let pause = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(retries)).min(RETRY_LONGEST);
    pause.mul_f64(0.75 + 0.5 * f64::from(dice) / f64::from(u32::MAX))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Work that blocks, with its log lines under this job.
fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_twice_as_long_each_time_up_to_a_minute_and_a_quarter_more_or_less() {
        let pauses: Vec<f64> =
            (0..9).map(|retries| retry_pause(retries, u32::MAX / 2).as_secs_f64()).collect();
        for (pause, expected) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!((pause - expected).abs() < 0.001, "{pauses:?}");
        }
        assert_eq!(retry_pause(u32::MAX, 0), RETRY_LONGEST.mul_f64(0.75));
        assert_eq!(retry_pause(0, u32::MAX), RETRY_FIRST.mul_f64(1.25));
    }
}
