//! A loaded checkpoint behind the trait of `model`.

use std::ops::ControlFlow;
use std::sync::Arc;

use chatterbox::conversion::{ConversionError, convert, pieces};
use chatterbox::device::{Choice, Reclaim};
use chatterbox::noise::Seeded;
use chatterbox::pipeline::{Chatterbox, SpeakError, Step};
use chatterbox::t3::T3Error;
use chatterbox::text::Language;
use chatterbox::variant::{Order, SAMPLE_RATE, SamplingConfig};
use chatterbox::voice::Voice;
use chatterbox::watermark::Watermark;

use super::cloning::Cloner;
use crate::speech::model::{ChunkRequest, ConversionRequest, Loaded, ModelError, Parameter, SpeechModel};
use crate::speech::{Cancel, Sampling};

/// A Chatterbox checkpoint on its device.
pub(super) struct Spoken {
    model: Chatterbox,
    /// Its own, by id.
    voices: Vec<(String, Voice)>,
    /// Makes voices of the library's clips, where the checkpoint can.
    cloner: Option<Cloner>,
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
        let mut spoken = Self { model, voices, cloner, watermark, loaded, _reclaim: Reclaim::on(choice) };
        if choice.is_gpu {
            spoken.warm_up()?;
        }
        Ok(spoken)
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
    ) -> Result<Vec<f32>, ModelError> {
        let own = self.voices.iter().find(|(id, _)| *id == chunk.voice);
        let voice = match (own, &mut self.cloner) {
            (Some((_, voice)), _) => voice,
            (None, Some(cloner)) => cloner.voice(&chunk.voice)?,
            (None, None) => return Err(ModelError::UnknownVoice(chunk.voice.clone())),
        };
        let text = without_unknown_tags(&chunk.text, &self.model.tags());
        if !text.chars().any(char::is_alphanumeric) {
            // Bare punctuation ("…", "* * *"): a short silence, since a model would babble.
            return Ok(vec![0.0; SAMPLE_RATE as usize / 5]);
        }
        let mut sampling = self.model.config().sampling.clone();
        sampling.exaggeration = voice.speaker.emotion.unwrap_or(sampling.exaggeration);
        let sampling = overridden(sampling, &chunk.sampling);
        let language = chunk.language.as_deref().and_then(Language::of_code);
        let mut observe = |step| {
            progress(share_done(step));
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let spoken = self
            .model
            .speak(&text, language, voice, &sampling, &mut Seeded::new(chunk.seed), &mut observe)
            .map_err(|error| match error {
                SpeakError::Cancelled => ModelError::Cancelled,
                SpeakError::NothingToSay => ModelError::NothingToSpeak,
                SpeakError::T3(T3Error::Device(cause)) | SpeakError::Device(cause) => {
                    ModelError::Device(cause)
                }
                error @ (SpeakError::T3(_) | SpeakError::Text(_) | SpeakError::NothingSaid) => {
                    ModelError::Refused(error.to_string())
                }
            })?;
        let samples = marked(self.watermark.as_deref(), spoken.samples)?;
        progress(1.0);
        Ok(samples)
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
}

/// What the vocoder makes ends on a step of the mark's own transform, so nothing is cut off.
fn marked(watermark: Option<&Watermark>, samples: Vec<f32>) -> Result<Vec<f32>, ModelError> {
    match watermark {
        Some(watermark) => watermark.mark(&samples, SAMPLE_RATE).map_err(ModelError::Device),
        None => Ok(samples),
    }
}

/// `[laugh]` and the like without those that this model would read out as words.
fn without_unknown_tags(text: &str, known: &[String]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (tag, after))) =
        rest.split_once('[').and_then(|(before, behind)| Some((before, behind.split_once(']')?)))
    {
        kept.push_str(before);
        if known.iter().any(|known| known == tag) {
            kept.push('[');
            kept.push_str(tag);
            kept.push(']');
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// The share of a chunk's work that is done, as the stages were measured on the CPU: T3 is about half of it.
fn share_done(step: Step) -> f32 {
    match step {
        Step::Token { count, expected } => 0.5 * count as f32 / expected as f32,
        Step::Mel => 0.5,
        Step::Samples => 0.7,
    }
}

/// The checkpoint's defaults with what the request says. Values that its order of sampling has no use for (`top_k` in the
/// original's; `min_p`, `cfg_weight` and `exaggeration` in Turbo's) change nothing there, as in the reference.
fn overridden(mut config: SamplingConfig, request: &Sampling) -> SamplingConfig {
    config.temperature = request.temperature.unwrap_or(config.temperature);
    config.top_k = request.top_k.unwrap_or(config.top_k);
    config.top_p = request.top_p.unwrap_or(config.top_p);
    config.min_p = request.min_p.unwrap_or(config.min_p);
    config.repetition_penalty = request.repetition_penalty.unwrap_or(config.repetition_penalty);
    config.cfg_weight = request.cfg_weight.unwrap_or(config.cfg_weight);
    config.exaggeration = request.exaggeration.unwrap_or(config.exaggeration);
    config
}

/// The fields that the checkpoint's order of sampling obeys, with its defaults.
pub(super) fn parameters(config: &SamplingConfig) -> Vec<Parameter> {
    // As written in the configuration: 0.8, not what is nearest to it in single precision.
    let number = |value: f32| (f64::from(value) * 1e4).round() / 1e4;
    let of = |name, default| Parameter { name, default };
    let temperature = of("temperature", number(config.temperature));
    let top_p = of("top_p", number(config.top_p));
    let repetition = of("repetition_penalty", number(config.repetition_penalty));
    match config.order {
        Order::Turbo => vec![temperature, of("top_k", config.top_k as f64), top_p, repetition],
        Order::Original => vec![
            of("exaggeration", number(config.exaggeration)),
            of("cfg_weight", number(config.cfg_weight)),
            temperature,
            of("min_p", number(config.min_p)),
            top_p,
            repetition,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_a_model_does_not_know_are_not_read_out() {
        let known = ["laugh".to_owned()];
        assert_eq!(without_unknown_tags("Ha [laugh] ho [sigh], yes.", &known), "Ha [laugh] ho , yes.");
        assert_eq!(without_unknown_tags("An open [ bracket", &known), "An open [ bracket");
    }

    #[test]
    fn progress_of_a_chunk_never_goes_back_from_one_stage_to_the_next() {
        let token = |count| share_done(Step::Token { count, expected: 50 });
        let shares = [token(1), token(25), token(50), share_done(Step::Mel), share_done(Step::Samples), 1.0];
        assert!(shares.is_sorted(), "{shares:?}");
    }

    #[test]
    fn what_the_request_leaves_out_is_the_checkpoints_own() {
        let config = chatterbox::variant::ModelConfig::turbo().sampling;
        assert_eq!(overridden(config.clone(), &Sampling::default()), config);
        let hot = Sampling { temperature: Some(1.5), ..Sampling::default() };
        assert_eq!(overridden(config.clone(), &hot), SamplingConfig { temperature: 1.5, ..config });
        let original = chatterbox::variant::ModelConfig::original().sampling;
        let loud = Sampling { exaggeration: Some(1.5), cfg_weight: Some(0.0), ..Sampling::default() };
        assert_eq!(
            overridden(original.clone(), &loud),
            SamplingConfig { exaggeration: 1.5, cfg_weight: 0.0, ..original }
        );
    }

    #[test]
    fn each_order_names_the_parameters_that_it_obeys_with_the_checkpoints_defaults() {
        let names = |config: chatterbox::variant::ModelConfig| -> Vec<&str> {
            parameters(&config.sampling).iter().map(|parameter| parameter.name).collect()
        };
        let turbo = chatterbox::variant::ModelConfig::turbo();
        assert_eq!(parameters(&turbo.sampling)[0], Parameter { name: "temperature", default: 0.8 });
        assert_eq!(names(turbo), ["temperature", "top_k", "top_p", "repetition_penalty"]);
        let original = names(chatterbox::variant::ModelConfig::original());
        assert!(
            original.contains(&"cfg_weight") && original.contains(&"min_p") && !original.contains(&"top_k")
        );
    }
}
