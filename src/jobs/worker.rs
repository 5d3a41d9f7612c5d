//! The loop that empties the table: takes a job up, speaks it chunk by chunk, puts the file in place, ends the row.
//!
//! A job may panic, the worker may not: each job runs in a task of its own. Every write names the claim, and a write
//! that changes no row tells the worker that the job was cancelled or taken away; then it stops speaking, removes what
//! it wrote and says nothing more, so a cancelled job can never end as failed. A finished chunk is on disk before its
//! row exists and is never spoken twice; after a crash at most the chunk in the making is lost.

mod redo;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::outputs::Outputs;
use super::pace::Lap;
use super::store::{Adopted, Adoption, Checkpoint, Claim, Claimed, Next};
use super::{JobId, Jobs, Output, Redo, Shared, StoreError, now_ms, with_causes};
use crate::breakpoints::pass;
use crate::files::FileError;
use crate::speech::assemble::{AssembleError, SpokenChunk, assemble};
use crate::speech::catalog::UnknownModel;
use crate::speech::chunk::Chunk;
use crate::speech::engine::{Engine, Lease, LeaseError, OnBlock, OnProgress};
use crate::speech::model::{ChunkRequest, FORESIGHT, ModelError, ModelInfo};
use crate::speech::request::voice_id;
use crate::speech::stream::{Ending, Live};
use crate::speech::takes::Takes;
use crate::speech::{self, Cancel, SpeechRequest};

/// How long an idle worker trusts its wake-up: another process may have queued a job, and a retry may be due.
const IDLE_POLL: Duration = Duration::from_millis(500);

/// How often progress is written, if it changed, and the claim looked at, if it did not. A cancellation from another
/// process is noticed within this.
const TICK: Duration = Duration::from_millis(100);

/// The wait before a database that fails is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The wait of a job whose model is not there and may come back: the server was started without its usual one.
const NO_MODEL_PAUSE: Duration = Duration::from_secs(30);

/// Of so many turns, one goes to the first job that is overdue, whatever is more urgent.
const TURNS_TO_ONE_OVERDUE: u32 = 4;

/// The wait before the first retry of a job; doubles up to [`RETRY_LONGEST`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// Percent when the last chunk is spoken; what is left until 99 is joining, encoding and syncing.
const SPOKEN: f32 = 98.0;

/// Takes up jobs, one at a time.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    engine: Engine,
    /// Jobs taken up so far.
    turns: AtomicU32,
}

/// Why a job did not get to its end.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("the claim is lost: the job was cancelled or is gone")]
    Lost,
    #[error("the server is stopping")]
    Interrupted,
    #[error("a more urgent job waits")]
    Overtaken,
    #[error(transparent)]
    Model(ModelError),
    #[error(transparent)]
    NoModel(UnknownModel),
    #[error("the audio could not be put together")]
    Stitch(#[source] AssembleError),
    #[error("the audio could not be stored")]
    Outputs(#[from] FileError),
    #[error("the job could not be kept up to date")]
    Store(#[from] StoreError),
    #[error("the job whose chunk was to be replaced is gone, or has another result by now")]
    NothingToRedo,
    #[error("the other chunks of the job are no longer kept; speak the whole of it again")]
    ChunksGone,
    #[error("the job crashed; this is a bug")]
    Crashed(#[from] tokio::task::JoinError),
}

impl Stopped {
    /// Whether the same job could succeed another time: what the user caused never does, what the machine did may.
    fn may_pass(&self) -> bool {
        match self {
            Self::Model(error) => error.is_transient(),
            Self::Stitch(_) | Self::Outputs(_) | Self::Store(_) | Self::Crashed(_) => true,
            Self::Lost
            | Self::Interrupted
            | Self::Overtaken
            | Self::NoModel(_)
            | Self::NothingToRedo
            | Self::ChunksGone => false,
        }
    }
}

/// A job that was spoken to its end.
#[derive(Debug)]
struct Spoken {
    output: Output,
    /// Milliseconds to join, encode and sync it.
    encode_ms: u64,
    /// What it is to another job.
    adoption: Option<Adoption>,
}

impl From<AssembleError> for Stopped {
    fn from(error: AssembleError) -> Self {
        match error {
            // Whoever cancelled knows why; `Speaking::why_cancelled` asks.
            AssembleError::Cancelled => Self::Model(ModelError::Cancelled),
            broken @ AssembleError::Stitch(_) => Self::Stitch(broken),
        }
    }
}

impl Worker {
    pub fn new(jobs: &Jobs, engine: Engine) -> Self {
        Self { shared: Arc::clone(&jobs.shared), engine, turns: AtomicU32::new(0) }
    }

    /// Works until told to stop; the job in hand then goes back to the queue.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Before looking, so that a job that arrives in between still wakes.
            let woken = self.shared.wakeups.work();
            match self.next(&stop).await {
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
        let Some(lease) = stop.run_until_cancelled(self.lease(model.as_deref())).await else {
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
            self.work(claimed, lease, stop).await;
        }
        Ok(true)
    }

    /// In a turn for the overdue, the time before which they have arrived.
    fn overdue_before(&self) -> Option<i64> {
        let is_theirs = self.turns.load(Ordering::Relaxed) % TURNS_TO_ONE_OVERDUE == TURNS_TO_ONE_OVERDUE - 1;
        let after = millis(self.shared.settings.overdue_after).cast_signed();
        is_theirs.then(|| now_ms().saturating_sub(after))
    }

    async fn lease(&self, model: Option<&str>) -> Result<Lease, LeaseError> {
        match model {
            Some(name) => self.engine.lease(name).await,
            None => self.engine.lease(&self.engine.catalog().default_model()?.name).await,
        }
    }

    async fn postpone(&self, id: JobId, pause: Duration, why: &str) -> Result<(), StoreError> {
        // Rounded up, or it is due a moment too soon.
        let due_at = now_ms() + pause.as_millis() as i64 + 1;
        tracing::info!(job = %id, why, ?pause, "job waits for its model");
        self.shared.store.postpone(id, due_at, why).await
    }

    /// One job, from its claim to the end of the claim.
    async fn work(&self, claimed: Claimed, lease: Result<Lease, UnknownModel>, stop: &CancellationToken) {
        let claim = claimed.claim.clone();
        let retries = claimed.retries;
        let cancel = Cancel::default();
        let registered = self.shared.wakeups.register(claim.id, cancel.clone());
        tracing::info!(job = %claim.id, characters = claimed.request.text.chars().count(), "job started");

        let spoken = match lease {
            Ok(lease) => {
                let job = Speaking {
                    shared: Arc::clone(&self.shared),
                    lease,
                    claim: claim.clone(),
                    owner: claimed.owner,
                    cancel: cancel.clone(),
                    stop: stop.clone(),
                    give_up: CancellationToken::new(),
                    progress: Arc::new(Progress::starting_at(claimed.progress)),
                    live: self.shared.streams.of(claim.id),
                    redo: claimed.redo,
                };
                tokio::spawn(job.run(claimed.request)).await.unwrap_or_else(|crash| Err(crash.into()))
            }
            Err(unknown) => Err(Stopped::NoModel(unknown)),
        };
        // A job that crashed may have left its chunk being spoken.
        cancel.cancel();
        drop(registered);

        while let Err(error) = self.settle(&claim, retries, &spoken).await {
            // The outcome must not be forgotten; but when stopping, the next start finds the row still running.
            tracing::error!(job = %claim.id, error = with_causes(&error), "cannot note how the job ended");
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
        spoken: &Result<Spoken, Stopped>,
    ) -> Result<(), StoreError> {
        let Shared { store, outputs, wakeups, streams, settings, .. } = &*self.shared;
        let id = claim.id;
        let mut ending = Some(Ending::Broken);
        let mine = match spoken {
            Ok(Spoken { output, encode_ms, adoption: Some(adoption) }) => {
                match store.finish_redo(claim, output, *encode_ms, adoption, now_ms()).await? {
                    Adopted::Done => {
                        tracing::info!(job = %id, of = %adoption.job, chunk = adoption.chunk.position, "chunk replaced");
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
                    tracing::info!(job = %id, bytes = output.bytes, audio_ms = output.duration_ms, "job completed");
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
                    tracing::info!(job = %id, "job gives way to a more urgent one");
                    ending = None;
                }
                mine
            }
            // The job is not to blame for a stop or for a model that is not there; it goes on where it was.
            Err(Stopped::Interrupted | Stopped::Model(ModelError::NotLoaded(_))) => {
                let mine = store.requeue(claim).await?;
                if mine {
                    tracing::info!(job = %id, "job interrupted and put back");
                    ending = None;
                }
                mine
            }
            Err(error) if error.may_pass() && retries < settings.max_retries => {
                let pause = retry_pause(retries, getrandom::u32().unwrap_or_default());
                let due_at = now_ms() + millis(pause).cast_signed();
                let why = format!("{}; it is tried again", with_causes(error));
                tracing::warn!(job = %id, error = with_causes(error), retry_in = ?pause, "job will be tried again");
                let mine = store.retry(claim, due_at, &why).await?;
                if mine {
                    ending = None;
                }
                mine
            }
            Err(error) => {
                let message = with_causes(error);
                let mine = store.fail(claim, &message, now_ms()).await?;
                if mine {
                    // Its chunks stay: somebody may have it tried again.
                    tracing::warn!(job = %id, error = message, "job failed");
                }
                mine
            }
        };
        if !mine {
            tracing::info!(job = %id, "job was cancelled");
            outputs.forget(id).await;
        }
        streams.end(id, ending);
        wakeups.job_ended();
        Ok(())
    }

    async fn forget_chunks(&self, claim: &Claim) {
        let (outputs, id) = (self.shared.outputs.clone(), claim.id);
        if let Ok(Err(error)) = spawn_blocking(move || outputs.remove_chunks(id)).await {
            tracing::warn!(job = %id, error = with_causes(&error), "chunks stay until the next clean-up");
        }
    }
}

impl Worker {
    /// Removes what a replaced chunk leaves behind. Its own files go with its job's, and those who still read the old result
    /// have it open.
    async fn tidy(&self, claim: &Claim, adoption: &Adoption) {
        let (outputs, id, adoption) = (self.shared.outputs.clone(), claim.id, adoption.clone());
        let is_unheard = self.shared.streams.end(id, Some(Ending::Completed));
        let removed = spawn_blocking(move || {
            let chunk = &adoption.chunk;
            outputs.remove_result(&adoption.was)?;
            outputs.remove_chunk(adoption.job, (chunk.position, chunk.version.saturating_sub(1)))?;
            if is_unheard { outputs.remove_chunks(id) } else { Ok(()) }
        });
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(job = %id, error = with_causes(&error), "replaced files stay until the next clean-up");
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

/// How far a job is, shared between the model's thread, which raises it at every token, and the task that writes it down.
#[derive(Debug)]
struct Progress {
    percent: AtomicU32,
    /// Counted from 1.
    chunk: AtomicU32,
}

impl Progress {
    fn starting_at(percent: u8) -> Self {
        Self { percent: AtomicU32::new(percent.into()), chunk: AtomicU32::new(0) }
    }

    fn raise(&self, percent: f32) {
        // Rounds down, so nothing is shown before it is done.
        self.percent.fetch_max(percent.clamp(0.0, 99.0) as u32, Ordering::Relaxed);
    }

    fn read(&self) -> (u8, u32) {
        (self.percent.load(Ordering::Relaxed) as u8, self.chunk.load(Ordering::Relaxed))
    }
}

/// A job in hand.
struct Speaking {
    shared: Arc<Shared>,
    /// Until the job ends, its model stays.
    lease: Lease,
    claim: Claim,
    owner: String,
    cancel: Cancel,
    stop: CancellationToken,
    /// `cancel` for async code: nobody waits for a token, or for a model that is being loaded.
    give_up: CancellationToken,
    progress: Arc<Progress>,
    /// What listeners follow.
    live: Arc<Live>,
    redo: Option<Redo>,
}

impl Speaking {
    async fn run(self, request: SpeechRequest) -> Result<Spoken, Stopped> {
        let mut speaking = std::pin::pin!(self.speak(&request));
        tokio::select! {
            spoken = &mut speaking => spoken.map_err(|error| self.why_cancelled(error)),
            stopped = self.watch() => {
                self.cancel.cancel();
                self.give_up.cancel();
                // To its next safe place, never dropped: a file that is being written must not appear after the
                // files of the job were removed.
                speaking.await.map_err(|_cancelled| stopped)
            }
        }
    }

    /// Ends only when the job must: writes progress that changed, and looks at the claim where nothing changed.
    async fn watch(&self) -> Stopped {
        let mut written = (0, 0);
        loop {
            if self.stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_none() {
                return Stopped::Interrupted;
            }
            let now = self.progress.read();
            let mine = if now == written {
                self.shared.store.holds(&self.claim).await
            } else {
                self.shared.store.progress(&self.claim, now.0, now.1).await
            };
            match mine {
                Ok(true) => {
                    if now != written {
                        self.shared.hub.progress(self.claim.id, &self.owner, now.0, now.1);
                    }
                    written = now;
                }
                Ok(false) => return Stopped::Lost,
                // A tick that fails is not worth a job; the writes that matter will fail by themselves.
                Err(error) => {
                    tracing::warn!(job = %self.claim.id, error = with_causes(&error), "cannot write progress");
                }
            }
        }
    }

    /// The model says "cancelled" whoever wanted it; the reason is known here.
    fn why_cancelled(&self, stopped: Stopped) -> Stopped {
        match stopped {
            Stopped::Model(ModelError::Cancelled) if self.stop.is_cancelled() => Stopped::Interrupted,
            Stopped::Model(ModelError::Cancelled) => Stopped::Lost,
            other => other,
        }
    }

    async fn speak(&self, request: &SpeechRequest) -> Result<Spoken, Stopped> {
        let info = Arc::clone(self.lease.info());
        let chunks = self.plan(request, &info).await?;
        let mut spoken = self.shared.store.checkpoints(self.claim.id).await?;
        self.live.begin(info.sample_rate, &chunks);
        let characters: usize = chunks.iter().map(|chunk| chunk.text.chars().count()).sum();
        let percent_per_character = SPOKEN / characters.max(1) as f32;
        let mut before = 0.0;
        let mut has_spoken = false;
        for (position, chunk) in (0_u32..).zip(&chunks) {
            let length = chunk.text.chars().count() as f32 * percent_per_character;
            self.progress.chunk.store(position + 1, Ordering::Relaxed);
            let known = spoken.iter().position(|checkpoint| checkpoint.position == position);
            let known = known.map(|index| spoken.swap_remove(index));
            if !self.is_finished(known, chunk, &info).await? {
                if has_spoken {
                    // Never before a chunk of its own, so that the job gets on however often it is overtaken.
                    if self.shared.store.is_overtaken(&self.claim, now_ms()).await? {
                        return Err(Stopped::Overtaken);
                    }
                    // Not beside the first, whose sound somebody waits for.
                    self.foretell(request, &info, (position + 1..).zip(&chunks[position as usize + 1..]))?;
                }
                has_spoken = true;
                let progress = Arc::clone(&self.progress);
                let on_progress: OnProgress = Arc::new(move |share| progress.raise(before + share * length));
                self.speak_chunk(request, &info, position, chunk, on_progress).await?;
            }
            self.live.keep();
            before += length;
            self.progress.raise(before);
        }
        let spoken = self.join(request, &info, chunks).await?;
        match self.redo {
            None => Ok(spoken),
            Some(redo) => {
                Ok(Spoken { adoption: Some(self.adopt(redo, &info, request.voice.clone()).await?), ..spoken })
            }
        }
    }

    async fn plan(&self, request: &SpeechRequest, info: &Arc<ModelInfo>) -> Result<Vec<Chunk>, Stopped> {
        let (copy, model) = (request.clone(), Arc::clone(info));
        let chunks = spawn_blocking(move || speech::plan(&copy, &model)).await?;
        if chunks.is_empty() {
            return Err(Stopped::Model(ModelError::NothingToSpeak));
        }
        fence(self.shared.store.plan(&self.claim, chunks.len() as u32).await?)?;
        Ok(chunks)
    }

    /// Whether an earlier start has spoken this very chunk with this model, and its file is there.
    async fn is_finished(
        &self,
        known: Option<Checkpoint>,
        chunk: &Chunk,
        info: &ModelInfo,
    ) -> Result<bool, Stopped> {
        let Some(known) = known else { return Ok(false) };
        if known.text != chunk.text || known.model != info.name || known.sample_rate != info.sample_rate {
            return Ok(false);
        }
        let (outputs, id) = (self.shared.outputs.clone(), self.claim.id);
        Ok(spawn_blocking(move || outputs.has_chunk(id, known.position, known.samples, &known.digest))
            .await?)
    }

    /// Tells the model what follows. A chunk among it that an earlier start has finished is begun in vain, which is rare.
    fn foretell<'a>(
        &self,
        request: &SpeechRequest,
        info: &ModelInfo,
        behind: impl Iterator<Item = (u32, &'a Chunk)>,
    ) -> Result<(), Stopped> {
        let next = behind.take(FORESIGHT).map(|(position, chunk)| order(request, info, position, chunk));
        self.lease.expect(next.collect::<Result<_, _>>()?);
        Ok(())
    }

    async fn speak_chunk(
        &self,
        request: &SpeechRequest,
        info: &ModelInfo,
        position: u32,
        chunk: &Chunk,
        on_progress: OnProgress,
    ) -> Result<(), Stopped> {
        let mut order = order(request, info, position, chunk)?;
        pass("before chunk");
        let begun = Instant::now();
        let live = Arc::clone(&self.live);
        let listener: OnBlock = Arc::new(move |block| live.hear(block));
        // Whole is a little less work, and a little better: see docs/PERFORMANCE.md.
        let listener = (self.shared.streams.listeners(self.claim.id) > 0).then_some(listener);
        // What was heard cannot be taken back.
        let retakes = if listener.is_some() { 0 } else { request.retakes };
        let mut takes = Takes::new(&order.text, info.sample_rate, order.seed, retakes);
        loop {
            order.seed = takes.seed();
            let (heard, progress) = (listener.clone(), Arc::clone(&on_progress));
            let speaking = self.lease.speak_to(heard, order.clone(), self.cancel.clone(), progress);
            let samples = match self.give_up.run_until_cancelled(speaking).await {
                Some(spoken) => spoken.map_err(Stopped::Model)?,
                None => return Err(Stopped::Model(ModelError::Cancelled)),
            };
            if takes.add(samples) {
                break;
            }
        }
        let (samples, report) = takes.finish();
        if report.takes > 1 || !report.faults.is_empty() {
            tracing::warn!(job = %self.claim.id, chunk = position, ?report, "a chunk came out wrong");
        }
        let took_ms = millis(begun.elapsed());
        let count = samples.len() as u64;
        let (outputs, id, sample_rate) = (self.shared.outputs.clone(), self.claim.id, info.sample_rate);
        let digest = spawn_blocking(move || {
            // First the report: the samples make the chunk exist.
            outputs.write_report(id, position, &report)?;
            outputs.write_chunk(id, position, sample_rate, &samples)
        })
        .await??;
        let checkpoint = Checkpoint {
            position,
            text: chunk.text.clone(),
            model: info.name.clone(),
            sample_rate: info.sample_rate,
            samples: count,
            took_ms,
            digest,
            version: 0,
        };
        fence(self.shared.store.checkpoint(&self.claim, &checkpoint, now_ms()).await?)?;
        let characters = chunk.text.chars().count() as u64;
        self.shared.pace.learn(&Lap { model: info.name.clone(), characters, took_ms });
        Ok(())
    }

    /// All chunks into the one file that the request asks for.
    async fn join(
        &self,
        request: &SpeechRequest,
        info: &ModelInfo,
        chunks: Vec<Chunk>,
    ) -> Result<Spoken, Stopped> {
        pass("before joining");
        let begun = Instant::now();
        let (outputs, id, cancel) = (self.shared.outputs.clone(), self.claim.id, self.cancel.clone());
        let (request, sample_rate) = (request.clone(), info.sample_rate);
        let output = spawn_blocking(move || {
            let spoken: Vec<SpokenChunk> = (0_u32..)
                .zip(chunks)
                .map(|(position, chunk)| SpokenChunk {
                    path: outputs.chunk_path(id, position),
                    joint: chunk.joint(),
                    text: chunk.text,
                    voice: chunk.voice,
                    report: outputs.report(id, position),
                })
                .collect();
            let file_name = Outputs::result_name(id, request.format);
            let (bytes, assembled) = outputs.publish::<_, Stopped>(&file_name, |file| {
                Ok(assemble(&spoken, sample_rate, &request, &cancel, file)?)
            })?;
            outputs.write_timeline(&file_name, &assembled.timeline)?;
            let duration_ms = assembled.duration_ms;
            Ok::<_, Stopped>(Output { file_name, format: request.format, bytes, duration_ms })
        });
        let output = output.await??;
        self.progress.raise(99.0);
        Ok(Spoken { output, encode_ms: millis(begun.elapsed()), adoption: None })
    }
}

/// What the model is asked for.
fn order(
    request: &SpeechRequest,
    info: &ModelInfo,
    position: u32,
    chunk: &Chunk,
) -> Result<ChunkRequest, Stopped> {
    // Accepted a while ago: its voice may have been removed since, or carry the name that an older server kept.
    let voice = voice_id(chunk.voice.as_ref().unwrap_or(&request.voice), info)
        .map_err(|unknown| Stopped::Model(ModelError::UnknownVoice(unknown.wanted)))?;
    Ok(ChunkRequest {
        text: chunk.text.clone(),
        voice: voice.to_owned(),
        language: request.language.clone(),
        sampling: request.sampling,
        // Each chunk has its own, so that a chunk sounds the same whichever of them an earlier start has finished.
        seed: request.seed.wrapping_add(position.into()),
    })
}

fn fence(mine: bool) -> Result<(), Stopped> {
    if mine { Ok(()) } else { Err(Stopped::Lost) }
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

    #[test]
    fn progress_never_falls_and_leaves_100_to_the_finished_row() {
        let progress = Progress::starting_at(40);
        progress.raise(10.0);
        assert_eq!(progress.read().0, 40);
        progress.raise(54.9);
        assert_eq!(progress.read().0, 54);
        progress.raise(100.0);
        assert_eq!(progress.read().0, 99);
    }
}
