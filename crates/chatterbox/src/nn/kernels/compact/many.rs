//! Many rows times kept weights, which a prefix is: some outputs' weights at a time are widened into a buffer that stays in
//! the cache, and multiplied by `gemm`.

use pulp::Arch;
use rayon::prelude::*;

use super::element::{BLOCK, Element, widen};
use crate::nn::kernels::matrix::{Matrix, multiply as product};

/// Weights that are widened at a time: three quarters of a megabyte, within a second-level cache.
const BUFFER: usize = 192 * 1024;

/// Adds `x·Wᵀ` to `y`; the shapes are those of [`super::Compact::multiply`], `weights` in whole blocks.
pub(super) fn multiply<E: Element>(y: &mut [f32], x: &[f32], weights: &[E], scales: &[f32], inputs: usize) {
    let arch = Arch::new();
    let padded = inputs.next_multiple_of(BLOCK);
    let outputs = weights.len() / padded;
    let at_once = (BUFFER / padded).clamp(16, outputs.max(16));
    shared_out(y, x, inputs, outputs, |y, x| {
        let mut wide = vec![0.0; at_once * padded];
        for (index, weights) in weights.chunks(at_once * padded).enumerate() {
            let first = index * at_once;
            let count = weights.len() / padded;
            let blocks = if E::SCALED { first * padded / BLOCK.. } else { 0.. };
            widen(arch, weights, &scales[blocks], &mut wide[..weights.len()]);
            let weights = Matrix::of_rows(&wide, count, inputs, padded).transposed();
            product(&mut y[first..], outputs, x, weights, 1.0, true);
        }
    });
}

/// The same of weights that need no widening.
pub(super) fn multiply_plain(y: &mut [f32], x: &[f32], weights: &[f32], inputs: usize) {
    let padded = inputs.next_multiple_of(BLOCK);
    let outputs = weights.len() / padded;
    let weights = Matrix::of_rows(weights, outputs, inputs, padded).transposed();
    shared_out(y, x, inputs, outputs, |y, x| product(y, outputs, x, weights, 1.0, true));
}

/// Gives each thread its rows of `y` and `x`.
fn shared_out(
    y: &mut [f32],
    x: &[f32],
    inputs: usize,
    outputs: usize,
    multiply: impl Fn(&mut [f32], Matrix<'_>) + Sync,
) {
    let rows = x.len() / inputs;
    let share = rows.div_ceil(rayon::current_num_threads());
    y.par_chunks_mut(share * outputs).zip(x.par_chunks(share * inputs)).for_each(|(y, x)| {
        multiply(y, Matrix::of_rows(x, x.len() / inputs, inputs, inputs));
    });
}
