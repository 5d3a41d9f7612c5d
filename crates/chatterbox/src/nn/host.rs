//! The CPU's fast path for one row times a matrix, which is what decoding a token is made of.
//!
//! Such a product only reads weights: it is bound by memory. burn-flex computes it on one thread, which leaves half of two
//! cores' bandwidth unused, so the columns are shared out among rayon's threads here. The vector width is chosen when the
//! program runs (pulp). Other devices and taller inputs take burn's own product.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Weights below this many are done before a second thread has woken up.
const WORTH_SHARING: usize = 128 * 1024;

/// `x·W + b` where `x` is a single row on the CPU; gives `x` back otherwise.
///
/// # Shapes
/// `x` `[…, in]` with all leading dimensions 1, `weight` `[in, out]`, `bias` `[out]` → `[…, out]`
pub(super) fn row_times_matrix<const D: usize>(
    x: Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Result<Tensor<D>, Tensor<D>> {
    let mut shape = x.dims();
    let [inputs, outputs] = weight.dims();
    if shape.iter().product::<usize>() != inputs {
        return Err(x);
    }
    let Ok(weight) = weight.clone().try_into_primitive::<Flex>() else { return Err(x) };
    let Some(weight) = weight.as_slice::<f32>() else { return Err(x) };
    let row = match x.clone().try_into_primitive::<Flex>() {
        Ok(row) => row.to_contiguous(),
        Err(_) => return Err(x),
    };
    let Some(row) = row.as_slice::<f32>() else { return Err(x) };
    let mut y = match bias.map(|bias| bias.clone().try_into_primitive::<Flex>()) {
        Some(Ok(bias)) => bias.as_slice::<f32>().map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec),
        _ => vec![0.0; outputs],
    };
    multiply(row, weight, &mut y);
    shape[D - 1] = outputs;
    let device = x.device();
    drop(x);
    Ok(Tensor::from_data(TensorData::new(y, shape), &device))
}

/// `y += x·W`, `W` row-major `[x.len(), y.len()]`.
fn multiply(x: &[f32], weight: &[f32], y: &mut [f32]) {
    let arch = Arch::new();
    let outputs = y.len();
    if weight.len() < WORTH_SHARING {
        arch.dispatch(Columns { x, weight, outputs, first: 0, y });
        return;
    }
    // Whole cache lines each, so that no two threads write to one.
    let share = outputs.div_ceil(rayon::current_num_threads()).next_multiple_of(16);
    y.par_chunks_mut(share).enumerate().for_each(|(index, y)| {
        arch.dispatch(Columns { x, weight, outputs, first: index * share, y });
    });
}

/// Some columns of the product: `y[j] += Σ x[i]·W[i, first + j]`.
struct Columns<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    outputs: usize,
    first: usize,
    y: &'a mut [f32],
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
        let width = y.len();
        let (y_vectors, y_rest) = S::as_mut_simd_f32s(y);
        let row = |i: usize| &weight[i * outputs + first..i * outputs + first + width];
        let mut i = 0;
        // Four rows at a time: one load and store of y for four of W.
        while i + 4 <= x.len() {
            let [x0, x1, x2, x3] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
            let [(w0, r0), (w1, r1), (w2, r2), (w3, r3)] =
                [row(i), row(i + 1), row(i + 2), row(i + 3)].map(S::as_simd_f32s);
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
            i += 4;
        }
        for (i, x) in x.iter().enumerate().skip(i) {
            let (w, rest) = S::as_simd_f32s(row(i));
            let splat = simd.splat_f32s(*x);
            for (y, w) in y_vectors.iter_mut().zip(w) {
                *y = simd.mul_add_f32s(splat, *w, *y);
            }
            for (y, w) in y_rest.iter_mut().zip(rest) {
                *y += x * w;
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
        for (inputs, outputs) in [(1, 1), (7, 33), (256, 667), (770, 2309)] {
            let tensor = |values: Vec<f32>, shape: [usize; 2]| {
                Tensor::<2>::from_data(TensorData::new(values, shape), &device)
            };
            let x = tensor(noise.normal("x", inputs), [1, inputs]);
            let weight = tensor(noise.normal("w", inputs * outputs), [inputs, outputs]);
            let bias =
                Tensor::<1>::from_data(TensorData::new(noise.normal("b", outputs), [outputs]), &device);
            let fast = row_times_matrix(x.clone(), &weight, Some(&bias)).unwrap();
            let burns = module::linear(x, weight, Some(bias));
            let error: f32 = (fast - burns).abs().max().into_scalar();
            assert!(error < 1e-3 * (inputs as f32).sqrt(), "{inputs}×{outputs}: {error}");
        }
    }
}
