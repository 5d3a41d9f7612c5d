//! Convolution over time with channels last, as products of matrices.
//!
//! With channels last, the window of an output step is one contiguous run of `kernel · channels` values, and the windows
//! of neighbouring steps overlap: the unfolded matrix that other implementations build is the signal itself, read with
//! overlapping rows. A dilated convolution is brought to that form by sorting the signal's steps by their remainder. The
//! work is cut into tiles of time that fit a core's cache; padding, sorting and the activation in front of the
//! convolution happen in the one copy that a tile makes.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::matrix::{Matrix, multiply};
use super::pointwise::sine_squared;

/// Values of a tile's input: half a megabyte, well within a second-level cache.
const TILE: usize = 128 * 1024;

/// What a convolution looks like.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct Window {
    pub(in crate::nn) inputs: usize,
    pub(in crate::nn) outputs: usize,
    pub(in crate::nn) kernel: usize,
    pub(in crate::nn) stride: usize,
    /// More than 1 only where `stride` is 1.
    pub(in crate::nn) dilation: usize,
    /// Zeros before and after the signal.
    pub(in crate::nn) before: usize,
    pub(in crate::nn) after: usize,
}

impl Window {
    /// Steps from the first value of a window to its last.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation
    }

    /// Output steps for `length` input steps.
    pub(in crate::nn) fn output_length(&self, length: usize) -> usize {
        (self.before + length + self.after)
            .checked_sub(self.reach() + 1)
            .map_or(0, |room| room / self.stride + 1)
    }
}

/// What happens to a value before it enters the convolution; zeros of the padding stay zeros in all of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) enum Activation<'a> {
    None,
    /// Negative values times this.
    LeakyRelu(f32),
    /// `x + sin²(αx)/α` with an α and its inverse for each channel.
    Snake {
        alpha: &'a [f32],
        inverse: &'a [f32],
    },
}

/// Adds the convolution of `x` to `y`, and the bias.
///
/// # Shapes
/// `x` `[time, inputs]`, `weight` `[kernel · inputs, outputs]`, `bias` `[outputs]`, `y` `[output_length, outputs]`
pub(in crate::nn) fn convolve(
    y: &mut [f32],
    x: &[f32],
    activation: Activation<'_>,
    weight: &[f32],
    bias: &[f32],
    window: Window,
) {
    debug_assert!(window.dilation == 1 || window.stride == 1, "no network here has both");
    let arch = Arch::new();
    let Window { inputs, outputs, kernel, stride, dilation, .. } = window;
    let steps = y.len() / outputs;
    let threads = rayon::current_num_threads();
    // A whole share for each thread at least, and no more than fits the cache; multiples that keep remainders aligned.
    let tile = (TILE / (inputs * stride)).min(steps.div_ceil(threads)).max(1).next_multiple_of(dilation);
    let weight = Matrix::of_rows(weight, kernel * inputs, outputs, outputs);
    y.par_chunks_mut(tile * outputs).enumerate().for_each_init(Vec::new, |scratch, (index, y)| {
        let steps = y.len() / outputs;
        for row in y.chunks_exact_mut(outputs) {
            for (y, bias) in row.iter_mut().zip(bias) {
                *y += bias;
            }
        }
        let first = index * tile * stride;
        let rows = (steps - 1) * stride + window.reach() + 1;
        gather(arch, scratch, x, activation, window, first, rows);
        if dilation == 1 {
            let windows = Matrix::of_rows(scratch, steps, kernel * inputs, stride * inputs);
            multiply(y, outputs, windows, weight, 1.0, true);
            return;
        }
        for remainder in 0..dilation.min(steps) {
            let start = sorted_start(rows, dilation, remainder) * inputs;
            let count = (steps - remainder).div_ceil(dilation);
            let windows = Matrix::of_rows(&scratch[start..], count, kernel * inputs, inputs);
            multiply(&mut y[remainder * outputs..], dilation * outputs, windows, weight, 1.0, true);
        }
    });
}

/// Where the steps with this remainder begin, when `rows` steps are sorted by their remainder.
fn sorted_start(rows: usize, dilation: usize, remainder: usize) -> usize {
    (0..remainder).map(|smaller| (rows - smaller).div_ceil(dilation)).sum()
}

/// Copies `rows` steps of the padded signal from step `first` on into `scratch`, activated and sorted by remainder.
fn gather(
    arch: Arch,
    scratch: &mut Vec<f32>,
    x: &[f32],
    activation: Activation<'_>,
    window: Window,
    first: usize,
    rows: usize,
) {
    let Window { inputs, dilation, before, .. } = window;
    let length = x.len() / inputs;
    scratch.resize(rows * inputs, 0.0);
    let mut place = 0;
    for remainder in 0..dilation {
        let mut row = remainder;
        while row < rows {
            let step = first + row;
            let target = &mut scratch[place * inputs..][..inputs];
            if step >= before && step - before < length {
                arch.dispatch(Activate {
                    target,
                    source: &x[(step - before) * inputs..][..inputs],
                    activation,
                });
            } else {
                target.fill(0.0);
            }
            place += 1;
            row += dilation;
        }
    }
}

/// Copies a step, activated.
struct Activate<'a> {
    target: &'a mut [f32],
    source: &'a [f32],
    activation: Activation<'a>,
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "a call would leave the code that pulp compiles for wide vectors"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { target, source, activation } = self;
        match activation {
            Activation::None => target.copy_from_slice(source),
            Activation::LeakyRelu(slope) => {
                for (target, &x) in target.iter_mut().zip(source) {
                    *target = if x < 0.0 { slope * x } else { x };
                }
            }
            Activation::Snake { alpha, inverse } => {
                for (((target, &x), alpha), inverse) in target.iter_mut().zip(source).zip(alpha).zip(inverse)
                {
                    *target = sine_squared(x * alpha).mul_add(*inverse, x);
                }
            }
        }
    }
}

/// Adds the overlapping outputs of a transposed convolution to `y`.
///
/// # Shapes
/// `x` `[time, inputs]`, `weight` `[inputs, kernel · outputs]`, `y` `[(time − 1)·stride + kernel − 2·padding, outputs]`
pub(in crate::nn) fn convolve_transposed(
    y: &mut [f32],
    x: &[f32],
    activation: Activation<'_>,
    weight: &[f32],
    window: Window,
    padding: usize,
) {
    let Window { inputs, outputs, kernel, stride, .. } = window;
    let length = x.len() / inputs;
    let arch = Arch::new();
    let weight = Matrix::of_rows(weight, inputs, kernel * outputs, kernel * outputs);
    // Each share of the output is made from the input steps that reach into it.
    let share = (TILE / (inputs + kernel * outputs)).max(1) * stride;
    y.par_chunks_mut(share * outputs).enumerate().for_each_init(
        || (Vec::new(), Vec::new()),
        |(activated, spread), (index, y)| {
            // In steps of the unpadded output.
            let first = index * share + padding;
            let steps = y.len() / outputs;
            let from = (first + 1).saturating_sub(kernel).div_ceil(stride);
            let to = ((first + steps - 1) / stride + 1).min(length);
            activated.resize((to - from) * inputs, 0.0);
            for (target, source) in
                activated.chunks_exact_mut(inputs).zip(x[from * inputs..].chunks_exact(inputs))
            {
                arch.dispatch(Activate { target, source, activation });
            }
            spread.resize((to - from) * kernel * outputs, 0.0);
            let signal = Matrix::of_rows(activated, to - from, inputs, inputs);
            multiply(spread, kernel * outputs, signal, weight, 1.0, false);
            for (step, taps) in (from..to).zip(spread.chunks_exact(kernel * outputs)) {
                for (tap, values) in taps.chunks_exact(outputs).enumerate() {
                    let Some(place) = (step * stride + tap).checked_sub(first) else { continue };
                    if place >= steps {
                        break;
                    }
                    for (y, value) in y[place * outputs..][..outputs].iter_mut().zip(values) {
                        *y += value;
                    }
                }
            }
        },
    );
}
