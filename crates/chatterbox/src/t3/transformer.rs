//! The way through a transformer, which GPT-2 and Llama share: a prefix at once, then one position at a time, through
//! layers that attend over a [`Cache`]. What the two do within a layer is theirs.

use std::fmt::Debug;

use burn::tensor::{Device, Tensor};

use super::cache::{Cache, Shape, attend_step};

/// The layers between embeddings and logits.
///
/// # Shapes
/// `x` is `[rows, n, width]`; `positions` says for each row where in its sequence the first of the n stands.
pub(super) trait Transformer: Debug + Send + Sync {
    fn shape(&self) -> Shape;

    /// Adds what the embeddings lack, if anything.
    fn enter(&self, x: Tensor<3>, positions: &[usize]) -> Tensor<3>;

    /// The first half of a layer: → queries, keys and values, `[rows, heads, n, head_width]` each.
    fn queries_keys_values(&self, layer: usize, x: Tensor<3>, positions: &[usize]) -> [Tensor<4>; 3];

    /// The rest of it behind attention, whose result comes as `[rows, n, width]`: projection, residual, feed-forward,
    /// residual.
    fn finish(&self, layer: usize, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3>;

    /// The norm behind the last layer.
    fn normalise(&self, x: Tensor<3>) -> Tensor<3>;

    /// An empty cache for at most `positions` positions of `rows` sequences, whose visible length grows in steps of
    /// `granularity`.
    fn cache(&self, rows: usize, positions: usize, granularity: usize, device: &Device) -> Cache {
        Cache::new(self.shape(), rows, positions, granularity, device)
    }

    /// Reads a prefix into a cache, behind the opening that it may begin with ([`Cache::begin_with`]), and returns the normalised
    /// hidden state of its last position.
    ///
    /// # Shapes
    /// `[rows, length, width]` → `[rows, 1, width]`
    fn prefill(&self, embeddings: Tensor<3>, cache: &mut Cache) -> Tensor<3> {
        let [rows, length, _] = embeddings.dims();
        let positions = vec![cache.len(); rows];
        let end = cache.len() + length;
        let mut x = self.enter(embeddings.pad([(0, cache.padded(end) - end), (0, 0)], 0.0), &positions);
        for layer in 0..self.shape().layers {
            let qkv = self.queries_keys_values(layer, x.clone(), &positions);
            let attended = cache.attend_prefix(layer, length, qkv);
            x = self.finish(layer, x, merge_heads(attended));
        }
        cache.close_prefix(end);
        self.normalise(x).narrow(1, length - 1, 1)
    }

    /// Adds one position to each sequence; the rows of all of them lie one behind the other.
    ///
    /// # Shapes
    /// `[rows of all, 1, width]` → `[rows of all, 1, width]`, normalised
    fn step(&self, embeddings: Tensor<3>, caches: &mut [&mut Cache]) -> Tensor<3> {
        let device = embeddings.device();
        let views: Vec<_> = caches.iter().map(|cache| cache.open_step(&device)).collect();
        let positions: Vec<usize> =
            caches.iter().flat_map(|cache| std::iter::repeat_n(cache.len(), cache.rows())).collect();
        let mut x = self.enter(embeddings, &positions);
        for layer in 0..self.shape().layers {
            let qkv = self.queries_keys_values(layer, x.clone(), &positions);
            let attended = attend_step(caches, layer, &views, qkv);
            x = self.finish(layer, x, merge_heads(attended));
        }
        for cache in caches {
            cache.close_step();
        }
        self.normalise(x)
    }
}

/// What depends on positions, for each row; once, where all rows share theirs.
pub(super) fn by_row<const D: usize>(positions: &[usize], of: impl Fn(usize) -> Tensor<D>) -> Tensor<D> {
    match positions {
        [first, rest @ ..] if rest.iter().all(|position| position == first) => of(*first),
        _ => Tensor::cat(positions.iter().map(|&position| of(position)).collect(), 0),
    }
}

/// `[rows, n, heads·head_width]` → `[rows, heads, n, head_width]`
pub(super) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [rows, length, width] = x.dims();
    x.reshape([rows, length, heads, width / heads]).swap_dims(1, 2)
}

/// `[rows, heads, n, head_width]` → `[rows, n, heads·head_width]`
pub(super) fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [rows, heads, length, head_width] = x.dims();
    x.swap_dims(1, 2).reshape([rows, length, heads * head_width])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::weights::Weights;

    /// Rounding lengths up is an optimisation for GPUs: it must not change what is computed. `transformer` is 32 wide.
    pub(in crate::t3) fn padding_changes_nothing(transformer: &dyn Transformer, rows: usize) {
        let device = Device::flex();
        let weights = Weights::formula("embeddings", &device);
        let prefix = weights.root().tensor("prefix", [rows, 7, 32]).unwrap();
        let next = weights.root().tensor("next", [rows, 1, 32]).unwrap();
        let run = |granularity| {
            let mut cache = transformer.cache(rows, 24, granularity, &device);
            cache.watch(&[(0, 1), (1, 0)], 2..5, 2);
            let first = transformer.prefill(prefix.clone(), &mut cache);
            let seen = cache.take_watched().unwrap().unsqueeze();
            let second = transformer.step(next.clone(), &mut [&mut cache]);
            let seen_again = cache.take_watched().unwrap().unsqueeze();
            [first, second, seen, seen_again].map(|t: Tensor<3>| t.into_data().try_to_vec::<f32>().unwrap())
        };
        let (exact, padded) = (run(1), run(16));
        for (exact, padded) in exact.iter().flatten().zip(padded.iter().flatten()) {
            assert!((exact - padded).abs() < 1e-5, "{exact} {padded}");
        }
        // A step pays the attention that the last position of a prefix one longer pays.
        let longer = Tensor::cat(vec![prefix.clone(), next.clone()], 1);
        let mut cache = transformer.cache(rows, 24, 1, &device);
        cache.watch(&[(0, 1), (1, 0)], 2..5, 1);
        transformer.prefill(longer, &mut cache);
        let whole: Vec<f32> = cache.take_watched().unwrap().into_data().try_to_vec().unwrap();
        assert!(whole.iter().all(|weight| (1e-4..1.0).contains(weight)), "{whole:?}");
        for (whole, step) in whole.iter().zip(&exact[3]) {
            assert!((whole - step).abs() < 1e-5, "{whole} {step}");
        }
    }
}
