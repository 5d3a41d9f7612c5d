//! Sums a prompt of any length up in a fixed number of positions: learned queries attend to the prompt, then, through the
//! same weights, to themselves.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, module};

use super::transformer::{merge_heads, split_heads};
use crate::nn::{LayerNorm, Linear};
use crate::variant::LlamaConfig;
use crate::weights::{Scope, WeightError};

const EPSILON: f64 = 1e-5;

#[derive(Debug)]
pub(super) struct Perceiver {
    /// `[1, queries, width]`
    start: Tensor<3>,
    /// Of queries and prompt alike.
    norm: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Perceiver {
    pub(super) fn load(scope: &Scope, config: &LlamaConfig, width: usize) -> Result<Self, WeightError> {
        let attention = scope.at("attn");
        let linear = |name: &str| Linear::load(&attention.at(name), width, width);
        Ok(Self {
            start: scope.tensor("pre_attention_query", [1, config.perceiver_queries, width])?,
            norm: LayerNorm::load(&attention.at("norm"), width, EPSILON)?,
            query: linear("to_q")?,
            key: linear("to_k")?,
            value: linear("to_v")?,
            out: linear("proj_out")?,
            heads: config.perceiver_heads,
        })
    }

    /// # Shapes
    /// `[1, n, width]` → `[1, queries, width]`
    pub(super) fn forward(&self, prompt: Tensor<3>) -> Tensor<3> {
        let heard = self.attend(self.start.clone(), prompt);
        self.attend(heard.clone(), heard)
    }

    /// `x` plus what it hears of `from`; no mask, no feed-forward.
    fn attend(&self, x: Tensor<3>, from: Tensor<3>) -> Tensor<3> {
        let queries = self.query.forward(self.norm.forward(x.clone()));
        let from = self.norm.forward(from);
        let [q, k, v] = [queries, self.key.forward(from.clone()), self.value.forward(from)]
            .map(|x| split_heads(x, self.heads));
        let attended = module::attention(q, k, v, None, None, AttentionModuleOptions::default());
        x + self.out.forward(merge_heads(attended))
    }
}
