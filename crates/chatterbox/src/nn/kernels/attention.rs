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
/// `largest − d` of the table belongs to the distance d = query − key. With it, `content_bias` is added to the queries of
/// the usual term.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct Distances<'a> {
    /// `[largest + positions, heads · width]` at least.
    pub(in crate::nn) table: &'a [f32],
    /// The distance of the first row; one less than all positions, earlier ones included, or more.
    pub(in crate::nn) largest: usize,
    /// `[heads · width]` both.
    pub(in crate::nn) content_bias: &'a [f32],
    pub(in crate::nn) position_bias: &'a [f32],
}

/// `softmax(q·kᵀ/√width)·v` for each head, side by side: `[positions, heads · width]`. Keys and values of earlier positions,
/// which no query of `x` comes from, are in `past`: stretches of `[positions, 2 · heads · width]`, in order.
pub(in crate::nn) fn attend(x: Sequence<'_>, past: &[&[f32]], distances: Option<Distances<'_>>) -> Vec<f32> {
    let Sequence { joined, positions, heads, width } = x;
    let arch = Arch::new();
    let inner = heads * width;
    let own = Span { rows: &joined[inner..], positions, stride: 3 * inner };
    let earlier =
        past.iter().map(|rows| Span { rows, positions: rows.len() / (2 * inner), stride: 2 * inner });
    let spans: Vec<Span<'_>> = earlier.filter(|span| span.positions > 0).chain([own]).collect();
    let visible: usize = spans.iter().map(|span| span.positions).sum();
    let mut y = vec![0.0; positions * inner];
    // Blocks of queries share the keys that a product packs; two for each thread even out what they take.
    let block = positions.div_ceil(2 * rayon::current_num_threads()).clamp(16, 256);
    y.par_chunks_mut(block * inner).enumerate().for_each_init(Scratch::default, |scratch, (index, y)| {
        let rows = y.len() / inner;
        let queries = &joined[index * block * 3 * inner..];
        let first = visible - positions + index * block;
        for head in 0..heads {
            let offset = head * width;
            let distances = distances.map(|distances| (distances, first));
            scratch.score(
                Queries { rows: queries, count: rows, heads, width, offset },
                &spans,
                visible,
                distances,
            );
            let mut sums = [0.0; 256];
            for (row, sum) in scratch.scores.chunks_exact_mut(visible).zip(&mut sums).take(rows) {
                *sum = arch.dispatch(Exponentials(row));
            }
            let mut column = 0;
            for span in &spans {
                let weights = Matrix::of_rows(&scratch.scores[column..], rows, span.positions, visible);
                let values =
                    Matrix::of_rows(&span.rows[inner + offset..], span.positions, width, span.stride);
                multiply(&mut y[offset..], inner, weights, values, 1.0, column > 0);
                column += span.positions;
            }
            for (row, sum) in y.chunks_exact_mut(inner).zip(sums) {
                for value in &mut row[offset..offset + width] {
                    *value /= sum;
                }
            }
        }
    });
    y
}

/// Keys and values of some positions: `stride` numbers from one position to the next, keys first, values behind them.
#[derive(Clone, Copy)]
struct Span<'a> {
    rows: &'a [f32],
    positions: usize,
    stride: usize,
}

/// The queries of one head, at `offset` in each of `count` joined rows.
#[derive(Clone, Copy)]
struct Queries<'a> {
    rows: &'a [f32],
    count: usize,
    heads: usize,
    width: usize,
    offset: usize,
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
    /// Fills `scores` for one head, `visible` of them a row; `distances` come with the position of the first query.
    fn score(
        &mut self,
        queries: Queries<'_>,
        spans: &[Span<'_>],
        visible: usize,
        distances: Option<(Distances<'_>, usize)>,
    ) {
        let Queries { rows: joined, count, heads, width, offset } = queries;
        let inner = heads * width;
        let scale = 1.0 / (width as f32).sqrt();
        self.scores.resize(count * visible, 0.0);
        match distances {
            None => {
                let queries = Matrix::of_rows(&joined[offset..], count, width, 3 * inner);
                content(&mut self.scores, visible, queries, spans, offset, scale);
            }
            Some((Distances { table, largest, content_bias, position_bias }, first)) => {
                self.bias(queries, &content_bias[offset..offset + width]);
                let biased = Matrix::of_rows(&self.biased, count, width, width);
                content(&mut self.scores, visible, biased, spans, offset, scale);

                self.bias(queries, &position_bias[offset..offset + width]);
                let biased = Matrix::of_rows(&self.biased, count, width, width);
                // The distances that occur in this block, from the last query to the first key on.
                let columns = visible + count - 1;
                let nearest = largest + 1 - count - first;
                let table = Matrix::of_rows(&table[nearest * inner + offset..], columns, width, inner);
                self.by_distance.resize(count * columns, 0.0);
                multiply(&mut self.by_distance, columns, biased, table.transposed(), scale, false);
                let terms = self.by_distance.chunks_exact(columns);
                for (row, (scores, terms)) in self.scores.chunks_exact_mut(visible).zip(terms).enumerate() {
                    for (score, term) in scores.iter_mut().zip(&terms[count - 1 - row..]) {
                        *score += term;
                    }
                }
            }
        }
    }

    fn bias(&mut self, queries: Queries<'_>, bias: &[f32]) {
        let stride = 3 * queries.heads * queries.width;
        self.biased.clear();
        for row in 0..queries.count {
            let query = &queries.rows[row * stride + queries.offset..][..bias.len()];
            self.biased.extend(query.iter().zip(bias).map(|(query, bias)| query + bias));
        }
    }
}

/// The usual term: queries times the keys of one span after another.
fn content(
    scores: &mut [f32],
    visible: usize,
    queries: Matrix<'_>,
    spans: &[Span<'_>],
    offset: usize,
    scale: f32,
) {
    let mut column = 0;
    for span in spans {
        let keys = Matrix::of_rows(&span.rows[offset..], span.positions, queries.columns, span.stride);
        multiply(&mut scores[column..], visible, queries, keys.transposed(), scale, false);
        column += span.positions;
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
