//! The upsampling conformer: token embeddings in, two frames a token out. Attention is bidirectional throughout.

use burn::tensor::{Device, Tensor, TensorData};

use super::rel_attention::{Distances, RelativeAttention, position_table};
use crate::nn::past::Recall;
use crate::nn::{Before, Conv1d, LayerNorm, Linear, Padding, silu};
use crate::variant::EncoderConfig;
use crate::weights::{Scope, WeightError};

/// WeNet's layers normalise with this; the outer norms use the usual 1e-5.
const LAYER_EPSILON: f64 = 1e-12;
const EPSILON: f64 = 1e-5;
const UPSAMPLING: usize = 2;

/// Tokens to frames.
#[derive(Debug)]
pub struct Encoder {
    embed: InputLayer,
    /// Looks three tokens ahead.
    lookahead: Conv1d,
    /// Looks two back.
    lookback: Conv1d,
    layers: Vec<ConformerLayer>,
    upsample: Conv1d,
    up_embed: InputLayer,
    up_layers: Vec<ConformerLayer>,
    norm: LayerNorm,
    ahead: usize,
}

#[derive(Debug)]
struct InputLayer {
    linear: Linear,
    norm: LayerNorm,
    scale: f64,
}

#[derive(Debug)]
struct ConformerLayer {
    norm_attention: LayerNorm,
    attention: RelativeAttention,
    norm_feed_forward: LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
}

impl Encoder {
    pub fn load(scope: &Scope, config: &EncoderConfig) -> Result<Self, WeightError> {
        let width = config.width;
        let layers = |name: &str, count: usize| {
            (0..count)
                .map(|i| ConformerLayer::load(&scope.at(name).index(i), config))
                .collect::<Result<_, _>>()
        };
        let ahead = config.lookahead;
        Ok(Self {
            embed: InputLayer::load(&scope.at("embed.out"), width)?,
            lookahead: Conv1d::load(&scope.at("pre_lookahead_layer.conv1"), [width, width, ahead + 1])?
                .with_padding(Padding::After(ahead)),
            lookback: Conv1d::load(&scope.at("pre_lookahead_layer.conv2"), [width, width, 3])?
                .with_padding(Padding::Before(2)),
            layers: layers("encoders", config.blocks)?,
            upsample: Conv1d::load(&scope.at("up_layer.conv"), [width, width, 2 * UPSAMPLING + 1])?
                .with_padding(Padding::Before(2 * UPSAMPLING)),
            up_embed: InputLayer::load(&scope.at("up_embed.out"), width)?,
            up_layers: layers("up_encoders", config.up_blocks)?,
            norm: LayerNorm::load(&scope.at("after_norm"), width, EPSILON)?,
            ahead,
        })
    }

    /// Encodes the first `length` tokens of `x`; what follows is padding, which real frames never see.
    ///
    /// # Shapes
    /// `[1, n, width]` → `[1, 2n, width]`
    pub fn forward(&self, x: Tensor<3>, length: usize) -> Tensor<3> {
        let device = x.device();
        let [_, padded, width] = x.dims();
        let mut x = self.embed.forward(x);
        if length < padded {
            // The look-ahead would otherwise see the padding, which the embedding's bias has made non-zero.
            x = x.narrow(1, 0, length).pad([(0, padded - length), (0, 0)], 0.0);
        }
        let ahead = self.lookahead.forward(x.clone());
        x = self.lookback.add_forward_after(x, Before::LeakyRelu(0.01), ahead);

        let positions = position_table(padded, width, &device);
        let mask = key_mask(length, padded, &device);
        for layer in &self.layers {
            x = layer.forward(x, |x| layer.attention.forward(x, positions.clone(), mask.clone()));
        }

        let x = self.upsample.forward(nearest_upsampled(x));
        let mut x = self.up_embed.forward(x);
        let positions = position_table(UPSAMPLING * padded, width, &device);
        let mask = key_mask(UPSAMPLING * length, UPSAMPLING * padded, &device);
        for layer in &self.up_layers {
            x = layer.forward(x, |x| layer.attention.forward(x, positions.clone(), mask.clone()));
        }
        self.norm.forward(x)
    }
}

impl Encoder {
    /// Encodes tokens behind those that `recall` remembers. The last `ahead` of `x` are only looked at: as many as the
    /// look-ahead, or none where the speech ends.
    ///
    /// # Shapes
    /// `[1, n + ahead, width]` → `[1, 2n, width]`
    pub(super) fn forward_behind(
        &self,
        x: Tensor<3>,
        ahead: usize,
        tables: &Tables,
        mut recall: Recall<'_>,
    ) -> Tensor<3> {
        let count = x.dims()[1] - ahead;
        let x = self.embed.forward(x);
        let heard = self.lookahead.forward(x.clone()).narrow(1, 0, count);
        let mut x = x.narrow(1, 0, count) + recall.convolve(&self.lookback, Before::LeakyRelu(0.01), heard);
        for (layer, table) in self.layers.iter().zip(&tables.tokens) {
            x = layer.forward(x, |x| layer.attention.forward_behind(x, table, &mut recall));
        }
        recall.scale(UPSAMPLING);
        let x = recall.convolve(&self.upsample, Before::Nothing, nearest_upsampled(x));
        let mut x = self.up_embed.forward(x);
        for (layer, table) in self.up_layers.iter().zip(&tables.frames) {
            x = layer.forward(x, |x| layer.attention.forward_behind(x, table, &mut recall));
        }
        self.norm.forward(x)
    }

    /// Tables for sequences of up to `tokens` tokens, of which at most `stretch` are new at a time.
    ///
    /// # Errors
    /// The device's, in its words.
    pub(super) fn tables(&self, tokens: usize, stretch: usize, device: &Device) -> Result<Tables, String> {
        let of = |layers: &[ConformerLayer], factor: usize| -> Result<Vec<Distances>, String> {
            layers.iter().map(|l| l.attention.distances(factor * tokens, factor * stretch, device)).collect()
        };
        Ok(Tables { tokens: of(&self.layers, 1)?, frames: of(&self.up_layers, UPSAMPLING)? })
    }

    /// Tokens that are looked at behind the last one that is encoded.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }
}

/// What each layer makes of the distances between tokens, or frames.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    tokens: Vec<Distances>,
    frames: Vec<Distances>,
}

/// Every position twice: `[1, n, width]` → `[1, 2n, width]`.
fn nearest_upsampled(x: Tensor<3>) -> Tensor<3> {
    let [_, length, width] = x.dims();
    x.reshape([length, 1, width]).repeat_dim(1, UPSAMPLING).reshape([1, UPSAMPLING * length, width])
}

/// `[1, 1, 1, padded]` to add to attention scores: 0 for real keys, a large negative number for padding. `None` without.
pub(crate) fn key_mask(length: usize, padded: usize, device: &Device) -> Option<Tensor<4>> {
    (length < padded).then(|| {
        let values: Vec<f32> = (0..padded).map(|i| if i < length { 0.0 } else { -1e9 }).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, 1, padded]), device)
    })
}

impl InputLayer {
    fn load(scope: &Scope, width: usize) -> Result<Self, WeightError> {
        Ok(Self {
            linear: Linear::load(&scope.index(0), width, width)?,
            norm: LayerNorm::load(&scope.index(1), width, EPSILON)?,
            scale: (width as f64).sqrt(),
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(self.linear.forward(x)) * self.scale
    }
}

impl ConformerLayer {
    fn load(scope: &Scope, config: &EncoderConfig) -> Result<Self, WeightError> {
        let (width, inner) = (config.width, config.feed_forward);
        Ok(Self {
            norm_attention: LayerNorm::load(&scope.at("norm_mha"), width, LAYER_EPSILON)?,
            attention: RelativeAttention::load(&scope.at("self_attn"), width, config.heads)?,
            norm_feed_forward: LayerNorm::load(&scope.at("norm_ff"), width, LAYER_EPSILON)?,
            feed_forward_in: Linear::load(&scope.at("feed_forward.w_1"), width, inner)?,
            feed_forward_out: Linear::load(&scope.at("feed_forward.w_2"), inner, width)?,
        })
    }

    fn forward(&self, x: Tensor<3>, attend: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let x = x.clone() + attend(self.norm_attention.forward(x));
        let hidden = self.feed_forward_in.forward(self.norm_feed_forward.forward(x.clone()));
        x + self.feed_forward_out.forward(silu(hidden))
    }
}
