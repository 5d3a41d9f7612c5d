//! Batch normalisation at inference, which is a gain and an offset per channel.
//!
//! Behind a linear layer or a convolution it disappears into their weights; in front of one, with an activation between,
//! it stays as one multiplication and one addition.

use burn::tensor::{Device, Tensor, TensorData};

use crate::weights::{Scope, WeightError};

/// PyTorch's default, which the reference keeps everywhere.
const EPSILON: f64 = 1e-5;

/// `y = scale·x + shift` for each channel, on the host until it is folded or uploaded.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl BatchNorm {
    pub fn load(scope: &Scope, width: usize) -> Result<Self, WeightError> {
        let (gain, bias) = (scope.values("weight", &[width])?, scope.values("bias", &[width])?);
        Self::from_statistics(scope, &gain, &bias)
    }

    /// PyTorch's `affine=False`: only the running statistics.
    pub fn load_plain(scope: &Scope, width: usize) -> Result<Self, WeightError> {
        Self::from_statistics(scope, &vec![1.0; width], &vec![0.0; width])
    }

    fn from_statistics(scope: &Scope, gain: &[f32], bias: &[f32]) -> Result<Self, WeightError> {
        let mean = scope.values("running_mean", &[gain.len()])?;
        let variance = scope.values("running_var", &[gain.len()])?;
        // Counts the batches of training.
        scope.leave_aside("num_batches_tracked");
        let (scale, shift) = (gain.iter().zip(bias))
            .zip(mean.iter().zip(&variance))
            .map(|((gain, bias), (mean, variance))| {
                let scale = f64::from(*gain) / (f64::from(*variance) + EPSILON).sqrt();
                (scale as f32, (f64::from(*bias) - f64::from(*mean) * scale) as f32)
            })
            .unzip();
        Ok(Self { scale, shift })
    }

    /// Makes the weights `[out, …]` of a layer without bias do this normalisation too, and returns the bias that belongs
    /// to them.
    pub fn fold_into(&self, weight: &mut [f32]) -> Vec<f32> {
        let row_length = weight.len() / self.scale.len();
        for (row, scale) in weight.chunks_exact_mut(row_length).zip(&self.scale) {
            for value in row {
                *value *= scale;
            }
        }
        self.shift.clone()
    }

    pub fn upload(self, device: &Device) -> ScaleShift {
        let width = self.scale.len();
        let row = |values| Tensor::from_data(TensorData::new(values, [1, 1, width]), device);
        ScaleShift { scale: row(self.scale), shift: row(self.shift) }
    }
}

/// A batch normalisation that stands by itself.
#[derive(Clone, Debug)]
pub struct ScaleShift {
    /// `[1, 1, width]`, as is `shift`
    scale: Tensor<3>,
    shift: Tensor<3>,
}

impl ScaleShift {
    /// # Shapes
    /// `[batch, frames, width]` → the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x * self.scale.clone() + self.shift.clone()
    }
}
