//! The few layers that every network here is made of: plain tensors that load themselves by name and run forward.
//!
//! They are not burn's modules because nothing is ever trained: no parameter wrappers, no optimiser state, and a layout
//! chosen once at load (linear weights as `[in, out]`, which matrix multiplication reads in order).

mod batch_norm;
mod conv;
mod embedding;
pub(crate) mod kernels;
mod linear;
pub mod past;

pub use batch_norm::{BatchNorm, ScaleShift};
pub use conv::{Before, Conv1d, ConvTranspose1d, Padding, Snake};
pub use embedding::Embedding;
pub use linear::Linear;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, activation, module};
use kernels::attention::{Distances, Sequence, attend};
use kernels::pointwise;

use crate::weights::{Scope, WeightError};

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
            y.extend(attend(Sequence { joined: x, positions, heads, width }, &[], None));
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
        largest: positions - 1,
        content_bias: content_bias.storage(),
        position_bias: position_bias.storage(),
    };
    let y = attend(sequence, &[], Some(distances));
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
