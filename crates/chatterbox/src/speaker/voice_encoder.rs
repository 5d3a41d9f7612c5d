//! The voice encoder: 40 mel bands of a clip to one unit vector, through an LSTM over overlapping windows.
//!
//! It always runs on the CPU: hundreds of steps that wait for each other, each a product so small that a GPU would spend
//! its time on launching them.

use burn::tensor::{Device, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::lstm::Lstm;
use crate::nn::{Linear, read};
use crate::weights::{Scope, WeightError};

/// Bands of the mel that goes in: linear power, neither logarithm nor normalisation.
pub const MEL_BINS: usize = 40;
/// Frames (10 ms) of a window.
const WINDOW: usize = 160;
/// Frames between the starts of two windows, 1.3 windows a second: `round(16000 / 1.3 / 160)`.
const STEP: usize = 77;
/// A last window that the clip fills to this share is kept, and completed with zeros.
const LEAST_COVERAGE: f64 = 0.8;
/// Windows that go through the network at once; it bounds the memory that a long clip takes.
const BATCH: usize = 32;
const LAYERS: usize = 3;

/// Tensors of a voice encoder file that inference never touches: scale and offset of a training loss.
pub const UNUSED: [&str; 2] = ["similarity_weight", "similarity_bias"];

/// One size for every published checkpoint; tests have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct VoiceEncoderConfig {
    /// Width of the LSTM.
    pub width: usize,
    /// Width of the embedding.
    pub embedding: usize,
}

impl VoiceEncoderConfig {
    pub fn published() -> Self {
        Self { width: 256, embedding: 256 }
    }
}

/// A clip's mel to the embedding that T3 is conditioned on.
#[derive(Debug)]
pub struct VoiceEncoder {
    lstm: Lstm,
    projection: Linear,
    device: Device,
}

impl VoiceEncoder {
    /// Reads a `ve.safetensors`, whatever device the scope names, to the CPU.
    pub fn load(scope: &Scope, config: &VoiceEncoderConfig) -> Result<Self, WeightError> {
        let device = Device::flex();
        let VoiceEncoderConfig { width, embedding } = *config;
        let projection = scope.at("proj");
        let rows = projection.values("weight", &[embedding, width])?;
        let bias = projection.values("bias", &[embedding])?;
        Ok(Self {
            lstm: Lstm::load(&scope.at("lstm"), LAYERS, MEL_BINS, width, &device)?,
            projection: Linear::from_rows(&rows, width, Some(bias), &device),
            device,
        })
    }

    /// The embedding of a clip, of unit length: the mean of its windows' unit vectors, made unit again. Not finite if the
    /// network says nothing at all of the clip, as the reference's.
    ///
    /// # Shapes
    /// `mel` `[frames, 40]`, row-major → `[embedding]`
    pub fn embed(&self, mel: &[f32]) -> Result<Vec<f32>, String> {
        let projected = activation::relu(self.project(mel));
        let [windows, width] = projected.dims();
        let projected = read(projected)?;
        let mut mean = vec![0.0; width];
        for window in projected.chunks_exact(width) {
            for (mean, value) in mean.iter_mut().zip(unit(window)) {
                *mean += value / windows as f32;
            }
        }
        Ok(unit(&mean))
    }

    /// What the network says of each window: `[windows, embedding]`.
    pub fn project(&self, mel: &[f32]) -> Tensor<2> {
        let frames = mel.len() / MEL_BINS;
        let windows = window_count(frames);
        let mut mel = mel.to_vec();
        mel.resize((WINDOW + STEP * (windows - 1)).max(frames) * MEL_BINS, 0.0);
        let values: Vec<f32> = (0..windows)
            .flat_map(|window| &mel[STEP * window * MEL_BINS..][..WINDOW * MEL_BINS])
            .copied()
            .collect();
        let batches = values.chunks(BATCH * WINDOW * MEL_BINS).map(|batch| {
            let shape = [batch.len() / (WINDOW * MEL_BINS), WINDOW, MEL_BINS];
            let x = Tensor::from_data(TensorData::new(batch.to_vec(), shape), &self.device);
            self.projection.forward(self.lstm.forward(x).narrow(1, WINDOW - 1, 1).squeeze_dim(1))
        });
        Tensor::cat(batches.collect(), 0)
    }
}

/// Windows that a clip of so many frames is cut into, at least one.
fn window_count(frames: usize) -> usize {
    let steps = (frames + STEP).saturating_sub(WINDOW);
    let (full, rest) = (steps / STEP, steps % STEP);
    let coverage = (rest + WINDOW - STEP) as f64 / WINDOW as f64;
    if full == 0 || coverage >= LEAST_COVERAGE { full + 1 } else { full }
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter().map(|v| v / norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_window_counts_from_four_fifths_on() {
        assert_eq!(window_count(1), 1);
        assert_eq!(window_count(160), 1);
        // 160 + 77 = 237 fill two windows; 45 of the second one's 77 new frames make 128 of its 160.
        assert_eq!(window_count(160 + 44), 1);
        assert_eq!(window_count(160 + 45), 2);
        assert_eq!(window_count(237), 2);
    }
}
