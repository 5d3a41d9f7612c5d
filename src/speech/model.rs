//! The seam to the networks: what the server asks of a model and knows about it, in plain values.
//!
//! [`ModelInfo`] is known before anything is loaded, so requests are checked without waiting; [`Loaded`] is what loading
//! adds. `chatterbox` and `tone` implement the trait, `catalog` offers them by name, `engine` runs them.

use super::{Cancel, Sampling};
use crate::voices::Clip;
use crate::voices::clip::Needs;

/// A model that speaks one chunk of text at a time. It lives on one thread (`engine`), so it may block and need not be
/// `Sync`; it may panic, which the engine turns into [`ModelError::Panicked`].
pub trait SpeechModel: Send {
    /// Where it runs and what it takes there.
    fn loaded(&self) -> Loaded;

    /// Speaks one chunk.
    ///
    /// `progress` gets the finished share of this chunk, 0..1, never less than before, at every token; `cancel` is asked
    /// at every token.
    fn speak(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Take, ModelError>;

    /// [`Self::speak`] for somebody who listens: `emit` gets the samples as they come, and all of them are what is returned.
    /// A model that cannot do that hands out the whole at its end. The take may differ from the one that `speak` gives, as
    /// a block is fixed before what follows is known; it is as repeatable.
    fn speak_in_blocks(
        &mut self,
        chunk: &ChunkRequest,
        cancel: &Cancel,
        progress: &mut dyn FnMut(f32),
        emit: &mut dyn FnMut(&[f32]),
    ) -> Result<Take, ModelError> {
        let take = self.speak(chunk, cancel, progress)?;
        emit(&take.samples);
        Ok(take)
    }

    /// Says what will be wanted after the next chunk, in this order, instead of what was said before. A model that is
    /// quicker with several chunks at once may work ahead; what it speaks stays the same.
    fn expect(&mut self, next: Vec<ChunkRequest>) {
        drop(next);
    }

    /// Says a recording again in another voice: mono samples at [`ModelInfo::sample_rate`], as long as the recording to
    /// within 40 ms. Progress and cancellation are as in [`Self::speak`], but coarser.
    ///
    /// # Errors
    /// [`ModelError::Refused`] by the models that cannot; [`ModelInfo::converts`] tells it before.
    fn convert(
        &mut self,
        _recording: &ConversionRequest,
        _cancel: &Cancel,
        _progress: &mut dyn FnMut(f32),
    ) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::Refused("it cannot convert recordings".to_owned()))
    }
}

/// A recording as the model gets it.
#[derive(Clone, Debug)]
pub struct ConversionRequest {
    /// Mono, at [`Self::SAMPLE_RATE`].
    pub samples: Vec<f32>,
    /// The id of one of [`ModelInfo::voices`].
    pub voice: String,
    pub seed: u64,
}

impl ConversionRequest {
    /// Hz; what the networks hear words in.
    pub const SAMPLE_RATE: u32 = 16_000;
}

/// Chunks that it is of use to know ahead, at most.
pub const FORESIGHT: usize = 8;

/// One chunk as the model gets it: normalised text of at most [`ModelInfo::max_chunk_chars`] characters.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkRequest {
    pub text: String,
    /// The id of one of [`ModelInfo::voices`].
    pub voice: String,
    /// The code of the language that it is in; models of one language ignore it.
    pub language: Option<String>,
    pub sampling: Sampling,
    pub seed: u64,
}

/// A chunk as a model has spoken it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Take {
    /// Mono, in −1..1, at [`ModelInfo::sample_rate`].
    pub samples: Vec<f32>,
    /// The model said the same few tokens over and over, which its sound may not show.
    pub is_stuck: bool,
}

/// What a model is and can do, known without loading it.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// `pico`, `nano`, `turbo`, …
    pub name: String,
    /// The reference's class name, which upstream's clients read.
    pub class_name: String,
    /// Hz.
    pub sample_rate: u32,
    /// Characters that the model speaks reliably in one go.
    pub max_chunk_chars: usize,
    /// Its own voices, then the clips that it can speak with (`catalog` adds those).
    pub voices: Vec<VoiceInfo>,
    /// The id of one of its own voices.
    pub default_voice: String,
    /// Language codes; one for English models.
    pub languages: Vec<String>,
    /// `laugh`, `sigh`, … without brackets; empty where the model has none.
    pub paralinguistic_tags: Vec<String>,
    /// The fields of a request that change how it speaks; the others of its family change nothing.
    pub parameters: Vec<Parameter>,
    /// What it needs of a clip to speak with its voice; `None` for a model that has fixed voices only.
    pub cloning: Option<Needs>,
    /// Whether it can say a recording again in another voice.
    pub converts: bool,
    /// What it speaks carries a watermark.
    pub watermarked: bool,
    /// Bytes that it takes while it is loaded, about; the memory budget is planned with it.
    pub memory_bytes: u64,
}

impl ModelInfo {
    /// The code of the language that a request's `language` means: models of one speak that.
    pub fn language<'a>(&'a self, wanted: Option<&'a str>) -> &'a str {
        match self.languages.as_slice() {
            [only] => only,
            _ => wanted.unwrap_or("en"),
        }
    }

    /// Why this model cannot speak with the voice of `clip`; `None` when it can.
    pub fn why_not(&self, clip: &Clip) -> Option<String> {
        match self.cloning {
            None => Some(format!("the model {} has fixed voices only", self.name)),
            Some(Needs { least, .. }) if clip.seconds <= least.as_secs_f64() => Some(format!(
                "the model {} needs a clip of more than {:.0} seconds, this one has {:.1}",
                self.name,
                least.as_secs_f64(),
                clip.seconds
            )),
            Some(_) => None,
        }
    }

    /// What would make this model's copy of the clip's voice better, each in a sentence.
    pub fn advice(&self, clip: &Clip) -> Vec<String> {
        let advice = self.cloning.map(|needs| clip.quality.advice(clip.seconds, &needs));
        advice.unwrap_or_default().iter().map(ToString::to_string).collect()
    }
}

/// A field of a request that a model obeys.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Parameter {
    pub name: &'static str,
    /// What the model does when a request does not say.
    pub default: f64,
}

/// Where a voice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoiceKind {
    /// Part of a model.
    BuiltIn,
    /// A clip that came with the program.
    Predefined,
    /// A clip that somebody added.
    Uploaded,
}

/// A voice that a model can speak with.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct VoiceInfo {
    /// Stable, file-name-safe.
    pub id: String,
    /// For people.
    pub name: String,
    pub kind: VoiceKind,
    pub gender: Option<String>,
    pub language: String,
    /// Where the voice comes from, in a sentence.
    pub origin: String,
}

impl From<&Clip> for VoiceInfo {
    fn from(clip: &Clip) -> Self {
        Self {
            id: clip.id.clone(),
            name: clip.name.clone(),
            kind: if clip.is_predefined() { VoiceKind::Predefined } else { VoiceKind::Uploaded },
            gender: None,
            language: clip.language.clone(),
            origin: clip.origin(),
        }
    }
}

/// What only a loaded model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The name of the adapter, or `CPU (…)`.
    pub device: String,
    /// Why this device was chosen, as a sentence.
    pub device_reason: String,
    /// In which numbers the weights of its token model are kept.
    pub precision: String,
    /// How the self-test of the device went, in a sentence without its dot.
    pub self_test: String,
    /// What its weights take there.
    pub resident_bytes: u64,
    /// What it speaks carries a watermark; the setting may have changed since.
    pub watermarked: bool,
}

/// Why a chunk was not spoken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cancelled")]
    Cancelled,
    #[error("the model has no voice {0:?}")]
    UnknownVoice(String),
    #[error("the clip of the voice {voice:?} cannot be used: {reason}")]
    Clip { voice: String, reason: String },
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
    /// What failed, where the same request could succeed another time. `None` for what the user caused, which never does,
    /// and for a cancellation.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Device(said) => Some(if is_memory(said) { Failure::Memory } else { Failure::Device }),
            // A graphics library panics when its device is gone or full.
            Self::Panicked(said) if is_memory(said) => Some(Failure::Memory),
            Self::Panicked(said) if is_lost(said) => Some(Failure::Device),
            Self::Panicked(_) => Some(Failure::Crash),
            Self::NotLoaded(_) => Some(Failure::Device),
            Self::Cancelled
            | Self::UnknownVoice(_)
            | Self::Clip { .. }
            | Self::NothingToSpeak
            | Self::Refused(_) => None,
        }
    }
}

/// What failed of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was lost, or could not do what it was asked.
    Device,
    /// Its memory did not suffice.
    Memory,
    /// The program on it panicked.
    Crash,
}

impl Failure {
    /// For machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Memory => "memory",
            Self::Crash => "crash",
        }
    }
}

/// Drivers and libraries have no code for it that comes through, only words.
fn is_memory(said: &str) -> bool {
    let said = said.to_ascii_lowercase().replace([' ', '_', '-'], "");
    ["outofmemory", "outofdevicememory", "outofhostmemory", "notenoughmemory", "memoryallocation"]
        .iter()
        .any(|words| said.contains(words))
}

fn is_lost(said: &str) -> bool {
    let said = said.to_ascii_lowercase().replace([' ', '_', '-'], "");
    said.contains("devicelost") || said.contains("deviceislost") || said.contains("devicewaslost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_what_drivers_say_and_what_the_user_caused_is_none() {
        for (error, failure) in [
            (ModelError::Device("Out of Memory".to_owned()), Some(Failure::Memory)),
            (ModelError::Device("VK_ERROR_OUT_OF_DEVICE_MEMORY".to_owned()), Some(Failure::Memory)),
            (ModelError::Device("the adapter was unplugged".to_owned()), Some(Failure::Device)),
            (ModelError::Panicked("wgpu error: Out of Memory".to_owned()), Some(Failure::Memory)),
            (ModelError::Panicked("Parent device is lost".to_owned()), Some(Failure::Device)),
            (ModelError::Panicked("index out of bounds".to_owned()), Some(Failure::Crash)),
            (ModelError::NothingToSpeak, None),
            (ModelError::UnknownVoice("x".to_owned()), None),
            (ModelError::Cancelled, None),
        ] {
            assert_eq!(error.failure(), failure, "{error}");
        }
    }
}
