//! CAMPPlus' front: residual convolutions over frequency and time that make 80 bands into 10 places of 32 channels.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, activation, module};

use super::BANDS;
use crate::nn::BatchNorm;
use crate::weights::{Scope, WeightError};

const CHANNELS: usize = 32;
/// Frequency is halved three times.
const PLACES: usize = BANDS / 8;
/// Features of a frame behind this network.
pub(super) const WIDTH: usize = CHANNELS * PLACES;

#[derive(Debug)]
pub(super) struct Head {
    first: NormedConv,
    blocks: Vec<Block>,
    last: NormedConv,
}

/// Two convolutions and a way around them.
#[derive(Debug)]
struct Block {
    first: NormedConv,
    second: NormedConv,
    shortcut: Option<NormedConv>,
}

/// A square convolution with its batch normalisation, padded so that only the stride shrinks.
#[derive(Debug)]
struct NormedConv {
    /// `[out, in, size, size]`
    weight: Tensor<4>,
    bias: Tensor<1>,
    /// Along frequency; time is never thinned here.
    stride: usize,
}

impl Head {
    pub(super) fn load(scope: &Scope) -> Result<Self, WeightError> {
        let mut blocks = Vec::new();
        for layer in ["layer1", "layer2"] {
            for (index, stride) in [2, 1].into_iter().enumerate() {
                blocks.push(Block::load(&scope.at(layer).index(index), stride)?);
            }
        }
        Ok(Self {
            first: NormedConv::load(scope, "conv1", "bn1", 1, 3, 1)?,
            blocks,
            last: NormedConv::load(scope, "conv2", "bn2", CHANNELS, 3, 2)?,
        })
    }

    pub(super) fn device(&self) -> Device {
        self.first.bias.device()
    }

    /// # Shapes
    /// `[1, frames, 80]` → `[1, frames, 320]`, channel-major
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let frames = x.dims()[1];
        let x = x.swap_dims(1, 2).reshape([1, 1, BANDS, frames]); // [batch, channel, band, frame]
        let mut x = activation::relu(self.first.forward(x));
        for block in &self.blocks {
            x = block.forward(x);
        }
        activation::relu(self.last.forward(x)).reshape([1, WIDTH, frames]).swap_dims(1, 2)
    }
}

impl Block {
    fn load(scope: &Scope, stride: usize) -> Result<Self, WeightError> {
        let conv = |conv, norm, size, stride| NormedConv::load(scope, conv, norm, CHANNELS, size, stride);
        Ok(Self {
            first: conv("conv1", "bn1", 3, stride)?,
            second: conv("conv2", "bn2", 3, 1)?,
            shortcut: if stride == 1 { None } else { Some(conv("shortcut.0", "shortcut.1", 1, stride)?) },
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = self.second.forward(activation::relu(self.first.forward(x.clone())));
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        activation::relu(inner + around)
    }
}

impl NormedConv {
    fn load(
        scope: &Scope,
        conv: &str,
        norm: &str,
        inputs: usize,
        size: usize,
        stride: usize,
    ) -> Result<Self, WeightError> {
        let shape = [CHANNELS, inputs, size, size];
        let mut weight = scope.at(conv).values("weight", &shape)?;
        let bias = BatchNorm::load(&scope.at(norm), CHANNELS)?.fold_into(&mut weight);
        Ok(Self { weight: scope.upload(weight, shape), bias: scope.upload(bias, [CHANNELS]), stride })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let padding = self.weight.dims()[3] / 2;
        let options =
            ConvOptions::new([self.stride, 1], [padding; 2], /* dilation */ [1; 2], /* groups */ 1);
        module::conv2d(x, self.weight.clone(), Some(self.bias.clone()), options)
    }
}
