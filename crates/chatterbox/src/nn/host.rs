//! The CPU's fast path for one row times a matrix, or two with guidance, which is what decoding a token is made of.
//!
//! Such a product only reads weights: it is bound by memory. burn-flex computes it on one thread, which leaves half of two
//! cores' bandwidth unused, and for two rows it repacks the weights each time. So the columns are shared out among rayon's
//! threads here, and each weight is read once for all rows. The vector width is chosen when the program runs (pulp). Other
//! devices and taller inputs take burn's own product.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Weights below this many are done before a second thread has woken up.
const WORTH_SHARING: usize = 128 * 1024;

/// Rows up to which the product is worth its own kernel: with and without the text.
const MOST_ROWS: usize = 2;

/// `x·W + b` where `x` is a row or two on the CPU; gives `x` back otherwise.
///
/// # Shapes
/// `x` `[…, in]` with leading dimensions that multiply to at most 2, `weight` `[in, out]`, `bias` `[out]` → `[…, out]`
#[expect(clippy::result_large_err, reason = "the tensor goes back to a caller that uses it at once")]
pub(super) fn rows_times_matrix<const D: usize>(
    x: Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Result<Tensor<D>, Tensor<D>> {
    let mut shape = x.dims();
    let [inputs, outputs] = weight.dims();
    let rows: usize = shape[..D - 1].iter().product();
    if !(1..=MOST_ROWS).contains(&rows) || shape[D - 1] != inputs {
        return Err(x);
    }
    let Ok(weight) = weight.clone().try_into_primitive::<Flex>() else { return Err(x) };
    let Some(weight) = weight.as_slice::<f32>() else { return Err(x) };
    let input = match x.clone().try_into_primitive::<Flex>() {
        Ok(input) => input.to_contiguous(),
        Err(_) => return Err(x),
    };
    let Some(input) = input.as_slice::<f32>() else { return Err(x) };
    let mut y = match bias.map(|bias| bias.clone().try_into_primitive::<Flex>()) {
        Some(Ok(bias)) => {
            bias.as_slice::<f32>().map_or_else(|| vec![0.0; rows * outputs], |bias| bias.repeat(rows))
        }
        _ => vec![0.0; rows * outputs],
    };
    multiply(input, weight, &mut y, rows);
    shape[D - 1] = outputs;
    let device = x.device();
    drop(x);
    Ok(Tensor::from_data(TensorData::new(y, shape), &device))
}

/// `y += x·W`; `x` `[rows, in]`, `W` `[in, out]` and `y` `[rows, out]` row-major.
fn multiply(x: &[f32], weight: &[f32], y: &mut [f32], rows: usize) {
    let arch = Arch::new();
    let outputs = y.len() / rows;
    let share = if weight.len() < WORTH_SHARING {
        outputs
    } else {
        // Whole cache lines each, so that no two threads write to one.
        outputs.div_ceil(rayon::current_num_threads()).next_multiple_of(16)
    };
    let mut shares: Vec<Columns> = (0..outputs)
        .step_by(share)
        .map(|first| Columns { x, weight, outputs, first, y: Vec::with_capacity(rows) })
        .collect();
    for row in y.chunks_exact_mut(outputs) {
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

/// Some columns of the product: `y[r][j] += Σ x[r][i]·W[i, first + j]`.
struct Columns<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    outputs: usize,
    first: usize,
    /// These columns of each row.
    y: Vec<&'a mut [f32]>,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "pulp compiles the body once for each vector width; a call would lose it"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, outputs, first, y } = self;
        let inputs = weight.len() / outputs;
        let width = y.first().map_or(0, |row| row.len());
        let row = |i: usize| &weight[i * outputs + first..i * outputs + first + width];
        let mut rows: Vec<_> =
            x.chunks_exact(inputs).zip(y.into_iter().map(|y| S::as_mut_simd_f32s(y))).collect();
        let mut i = 0;
        // Four rows of W at a time: one load and store of y for four of W, which a second row finds in the cache.
        while i + 4 <= inputs {
            let [(w0, r0), (w1, r1), (w2, r2), (w3, r3)] =
                [row(i), row(i + 1), row(i + 2), row(i + 3)].map(S::as_simd_f32s);
            for (x, (y_vectors, y_rest)) in &mut rows {
                let [x0, x1, x2, x3] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
                let [s0, s1, s2, s3] = [x0, x1, x2, x3].map(|x| simd.splat_f32s(x));
                for ((((y, w0), w1), w2), w3) in y_vectors.iter_mut().zip(w0).zip(w1).zip(w2).zip(w3) {
                    let sum = simd.mul_add_f32s(s0, *w0, *y);
                    let sum = simd.mul_add_f32s(s1, *w1, sum);
                    let sum = simd.mul_add_f32s(s2, *w2, sum);
                    *y = simd.mul_add_f32s(s3, *w3, sum);
                }
                for ((((y, r0), r1), r2), r3) in y_rest.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
                    *y += x0 * r0 + x1 * r1 + x2 * r2 + x3 * r3;
                }
            }
            i += 4;
        }
        for i in i..inputs {
            let (w, rest) = S::as_simd_f32s(row(i));
            for (x, (y_vectors, y_rest)) in &mut rows {
                let splat = simd.splat_f32s(x[i]);
                for (y, w) in y_vectors.iter_mut().zip(w) {
                    *y = simd.mul_add_f32s(splat, *w, *y);
                }
                for (y, w) in y_rest.iter_mut().zip(rest) {
                    *y += x[i] * w;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, module};

    use super::*;
    use crate::noise::{Noise as _, Seeded};

    #[test]
    fn the_shared_product_equals_burns_for_odd_sizes_too() {
        let device = Device::flex();
        let mut noise = Seeded::new(5);
        let sizes = [(1, 1), (7, 33), (256, 667), (770, 2309)];
        for (rows, (inputs, outputs)) in [1, 2].into_iter().flat_map(|rows| sizes.map(|size| (rows, size))) {
            let tensor = |values: Vec<f32>, shape: [usize; 2]| {
                Tensor::<2>::from_data(TensorData::new(values, shape), &device)
            };
            let x = tensor(noise.normal("x", rows * inputs), [rows, inputs]);
            let weight = tensor(noise.normal("w", inputs * outputs), [inputs, outputs]);
            let bias =
                Tensor::<1>::from_data(TensorData::new(noise.normal("b", outputs), [outputs]), &device);
            let fast = rows_times_matrix(x.clone(), &weight, Some(&bias)).unwrap();
            let burns = module::linear(x, weight, Some(bias));
            let error: f32 = (fast - burns).abs().max().into_scalar();
            assert!(error < 1e-3 * (inputs as f32).sqrt(), "{rows}: {inputs}×{outputs}: {error}");
        }
    }
}
