//! A loaded checkpoint behind the trait of `model`.

use std::ops::ControlFlow;
use std::sync::Arc;

use chatterbox::conversion::{ConversionError, convert, pieces};
use chatterbox::device::{Choice, Reclaim};
use chatterbox::noise::Seeded;
use chatterbox::pipeline::{Ahead, Chatterbox, SpeakError, Step};
use chatterbox::s3gen::Prepared;
use chatterbox::t3::T3Error;
use chatterbox::text::Language;
use chatterbox::variant::{SAMPLE_RATE, SamplingConfig};
use chatterbox::voice::Voice;
use chatterbox::watermark::Watermark;

use super::cloning::Cloner;
use super::wishes::{overridden, without_unknown_tags};
use crate::speech::model::{ChunkRequest, ConversionRequest, Loaded, ModelError, SpeechModel, Take};
use crate::speech::{Cancel, Sampling};

/// A Chatterbox checkpoint on its device.
pub(super) struct Spoken {
    model: Chatterbox,
    /// Its own, by id.
    voices: Vec<(String, Voice)>,
    /// Makes voices of the library's clips, where the checkpoint can.
    cloner: Option<Cloner>,
    /// What speaking in blocks needs of the voice that it was last done with; some hundred megabytes for a cloned one.
    prepared: Option<Prepared>,
    /// What will be wanted next, and those chunks of it that were begun.
    expected: Vec<ChunkRequest>,
    ahead: Vec<(ChunkRequest, Ahead)>,
    /// Chunks that decode together, the wanted one included.
    together: usize,
    /// Marks what is spoken, where it is to be marked.
    watermark: Option<Arc<Watermark>>,
    loaded: Loaded,
    /// Last: it frees what the fields above leave on the device.
    _reclaim: Reclaim,
}

impl Spoken {
    /// `voices` are the checkpoint's own. On a GPU, speaks once, so that no request waits for kernels to be compiled.
    pub(super) fn new(
        model: Chatterbox,
        voices: Vec<(String, Voice)>,
        cloner: Option<Cloner>,
        watermark: Option<Arc<Watermark>>,
        resident_bytes: u64,
        choice: &Choice,
    ) -> Result<Self, ModelError> {
        let loaded = Loaded {
            device: choice.name.clone(),
            device_reason: choice.reason.clone(),
            precision: choice.precision.to_string(),
            self_test: choice.self_test.clone(),
            resident_bytes,
            watermarked: watermark.is_some(),
        };
        let mut spoken = Self {
            model,
            voices,
            cloner,
            watermark,
            prepared: None,
            expected: Vec::new(),
            ahead: Vec::new(),
            together: 1,
            loaded,
            _reclaim: Reclaim::on(choice),
        };
        if choice.is_gpu {
            spoken.warm_up()?;
        }
        Ok(spoken)
    }

    /// Lets up to so many chunks decode together, as far as this model and device allow.
    #[must_use]
    pub(super) fn with_chunks_together(self, chunks: usize) -> Self {
        Self { together: chunks.min(self.model.most_together()), ..self }
    }

    fn warm_up(&mut self) -> Result<(), ModelError> {
        let Some((voice, _)) = self.voices.first() else { return Ok(()) };
        let started = std::time::Instant::now();
        let request = ChunkRequest {
            text: "The quick brown fox jumps over the lazy dog.".to_owned(),
            voice: voice.clone(),
            language: None,
            sampling: Sampling::default(),
            seed: 1,
        };
        self.speak(&request, &Cancel::default(), &mut |_| {})?;
        tracing::info!(seconds = started.elapsed().as_secs_f32(), "kernels compiled");
        Ok(())
    }
}

impl SpeechModel for Spoken {
    fn loaded(&self) -> Loaded {
        self.loaded.clone()
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Take, ModelError> {
        if !is_speakable(&without_unknown_tags(&chunk.text, &self.model.tags())) {
            return Ok(Take { samples: short_silence(), is_stuck: false });
        }
        let voice = voice(&self.voices, &mut self.cloner, &chunk.voice)?;
        let wanted = match self.ahead.iter().position(|(begun, _)| begun == chunk) {
            Some(place) => self.ahead.swap_remove(place).1,
            None => begin(&self.model, voice, chunk)?,
        };
        // What was begun is of use to one who goes on as expected, and in the way of everybody else.
        let expected = &self.expected;
        self.ahead.retain(|(begun, _)| expected.contains(begun));
        for next in &self.expected {
            let open = self.ahead.iter().filter(|(_, ahead)| !ahead.is_decoded()).count();
            if open + 1 >= self.together || self.ahead.len() >= 2 * self.together || cancel.is_cancelled() {
                break;
            }
            let is_begun = self.ahead.iter().any(|(begun, _)| begun == next);
            if is_begun || next.voice != chunk.voice || !is_speakable(&next.text) {
                continue;
            }
            // What is wrong with it is said when it is wanted.
            if let Ok(begun) = begin(&self.model, voice, next) {
                self.ahead.push((next.clone(), begun));
            }
        }
        let mut others: Vec<&mut Ahead> = self.ahead.iter_mut().map(|(_, ahead)| ahead).collect();
        let mut observe = |step| {
            progress(share_done(step));
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let spoken = self.model.speak_ahead(wanted, voice, &mut others, &mut observe);
        let spoken = match spoken {
            Ok(spoken) => spoken,
            Err(error) => {
                // Somewhere between two steps.
                self.ahead.clear();
                return Err(from_speaking(error));
            }
        };
        let is_stuck = spoken.is_stuck();
        let samples = marked(self.watermark.as_deref(), spoken.samples)?;
        progress(1.0);
        Ok(Take { samples, is_stuck })
    }

    fn convert(
        &mut self,
        recording: &ConversionRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Vec<f32>, ModelError> {
        let Some(cloner) = &mut self.cloner else {
            return Err(ModelError::Refused("it cannot convert recordings".to_owned()));
        };
        let tokenizer = cloner.tokenizer()?;
        let own = self.voices.iter().find(|(id, _)| *id == recording.voice);
        let target = match own {
            Some((_, voice)) => &voice.reference,
            None => &cloner.voice(&recording.voice)?.reference,
        };
        let pieces = pieces(&recording.samples);
        let mut samples = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let mut observe = |step| {
                // Hearing the words is the small part, making the sound the large one.
                let share = if step == Step::Samples { 0.6 } else { 0.2 };
                progress((index as f32 + share) / pieces.len() as f32);
                if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let noise = &mut Seeded::new(recording.seed.wrapping_add(index as u64));
            let converted = convert(piece, &tokenizer, self.model.s3gen(), target, noise, &mut observe);
            let converted = converted.map_err(|error| match error {
                ConversionError::Cancelled => ModelError::Cancelled,
                ConversionError::Device(cause) => ModelError::Device(cause),
                error @ ConversionError::NothingToConvert => ModelError::Refused(error.to_string()),
            })?;
            samples.extend(marked(self.watermark.as_deref(), converted)?);
        }
        progress(1.0);
        Ok(samples)
    }

    fn speak_in_blocks(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
        emit: &mut dyn FnMut(&[f32]),
    ) -> Result<Take, ModelError> {
        let text = without_unknown_tags(&chunk.text, &self.model.tags());
        let voice = voice(&self.voices, &mut self.cloner, &chunk.voice)?;
        // A mark is put on the whole.
        let prepared = if is_speakable(&text) && self.watermark.is_none() {
            prepared(&self.model, voice, &mut self.prepared).map_err(from_speaking)?
        } else {
            None
        };
        let Some(prepared) = prepared else {
            let take = self.speak(chunk, cancel, progress)?;
            emit(&take.samples);
            return Ok(take);
        };
        // It goes alone: company would keep its listener waiting.
        self.ahead.retain(|(begun, _)| begun != chunk);
        let (sampling, language) = wishes(&self.model, voice, chunk);
        let mut observe = |step| {
            progress(share_done(step));
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let voice = (voice, prepared);
        let spoken =
            self.model.speak_in_blocks(&text, language, voice, &sampling, chunk.seed, &mut observe, emit);
        let spoken = spoken.map_err(from_speaking)?;
        progress(1.0);
        Ok(Take { is_stuck: spoken.is_stuck(), samples: spoken.samples })
    }

    fn expect(&mut self, next: Vec<ChunkRequest>) {
        if next.is_empty() {
            self.ahead.clear();
        }
        self.expected = next;
    }
}

/// What the vocoder makes ends on a step of the mark's own transform, so nothing is cut off.
fn marked(watermark: Option<&Watermark>, samples: Vec<f32>) -> Result<Vec<f32>, ModelError> {
    match watermark {
        Some(watermark) => watermark.mark(&samples, SAMPLE_RATE).map_err(ModelError::Device),
        None => Ok(samples),
    }
}

fn voice<'a>(
    own: &'a [(String, Voice)],
    cloner: &'a mut Option<Cloner>,
    id: &str,
) -> Result<&'a Voice, ModelError> {
    match (own.iter().find(|(known, _)| known == id), cloner) {
        (Some((_, voice)), _) => Ok(voice),
        (None, Some(cloner)) => cloner.voice(id),
        (None, None) => Err(ModelError::UnknownVoice(id.to_owned())),
    }
}

/// Begins a chunk as its request says.
fn begin(model: &Chatterbox, voice: &Voice, chunk: &ChunkRequest) -> Result<Ahead, ModelError> {
    let text = without_unknown_tags(&chunk.text, &model.tags());
    let (sampling, language) = wishes(model, voice, chunk);
    model.begin(&text, language, voice, &sampling, chunk.seed).map_err(from_speaking)
}

/// How a chunk is to be sampled, and in which language it is.
fn wishes(model: &Chatterbox, voice: &Voice, chunk: &ChunkRequest) -> (SamplingConfig, Option<Language>) {
    let mut sampling = model.config().sampling.clone();
    sampling.exaggeration = voice.speaker.emotion.unwrap_or(sampling.exaggeration);
    (overridden(sampling, &chunk.sampling), chunk.language.as_deref().and_then(Language::of_code))
}

/// For bare punctuation ("…", "* * *"), at which a model would babble.
fn short_silence() -> Vec<f32> {
    vec![0.0; SAMPLE_RATE as usize / 5]
}

fn is_speakable(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

fn from_speaking(error: SpeakError) -> ModelError {
    match error {
        SpeakError::Cancelled => ModelError::Cancelled,
        SpeakError::NothingToSay => ModelError::NothingToSpeak,
        SpeakError::T3(T3Error::Device(cause)) | SpeakError::Device(cause) => ModelError::Device(cause),
        error @ (SpeakError::T3(_) | SpeakError::Text(_) | SpeakError::NothingSaid) => {
            ModelError::Refused(error.to_string())
        }
    }
}

/// What is kept if it is this voice's, else made anew. `None` where the model speaks only whole.
fn prepared<'a>(
    model: &Chatterbox,
    voice: &Voice,
    kept: &'a mut Option<Prepared>,
) -> Result<Option<&'a Prepared>, SpeakError> {
    if !kept.as_ref().is_some_and(|kept| kept.is_of(&voice.reference)) {
        *kept = None;
        *kept = model.prepare(voice)?;
    }
    Ok(kept.as_ref())
}

/// The share of a chunk's work that is done, as the stages were measured on the CPU: T3 is about half of it.
fn share_done(step: Step) -> f32 {
    match step {
        Step::Token { count, expected } => 0.5 * count as f32 / expected as f32,
        Step::Mel => 0.5,
        Step::Samples => 0.7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::chatterbox::embedded;

    fn pico() -> Spoken {
        let choice = chatterbox::device::choose(chatterbox::device::Request::Cpu).unwrap();
        embedded::load(&choice, None).unwrap().with_chunks_together(3)
    }

    fn chunks() -> Vec<ChunkRequest> {
        let texts =
            ["Good morning!", "…", "The old bridge is open.", "Who is there?", "Yes.", "A long walk home."];
        let request = |(index, text): (usize, &str)| ChunkRequest {
            text: text.to_owned(),
            voice: "slt".to_owned(),
            language: None,
            // Drawn, so that a difference in any logit shows sooner or later.
            sampling: Sampling { temperature: Some(1.0), top_k: Some(0), ..Sampling::default() },
            seed: 40 + index as u64,
        };
        texts.into_iter().enumerate().map(request).collect()
    }

    #[test]
    fn chunks_that_were_foretold_sound_to_the_bit_like_chunks_that_come_unannounced() {
        let mut model = pico();
        let mut speak = |chunk: &ChunkRequest| model.speak(chunk, &Cancel::default(), &mut |_| {}).unwrap();
        let unannounced: Vec<Take> = chunks().iter().map(&mut speak).collect();

        let all = chunks();
        for (index, chunk) in all.iter().enumerate() {
            model.expect(all[index + 1..].to_vec());
            let spoken = model.speak(chunk, &Cancel::default(), &mut |_| {}).unwrap();
            assert!(spoken == unannounced[index], "chunk {index} sounds different in company");
            assert!(model.ahead.len() <= 2 * 3, "{} chunks are held", model.ahead.len());
            if index == 0 {
                assert!(!model.ahead.is_empty(), "nothing was begun");
            }
        }
        assert!(model.ahead.is_empty(), "what was begun was spoken");
    }

    #[test]
    fn what_was_begun_for_one_is_dropped_when_another_is_wanted_or_the_work_breaks_off() {
        let mut model = pico();
        let all = chunks();
        let stranger = ChunkRequest { seed: 7, ..all[4].clone() };
        model.expect(all[1..].to_vec());
        model.speak(&all[0], &Cancel::default(), &mut |_| {}).unwrap();
        assert!(!model.ahead.is_empty());
        model.expect(Vec::new());
        assert!(model.ahead.is_empty(), "the job that foretold has ended");

        model.expect(all[1..].to_vec());
        model.speak(&all[0], &Cancel::default(), &mut |_| {}).unwrap();
        model.expect(vec![stranger.clone()]);
        model.speak(&all[3], &Cancel::default(), &mut |_| {}).unwrap();
        assert!(model.ahead.iter().all(|(begun, _)| *begun == stranger));

        let cancel = Cancel::default();
        let mut tokens = 0;
        let error = model
            .speak(&all[2], &cancel, &mut |_| {
                tokens += 1;
                cancel.cancel();
            })
            .unwrap_err();
        assert!(matches!(error, ModelError::Cancelled), "{error}");
        assert_eq!(tokens, 1, "it breaks off within one step");
        assert!(model.ahead.is_empty());
    }

    #[test]
    fn progress_of_a_chunk_never_goes_back_from_one_stage_to_the_next() {
        let token = |count| share_done(Step::Token { count, expected: 50 });
        let shares = [token(1), token(25), token(50), share_done(Step::Mel), share_done(Step::Samples), 1.0];
        assert!(shares.is_sorted(), "{shares:?}");
    }
}
