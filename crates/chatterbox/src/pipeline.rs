//! The whole chain: text → token ids → T3 → speech tokens → S3Gen → mel → HiFT → samples.

mod ahead;
mod blocks;
mod stuck;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub use ahead::Ahead;
use burn::tensor::Device;

use crate::device::{Choice, Precision};
use crate::noise::Noise;
use crate::s3gen::{self, S3Gen};
use crate::t3::{self, Decoded, T3, T3Error};
use crate::text::{Language, TextError, TextTokenizer};
use crate::variant::{Backbone, FRAMES_PER_TOKEN, MEL_HOP, ModelConfig, Order, S3GenConfig, SamplingConfig};
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
    #[error("the model stopped before it had said anything; another seed may help")]
    NothingSaid,
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
    on_gpu: bool,
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

impl Utterance {
    /// Whether T3 said the same few tokens over and over for seconds, as it does at times and no speaker does.
    pub fn is_stuck(&self) -> bool {
        stuck::is_stuck(&self.tokens)
    }
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
        let Checkpoint { name, config, tokenizer, t3, s3gen } = checkpoint;
        let (t3, s3gen) = load_networks(&config, t3, s3gen, choice)?;
        Ok(Self { name, config, tokenizer, t3, s3gen, device: choice.device.clone(), on_gpu: choice.is_gpu })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The paralinguistic tags that it does not read out as words, without brackets.
    pub fn tags(&self) -> Vec<String> {
        let bare = |tag: &String| tag.trim_start_matches('[').trim_end_matches(']').to_owned();
        self.tokenizer.tags().iter().map(bare).collect()
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What makes sound of speech tokens, whoever they come from.
    pub fn s3gen(&self) -> &S3Gen {
        &self.s3gen
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
            &mut |tokens| observe(token_step(tokens.len(), expected)),
        )?;
        let before = Times { text: encoded - started, t3: encoded.elapsed(), ..Times::default() };
        self.sound(&decoded, voice, before, noise, observe)
    }

    /// The sound of decoded tokens; `before` is what they took.
    fn sound(
        &self,
        decoded: &Decoded,
        voice: &Voice,
        before: Times,
        noise: &mut dyn Noise,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Utterance, SpeakError> {
        let started = Instant::now();
        if !decoded.stopped {
            tracing::warn!(tokens = decoded.tokens.len(), "the model did not stop by itself");
        }
        let tokens = speakable(&self.config, &decoded.tokens);
        if tokens.is_empty() {
            return Err(SpeakError::NothingSaid);
        }
        let ask = |flow: ControlFlow<()>| if flow.is_break() { Err(SpeakError::Cancelled) } else { Ok(()) };
        ask(observe(Step::Mel))?;
        let mel = self.s3gen.mel(&tokens, &voice.reference, noise);
        let mel_at = Instant::now();
        ask(observe(Step::Samples))?;
        let mut samples = self.s3gen.wave(mel, noise).map_err(SpeakError::Device)?;
        samples.truncate(untrimmed(&self.config, tokens.len()));
        // Pages that this utterance's lengths needed and the next one's may not. The CPU backend has no pool.
        self.device.memory_cleanup();
        let times = Times { mel: mel_at - started, samples: mel_at.elapsed(), ..before };
        Ok(Utterance { samples, tokens, stopped: decoded.stopped, times })
    }
}

/// Reads both networks to the device, each in the numbers that are right there.
pub(crate) fn load_networks(
    config: &ModelConfig,
    t3: Weights,
    s3gen: Weights,
    choice: &Choice,
) -> Result<(T3, S3Gen), LoadError> {
    let t3 = t3.in_half(choice.precision == Precision::F16);
    let rounding = choice.rounding_for(&config.t3);
    let load_t3 = || -> Result<T3, LoadError> {
        let network = T3::load(&t3.root().decoding(rounding), &config.t3, choice.granularity)?;
        t3.finish(&t3::UNUSED)?;
        Ok(network)
    };
    let load_s3gen = || -> Result<S3Gen, LoadError> {
        let network = S3Gen::load(&s3gen.root(), &config.s3gen, &config.hift, choice.granularity)?;
        s3gen.finish(&s3gen::UNUSED)?;
        Ok(network)
    };
    if choice.is_gpu {
        return Ok((load_t3()?, load_s3gen()?));
    }
    // Reordering weights is work for all cores; two files are read without waiting for each other.
    let (t3, s3gen) = rayon::join(load_t3, load_s3gen);
    Ok((t3?, s3gen?))
}

/// What of T3's tokens can be vocoded, and the silence behind it that keeps the end from being cut.
///
/// Llama's tokens are those between a start and a stop token, if it spoke such; control tokens, and the ids that its
/// vocabulary has beyond them, are dropped wherever they stand.
pub fn speakable(config: &ModelConfig, tokens: &[u32]) -> Vec<u32> {
    let mut spoken = tokens;
    if let Backbone::Llama(_) = config.t3.backbone {
        let place = |token| spoken.iter().position(|&spoken| spoken == token);
        let start = place(config.t3.start_speech_token).map_or(0, |start| start + 1);
        let stop = place(config.t3.stop_speech_token).unwrap_or(spoken.len());
        spoken = spoken.get(start..stop).unwrap_or_default();
    }
    let S3GenConfig { vocab, silence_token, trailing_silence_tokens, .. } = config.s3gen;
    let silence = std::iter::repeat_n(silence_token, trailing_silence_tokens);
    spoken.iter().copied().filter(|&token| (token as usize) < vocab).chain(silence).collect()
}

/// Samples that are kept of the sound of this many tokens: at least one token's.
fn untrimmed(config: &ModelConfig, tokens: usize) -> usize {
    match config.s3gen.trimmed_tokens {
        0 => usize::MAX,
        trimmed => tokens.saturating_sub(trimmed).max(1) * FRAMES_PER_TOKEN * MEL_HOP,
    }
}

/// No more is expected than has been spoken already.
fn token_step(count: usize, expected: usize) -> Step {
    Step::Token { count, expected: expected.max(count) }
}

/// Tokens that this many characters of English usually take: about 14 characters a second, 25 tokens a second.
fn expected_tokens(characters: usize) -> usize {
    characters * 25 / 14 + 5
}

/// In Turbo's order the first sampled token is not tested for a stop, hence the one more.
fn token_bound(sampling: &SamplingConfig, characters: usize) -> usize {
    let by_text = match (sampling.max_new_tokens_base, sampling.max_new_tokens_per_char) {
        (Some(base), Some(per_character)) => base + per_character * characters,
        _ => usize::MAX,
    };
    by_text.min(match sampling.order {
        Order::Turbo => sampling.max_new_tokens + 1,
        Order::Original => sampling.max_new_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turbos_tokens_lose_their_controls_and_gain_silence() {
        let spoken = speakable(&ModelConfig::turbo(), &[6561, 5, 6562, 6, 6560]);
        assert_eq!(spoken, [5, 6, 6560, 4299, 4299, 4299]);
    }

    #[test]
    fn llamas_tokens_are_those_between_start_and_stop_within_the_vocabulary() {
        let speakable = |tokens: &[u32]| speakable(&ModelConfig::original(), tokens);
        assert_eq!(speakable(&[5, 8193, 6, 6563, 6560]), [5, 6, 6560]);
        assert_eq!(speakable(&[5, 6561, 6, 7, 6562, 8]), [6, 7]);
        assert_eq!(speakable(&[6562, 6561, 5]), Vec::<u32>::new());
    }

    #[test]
    fn only_multilingual_loses_the_sound_of_its_last_token_and_never_the_only_one() {
        let multilingual = ModelConfig::multilingual();
        assert_eq!(untrimmed(&multilingual, 10), 9 * 960);
        assert_eq!(untrimmed(&multilingual, 1), 960);
        for config in [ModelConfig::original(), ModelConfig::nano()] {
            assert_eq!(untrimmed(&config, 10), usize::MAX);
        }
    }
}
