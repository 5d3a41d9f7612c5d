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
    let x: Vec<&[f32]> = x.chunks_exact(inputs).collect();
    let mut shares: Vec<Share<E>> = (0..rows)
        .step_by(share)
        .map(|first| {
            let last = (first + share).min(rows);
            let blocks = if E::SCALED { first * inputs / BLOCK..last * inputs / BLOCK } else { 0..0 };
            Share {
                x: &x,
                weights: &weights[first * inputs..last * inputs],
                scales: &scales[blocks],
                y: Vec::with_capacity(x.len()),
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

/// Some outputs of every row.
struct Share<'a, E> {
    /// Each `[inputs]`.
    x: &'a [&'a [f32]],
    weights: &'a [E],
    scales: &'a [f32],
    /// These outputs of each row.
    y: Vec<&'a mut [f32]>,
}

impl<E: Element> WithSimd for Share<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let outputs = self.y.first().map_or(0, |row| row.len());
        let mut output = 0;
        // Four outputs stay in the first-level cache for all rows.
        while output + 4 <= outputs {
            let mut row = 0;
            while row + 4 <= self.x.len() {
                self.add::<S, 2, 4>(simd, output, row);
                self.add::<S, 2, 4>(simd, output + 2, row);
                row += 4;
            }
            while row + 2 <= self.x.len() {
                self.add::<S, 4, 2>(simd, output, row);
                row += 2;
            }
            if row < self.x.len() {
                self.add::<S, 4, 1>(simd, output, row);
            }
            output += 4;
        }
        for output in output..outputs {
            for row in 0..self.x.len() {
                self.add::<S, 1, 1>(simd, output, row);
            }
        }
    }
}

impl<E: Element> Share<'_, E> {
    /// Adds the products of some outputs with some rows.
    #[inline(always)]
    fn add<S: Simd, const OUTPUTS: usize, const ROWS: usize>(&mut self, simd: S, output: usize, row: usize) {
        let inputs = self.x[row].len();
        let blocks = inputs / BLOCK;
        let mut weights: [&[E]; OUTPUTS] = [&[]; OUTPUTS];
        let mut scales: [&[f32]; OUTPUTS] = [&[]; OUTPUTS];
        let mut x: [&[f32]; ROWS] = [&[]; ROWS];
        for o in 0..OUTPUTS {
            weights[o] = &self.weights[(output + o) * inputs..][..inputs];
            if E::SCALED {
                scales[o] = &self.scales[(output + o) * blocks..][..blocks];
            }
        }
        x.copy_from_slice(&self.x[row..row + ROWS]);
        let sums = dot_products(simd, weights, scales, x);
        for (o, sums) in sums.iter().enumerate() {
            for (r, sum) in sums.iter().enumerate() {
                self.y[row + r][output + o] += simd.reduce_sum_f32s(*sum);
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
    weights: [&[E]; OUTPUTS],
    scales: [&[f32]; OUTPUTS],
    x: [&[f32]; ROWS],
) -> [[S::f32s; ROWS]; OUTPUTS] {
    let vectors = PIECE / S::F32_LANES;
    let zeros = [[simd.splat_f32s(0.0); ROWS]; OUTPUTS];
    let mut sums = zeros;
    for block in 0..x[0].len() / BLOCK {
        let mut of_block = if E::SCALED { zeros } else { sums };
        for piece in (block * BLOCK..(block + 1) * BLOCK).step_by(PIECE) {
            let mut wide = [[0.0; PIECE]; OUTPUTS];
            for (wide, weights) in wide.iter_mut().zip(&weights) {
                for (wide, weight) in wide.iter_mut().zip(&weights[piece..piece + PIECE]) {
                    *wide = weight.wide();
                }
            }
            for vector in 0..vectors {
                for (wide, sums) in wide.iter().zip(&mut of_block) {
                    let wide = S::as_simd_f32s(wide).0[vector];
                    for (x, sum) in x.iter().zip(sums) {
                        let x = S::as_simd_f32s(&x[piece..piece + PIECE]).0[vector];
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
