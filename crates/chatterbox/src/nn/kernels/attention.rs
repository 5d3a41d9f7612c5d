//! Attention of every position to every position, with the heads side by side in each row, as projections leave them.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::matrix::{Matrix, multiply};
use super::pointwise::exp;

/// Queries, keys and values of all heads side by side: `[positions, 3 · heads · width]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct Sequence<'a> {
    pub(in crate::nn) joined: &'a [f32],
    pub(in crate::nn) positions: usize,
    pub(in crate::nn) heads: usize,
    pub(in crate::nn) width: usize,
}

/// A further term of the scores that depends on how far a key lies from its query: `(q + position_bias)·tᵈ`, where row
/// `n − 1 − d` of the table belongs to the distance d = query − key. With it, `content_bias` is added to the queries of
/// the usual term.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct Distances<'a> {
    /// `[2 · positions − 1, heads · width]`
    pub(in crate::nn) table: &'a [f32],
    /// `[heads · width]` both.
    pub(in crate::nn) content_bias: &'a [f32],
    pub(in crate::nn) position_bias: &'a [f32],
}

/// `softmax(q·kᵀ/√width)·v` for each head, side by side: `[positions, heads · width]`.
pub(in crate::nn) fn attend(x: Sequence<'_>, distances: Option<Distances<'_>>) -> Vec<f32> {
    let Sequence { joined, positions, heads, width } = x;
    let arch = Arch::new();
    let inner = heads * width;
    let stride = 3 * inner;
    let mut y = vec![0.0; positions * inner];
    // Blocks of queries share the keys that a product packs; two for each thread even out what they take.
    let block = positions.div_ceil(2 * rayon::current_num_threads()).clamp(16, 256);
    y.par_chunks_mut(block * inner).enumerate().for_each_init(Scratch::default, |scratch, (index, y)| {
        let rows = y.len() / inner;
        let queries = &joined[index * block * stride..];
        for head in 0..heads {
            let offset = head * width;
            scratch.score(x, queries, rows, offset, distances.map(|distances| (distances, index * block)));
            let mut sums = [0.0; 256];
            for (row, sum) in scratch.scores.chunks_exact_mut(positions).zip(&mut sums).take(rows) {
                *sum = arch.dispatch(Exponentials(row));
            }
            let weights = Matrix::of_rows(&scratch.scores, rows, positions, positions);
            let values = Matrix::of_rows(&joined[2 * inner + offset..], positions, width, stride);
            multiply(&mut y[offset..], inner, weights, values, 1.0, false);
            for (row, sum) in y.chunks_exact_mut(inner).zip(sums) {
                for value in &mut row[offset..offset + width] {
                    *value /= sum;
                }
            }
        }
    });
    y
}

/// What a thread needs for a block of queries.
#[derive(Default)]
struct Scratch {
    /// `[rows, positions]`
    scores: Vec<f32>,
    /// `[rows, width]`
    biased: Vec<f32>,
    /// `[rows, positions + rows − 1]`
    by_distance: Vec<f32>,
}

impl Scratch {
    /// Fills `scores` for the head at `offset`; `distances` come with the position of the first query.
    fn score(
        &mut self,
        x: Sequence<'_>,
        queries: &[f32],
        rows: usize,
        offset: usize,
        distances: Option<(Distances<'_>, usize)>,
    ) {
        let Sequence { joined, positions, heads, width } = x;
        let inner = heads * width;
        let stride = 3 * inner;
        let scale = 1.0 / (width as f32).sqrt();
        let keys = Matrix::of_rows(&joined[inner + offset..], positions, width, stride).transposed();
        self.scores.resize(rows * positions, 0.0);
        let Some((Distances { table, content_bias, position_bias }, first)) = distances else {
            let queries = Matrix::of_rows(&queries[offset..], rows, width, stride);
            return multiply(&mut self.scores, positions, queries, keys, scale, false);
        };
        self.bias(queries, rows, offset, stride, &content_bias[offset..offset + width]);
        let biased = Matrix::of_rows(&self.biased, rows, width, width);
        multiply(&mut self.scores, positions, biased, keys, scale, false);

        self.bias(queries, rows, offset, stride, &position_bias[offset..offset + width]);
        let biased = Matrix::of_rows(&self.biased, rows, width, width);
        // The distances that occur in this block, from the last query to the first key on.
        let columns = positions + rows - 1;
        let nearest = positions - rows - first;
        let table = Matrix::of_rows(&table[nearest * inner + offset..], columns, width, inner).transposed();
        self.by_distance.resize(rows * columns, 0.0);
        multiply(&mut self.by_distance, columns, biased, table, scale, false);
        let terms = self.by_distance.chunks_exact(columns);
        for (row, (scores, terms)) in self.scores.chunks_exact_mut(positions).zip(terms).enumerate() {
            for (score, term) in scores.iter_mut().zip(&terms[rows - 1 - row..]) {
                *score += term;
            }
        }
    }

    fn bias(&mut self, queries: &[f32], rows: usize, offset: usize, stride: usize, bias: &[f32]) {
        self.biased.clear();
        for row in 0..rows {
            let query = &queries[row * stride + offset..][..bias.len()];
            self.biased.extend(query.iter().zip(bias).map(|(query, bias)| query + bias));
        }
    }
}

/// Turns `x` into `e^(x − max)` in place; gives their sum.
pub(super) struct Exponentials<'a>(pub(super) &'a mut [f32]);

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
