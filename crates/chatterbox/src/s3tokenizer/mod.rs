//! The S3 tokenizer: a clip's log-mel to speech tokens, one for 40 ms.
//!
//! Only cloning a voice and converting one need it. Its encoder sees 30 seconds at once; longer clips are cut into
//! overlapping windows. What the encoder says of each 40 ms is squeezed into eight numbers, and each is rounded to one of
//! three levels (finite scalar quantisation), which makes 3⁸ tokens.

mod attention;
mod encoder;

use std::ops::Range;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::nn::{Linear, read};
use crate::weights::{Scope, WeightError};
use encoder::Encoder;

/// Bands of the log-mel that goes in, 100 frames a second.
pub const MEL_BINS: usize = 128;
/// Mel frames of a token.
pub const FRAMES_PER_TOKEN: usize = 4;
/// Numbers that a token is made of, each of three levels.
const LEVELS: usize = 8;
/// Tokens are smaller than this.
pub const VOCABULARY: u32 = 3_u32.pow(LEVELS as u32);
/// Keeps the rounded numbers inside −1..1; the reference's constant, with its rounding.
const BOUND: f32 = 0.999;

/// Mel frames that the encoder sees at once.
const WINDOW: usize = 3000;
/// Frames between the starts of two windows.
const STRIDE: usize = 2600;
/// Tokens at each inner edge of a window that its neighbour knows better: half of the overlap.
const EDGE: usize = (WINDOW - STRIDE) / FRAMES_PER_TOKEN / 2;

/// Tensors of an S3Gen file's `tokenizer.*` that are computed instead of read: the mel filterbank and the window of the
/// STFT, which belong to the log-mel (`waveform::mel`). `s3gen.safetensors` may lack them.
pub const UNUSED: [&str; 2] = ["tokenizer._mel_filters", "tokenizer.window"];

/// One size for every published checkpoint; tests have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct S3TokenizerConfig {
    pub width: usize,
    pub heads: usize,
    pub layers: usize,
}

impl S3TokenizerConfig {
    pub fn published() -> Self {
        Self { width: 1280, heads: 20, layers: 6 }
    }
}

/// Log-mel to speech tokens.
#[derive(Debug)]
pub struct S3Tokenizer {
    encoder: Encoder,
    project_down: Linear,
}

impl S3Tokenizer {
    /// Reads `tokenizer.*` of an S3Gen file; `scope` is that branch. `granularity` is the step in which lengths grow on this
    /// device (1: exact).
    pub fn load(scope: &Scope, config: &S3TokenizerConfig, granularity: usize) -> Result<Self, WeightError> {
        Ok(Self {
            encoder: Encoder::load(&scope.at("encoder"), config, granularity)?,
            project_down: Linear::load(&scope.at("quantizer._codebook.project_down"), config.width, LEVELS)?,
        })
    }

    /// The tokens of a clip: one for every four frames, a last incomplete four included. An error is the device's, in its
    /// words.
    ///
    /// The reference also encodes a last window that lies wholly inside the one before it; joining that one loses up to two
    /// seconds of speech, so it is left out here.
    ///
    /// # Shapes
    /// `log_mel` `[frames, 128]`, row-major
    pub fn tokens(&self, log_mel: &[f32]) -> Result<Vec<u32>, String> {
        let mut tokens = Vec::new();
        if log_mel.is_empty() {
            return Ok(tokens);
        }
        let windows = windows(log_mel.len() / MEL_BINS);
        for (index, window) in windows.iter().enumerate() {
            let of_window = self.window(&log_mel[window.start * MEL_BINS..window.end * MEL_BINS])?;
            let first = if index == 0 { 0 } else { EDGE };
            let end = if index + 1 == windows.len() { of_window.len() } else { of_window.len() - EDGE };
            tokens.extend_from_slice(&of_window[first..end]);
        }
        Ok(tokens)
    }

    fn window(&self, log_mel: &[f32]) -> Result<Vec<u32>, String> {
        let count = (log_mel.len() / MEL_BINS).div_ceil(FRAMES_PER_TOKEN);
        let levels = read(self.levels(log_mel))?;
        Ok(levels.chunks_exact(LEVELS).take(count).map(quantised).collect())
    }

    /// What becomes the tokens of at most 30 seconds, before it is bounded and rounded; what follows the clip's own tokens
    /// is padding: `[1, ≥ tokens, 8]`.
    pub fn levels(&self, log_mel: &[f32]) -> Tensor<3> {
        self.project_down.forward(self.encoder.forward(log_mel))
    }
}

/// The windows of a clip: each [`STRIDE`] after the one before, the last one reaching the end.
fn windows(frames: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    loop {
        let end = frames.min(start + WINDOW);
        windows.push(start..end);
        if end == frames {
            return windows;
        }
        start += STRIDE;
    }
}

/// Each number as a digit 0, 1 or 2, the first one least significant. Halves round to even, as PyTorch's do.
fn quantised(levels: &[f32]) -> u32 {
    levels.iter().rev().fold(0, |token, level| {
        let digit = (level.tanh() * BOUND).round_ties_even() + 1.0;
        3 * token + digit as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_joined_give_every_token_once() {
        for frames in [0, 1, 4, 2999, 3000, 3001, 3150, 5300, 5600, 5601, 30_003] {
            let windows = windows(frames);
            let mut reached = 0;
            for (index, window) in windows.iter().enumerate() {
                let first = window.start / 4 + if index == 0 { 0 } else { EDGE };
                let end = window.end.div_ceil(4) - if index + 1 == windows.len() { 0 } else { EDGE };
                assert!(window.len() <= WINDOW && first == reached && end >= first, "{frames}: {windows:?}");
                reached = end;
            }
            assert_eq!(reached, frames.div_ceil(4), "{frames} frames");
        }
    }

    #[test]
    fn digits_are_base_three_with_the_first_least() {
        assert_eq!(quantised(&[-9.0; 8]), 0);
        assert_eq!(quantised(&[9.0; 8]), 6560);
        assert_eq!(quantised(&[0.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0]), 1);
        assert_eq!(quantised(&[-9.0, 9.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0]), 6);
    }
}
