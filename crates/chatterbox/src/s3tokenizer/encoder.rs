//! The tokenizer's encoder: two convolutions that halve the frame rate each, then transformer blocks that see the whole
//! window.

use burn::tensor::{Device, Tensor, TensorData};

use super::attention::{MemoryAttention, Rotary};
use super::{FRAMES_PER_TOKEN, MEL_BINS, S3TokenizerConfig};
use crate::nn::{Conv1d, LayerNorm, Linear, Padding, gelu};
use crate::s3gen::encoder::key_mask;
use crate::weights::{Scope, WeightError};

/// s3tokenizer 0.3; its older releases normalised before the attention with 1e-6.
const EPSILON: f64 = 1e-5;

#[derive(Debug)]
pub(super) struct Encoder {
    conv1: Conv1d,
    conv2: Conv1d,
    blocks: Vec<Block>,
    head_width: usize,
    granularity: usize,
    device: Device,
}

#[derive(Debug)]
struct Block {
    norm_attention: LayerNorm,
    attention: MemoryAttention,
    norm_feed_forward: LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
}

/// Which positions are real, where some are padding.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    /// Added to attention scores: `[1, 1, 1, positions]`.
    pub(super) keys: Tensor<4>,
    /// 1 for real positions, 0 for padding: `[1, positions, 1]`.
    pub(super) positions: Tensor<3>,
}

impl Encoder {
    pub(super) fn load(
        scope: &Scope,
        config: &S3TokenizerConfig,
        granularity: usize,
    ) -> Result<Self, WeightError> {
        let width = config.width;
        let conv = |name: &str, inputs: usize| {
            let conv = Conv1d::load(&scope.at(name), [width, inputs, 3])?;
            Ok(conv.with_stride(2).with_padding(Padding::Both(1)))
        };
        Ok(Self {
            conv1: conv("conv1", MEL_BINS)?,
            conv2: conv("conv2", width)?,
            blocks: (0..config.layers)
                .map(|i| Block::load(&scope.at("blocks").index(i), config))
                .collect::<Result<_, _>>()?,
            head_width: width / config.heads,
            granularity,
            device: scope.device().clone(),
        })
    }

    /// `log_mel` `[frames, 128]`, row-major → `[1, ≥ ⌈frames / 4⌉, width]`; what follows the clip's own positions is padding.
    pub(super) fn forward(&self, log_mel: &[f32]) -> Tensor<3> {
        let frames = log_mel.len() / MEL_BINS;
        let tokens = frames.div_ceil(FRAMES_PER_TOKEN);
        let padded = tokens.next_multiple_of(self.granularity);
        // Without a granularity the frames stay as they are: a last incomplete four meets the convolution's own zeros.
        let padded_frames = if padded == tokens { frames } else { FRAMES_PER_TOKEN * padded };
        let mut mel = log_mel.to_vec();
        mel.resize(padded_frames * MEL_BINS, 0.0);
        let mel = TensorData::new(mel, [1, padded_frames, MEL_BINS]);
        let mut x = gelu(self.conv1.forward(Tensor::<3>::from_data(mel, &self.device)));
        if padded > tokens {
            // The second convolution would otherwise see what the first one's bias made of the padding.
            let [_, halves, _] = x.dims();
            let real = frames.div_ceil(2);
            x = x.narrow(1, 0, real).pad([(0, halves - real), (0, 0)], 0.0);
        }
        let mut x = gelu(self.conv2.forward(x)); // [1, tokens, width]
        let rotary = Rotary::new(padded, self.head_width, &self.device);
        let mask = Mask::new(tokens, padded, &self.device);
        for block in &self.blocks {
            x = block.forward(x, &rotary, mask.as_ref());
        }
        x
    }
}

impl Mask {
    fn new(length: usize, padded: usize, device: &Device) -> Option<Self> {
        key_mask(length, padded, device).map(|keys| Self {
            keys,
            positions: Tensor::<3>::ones([1, length, 1], device).pad([(0, padded - length), (0, 0)], 0.0),
        })
    }
}

impl Block {
    fn load(scope: &Scope, config: &S3TokenizerConfig) -> Result<Self, WeightError> {
        let (width, inner) = (config.width, 4 * config.width);
        Ok(Self {
            norm_attention: LayerNorm::load(&scope.at("attn_ln"), width, EPSILON)?,
            attention: MemoryAttention::load(&scope.at("attn"), width, config.heads)?,
            norm_feed_forward: LayerNorm::load(&scope.at("mlp_ln"), width, EPSILON)?,
            feed_forward_in: Linear::load(&scope.at("mlp.0"), width, inner)?,
            feed_forward_out: Linear::load(&scope.at("mlp.2"), inner, width)?,
        })
    }

    fn forward(&self, x: Tensor<3>, rotary: &Rotary, mask: Option<&Mask>) -> Tensor<3> {
        let x = x.clone() + self.attention.forward(self.norm_attention.forward(x), rotary, mask);
        let hidden = self.feed_forward_in.forward(self.norm_feed_forward.forward(x.clone()));
        x + self.feed_forward_out.forward(gelu(hidden))
    }
}
