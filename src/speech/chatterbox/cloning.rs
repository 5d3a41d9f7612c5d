//! Voices from the clips of the library, for one loaded model.
//!
//! The networks that embed a clip are needed once for each voice and take half a gigabyte, so they are loaded for the
//! occasion and dropped; what they found is kept beside the clips and, for the voices used last, in memory.

use std::io::Cursor;
use std::path::PathBuf;

use chatterbox::device::Choice;
use chatterbox::reference_clip::{ClipEncoder, ClipEncoderConfig, ClipRules, load_tokenizer};
use chatterbox::s3tokenizer::S3Tokenizer;
use chatterbox::variant::{ModelConfig, SAMPLE_RATE};
use chatterbox::voice::{Origin, Voice};
use waveform::decode;

use super::installed::open_weights;
use super::{in_one_line, not_loaded};
use crate::speech::model::ModelError;
use crate::voices::{Clip, Library};

/// Voices in memory; each is a few hundred kilobytes.
const REMEMBERED: usize = 32;

/// Makes voices of clips.
pub(super) struct Cloner {
    pub(super) library: Library,
    /// Models of one family share voices, since they share the networks that make them.
    pub(super) family: String,
    pub(super) rules: ClipRules,
    pub(super) sizes: ClipEncoderConfig,
    pub(super) s3gen: PathBuf,
    pub(super) voice_encoder: PathBuf,
    pub(super) choice: Choice,
    /// Widths of the speaker's vectors, for T3 and for S3Gen.
    pub(super) widths: (usize, usize),
    /// The one used last stands last. By clip hash.
    pub(super) remembered: Vec<(String, Voice)>,
}

impl Cloner {
    pub(super) fn widths(config: &ModelConfig) -> (usize, usize) {
        (config.t3.speaker_width, config.s3gen.speaker_width)
    }

    /// The voice of the library's clip with this id.
    pub(super) fn voice(&mut self, id: &str) -> Result<&Voice, ModelError> {
        let clip = self.library.clip(id).ok_or_else(|| ModelError::UnknownVoice(id.to_owned()))?;
        let known = self.remembered.iter().position(|(hash, _)| *hash == clip.hash);
        let used = if let Some(place) = known {
            self.remembered.remove(place)
        } else {
            (clip.hash.clone(), self.kept_or_computed(&clip)?)
        };
        if self.remembered.len() == REMEMBERED {
            self.remembered.remove(0);
        }
        self.remembered.push(used);
        let last = self.remembered.last().map(|(_, voice)| voice);
        last.ok_or_else(|| ModelError::UnknownVoice(id.to_owned()))
    }

    /// What hears the words of a recording; like the networks for voices, loaded for the occasion.
    pub(super) fn tokenizer(&self) -> Result<S3Tokenizer, ModelError> {
        let s3gen = open_weights(&self.s3gen, &self.choice.device).map_err(not_loaded)?;
        load_tokenizer(s3gen, &self.sizes, self.choice.granularity).map_err(not_loaded)
    }

    fn kept_or_computed(&self, clip: &Clip) -> Result<Voice, ModelError> {
        let origin = Origin { family: self.family.clone(), clip: clip.hash.clone() };
        let (for_t3, for_s3gen) = self.widths;
        let read = |bytes: &[u8]| {
            let (voice, found) = Voice::from_bytes(&clip.id, bytes, for_t3, for_s3gen).ok()?;
            (found == origin).then_some(voice)
        };
        self.library.computed(clip, &format!("{}.safetensors", self.family), read, || {
            let started = std::time::Instant::now();
            let voice = self.compute(clip)?;
            tracing::info!(voice = clip.id, seconds = started.elapsed().as_secs_f32(), "voice computed");
            let bytes = voice.to_bytes(&origin).map_err(|error| unusable(clip, in_one_line(&error)))?;
            Ok((voice, bytes))
        })
    }

    fn compute(&self, clip: &Clip) -> Result<Voice, ModelError> {
        let bytes = clip.read().map_err(|error| unusable(clip, in_one_line(&error)))?;
        // The library looked at its size and length when it took the clip.
        let recording = decode::read_from(Cursor::new(bytes), &decode::Limits::default())
            .map_err(|error| unusable(clip, in_one_line(&error)))?
            .resampled(SAMPLE_RATE);
        let device = &self.choice.device;
        let encoder = ClipEncoder::load(
            open_weights(&self.s3gen, device).map_err(not_loaded)?,
            open_weights(&self.voice_encoder, device).map_err(not_loaded)?,
            &self.sizes,
            self.choice.granularity,
        )
        .map_err(not_loaded)?;
        encoder.voice(&recording.samples, &self.rules).map_err(|error| unusable(clip, error.to_string()))
    }
}

fn unusable(clip: &Clip, reason: String) -> ModelError {
    ModelError::Clip { voice: clip.id.clone(), reason }
}
