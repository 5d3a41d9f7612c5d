//! The Chatterbox family as the server sees it. The only file that names `chatterbox`: devices, the offers of what is
//! installed, and a checkpoint behind the trait of `model`.

use std::ops::ControlFlow;

pub use chatterbox::bench;
use chatterbox::device::{Choice, Reclaim, Request};
use chatterbox::noise::Seeded;
use chatterbox::pico;
use chatterbox::pipeline::{Chatterbox, LoadError, SpeakError, Step};
use chatterbox::t3::T3Error;
use chatterbox::text::Language;
use chatterbox::variant::SamplingConfig;
use chatterbox::voice::Voice;

use super::catalog::Offer;
use super::model::{ChunkRequest, Loaded, ModelError, ModelInfo, SpeechModel, VoiceInfo, VoiceKind};
use super::{Cancel, Sampling};

/// Every Chatterbox model of this installation, best first, to run on `device`: `auto`, `cpu`, `gpu` or the name of a
/// graphics API.
pub fn offers(device: &str) -> Vec<Offer> {
    match pico_info() {
        Ok(info) => {
            let device = device.to_owned();
            vec![Offer::new(info, move || Ok(Box::new(Spoken::pico(&start(&device)?)?)))]
        }
        Err(error) => {
            tracing::error!(error = in_one_line(&error), "the embedded model cannot be described");
            Vec::new()
        }
    }
}

/// The English name of a language that some model of the family speaks.
pub fn language_name(code: &str) -> Option<&'static str> {
    Language::of_code(code).map(|language| language.name)
}

/// Describes the embedded model from its configuration alone.
fn pico_info() -> Result<ModelInfo, LoadError> {
    let named = pico::voices()?;
    Ok(ModelInfo {
        name: "pico".to_owned(),
        class_name: "ChatterboxPico".to_owned(),
        sample_rate: chatterbox::variant::SAMPLE_RATE,
        max_chunk_chars: pico::config()?.sampling.max_prompt_chars,
        default_voice: named.first().map(|voice| voice.id.to_owned()).unwrap_or_default(),
        voices: named
            .into_iter()
            .map(|voice| VoiceInfo {
                id: voice.id.to_owned(),
                name: voice.about.name,
                kind: VoiceKind::BuiltIn,
                gender: Some(voice.about.gender),
                language: "en".to_owned(),
                origin: format!("embedded; taught by CMU Flite's {}", voice.about.teacher),
            })
            .collect(),
        languages: vec!["en".to_owned()],
        paralinguistic_tags: Vec::new(),
        cloning: None,
        memory_bytes: pico::LOADED_BYTES,
    })
}

/// A device that a model could run on.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceReport {
    /// As its driver calls it.
    pub name: String,
    /// `CPU`, `GPU (Vulkan)`, …
    pub kind: String,
    /// Whether this setting takes it.
    pub chosen: bool,
    /// Why it is taken, or why not.
    pub reason: String,
}

/// The devices found, and what becomes of them under this setting of `tts_engine.device`.
///
/// # Errors
/// [`ModelError::NotLoaded`] when the setting cannot be met.
pub fn devices(device: &str) -> Result<Vec<DeviceReport>, ModelError> {
    let choice = start(device)?;
    let adapters = chatterbox::device::adapters();
    let mut reports: Vec<DeviceReport> = adapters
        .iter()
        .map(|adapter| {
            let chosen = choice.is_gpu && choice.name == adapter.to_string();
            let reason = match () {
                () if chosen => choice.reason.clone(),
                () if adapter.is_real() => {
                    "another one was taken; name its API with --device to use it".to_owned()
                }
                () => "a software rasteriser, slower than the CPU itself; taken only by name".to_owned(),
            };
            DeviceReport {
                name: adapter.name.clone(),
                kind: format!("{}, {}", adapter.api, adapter.class),
                chosen,
                reason,
            }
        })
        .collect();
    reports.push(DeviceReport {
        name: if choice.is_gpu { "CPU".to_owned() } else { choice.name.clone() },
        kind: "CPU".to_owned(),
        chosen: !choice.is_gpu,
        reason: if choice.is_gpu { "a GPU was taken".to_owned() } else { choice.reason },
    });
    Ok(reports)
}

/// Measures a model stage by stage; `progress` is told what is being measured.
///
/// # Errors
/// [`ModelError::NotLoaded`] when the device or the model cannot be had.
pub fn measure(
    options: &bench::Options,
    device: &str,
    threads: Option<usize>,
    progress: &mut dyn FnMut(&str),
) -> Result<bench::Report, ModelError> {
    if let Some(threads) = threads {
        chatterbox::device::limit_threads(threads).map_err(not_loaded)?;
    }
    bench::run(options, &start(device)?, progress).map_err(not_loaded)
}

/// Starts the device asked for and logs which one it is and why.
fn start(device: &str) -> Result<Choice, ModelError> {
    let request: Request = device.parse().map_err(not_loaded)?;
    let choice = chatterbox::device::choose(request).map_err(not_loaded)?;
    tracing::info!(device = %choice.name, reason = %choice.reason, "device chosen");
    Ok(choice)
}

fn not_loaded(error: impl std::error::Error) -> ModelError {
    ModelError::NotLoaded(in_one_line(&error))
}

/// An error with its causes in one line, since it crosses threads and ends in front of people.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

/// A Chatterbox checkpoint on its device.
struct Spoken {
    model: Chatterbox,
    /// By id; where a checkpoint can clone, voices computed from clips of the library join these.
    voices: Vec<(String, Voice)>,
    /// The tags that this checkpoint does not read out as words.
    tags: Vec<String>,
    loaded: Loaded,
    /// Last: it frees what the fields above leave on the device.
    _reclaim: Reclaim,
}

impl Spoken {
    fn pico(choice: &Choice) -> Result<Self, ModelError> {
        let checkpoint = pico::checkpoint(&choice.device).map_err(not_loaded)?;
        let model = Chatterbox::load(checkpoint, choice).map_err(not_loaded)?;
        let named = pico::voices().map_err(not_loaded)?;
        let voices = named.into_iter().map(|voice| (voice.id.to_owned(), voice.voice)).collect();
        let loaded = Loaded {
            device: choice.name.clone(),
            device_reason: choice.reason.clone(),
            resident_bytes: pico::LOADED_BYTES,
        };
        let mut spoken = Self { model, voices, tags: Vec::new(), loaded, _reclaim: Reclaim::on(choice) };
        if choice.is_gpu {
            spoken.warm_up()?;
        }
        Ok(spoken)
    }

    /// Compiles and tunes the kernels before the first request has to wait for it.
    fn warm_up(&mut self) -> Result<(), ModelError> {
        let started = std::time::Instant::now();
        let request = ChunkRequest {
            text: "The quick brown fox jumps over the lazy dog.".to_owned(),
            voice: self.voices.first().map(|(id, _)| id.clone()).unwrap_or_default(),
            language: None,
            sampling: Sampling::default(),
            seed: 1,
        };
        self.speak(&request, &Cancel::default(), &mut |_| {})?;
        tracing::info!(seconds = started.elapsed().as_secs_f32(), "kernels compiled");
        Ok(())
    }

    fn voice(&self, id: &str) -> Result<&Voice, ModelError> {
        let found = self.voices.iter().find(|(known, _)| known == id);
        found.map(|(_, voice)| voice).ok_or_else(|| ModelError::UnknownVoice(id.to_owned()))
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
        let voice = self.voice(&chunk.voice)?;
        let text = without_unknown_tags(&chunk.text, &self.tags);
        if !text.chars().any(char::is_alphanumeric) {
            // Bare punctuation ("…", "* * *"): a short silence, since a model would babble.
            return Ok(vec![0.0; chatterbox::variant::SAMPLE_RATE as usize / 5]);
        }
        let sampling = overridden(self.model.config().sampling.clone(), &chunk.sampling);
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
        progress(1.0);
        Ok(spoken.samples)
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
}
