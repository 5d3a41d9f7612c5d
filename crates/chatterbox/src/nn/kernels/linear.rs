//! A linear layer on many rows.

use rayon::prelude::*;

use super::matrix::{Matrix, multiply};

/// `x·W + b`, row by row.
///
/// # Shapes
/// `x` `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]` → `[rows, outputs]`
pub(crate) fn apply(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let rows = x.len() / inputs;
    let mut y = match bias {
        Some(bias) => bias.repeat(rows),
        None => vec![0.0; rows * outputs],
    };
    let share = rows.div_ceil(rayon::current_num_threads());
    let weight = Matrix::of_rows(weight, inputs, outputs, outputs);
    y.par_chunks_mut(share * outputs).zip(x.par_chunks(share * inputs)).for_each(|(y, x)| {
        let rows = y.len() / outputs;
        multiply(y, outputs, Matrix::of_rows(x, rows, inputs, inputs), weight, 1.0, true);
    });
    y
}
