//! From a recording of somebody to a [`Voice`]: everything that the networks are conditioned on when they speak like them.
//!
//! T3 hears the speaker's embedding of the whole clip and the speech tokens of its beginning; S3Gen hears mel, tokens and
//! x-vector of the first ten seconds. The two come from different resamplers (soxr's kind and torchaudio's), because the
//! networks were trained behind them.

use serde::{Deserialize, Serialize};
use waveform::mel::{prompt_mel, s3_log_mel, voice_encoder_mel};
use waveform::resample::{resample, sinc_hann_24k_to_16k};
use waveform::{fbank, loudness};

use crate::s3gen::Reference;
use crate::s3tokenizer::{self, FRAMES_PER_TOKEN, S3Tokenizer, S3TokenizerConfig};
use crate::speaker::campplus::{CampPlus, CampPlusConfig};
use crate::speaker::voice_encoder::{self, VoiceEncoder, VoiceEncoderConfig};
use crate::t3::Speaker;
use crate::variant::{self, SAMPLE_RATE};
use crate::voice::Voice;
use crate::weights::{WeightError, Weights};

/// What every network here hears.
pub const NETWORK_RATE: u32 = 16_000;
/// Samples of a token at that rate.
const SAMPLES_PER_TOKEN: usize = 640;
/// Samples at 24 kHz that S3Gen's prompt is made of, at most.
const PROMPT_SAMPLES: usize = 10 * SAMPLE_RATE as usize;
/// No sample of a silent clip reaches this.
const SILENCE: f32 = 1e-4;

/// What a family of models asks of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipRules {
    /// Speech tokens of the clip's beginning that T3 hears, at most; 25 a second.
    pub prompt_tokens: usize,
    /// LUFS that the clip is brought to first.
    pub loudness: Option<f64>,
    /// Seconds; a clip has to be longer.
    pub shortest: f32,
}

impl ClipRules {
    /// Turbo and Nano.
    pub fn turbo() -> Self {
        Self { prompt_tokens: 375, loudness: Some(-27.0), shortest: 5.0 }
    }

    /// The original and the multilingual models. The reference takes clips of any length; below half a second there is
    /// nothing for the networks to hear.
    pub fn original() -> Self {
        Self { prompt_tokens: 150, loudness: None, shortest: 0.5 }
    }
}

/// Why a clip gives no voice.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClipError {
    #[error("the reference clip lasts {seconds:.1} s; it has to be longer than {shortest} s")]
    TooShort { seconds: f32, shortest: f32 },
    #[error("the reference clip is silent")]
    Silent,
    #[error("the networks can make nothing of the reference clip")]
    Unusable,
    #[error("the device did not return what the networks say of the clip: {0}")]
    Device(String),
}

/// The sizes of the three networks that embed a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ClipEncoderConfig {
    pub tokenizer: S3TokenizerConfig,
    pub speaker: CampPlusConfig,
    pub voice_encoder: VoiceEncoderConfig,
}

impl ClipEncoderConfig {
    /// Those of every published checkpoint.
    pub fn published() -> Self {
        Self {
            tokenizer: S3TokenizerConfig::published(),
            speaker: CampPlusConfig::published(),
            voice_encoder: VoiceEncoderConfig::published(),
        }
    }
}

/// Reads the tokenizer of a published S3Gen file alone, for whoever has a voice already.
pub fn load_tokenizer(
    s3gen: Weights,
    config: &ClipEncoderConfig,
    granularity: usize,
) -> Result<S3Tokenizer, WeightError> {
    let tokenizer = S3Tokenizer::load(&s3gen.root().at("tokenizer"), &config.tokenizer, granularity)?;
    s3gen.finish(&[&s3tokenizer::UNUSED[..], &["speaker_encoder.", "flow.", "mel2wav."]].concat())?;
    Ok(tokenizer)
}

/// The three networks that embed a clip. Synthesis needs none of them.
#[derive(Debug)]
pub struct ClipEncoder {
    pub tokenizer: S3Tokenizer,
    pub speaker: CampPlus,
    pub voice_encoder: VoiceEncoder,
}

impl ClipEncoder {
    /// Reads the tokenizer and CAMPPlus from a published S3Gen file, the voice encoder from its own. `granularity` is the
    /// step in which lengths grow on this device (1: exact).
    pub fn load(
        s3gen: Weights,
        voice_encoder: Weights,
        config: &ClipEncoderConfig,
        granularity: usize,
    ) -> Result<Self, WeightError> {
        let root = s3gen.root();
        let encoder = Self {
            tokenizer: S3Tokenizer::load(&root.at("tokenizer"), &config.tokenizer, granularity)?,
            speaker: CampPlus::load(&root.at("speaker_encoder"), &config.speaker)?,
            voice_encoder: VoiceEncoder::load(&voice_encoder.root(), &config.voice_encoder)?,
        };
        // The other two are synthesis.
        s3gen.finish(&[&s3tokenizer::UNUSED[..], &["flow.", "mel2wav."]].concat())?;
        voice_encoder.finish(&voice_encoder::UNUSED)?;
        Ok(encoder)
    }

    /// The voice of whoever speaks in `clip`, mono at 24 kHz.
    pub fn voice(&self, clip: &[f32], rules: &ClipRules) -> Result<Voice, ClipError> {
        check(clip, rules.shortest)?;
        let mut clip = clip.to_vec();
        if let Some(target) = rules.loudness {
            loudness::normalise(&mut clip, SAMPLE_RATE, target);
        }
        let at_16k = resample(&clip, SAMPLE_RATE, NETWORK_RATE);
        let embedding = self.voice_encoder.embed(&voice_encoder_mel(&at_16k).values);
        let speaker = Speaker {
            embedding: embedding.map_err(ClipError::Device).and_then(finite)?,
            prompt: self.prompt(&at_16k, rules.prompt_tokens)?,
            ..Speaker::default()
        };
        Ok(Voice { speaker, reference: self.embed(&clip)? })
    }

    /// What S3Gen has to know of a clip, mono at 24 kHz: enough to convert another's speech to this voice.
    pub fn reference(&self, clip: &[f32]) -> Result<Reference, ClipError> {
        check(clip, ClipRules::original().shortest)?;
        self.embed(clip)
    }

    /// The speech tokens of a clip's beginning. The clip is cut before its mel is made and the mel after, because the mel's
    /// floor hangs on the loudest place of what it is made of.
    fn prompt(&self, at_16k: &[f32], tokens: usize) -> Result<Vec<u32>, ClipError> {
        let beginning = &at_16k[..at_16k.len().min(tokens * SAMPLES_PER_TOKEN)];
        let log_mel = s3_log_mel(beginning).first(tokens * FRAMES_PER_TOKEN);
        self.tokenizer.tokens(&log_mel.values).map_err(ClipError::Device)
    }

    fn embed(&self, clip: &[f32]) -> Result<Reference, ClipError> {
        let clip = &clip[..clip.len().min(PROMPT_SAMPLES)];
        let mel = prompt_mel(clip);
        let at_16k = sinc_hann_24k_to_16k(clip);
        let mut tokens = self.tokenizer.tokens(&s3_log_mel(&at_16k).values).map_err(ClipError::Device)?;
        // A last token may reach beyond the mel. An odd frame of the mel stays: it shortens what is spoken by one frame.
        tokens.truncate(mel.frames / variant::FRAMES_PER_TOKEN);
        let filterbank = fbank::kaldi(&at_16k).centred();
        let speaker = self.speaker.embed(&filterbank.values).map_err(ClipError::Device).and_then(finite)?;
        Ok(Reference { prompt_tokens: tokens, prompt_mel: mel.values, speaker })
    }
}

fn check(clip: &[f32], shortest: f32) -> Result<(), ClipError> {
    let seconds = clip.len() as f32 / SAMPLE_RATE as f32;
    if seconds <= shortest {
        return Err(ClipError::TooShort { seconds, shortest });
    }
    if clip.iter().all(|sample| sample.abs() < SILENCE) {
        return Err(ClipError::Silent);
    }
    Ok(())
}

fn finite(vector: Vec<f32>) -> Result<Vec<f32>, ClipError> {
    if vector.iter().all(|value| value.is_finite()) { Ok(vector) } else { Err(ClipError::Unusable) }
}
