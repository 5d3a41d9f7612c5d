//! One-dimensional convolutions over time, channels last, as every network here keeps its signals: `[batch, time, channels]`.
//! Weight normalisation is folded into plain weights at load.

use burn::backend::Flex;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor, TensorData, module};

use super::kernels::conv::{Activation, Window, convolve, convolve_transposed};
use super::kernels::{host_tensor, host_values, is_host};
use super::leaky_relu;
use crate::weights::{Scope, WeightError};

/// Where a convolution pads with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    None,
    /// The same on both sides.
    Both(usize),
    /// Only before the first sample: the output sees no future.
    Before(usize),
    /// Only after the last.
    After(usize),
}

impl Padding {
    fn before_and_after(self) -> (usize, usize) {
        match self {
            Self::None => (0, 0),
            Self::Both(n) => (n, n),
            Self::Before(n) => (n, 0),
            Self::After(n) => (0, n),
        }
    }
}

/// What happens to the signal before a convolution; the CPU does it while it copies the signal into windows.
#[derive(Clone, Copy, Debug)]
pub enum Before<'a> {
    Nothing,
    /// Negative values times this.
    LeakyRelu(f64),
    Snake(&'a Snake),
}

impl Before<'_> {
    fn forward(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Nothing => x,
            Self::LeakyRelu(slope) => leaky_relu(x, slope),
            Self::Snake(snake) => snake.forward(x),
        }
    }

    fn on_host(&self) -> Activation<'_> {
        match self {
            Self::Nothing => Activation::None,
            Self::LeakyRelu(slope) => Activation::LeakyRelu(*slope as f32),
            Self::Snake(snake) => Activation::Snake { alpha: &snake.alpha, inverse: &snake.inverse },
        }
    }
}

/// `x + sin²(αx)/α` with an α for each channel.
#[derive(Debug)]
pub struct Snake {
    alpha: Vec<f32>,
    /// 1 / α, kept finite.
    inverse: Vec<f32>,
    device: Device,
}

impl Snake {
    pub fn load(scope: &Scope, channels: usize) -> Result<Self, WeightError> {
        let alpha = scope.values("alpha", &[channels])?;
        let inverse = alpha.iter().map(|alpha| 1.0 / (alpha + 1e-9)).collect();
        Ok(Self { alpha, inverse, device: scope.device().clone() })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let channels = |values: &[f32]| {
            Tensor::<3>::from_data(TensorData::new(values.to_vec(), [1, 1, values.len()]), &self.device)
        };
        let sine = (x.clone() * channels(&self.alpha)).sin();
        x + sine.clone() * sine * channels(&self.inverse)
    }
}

/// Weights and bias in the order that the device reads best.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "some dozens for each network")]
enum Weights {
    /// `[kernel · in, out]`, or `[in, kernel · out]` of a transposed convolution, row-major; bias `[out]`.
    Host { weight: Vec<f32>, bias: Vec<f32> },
    /// `[out, in / groups, kernel]`, or `[in, out, kernel]` of a transposed convolution; bias `[out]`.
    Device { weight: Tensor<3>, bias: Tensor<1> },
}

/// `[batch, time, in]` → `[batch, time', out]`.
#[derive(Debug)]
pub struct Conv1d {
    weights: Weights,
    /// in, out and kernel.
    shape: [usize; 3],
    stride: usize,
    dilation: usize,
    groups: usize,
    padding: Padding,
}

impl Conv1d {
    /// Reads a plain or weight-normalised convolution, whichever the checkpoint holds: `shape` is `[out, in, kernel]`.
    pub fn load(scope: &Scope, shape: [usize; 3]) -> Result<Self, WeightError> {
        Self::from_weight(scope, scope.values("weight", &shape)?, shape)
    }

    /// Reads a weight-normalised convolution, `w = g·v / ‖v‖` per output channel.
    pub fn load_normed(scope: &Scope, shape: [usize; 3]) -> Result<Self, WeightError> {
        Self::from_weight(scope, fold_weight_norm(scope, shape)?, shape)
    }

    /// Reads a convolution without bias.
    pub fn load_unbiased(scope: &Scope, shape: [usize; 3]) -> Result<Self, WeightError> {
        Ok(Self::new(scope.device(), scope.values("weight", &shape)?, vec![0.0; shape[0]], shape))
    }

    /// Reads a convolution of each channel by itself, without bias.
    pub fn load_depthwise(scope: &Scope, channels: usize, kernel: usize) -> Result<Self, WeightError> {
        let weight = scope.tensor("weight", [channels, 1, kernel])?;
        let bias = scope.upload(vec![0.0; channels], [channels]);
        let weights = Weights::Device { weight, bias };
        Ok(Self { groups: channels, ..Self::of(weights, [channels, channels, kernel]) })
    }

    fn from_weight(scope: &Scope, weight: Vec<f32>, shape: [usize; 3]) -> Result<Self, WeightError> {
        let bias = scope.values("bias", &[shape[0]])?;
        Ok(Self::new(scope.device(), weight, bias, shape))
    }

    /// From weights that were folded on the host first: `weight` is `shape`, `[out, in, kernel]`, and `bias` `[out]`.
    pub fn new(device: &Device, weight: Vec<f32>, bias: Vec<f32>, shape: [usize; 3]) -> Self {
        let [outputs, inputs, kernel] = shape;
        let weights = if is_host(device) {
            let place = |output, input, tap| (tap * inputs + input) * outputs + output;
            Weights::Host { weight: reordered(&weight, shape, place), bias }
        } else {
            Weights::Device {
                weight: Tensor::from_data(TensorData::new(weight, shape), device),
                bias: Tensor::from_data(TensorData::new(bias, [outputs]), device),
            }
        };
        Self::of(weights, [inputs, outputs, kernel])
    }

    fn of(weights: Weights, shape: [usize; 3]) -> Self {
        Self { weights, shape, stride: 1, dilation: 1, groups: 1, padding: Padding::None }
    }

    #[must_use]
    pub fn with_padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    #[must_use]
    pub fn with_dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// Rows of zeros before the signal.
    pub(super) fn lead(&self) -> usize {
        self.padding.before_and_after().0
    }

    /// # Shapes
    /// `[batch, time, in]` → `[batch, (time + padding − dilation·(kernel − 1) − 1) / stride + 1, out]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_after(Before::Nothing, x)
    }

    /// The convolution of the activated signal.
    pub fn forward_after(&self, before: Before<'_>, x: Tensor<3>) -> Tensor<3> {
        match &self.weights {
            Weights::Host { weight, bias } => {
                let ([batch, length, _], device) = (x.dims(), x.device());
                let shape = [batch, self.window().output_length(length), bias.len()];
                let mut y = vec![0.0; shape.iter().product()];
                self.add_on_host(&mut y, before, x, weight, bias);
                host_tensor(y, shape, &device)
            }
            Weights::Device { weight, bias } => self.on_device(before.forward(x), weight, bias),
        }
    }

    /// `residual`, `[batch, time', out]`, plus the convolution of the activated signal.
    pub fn add_forward_after(&self, residual: Tensor<3>, before: Before<'_>, x: Tensor<3>) -> Tensor<3> {
        match &self.weights {
            Weights::Host { weight, bias } => {
                let mut y = host_values(residual);
                // In place, where nobody else holds the tensor.
                self.add_on_host(y.storage_mut(), before, x, weight, bias);
                Tensor::from_primitive::<Flex>(y)
            }
            Weights::Device { weight, bias } => residual + self.on_device(before.forward(x), weight, bias),
        }
    }

    fn window(&self) -> Window {
        let [inputs, outputs, kernel] = self.shape;
        let (before, after) = self.padding.before_and_after();
        Window { inputs, outputs, kernel, stride: self.stride, dilation: self.dilation, before, after }
    }

    fn add_on_host(&self, y: &mut [f32], before: Before<'_>, x: Tensor<3>, weight: &[f32], bias: &[f32]) {
        let [_, length, inputs] = x.dims();
        let window = self.window();
        let steps = window.output_length(length);
        if steps > 0 {
            let x = host_values(x);
            let signals = x.storage::<f32>().chunks_exact(length * inputs);
            for (y, x) in y.chunks_exact_mut(steps * window.outputs).zip(signals) {
                convolve(y, x, before.on_host(), weight, bias, window);
            }
        }
    }

    fn on_device(&self, x: Tensor<3>, weight: &Tensor<3>, bias: &Tensor<1>) -> Tensor<3> {
        let x = x.swap_dims(1, 2); // [batch, in, time]
        let (before, after) = self.padding.before_and_after();
        let (x, symmetric) = if before == after { (x, before) } else { (x.pad([(before, after)], 0.0), 0) };
        let options = ConvOptions::new([self.stride], [symmetric], [self.dilation], self.groups);
        module::conv1d(x, weight.clone(), Some(bias.clone()), options).swap_dims(1, 2)
    }
}

/// `[batch, time, in]` → `[batch, (time − 1)·stride + kernel − 2·padding, out]`.
#[derive(Debug)]
pub struct ConvTranspose1d {
    weights: Weights,
    /// in, out and kernel.
    shape: [usize; 3],
    stride: usize,
    padding: usize,
}

impl ConvTranspose1d {
    /// Reads a weight-normalised transposed convolution, `shape` = `[in, out, kernel]`. The norm runs over each *input*
    /// channel, because PyTorch's weight norm always keeps dimension 0.
    pub fn load_normed(
        scope: &Scope,
        shape: [usize; 3],
        stride: usize,
        padding: usize,
    ) -> Result<Self, WeightError> {
        let [_, outputs, kernel] = shape;
        let weight = fold_weight_norm(scope, shape)?;
        let bias = scope.values("bias", &[outputs])?;
        let weights = if is_host(scope.device()) {
            let place = |input, output, tap| (input * kernel + tap) * outputs + output;
            Weights::Host { weight: reordered(&weight, shape, place), bias }
        } else {
            Weights::Device { weight: scope.upload(weight, shape), bias: scope.upload(bias, [outputs]) }
        };
        Ok(Self { weights, shape, stride, padding })
    }

    /// The convolution of the activated signal.
    pub fn forward_after(&self, before: Before<'_>, x: Tensor<3>) -> Tensor<3> {
        match &self.weights {
            Weights::Host { weight, bias } => self.on_host(before, x, weight, bias),
            Weights::Device { weight, bias } => {
                let options = ConvTransposeOptions::new(
                    [self.stride],
                    [self.padding],
                    /* padding_out */ [0],
                    /* dilation */ [1],
                    /* groups */ 1,
                );
                let x = before.forward(x).swap_dims(1, 2);
                module::conv_transpose1d(x, weight.clone(), Some(bias.clone()), options).swap_dims(1, 2)
            }
        }
    }

    fn on_host(&self, before: Before<'_>, x: Tensor<3>, weight: &[f32], bias: &[f32]) -> Tensor<3> {
        let device = x.device();
        let [batch, length, _] = x.dims();
        let [inputs, outputs, kernel] = self.shape;
        let window =
            Window { inputs, outputs, kernel, stride: self.stride, dilation: 1, before: 0, after: 0 };
        let steps = (length - 1) * self.stride + kernel - 2 * self.padding;
        let mut y = bias.repeat(batch * steps);
        let x = host_values(x);
        let signals = x.storage::<f32>().chunks_exact(length * inputs);
        for (y, x) in y.chunks_exact_mut(steps * outputs).zip(signals) {
            convolve_transposed(y, x, before.on_host(), weight, window, self.padding);
        }
        host_tensor(y, [batch, steps, outputs], &device)
    }
}

/// Moves each element `[a, b, c]` of `values` to the place that `place` says.
fn reordered(
    values: &[f32],
    [_, b, c]: [usize; 3],
    place: impl Fn(usize, usize, usize) -> usize,
) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (i, plane) in values.chunks_exact(b * c).enumerate() {
        for (j, row) in plane.chunks_exact(c).enumerate() {
            for (k, value) in row.iter().enumerate() {
                out[place(i, j, k)] = *value;
            }
        }
    }
    out
}

/// `w = g·v / ‖v‖` over everything but dimension 0, in both spellings that PyTorch has used for g and v.
fn fold_weight_norm(scope: &Scope, shape: [usize; 3]) -> Result<Vec<f32>, WeightError> {
    let (gain_name, direction_name) = if scope.has("weight_g") {
        ("weight_g", "weight_v")
    } else {
        ("parametrizations.weight.original0", "parametrizations.weight.original1")
    };
    let gains = scope.values(gain_name, &[shape[0], 1, 1])?;
    let mut weight = scope.values(direction_name, &shape)?;
    for (row, gain) in weight.chunks_exact_mut(shape[1] * shape[2]).zip(gains) {
        let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        let factor = (f64::from(gain) / norm) as f32;
        for value in row {
            *value *= factor;
        }
    }
    Ok(weight)
}
