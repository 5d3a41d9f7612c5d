//! A self-test of a GPU, once when it is started: a dozen small operations of the networks at awkward sizes.
//!
//! Drivers and kernels that compute wrong numbers exist, on some cards and versions only, and what they make of speech is
//! noise without an error. So each operation is compared with the CPU, element by element, and the CPU with sums that
//! `scripts/reference/make_probe.py` computed with NumPy. Whether weights may be kept as f16 is decided here too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData, activation, module};

use super::Precision;

/// Largest difference that the order of summation and a GPU's quicker exponentials explain; outputs are about 1.
const F32_BOUND: f32 = 2e-3;
/// For f16 factors that are summed up in f32. Sums kept in f16 exceed it.
const F16_BOUND: f32 = 5e-2;
/// Of a stored sum, per square root of its terms.
const SUM_BOUND: f64 = 1e-3;

/// What a device that passed was found to be good for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probed {
    /// In which T3's weights may be kept there.
    pub precision: Precision,
    /// What was seen, in a sentence without its dot.
    pub finding: String,
}

/// An operation on fixed values, and the weighted sum of its result by `make_probe.py`.
struct Case {
    name: &'static str,
    run: fn(&Device) -> Tensor<1>,
    sum: f64,
}

/// Sizes are primes or just beyond powers of two, where tiles and vectors do not fit. 104 to 208 channels is a pointwise
/// convolution that was once computed wrongly on Metal.
const CASES: [Case; 10] = [
    Case { name: "matrix product of one row", run: |device| product(device, 1, 1031, 131), sum: -44.031_793 },
    Case { name: "matrix product of many rows", run: |device| product(device, 37, 67, 131), sum: 6.475_88 },
    Case { name: "attention", run: attention, sum: 1.080_148 },
    Case { name: "convolution", run: convolution, sum: 26.290_144 },
    Case { name: "pointwise convolution", run: pointwise_convolution, sum: 0.544_812 },
    Case { name: "transposed convolution", run: transposed_convolution, sum: -14.698_263 },
    Case {
        name: "softmax",
        run: |device| flat(activation::softmax(tensor(device, 13, [7, 1001]), 1) * 100.0),
        sum: 4.230_272,
    },
    Case { name: "layer norm", run: layer_norm, sum: 13.272_699 },
    Case { name: "selection of rows", run: selection, sum: -7.100_165 },
    Case { name: "chain of elementwise operations", run: elementwise, sum: 29.402_929 },
];

/// Compares a device with the CPU.
///
/// # Errors
/// The first operation that is computed wrongly, or not at all, in a sentence without its dot.
pub(super) fn examine(device: &Device) -> Result<Probed, String> {
    let host = Device::flex();
    let mut worst = 0.0_f32;
    for case in &CASES {
        let expected = computed(case, &host)?;
        if !is_sum(&expected, case.sum) {
            return Err(format!("the CPU itself computes a wrong {}", case.name));
        }
        let error = largest_difference(&computed(case, device)?, &expected);
        if error > F32_BOUND {
            return Err(format!("it computes a wrong {} (off by {error:.1e})", case.name));
        }
        worst = worst.max(error);
    }
    let passed = format!("passed, worst error {worst:.1e}");
    let (precision, half) = match examine_half(device, &host) {
        Ok(Some(error)) => (Precision::F16, format!("f16 products off by at most {error:.1e}")),
        Ok(None) => (Precision::F32, "it has no f16".to_owned()),
        Err(problem) => (Precision::F32, format!("f16 is not used: {problem}")),
    };
    Ok(Probed { precision, finding: format!("{passed}; {half}") })
}

/// The worst error of products of f16 weights; `None` where the device has none.
fn examine_half(device: &Device, host: &Device) -> Result<Option<f32>, String> {
    if !device.supports_dtype(FloatDType::F16) {
        return Ok(None);
    }
    let mut worst = 0.0_f32;
    for [rows, inputs, outputs] in [[1, 1031, 131], [37, 67, 131], [2, 1024, 259]] {
        let expected = values(|| product(host, rows, inputs, outputs))?;
        let found = values(|| {
            let x = tensor::<2>(device, 1, [rows, inputs]).cast(FloatDType::F16);
            let weight = tensor::<2>(device, 2, [inputs, outputs]).cast(FloatDType::F16);
            flat(x.matmul(weight).cast(FloatDType::F32))
        })?;
        let error = largest_difference(&found, &expected);
        if error > F16_BOUND {
            return Err(format!("it computes a wrong product of f16 (off by {error:.1e})"));
        }
        worst = worst.max(error);
    }
    Ok(Some(worst))
}

fn computed(case: &Case, device: &Device) -> Result<Vec<f32>, String> {
    values(|| (case.run)(device)).map_err(|problem| format!("it fails at a {}: {problem}", case.name))
}

/// A result on the host. Drivers are foreign code, and some of their refusals come as panics.
fn values(run: impl FnOnce() -> Tensor<1>) -> Result<Vec<f32>, String> {
    let told = |panic: Box<dyn Any + Send>| {
        // Words that were known when the program was compiled come as they are.
        let fixed = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
        let words = fixed.or_else(|| panic.downcast::<String>().ok().map(|words| *words));
        words.unwrap_or_else(|| "the driver gave up".to_owned())
    };
    catch_unwind(AssertUnwindSafe(|| crate::nn::read(run()))).map_err(told)?
}

/// Infinite where the lengths differ or something is no number.
fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    found.iter().zip(expected).fold(0.0, |largest: f32, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f32::INFINITY } else { largest.max(difference) }
    })
}

/// Whether the weighted sum of `values` is `expected`.
fn is_sum(values: &[f32], expected: f64) -> bool {
    let weights = numbers(99, values.len());
    let sum: f64 =
        values.iter().zip(weights).map(|(value, weight)| f64::from(*value) * f64::from(weight)).sum();
    (sum - expected).abs() <= SUM_BOUND * (values.len() as f64).sqrt()
}

/// `count` numbers in −1..1 that every platform and NumPy make alike: the upper bits of a linear congruence.
fn numbers(seed: u32, count: usize) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(2_654_435_761);
    (0..count).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // 16 bits are exact in f32, and each is exact in f16 but for rounding of its last five.
        (state >> 16) as f32 / 32_768.0 - 1.0
    })
}

fn tensor<const D: usize>(device: &Device, seed: u32, shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = numbers(seed, shape.iter().product()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.flatten(0, D - 1)
}

fn product(device: &Device, rows: usize, inputs: usize, outputs: usize) -> Tensor<1> {
    flat(tensor::<2>(device, 1, [rows, inputs]).matmul(tensor(device, 2, [inputs, outputs])))
}

fn attention(device: &Device) -> Tensor<1> {
    let part = |seed| tensor::<4>(device, seed, [2, 3, 37, 16]);
    let scores = part(3).matmul(part(4).swap_dims(2, 3)) * 0.25;
    flat(activation::softmax(scores, 3).matmul(part(5)))
}

fn convolution(device: &Device) -> Tensor<1> {
    let (x, weight) = (tensor(device, 6, [1, 24, 101]), tensor(device, 7, [40, 24, 7]) * 0.1);
    let options = ConvOptions::new([1], [9], [3], 1);
    flat(module::conv1d(x, weight, Some(tensor(device, 8, [40])), options))
}

fn pointwise_convolution(device: &Device) -> Tensor<1> {
    let (x, weight) = (tensor(device, 9, [1, 104, 97]), tensor(device, 10, [208, 104, 1]) * 0.1);
    flat(module::conv1d(x, weight, None, ConvOptions::new([1], [0], [1], 1)))
}

fn transposed_convolution(device: &Device) -> Tensor<1> {
    let (x, weight) = (tensor(device, 11, [1, 16, 33]), tensor(device, 12, [16, 8, 11]) * 0.2);
    flat(module::conv_transpose1d(x, weight, None, ConvTransposeOptions::new([5], [3], [0], [1], 1)))
}

fn layer_norm(device: &Device) -> Tensor<1> {
    let (gain, bias) = (tensor(device, 15, [129]), tensor(device, 16, [129]));
    flat(module::layer_norm(tensor::<2>(device, 14, [33, 129]), gain, Some(bias), 1e-5))
}

fn selection(device: &Device) -> Tensor<1> {
    let rows: Vec<i32> = (0..61).map(|index| index * 37 % 97).collect();
    let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows, [61]), device);
    flat(tensor::<2>(device, 17, [97, 33]).select(0, rows))
}

fn elementwise(device: &Device) -> Tensor<1> {
    let (x, y) = (tensor::<1>(device, 18, [4099]) * 3.0, tensor::<1>(device, 19, [4099]));
    let difference = x.clone() - y.clone();
    activation::sigmoid(difference.clone()) * x.sin() + (difference.abs() + 1.0).log() - y.exp() * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_the_stored_sums() {
        for case in &CASES {
            let values = computed(case, &Device::flex()).unwrap();
            assert!(is_sum(&values, case.sum), "{}", case.name);
        }
    }

    #[test]
    fn wrong_numbers_missing_numbers_and_no_numbers_are_noticed() {
        assert_eq!(largest_difference(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
        assert_eq!(largest_difference(&[1.0], &[1.0, 2.0]), f32::INFINITY);
        assert_eq!(largest_difference(&[f32::NAN], &[1.0]), f32::INFINITY);
        let right = computed(&CASES[3], &Device::flex()).unwrap();
        let mut wrong = right.clone();
        // One tile of a convolution left out.
        wrong[64..128].fill(0.0);
        assert!(!is_sum(&wrong, CASES[3].sum) && largest_difference(&wrong, &right) > F32_BOUND);
    }

    #[test]
    fn a_driver_that_panics_fails_the_test_instead_of_the_program() {
        assert_eq!(values(|| panic!("no {}", "memory")), Err("no memory".to_owned()));
    }
}
