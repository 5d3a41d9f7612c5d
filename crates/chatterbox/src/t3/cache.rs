//! What decoding remembers, the keys and values of every position, and the attention over it.
//!
//! One buffer per layer, written in place, so that no token allocates or copies it. On a GPU every new shape costs a kernel
//! compilation, so lengths there are rounded up to a granularity and the surplus is masked; on the CPU the granularity is 1
//! and nothing is padded.

use std::ops::Range;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData, activation, module};

/// What decoding has seen so far. Made for one utterance and dropped with it.
#[derive(Debug)]
pub struct Cache {
    layers: Vec<Option<KeysValues>>,
    rows: usize,
    scale: f64,
    /// Positions written.
    length: usize,
    /// How many of them the prefix had.
    prefix: usize,
    /// Positions there is room for.
    capacity: usize,
    granularity: usize,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct KeysValues {
    /// `[rows, heads, capacity, head_width]`
    keys: Tensor<4>,
    values: Tensor<4>,
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
        let buffer = || Tensor::zeros([rows, heads, capacity, head_width], device);
        Self {
            layers: (0..layers).map(|_| Some(KeysValues { keys: buffer(), values: buffer() })).collect(),
            rows,
            scale: 1.0 / (head_width as f64).sqrt(),
            length: 0,
            prefix: 0,
            capacity,
            granularity,
            watch: None,
        }
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

    /// Causal attention within a prefix whose first `length` positions are real.
    ///
    /// # Shapes
    /// three times `[rows, heads, padded, head_width]` → the same
    pub(super) fn attend_prefix(&mut self, layer: usize, length: usize, qkv: [Tensor<4>; 3]) -> Tensor<4> {
        let [q, k, v] = qkv;
        write(&mut self.layers[layer], 0, k.clone(), v.clone());
        if let Some(watch) = &mut self.watch {
            watch.look(layer, &q, &k, self.scale, length - watch.prefix_rows..length);
        }
        // Attention is causal, so positions behind the prefix change nothing before them.
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        module::attention(q, k, v, None, None, options)
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

    /// Attention of one new position to all before it and itself.
    ///
    /// # Shapes
    /// three times `[rows, heads, 1, head_width]` → the same
    pub(super) fn attend_step(&mut self, layer: usize, view: &View, qkv: [Tensor<4>; 3]) -> Tensor<4> {
        let [q, k, v] = qkv;
        let (keys, values) = write(&mut self.layers[layer], view.position, k, v);
        // [rows, heads, 1, head_width] · [rows, heads, head_width, visible]
        let scores = q.mul_scalar(self.scale).matmul(keys.narrow(2, 0, view.visible).swap_dims(2, 3));
        let scores = match &view.surplus {
            Some(mask) => scores + mask.clone(),
            None => scores,
        };
        let weights = activation::softmax(scores, 3);
        if let Some(watch) = &mut self.watch {
            watch.keep(layer, &weights);
        }
        weights.matmul(values.narrow(2, 0, view.visible))
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
        if !self.heads.iter().any(|(watched, _)| *watched == layer) {
            return;
        }
        let rows = positions.map(|position| {
            let scores = q.clone().narrow(2, position, 1).mul_scalar(scale).matmul(k.clone().swap_dims(2, 3));
            activation::softmax(scores + mask_after(position, padded, &q.device()), 3)
        });
        self.keep(layer, &Tensor::cat(rows.collect(), 2));
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

/// Writes new keys and values at `position` and returns the whole buffers. They are taken out of the cache while being
/// written, since a tensor is changed in place only when nobody else holds it.
fn write(
    cached: &mut Option<KeysValues>,
    position: usize,
    k: Tensor<4>,
    v: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let [rows, heads, count, width] = k.dims();
    let place = [0..rows, 0..heads, position..position + count, 0..width];
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
