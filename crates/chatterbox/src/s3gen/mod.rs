//! S3Gen: speech tokens to mel ([`flow`]) and mel to samples ([`hift`]), in the voice of a reference.

mod blocks;
pub mod encoder;
pub mod flow;
pub mod hift;
mod rel_attention;
pub mod solver;
pub mod unet;

use burn::tensor::Tensor;

use crate::noise::Noise;
use crate::variant::{HiftConfig, S3GenConfig};
use crate::weights::{Scope, WeightError};
pub use blocks::{Blocks, Cut, Prepared};
use flow::Flow;
use hift::Hift;

/// Prefixes of tensors in an S3Gen file that synthesis leaves aside: both networks only embed a reference clip.
pub const UNUSED: [&str; 2] = ["tokenizer.", "speaker_encoder."];

/// What S3Gen needs to know of a voice.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Speech tokens of the reference clip; may be empty.
    pub prompt_tokens: Vec<u32>,
    /// Its mel, row-major `[frames, 80]`. Two frames a token, or one more, which shortens the output by one.
    pub prompt_mel: Vec<f32>,
    /// The speaker's x-vector, `[192]`.
    pub speaker: Vec<f32>,
}

/// The second half of the chain.
#[derive(Debug)]
pub struct S3Gen {
    pub flow: Flow,
    pub hift: Hift,
}

impl S3Gen {
    /// Reads `flow.*` and `mel2wav.*`. `granularity` is the step in which lengths grow on this device (1: exact).
    pub fn load(
        scope: &Scope,
        config: &S3GenConfig,
        hift: &HiftConfig,
        granularity: usize,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            flow: Flow::load(&scope.at("flow"), config, granularity)?,
            hift: Hift::load(&scope.at("mel2wav"), hift, granularity)?,
        })
    }

    /// `[1, 80, frames]` of the new tokens.
    pub fn mel(&self, tokens: &[u32], reference: &Reference, noise: &mut dyn Noise) -> Tensor<3> {
        self.flow.mel(tokens, reference, noise)
    }

    /// Samples at 24 kHz, 480 a frame. An error is the device's, in its words.
    pub fn wave(&self, mel: Tensor<3>, noise: &mut dyn Noise) -> Result<Vec<f32>, String> {
        self.hift.wave(mel, noise)
    }
}
