//! Rotary positions as Llama 3 has them: each pair of a head's channels turns with the position, at a frequency of its own,
//! the slow ones slowed down further for long contexts.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

use super::transformer::by_row;

/// Ratio of the fastest to the slowest frequency, nearly.
const THETA: f64 = 500_000.0;
/// Wavelengths beyond the context that Llama 3 was first trained on are stretched by this.
const FACTOR: f64 = 8.0;
const TRAINED_CONTEXT: f64 = 8192.0;
/// Below this many positions a wavelength stays as it is; up to the trained context the stretch fades in.
const UNTOUCHED: f64 = TRAINED_CONTEXT / 4.0;

/// The turns of every position there can be.
#[derive(Debug)]
pub struct Rope {
    /// `[1, 1, positions, head_width]`, the second half equal to the first.
    cosines: Tensor<4>,
    /// The same, the first half negated: it meets the second half of the channels.
    sines: Tensor<4>,
}

impl Rope {
    pub fn new(positions: usize, head_width: usize, device: &Device) -> Self {
        let frequencies = frequencies(head_width);
        let mut cosines = Vec::with_capacity(positions * head_width);
        let mut sines = Vec::with_capacity(positions * head_width);
        for position in 0..positions {
            let turns = frequencies.iter().map(|frequency| (position as f32 * frequency).sin_cos());
            let (sine, cosine): (Vec<f32>, Vec<f32>) = turns.unzip();
            cosines.extend(cosine.iter().chain(&cosine));
            sines.extend(sine.iter().map(|sine| -sine).chain(sine.iter().copied()));
        }
        let table =
            |values| Tensor::from_data(TensorData::new(values, [1, 1, positions, head_width]), device);
        Self { cosines: table(cosines), sines: table(sines) }
    }

    /// Turns `[rows, heads, n, head_width]`, channel i with channel i + half; `positions` says for each row where the first of
    /// the n stands.
    pub fn rotate(&self, x: Tensor<4>, positions: &[usize]) -> Tensor<4> {
        let [_, _, length, width] = x.dims();
        let half = width / 2;
        let swapped = Tensor::cat(vec![x.clone().narrow(3, half, half), x.clone().narrow(3, 0, half)], 3);
        let turns =
            |table: &Tensor<4>| by_row(positions, |position| table.clone().narrow(2, position, length));
        x * turns(&self.cosines) + swapped * turns(&self.sines)
    }
}

/// Radians per position, for each pair of channels.
pub fn frequencies(head_width: usize) -> Vec<f32> {
    (0..head_width / 2)
        .map(|pair| {
            let frequency = THETA.powf(-2.0 * pair as f64 / head_width as f64);
            let wavelength = TAU / frequency;
            let kept = (TRAINED_CONTEXT / wavelength - 1.0) / (TRAINED_CONTEXT / UNTOUCHED - 1.0);
            let kept = kept.clamp(0.0, 1.0);
            ((1.0 - kept) * frequency / FACTOR + kept * frequency) as f32
        })
        .collect()
}
