//! The GPT-2 backbone with its key/value cache.
//!
//! Positions are learned and added to whatever embeddings come in; they run on over conditioning, text and speech. The
//! cache is one buffer per layer, written in place, so that no token allocates or copies it. On a GPU every new shape costs
//! a kernel compilation, so lengths there are rounded up to [`Cache`]'s granularity and the surplus is masked; on the CPU
//! the granularity is 1 and nothing is padded.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData, activation, module};

use crate::nn::{Embedding, LayerNorm, Linear, gelu_new};
use crate::variant::T3Config;
use crate::weights::{Scope, WeightError};

const EPSILON: f64 = 1e-5;

/// The layers between embeddings and logits.
#[derive(Debug)]
pub struct Gpt2 {
    positions: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    heads: usize,
    head_width: usize,
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

/// What decoding has seen so far. Made for one utterance and dropped with it.
#[derive(Debug)]
pub struct Cache {
    layers: Vec<Option<KeysValues>>,
    /// Positions written.
    length: usize,
    /// Positions there is room for.
    capacity: usize,
    granularity: usize,
}

#[derive(Debug)]
struct KeysValues {
    /// `[1, heads, capacity, head_width]`
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl Cache {
    /// Positions seen so far.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Gpt2 {
    pub fn load(scope: &Scope, config: &T3Config) -> Result<Self, WeightError> {
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
            head_width: width / config.heads,
        })
    }

    /// An empty cache for at most `positions` positions, whose visible length grows in steps of `granularity`.
    pub fn cache(&self, positions: usize, granularity: usize, device: &Device) -> Cache {
        let capacity = positions.next_multiple_of(granularity);
        let shape = [1, self.heads, capacity, self.head_width];
        let layers = self
            .blocks
            .iter()
            .map(|_| {
                Some(KeysValues { keys: Tensor::zeros(shape, device), values: Tensor::zeros(shape, device) })
            })
            .collect();
        Cache { layers, length: 0, capacity, granularity }
    }

    /// Reads a whole prefix into an empty cache and returns the normalised hidden state of its last position.
    ///
    /// # Shapes
    /// `[1, length, width]` → `[1, 1, width]`
    pub fn prefill(&self, embeddings: Tensor<3>, cache: &mut Cache) -> Tensor<3> {
        let length = embeddings.dims()[1];
        let hidden = self.prefill_all(embeddings, cache);
        hidden.narrow(1, length - 1, 1)
    }

    /// [`Gpt2::prefill`] with the hidden states of all positions, surplus ones included.
    fn prefill_all(&self, embeddings: Tensor<3>, cache: &mut Cache) -> Tensor<3> {
        debug_assert!(cache.is_empty(), "a prefix is read once");
        let length = embeddings.dims()[1];
        // Attention is causal, so positions behind the prefix change nothing before them.
        let padded = length.next_multiple_of(cache.granularity).min(cache.capacity);
        let mut x = embeddings.pad([(0, padded - length), (0, 0)], 0.0) + self.positions.rows(0, padded);
        for (block, cached) in self.blocks.iter().zip(&mut cache.layers) {
            let [q, k, v] = self.queries_keys_values(block, x.clone());
            write(cached, 0, k.clone(), v.clone());
            let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
            let attended = module::attention(q, k, v, None, None, options);
            x = block.finish(x, self.merge_heads(attended));
        }
        cache.length = length;
        self.norm.forward(x)
    }

    /// Adds one position.
    ///
    /// # Shapes
    /// `[1, 1, width]` → `[1, 1, width]`, normalised
    pub fn step(&self, embedding: Tensor<3>, cache: &mut Cache) -> Tensor<3> {
        let position = cache.length;
        let visible = (position + 1).next_multiple_of(cache.granularity).min(cache.capacity);
        let surplus = (visible > position + 1).then(|| mask_after(position, visible, &embedding.device()));
        let scale = 1.0 / (self.head_width as f64).sqrt();
        let mut x = embedding + self.positions.rows(position, 1);
        for (block, cached) in self.blocks.iter().zip(&mut cache.layers) {
            let [q, k, v] = self.queries_keys_values(block, x.clone());
            let (keys, values) = write(cached, position, k, v);
            // [1, heads, 1, head_width] · [1, heads, head_width, visible]
            let scores = q.mul_scalar(scale).matmul(keys.narrow(2, 0, visible).swap_dims(2, 3));
            let scores = match &surplus {
                Some(mask) => scores + mask.clone(),
                None => scores,
            };
            let attended = activation::softmax(scores, 3).matmul(values.narrow(2, 0, visible));
            x = block.finish(x, self.merge_heads(attended));
        }
        cache.length += 1;
        self.norm.forward(x)
    }

    /// `[1, n, width]` → three times `[1, heads, n, head_width]`
    fn queries_keys_values(&self, block: &Block, x: Tensor<3>) -> [Tensor<4>; 3] {
        let length = x.dims()[1];
        let width = self.heads * self.head_width;
        let joined = block.attention_in.forward(block.norm_1.forward(x));
        [0, 1, 2].map(|part| {
            joined
                .clone()
                .narrow(2, part * width, width)
                .reshape([1, length, self.heads, self.head_width])
                .swap_dims(1, 2) // [1, heads, n, head_width]
        })
    }

    /// `[1, heads, n, head_width]` → `[1, n, width]`
    fn merge_heads(&self, x: Tensor<4>) -> Tensor<3> {
        let length = x.dims()[2];
        x.swap_dims(1, 2).reshape([1, length, self.heads * self.head_width])
    }
}

impl Block {
    /// The rest of a layer behind attention: projection, residual, MLP, residual.
    fn finish(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + self.attention_out.forward(attended);
        let hidden = gelu_new(self.mlp_in.forward(self.norm_2.forward(x.clone())));
        x + self.mlp_out.forward(hidden)
    }
}

/// Writes new keys and values at `position` and returns the whole buffers. They are taken out of the cache while being
/// written, since a tensor is changed in place only when nobody else holds it.
fn write(
    cached: &mut Option<KeysValues>,
    position: usize,
    k: Tensor<4>,
    v: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let [_, heads, count, width] = k.dims();
    let place = [0..1, 0..heads, position..position + count, 0..width];
    let (keys, values) = match cached.take() {
        Some(held) => (held.keys.slice_assign(place.clone(), k), held.values.slice_assign(place, v)),
        None => (k, v),
    };
    *cached = Some(KeysValues { keys: keys.clone(), values: values.clone() });
    (keys, values)
}

/// `[1, 1, 1, visible]`: 0 up to `position`, a large negative number behind it.
fn mask_after(position: usize, visible: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..visible).map(|i| if i <= position { 0.0 } else { -1e9 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, 1, visible]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::ModelConfig;
    use crate::weights::Weights;

    /// Rounding lengths up is an optimisation for GPUs: it must not change what is computed.
    #[test]
    fn padding_to_a_granularity_changes_nothing() {
        let device = Device::flex();
        let config = T3Config { layers: 2, heads: 2, width: 32, positions: 64, ..ModelConfig::nano().t3 };
        let weights = Weights::formula("t3", &device);
        let gpt2 = Gpt2::load(&weights.root().at("tfmr"), &config).unwrap();
        let prefix = weights.root().tensor("prefix", [1, 7, 32]).unwrap();
        let next = weights.root().tensor("next", [1, 1, 32]).unwrap();
        let run = |granularity| {
            let mut cache = gpt2.cache(24, granularity, &device);
            let first = gpt2.prefill(prefix.clone(), &mut cache);
            let second = gpt2.step(next.clone(), &mut cache);
            [first, second].map(|t| t.into_data().try_to_vec::<f32>().unwrap())
        };
        for (exact, padded) in run(1).iter().flatten().zip(run(16).iter().flatten()) {
            assert!((exact - padded).abs() < 1e-5, "{exact} {padded}");
        }
    }
}
