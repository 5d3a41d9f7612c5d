//! Attention of every position to every position, with the heads side by side in each row, as projections leave them.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::matrix::{Matrix, multiply};
use super::pointwise::exp;

/// Queries, keys and values of all heads side by side: `[positions, 3 · heads · width]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct Heads<'a> {
    pub(in crate::nn) joined: &'a [f32],
    pub(in crate::nn) positions: usize,
    pub(in crate::nn) heads: usize,
    pub(in crate::nn) width: usize,
}

/// `softmax(q·kᵀ/√width)·v` for each head, side by side: `[positions, heads · width]`.
pub(in crate::nn) fn attend(x: Heads<'_>) -> Vec<f32> {
    let Heads { joined, positions, heads, width } = x;
    let arch = Arch::new();
    let scale = 1.0 / (width as f32).sqrt();
    let inner = heads * width;
    let stride = 3 * inner;
    let mut y = vec![0.0; positions * inner];
    // Blocks of queries share the keys that a product packs; two for each thread even out what they take.
    let block = positions.div_ceil(2 * rayon::current_num_threads()).clamp(16, 256);
    y.par_chunks_mut(block * inner).enumerate().for_each_init(
        || vec![0.0; block * positions],
        |scores, (index, y)| {
            let rows = y.len() / inner;
            for head in 0..heads {
                let offset = head * width;
                let queries =
                    Matrix::of_rows(&joined[index * block * stride + offset..], rows, width, stride);
                let keys = Matrix::of_rows(&joined[inner + offset..], positions, width, stride);
                multiply(scores, positions, queries, keys.transposed(), scale, false);
                let values = Matrix::of_rows(&joined[2 * inner + offset..], positions, width, stride);
                let mut sums = [0.0; 256];
                for (row, sum) in scores.chunks_exact_mut(positions).zip(&mut sums).take(rows) {
                    *sum = arch.dispatch(Exponentials(row));
                }
                let weights = Matrix::of_rows(scores, rows, positions, positions);
                multiply(&mut y[offset..], inner, weights, values, 1.0, false);
                for (row, sum) in y.chunks_exact_mut(inner).zip(sums) {
                    for value in &mut row[offset..offset + width] {
                        *value /= sum;
                    }
                }
            }
        },
    );
    y
}

/// Turns `x` into `e^(x − max)` in place; gives their sum.
struct Exponentials<'a>(&'a mut [f32]);

impl WithSimd for Exponentials<'_> {
    type Output = f32;

    #[expect(
        clippy::inline_always,
        reason = "a call would leave the code that pulp compiles for wide vectors"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let row = self.0;
        // Sixteen running values, so that neither the maximum nor the sum is one long chain.
        const LANES: usize = 16;
        let mut largest = [f32::NEG_INFINITY; LANES];
        let (pieces, rest) = row.as_chunks::<LANES>();
        for piece in pieces {
            for (largest, value) in largest.iter_mut().zip(piece) {
                *largest = largest.max(*value);
            }
        }
        let largest = largest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0.0; LANES];
        let (pieces, rest) = row.as_chunks_mut::<LANES>();
        for piece in pieces {
            for (sum, value) in sums.iter_mut().zip(piece) {
                *value = exp(*value - largest);
                *sum += *value;
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for value in rest {
            *value = exp(*value - largest);
            sum += *value;
        }
        sum
    }
}
