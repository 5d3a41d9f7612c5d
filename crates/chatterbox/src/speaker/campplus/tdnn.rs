//! CAMPPlus over time: three blocks of densely connected layers. Each layer sees all earlier outputs, adds a few channels
//! of its own and weighs them by a mask that follows from the clip's mean and from the mean of its own second.

use burn::tensor::{Tensor, TensorData, activation};

use super::{CampPlusConfig, head};
use crate::nn::{BatchNorm, Conv1d, Linear, Padding, ScaleShift};
use crate::weights::{Scope, WeightError};

/// Layers and dilation of each block.
const BLOCKS: [(usize, usize); 3] = [(12, 1), (24, 2), (16, 2)];
/// Frames (20 ms) that share one mask.
const SEGMENT: usize = 100;
const FIRST_KERNEL: usize = 5;
const KERNEL: usize = 3;

#[derive(Debug)]
pub(super) struct Tdnn {
    first: Conv1d,
    blocks: Vec<(Vec<DenseLayer>, Transition)>,
    norm: ScaleShift,
    width: usize,
}

#[derive(Debug)]
struct DenseLayer {
    norm: ScaleShift,
    /// With the second normalisation.
    inner: Linear,
    local: Conv1d,
    /// From the context to the mask.
    squeeze: Linear,
    spread: Linear,
}

/// Halves the channels that a block has gathered.
#[derive(Debug)]
struct Transition {
    norm: ScaleShift,
    linear: Linear,
}

impl Tdnn {
    pub(super) fn load(scope: &Scope, config: &CampPlusConfig) -> Result<Self, WeightError> {
        let device = scope.device();
        let first = scope.at("tdnn");
        let shape = [config.initial, head::WIDTH, FIRST_KERNEL];
        let mut weight = first.values("linear.weight", &shape)?;
        let bias = BatchNorm::load(&first.at("nonlinear.batchnorm"), config.initial)?.fold_into(&mut weight);
        let first = Conv1d::new(scope.device(), weight, bias, shape)
            .with_stride(2)
            .with_padding(Padding::Both(FIRST_KERNEL / 2));

        let mut width = config.initial;
        let mut blocks = Vec::new();
        for (index, (layers, dilation)) in (1..).zip(BLOCKS) {
            let block = scope.at(&format!("block{index}"));
            let mut dense = Vec::with_capacity(layers);
            for layer in 1..=layers {
                dense.push(DenseLayer::load(&block.at(&format!("tdnnd{layer}")), width, dilation, config)?);
                width += config.growth;
            }
            blocks.push((dense, Transition::load(&scope.at(&format!("transit{index}")), width)?));
            width /= 2;
        }
        let norm = BatchNorm::load(&scope.at("out_nonlinear.batchnorm"), width)?.upload(device);
        Ok(Self { first, blocks, norm, width })
    }

    /// Channels that come out.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// # Shapes
    /// `[1, frames, 320]` → `[1, ⌈frames / 2⌉, width]`
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mut x = activation::relu(self.first.forward(x));
        for (layers, transition) in &self.blocks {
            for layer in layers {
                let added = layer.forward(x.clone());
                x = Tensor::cat(vec![x, added], 2);
            }
            x = transition.linear.forward(activation::relu(transition.norm.forward(x)));
        }
        activation::relu(self.norm.forward(x))
    }
}

impl DenseLayer {
    fn load(
        scope: &Scope,
        inputs: usize,
        dilation: usize,
        config: &CampPlusConfig,
    ) -> Result<Self, WeightError> {
        let (inner, growth) = (config.bottleneck, config.growth);
        let mut rows = scope.values("linear1.weight", &[inner, inputs, 1])?;
        let bias = BatchNorm::load(&scope.at("nonlinear2.batchnorm"), inner)?.fold_into(&mut rows);
        let cam = scope.at("cam_layer");
        Ok(Self {
            norm: BatchNorm::load(&scope.at("nonlinear1.batchnorm"), inputs)?.upload(scope.device()),
            inner: Linear::from_rows(&rows, inputs, Some(bias), scope.device()),
            local: Conv1d::load_unbiased(&cam.at("linear_local"), [growth, inner, KERNEL])?
                .with_dilation(dilation)
                .with_padding(Padding::Both(dilation)),
            squeeze: Linear::load_pointwise_conv(&cam.at("linear1"), inner, inner / 2)?,
            spread: Linear::load_pointwise_conv(&cam.at("linear2"), inner / 2, growth)?,
        })
    }

    /// `[1, frames, inputs]` → `[1, frames, growth]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let frames = x.dims()[1];
        let inner = self.inner.forward(activation::relu(self.norm.forward(x)));
        let inner = activation::relu(inner);
        let context = inner.clone().mean_dim(1) + segment_means(inner.clone()); // [segments, 1, inner]
        let mask = activation::sigmoid(self.spread.forward(activation::relu(self.squeeze.forward(context))));
        let [segments, _, growth] = mask.dims();
        let mask = mask.repeat_dim(1, SEGMENT).reshape([1, segments * SEGMENT, growth]).narrow(1, 0, frames);
        self.local.forward(inner) * mask
    }
}

impl Transition {
    fn load(scope: &Scope, inputs: usize) -> Result<Self, WeightError> {
        let rows = scope.values("linear.weight", &[inputs / 2, inputs, 1])?;
        Ok(Self {
            norm: BatchNorm::load(&scope.at("nonlinear.batchnorm"), inputs)?.upload(scope.device()),
            linear: Linear::from_rows(&rows, inputs, None, scope.device()),
        })
    }
}

/// The mean of each segment of [`SEGMENT`] frames, the last one's over the frames that it has:
/// `[1, frames, channels]` → `[segments, 1, channels]`.
fn segment_means(x: Tensor<3>) -> Tensor<3> {
    let [_, frames, channels] = x.dims();
    let device = x.device();
    let segments = frames.div_ceil(SEGMENT);
    let lengths: Vec<f32> =
        (0..segments).map(|segment| (frames - segment * SEGMENT).min(SEGMENT) as f32).collect();
    let lengths = Tensor::<3>::from_data(TensorData::new(lengths, [segments, 1, 1]), &device);
    let padded = x.pad([(0, segments * SEGMENT - frames), (0, 0)], 0.0);
    padded.reshape([segments, SEGMENT, channels]).sum_dim(1) / lengths
}
