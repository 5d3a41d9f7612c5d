//! Attention with a memory: beside what every position sees of all others, a depthwise convolution over the values (FSMN)
//! tells it of its neighbourhood.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData, activation, module};

use super::encoder::Mask;
use crate::nn::{Conv1d, Linear, Padding};
use crate::weights::{Scope, WeightError};

/// Positions that the memory reaches over, itself in the middle.
const REACH: usize = 31;
/// Base of the rotary angles.
const THETA: f32 = 10_000.0;

#[derive(Debug)]
pub(super) struct MemoryAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    memory: Conv1d,
    heads: usize,
    head_width: usize,
}

impl MemoryAttention {
    pub(super) fn load(scope: &Scope, width: usize, heads: usize) -> Result<Self, WeightError> {
        Ok(Self {
            query: Linear::load(&scope.at("query"), width, width)?,
            key: Linear::load_unbiased(&scope.at("key"), width, width)?,
            value: Linear::load(&scope.at("value"), width, width)?,
            out: Linear::load(&scope.at("out"), width, width)?,
            memory: Conv1d::load_depthwise(&scope.at("fsmn_block"), width, REACH)?
                .with_padding(Padding::Both(REACH / 2)),
            heads,
            head_width: width / heads,
        })
    }

    /// # Shapes
    /// `[1, positions, width]` → the same
    pub(super) fn forward(&self, x: Tensor<3>, rotary: &Rotary, mask: Option<&Mask>) -> Tensor<3> {
        let [_, length, width] = x.dims();
        // [1, n, width] → [1, heads, n, head_width]
        let split = |x: Tensor<3>| x.reshape([1, length, self.heads, self.head_width]).swap_dims(1, 2);
        let values = self.value.forward(x.clone());
        let q = rotary.turn(split(self.query.forward(x.clone())));
        let k = rotary.turn(split(self.key.forward(x)));
        let v = split(values.clone());
        let attended = match mask {
            None => module::attention(q, k, v, None, None, AttentionModuleOptions::default()),
            Some(mask) => {
                let scale = 1.0 / (self.head_width as f64).sqrt();
                activation::softmax((q * scale).matmul(k.swap_dims(2, 3)) + mask.keys.clone(), 3).matmul(v)
            }
        };
        let merged = attended.swap_dims(1, 2).reshape([1, length, width]);
        self.out.forward(merged) + self.remember(values, mask)
    }

    /// The memory of the values, and the values themselves. Padding neither gives nor receives.
    fn remember(&self, values: Tensor<3>, mask: Option<&Mask>) -> Tensor<3> {
        let real = |x: Tensor<3>| match mask {
            None => x,
            Some(mask) => x * mask.positions.clone(),
        };
        let values = real(values);
        let memory = self.memory.forward(values.clone());
        real(memory + values)
    }
}

/// The angles of rotary positions, halves of a head turned against each other.
#[derive(Debug)]
pub(super) struct Rotary {
    /// `[1, 1, positions, head_width / 2]`, as is `sines`
    cosines: Tensor<4>,
    sines: Tensor<4>,
}

impl Rotary {
    pub(super) fn new(positions: usize, head_width: usize, device: &Device) -> Self {
        let half = head_width / 2;
        let rates: Vec<f32> =
            (0..half).map(|i| 1.0 / THETA.powf(2.0 * i as f32 / head_width as f32)).collect();
        let table = |function: fn(f32) -> f32| {
            let values: Vec<f32> = (0..positions)
                .flat_map(|position| rates.iter().map(move |rate| function(position as f32 * rate)))
                .collect();
            Tensor::from_data(TensorData::new(values, [1, 1, positions, half]), device)
        };
        Self { cosines: table(f32::cos), sines: table(f32::sin) }
    }

    /// `[1, heads, positions, head_width]` → the same
    fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let first = a.clone() * self.cosines.clone() - b.clone() * self.sines.clone();
        let second = b * self.cosines.clone() + a * self.sines.clone();
        Tensor::cat(vec![first, second], 3)
    }
}
