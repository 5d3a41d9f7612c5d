//! Weights for decoding: rows of f32, bf16 or 8-bit integers, and their products with f32 activations.
//!
//! A decoding step only reads weights and is bound by memory, so half the bytes are half the time. Each output's weights
//! lie side by side, padded to whole blocks, so that the products below have no remainders: `few` for a row or a few,
//! `many` for a prefix. Sums are f32 whatever the weights are, and activations are never rounded.

mod element;
mod few;
mod many;

use half::slice::HalfFloatSliceExt as _;
use pulp::Arch;
use rayon::prelude::*;

use super::is_host;
use crate::weights::{Precision, Scope, WeightError};
use element::BLOCK;

/// Up to this many rows `few` is quicker than widening the weights for `many`.
pub(crate) const FEW: usize = 16;

/// A matrix of which each row is what one output weighs its inputs with.
#[derive(Debug)]
pub(crate) struct Compact {
    elements: Elements,
    rows: usize,
    inputs: usize,
}

/// `[rows, padded inputs]`
#[derive(Debug)]
enum Elements {
    F32(Vec<f32>),
    Bf16(Vec<half::bf16>),
    /// A scale for each block.
    Int8 {
        values: Vec<i8>,
        scales: Vec<f32>,
    },
}

/// How the layers of `scope` keep weights in this form, if they do: those that decode, on the CPU.
pub(crate) fn precision(scope: &Scope) -> Option<Precision> {
    scope.precision().filter(|_| is_host(scope.device()))
}

/// Rows that a thread rounds at least, so that handing them out costs nothing beside.
const ROWS_TOGETHER: usize = 64;

impl Compact {
    /// Rounds `values`, `[rows, inputs]` row-major.
    pub(crate) fn of_rows(values: &[f32], inputs: usize, precision: Precision) -> Self {
        let mut matrix = Self::with_room(values.len() / inputs, inputs, precision);
        matrix.append(values);
        matrix
    }

    /// Reads the `weight` of each branch, `[rows, inputs]`, and puts them one below the other.
    pub(crate) fn read(
        branches: &[Scope],
        rows: usize,
        inputs: usize,
        precision: Precision,
    ) -> Result<Self, WeightError> {
        let mut matrix = Self::with_room(branches.len() * rows, inputs, precision);
        for branch in branches {
            branch.each_rows("weight", [rows, inputs], &mut |values| matrix.append(values))?;
        }
        Ok(matrix)
    }

    fn with_room(rows: usize, inputs: usize, precision: Precision) -> Self {
        let all = rows * inputs.next_multiple_of(BLOCK);
        let elements = match precision {
            Precision::F32 => Elements::F32(Vec::with_capacity(all)),
            Precision::Bf16 => Elements::Bf16(Vec::with_capacity(all)),
            Precision::Int8 => {
                Elements::Int8 { values: Vec::with_capacity(all), scales: Vec::with_capacity(all / BLOCK) }
            }
        };
        Self { elements, rows: 0, inputs }
    }

    /// Rounds rows, `[n, inputs]`, on all threads, and puts them below the others.
    fn append(&mut self, values: &[f32]) {
        let inputs = self.inputs;
        let padded = inputs.next_multiple_of(BLOCK);
        let rows = values.par_chunks(inputs).with_min_len(ROWS_TOGETHER);
        let count = values.len() / inputs;
        match &mut self.elements {
            Elements::F32(kept) => {
                let new = extended(kept, count * padded, 0.0).par_chunks_mut(padded);
                new.zip(rows).for_each(|(new, row)| new[..inputs].copy_from_slice(row));
            }
            Elements::Bf16(kept) => {
                let new = extended(kept, count * padded, half::bf16::ZERO).par_chunks_mut(padded);
                new.zip(rows).for_each(|(new, row)| new[..inputs].convert_from_f32_slice(row));
            }
            Elements::Int8 { values: kept, scales } => {
                let new = extended(kept, count * padded, 0).par_chunks_mut(padded);
                let scales = extended(scales, count * padded / BLOCK, 0.0).par_chunks_mut(padded / BLOCK);
                new.zip(scales).zip(rows).for_each(|((new, scales), row)| {
                    for ((new, scale), block) in new.chunks_mut(BLOCK).zip(scales).zip(row.chunks(BLOCK)) {
                        *scale = element::quantise(block, new);
                    }
                });
            }
        }
        self.rows += count;
    }

    /// Outputs.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// `x·Wᵀ + b`. A row of `x` gives the same result to the bit in whatever company it comes, as long as there are at most
    /// [`FEW`].
    ///
    /// # Shapes
    /// `x` `[n, inputs]`, `bias` `[rows]` → `[n, rows]`
    pub(crate) fn multiply(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let count = x.len() / self.inputs;
        let mut y = match bias {
            Some(bias) => bias.repeat(count),
            None => vec![0.0; count * self.rows],
        };
        if count > FEW {
            match &self.elements {
                Elements::F32(values) => many::multiply_plain(&mut y, x, values, self.inputs),
                Elements::Bf16(values) => many::multiply(&mut y, x, values, &[], self.inputs),
                Elements::Int8 { values, scales } => many::multiply(&mut y, x, values, scales, self.inputs),
            }
        } else if count > 0 {
            let (x, padded) = (self.padded(x), self.inputs.next_multiple_of(BLOCK));
            match &self.elements {
                Elements::F32(values) => few::multiply(&mut y, &x, values, &[], padded),
                Elements::Bf16(values) => few::multiply(&mut y, &x, values, &[], padded),
                Elements::Int8 { values, scales } => few::multiply(&mut y, &x, values, scales, padded),
            }
        }
        y
    }

    /// Appends one row of the matrix as f32.
    pub(crate) fn append_row(&self, row: usize, out: &mut Vec<f32>) {
        let padded = self.inputs.next_multiple_of(BLOCK);
        let place = row * padded..(row + 1) * padded;
        let mut wide = vec![0.0; padded];
        let arch = Arch::new();
        match &self.elements {
            Elements::F32(values) => wide.copy_from_slice(&values[place]),
            Elements::Bf16(values) => element::widen(arch, &values[place], &[], &mut wide),
            Elements::Int8 { values, scales } => {
                let blocks = place.start / BLOCK..place.end / BLOCK;
                element::widen(arch, &values[place], &scales[blocks], &mut wide);
            }
        }
        out.extend_from_slice(&wide[..self.inputs]);
    }

    fn padded<'a>(&self, x: &'a [f32]) -> std::borrow::Cow<'a, [f32]> {
        let padded = self.inputs.next_multiple_of(BLOCK);
        if padded == self.inputs {
            return x.into();
        }
        let mut wide = Vec::with_capacity(x.len() / self.inputs * padded);
        for row in x.chunks_exact(self.inputs) {
            wide.extend_from_slice(row);
            wide.extend(std::iter::repeat_n(0.0, padded - self.inputs));
        }
        wide.into()
    }
}

/// Makes `values` longer by so many; those.
fn extended<T: Copy>(values: &mut Vec<T>, by: usize, fill: T) -> &mut [T] {
    let old = values.len();
    values.resize(old + by, fill);
    &mut values[old..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Noise as _, Seeded};

    /// Largest error of a weight, as a share of the largest weight of its block.
    fn rounding(precision: Precision) -> f32 {
        match precision {
            Precision::F32 => 0.0,
            Precision::Bf16 => 1.0 / 256.0,
            Precision::Int8 => 0.5 / 127.0 * 1.001,
        }
    }

    const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];
    const SIZES: [(usize, usize); 4] = [(1, 1), (33, 7), (256, 667), (770, 515)];

    #[test]
    fn products_equal_a_sum_over_the_rounded_weights_for_odd_sizes_and_any_number_of_rows() {
        let mut noise = Seeded::new(5);
        for (inputs, rows) in SIZES {
            let weights = noise.normal("w", rows * inputs);
            let bias = noise.normal("b", rows);
            for precision in PRECISIONS {
                let matrix = Compact::of_rows(&weights, inputs, precision);
                for count in [1, 2, 3, 7, FEW, FEW + 1, 40] {
                    let x = noise.normal("x", count * inputs);
                    let y = matrix.multiply(&x, Some(&bias));
                    for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact(rows)) {
                        for (row, y) in y.iter().enumerate() {
                            let mut wide = Vec::new();
                            matrix.append_row(row, &mut wide);
                            let sum: f64 =
                                wide.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                            let error = (f64::from(*y) - sum - f64::from(bias[row])).abs();
                            assert!(error < 1e-4, "{precision} {inputs}×{rows}, {count} rows: {error}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_rounded_weight_is_as_near_as_its_precision_allows() {
        for (inputs, rows) in SIZES {
            let weights = Seeded::new(6).normal("w", rows * inputs);
            for precision in PRECISIONS {
                let matrix = Compact::of_rows(&weights, inputs, precision);
                for (row, exact) in weights.chunks_exact(inputs).enumerate() {
                    let mut wide = Vec::new();
                    matrix.append_row(row, &mut wide);
                    assert_eq!(wide.len(), inputs);
                    for (wide, exact) in wide.chunks(BLOCK).zip(exact.chunks(BLOCK)) {
                        let largest = exact.iter().copied().map(f32::abs).fold(0.0, f32::max);
                        for (wide, exact) in wide.iter().zip(exact) {
                            assert!((wide - exact).abs() <= rounding(precision) * largest, "{precision}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_gives_the_same_result_to_the_bit_in_any_company() {
        for (inputs, rows) in SIZES {
            let mut noise = Seeded::new(7);
            let weights = noise.normal("w", rows * inputs);
            for precision in PRECISIONS {
                let matrix = Compact::of_rows(&weights, inputs, precision);
                let x = noise.normal("x", FEW * inputs);
                let alone: Vec<f32> = x.chunks_exact(inputs).flat_map(|x| matrix.multiply(x, None)).collect();
                for count in 2..=FEW {
                    let together = matrix.multiply(&x[..count * inputs], None);
                    assert_eq!(together, alone[..count * rows], "{precision}, {count} rows");
                }
            }
        }
    }
}
