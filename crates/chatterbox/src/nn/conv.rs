//! One-dimensional convolutions, channels first. Weight normalisation is folded into plain weights at load.

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

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

/// `[batch, in, time]` → `[batch, out, time']`.
#[derive(Clone, Debug)]
pub struct Conv1d {
    /// `[out, in / groups, kernel]`
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    stride: usize,
    dilation: usize,
    groups: usize,
    padding: Padding,
}

impl Conv1d {
    /// Reads a plain or weight-normalised convolution, whichever the checkpoint holds: `shape` is `[out, in, kernel]`.
    pub fn load(scope: &Scope, shape: [usize; 3]) -> Result<Self, WeightError> {
        Self::from_weight(scope, scope.tensor("weight", shape)?)
    }

    /// Reads a weight-normalised convolution, `w = g·v / ‖v‖` per output channel.
    pub fn load_normed(scope: &Scope, shape: [usize; 3]) -> Result<Self, WeightError> {
        Self::from_weight(scope, fold_weight_norm(scope, shape)?)
    }

    /// Reads a convolution without bias.
    pub fn load_unbiased(scope: &Scope, shape: [usize; 3]) -> Result<Self, WeightError> {
        Ok(Self::new(scope.tensor("weight", shape)?, None))
    }

    /// From weights that were folded on the host first: `weight` `[out, in, kernel]`, `bias` `[out]`.
    pub fn new(weight: Tensor<3>, bias: Option<Tensor<1>>) -> Self {
        Self { weight, bias, stride: 1, dilation: 1, groups: 1, padding: Padding::None }
    }

    fn from_weight(scope: &Scope, weight: Tensor<3>) -> Result<Self, WeightError> {
        let bias = scope.tensor("bias", [weight.dims()[0]])?;
        Ok(Self::new(weight, Some(bias)))
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

    /// As many groups as channels make a depthwise convolution.
    #[must_use]
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// # Shapes
    /// `[batch, in, time]` → `[batch, out, (time + padding − dilation·(kernel − 1) − 1) / stride + 1]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (before, after) = match self.padding {
            Padding::None => (0, 0),
            Padding::Both(n) => (n, n),
            Padding::Before(n) => (n, 0),
            Padding::After(n) => (0, n),
        };
        let (x, symmetric) = if before == after { (x, before) } else { (zeros_around(x, before, after), 0) };
        let options = ConvOptions::new([self.stride], [symmetric], [self.dilation], self.groups);
        module::conv1d(x, self.weight.clone(), self.bias.clone(), options)
    }
}

/// `[batch, in, time]` → `[batch, out, (time − 1)·stride + kernel − 2·padding]`.
#[derive(Clone, Debug)]
pub struct ConvTranspose1d {
    /// `[in, out, kernel]`
    weight: Tensor<3>,
    bias: Tensor<1>,
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
        let weight = fold_weight_norm(scope, shape)?;
        Ok(Self { weight, bias: scope.tensor("bias", [shape[1]])?, stride, padding })
    }

    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let options = ConvTransposeOptions::new(
            [self.stride],
            [self.padding],
            /* padding_out */ [0],
            /* dilation */ [1],
            /* groups */ 1,
        );
        module::conv_transpose1d(x, self.weight.clone(), Some(self.bias.clone()), options)
    }
}

/// `w = g·v / ‖v‖` over everything but dimension 0, in both spellings that PyTorch has used for g and v.
fn fold_weight_norm(scope: &Scope, shape: [usize; 3]) -> Result<Tensor<3>, WeightError> {
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
    Ok(scope.upload(weight, shape))
}

/// `[batch, channels, time]` with zeros added along time.
fn zeros_around(x: Tensor<3>, before: usize, after: usize) -> Tensor<3> {
    x.pad([(before, after)], 0.0)
}
