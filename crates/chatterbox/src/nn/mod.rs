//! The few layers that every network here is made of: plain tensors that load themselves by name and run forward.
//!
//! They are not burn's modules because nothing is ever trained: no parameter wrappers, no optimiser state, and a layout
//! chosen once at load (linear weights as `[in, out]`, which matrix multiplication reads in order).

mod batch_norm;
mod conv;
mod host;
mod kernels;

pub use batch_norm::{BatchNorm, ScaleShift};
pub use conv::{Before, Conv1d, ConvTranspose1d, Padding, Snake};

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData, activation, module};
use kernels::attention::{Distances, Sequence, attend};
use kernels::pointwise;

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
        let rows = scope.values("weight", &[outputs, inputs])?;
        Ok(Self::from_rows(&rows, inputs, None, scope.device()).kept_as(scope))
    }

    /// Several PyTorch `Linear` of the same input as one, their outputs side by side.
    pub fn load_joined(
        scope: &Scope,
        names: &[&str],
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        let mut bias = Vec::with_capacity(names.len() * outputs);
        for name in names {
            bias.extend(scope.at(name).values("bias", &[outputs])?);
        }
        let bias = Some(scope.upload(bias, [names.len() * outputs]));
        Ok(Self { bias, ..Self::load_joined_unbiased(scope, names, inputs, outputs)? })
    }

    /// Several PyTorch `Linear(bias=False)` of the same input as one.
    pub fn load_joined_unbiased(
        scope: &Scope,
        names: &[&str],
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, WeightError> {
        let mut rows = Vec::with_capacity(names.len() * inputs * outputs);
        for name in names {
            rows.extend(scope.at(name).values("weight", &[outputs, inputs])?);
        }
        let all = names.len() * outputs;
        let weight = scope.upload(transposed(&rows, all, inputs), [inputs, all]);
        Ok(Self { weight, bias: None }.kept_as(scope))
    }

    /// GPT-2's `Conv1D`, a linear layer that is stored as `[in, out]` already.
    pub fn load_gpt2(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let weight = scope.tensor("weight", [inputs, outputs])?;
        Ok(Self { weight, bias: Some(scope.tensor("bias", [outputs])?) }.kept_as(scope))
    }

    /// A 1×1 convolution `[out, in, 1]` as the linear layer that it is.
    pub fn load_pointwise_conv(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let rows = scope.values("weight", &[outputs, inputs, 1])?;
        Ok(Self::from_rows(&rows, inputs, Some(scope.values("bias", &[outputs])?), scope.device()))
    }

    /// From PyTorch's order, `rows` = `[out, in]` row-major, for weights that were folded on the host first.
    pub fn from_rows(rows: &[f32], inputs: usize, bias: Option<Vec<f32>>, device: &Device) -> Self {
        let outputs = rows.len() / inputs;
        let weight = TensorData::new(transposed(rows, outputs, inputs), [inputs, outputs]);
        let bias = bias.map(|bias| Tensor::from_data(TensorData::new(bias, [outputs]), device));
        Self { weight: Tensor::from_data(weight, device), bias }
    }

    /// The weight as the device is to keep it; the CPU's kernels are for f32.
    fn kept_as(self, scope: &Scope) -> Self {
        if scope.is_half() && !kernels::is_host(scope.device()) {
            Self { weight: self.weight.cast(FloatDType::F16), ..self }
        } else {
            self
        }
    }

    /// # Shapes
    /// `[…, in]` → `[…, out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match host::rows_times_matrix(x, &self.weight, self.bias.as_ref()) {
            Ok(y) => y,
            Err(x) => self.forward_many(x),
        }
    }

    fn forward_many<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let [inputs, outputs] = self.weight.dims();
        let Some(weight) = kernels::on_host(&self.weight) else {
            if self.weight.dtype() == DType::F16 {
                let x = x.cast(FloatDType::F16);
                let y = module::linear(x, self.weight.clone(), None).cast(FloatDType::F32);
                return self.bias.iter().fold(y, |y, bias| y + bias.clone().unsqueeze());
            }
            return module::linear(x, self.weight.clone(), self.bias.clone());
        };
        let device = x.device();
        let mut shape = x.dims();
        shape[D - 1] = outputs;
        let bias = self.bias.as_ref().and_then(kernels::on_host);
        let y = kernels::linear::apply(
            kernels::host_values(x).storage(),
            weight.storage(),
            bias.as_ref().map(burn::backend::flex::FlexTensor::storage),
            inputs,
            outputs,
        );
        kernels::host_tensor(y, shape, &device)
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

/// A tensor's values on the host, row-major. An error is the device's, in its words.
pub(crate) fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, String> {
    let data = x.try_into_data().map_err(|error| format!("{error:?}"))?;
    data.try_to_vec().map_err(|error| format!("{error:?}"))
}

/// Attention of every position to every other: `softmax(q·kᵀ/√width)·v` in each head.
///
/// # Shapes
/// `joined` `[batch, n, 3 · heads · width]`, queries, keys and values side by side; `mask` `[1, 1, 1, n]`, added to the
/// scores → `[batch, n, heads · width]`
pub fn attention(joined: &Tensor<3>, heads: usize, mask: Option<&Tensor<4>>) -> Tensor<3> {
    let [batch, positions, triple] = joined.dims();
    let inner = triple / 3;
    let width = inner / heads;
    if mask.is_none()
        && let Some(values) = kernels::on_host(joined)
    {
        let device = joined.device();
        let mut y = Vec::with_capacity(batch * positions * inner);
        for x in values.storage::<f32>().chunks_exact(positions * triple) {
            y.extend(attend(Sequence { joined: x, positions, heads, width }, None));
        }
        return kernels::host_tensor(y, [batch, positions, inner], &device);
    }
    let part = |index: usize| {
        let part = joined.clone().narrow(2, index * inner, inner);
        part.reshape([batch, positions, heads, width]).swap_dims(1, 2) // [batch, heads, n, width]
    };
    let (q, k, v) = (part(0), part(1), part(2));
    let attended = match mask {
        None => module::attention(q, k, v, None, None, AttentionModuleOptions::default()),
        Some(mask) => {
            let scale = 1.0 / (width as f64).sqrt();
            activation::softmax((q * scale).matmul(k.swap_dims(2, 3)) + mask.clone(), 3).matmul(v)
        }
    };
    attended.swap_dims(1, 2).reshape([batch, positions, inner])
}

/// [`attention`] on the CPU with a term of the scores that depends on distance; gives `joined` back on other devices.
///
/// # Shapes
/// `joined` `[1, n, 3 · heads · width]`; `table` `[1, 2n − 1, heads · width]`, a row for each distance from n − 1 down;
/// the biases `[heads · width]`, added to the queries of the usual term and of this one → `[1, n, heads · width]`
#[expect(clippy::result_large_err, reason = "the tensor goes back to a caller that uses it at once")]
pub fn attention_by_distance(
    joined: Tensor<3>,
    heads: usize,
    table: &Tensor<3>,
    [content_bias, position_bias]: [&Tensor<1>; 2],
) -> Result<Tensor<3>, Tensor<3>> {
    let [_, positions, triple] = joined.dims();
    let inner = triple / 3;
    let on_host = (
        kernels::on_host(&joined),
        kernels::on_host(table),
        kernels::on_host(content_bias),
        kernels::on_host(position_bias),
    );
    let (Some(values), Some(table), Some(content_bias), Some(position_bias)) = on_host else {
        return Err(joined);
    };
    let sequence = Sequence { joined: values.storage(), positions, heads, width: inner / heads };
    let distances = Distances {
        table: table.storage(),
        content_bias: content_bias.storage(),
        position_bias: position_bias.storage(),
    };
    let y = attend(sequence, Some(distances));
    Ok(kernels::host_tensor(y, [1, positions, inner], &joined.device()))
}

/// GPT-2's GELU, `x/2·(1 + tanh(√(2/π)(x + 0.044715x³)))`, written as `x·σ(2·…)`, which is equal.
pub fn gelu_new<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE_ROOT_TWO_OVER_PI: f32 = 1.595_769;
    const CUBIC: f32 = 0.044_715;
    pointwise::map(
        x,
        #[inline(always)]
        |x| x * pointwise::sigmoid(TWICE_ROOT_TWO_OVER_PI * (CUBIC * x * x).mul_add(x, x)),
    )
    .unwrap_or_else(|x| {
        let cubic = x.clone() * x.clone() * x.clone() * CUBIC + x.clone();
        x * activation::sigmoid(cubic * TWICE_ROOT_TWO_OVER_PI)
    })
}

/// `x/2·(1 + erf(x/√2))`
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const ROOT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    pointwise::map(
        x,
        #[inline(always)]
        |x| 0.5 * x * (1.0 + pointwise::erf(ROOT_HALF * x)),
    )
    .unwrap_or_else(activation::gelu)
}

/// `x·σ(x)`
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise::map(
        x,
        #[inline(always)]
        |x| x * pointwise::sigmoid(x),
    )
    .unwrap_or_else(activation::silu)
}

/// `x` where it is positive, `slope·x` elsewhere.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f64) -> Tensor<D> {
    let factor = slope as f32;
    pointwise::map(
        x,
        #[inline(always)]
        move |x| if x < 0.0 { factor * x } else { x },
    )
    .unwrap_or_else(|x| activation::leaky_relu(x, slope))
}

/// `x` where it is positive, `eˣ − 1` elsewhere.
pub fn elu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise::map(
        x,
        #[inline(always)]
        |x| if x < 0.0 { pointwise::exp(x) - 1.0 } else { x },
    )
    .unwrap_or_else(|x| activation::elu(x, 1.0))
}

/// `x·tanh(softplus(x))`. With `e = exp(x)`, `tanh(ln(1 + e)) = e(e + 2) / (e(e + 2) + 2)`: one exponential instead of
/// three transcendental passes. `x` is capped where the quotient is 1 in f32 anyway, so that `e²` cannot overflow.
pub fn mish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const CAP: f32 = 20.0;
    pointwise::map(
        x,
        #[inline(always)]
        |x| {
            let e = pointwise::exp(x.min(CAP));
            let numerator = e * (e + 2.0);
            x * (numerator / (numerator + 2.0))
        },
    )
    .unwrap_or_else(|x| {
        let e = x.clone().clamp_max(CAP).exp();
        let numerator = e.clone() * (e + 2.0);
        x * (numerator.clone() / (numerator + 2.0))
    })
}
