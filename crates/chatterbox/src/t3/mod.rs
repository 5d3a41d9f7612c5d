//! T3: text tokens to speech tokens, one at a time, in the voice of a speaker.
//!
//! The sequence is `[speaker | prompt tokens | text | start | speech …]`. The loop follows the reference's
//! `inference_turbo`, its quirks included: the first token is not compared with the stop token, the start token is penalised
//! only in the first step, and a decode may end by its bound.

pub mod conditioning;
pub mod gpt2;
pub mod sampling;

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::{Embedding, Linear};
use crate::noise::Noise;
use crate::variant::{SamplingConfig, T3Config};
use crate::weights::{Scope, WeightError};
use conditioning::Conditioning;
use gpt2::{Cache, Gpt2};

/// Tensors of a T3 file that inference never touches: GPT-2's own token table, and the head of a training loss on text.
pub const UNUSED: [&str; 2] = ["tfmr.wte.", "text_head."];

/// The token model.
#[derive(Debug)]
pub struct T3 {
    conditioning: Conditioning,
    text: Embedding,
    speech: Embedding,
    backbone: Gpt2,
    head: Linear,
    config: T3Config,
    device: Device,
    granularity: usize,
}

/// What T3 needs to know of a voice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Speaker {
    /// `[speaker_width]`, unit length.
    pub embedding: Vec<f32>,
    /// Speech tokens of the reference clip's beginning; may be empty.
    pub prompt: Vec<u32>,
    /// The prompt as it was embedded once, row-major `[prompt, width]`: used instead of embedding the tokens again, since the
    /// reference keeps it with a voice that has spoken.
    pub prompt_embedding: Option<Vec<f32>>,
    /// The exaggeration that the voice was made with; models without one ignore it, the others take 0.5 where there is none.
    pub emotion: Option<f32>,
}

/// How a decode ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Everything sampled, without the stop token.
    pub tokens: Vec<u32>,
    /// False when the bound on tokens ended it.
    pub stopped: bool,
}

/// Why nothing was decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum T3Error {
    #[error("the text has no tokens")]
    EmptyText,
    #[error("the text has {tokens} tokens; with this voice there is room for {room}")]
    TextTooLong { tokens: usize, room: usize },
    #[error("token {token} is outside the vocabulary of {vocabulary}")]
    UnknownToken { token: u32, vocabulary: usize },
    #[error("the decode was cancelled")]
    Cancelled,
    #[error("the device did not return the logits: {0}")]
    Device(String),
}

impl T3 {
    /// Reads a `t3_*` checkpoint. `granularity` is the step in which lengths grow on this device (1: exact).
    pub fn load(scope: &Scope, config: &T3Config, granularity: usize) -> Result<Self, WeightError> {
        Ok(Self {
            conditioning: Conditioning::load(&scope.at("cond_enc"), config)?,
            text: Embedding::load(&scope.at("text_emb"), config.text_vocab, config.width)?,
            speech: Embedding::load(&scope.at("speech_emb"), config.speech_vocab, config.width)?,
            backbone: Gpt2::load(&scope.at("tfmr"), config)?,
            head: Linear::load(&scope.at("speech_head"), config.width, config.speech_vocab)?,
            config: config.clone(),
            device: scope.device().clone(),
            granularity,
        })
    }

    /// Speaks `text` as tokens. `observe` is called with the count after every token and may break the loop off, which
    /// gives [`T3Error::Cancelled`].
    pub fn decode(
        &self,
        text: &[u32],
        speaker: &Speaker,
        sampling: &SamplingConfig,
        max_tokens: usize,
        noise: &mut dyn Noise,
        observe: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Decoded, T3Error> {
        let prefix = self.prefix(text, speaker)?;
        let room = self.config.positions - prefix.dims()[1];
        let max_tokens = max_tokens.min(room);
        let mut cache = self.cache(prefix.dims()[1] + max_tokens);
        let mut logits = read_logits(self.prefill(prefix, &mut cache))?;
        let mut tokens: Vec<u32> = Vec::with_capacity(max_tokens);
        let mut stopped = false;
        while tokens.len() < max_tokens {
            let start = [self.config.start_speech_token];
            let history = if tokens.is_empty() { &start[..] } else { &tokens };
            let Some(token) = sampling::sample(logits, history, sampling, noise) else { break };
            if token == self.config.stop_speech_token && !tokens.is_empty() {
                stopped = true;
                break;
            }
            tokens.push(token);
            if observe(tokens.len()).is_break() {
                return Err(T3Error::Cancelled);
            }
            if tokens.len() == max_tokens {
                break;
            }
            logits = read_logits(self.step(token, &mut cache))?;
        }
        Ok(Decoded { tokens, stopped })
    }

    /// The embeddings of everything before the first speech token: `[1, 1 + prompt + text + 1, width]`.
    pub fn prefix(&self, text: &[u32], speaker: &Speaker) -> Result<Tensor<3>, T3Error> {
        if text.is_empty() {
            return Err(T3Error::EmptyText);
        }
        // Room for the speaker, the start token and at least one spoken token.
        let room = self.config.positions.saturating_sub(speaker.prompt.len() + 3);
        if text.len() > room {
            return Err(T3Error::TextTooLong { tokens: text.len(), room });
        }
        within(text, self.config.text_vocab)?;
        within(&speaker.prompt, self.config.speech_vocab)?;
        let conditioning = self.conditioning.forward(&speaker.embedding, self.prompt(speaker), &self.device);
        let text = self.text.forward(text);
        let start = self.speech.forward(&[self.config.start_speech_token]);
        Ok(Tensor::cat(vec![conditioning, text, start], 1))
    }

    /// The embedded prompt, `[1, n, width]`; nothing where the voice has none.
    fn prompt(&self, speaker: &Speaker) -> Option<Tensor<3>> {
        match &speaker.prompt_embedding {
            _ if speaker.prompt.is_empty() => None,
            Some(values) => {
                let shape = [1, speaker.prompt.len(), self.config.width];
                Some(Tensor::from_data(TensorData::new(values.clone(), shape), &self.device))
            }
            None => Some(self.speech.forward(&speaker.prompt)),
        }
    }

    /// An empty cache with room for `positions` positions.
    pub fn cache(&self, positions: usize) -> Cache {
        self.backbone.cache(positions, self.granularity, &self.device)
    }

    /// `[1, length, width]` → logits `[1, 1, speech_vocab]` behind the last position.
    pub fn prefill(&self, prefix: Tensor<3>, cache: &mut Cache) -> Tensor<3> {
        self.head.forward(self.backbone.prefill(prefix, cache))
    }

    /// One speech token in, logits `[1, 1, speech_vocab]` for the next one out.
    pub fn step(&self, token: u32, cache: &mut Cache) -> Tensor<3> {
        self.head.forward(self.backbone.step(self.speech.forward(&[token]), cache))
    }

    pub fn config(&self) -> &T3Config {
        &self.config
    }
}

/// The one read-back per token.
pub(crate) fn read_logits(logits: Tensor<3>) -> Result<Vec<f32>, T3Error> {
    logits
        .try_into_data()
        .map_err(|error| T3Error::Device(format!("{error:?}")))?
        .try_to_vec::<f32>()
        .map_err(|error| T3Error::Device(format!("{error:?}")))
}

fn within(tokens: &[u32], vocabulary: usize) -> Result<(), T3Error> {
    match tokens.iter().find(|&&token| token as usize >= vocabulary) {
        Some(&token) => Err(T3Error::UnknownToken { token, vocabulary }),
        None => Ok(()),
    }
}
