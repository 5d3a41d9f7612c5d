//! What decoding remembers, the keys and values of every position, and the attention over it.
//!
//! One buffer per layer, written in place, so that no token allocates or copies it. On a GPU every new shape costs a kernel
//! compilation, so lengths there are rounded up to a granularity and the surplus is masked; on the CPU the granularity is 1
//! and nothing is padded. Sequences that decode together have a cache each, since they begin, grow and end apart.

use std::ops::Range;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData, activation, module};

use crate::nn::kernels::decoding::{Head, attend};
use crate::nn::kernels::{host_tensor, host_values, is_host};

/// What decoding has seen so far. Made for one utterance and dropped with it.
#[derive(Debug)]
pub struct Cache {
    layers: Vec<KeysValues>,
    rows: usize,
    heads: usize,
    head_width: usize,
    /// Positions written.
    length: usize,
    /// How many of them the prefix had.
    prefix: usize,
    /// Positions there is room for.
    capacity: usize,
    granularity: usize,
    watch: Option<Watch>,
}

/// Of one layer, `[rows, heads, capacity, head_width]` both.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each layer")]
enum KeysValues {
    Host {
        keys: Vec<f32>,
        values: Vec<f32>,
    },
    /// Taken out while they are written, since a tensor is changed in place only when nobody else holds it.
    Device(Option<(Tensor<4>, Tensor<4>)>),
}

/// The sizes of a transformer's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) head_width: usize,
}

/// What one new position may see: everything up to itself.
#[derive(Debug)]
pub(super) struct View {
    position: usize,
    visible: usize,
    surplus: Option<Tensor<4>>,
}

/// Heads whose attention to the text is kept for the alignment analyser.
#[derive(Debug)]
struct Watch {
    /// Layer and head.
    heads: Vec<(usize, usize)>,
    text: Range<usize>,
    /// Of the prefix, the positions behind this are watched.
    prefix_rows: usize,
    /// `[1, 1, rows, text]`, summed over the heads seen since it was last taken.
    sum: Option<Tensor<4>>,
}

impl Cache {
    /// An empty cache for at most `positions` positions of `rows` sequences, whose visible length grows in steps of
    /// `granularity`.
    pub(super) fn new(
        shape: Shape,
        rows: usize,
        positions: usize,
        granularity: usize,
        device: &Device,
    ) -> Self {
        let Shape { layers, heads, head_width } = shape;
        let capacity = positions.next_multiple_of(granularity);
        let on_host = is_host(device);
        let layer = |_| {
            if on_host {
                let buffer = || vec![0.0; rows * heads * capacity * head_width];
                KeysValues::Host { keys: buffer(), values: buffer() }
            } else {
                let buffer = || Tensor::zeros([rows, heads, capacity, head_width], device);
                KeysValues::Device(Some((buffer(), buffer())))
            }
        };
        Self {
            layers: (0..layers).map(layer).collect(),
            rows,
            heads,
            head_width,
            length: 0,
            prefix: 0,
            capacity,
            granularity,
            watch: None,
        }
    }

    /// Begins every sequence with the positions of the one in `opening`. On the CPU only.
    pub(super) fn begin_with(&mut self, opening: &Self) {
        debug_assert!(
            self.is_empty() && opening.rows == 1,
            "only a beginning can be taken over, and each has the same"
        );
        let (seen, width) = (opening.length, self.head_width);
        for (layer, from) in self.layers.iter_mut().zip(&opening.layers) {
            let (
                KeysValues::Host { keys, values },
                KeysValues::Host { keys: from_keys, values: from_values },
            ) = (layer, from)
            else {
                continue;
            };
            for (all, from) in [(keys, from_keys), (values, from_values)] {
                let heads = all.chunks_exact_mut(self.capacity * width);
                let from = from.chunks_exact(opening.capacity * width).cycle();
                for (head, from) in heads.zip(from) {
                    head[..seen * width].copy_from_slice(&from[..seen * width]);
                }
            }
        }
        self.length = seen;
    }

    /// Positions seen so far.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Sequences decoded side by side.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Positions added to the prefix.
    pub fn steps(&self) -> usize {
        self.length - self.prefix
    }

    /// The length to which a prefix is padded.
    pub(super) fn padded(&self, length: usize) -> usize {
        length.next_multiple_of(self.granularity).min(self.capacity)
    }

    /// Causal attention within a prefix whose first `length` positions are real, and to the opening before it.
    ///
    /// # Shapes
    /// three times `[rows, heads, padded, head_width]` → the same
    pub(super) fn attend_prefix(&mut self, layer: usize, length: usize, qkv: [Tensor<4>; 3]) -> Tensor<4> {
        if !self.is_empty() {
            return self.attend_behind(layer, qkv);
        }
        let [q, k, v] = qkv;
        self.write(layer, 0, k.clone(), v.clone());
        let scale = self.scale();
        if let Some(watch) = &mut self.watch {
            watch.look(layer, &q, &k, scale, length - watch.prefix_rows..length);
        }
        // Attention is causal, so positions behind the prefix change nothing before them.
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        module::attention(q, k, v, None, None, options)
    }

    /// Causal attention of several new positions to all before them, on the CPU.
    ///
    /// # Shapes
    /// three times `[rows, heads, n, head_width]` → the same
    fn attend_behind(&mut self, layer: usize, qkv: [Tensor<4>; 3]) -> Tensor<4> {
        let (shape, device) = (qkv[0].dims(), qkv[0].device());
        let [_, _, count, width] = shape;
        let [q, k, v] = qkv;
        self.write(layer, self.length, k, v);
        let KeysValues::Host { keys, values } = &self.layers[layer] else { return q };
        let q = host_values(q);
        let mut y = vec![0.0; shape.iter().product()];
        let size = self.capacity * width;
        let of_heads = q.storage::<f32>().chunks_exact(count * width).zip(y.chunks_exact_mut(count * width));
        let heads = of_heads.zip(keys.chunks_exact(size).zip(values.chunks_exact(size)));
        let heads = heads.flat_map(|((queries, y), (keys, values))| {
            let rows = queries.chunks_exact(width).zip(y.chunks_exact_mut(width));
            (self.length + 1..).zip(rows).map(move |(seen, (query, y))| {
                let seen = seen * width;
                Head { query, keys: &keys[..seen], values: &values[..seen], y }
            })
        });
        attend(heads.collect());
        host_tensor(y, shape, &device)
    }

    /// Ends the prefix once every layer has attended.
    pub(super) fn close_prefix(&mut self, length: usize) {
        self.length = length;
        self.prefix = length;
    }

    /// What the next position sees.
    pub(super) fn open_step(&self, device: &Device) -> View {
        let position = self.length;
        let visible = self.padded(position + 1);
        let surplus = (visible > position + 1).then(|| mask_after(position, visible, device));
        View { position, visible, surplus }
    }

    /// Attention of one new position to all before it and itself, on a device.
    ///
    /// # Shapes
    /// three times `[rows, heads, 1, head_width]` → the same
    fn attend_on_device(&mut self, layer: usize, view: &View, qkv: [Tensor<4>; 3]) -> Tensor<4> {
        let [q, k, v] = qkv;
        self.write(layer, view.position, k, v);
        let KeysValues::Device(Some((keys, values))) = &self.layers[layer] else { return q };
        let [keys, values] = [keys, values].map(|all| all.clone().narrow(2, 0, view.visible));
        // [rows, heads, 1, head_width] · [rows, heads, head_width, visible]
        let scores = q.mul_scalar(self.scale()).matmul(keys.swap_dims(2, 3));
        let scores = match &view.surplus {
            Some(mask) => scores + mask.clone(),
            None => scores,
        };
        let weights = activation::softmax(scores, 3);
        if let Some(watch) = &mut self.watch {
            watch.keep(layer, &weights);
        }
        weights.matmul(values)
    }

    /// Writes new keys and values, `[rows, heads, n, head_width]`, at `position`.
    fn write(&mut self, layer: usize, position: usize, k: Tensor<4>, v: Tensor<4>) {
        let [rows, heads, count, width] = k.dims();
        match &mut self.layers[layer] {
            KeysValues::Host { keys, values } => {
                for (new, all) in [(k, keys), (v, values)] {
                    let new = host_values(new);
                    let all = all.chunks_exact_mut(self.capacity * width);
                    for (new, all) in new.storage::<f32>().chunks_exact(count * width).zip(all) {
                        all[position * width..][..count * width].copy_from_slice(new);
                    }
                }
            }
            KeysValues::Device(held) => {
                let place = [0..rows, 0..heads, position..position + count, 0..width];
                *held = held.take().map(|(keys, values)| {
                    (keys.slice_assign(place.clone(), k), values.slice_assign(place, v))
                });
            }
        }
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head_width as f64).sqrt()
    }

    /// Ends a step once every layer has attended.
    pub(super) fn close_step(&mut self) {
        self.length += 1;
    }

    /// From now on keeps the attention that `heads` (layer, head) of the first row pay to the positions `text`: in the
    /// prefix that of its last `prefix_rows` positions.
    pub(super) fn watch(&mut self, heads: &[(usize, usize)], text: Range<usize>, prefix_rows: usize) {
        self.watch = Some(Watch { heads: heads.to_vec(), text, prefix_rows, sum: None });
    }

    /// The watched attention of the positions since the last call, averaged over the heads: `[positions, text]`. `None`
    /// when nothing is watched.
    pub(super) fn take_watched(&mut self) -> Option<Tensor<2>> {
        let watch = self.watch.as_mut()?;
        let sum = watch.sum.take()?;
        let [_, _, rows, text] = sum.dims();
        Some(sum.div_scalar(watch.heads.len() as f64).reshape([rows, text]))
    }
}

impl Watch {
    /// Repeats the attention of single `positions` of a prefix, since the fused kernel keeps no weights.
    fn look(&mut self, layer: usize, q: &Tensor<4>, k: &Tensor<4>, scale: f64, positions: Range<usize>) {
        let padded = k.dims()[2];
        if !self.watches(layer) {
            return;
        }
        let rows = positions.map(|position| {
            let scores = q.clone().narrow(2, position, 1).mul_scalar(scale).matmul(k.clone().swap_dims(2, 3));
            activation::softmax(scores + mask_after(position, padded, &q.device()), 3)
        });
        self.keep(layer, &Tensor::cat(rows.collect(), 2));
    }

    fn watches(&self, layer: usize) -> bool {
        self.heads.iter().any(|(watched, _)| *watched == layer)
    }

    /// Adds this layer's watched heads; `weights` is `[rows, heads, positions, visible]`.
    fn keep(&mut self, layer: usize, weights: &Tensor<4>) {
        for &(_, head) in self.heads.iter().filter(|(watched, _)| *watched == layer) {
            let seen = weights.clone().narrow(0, 0, 1).narrow(1, head, 1).narrow(
                3,
                self.text.start,
                self.text.len(),
            );
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + seen,
                None => seen,
            });
        }
    }
}

/// Attention of one new position of each sequence to all before it and itself. The rows of all caches lie one behind the
/// other.
///
/// # Shapes
/// three times `[rows of all, heads, 1, head_width]` → the same
pub(super) fn attend_step(
    caches: &mut [&mut Cache],
    layer: usize,
    views: &[View],
    qkv: [Tensor<4>; 3],
) -> Tensor<4> {
    if caches.iter().all(|cache| matches!(cache.layers[layer], KeysValues::Host { .. })) {
        return attend_on_host(caches, layer, qkv);
    }
    let mut first = 0;
    let attended = caches.iter_mut().zip(views).map(|(cache, view)| {
        let own = qkv.clone().map(|all| all.narrow(0, first, cache.rows));
        first += cache.rows;
        cache.attend_on_device(layer, view, own)
    });
    Tensor::cat(attended.collect(), 0)
}

fn attend_on_host(caches: &mut [&mut Cache], layer: usize, qkv: [Tensor<4>; 3]) -> Tensor<4> {
    let (shape, device) = (qkv[0].dims(), qkv[0].device());
    let width = shape[3];
    let [q, k, v] = qkv;
    let mut first = 0;
    for cache in caches.iter_mut() {
        let own = |all: &Tensor<4>| all.clone().narrow(0, first, cache.rows);
        let (k, v, position) = (own(&k), own(&v), cache.length);
        first += cache.rows;
        cache.write(layer, position, k, v);
    }

    let q = host_values(q);
    let mut y = vec![0.0; shape.iter().product()];
    let mut places = q.storage::<f32>().chunks_exact(width).zip(y.chunks_exact_mut(width));
    let mut heads = Vec::with_capacity(shape[0] * shape[1]);
    for cache in caches.iter() {
        let KeysValues::Host { keys, values } = &cache.layers[layer] else { continue };
        let size = cache.capacity * width;
        let seen = (cache.length + 1) * width;
        let keys_values = keys.chunks_exact(size).zip(values.chunks_exact(size));
        for ((keys, values), (query, y)) in keys_values.zip(&mut places) {
            heads.push(Head { query, keys: &keys[..seen], values: &values[..seen], y });
        }
    }
    let mut weights = attend(heads).into_iter();
    for cache in caches.iter_mut() {
        let own: Vec<Vec<f32>> = weights.by_ref().take(cache.rows * cache.heads).collect();
        if let Some(watch) = &mut cache.watch
            && watch.watches(layer)
        {
            let own = host_tensor(own.concat(), [cache.rows, cache.heads, 1, cache.length + 1], &device);
            watch.keep(layer, &own);
        }
    }
    host_tensor(y, shape, &device)
}

/// `[1, 1, 1, visible]`: 0 up to `position`, a large negative number behind it.
fn mask_after(position: usize, visible: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..visible).map(|i| if i <= position { 0.0 } else { -1e9 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, 1, visible]), device)
}
