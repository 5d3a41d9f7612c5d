//! A few rows times kept weights: each weight is read once and widened in registers, on all threads.
//!
//! The sum of a row and an output runs over the inputs in an order of its own, which depends on nothing but the width of
//! the processor's vectors. So a row's result does not change with the rows beside it, which lets a batch decode exactly
//! what its members would decode alone.
#![expect(
    clippy::inline_always,
    reason = "a call would leave the code that pulp compiles for wide vectors, and with it their speed"
)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::element::{BLOCK, Element};

/// Weights below this many are done before a second thread has woken up.
const WORTH_SHARING: usize = 128 * 1024;

/// Weights that are widened together. A vector is this long at most.
const PIECE: usize = 16;

const PIECES: usize = BLOCK / PIECE;

/// Adds `x·Wᵀ` to `y`.
///
/// # Shapes
/// `x` `[n, inputs]` and `weights` `[rows, inputs]` in whole blocks, `scales` `[rows, inputs / BLOCK]` where the weights have
/// such, `y` `[n, rows]`
pub(super) fn multiply<E: Element>(y: &mut [f32], x: &[f32], weights: &[E], scales: &[f32], inputs: usize) {
    let arch = Arch::new();
    let rows = weights.len() / inputs;
    let share = if weights.len() < WORTH_SHARING {
        rows
    } else {
        // Whole cache lines of y each, so that no two threads write to one.
        rows.div_ceil(rayon::current_num_threads()).next_multiple_of(16)
    };
    let count = x.len() / inputs;
    let groups = Group::all(x, inputs);
    let mut shares: Vec<Share<E>> = (0..rows)
        .step_by(share)
        .map(|first| {
            let last = (first + share).min(rows);
            let blocks = if E::SCALED { first * inputs / BLOCK..last * inputs / BLOCK } else { 0..0 };
            Share {
                groups: &groups,
                inputs,
                weights: &weights[first * inputs..last * inputs],
                scales: &scales[blocks],
                y: Vec::with_capacity(count),
            }
        })
        .collect();
    for row in y.chunks_exact_mut(rows) {
        for (share, columns) in shares.iter_mut().zip(row.chunks_mut(share)) {
            share.y.push(columns);
        }
    }
    if shares.len() == 1 {
        for share in shares {
            arch.dispatch(share);
        }
    } else {
        shares.into_par_iter().for_each(|share| arch.dispatch(share));
    }
}

/// Rows of `x` that meet a weight together, in the order in which they do.
struct Group {
    first: usize,
    rows: usize,
    /// `[inputs / PIECE, rows, PIECE]`
    x: Vec<f32>,
}

impl Group {
    /// Eights, and what is left as a four, a two and a one.
    fn all(x: &[f32], inputs: usize) -> Vec<Self> {
        let count = x.len() / inputs;
        let mut groups = Vec::new();
        let mut first = 0;
        while first < count {
            let rows = [8, 4, 2, 1].into_iter().find(|rows| first + rows <= count).unwrap_or(1);
            let mut packed = Vec::with_capacity(rows * inputs);
            for piece in (0..inputs).step_by(PIECE) {
                for row in first..first + rows {
                    packed.extend_from_slice(&x[row * inputs + piece..][..PIECE]);
                }
            }
            groups.push(Self { first, rows, x: packed });
            first += rows;
        }
        groups
    }
}

/// Some outputs of every row.
struct Share<'a, E> {
    groups: &'a [Group],
    inputs: usize,
    weights: &'a [E],
    scales: &'a [f32],
    /// These outputs of each row.
    y: Vec<&'a mut [f32]>,
}

/// Outputs whose weights stay in the first-level cache for all rows.
const OUTPUTS: usize = 8;

impl<E: Element> WithSimd for Share<'_, E> {
    type Output = ();

    /// Eight sums are on their way at once, of whatever outputs and rows: fewer would wait for each other.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let outputs = self.y.first().map_or(0, |row| row.len());
        let mut output = 0;
        while output + OUTPUTS <= outputs {
            for group in self.groups {
                match group.rows {
                    8 => {
                        for output in output..output + OUTPUTS {
                            self.add::<S, 1, 8>(simd, output, group);
                        }
                    }
                    4 => {
                        for output in (output..output + OUTPUTS).step_by(2) {
                            self.add::<S, 2, 4>(simd, output, group);
                        }
                    }
                    2 => {
                        for output in (output..output + OUTPUTS).step_by(4) {
                            self.add::<S, 4, 2>(simd, output, group);
                        }
                    }
                    _ => self.add::<S, 8, 1>(simd, output, group),
                }
            }
            output += OUTPUTS;
        }
        for output in output..outputs {
            for group in self.groups {
                match group.rows {
                    8 => self.add::<S, 1, 8>(simd, output, group),
                    4 => self.add::<S, 1, 4>(simd, output, group),
                    2 => self.add::<S, 1, 2>(simd, output, group),
                    _ => self.add::<S, 1, 1>(simd, output, group),
                }
            }
        }
    }
}

impl<E: Element> Share<'_, E> {
    /// Adds the products of some outputs with a group of rows.
    #[inline(always)]
    fn add<S: Simd, const OUTPUTS: usize, const ROWS: usize>(
        &mut self,
        simd: S,
        output: usize,
        group: &Group,
    ) {
        let (inputs, blocks) = (self.inputs, self.inputs / BLOCK);
        let mut weights: [&[[E; BLOCK]]; OUTPUTS] = [&[]; OUTPUTS];
        let mut scales: [&[f32]; OUTPUTS] = [&[]; OUTPUTS];
        for o in 0..OUTPUTS {
            weights[o] = self.weights[(output + o) * inputs..][..inputs].as_chunks().0;
            if E::SCALED {
                scales[o] = &self.scales[(output + o) * blocks..][..blocks];
            }
        }
        let x = group.x.as_chunks::<PIECE>().0.as_chunks::<ROWS>().0.as_chunks::<PIECES>().0;
        let sums = dot_products(simd, weights, scales, x);
        for (o, sums) in sums.iter().enumerate() {
            for (r, sum) in sums.iter().enumerate() {
                self.y[group.first + r][output + o] += simd.reduce_sum_f32s(*sum);
            }
        }
    }
}

/// The dot product of each output's weights with each row: in as many running sums as a vector has lanes, in the order
/// of the inputs.
///
/// No closures here: pulp would compile them apart, without wide vectors.
#[inline(always)]
fn dot_products<S: Simd, E: Element, const OUTPUTS: usize, const ROWS: usize>(
    simd: S,
    weights: [&[[E; BLOCK]]; OUTPUTS],
    scales: [&[f32]; OUTPUTS],
    x: &[[[[f32; PIECE]; ROWS]; PIECES]],
) -> [[S::f32s; ROWS]; OUTPUTS] {
    let vectors = PIECE / S::F32_LANES;
    let zeros = [[simd.splat_f32s(0.0); ROWS]; OUTPUTS];
    let mut sums = zeros;
    for (block, x) in x.iter().enumerate() {
        let mut of_block = if E::SCALED { zeros } else { sums };
        for (piece, x) in x.iter().enumerate() {
            for (weights, sums) in weights.iter().zip(&mut of_block) {
                let mut wide = [0.0; PIECE];
                for (wide, weight) in wide.iter_mut().zip(&weights[block].as_chunks::<PIECE>().0[piece]) {
                    *wide = weight.wide();
                }
                for vector in 0..vectors {
                    let wide = S::as_simd_f32s(&wide).0[vector];
                    for (x, sum) in x.iter().zip(&mut *sums) {
                        let x = S::as_simd_f32s(x).0[vector];
                        *sum = simd.mul_add_f32s(wide, x, *sum);
                    }
                }
            }
        }
        if E::SCALED {
            for ((scales, of_block), sums) in scales.iter().zip(of_block).zip(&mut sums) {
                let scale = simd.splat_f32s(scales[block]);
                for (of_block, sum) in of_block.into_iter().zip(sums) {
                    *sum = simd.mul_add_f32s(of_block, scale, *sum);
                }
            }
        } else {
            sums = of_block;
        }
    }
    sums
}
