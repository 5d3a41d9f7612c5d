//! Attention of one new position to all before it, which is what a decoding step has: bound by reading keys and values.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::attention::Exponentials;

/// Keys and values below this many numbers are read before a second thread has woken up.
const WORTH_SHARING: usize = 64 * 1024;

/// One head of one sequence.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    /// `[width]`, as is `y`
    pub(crate) query: &'a [f32],
    /// `[positions, width]`, as are `values`
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    /// Becomes `softmax(q·kᵀ/√width)·v`.
    pub(crate) y: &'a mut [f32],
}

/// Attends with every head; gives the weights of each, `[positions]`.
pub(crate) fn attend(heads: Vec<Head<'_>>) -> Vec<Vec<f32>> {
    let arch = Arch::new();
    let numbers: usize = heads.iter().map(|head| 2 * head.keys.len()).sum();
    if numbers < WORTH_SHARING {
        heads.into_iter().map(|head| arch.dispatch(head)).collect()
    } else {
        heads.into_par_iter().map(|head| arch.dispatch(head)).collect()
    }
}

impl WithSimd for Head<'_> {
    type Output = Vec<f32>;

    #[expect(
        clippy::inline_always,
        reason = "a call would leave the code that pulp compiles for wide vectors"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self { query, keys, values, y } = self;
        let width = query.len();
        let scale = 1.0 / (width as f32).sqrt();
        let (query, query_rest) = S::as_simd_f32s(query);
        let mut weights: Vec<f32> = Vec::with_capacity(keys.len() / width);
        for key in keys.chunks_exact(width) {
            let (key, key_rest) = S::as_simd_f32s(key);
            let mut sum = simd.splat_f32s(0.0);
            for (q, k) in query.iter().zip(key) {
                sum = simd.mul_add_f32s(*q, *k, sum);
            }
            let mut score = simd.reduce_sum_f32s(sum);
            for (q, k) in query_rest.iter().zip(key_rest) {
                score += q * k;
            }
            weights.push(score * scale);
        }
        let sum = Exponentials(&mut weights).with_simd(simd);
        for weight in &mut weights {
            *weight /= sum;
        }
        y.fill(0.0);
        let (y, y_rest) = S::as_mut_simd_f32s(y);
        for (weight, value) in weights.iter().zip(values.chunks_exact(width)) {
            let (value, value_rest) = S::as_simd_f32s(value);
            let splat = simd.splat_f32s(*weight);
            for (y, v) in y.iter_mut().zip(value) {
                *y = simd.mul_add_f32s(splat, *v, *y);
            }
            for (y, v) in y_rest.iter_mut().zip(value_rest) {
                *y += weight * v;
            }
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Noise as _, Seeded};

    #[test]
    fn attention_equals_its_formula_for_odd_widths_and_lengths() {
        let mut noise = Seeded::new(8);
        for (width, positions) in [(5, 1), (16, 7), (64, 401), (70, 33)] {
            let query = noise.normal("q", width);
            let keys = noise.normal("k", positions * width);
            let values = noise.normal("v", positions * width);
            let mut y = vec![7.0; width];
            let weights = attend(vec![Head { query: &query, keys: &keys, values: &values, y: &mut y }]);
            let scores: Vec<f64> = keys
                .chunks_exact(width)
                .map(|key| {
                    let dot: f64 = key.iter().zip(&query).map(|(k, q)| f64::from(*k) * f64::from(*q)).sum();
                    (dot / (width as f64).sqrt()).exp()
                })
                .collect();
            let sum: f64 = scores.iter().sum();
            for (weight, score) in weights[0].iter().zip(&scores) {
                assert!((f64::from(*weight) - score / sum).abs() < 1e-5);
            }
            for (channel, y) in y.iter().enumerate() {
                let expected: f64 = values
                    .chunks_exact(width)
                    .zip(&scores)
                    .map(|(value, score)| f64::from(value[channel]) * score / sum)
                    .sum();
                assert!((f64::from(*y) - expected).abs() < 1e-5, "{width} {positions}");
            }
        }
    }
}
