//! The Llama backbone of the original and multilingual models: RMS norms, rotary positions, a gated feed-forward, and no
//! biases anywhere.

use burn::tensor::Tensor;

use super::cache::Shape;
use super::rope::Rope;
use super::transformer::{Transformer, split_heads};
use crate::nn::{Linear, RmsNorm, silu};
use crate::variant::{LlamaConfig, T3Config};
use crate::weights::{Scope, WeightError};

const EPSILON: f64 = 1e-5;

#[derive(Debug)]
pub(super) struct Llama {
    rope: Rope,
    blocks: Vec<Block>,
    norm: RmsNorm,
    heads: usize,
    width: usize,
    feed_forward: usize,
}

#[derive(Debug)]
struct Block {
    norm_1: RmsNorm,
    /// Queries, keys and values in one product: `[width]` → `[3·width]`.
    attention_in: Linear,
    attention_out: Linear,
    norm_2: RmsNorm,
    /// Gate and what it gates in one product: `[width]` → `[2·feed_forward]`.
    mlp_in: Linear,
    mlp_out: Linear,
}

impl Llama {
    pub(super) fn load(scope: &Scope, config: &T3Config, llama: &LlamaConfig) -> Result<Self, WeightError> {
        let (width, inner) = (config.width, llama.feed_forward);
        let blocks = (0..config.layers)
            .map(|index| {
                let scope = scope.at("layers").index(index);
                let (attention, mlp) = (scope.at("self_attn"), scope.at("mlp"));
                Ok(Block {
                    norm_1: RmsNorm::load(&scope.at("input_layernorm"), width, EPSILON)?,
                    attention_in: Linear::load_joined_unbiased(
                        &attention,
                        &["q_proj", "k_proj", "v_proj"],
                        width,
                        width,
                    )?,
                    attention_out: Linear::load_unbiased(&attention.at("o_proj"), width, width)?,
                    norm_2: RmsNorm::load(&scope.at("post_attention_layernorm"), width, EPSILON)?,
                    mlp_in: Linear::load_joined_unbiased(&mlp, &["gate_proj", "up_proj"], width, inner)?,
                    mlp_out: Linear::load_unbiased(&mlp.at("down_proj"), inner, width)?,
                })
            })
            .collect::<Result<_, WeightError>>()?;
        Ok(Self {
            rope: Rope::new(config.positions, width / config.heads, scope.device()),
            blocks,
            norm: RmsNorm::load(&scope.at("norm"), width, EPSILON)?,
            heads: config.heads,
            width,
            feed_forward: inner,
        })
    }
}

impl Transformer for Llama {
    fn shape(&self) -> Shape {
        Shape { layers: self.blocks.len(), heads: self.heads, head_width: self.width / self.heads }
    }

    /// Nothing is added: positions turn queries and keys instead.
    fn enter(&self, x: Tensor<3>, _: &[usize]) -> Tensor<3> {
        x
    }

    fn queries_keys_values(&self, layer: usize, x: Tensor<3>, positions: &[usize]) -> [Tensor<4>; 3] {
        let (heads, width) = (self.heads, self.width);
        let block = &self.blocks[layer];
        let joined = block.attention_in.forward(block.norm_1.forward(x));
        let values = split_heads(joined.clone().narrow(2, 2 * width, width), heads);
        // Queries and keys turn together, as the heads of one tensor.
        let turned = self.rope.rotate(split_heads(joined.narrow(2, 0, 2 * width), 2 * heads), positions);
        [turned.clone().narrow(1, 0, heads), turned.narrow(1, heads, heads), values]
    }

    fn finish(&self, layer: usize, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let block = &self.blocks[layer];
        let x = x + block.attention_out.forward(attended);
        let joined = block.mlp_in.forward(block.norm_2.forward(x.clone()));
        let gate = silu(joined.clone().narrow(2, 0, self.feed_forward));
        let gated = gate * joined.narrow(2, self.feed_forward, self.feed_forward);
        x + block.mlp_out.forward(gated)
    }

    fn normalise(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::t3::transformer::tests::padding_changes_nothing;
    use crate::variant::{Backbone, ModelConfig};
    use crate::weights::Weights;

    #[test]
    fn padding_to_a_granularity_changes_nothing() {
        let original = ModelConfig::original().t3;
        let Backbone::Llama(llama) = &original.backbone else { panic!("original is a Llama") };
        let llama = LlamaConfig { feed_forward: 64, ..llama.clone() };
        let config = T3Config { layers: 2, heads: 2, width: 32, positions: 64, ..original };
        let weights = Weights::formula("t3", &Device::flex());
        padding_changes_nothing(&Llama::load(&weights.root().at("tfmr"), &config, &llama).unwrap(), 2);
    }
}
