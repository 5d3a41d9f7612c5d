//! The GPT-2 backbone of Turbo, Nano and `pico`. Positions are learned and added to whatever embeddings come in; they run
//! on over conditioning, text and speech.

use burn::tensor::Tensor;

use super::cache::Shape;
use super::transformer::{Transformer, by_row, split_heads};
use crate::nn::{Embedding, LayerNorm, Linear, gelu_new};
use crate::variant::T3Config;
use crate::weights::{Scope, WeightError};

const EPSILON: f64 = 1e-5;

#[derive(Debug)]
pub(super) struct Gpt2 {
    positions: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    heads: usize,
    width: usize,
}

#[derive(Debug)]
struct Block {
    norm_1: LayerNorm,
    /// Queries, keys and values in one product: `[width]` → `[3·width]`.
    attention_in: Linear,
    attention_out: Linear,
    norm_2: LayerNorm,
    mlp_in: Linear,
    mlp_out: Linear,
}

impl Gpt2 {
    pub(super) fn load(scope: &Scope, config: &T3Config) -> Result<Self, WeightError> {
        let width = config.width;
        let blocks = (0..config.layers)
            .map(|index| {
                let scope = scope.at("h").index(index);
                Ok(Block {
                    norm_1: LayerNorm::load(&scope.at("ln_1"), width, EPSILON)?,
                    attention_in: Linear::load_gpt2(&scope.at("attn.c_attn"), width, 3 * width)?,
                    attention_out: Linear::load_gpt2(&scope.at("attn.c_proj"), width, width)?,
                    norm_2: LayerNorm::load(&scope.at("ln_2"), width, EPSILON)?,
                    mlp_in: Linear::load_gpt2(&scope.at("mlp.c_fc"), width, 4 * width)?,
                    mlp_out: Linear::load_gpt2(&scope.at("mlp.c_proj"), 4 * width, width)?,
                })
            })
            .collect::<Result<_, WeightError>>()?;
        Ok(Self {
            positions: Embedding::load(&scope.at("wpe"), config.positions, width)?,
            blocks,
            norm: LayerNorm::load(&scope.at("ln_f"), width, EPSILON)?,
            heads: config.heads,
            width,
        })
    }
}

impl Transformer for Gpt2 {
    fn shape(&self) -> Shape {
        Shape { layers: self.blocks.len(), heads: self.heads, head_width: self.width / self.heads }
    }

    fn enter(&self, x: Tensor<3>, positions: &[usize]) -> Tensor<3> {
        let length = x.dims()[1];
        x + by_row(positions, |position| self.positions.rows(position, length))
    }

    fn queries_keys_values(&self, layer: usize, x: Tensor<3>, _: &[usize]) -> [Tensor<4>; 3] {
        let block = &self.blocks[layer];
        let joined = block.attention_in.forward(block.norm_1.forward(x));
        [0, 1, 2].map(|part| split_heads(joined.clone().narrow(2, part * self.width, self.width), self.heads))
    }

    fn finish(&self, layer: usize, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let block = &self.blocks[layer];
        let x = x + block.attention_out.forward(attended);
        let hidden = gelu_new(block.mlp_in.forward(block.norm_2.forward(x.clone())));
        x + block.mlp_out.forward(hidden)
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
    use crate::variant::ModelConfig;
    use crate::weights::Weights;

    #[test]
    fn padding_to_a_granularity_changes_nothing() {
        let config = T3Config { layers: 2, heads: 2, width: 32, positions: 64, ..ModelConfig::nano().t3 };
        let weights = Weights::formula("t3", &Device::flex());
        padding_changes_nothing(&Gpt2::load(&weights.root().at("tfmr"), &config).unwrap(), 1);
    }
}
