//! The seam to the networks: what the server asks of a model, in plain values. The only file that names `chatterbox`.

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
            Self::Cancelled | Self::UnknownVoice(_) | Self::NothingToSpeak => false,
        }
    }
}

/// The models that [`load`] knows, best first.
pub fn names() -> Vec<&'static str> {
    vec!["tone"]
}

/// Makes a model ready to speak. Blocks while it reads and uploads weights; call it on the thread that will use it.
///
/// `name` is one of [`names`] or `auto`; `device` is `auto`, `cpu`, `gpu` or the name of a graphics API.
///
/// # Errors
/// [`ModelError::NotLoaded`] with the reason, for an unknown name too.
pub fn load(name: &str, _device: &str) -> Result<Box<dyn SpeechModel>, ModelError> {
    match name {
        "tone" => Ok(Box::new(Tone::new(ToneSettings::from_env()))),
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
pub fn devices(_device: &str) -> Vec<DeviceReport> {
    vec![DeviceReport {
        name: "CPU".to_owned(),
        kind: "CPU".to_owned(),
        chosen: true,
        reason: "it is the only device of this build".to_owned(),
    }]
}
