//! The few layers that every network here is made of: plain tensors that load themselves by name and run forward.
//!
//! They are not burn's modules because nothing is ever trained: no parameter wrappers, no optimiser state, and a layout
//! chosen once at load (linear weights as `[in, out]`, which matrix multiplication reads in order).

mod conv;
mod host;

pub use conv::{Conv1d, ConvTranspose1d, Padding};

use burn::tensor::{Int, Tensor, TensorData, activation, module};

use crate::weights::{Scope, WeightError};

/// `y = x·W + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[in, out]`
    weight: Tensor<2>,
    /// `[out]`
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// A PyTorch `Linear`: stored as `[out, in]`, transposed here.
    pub fn load(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let bias = Some(scope.tensor("bias", [outputs])?);
        Ok(Self { bias, ..Self::load_unbiased(scope, inputs, outputs)? })
    }

    /// A PyTorch `Linear(bias=False)`.
    pub fn load_unbiased(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let stored = scope.values("weight", &[outputs, inputs])?;
        let weight = scope.upload(transposed(&stored, outputs, inputs), [inputs, outputs]);
        Ok(Self { weight, bias: None })
    }

    /// Several PyTorch `Linear(bias=False)` of one input as one product; their outputs stand side by side, `outputs` each.
    pub fn load_joined(
        scope: &Scope,
        names: &[&str],
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        let mut stored = Vec::with_capacity(names.len() * outputs * inputs);
        for name in names {
            stored.extend(scope.at(name).values("weight", &[outputs, inputs])?);
        }
        let outputs = names.len() * outputs;
        let weight = scope.upload(transposed(&stored, outputs, inputs), [inputs, outputs]);
        Ok(Self { weight, bias: None })
    }

    /// GPT-2's `Conv1D`, a linear layer that is stored as `[in, out]` already.
    pub fn load_gpt2(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let weight = scope.tensor("weight", [inputs, outputs])?;
        Ok(Self { weight, bias: Some(scope.tensor("bias", [outputs])?) })
    }

    /// A 1×1 convolution `[out, in, 1]` as the linear layer that it is.
    pub fn load_pointwise_conv(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let stored = scope.values("weight", &[outputs, inputs, 1])?;
        let weight = scope.upload(transposed(&stored, outputs, inputs), [inputs, outputs]);
        Ok(Self { weight, bias: Some(scope.tensor("bias", [outputs])?) })
    }

    /// # Shapes
    /// `[…, in]` → `[…, out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match host::rows_times_matrix(x, &self.weight, self.bias.as_ref()) {
            Ok(y) => y,
            Err(x) => module::linear(x, self.weight.clone(), self.bias.clone()),
        }
    }
}

/// `[rows, columns]` row-major → `[columns, rows]`, in blocks that stay in the cache.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; values.len()];
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            for row in top..rows.min(top + BLOCK) {
                for column in left..columns.min(left + BLOCK) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

/// Normalises over the last axis, with gain and bias.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    gain: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    pub fn load(scope: &Scope, width: usize, epsilon: f64) -> Result<Self, WeightError> {
        Ok(Self { gain: scope.tensor("weight", [width])?, bias: scope.tensor("bias", [width])?, epsilon })
    }

    /// # Shapes
    /// `[…, width]` → the same
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        module::layer_norm(x, self.gain.clone(), Some(self.bias.clone()), self.epsilon)
    }
}

/// Divides by the root mean square over the last axis, with a gain and nothing else.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    gain: Tensor<1>,
    epsilon: f64,
}

impl RmsNorm {
    pub fn load(scope: &Scope, width: usize, epsilon: f64) -> Result<Self, WeightError> {
        Ok(Self { gain: scope.tensor("weight", [width])?, epsilon })
    }

    /// # Shapes
    /// `[…, width]` → the same
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mean_square = (x.clone() * x.clone()).mean_dim(D - 1);
        x / (mean_square + self.epsilon).sqrt() * self.gain.clone().unsqueeze()
    }
}

/// A table of vectors.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[rows, width]`
    table: Tensor<2>,
}

impl Embedding {
    pub fn load(scope: &Scope, rows: usize, width: usize) -> Result<Self, WeightError> {
        Ok(Self { table: scope.tensor("weight", [rows, width])? })
    }

    /// The rows of `ids`, which must be smaller than the table: `[1, ids, width]`.
    pub fn forward(&self, ids: &[u32]) -> Tensor<3> {
        let indices = ids.iter().map(|&id| id as i32).collect::<Vec<_>>();
        let indices: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(indices, [ids.len()]), &self.table.device());
        self.table.clone().select(0, indices).unsqueeze()
    }

    /// Consecutive rows: `[1, length, width]`.
    pub fn rows(&self, start: usize, length: usize) -> Tensor<3> {
        self.table.clone().narrow(0, start, length).unsqueeze()
    }
}

/// GPT-2's GELU, `x/2·(1 + tanh(√(2/π)(x + 0.044715x³)))`, written as `x·σ(2·…)`: equal, and `exp` is the function that
/// the CPU backend vectorises.
pub fn gelu_new<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE_ROOT_TWO_OVER_PI: f64 = 1.595_769_121_605_730_7;
    let cubic = x.clone() * x.clone() * x.clone() * 0.044_715 + x.clone();
    x * activation::sigmoid(cubic * TWICE_ROOT_TWO_OVER_PI)
}

/// `x·tanh(softplus(x))`. With `e = exp(x)`, `tanh(ln(1 + e)) = e(e + 2) / (e(e + 2) + 2)`: one exponential instead of
/// three transcendental passes. `x` is capped where the quotient is 1 in f32 anyway, so that `e²` cannot overflow.
pub fn mish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let e = x.clone().clamp_max(20.0).exp();
    let numerator = e.clone() * (e + 2.0);
    x * (numerator.clone() / (numerator + 2.0))
}
