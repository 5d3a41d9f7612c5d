//! What earlier stretches of a signal leave behind, so that a network can be run on the next stretch alone: keys and values
//! for attention, the last rows before a causal convolution.
//!
//! A network is written once and asks its [`Surroundings`] for every operation that looks beyond a row: either they are
//! the whole signal, or memory of what came before. Memory lies in the program's own memory, so it serves the CPU only.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::attention;
use super::conv::{Before, Conv1d};
use super::kernels::attention::{Distances, Sequence, attend};
use super::kernels::{host_tensor, host_values, is_host};

/// Whether networks on this device can remember.
pub fn can_remember(device: &Device) -> bool {
    is_host(device)
}

/// What one network remembers, in the order in which it asks.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    tails: Vec<Option<Tensor<3>>>,
    pasts: Vec<Past>,
}

impl Memory {
    /// From here on, clones share what is remembered by now.
    pub fn share(&mut self) {
        for past in &mut self.pasts {
            past.share();
        }
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.pasts.iter().map(|past| 4 * (past.shared.len() + past.own.len())).sum()
    }
}

/// Keys and values of earlier positions, `[positions, 2 · heads · width]`.
#[derive(Clone, Debug, Default)]
struct Past {
    /// Of the beginning that several signals have in common.
    shared: Arc<Vec<f32>>,
    own: Vec<f32>,
}

impl Past {
    fn share(&mut self) {
        let mut all = (*self.shared).clone();
        all.append(&mut self.own);
        self.shared = Arc::new(all);
    }

    /// Adds the first `count` positions of `joined`, and forgets the oldest that are not shared, beyond `most`.
    fn keep(&mut self, joined: &[f32], inner: usize, count: usize, most: usize) {
        self.own.reserve(count * 2 * inner);
        for row in joined.chunks_exact(3 * inner).take(count) {
            self.own.extend_from_slice(&row[inner..]);
        }
        let surplus = (self.own.len() / (2 * inner)).saturating_sub(most);
        self.own.drain(..surplus * 2 * inner);
    }
}

/// A network's way through its memory for one stretch.
#[derive(Debug)]
pub struct Recall<'a> {
    memory: &'a mut Memory,
    /// Positions of this stretch that are remembered; what follows them will come again.
    kept: usize,
    /// Positions, besides the shared ones, that attention reaches back.
    most: usize,
    next_tail: usize,
    next_past: usize,
}

impl<'a> Recall<'a> {
    pub fn new(memory: &'a mut Memory, kept: usize, most: usize) -> Self {
        Self { memory, kept, most, next_tail: 0, next_past: 0 }
    }

    /// The same for a network part whose signal has `factor` positions for each of the former.
    pub fn scale(&mut self, factor: usize) {
        self.kept *= factor;
        self.most = self.most.saturating_mul(factor);
    }

    /// A causal convolution of the activated signal, which goes on where the last stretch was left.
    pub fn convolve(&mut self, conv: &Conv1d, before: Before<'_>, x: Tensor<3>) -> Tensor<3> {
        let (lead, [batch, length, channels]) = (conv.lead(), x.dims());
        if self.memory.tails.len() == self.next_tail {
            self.memory.tails.push(None);
        }
        let tail = &mut self.memory.tails[self.next_tail];
        self.next_tail += 1;
        let led = match tail.take() {
            Some(rows) => Tensor::cat(vec![rows, x], 1),
            None => Tensor::cat(vec![Tensor::zeros([batch, lead, channels], &x.device()), x], 1),
        };
        *tail = Some(led.clone().narrow(1, self.kept, lead));
        conv.forward_after(before, led).narrow(1, lead, length)
    }

    /// Attention of the stretch to itself and to all that is remembered.
    ///
    /// # Shapes
    /// `joined` `[1, n, 3 · heads · width]` → `[1, n, heads · width]`
    pub fn attend(
        &mut self,
        joined: Tensor<3>,
        heads: usize,
        by_distance: Option<ByDistance<'_>>,
    ) -> Tensor<3> {
        let (device, [_, positions, triple]) = (joined.device(), joined.dims());
        let inner = triple / 3;
        let values = host_values(joined);
        if self.memory.pasts.len() == self.next_past {
            self.memory.pasts.push(Past::default());
        }
        let past = &mut self.memory.pasts[self.next_past];
        self.next_past += 1;
        let sequence = Sequence { joined: values.storage(), positions, heads, width: inner / heads };
        let spans = [&past.shared[..], &past.own[..]];
        let y = match by_distance {
            None => attend(sequence, &spans, None),
            Some(ByDistance { table, largest, content_bias, position_bias }) => {
                let [content_bias, position_bias] =
                    [content_bias, position_bias].map(|b| host_values(b.clone()));
                let distances = Distances {
                    table,
                    largest,
                    content_bias: content_bias.storage(),
                    position_bias: position_bias.storage(),
                };
                attend(sequence, &spans, Some(distances))
            }
        };
        past.keep(values.storage(), inner, self.kept, self.most);
        host_tensor(y, [1, positions, inner], &device)
    }
}

/// A term of the scores that depends on distance; see [`super::attention_by_distance`].
#[derive(Clone, Copy, Debug)]
pub struct ByDistance<'a> {
    /// A row for each distance, from `largest` down.
    pub table: &'a [f32],
    pub largest: usize,
    pub content_bias: &'a Tensor<1>,
    pub position_bias: &'a Tensor<1>,
}

/// Where a stretch of a signal stands.
#[derive(Debug)]
pub enum Surroundings<'a> {
    /// It is the whole signal; the mask, `[1, 1, 1, n]`, is added to attention scores.
    Whole(Option<&'a Tensor<4>>),
    Behind(Recall<'a>),
}

impl Surroundings<'_> {
    /// A causal convolution.
    pub fn convolve(&mut self, conv: &Conv1d, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Whole(_) => conv.forward(x),
            Self::Behind(recall) => recall.convolve(conv, Before::Nothing, x),
        }
    }

    /// Attention to everything there is; see [`attention`].
    pub fn attend(&mut self, joined: Tensor<3>, heads: usize) -> Tensor<3> {
        match self {
            Self::Whole(mask) => attention(&joined, heads, *mask),
            Self::Behind(recall) => recall.attend(joined, heads, None),
        }
    }
}
