//! The seam to the networks: what the server asks of a model, in plain values. The only file that names `chatterbox`.

use std::ops::ControlFlow;

pub use chatterbox::bench;
use chatterbox::device::{Choice, Request};
use chatterbox::noise::Seeded;
use chatterbox::pipeline::{Chatterbox, SpeakError, Step};
use chatterbox::t3::T3Error;
use chatterbox::variant::SamplingConfig;
use chatterbox::voice::Voice;

use super::tone::{Tone, ToneSettings};
use super::{Cancel, Sampling};

/// A model that speaks one chunk of text at a time. It lives on one thread (`engine`), so it may block and need not be
/// `Sync`; it may panic, which the engine turns into [`ModelError::Panicked`].
pub trait SpeechModel: Send {
    fn info(&self) -> &ModelInfo;

    /// Speaks one chunk: mono samples in −1..1 at [`ModelInfo::sample_rate`].
    ///
    /// `progress` gets the finished share of this chunk, 0..1, never less than before, at every token; `cancel` is asked
    /// at every token.
    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Vec<f32>, ModelError>;
}

/// One chunk as the model gets it: normalised text of at most [`ModelInfo::max_chunk_chars`] characters.
#[derive(Clone, Debug)]
pub struct ChunkRequest {
    pub text: String,
    /// The id of one of [`ModelInfo::voices`].
    pub voice: String,
    pub sampling: Sampling,
    pub seed: u64,
}

/// What a loaded model is and can do.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelInfo {
    /// `pico`, `nano`, `turbo`, …
    pub name: String,
    /// The reference's class name, which upstream's clients read.
    pub class_name: String,
    /// The name of the adapter, or `CPU (…)`.
    pub device: String,
    /// Why this device was chosen, as a sentence.
    pub device_reason: String,
    /// Hz.
    pub sample_rate: u32,
    /// Characters that the model speaks reliably in one go.
    pub max_chunk_chars: usize,
    pub voices: Vec<VoiceInfo>,
    pub default_voice: String,
    /// Language codes; one for English models.
    pub languages: Vec<String>,
    /// `laugh`, `sigh`, … without brackets; empty where the model has none.
    pub paralinguistic_tags: Vec<String>,
}

/// A voice that a model can speak with.
#[derive(Clone, Debug, serde::Serialize)]
pub struct VoiceInfo {
    /// Stable, file-name-safe.
    pub id: String,
    /// For people.
    pub name: String,
    pub gender: Option<String>,
    pub language: String,
    /// Where the voice comes from, in a sentence.
    pub origin: String,
}

/// Why a chunk was not spoken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cancelled")]
    Cancelled,
    #[error("the model has no voice {0:?}")]
    UnknownVoice(String),
    #[error("the text has no characters that this model can speak")]
    NothingToSpeak,
    #[error("the model cannot speak this: {0}")]
    Refused(String),
    #[error("the device failed: {0}")]
    Device(String),
    #[error("the model crashed: {0}")]
    Panicked(String),
    #[error("the model is not loaded: {0}")]
    NotLoaded(String),
}

impl ModelError {
    /// Whether the same request could succeed another time. What the user caused never does.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Device(_) | Self::Panicked(_) | Self::NotLoaded(_) => true,
            Self::Cancelled | Self::UnknownVoice(_) | Self::NothingToSpeak | Self::Refused(_) => false,
        }
    }
}

/// The models that [`load`] knows, best first.
pub fn names() -> Vec<&'static str> {
    vec!["pico", "tone"]
}

/// Makes a model ready to speak. Blocks while it reads and uploads weights; call it on the thread that will use it.
///
/// `name` is one of [`names`] or `auto`, the best one there is; `device` is `auto`, `cpu`, `gpu` or the name of a graphics
/// API. `tone` hums and is for tests.
///
/// # Errors
/// [`ModelError::NotLoaded`] with the reason, for an unknown name too.
pub fn load(name: &str, device: &str) -> Result<Box<dyn SpeechModel>, ModelError> {
    match name {
        "tone" => Ok(Box::new(Tone::new(ToneSettings::from_env()))),
        "auto" | "pico" => Ok(Box::new(Spoken::pico(&start(device)?)?)),
        other => Err(ModelError::NotLoaded(format!(
            "there is no model {other:?}; the models are {}",
            names().join(", ")
        ))),
    }
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

/// An error with its causes in one line, since it crosses threads and ends in front of people.
fn not_loaded(error: impl std::error::Error) -> ModelError {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    ModelError::NotLoaded(message)
}

/// A Chatterbox checkpoint as the server sees it.
struct Spoken {
    model: Chatterbox,
    voices: Vec<(String, Voice)>,
    info: ModelInfo,
}

impl Spoken {
    fn pico(choice: &Choice) -> Result<Self, ModelError> {
        let checkpoint = chatterbox::pico::checkpoint(&choice.device).map_err(not_loaded)?;
        let model = Chatterbox::load(checkpoint, choice).map_err(not_loaded)?;
        let named = chatterbox::pico::voices().map_err(not_loaded)?;
        let info = ModelInfo {
            name: model.name().to_owned(),
            class_name: "ChatterboxPico".to_owned(),
            device: choice.name.clone(),
            device_reason: choice.reason.clone(),
            sample_rate: chatterbox::variant::SAMPLE_RATE,
            max_chunk_chars: model.config().sampling.max_prompt_chars,
            default_voice: named.first().map(|voice| voice.id.to_owned()).unwrap_or_default(),
            voices: named
                .iter()
                .map(|voice| VoiceInfo {
                    id: voice.id.to_owned(),
                    name: voice.about.name.clone(),
                    gender: Some(voice.about.gender.clone()),
                    language: "en".to_owned(),
                    origin: format!("embedded; taught by CMU Flite's {}", voice.about.teacher),
                })
                .collect(),
            languages: vec!["en".to_owned()],
            paralinguistic_tags: Vec::new(),
        };
        let voices = named.into_iter().map(|voice| (voice.id.to_owned(), voice.voice)).collect();
        let mut spoken = Self { model, voices, info };
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
            voice: self.info.default_voice.clone(),
            sampling: Sampling::default(),
            seed: 1,
        };
        self.speak(&request, &Cancel::default(), &mut |_| {})?;
        tracing::info!(seconds = started.elapsed().as_secs_f32(), "kernels compiled");
        Ok(())
    }
}

impl SpeechModel for Spoken {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Vec<f32>, ModelError> {
        let (_, voice) = self
            .voices
            .iter()
            .find(|(id, _)| *id == chunk.voice)
            .ok_or_else(|| ModelError::UnknownVoice(chunk.voice.clone()))?;
        let text = without_unknown_tags(&chunk.text, &self.info.paralinguistic_tags);
        if !text.chars().any(char::is_alphanumeric) {
            // Bare punctuation ("…", "* * *"): a short silence, since a model would babble.
            return Ok(vec![0.0; self.info.sample_rate as usize / 5]);
        }
        let sampling = overridden(self.model.config().sampling.clone(), &chunk.sampling);
        let mut observe = |step| {
            progress(share_done(step));
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let spoken = self
            .model
            .speak(&text, None, voice, &sampling, &mut Seeded::new(chunk.seed), &mut observe)
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
