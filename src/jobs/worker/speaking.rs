//! One job, chunk by chunk: speaks each, puts its file in place and then its row, and joins them in the end.
//!
//! Beside the speaking runs a watch, which writes progress down and ends the job when its claim is lost or the server stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::stopped::{Spoken, Stopped};
use super::{blocking, millis};
use crate::breakpoints::pass;
use crate::jobs::meters::ChunkOutcome;
use crate::jobs::outputs::Outputs;
use crate::jobs::pace::Lap;
use crate::jobs::store::{Checkpoint, Claim};
use crate::jobs::{Output, Priority, Redo, Shared, now_ms, with_causes};
use crate::speech::assemble::{SpokenChunk, assemble};
use crate::speech::chunk::Chunk;
use crate::speech::engine::{Lease, OnBlock, OnProgress};
use crate::speech::model::{ChunkRequest, FORESIGHT, ModelError, ModelInfo};
use crate::speech::request::voice_id;
use crate::speech::stream::Live;
use crate::speech::takes::Takes;
use crate::speech::{self, Cancel, SpeechRequest};

/// How often progress is written, if it changed, and the claim looked at, if it did not. A cancellation from another
/// process is noticed within this.
const TICK: Duration = Duration::from_millis(100);

/// Percent when the last chunk is spoken; what is left until 99 is joining, encoding and syncing.
const SPOKEN: f32 = 98.0;

/// A job in hand.
pub(super) struct Speaking {
    pub(super) shared: Arc<Shared>,
    /// Until the job ends, its model stays.
    pub(super) lease: Lease,
    pub(super) claim: Claim,
    pub(super) owner: String,
    pub(super) priority: Priority,
    /// Milliseconds since the Unix epoch.
    pub(super) created_at: i64,
    /// Something of it could be heard already.
    pub(super) was_heard: AtomicBool,
    /// The device has failed it before: its chunks are spoken one by one.
    pub(super) is_careful: bool,
    pub(super) cancel: Cancel,
    pub(super) stop: CancellationToken,
    /// `cancel` for async code: nobody waits for a token, or for a model that is being loaded.
    pub(super) give_up: CancellationToken,
    pub(super) progress: Arc<Progress>,
    /// What listeners follow.
    pub(super) live: Arc<Live>,
    /// What it speaks is to be a part of another job.
    pub(super) redo: Option<Redo>,
}

impl Speaking {
    pub(super) async fn run(self, request: SpeechRequest) -> Result<Spoken, Stopped> {
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
                    tracing::warn!(error = with_causes(&error), "cannot write progress");
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
            self.progress.begin(position + 1);
            let known = spoken.iter().position(|checkpoint| checkpoint.position == position);
            let known = known.map(|index| spoken.swap_remove(index));
            if !self.is_finished(known, chunk, &info).await? {
                if has_spoken {
                    // Never before a chunk of its own, so that the job gets on however often it is overtaken.
                    if self.shared.store.must_give_way(&self.claim, now_ms()).await? {
                        return Err(Stopped::Overtaken);
                    }
                    // Not beside the first, whose sound somebody waits for; nor where that was too much for the device.
                    if !self.is_careful {
                        self.foretell(
                            request,
                            &info,
                            (position + 1..).zip(&chunks[position as usize + 1..]),
                        )?;
                    }
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
                let adoption = self.adopt(redo, &info, request.clone()).await?;
                Ok(Spoken { adoption: Some(adoption), ..spoken })
            }
        }
    }

    async fn plan(&self, request: &SpeechRequest, info: &Arc<ModelInfo>) -> Result<Vec<Chunk>, Stopped> {
        let (copy, model) = (request.clone(), Arc::clone(info));
        let chunks = blocking(move || speech::plan(&copy, &model)).await?;
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
        Ok(blocking(move || outputs.has_chunk(id, known.position, known.samples, &known.digest)).await?)
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
        // Milliseconds since the Unix epoch; 0 before the first block.
        let first_block = Arc::new(AtomicI64::new(0));
        let heard_first = Arc::clone(&first_block);
        let listener: OnBlock = Arc::new(move |block| {
            if heard_first.load(Ordering::Relaxed) == 0 {
                heard_first.store(now_ms(), Ordering::Relaxed);
            }
            live.hear(block);
        });
        // Whole is a little less work, and a little better: see docs/PERFORMANCE.md.
        let listener = (self.shared.streams.listeners(self.claim.id) > 0).then_some(listener);
        // What was heard cannot be taken back.
        let retakes = if listener.is_some() { 0 } else { request.retakes };
        let mut takes = Takes::new(&order.text, info.sample_rate, order.seed, retakes);
        loop {
            order.seed = takes.seed();
            let (heard, progress) = (listener.clone(), Arc::clone(&on_progress));
            let speaking = self.lease.speak_to(heard, order.clone(), self.cancel.clone(), progress);
            let take = match self.give_up.run_until_cancelled(speaking).await {
                Some(Ok(take)) => take,
                Some(Err(error)) => {
                    if !matches!(error, ModelError::Cancelled) {
                        self.shared.meters.chunk(ChunkOutcome::Failed, 1);
                    }
                    return Err(Stopped::Model(error));
                }
                None => return Err(Stopped::Model(ModelError::Cancelled)),
            };
            if takes.add(take) {
                break;
            }
        }
        let (samples, report) = takes.finish();
        if report.takes > 1 || !report.faults.is_empty() {
            tracing::warn!(chunk = position, ?report, "a chunk came out wrong");
        }
        let outcome = if report.faults.is_empty() { ChunkOutcome::Clean } else { ChunkOutcome::Faulty };
        let takes = report.takes;
        let took_ms = millis(begun.elapsed());
        let count = samples.len() as u64;
        let (outputs, id, sample_rate) = (self.shared.outputs.clone(), self.claim.id, info.sample_rate);
        let digest = blocking(move || {
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
        self.keep(&checkpoint, first_block.load(Ordering::Relaxed)).await?;
        self.shared.meters.chunk(outcome, takes);
        let audio_ms = count * 1000 / u64::from(info.sample_rate.max(1));
        self.shared.meters.spoke(audio_ms, took_ms);
        self.learn(info, (chunk.text.chars().count() as u64, audio_ms), begun);
        Ok(())
    }

    /// Remembers for estimates what so many characters, as so many milliseconds of sound, took since `begun`, with all that
    /// goes with them.
    fn learn(&self, info: &ModelInfo, (characters, audio_ms): (u64, u64), begun: Instant) {
        let took_ms = millis(begun.elapsed());
        self.shared.pace.learn(&Lap { model: info.name.clone(), characters, took_ms, audio_ms });
    }

    /// Notes a finished chunk, and with the first one when the job could first be heard: at its first block, if somebody
    /// listened to it.
    async fn keep(&self, checkpoint: &Checkpoint, first_block: i64) -> Result<(), Stopped> {
        let store = &self.shared.store;
        let is_first = !self.was_heard.swap(true, Ordering::Relaxed);
        if is_first && first_block != 0 {
            fence(store.heard(&self.claim, first_block).await?)?;
        }
        let now = now_ms();
        fence(store.checkpoint(&self.claim, checkpoint, now).await?)?;
        if is_first {
            let heard_at = if first_block == 0 { now } else { first_block };
            self.shared.meters.heard(self.priority, heard_at - self.created_at);
        }
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
        let output = blocking(move || {
            let spoken: Vec<SpokenChunk> = (0_u32..)
                .zip(chunks)
                .map(|(position, chunk)| SpokenChunk {
                    path: outputs.chunk_path(id, position),
                    joint: chunk.joint(),
                    text: chunk.text,
                    written: chunk.written,
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
        self.learn(info, (0, 0), begun);
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
