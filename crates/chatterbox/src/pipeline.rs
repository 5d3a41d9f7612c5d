//! The whole chain: text → token ids → T3 → speech tokens → S3Gen → mel → HiFT → samples.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use burn::tensor::Device;

use crate::device::Choice;
use crate::noise::Noise;
use crate::s3gen::{self, S3Gen};
use crate::t3::{self, T3, T3Error};
use crate::text::{Language, TextError, TextTokenizer};
use crate::variant::{ModelConfig, SamplingConfig};
use crate::voice::{Voice, VoiceError};
use crate::weights::{WeightError, Weights};

/// Why a checkpoint did not load.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the configuration of {name} does not parse")]
    Config { name: String, source: serde_json::Error },
    #[error("the configuration does not describe the voice {voice}")]
    UndescribedVoice { voice: String },
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Voice(#[from] VoiceError),
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    T3(T3Error),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("the text has nothing to say")]
    NothingToSay,
    #[error("the device did not return the samples: {0}")]
    Device(String),
}

impl From<T3Error> for SpeakError {
    fn from(error: T3Error) -> Self {
        match error {
            T3Error::Cancelled => Self::Cancelled,
            T3Error::EmptyText => Self::NothingToSay,
            other => Self::T3(other),
        }
    }
}

/// The opened files of one model.
#[derive(Debug)]
pub struct Checkpoint {
    pub name: String,
    pub config: ModelConfig,
    pub tokenizer: TextTokenizer,
    pub t3: Weights,
    pub s3gen: Weights,
}

/// A loaded model. Weights never change, so speaking takes `&self`.
#[derive(Debug)]
pub struct Chatterbox {
    name: String,
    config: ModelConfig,
    tokenizer: TextTokenizer,
    t3: T3,
    s3gen: S3Gen,
    device: Device,
}

/// Where the work stands; handed to the observer, who may break it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// T3 has spoken this many tokens of about `expected`.
    Token { count: usize, expected: usize },
    /// All tokens are there; the mel comes next.
    Mel,
    /// The mel is there; the samples come next.
    Samples,
}

/// One chunk of speech.
#[derive(Clone, Debug)]
pub struct Utterance {
    /// Mono, 24 kHz, within ± the vocoder's limit.
    pub samples: Vec<f32>,
    /// The speech tokens that were vocoded, trailing silence included.
    pub tokens: Vec<u32>,
    /// False when T3 ran into its bound instead of stopping by itself.
    pub stopped: bool,
    pub times: Times,
}

/// Wall time of each stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub text: Duration,
    pub t3: Duration,
    pub mel: Duration,
    pub samples: Duration,
}

impl Chatterbox {
    /// Reads every weight to the device and holds the checkpoint to what the networks ask for.
    pub fn load(checkpoint: Checkpoint, choice: &Choice) -> Result<Self, LoadError> {
        let Checkpoint { name, config, tokenizer, t3: t3_weights, s3gen: s3gen_weights } = checkpoint;
        let t3 = T3::load(&t3_weights.root(), &config.t3, choice.granularity)?;
        t3_weights.finish(&t3::UNUSED)?;
        let s3gen = S3Gen::load(&s3gen_weights.root(), &config.s3gen, &config.hift, choice.granularity)?;
        s3gen_weights.finish(&s3gen::UNUSED)?;
        Ok(Self { name, config, tokenizer, t3, s3gen, device: choice.device.clone() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Says one chunk of text, which is in `language`; models of one language ignore that.
    ///
    /// `observe` is called after every token and before each later stage; breaking gives [`SpeakError::Cancelled`].
    pub fn speak(
        &self,
        text: &str,
        language: Option<Language>,
        voice: &Voice,
        sampling: &SamplingConfig,
        noise: &mut dyn Noise,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Utterance, SpeakError> {
        let started = Instant::now();
        let ids = self.tokenizer.encode(text, language)?;
        let characters = text.chars().count();
        let encoded = Instant::now();

        let expected = expected_tokens(characters);
        let decoded = self.t3.decode(
            &ids,
            &voice.speaker,
            sampling,
            token_bound(sampling, characters),
            noise,
            &mut |count| observe(Step::Token { count, expected: expected.max(count) }),
        )?;
        if !decoded.stopped {
            tracing::warn!(characters, tokens = decoded.tokens.len(), "the model did not stop by itself");
        }
        let tokens = self.speakable(&decoded.tokens);
        let decoded_at = Instant::now();

        let ask = |flow: ControlFlow<()>| if flow.is_break() { Err(SpeakError::Cancelled) } else { Ok(()) };
        ask(observe(Step::Mel))?;
        let mel = self.s3gen.mel(&tokens, &voice.reference, noise);
        let mel_at = Instant::now();
        ask(observe(Step::Samples))?;
        let samples = self.s3gen.wave(mel, noise).map_err(SpeakError::Device)?;
        // Pages that this utterance's lengths needed and the next one's may not. The CPU backend has no pool.
        self.device.memory_cleanup();
        Ok(Utterance {
            samples,
            tokens,
            stopped: decoded.stopped,
            times: Times {
                text: encoded - started,
                t3: decoded_at - encoded,
                mel: mel_at - decoded_at,
                samples: mel_at.elapsed(),
            },
        })
    }

    /// Control tokens dropped wherever they stand, then the silence that keeps the end from being cut.
    pub fn speakable(&self, tokens: &[u32]) -> Vec<u32> {
        let config = &self.config.s3gen;
        let silence = std::iter::repeat_n(config.silence_token, config.trailing_silence_tokens);
        tokens.iter().copied().filter(|&token| (token as usize) < config.vocab).chain(silence).collect()
    }
}

/// Tokens that this many characters of English usually take: about 14 characters a second, 25 tokens a second.
fn expected_tokens(characters: usize) -> usize {
    characters * 25 / 14 + 5
}

/// The first sampled token is not tested for a stop, hence the one more.
fn token_bound(sampling: &SamplingConfig, characters: usize) -> usize {
    let by_text = match (sampling.max_new_tokens_base, sampling.max_new_tokens_per_char) {
        (Some(base), Some(per_character)) => base + per_character * characters,
        _ => usize::MAX,
    };
    by_text.min(sampling.max_new_tokens + 1)
}
