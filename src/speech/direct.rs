//! The whole way from a request to a file on the caller's own thread: no queue, no server.
//!
//! The command line speaks this way. Each step is the very function that the queue's worker calls, so both sound the
//! same; only what makes a job survive its process is missing here, because there is nobody left to wait for it.

use std::fs::File;
use std::path::Path;

use waveform::wav::{self, WavError};

use super::assemble::{AssembleError, Assembled, SpokenChunk, assemble};
use super::chunk::Chunk;
use super::model::{ChunkRequest, FORESIGHT, ModelError, ModelInfo, SpeechModel};
use super::request::voice_id;
use super::takes::Takes;
use super::{Cancel, SpeechRequest, plan};

/// How far the speech is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Of the whole, 0..1.
    pub share: f32,
    /// Counted from 1.
    pub chunk: usize,
    pub total_chunks: usize,
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Voice(#[from] crate::voices::UnknownVoice),
    #[error("a chunk of audio cannot be kept in the folder for temporary files")]
    Keep(#[from] WavError),
    #[error("the audio cannot be put together")]
    Stitch(#[source] AssembleError),
}

impl From<AssembleError> for SpeakError {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Cancelled => Self::Model(ModelError::Cancelled),
            broken @ AssembleError::Stitch(_) => Self::Stitch(broken),
        }
    }
}

/// Speaks `request` with `model`, which `info` describes, into `out`. `scratch` is an
/// empty folder for the chunks, so that memory stays that of one chunk.
///
/// # Errors
/// Cancellation is [`ModelError::Cancelled`]; `out` then holds nothing of use.
pub fn speak(
    model: &mut dyn SpeechModel,
    info: &ModelInfo,
    request: &SpeechRequest,
    scratch: &Path,
    out: File,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Assembled, SpeakError> {
    let voice = voice_id(&request.voice, info)?.to_owned();
    let chunks = plan(request, info);
    if chunks.is_empty() {
        return Err(ModelError::NothingToSpeak.into());
    }
    let characters = |chunk: &Chunk| chunk.text.chars().count() as f32;
    let all: f32 = chunks.iter().map(characters).sum();
    let total_chunks = chunks.len();
    let mut before = 0.0;
    let mut spoken = Vec::with_capacity(total_chunks);
    let order = |position: usize, chunk: &Chunk| ChunkRequest {
        text: chunk.text.clone(),
        voice: chunk.voice.clone().unwrap_or_else(|| voice.clone()),
        language: request.language.clone(),
        sampling: request.sampling,
        seed: request.seed.wrapping_add(position as u64),
    };
    for (position, chunk) in chunks.iter().enumerate() {
        let length = characters(chunk) / all.max(1.0);
        let behind = chunks.iter().enumerate().skip(position + 1).take(FORESIGHT);
        model.expect(behind.map(|(position, chunk)| order(position, chunk)).collect());
        let mut order = order(position, chunk);
        let mut takes = Takes::new(&order.text, info.sample_rate, order.seed, request.retakes);
        let mut most = 0.0_f32;
        loop {
            order.seed = takes.seed();
            let take = model.speak(&order, cancel, &mut |share| {
                // Another take begins anew; what was shown stays.
                most = most.max(share);
                progress(Progress { share: before + most * length, chunk: position + 1, total_chunks });
            })?;
            if takes.add(take) {
                break;
            }
        }
        let (samples, report) = takes.finish();
        let path = scratch.join(format!("{position}.wav"));
        let mut file = File::create(&path).map_err(WavError::Open)?;
        wav::write_f32(&mut file, &samples, info.sample_rate)?;
        spoken.push(SpokenChunk {
            path,
            text: order.text,
            written: chunk.written.clone(),
            joint: chunk.joint(),
            voice: chunk.voice.clone(),
            report: Some(report),
        });
        before += length;
    }
    Ok(assemble(&spoken, info.sample_rate, request, cancel, out)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::speech::catalog::Catalog;
    use crate::speech::request::Draft;
    use crate::speech::tone::{self, ToneSettings};
    use crate::voices::testing::library;

    fn speak_text(text: &str, cancel: &Cancel) -> (Result<Assembled, SpeakError>, Vec<Progress>) {
        let (_folder, library) = library();
        let offers = tone::offers(ToneSettings::default(), &library);
        let catalog = Catalog::new("tone", library, offers);
        let mut model = catalog.load("tone").unwrap();
        let draft = Draft { text: text.to_owned(), ..Draft::default() };
        let request = draft.check(&Settings::default(), &catalog).unwrap();
        let info = catalog.default_model().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let mut heard = Vec::new();
        let out = tempfile::tempfile().unwrap();
        let spoken = speak(model.as_mut(), &info, &request, scratch.path(), out, cancel, &mut |progress| {
            heard.push(progress);
        });
        (spoken, heard)
    }

    #[test]
    fn progress_rises_to_one_through_all_chunks() {
        let text = "This is one sentence of the text that is spoken. ".repeat(8);
        let (spoken, heard) = speak_text(&text, &Cancel::default());
        let spoken = spoken.unwrap();
        let chunks = &spoken.timeline.chunks;
        assert!(spoken.duration_ms > 1000 && chunks.last().unwrap().end_ms == spoken.duration_ms);
        assert!(chunks.iter().all(|chunk| chunk.report.as_ref().is_some_and(|report| report.takes == 1)));
        assert!(chunks.windows(2).all(|pair| pair[1].start_ms == pair[0].end_ms + 200), "{chunks:?}");
        assert!(heard.is_sorted_by(|a, b| a.share <= b.share && a.chunk <= b.chunk));
        let last = heard.last().unwrap();
        assert!(last.total_chunks > 1 && last.chunk == last.total_chunks);
        assert!((last.share - 1.0).abs() < 1e-3, "{last:?}");
    }

    #[test]
    fn a_cancelled_speech_says_so() {
        let cancel = Cancel::default();
        cancel.cancel();
        let (spoken, _) = speak_text("Hello.", &cancel);
        assert!(matches!(spoken, Err(SpeakError::Model(ModelError::Cancelled))));
    }
}
