//! The sizes and constants of a checkpoint: what differs between the models while the code stays one.
//!
//! `pico` carries its own in `config.json` (read here); the published checkpoints have none, so theirs are written down
//! beside this file, in `published.rs`. A fine-tune says in a file what it has changed of them (`changes.rs`).

mod changes;
mod published;
mod work;

pub use changes::ChangesError;
pub use work::Work;

use serde::{Deserialize, Serialize};

use crate::reference_clip::ClipEncoderConfig;

/// Everything about a checkpoint that is not a weight.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ModelConfig {
    pub t3: T3Config,
    pub s3gen: S3GenConfig,
    #[serde(rename = "mel2wav")]
    pub hift: HiftConfig,
    /// The networks that embed a reference clip.
    #[serde(default = "ClipEncoderConfig::published")]
    pub clip: ClipEncoderConfig,
    pub sampling: SamplingConfig,
}

/// The token model: a transformer over `[speaker | prompt tokens | text | speech …]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct T3Config {
    pub backbone: Backbone,
    #[serde(rename = "n_layer")]
    pub layers: usize,
    #[serde(rename = "n_head")]
    pub heads: usize,
    /// Width of the residual stream.
    #[serde(rename = "n_embd")]
    pub width: usize,
    /// No sequence may be longer: the rows of GPT-2's learned position table, of Llama's rotary one.
    #[serde(rename = "n_positions")]
    pub positions: usize,
    #[serde(rename = "text_vocab_size")]
    pub text_vocab: usize,
    #[serde(rename = "speech_vocab_size")]
    pub speech_vocab: usize,
    pub start_speech_token: u32,
    pub stop_speech_token: u32,
    #[serde(rename = "speaker_embed_size")]
    pub speaker_width: usize,
    /// Speech tokens of the reference clip that precede the text, at most.
    #[serde(rename = "speech_cond_prompt_len")]
    pub prompt_tokens: usize,
}

/// The kind of transformer inside T3, and what comes with it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backbone {
    /// Turbo, Nano, `pico`: nothing but the sequence itself.
    Gpt2,
    /// Original and multilingual: prompt through a perceiver, a position for emotion, learned positions of text and speech.
    Llama(LlamaConfig),
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct LlamaConfig {
    /// Width of the gated feed-forward layers.
    pub feed_forward: usize,
    /// Rows of the learned table that counts text tokens.
    pub text_positions: usize,
    /// Rows of the learned table that counts speech tokens.
    pub speech_positions: usize,
    /// Positions that the perceiver makes of the prompt, whatever its length.
    pub perceiver_queries: usize,
    pub perceiver_heads: usize,
    /// The text stands between these two.
    pub start_text_token: u32,
    pub stop_text_token: u32,
    /// Layer and head whose attention follows the text while it is spoken; the alignment analyser watches them.
    pub aligned_heads: Vec<(usize, usize)>,
}

/// Speech tokens to mel.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct S3GenConfig {
    /// Rows of the token embedding; ids from here on are control tokens and are dropped.
    #[serde(rename = "vocab_size")]
    pub vocab: usize,
    #[serde(default)]
    pub solver: Solver,
    /// Euler steps from noise to mel.
    #[serde(rename = "n_timesteps")]
    pub steps: usize,
    /// Factor on the Gaussian start noise; 0 for networks too small to carry noise through.
    pub noise_scale: f32,
    pub silence_token: u32,
    /// Silence tokens appended after the last spoken one.
    pub trailing_silence_tokens: usize,
    /// Spoken tokens whose sound is cut off at the end: the multilingual models often end in noise.
    #[serde(default)]
    pub trimmed_tokens: usize,
    /// Width of the speaker x-vector.
    #[serde(rename = "spk_embed_dim")]
    pub speaker_width: usize,
    pub encoder: EncoderConfig,
    pub estimator: EstimatorConfig,
}

/// How the flow is integrated; a U-net is trained for one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// Few equal steps along mean velocities.
    #[default]
    Meanflow,
    /// Steps along instantaneous velocities, small at first, each with classifier-free guidance of this weight.
    Cfm { guidance: f32 },
}

/// The conformer that turns tokens into two frames each.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct EncoderConfig {
    #[serde(rename = "output_size")]
    pub width: usize,
    #[serde(rename = "attention_heads")]
    pub heads: usize,
    #[serde(rename = "linear_units")]
    pub feed_forward: usize,
    /// Layers before the upsampling.
    #[serde(rename = "num_blocks")]
    pub blocks: usize,
    /// Layers after it.
    #[serde(rename = "num_up_blocks")]
    pub up_blocks: usize,
    #[serde(rename = "pre_lookahead_len")]
    pub lookahead: usize,
}

/// The U-net that estimates the flow's velocity.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct EstimatorConfig {
    /// One entry: the one level of the U-net.
    pub channels: Vec<usize>,
    #[serde(rename = "num_heads")]
    pub heads: usize,
    #[serde(rename = "attention_head_dim")]
    pub head_width: usize,
    /// Transformer blocks behind each residual block.
    #[serde(rename = "n_blocks")]
    pub blocks: usize,
    #[serde(rename = "num_mid_blocks")]
    pub mid_blocks: usize,
}

impl EstimatorConfig {
    pub fn width(&self) -> usize {
        self.channels.first().copied().unwrap_or(0)
    }
}

/// Mel to samples: a neural source-filter vocoder with an inverse STFT at its end.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct HiftConfig {
    pub base_channels: usize,
    /// Overtones above the fundamental.
    #[serde(rename = "nb_harmonics")]
    pub harmonics: usize,
    #[serde(rename = "sampling_rate")]
    pub sample_rate: u32,
    /// Amplitude of each sine of the source.
    #[serde(rename = "nsf_alpha")]
    pub sine_amplitude: f32,
    /// Standard deviation of the noise on voiced samples.
    #[serde(rename = "nsf_sigma")]
    pub voiced_noise: f32,
    /// Hz; below it a frame counts as unvoiced.
    #[serde(rename = "nsf_voiced_threshold")]
    pub voiced_threshold: f32,
    pub upsample_rates: Vec<usize>,
    pub upsample_kernel_sizes: Vec<usize>,
    pub resblock_kernel_sizes: Vec<usize>,
    pub resblock_dilation_sizes: Vec<Vec<usize>>,
    pub source_resblock_kernel_sizes: Vec<usize>,
    pub source_resblock_dilation_sizes: Vec<Vec<usize>>,
    pub istft_params: IstftConfig,
    pub lrelu_slope: f64,
    /// Samples are clamped to ± this.
    pub audio_limit: f32,
    pub f0_predictor: F0Config,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct IstftConfig {
    pub n_fft: usize,
    #[serde(rename = "hop_len")]
    pub hop: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct F0Config {
    #[serde(rename = "cond_channels")]
    pub channels: usize,
}

/// How T3's logits become tokens. These are a checkpoint's defaults; a request may change them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SamplingConfig {
    #[serde(default)]
    pub order: Order,
    /// 0 does not mean greedy in the reference: it only skips the division. Greedy is `top_k` 1.
    pub temperature: f32,
    /// 0 switches the filter off. Turbo's order only.
    pub top_k: usize,
    pub top_p: f32,
    /// Removes what is less probable than this share of the most probable token. Original order only, as are the rest.
    #[serde(default)]
    pub min_p: f32,
    pub repetition_penalty: f32,
    /// Weight of classifier-free guidance; 0 leaves the unconditional half out, which doubles the speed.
    #[serde(default)]
    pub cfg_weight: f32,
    /// Strength of the emotion, 0.5 being neutral.
    #[serde(default)]
    pub exaggeration: f32,
    #[serde(default)]
    pub analyser: Analyser,
    /// Most tokens of one decode, whatever the text.
    pub max_new_tokens: usize,
    /// A text-dependent bound beside it, `base + per_char · characters`, for models that may fail to stop.
    #[serde(default)]
    pub max_new_tokens_base: Option<usize>,
    #[serde(default)]
    pub max_new_tokens_per_char: Option<usize>,
    /// Characters spoken reliably in one go.
    pub max_prompt_chars: usize,
}

/// The reference's two decode loops: the order of what is done to logits, and when a decode ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Temperature, top-k, top-p, repetition penalty. The first token is not compared with the stop token, and the start
    /// token is penalised only while it is alone.
    #[default]
    Turbo,
    /// Guidance, repetition penalty (of the start token too), temperature, min-p, top-p.
    Original,
}

/// Whether T3's attention is watched for endings that go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Analyser {
    #[default]
    #[serde(rename = "off")]
    Off,
    /// As multilingual v2 had it before the reference removed it.
    #[serde(rename = "v2-legacy")]
    V2Legacy,
}

/// The frames of mel per second, and samples per frame, of every checkpoint: 24 kHz, hop 480.
pub const SAMPLE_RATE: u32 = 24_000;
pub const MEL_BINS: usize = 80;
pub const MEL_HOP: usize = 480;
/// Mel frames that one speech token (40 ms) becomes.
pub const FRAMES_PER_TOKEN: usize = 2;
