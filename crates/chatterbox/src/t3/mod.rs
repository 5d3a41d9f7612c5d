//! T3: text tokens to speech tokens, one at a time, in the voice of a speaker.
//!
//! The sequence is `[conditioning | text | start | speech …]`. There are two kinds: GPT-2 inside (Turbo, Nano, `pico`) and
//! Llama inside (original, multilingual), and with them the reference's two loops, `inference_turbo` and `inference`, whose
//! quirks [`Order`] names. With guidance, a second sequence without the text is decoded beside the first, in the same pass.

pub mod alignment;
pub mod cache;
pub mod conditioning;
mod decoding;
mod embedding;
mod gpt2;
mod llama;
mod opening;
mod perceiver;
pub mod rope;
pub mod sampling;
mod transformer;

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::Linear;
use crate::nn::kernels::{compact, is_host};
use crate::variant::{Analyser, Backbone, Order, SamplingConfig, T3Config};
use crate::weights::{Precision, Scope, WeightError};
use alignment::AlignmentAnalyser;
use cache::Cache;
use conditioning::Conditioning;
pub use decoding::{Decoded, Decoding};
use embedding::TokenEmbedding;
use gpt2::Gpt2;
use llama::Llama;
use opening::{Kept, Opening};
use transformer::Transformer;

/// Tensors of a T3 file that inference never touches: the backbones' own token tables, and the head of a training loss on
/// text.
pub const UNUSED: [&str; 3] = ["tfmr.wte.", "tfmr.embed_tokens.", "text_head."];

/// Rows that may decode together: those of one sequence are one, or two with guidance.
pub const MOST_ROWS: usize = compact::FEW;

/// The token model.
#[derive(Debug)]
pub struct T3 {
    conditioning: Conditioning,
    text: TokenEmbedding,
    speech: TokenEmbedding,
    transformer: Box<dyn Transformer>,
    head: Linear,
    config: T3Config,
    device: Device,
    on_host: bool,
    granularity: usize,
    /// Of the voice that spoke last.
    opening: Kept,
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
    /// Reads a `t3_*` checkpoint. `granularity` is the step in which lengths grow on this device (1: exact). On the CPU the
    /// weights are kept with the precision that `scope` names, else as f32.
    pub fn load(scope: &Scope, config: &T3Config, granularity: usize) -> Result<Self, WeightError> {
        let scope = &scope.decoding(scope.precision().unwrap_or(Precision::F32));
        let (width, layers, head) = (config.width, scope.at("tfmr"), scope.at("speech_head"));
        let embedding =
            |kind, vocabulary, rows| TokenEmbedding::load(scope, kind, vocabulary, rows, config.width);
        let (text_positions, speech_positions, transformer, head): (_, _, Box<dyn Transformer>, _) =
            match &config.backbone {
                Backbone::Gpt2 => (
                    None,
                    None,
                    Box::new(Gpt2::load(&layers, config)?),
                    Linear::load(&head, width, config.speech_vocab)?,
                ),
                Backbone::Llama(llama) => (
                    Some(llama.text_positions),
                    Some(llama.speech_positions),
                    Box::new(Llama::load(&layers, config, llama)?),
                    Linear::load_unbiased(&head, width, config.speech_vocab)?,
                ),
            };
        Ok(Self {
            conditioning: Conditioning::load(&scope.at("cond_enc"), config)?,
            text: embedding("text", config.text_vocab, text_positions)?,
            speech: embedding("speech", config.speech_vocab, speech_positions)?,
            transformer,
            head,
            config: config.clone(),
            device: scope.device().clone(),
            on_host: is_host(scope.device()),
            granularity,
            opening: Kept::default(),
        })
    }

    /// The embeddings of everything before the first speech token: `[rows, conditioning + text + starts, width]`, where
    /// the second row, if guidance asks for it, lacks the text.
    pub fn prefix(
        &self,
        text: &[u32],
        speaker: &Speaker,
        sampling: &SamplingConfig,
    ) -> Result<Tensor<3>, T3Error> {
        self.check(text, speaker)?;
        let conditioning = self.condition(speaker, sampling.exaggeration);
        let behind = self.behind(text, sampling);
        let conditioning = conditioning.repeat_dim(0, behind.dims()[0]);
        Ok(Tensor::cat(vec![conditioning, behind], 1))
    }

    fn check(&self, text: &[u32], speaker: &Speaker) -> Result<(), T3Error> {
        if text.is_empty() {
            return Err(T3Error::EmptyText);
        }
        let room = self.room_for_text(speaker);
        if text.len() > room {
            return Err(T3Error::TextTooLong { tokens: text.len(), room });
        }
        within(text, self.config.text_vocab)?;
        within(&speaker.prompt, self.config.speech_vocab)
    }

    /// What comes before the text: `[1, conditioning, width]`.
    fn condition(&self, speaker: &Speaker, exaggeration: f32) -> Tensor<3> {
        self.conditioning.forward(&speaker.embedding, self.prompt(speaker), exaggeration, &self.device)
    }

    /// What comes behind the conditioning: `[rows, text + starts, width]`.
    fn behind(&self, text: &[u32], sampling: &SamplingConfig) -> Tensor<3> {
        let start = self.speech.forward(&[self.config.start_speech_token], 0);
        let sequence = |text: Tensor<3>| {
            let starts = std::iter::repeat_n(start.clone(), self.starts());
            Tensor::cat(std::iter::once(text).chain(starts).collect(), 1)
        };
        let text = self.wrapped(text);
        let conditional = sequence(self.text.forward(&text, 0));
        if Self::rows(sampling) == 1 {
            return conditional;
        }
        Tensor::cat(vec![conditional, sequence(self.text.silenced(&text, 0))], 0)
    }

    /// What the conditioning leaves in a cache, which is the same for every text of a voice. It is remembered for the voice that
    /// spoke last, and on the CPU only: reading it is most of what comes before the first token there.
    fn opening(&self, speaker: &Speaker, exaggeration: f32) -> Opening {
        self.opening.get(speaker, exaggeration, || {
            let conditioning = self.condition(speaker, exaggeration);
            let mut cache = self.cache(1, conditioning.dims()[1]);
            self.transformer.prefill(conditioning, &mut cache);
            cache
        })
    }

    /// The embedded prompt, `[1, n, width]`; nothing where the voice has none.
    fn prompt(&self, speaker: &Speaker) -> Option<Tensor<3>> {
        match &speaker.prompt_embedding {
            _ if speaker.prompt.is_empty() => None,
            Some(values) => {
                let shape = [1, speaker.prompt.len(), self.config.width];
                Some(Tensor::from_data(TensorData::new(values.clone(), shape), &self.device))
            }
            None => Some(self.speech.forward(&speaker.prompt, 0)),
        }
    }

    /// Sequences that are decoded side by side: two with guidance.
    pub fn rows(sampling: &SamplingConfig) -> usize {
        match sampling.order {
            Order::Original if sampling.cfg_weight > 0.0 => 2,
            Order::Original | Order::Turbo => 1,
        }
    }

    /// An empty cache with room for `positions` positions of `rows` sequences.
    pub fn cache(&self, rows: usize, positions: usize) -> Cache {
        self.transformer.cache(rows, positions, self.granularity, &self.device)
    }

    /// A prefix, or what a cache that begins with an opening lacks of it: `[rows, length, width]` → logits
    /// `[rows, 1, speech_vocab]` behind the last position.
    pub fn prefill(&self, prefix: Tensor<3>, cache: &mut Cache) -> Tensor<3> {
        self.head.forward(self.transformer.prefill(prefix, cache))
    }

    /// One speech token in, the same for all rows; logits `[rows, 1, speech_vocab]` for the next one out.
    pub fn step(&self, token: u32, cache: &mut Cache) -> Tensor<3> {
        self.step_together(&[token], &mut [cache])
    }

    /// One speech token for each of several sequences; logits `[rows of all, 1, speech_vocab]`. Weights are read once for all
    /// of them, and on the CPU each gets to the bit what it would get alone, if all together have at most [`MOST_ROWS`] rows.
    pub fn step_together(&self, tokens: &[u32], caches: &mut [&mut Cache]) -> Tensor<3> {
        let mut step = || {
            let embeddings = tokens.iter().zip(caches.iter()).map(|(token, cache)| {
                // The start token has position 0, however often it is repeated.
                let embedding = self.speech.forward(&[*token], cache.steps() + 1);
                if cache.rows() == 1 { embedding } else { embedding.repeat_dim(0, cache.rows()) }
            });
            let embeddings = Tensor::cat(embeddings.collect(), 0);
            self.head.forward(self.transformer.step(embeddings, caches))
        };
        if self.on_host {
            // On one of the threads that share the work, or each product would begin with waking them up.
            rayon::scope(|_| step())
        } else {
            step()
        }
    }

    /// Utterances that may decode together: as many as keep to [`MOST_ROWS`], and their caches, at the length of a usual
    /// chunk, to half a gigabyte.
    pub fn most_together(&self, sampling: &SamplingConfig) -> usize {
        const CACHES: usize = 512 << 20;
        const USUAL_POSITIONS: usize = 700;
        let rows = Self::rows(sampling);
        let position = 2 * self.config.layers * self.config.width * size_of::<f32>();
        (CACHES / (position * USUAL_POSITIONS)).min(MOST_ROWS) / rows
    }

    pub fn config(&self) -> &T3Config {
        &self.config
    }

    /// Start tokens behind the text. The reference's `inference` appends one to the one that is there.
    fn starts(&self) -> usize {
        match self.config.backbone {
            Backbone::Gpt2 => 1,
            Backbone::Llama(_) => 2,
        }
    }

    /// The text between its own start and stop tokens, where the model knows such.
    fn wrapped(&self, text: &[u32]) -> Vec<u32> {
        match &self.config.backbone {
            Backbone::Gpt2 => text.to_vec(),
            Backbone::Llama(llama) => [&[llama.start_text_token], text, &[llama.stop_text_token]].concat(),
        }
    }

    /// Tokens that a text may have, so that one token at least can be spoken.
    fn room_for_text(&self, speaker: &Speaker) -> usize {
        let (conditioning, wrapping, text_positions) = match &self.config.backbone {
            Backbone::Gpt2 => (1 + speaker.prompt.len(), 0, usize::MAX),
            Backbone::Llama(llama) => (1 + llama.perceiver_queries + 1, 2, llama.text_positions),
        };
        let left = self.config.positions.saturating_sub(conditioning + self.starts() + 1);
        left.min(text_positions).saturating_sub(wrapping)
    }

    /// Tokens that can be spoken behind a prefix of `length` positions.
    fn room_for_speech(&self, length: usize) -> usize {
        let left = self.config.positions - length;
        match &self.config.backbone {
            Backbone::Gpt2 => left,
            Backbone::Llama(llama) => left.min(llama.speech_positions),
        }
    }

    /// Sets the cache watching for the analyser, if one is asked for and the checkpoint's aligned heads are known.
    fn analyser(
        &self,
        text: &[u32],
        prefix: usize,
        sampling: &SamplingConfig,
        cache: &mut Cache,
    ) -> Option<AlignmentAnalyser> {
        match (sampling.analyser, &self.config.backbone) {
            (Analyser::V2Legacy, Backbone::Llama(llama)) if !llama.aligned_heads.is_empty() => {
                let length = self.wrapped(text).len();
                let start = prefix - self.starts() - length;
                cache.watch(&llama.aligned_heads, start..start + length, self.starts());
                Some(AlignmentAnalyser::new(length, self.config.stop_speech_token))
            }
            (Analyser::V2Legacy, Backbone::Llama(_) | Backbone::Gpt2) | (Analyser::Off, _) => None,
        }
    }
}

/// The one read-back per token; a watching analyser has its own.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, T3Error> {
    tensor
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
