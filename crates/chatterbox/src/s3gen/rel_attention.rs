//! Self-attention with relative positions, as ESPnet's conformers have it: a score is the sum of a content term and a term
//! that depends on the distance alone, each with a learned bias.

use burn::tensor::{Device, Tensor, TensorData, activation};

use crate::nn::Linear;
use crate::weights::{Scope, WeightError};

#[derive(Debug)]
pub(super) struct RelativeAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    position: Linear,
    out: Linear,
    /// `[1, heads, 1, head_width]`
    content_bias: Tensor<4>,
    position_bias: Tensor<4>,
    heads: usize,
}

impl RelativeAttention {
    pub(super) fn load(scope: &Scope, width: usize, heads: usize) -> Result<Self, WeightError> {
        let linear = |name: &str| Linear::load(&scope.at(name), width, width);
        let bias = |name: &str| {
            let bias = scope.tensor(name, [heads, width / heads])?;
            Ok(bias.reshape([1, heads, 1, width / heads]))
        };
        Ok(Self {
            query: linear("linear_q")?,
            key: linear("linear_k")?,
            value: linear("linear_v")?,
            position: Linear::load_unbiased(&scope.at("linear_pos"), width, width)?,
            out: linear("linear_out")?,
            content_bias: bias("pos_bias_u")?,
            position_bias: bias("pos_bias_v")?,
            heads,
        })
    }

    /// # Shapes
    /// `x` `[1, n, width]`, `positions` `[1, 2n − 1, width]` ([`position_table`]), `mask` `[1, 1, 1, n]` added to the
    /// scores → `[1, n, width]`
    pub(super) fn forward(&self, x: Tensor<3>, positions: Tensor<3>, mask: Option<Tensor<4>>) -> Tensor<3> {
        let [_, length, width] = x.dims();
        let q = self.split(self.query.forward(x.clone()));
        let k = self.split(self.key.forward(x.clone()));
        let v = self.split(self.value.forward(x));
        let p = self.split(self.position.forward(positions));
        let scale = 1.0 / ((width / self.heads) as f64).sqrt();
        let content = (q.clone() + self.content_bias.clone()).matmul(k.swap_dims(2, 3));
        let distance = (q + self.position_bias.clone()).matmul(p.swap_dims(2, 3));
        let mut scores = (content + shift(distance)) * scale;
        if let Some(mask) = mask {
            scores = scores + mask;
        }
        let attended = activation::softmax(scores, 3).matmul(v);
        self.out.forward(attended.swap_dims(1, 2).reshape([1, length, width]))
    }

    /// `[1, n, width]` → `[1, heads, n, head_width]`
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [_, length, width] = x.dims();
        x.reshape([1, length, self.heads, width / self.heads]).swap_dims(1, 2)
    }
}

/// `out[i, j] = x[i, (n − 1) − i + j]`: from a column for each distance to a column for each key. Padding one column and
/// reading the same memory with rows one longer moves each row by one more than the row above; no gather is needed.
///
/// # Shapes
/// `[1, heads, n, 2n − 1]` → `[1, heads, n, n]`
fn shift(x: Tensor<4>) -> Tensor<4> {
    let [_, heads, n, columns] = x.dims();
    x.pad([(0, 0), (1, 0)], 0.0)
        .reshape([1, heads, columns + 1, n])
        .narrow(2, 1, columns)
        .reshape([1, heads, n, columns])
        .narrow(3, 0, n)
}

/// Sinusoids of the distances n − 1 down to −(n − 1): `[1, 2n − 1, width]`, sine in even columns, cosine in odd ones.
pub(super) fn position_table(n: usize, width: usize, device: &Device) -> Tensor<3> {
    let rows = 2 * n - 1;
    let rates: Vec<f32> =
        (0..width / 2).map(|i| (-(2.0 * i as f32) * (10_000_f32.ln() / width as f32)).exp()).collect();
    let mut values = Vec::with_capacity(rows * width);
    for row in 0..rows {
        let distance = n as f32 - 1.0 - row as f32;
        for rate in &rates {
            let (sine, cosine) = (distance * rate).sin_cos();
            values.extend([sine, cosine]);
        }
    }
    Tensor::from_data(TensorData::new(values, [1, rows, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shift_turns_distances_into_keys() {
        let n = 4;
        let columns = 2 * n - 1;
        let values: Vec<f32> = (0..n * columns).map(|v| v as f32).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 1, n, columns]), &Device::flex());
        let shifted: Vec<f32> = shift(x).into_data().try_to_vec().unwrap();
        for i in 0..n {
            for j in 0..n {
                assert_eq!(shifted[i * n + j], (i * columns + (n - 1) - i + j) as f32, "row {i}, column {j}");
            }
        }
    }
}
