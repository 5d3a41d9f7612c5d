//! A chunk of a completed job that was spoken again takes the place of the one that was there.
//!
//! Speaking it is a job like any other: it is queued, claimed, cancelled and taken up after a crash as others are, and its own
//! result is the sound of that chunk. What it does more is done here: the sound goes into the other job's folder under a name
//! that no row speaks of yet, the other job's chunks are joined anew, and the file is put beside the old one. Then one commit
//! ends the job and points the other one's rows to the new files. Until that the old result is the result, and a crash leaves
//! files that the clean-up removes.

use std::time::Instant;

use super::speaking::Speaking;
use super::stopped::Stopped;
use super::{blocking, millis};
use crate::jobs::outputs::Outputs;
use crate::jobs::store::{Adoption, Checkpoint};
use crate::jobs::{Job, JobId, Output, Redo};
use crate::speech::assemble::{SpokenChunk, assemble};
use crate::speech::model::ModelInfo;
use crate::speech::takes::Report;
use crate::speech::{self, Cancel, SpeechRequest};

impl Speaking {
    /// Puts the chunk that was spoken among those of its job, and joins them. Nothing of that counts before it is committed.
    pub(super) async fn adopt(
        &self,
        redo: Redo,
        info: &ModelInfo,
        request: SpeechRequest,
    ) -> Result<Adoption, Stopped> {
        let store = &self.shared.store;
        let parent = store.get(redo.job).await?.ok_or(Stopped::NothingToRedo)?;
        let was = parent.output.clone().ok_or(Stopped::NothingToRedo)?;
        let chunks = store.checkpoints(redo.job).await?;
        let new = store.checkpoints(self.claim.id).await?.pop().ok_or(Stopped::NothingToRedo)?;
        let (outputs, child, cancel) = (self.shared.outputs.clone(), self.claim.id, self.cancel.clone());
        let info = info.clone();
        let joined = blocking(move || {
            let begun = Instant::now();
            let joining = Joining { outputs, child, redo, info, cancel, request };
            let (chunk, output) = joining.join(&parent, &was.file_name, chunks, &new)?;
            Ok::<_, Stopped>(Adoption {
                job: parent.id,
                was: was.file_name,
                output,
                chunk,
                encode_ms: millis(begun.elapsed()),
            })
        });
        joined.await?
    }
}

struct Joining {
    outputs: Outputs,
    child: JobId,
    redo: Redo,
    info: ModelInfo,
    cancel: Cancel,
    /// What the new chunk was made of.
    request: SpeechRequest,
}

impl Joining {
    /// The new chunk as it stands among the others, and the new result.
    fn join(
        &self,
        parent: &Job,
        was: &str,
        chunks: Vec<Checkpoint>,
        new: &Checkpoint,
    ) -> Result<(Checkpoint, Output), Stopped> {
        let Self { outputs, redo, info, .. } = self;
        // The same request makes the same plan; only another program could make another one.
        let plan = speech::plan(&parent.request, info);
        let is_same = |chunk: &Checkpoint| chunk.model == new.model && chunk.sample_rate == new.sample_rate;
        if plan.len() != chunks.len() || !chunks.iter().all(is_same) {
            return Err(Stopped::ChunksGone);
        }
        let mut spoken = Vec::with_capacity(chunks.len());
        let mut adopted = None;
        for (planned, chunk) in plan.into_iter().zip(chunks) {
            let place = (chunk.position, chunk.version);
            let report = outputs.report(parent.id, place);
            let (text, other, place, report, voice) = if chunk.position == redo.chunk {
                let place = (chunk.position, chunk.version + 1);
                let report = self.move_in(parent.id, place, new, report.as_ref())?;
                adopted = Some(Checkpoint { position: place.0, version: place.1, ..new.clone() });
                let SpeechRequest { voice, text: sent, .. } = &self.request;
                let voice = (*voice != parent.request.voice).then(|| voice.clone());
                (new.text.clone(), sent, place, Some(report), voice)
            } else {
                if !outputs.has_chunk(parent.id, place, chunk.samples, &chunk.digest) {
                    return Err(Stopped::ChunksGone);
                }
                let said = chunk.text.clone();
                (said, &chunk.text, place, report, planned.voice.clone())
            };
            let path = outputs.chunk_path(parent.id, place);
            // What was written for another text than the plan's is not known where an earlier take has changed it.
            let written = if text == planned.text { &planned.written } else { other }.clone();
            spoken.push(SpokenChunk { path, text, written, joint: planned.joint(), voice, report });
        }
        let file_name = Outputs::next_result_name(parent.id, parent.request.format, was);
        let (bytes, assembled) = outputs.publish::<_, Stopped>(&file_name, |file| {
            Ok(assemble(&spoken, info.sample_rate, &parent.request, &self.cancel, file)?)
        })?;
        outputs.write_timeline(&file_name, &assembled.timeline)?;
        let duration_ms = assembled.duration_ms;
        let output = Output { file_name, format: parent.request.format, bytes, duration_ms };
        Ok((adopted.ok_or(Stopped::NothingToRedo)?, output))
    }

    /// Copies the new chunk into the folder of the others; its takes are added to those before.
    fn move_in(
        &self,
        parent: JobId,
        place: (u32, u32),
        new: &Checkpoint,
        before: Option<&Report>,
    ) -> Result<Report, Stopped> {
        let outputs = &self.outputs;
        let read = waveform::wav::read(outputs.chunk_path(self.child, new.position));
        let samples = read.map_err(|_gone| Stopped::ChunksGone)?.samples;
        let mut report = outputs.report(self.child, new.position).unwrap_or_default();
        report.takes += before.map_or(1, |before| before.takes);
        outputs.write_report(parent, place, &report)?;
        outputs.write_chunk(parent, place, new.sample_rate, &samples)?;
        Ok(report)
    }
}
