//! CAMPPlus: the Kaldi filterbank of a clip to an x-vector, the speaker that S3Gen is conditioned on.
//!
//! Convolutions over time and frequency ([`head`]), a densely connected network over time whose layers mask themselves by
//! context ([`tdnn`]), mean and deviation over time, one linear layer. Batch normalisations are folded where they follow a
//! linear map. Lengths are exact on every device: it runs once for a voice, and every frame counts in its means.

mod head;
mod tdnn;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::nn::{BatchNorm, Linear, read};
use crate::weights::{Scope, WeightError};
use head::Head;
use tdnn::Tdnn;

/// Bands of the filterbank that goes in.
pub const BANDS: usize = 80;

/// One size for every published checkpoint; tests have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CampPlusConfig {
    /// Channels after the first layer over time.
    pub initial: usize,
    /// Channels that each dense layer adds.
    pub growth: usize,
    /// Channels inside a dense layer.
    pub bottleneck: usize,
    /// Width of the x-vector.
    pub embedding: usize,
}

impl CampPlusConfig {
    pub fn published() -> Self {
        Self { initial: 128, growth: 32, bottleneck: 128, embedding: 192 }
    }
}

/// A clip's filterbank to its x-vector.
#[derive(Debug)]
pub struct CampPlus {
    head: Head,
    tdnn: Tdnn,
    dense: Linear,
}

impl CampPlus {
    /// Reads `speaker_encoder.*` of an S3Gen file; `scope` is that branch.
    pub fn load(scope: &Scope, config: &CampPlusConfig) -> Result<Self, WeightError> {
        let tdnn = Tdnn::load(&scope.at("xvector"), config)?;
        let (dense, statistics) = (scope.at("xvector.dense"), 2 * tdnn.width());
        let norm = BatchNorm::load_plain(&dense.at("nonlinear.batchnorm"), config.embedding)?;
        let mut rows = dense.values("linear.weight", &[config.embedding, statistics, 1])?;
        let bias = norm.fold_into(&mut rows);
        let dense = Linear::from_rows(&rows, statistics, Some(bias), scope.device());
        Ok(Self { head: Head::load(&scope.at("head"))?, tdnn, dense })
    }

    /// The x-vector of a clip.
    ///
    /// # Shapes
    /// `filterbank` `[frames, 80]`, row-major, each band's mean over time subtracted → `[embedding]`
    pub fn embed(&self, filterbank: &[f32]) -> Result<Vec<f32>, String> {
        read(self.dense.forward(statistics(self.tdnn.forward(self.over_frequency(filterbank)))))
    }

    /// What the convolutions over time and frequency make of a filterbank: `[1, frames, 320]`.
    pub fn over_frequency(&self, filterbank: &[f32]) -> Tensor<3> {
        let frames = filterbank.len() / BANDS;
        let data = TensorData::new(filterbank.to_vec(), [1, frames, BANDS]);
        self.head.forward(Tensor::from_data(data, &self.head.device()))
    }

    /// The network over time: `[1, frames, 320]` → `[1, ⌈frames / 2⌉, channels]`.
    pub fn over_time(&self, x: Tensor<3>) -> Tensor<3> {
        self.tdnn.forward(x)
    }
}

/// Mean, then standard deviation, of every channel over time: `[1, frames, channels]` → `[1, 1, 2·channels]`.
fn statistics(x: Tensor<3>) -> Tensor<3> {
    let frames = x.dims()[1];
    let mean = x.clone().mean_dim(1);
    let squares = (x - mean.clone()).square().sum_dim(1);
    Tensor::cat(vec![mean, (squares / (frames as f64 - 1.0)).sqrt()], 2)
}
