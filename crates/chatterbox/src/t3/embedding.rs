//! Tokens as vectors, text and speech alike: a table, and in the Llama models a second one that counts them.

use burn::tensor::Tensor;

use crate::nn::Embedding;
use crate::weights::{Scope, WeightError};

#[derive(Debug)]
pub(super) struct TokenEmbedding {
    tokens: Embedding,
    positions: Option<Embedding>,
}

impl TokenEmbedding {
    /// Reads `{kind}_emb` and, where there are `positions`, `{kind}_pos_emb`.
    pub(super) fn load(
        scope: &Scope,
        kind: &str,
        vocabulary: usize,
        positions: Option<usize>,
        width: usize,
    ) -> Result<Self, WeightError> {
        let counted = scope.at(&format!("{kind}_pos_emb")).at("emb");
        Ok(Self {
            tokens: Embedding::load(&scope.at(&format!("{kind}_emb")), vocabulary, width)?,
            positions: positions.map(|rows| Embedding::load(&counted, rows, width)).transpose()?,
        })
    }

    /// `[1, tokens, width]`; the first token is the `position`-th of its kind.
    pub(super) fn forward(&self, tokens: &[u32], position: usize) -> Tensor<3> {
        let x = self.tokens.forward(tokens);
        match &self.positions {
            Some(positions) => x + positions.rows(position, tokens.len()),
            None => x,
        }
    }

    /// The same without the tokens, as guidance wants it: only their positions are left.
    pub(super) fn silenced(&self, tokens: &[u32], position: usize) -> Tensor<3> {
        match &self.positions {
            Some(positions) => positions.rows(position, tokens.len()),
            None => self.tokens.forward(tokens).zeros_like(),
        }
    }
}
