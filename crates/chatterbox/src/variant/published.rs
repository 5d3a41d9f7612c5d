//! The sizes of the published checkpoints, which carry no configuration of their own. They are those of the reference's
//! classes (chatterbox-tts, commit 5de7a54).

use super::{
    Analyser, Backbone, EncoderConfig, EstimatorConfig, F0Config, HiftConfig, IstftConfig, LlamaConfig,
    ModelConfig, Order, S3GenConfig, SAMPLE_RATE, SamplingConfig, Solver, T3Config,
};
use crate::reference_clip::ClipEncoderConfig;

impl ModelConfig {
    /// Chatterbox Nano: GPT-2 small (110 M) with Turbo's S3Gen.
    pub fn nano() -> Self {
        Self::gpt2(12, 12, 768)
    }

    /// Chatterbox Turbo: GPT-2 medium (350 M).
    pub fn turbo() -> Self {
        Self::gpt2(24, 16, 1024)
    }

    /// The first Chatterbox: Llama (520 M), English.
    pub fn original() -> Self {
        Self::llama(704, Vec::new())
    }

    /// Chatterbox Multilingual v2 and v3 and the language packs, which differ in their weights only.
    pub fn multilingual() -> Self {
        let mut config = Self::llama(2454, vec![(12, 15), (13, 11), (9, 2)]);
        config.s3gen.trimmed_tokens = 1;
        config
    }

    fn gpt2(layers: usize, heads: usize, width: usize) -> Self {
        Self {
            t3: T3Config {
                backbone: Backbone::Gpt2,
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
            s3gen: S3GenConfig { trailing_silence_tokens: 3, ..S3GenConfig::published(Solver::Meanflow, 2) },
            hift: HiftConfig::published(),
            clip: ClipEncoderConfig::published(),
            sampling: SamplingConfig {
                order: Order::Turbo,
                temperature: 0.8,
                top_k: 1000,
                top_p: 0.95,
                min_p: 0.0,
                repetition_penalty: 1.2,
                cfg_weight: 0.0,
                exaggeration: 0.0,
                analyser: Analyser::Off,
                max_new_tokens: 1000,
                max_new_tokens_base: None,
                max_new_tokens_per_char: None,
                max_prompt_chars: 300,
            },
        }
    }

    fn llama(text_vocab: usize, aligned_heads: Vec<(usize, usize)>) -> Self {
        let (perceiver_queries, text_positions, speech_positions) = (32, 2050, 4100);
        Self {
            t3: T3Config {
                backbone: Backbone::Llama(LlamaConfig {
                    feed_forward: 4096,
                    text_positions,
                    speech_positions,
                    perceiver_queries,
                    perceiver_heads: 4,
                    start_text_token: 255,
                    stop_text_token: 0,
                    aligned_heads,
                }),
                layers: 30,
                heads: 16,
                width: 1024,
                // Speaker and emotion take one position each.
                positions: perceiver_queries + 2 + text_positions + speech_positions,
                text_vocab,
                speech_vocab: 8194,
                start_speech_token: 6561,
                stop_speech_token: 6562,
                speaker_width: 256,
                prompt_tokens: 150,
            },
            s3gen: S3GenConfig::published(Solver::Cfm { guidance: 0.7 }, 10),
            hift: HiftConfig::published(),
            clip: ClipEncoderConfig::published(),
            sampling: SamplingConfig {
                order: Order::Original,
                temperature: 0.8,
                top_k: 0,
                top_p: 1.0,
                min_p: 0.05,
                repetition_penalty: 1.2,
                cfg_weight: 0.5,
                exaggeration: 0.5,
                analyser: Analyser::Off,
                max_new_tokens: 1000,
                max_new_tokens_base: None,
                max_new_tokens_per_char: None,
                max_prompt_chars: 300,
            },
        }
    }
}

impl S3GenConfig {
    /// One network in every published checkpoint, trained for one solver or the other.
    fn published(solver: Solver, steps: usize) -> Self {
        Self {
            vocab: 6561,
            solver,
            steps,
            noise_scale: 1.0,
            silence_token: 4299,
            trailing_silence_tokens: 0,
            trimmed_tokens: 0,
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
