//! A linear layer: on the CPU either for many rows (a tensor, multiplied by `gemm`) or for decoding, row by row
//! ([`Compact`]); on other devices burn's.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData, module};
use rayon::prelude::*;

use super::kernels;
use super::kernels::compact::{self, Compact};
use crate::weights::{Scope, WeightError};

/// `y = x·W + b`.
#[derive(Debug)]
pub struct Linear {
    weight: Weight,
    /// `[out]`
    bias: Option<Tensor<1>>,
}

#[derive(Debug)]
enum Weight {
    /// `[in, out]`
    Tensor(Tensor<2>),
    /// On the CPU, of layers that decode.
    Compact(Compact),
}

impl Linear {
    /// A PyTorch `Linear`: stored as `[out, in]`.
    pub fn load(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let bias = Some(scope.tensor("bias", [outputs])?);
        Ok(Self { bias, ..Self::load_unbiased(scope, inputs, outputs)? })
    }

    /// A PyTorch `Linear(bias=False)`.
    pub fn load_unbiased(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        Self::read(scope, std::slice::from_ref(scope), inputs, outputs)
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
        let branches: Vec<_> = names.iter().map(|name| scope.at(name)).collect();
        Self::read(scope, &branches, inputs, outputs)
    }

    /// GPT-2's `Conv1D`, a linear layer that is stored as `[in, out]`.
    pub fn load_gpt2(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        let values = scope.values("weight", &[inputs, outputs])?;
        let weight = match compact::precision(scope) {
            Some(precision) => {
                Weight::Compact(Compact::of_rows(&transposed(&values, inputs, outputs), inputs, precision))
            }
            None => Weight::Tensor(scope.upload(values, [inputs, outputs])),
        };
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
        Self { weight: Weight::Tensor(Tensor::from_data(weight, device)), bias }
    }

    /// The `weight` of each branch, `[out, in]`, their outputs side by side, kept as `scope` says.
    fn read(scope: &Scope, branches: &[Scope], inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        if let Some(precision) = compact::precision(scope) {
            let weight = Weight::Compact(Compact::read(branches, outputs, inputs, precision)?);
            return Ok(Self { weight, bias: None });
        }
        let mut rows = Vec::with_capacity(branches.len() * inputs * outputs);
        for branch in branches {
            rows.extend(branch.values("weight", &[outputs, inputs])?);
        }
        Ok(Self::from_rows(&rows, inputs, None, scope.device()).kept_as(scope))
    }

    /// The weight as a GPU is to keep it; the CPU's kernels have formats of their own.
    fn kept_as(self, scope: &Scope) -> Self {
        match self.weight {
            Weight::Tensor(weight) if scope.is_half() && !kernels::is_host(scope.device()) => {
                Self { weight: Weight::Tensor(weight.cast(FloatDType::F16)), ..self }
            }
            weight => Self { weight, ..self },
        }
    }

    /// # Shapes
    /// `[…, in]` → `[…, out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().and_then(kernels::on_host);
        let bias = bias.as_ref().map(burn::backend::flex::FlexTensor::storage);
        let device = x.device();
        let mut shape = x.dims();
        let y = match &self.weight {
            Weight::Compact(weight) => {
                shape[D - 1] = weight.rows();
                weight.multiply(kernels::host_values(x).storage(), bias)
            }
            Weight::Tensor(weight) => {
                let [inputs, outputs] = weight.dims();
                let Some(weight) = kernels::on_host(weight) else {
                    return self.forward_on_device(x, weight.clone());
                };
                shape[D - 1] = outputs;
                let x = kernels::host_values(x);
                kernels::linear::apply(x.storage(), weight.storage(), bias, inputs, outputs)
            }
        };
        kernels::host_tensor(y, shape, &device)
    }
}

impl Linear {
    fn forward_on_device<const D: usize>(&self, x: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
        if weight.dtype() == DType::F16 {
            let y = module::linear(x.cast(FloatDType::F16), weight, None).cast(FloatDType::F32);
            return self.bias.iter().fold(y, |y, bias| y + bias.clone().unsqueeze());
        }
        module::linear(x, weight, self.bias.clone())
    }
}

/// `[rows, columns]` row-major → `[columns, rows]`, in blocks that stay in the cache, on all threads.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; values.len()];
    out.par_chunks_mut(BLOCK * rows).enumerate().for_each(|(index, out)| {
        let left = index * BLOCK;
        for top in (0..rows).step_by(BLOCK) {
            for row in top..rows.min(top + BLOCK) {
                for (column, out) in (left..columns).zip(out.chunks_exact_mut(rows)) {
                    out[row] = values[row * columns + column];
                }
            }
        }
    });
    out
}
