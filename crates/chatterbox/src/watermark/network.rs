//! Perth's two networks on a spectrogram's levels: one adds a pattern to the lower 128 bins, one finds it again, also in
//! speech that was played a quarter faster or slower.

use burn::tensor::{Device, Tensor, TensorData, activation};

use crate::nn::{Conv1d, Linear, Padding, read};
use crate::weights::{Scope, WeightError};

/// Bins of a 2048-point spectrum.
pub const BINS: usize = 1025;
/// Bins that carry the mark: up to 2 kHz.
pub const MARKED: usize = 128;
/// Frames below this share of the loudest one are left alone.
const QUIET: f32 = 0.05;
const LEAKY_SLOPE: f64 = 0.01;
const KERNEL: usize = 7;
/// Width of the hidden layers of the published checkpoint.
const WIDTH: usize = 256;
/// How a decoder stretches what it hears, and the name of its layers.
const TOWERS: [(&str, f64); 3] = [("slow_layers", 1.25), ("normal_layers", 1.0), ("fast_layers", 0.75)];

/// Decibels brought to about 0..1: −180 dB is 0, 15 dB is 1. Row-major `[frames, 1025]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    pub frames: usize,
    pub values: Vec<f32>,
}

impl Levels {
    /// Which frames are loud enough to carry the mark.
    fn loud(&self) -> Vec<bool> {
        let sums: Vec<f32> = self.values.chunks_exact(BINS).map(|frame| frame.iter().sum()).collect();
        let largest = sums.iter().copied().fold(0.0, f32::max);
        sums.iter().map(|&sum| sum > QUIET * largest).collect()
    }

    /// The lower bins: `[frames, 128]`.
    fn lower(&self) -> Vec<f32> {
        self.values.chunks_exact(BINS).flat_map(|frame| &frame[..MARKED]).copied().collect()
    }
}

/// Both networks.
#[derive(Debug)]
pub struct Network {
    encoder: Stack,
    decoders: Vec<(Stack, f64)>,
    device: Device,
}

impl Network {
    /// The hidden layers are as wide as the checkpoint has them.
    pub fn load(scope: &Scope) -> Result<Self, WeightError> {
        let first = scope.shape("encoder.layers.0.conv.weight").and_then(<[usize]>::first);
        let width = first.copied().unwrap_or(WIDTH);
        let decoder = scope.at("decoder");
        Ok(Self {
            encoder: Stack::load(&scope.at("encoder.layers"), width, MARKED)?,
            decoders: TOWERS
                .iter()
                .map(|&(name, rate)| Ok((Stack::load(&decoder.at(name), width, 2)?, rate)))
                .collect::<Result<_, _>>()?,
            device: scope.device().clone(),
        })
    }

    /// What the mark adds to the lower bins, 0 in quiet frames: `[frames, 128]`.
    pub fn mark(&self, levels: &Levels) -> Result<Vec<f32>, String> {
        let mut mark = read(self.encoder.forward(self.upload(levels.lower(), levels.frames)))?;
        for (frame, loud) in mark.chunks_exact_mut(MARKED).zip(levels.loud()) {
            if !loud {
                frame.fill(0.0);
            }
        }
        Ok(mark)
    }

    /// About 1 for marked speech, about 0 for any other; 0 for silence.
    pub fn detect(&self, levels: &Levels) -> Result<f32, String> {
        let (lower, loud) = (levels.lower(), levels.loud());
        let (mut attention, mut found) = (Vec::new(), Vec::new());
        for (stack, rate) in &self.decoders {
            let frames = (rate * levels.frames as f64) as usize;
            if frames == 0 {
                return Ok(0.0);
            }
            let heard = read(stack.forward(self.upload(stretched(&lower, levels.frames, frames), frames)))?;
            let step = levels.frames as f32 / frames as f32;
            let (mut sums, mut count) = ([0.0; 2], 0);
            for (frame, heard) in heard.as_chunks::<2>().0.iter().enumerate() {
                if loud[((frame as f32 * step) as usize).min(levels.frames - 1)] {
                    sums = [sums[0] + heard[0], sums[1] + heard[1]];
                    count += 1;
                }
            }
            if count == 0 {
                return Ok(0.0);
            }
            attention.push(sums[0] / count as f32);
            found.push(sums[1] / count as f32);
        }
        // Softmax over the decoders.
        let largest = attention.iter().copied().fold(f32::MIN, f32::max);
        let weights: Vec<f32> = attention.iter().map(|a| (a - largest).exp()).collect();
        let weighted: f32 = found.iter().zip(&weights).map(|(found, weight)| found * weight).sum();
        Ok(weighted / weights.iter().sum::<f32>())
    }

    fn upload(&self, lower: Vec<f32>, frames: usize) -> Tensor<3> {
        Tensor::from_data(TensorData::new(lower, [1, frames, MARKED]), &self.device)
    }
}

/// `[from, 128]` → `[to, 128]`, linear between frames; the first and the last stay where they are.
fn stretched(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to {
        return values.to_vec();
    }
    let step = if to > 1 { (from - 1) as f32 / (to - 1) as f32 } else { 0.0 };
    let mut out = Vec::with_capacity(to * MARKED);
    for frame in 0..to {
        let place = frame as f32 * step;
        let before = (place as usize).min(from - 1);
        let after = (before + 1).min(from - 1);
        let share = place - before as f32;
        let row = |index: usize| &values[index * MARKED..][..MARKED];
        out.extend(row(before).iter().zip(row(after)).map(|(a, b)| (1.0 - share) * a + share * b));
    }
    out
}

/// Seven convolutions over time, leaky rectifiers between them.
#[derive(Debug)]
struct Stack {
    first: Linear,
    middle: Vec<Conv1d>,
    last: Linear,
}

impl Stack {
    fn load(scope: &Scope, width: usize, outputs: usize) -> Result<Self, WeightError> {
        let layer = |index: usize| scope.index(index).at("conv");
        let conv = |index: usize| {
            Ok(Conv1d::load(&layer(index), [width, width, KERNEL])?.with_padding(Padding::Both(KERNEL / 2)))
        };
        Ok(Self {
            first: Linear::load_pointwise_conv(&layer(0), MARKED, width)?,
            middle: (1..6).map(conv).collect::<Result<_, _>>()?,
            last: Linear::load_pointwise_conv(&layer(6), width, outputs)?,
        })
    }

    /// `[1, frames, 128]` → `[1, frames, outputs]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let active = |x| activation::leaky_relu(x, LEAKY_SLOPE);
        let mut x = active(self.first.forward(x));
        for conv in &self.middle {
            x = active(conv.forward(x));
        }
        self.last.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretching_keeps_both_ends_and_is_linear_between() {
        let ramp: Vec<f32> = (0..5).flat_map(|frame| [frame as f32; MARKED]).collect();
        let first_bins = |values: &[f32]| values.iter().copied().step_by(MARKED).collect::<Vec<_>>();
        assert_eq!(first_bins(&stretched(&ramp, 5, 3)), [0.0, 2.0, 4.0]);
        assert_eq!(first_bins(&stretched(&ramp, 5, 9)), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]);
        assert_eq!(first_bins(&stretched(&ramp, 5, 1)), [0.0]);
    }
}
