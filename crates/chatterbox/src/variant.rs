//! The sizes and constants of a checkpoint: what differs between `pico`, `nano` and `turbo` while the code stays one.
//!
//! `pico` carries its own in `config.json` (read here); the published checkpoints have none, so theirs are written down,
//! named after the reference's classes (chatterbox-tts, commit 5de7a54).

use serde::Deserialize;

/// Everything about a checkpoint that is not a weight.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ModelConfig {
    pub t3: T3Config,
    pub s3gen: S3GenConfig,
    #[serde(rename = "mel2wav")]
    pub hift: HiftConfig,
    pub sampling: SamplingConfig,
}

/// The token model: a GPT-2 over `[speaker | prompt tokens | text | speech …]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct T3Config {
    #[serde(rename = "n_layer")]
    pub layers: usize,
    #[serde(rename = "n_head")]
    pub heads: usize,
    /// Width of the residual stream.
    #[serde(rename = "n_embd")]
    pub width: usize,
    /// Rows of the learned position table: no sequence may be longer.
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

/// Speech tokens to mel.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct S3GenConfig {
    /// Rows of the token embedding; ids from here on are control tokens and are dropped.
    #[serde(rename = "vocab_size")]
    pub vocab: usize,
    /// Euler steps of the meanflow solver.
    #[serde(rename = "n_timesteps")]
    pub steps: usize,
    /// Factor on the Gaussian start noise; 0 for networks too small to carry noise through.
    pub noise_scale: f32,
    pub silence_token: u32,
    /// Silence tokens appended after the last spoken one.
    pub trailing_silence_tokens: usize,
    /// Width of the speaker x-vector.
    #[serde(rename = "spk_embed_dim")]
    pub speaker_width: usize,
    pub encoder: EncoderConfig,
    pub estimator: EstimatorConfig,
}

/// The conformer that turns tokens into two frames each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct IstftConfig {
    pub n_fft: usize,
    #[serde(rename = "hop_len")]
    pub hop: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct F0Config {
    #[serde(rename = "cond_channels")]
    pub channels: usize,
}

/// How T3's logits become tokens, in Turbo's order: temperature, top-k, top-p, then the repetition penalty.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SamplingConfig {
    /// 0 does not mean greedy in the reference: it only skips the division. Greedy is `top_k` 1.
    pub temperature: f32,
    /// 0 switches the filter off.
    pub top_k: usize,
    pub top_p: f32,
    pub repetition_penalty: f32,
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

/// The frames of mel per second, and samples per frame, of every checkpoint: 24 kHz, hop 480.
pub const SAMPLE_RATE: u32 = 24_000;
pub const MEL_BINS: usize = 80;
pub const MEL_HOP: usize = 480;
/// Mel frames that one speech token (40 ms) becomes.
pub const FRAMES_PER_TOKEN: usize = 2;

impl ModelConfig {
    /// Chatterbox Nano: GPT-2 small (110 M) with Turbo's S3Gen.
    pub fn nano() -> Self {
        Self::gpt2(12, 12, 768)
    }

    /// Chatterbox Turbo: GPT-2 medium (350 M).
    pub fn turbo() -> Self {
        Self::gpt2(24, 16, 1024)
    }

    fn gpt2(layers: usize, heads: usize, width: usize) -> Self {
        Self {
            t3: T3Config {
                layers,
                heads,
                width,
                positions: 8196,
                text_vocab: 50_276,
                speech_vocab: 6563,
                start_speech_token: 6561,
                stop_speech_token: 6562,
                speaker_width: 256,
                prompt_tokens: 375,
            },
            s3gen: S3GenConfig {
                vocab: 6561,
                steps: 2,
                noise_scale: 1.0,
                silence_token: 4299,
                trailing_silence_tokens: 3,
                speaker_width: 192,
                encoder: EncoderConfig {
                    width: 512,
                    heads: 8,
                    feed_forward: 2048,
                    blocks: 6,
                    up_blocks: 4,
                    lookahead: 3,
                },
                estimator: EstimatorConfig {
                    channels: vec![256],
                    heads: 8,
                    head_width: 64,
                    blocks: 4,
                    mid_blocks: 12,
                },
            },
            hift: HiftConfig::published(),
            sampling: SamplingConfig {
                temperature: 0.8,
                top_k: 1000,
                top_p: 0.95,
                repetition_penalty: 1.2,
                max_new_tokens: 1000,
                max_new_tokens_base: None,
                max_new_tokens_per_char: None,
                max_prompt_chars: 300,
            },
        }
    }
}

impl HiftConfig {
    /// The vocoder shared by every published checkpoint.
    pub fn published() -> Self {
        Self {
            base_channels: 512,
            harmonics: 8,
            sample_rate: SAMPLE_RATE,
            sine_amplitude: 0.1,
            voiced_noise: 0.003,
            voiced_threshold: 10.0,
            upsample_rates: vec![8, 5, 3],
            upsample_kernel_sizes: vec![16, 11, 7],
            resblock_kernel_sizes: vec![3, 7, 11],
            resblock_dilation_sizes: vec![vec![1, 3, 5]; 3],
            source_resblock_kernel_sizes: vec![7, 7, 11],
            source_resblock_dilation_sizes: vec![vec![1, 3, 5]; 3],
            istft_params: IstftConfig { n_fft: 16, hop: 4 },
            lrelu_slope: 0.1,
            audio_limit: 0.99,
            f0_predictor: F0Config { channels: 512 },
        }
    }
}
