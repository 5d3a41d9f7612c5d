//! Functions of one number, written without branches so that the compiler turns loops over them into vector code, which
//! `pulp` compiles for each width and picks when the program runs.
#![expect(
    clippy::inline_always,
    reason = "a call would leave the code that pulp compiles for wide vectors, and with it their speed"
)]

use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::WORTH_SHARING;

/// Applies `function` to every value on the CPU, in place where nobody else holds the tensor; gives `x` back on other
/// devices.
///
/// Closures passed here are marked `#[inline(always)]`: only what is inlined into [`Apply`] is compiled for wide vectors.
#[expect(clippy::result_large_err, reason = "the tensor goes back to a caller that uses it at once")]
pub(in crate::nn) fn map<const D: usize>(
    x: Tensor<D>,
    function: impl Fn(f32) -> f32 + Copy + Send + Sync,
) -> Result<Tensor<D>, Tensor<D>> {
    let Ok(values) = x.clone().try_into_primitive::<Flex>() else { return Err(x) };
    drop(x);
    let mut values = values.to_contiguous();
    let arch = Arch::new();
    let all = values.storage_mut::<f32>();
    if all.len() < 2 * WORTH_SHARING {
        arch.dispatch(Apply { values: all, function });
    } else {
        all.par_chunks_mut(WORTH_SHARING).for_each(|values| arch.dispatch(Apply { values, function }));
    }
    Ok(Tensor::from_primitive::<Flex>(values))
}

struct Apply<'a, F> {
    values: &'a mut [f32],
    function: F,
}

impl<F: Fn(f32) -> f32> WithSimd for Apply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.values {
            *value = (self.function)(*value);
        }
    }
}

/// 1.5·2²³: added to a smaller number it rounds to the nearest whole one, ties to even, and leaves it in the lowest bits.
pub(super) const SHIFT: f32 = 12_582_912.0;

/// e^x to two units in the last place for −87 ≤ x ≤ 88, the bounds beyond.
#[inline(always)]
pub(in crate::nn) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    // Cephes' polynomial on ±ln 2 / 2.
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = (p * r).mul_add(r, r) + 1.0;
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// sin²(x), to 1e-7 for |x| up to some thousands.
#[inline(always)]
pub(in crate::nn) fn sine_squared(x: f32) -> f32 {
    // π in three parts, the first two short enough to be multiplied exactly.
    const PI_1: f32 = 3.140_625;
    const PI_2: f32 = 9.670_257_6e-4;
    const PI_3: f32 = 6.277_114e-7;
    let n = x.mul_add(std::f32::consts::FRAC_1_PI, SHIFT) - SHIFT;
    let r = n.mul_add(-PI_3, n.mul_add(-PI_2, n.mul_add(-PI_1, x)));
    let square = r * r;
    let p = -2.383_455_7e-8_f32;
    let p = p.mul_add(square, 2.752_400_7e-6);
    let p = p.mul_add(square, -1.984_087_3e-4);
    let p = p.mul_add(square, 8.333_331e-3);
    let p = p.mul_add(square, -1.666_666_7e-1);
    let sine = (p * square).mul_add(r, r);
    sine * sine
}

/// 1 / (1 + e^−x)
#[inline(always)]
pub(in crate::nn) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function to 1e-6: a ratio of polynomials on ±4, where it is ±1 in f32.
#[inline(always)]
pub(in crate::nn) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = -2.726_142_3e-10_f32;
    let p = p.mul_add(s, 2.770_681_4e-8);
    let p = p.mul_add(s, -2.101_024e-6);
    let p = p.mul_add(s, -5.692_506_6e-5);
    let p = p.mul_add(s, -7.349_906_3e-4);
    let p = p.mul_add(s, -2.954_6e-3);
    let p = p.mul_add(s, -1.609_603_4e-2);
    let q = -1.456_607_2e-5_f32;
    let q = q.mul_add(s, -2.133_740_5e-4);
    let q = q.mul_add(s, -1.682_827e-3);
    let q = q.mul_add(s, -7.373_329e-3);
    let q = q.mul_add(s, -1.426_474e-2);
    x * p / q
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(range: std::ops::Range<f32>, found: impl Fn(f32) -> f32, expected: impl Fn(f64) -> f64) -> f64 {
        (0..=100_000)
            .map(|i| range.start + (range.end - range.start) * i as f32 / 100_000.0)
            .map(|x| (f64::from(found(x)) - expected(f64::from(x))).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_exponential_is_exact_to_two_units_in_the_last_place() {
        let relative = (-8700..=8700)
            .map(|i| i as f32 / 100.0)
            .map(|x| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(relative < 2.4e-7, "{relative:e}");
        assert!(exp(-1e9) < 2e-38 && exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn the_squared_sine_holds_over_many_periods() {
        let error = worst(-200.0..200.0, sine_squared, |x| x.sin() * x.sin());
        assert!(error < 3e-7, "{error:e}");
        let error = worst(-3000.0..3000.0, sine_squared, |x| x.sin() * x.sin());
        assert!(error < 3e-6, "{error:e}");
    }

    #[test]
    fn the_error_function_agrees_with_its_series() {
        // erf(x) = 2/√π Σ (−1)ⁿ x^(2n+1) / (n! (2n + 1))
        let series = |x: f64| {
            let mut term = x;
            let mut sum = x;
            for n in 1..80 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * std::f64::consts::FRAC_2_SQRT_PI
        };
        let error = worst(-4.0..4.0, erf, series);
        assert!(error < 1e-6, "{error:e}");
    }
}
