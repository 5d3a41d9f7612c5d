//! The estimator of the flow's velocity: a U-net of one level, so nothing is ever down-sampled, with causal convolutions and
//! attention that sees every frame.

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::past::Surroundings;
use crate::nn::{Conv1d, LayerNorm, Linear, Padding, gelu, mish, silu};
use crate::variant::{EstimatorConfig, MEL_BINS, Solver};
use crate::weights::{Scope, WeightError};

const EPSILON: f64 = 1e-5;
/// Noisy mel, encoded tokens, speaker and prompt mel, one above the other.
const INPUTS: usize = 4 * MEL_BINS;
/// Width of the sinusoidal time embedding.
const TIME_WIDTH: usize = 320;

/// v(x, t, r): the mean velocity from time t to time r; or v(x, t), the velocity at time t, by the [`Solver`] that the
/// weights were trained for.
#[derive(Debug)]
pub struct UNet {
    time: TimeEmbedding,
    down: Stage,
    down_conv: Conv1d,
    middle: Vec<Stage>,
    up: Stage,
    up_conv: Conv1d,
    final_block: ConvBlock,
    final_projection: Linear,
}

/// A residual block and the transformer blocks behind it.
#[derive(Debug)]
struct Stage {
    residual: ResidualBlock,
    transformers: Vec<TransformerBlock>,
}

#[derive(Debug)]
struct ResidualBlock {
    first: ConvBlock,
    time: Linear,
    second: ConvBlock,
    shortcut: Linear,
}

/// Causal convolution, layer norm over channels, Mish.
#[derive(Debug)]
struct ConvBlock {
    conv: Conv1d,
    norm: LayerNorm,
}

#[derive(Debug)]
struct TransformerBlock {
    norm_1: LayerNorm,
    /// Queries, keys and values in one product.
    attention_in: Linear,
    attention_out: Linear,
    norm_3: LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
    heads: usize,
}

#[derive(Debug)]
struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    /// Joins the embeddings of t and r; absent where there is no r.
    mixer: Option<Linear>,
}

impl UNet {
    pub fn load(scope: &Scope, config: &EstimatorConfig, solver: Solver) -> Result<Self, WeightError> {
        let width = config.width();
        let time_width = 4 * width;
        let mixer = match solver {
            Solver::Meanflow => {
                Some(Linear::load_unbiased(&scope.at("time_embed_mixer"), 2 * time_width, time_width)?)
            }
            Solver::Cfm { .. } => None,
        };
        let stage = |name: &str, inputs: usize| Stage::load(&scope.at(name), inputs, time_width, config);
        let conv = |name: &str| {
            Ok(Conv1d::load(&scope.at(name), [width, width, 3])?.with_padding(Padding::Before(2)))
        };
        Ok(Self {
            time: TimeEmbedding {
                linear_1: Linear::load(&scope.at("time_mlp.linear_1"), TIME_WIDTH, time_width)?,
                linear_2: Linear::load(&scope.at("time_mlp.linear_2"), time_width, time_width)?,
                mixer,
            },
            down: stage("down_blocks.0", INPUTS)?,
            down_conv: conv("down_blocks.0.2")?,
            middle: (0..config.mid_blocks)
                .map(|i| stage(&format!("mid_blocks.{i}"), width))
                .collect::<Result<_, _>>()?,
            up: stage("up_blocks.0", 2 * width)?,
            up_conv: conv("up_blocks.0.2")?,
            final_block: ConvBlock::load(&scope.at("final_block"), width, width)?,
            final_projection: Linear::load_pointwise_conv(&scope.at("final_proj"), width, MEL_BINS)?,
        })
    }

    /// # Shapes
    /// `x` the noisy mel `[rows, frames, 80]`; `conditions` the other inputs `[rows, frames, 240]` → `[rows, frames, 80]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        conditions: Tensor<3>,
        t: f32,
        r: f32,
        mut around: Surroundings<'_>,
    ) -> Tensor<3> {
        let around = &mut around;
        let time = mish(self.time.forward(t, r, &x.device()));
        let x = Tensor::cat(vec![x, conditions], 2);
        let skip = self.down.forward(x, &time, around);
        let mut x = around.convolve(&self.down_conv, skip.clone());
        for stage in &self.middle {
            x = stage.forward(x, &time, around);
        }
        let x = self.up.forward(Tensor::cat(vec![x, skip], 2), &time, around);
        let x = around.convolve(&self.up_conv, x);
        let x = self.final_block.forward(x, around);
        self.final_projection.forward(x)
    }
}

impl Stage {
    fn load(
        scope: &Scope,
        inputs: usize,
        time_width: usize,
        config: &EstimatorConfig,
    ) -> Result<Self, WeightError> {
        let width = config.width();
        let residual = scope.index(0);
        Ok(Self {
            residual: ResidualBlock {
                first: ConvBlock::load(&residual.at("block1"), inputs, width)?,
                time: Linear::load(&residual.at("mlp.1"), time_width, width)?,
                second: ConvBlock::load(&residual.at("block2"), width, width)?,
                shortcut: Linear::load_pointwise_conv(&residual.at("res_conv"), inputs, width)?,
            },
            transformers: (0..config.blocks)
                .map(|i| TransformerBlock::load(&scope.index(1).index(i), config))
                .collect::<Result<_, _>>()?,
        })
    }

    fn forward(&self, x: Tensor<3>, time: &Tensor<3>, around: &mut Surroundings<'_>) -> Tensor<3> {
        let mut x = self.residual.forward(x, time, around);
        for transformer in &self.transformers {
            x = transformer.forward(x, around);
        }
        x
    }
}

impl ResidualBlock {
    /// `time` is the activated embedding, `[1, 1, 4·width]`.
    fn forward(&self, x: Tensor<3>, time: &Tensor<3>, around: &mut Surroundings<'_>) -> Tensor<3> {
        let hidden = self.first.forward(x.clone(), around) + self.time.forward(time.clone());
        self.second.forward(hidden, around) + self.shortcut.forward(x)
    }
}

impl ConvBlock {
    fn load(scope: &Scope, inputs: usize, outputs: usize) -> Result<Self, WeightError> {
        Ok(Self {
            conv: Conv1d::load(&scope.at("block.0"), [outputs, inputs, 3])?.with_padding(Padding::Before(2)),
            norm: LayerNorm::load(&scope.at("block.2"), outputs, EPSILON)?,
        })
    }

    fn forward(&self, x: Tensor<3>, around: &mut Surroundings<'_>) -> Tensor<3> {
        mish(self.norm.forward(around.convolve(&self.conv, x)))
    }
}

impl TransformerBlock {
    fn load(scope: &Scope, config: &EstimatorConfig) -> Result<Self, WeightError> {
        let (width, inner) = (config.width(), config.heads * config.head_width);
        let attention = scope.at("attn1");
        Ok(Self {
            norm_1: LayerNorm::load(&scope.at("norm1"), width, EPSILON)?,
            attention_in: Linear::load_joined_unbiased(&attention, &["to_q", "to_k", "to_v"], width, inner)?,
            attention_out: Linear::load(&attention.at("to_out.0"), inner, width)?,
            norm_3: LayerNorm::load(&scope.at("norm3"), width, EPSILON)?,
            feed_forward_in: Linear::load(&scope.at("ff.net.0.proj"), width, 4 * width)?,
            feed_forward_out: Linear::load(&scope.at("ff.net.2"), 4 * width, width)?,
            heads: config.heads,
        })
    }

    fn forward(&self, x: Tensor<3>, around: &mut Surroundings<'_>) -> Tensor<3> {
        let joined = self.attention_in.forward(self.norm_1.forward(x.clone()));
        let x = x + self.attention_out.forward(around.attend(joined, self.heads));
        let hidden = self.feed_forward_in.forward(self.norm_3.forward(x.clone()));
        x + self.feed_forward_out.forward(gelu(hidden))
    }
}

impl TimeEmbedding {
    /// `[1, 1, 4·width]`
    fn forward(&self, t: f32, r: f32, device: &Device) -> Tensor<3> {
        let embed = |time: f32| {
            let values = sinusoids(time);
            let x = Tensor::from_data(TensorData::new(values, [1, 1, TIME_WIDTH]), device);
            self.linear_2.forward(silu(self.linear_1.forward(x)))
        };
        match &self.mixer {
            Some(mixer) => mixer.forward(Tensor::cat(vec![embed(t), embed(r)], 2)),
            None => embed(t),
        }
    }
}

/// Sines, then cosines, of the time in thousandths at rates from 1 down to 1/10000.
fn sinusoids(time: f32) -> Vec<f32> {
    const HALF: usize = TIME_WIDTH / 2;
    let angles: Vec<f32> = (0..HALF)
        .map(|i| 1000.0 * time * (-(i as f32) * (10_000_f32.ln() / (HALF as f32 - 1.0))).exp())
        .collect();
    angles.iter().map(|a| a.sin()).chain(angles.iter().map(|a| a.cos())).collect()
}
