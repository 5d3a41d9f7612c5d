//! Self-attention with relative positions, as ESPnet's conformers have it: a score is the sum of a content term and a term
//! that depends on the distance alone, each with a learned bias.

use burn::tensor::{Device, Tensor, TensorData, activation};

use crate::nn::past::{ByDistance, Recall};
use crate::nn::{Linear, attention_by_distance, read};
use crate::weights::{Scope, WeightError};

#[derive(Debug)]
pub(super) struct RelativeAttention {
    /// Queries, keys and values in one product.
    input: Linear,
    position: Linear,
    out: Linear,
    /// `[width]`, the heads side by side.
    content_bias: Tensor<1>,
    position_bias: Tensor<1>,
    heads: usize,
}

impl RelativeAttention {
    pub(super) fn load(scope: &Scope, width: usize, heads: usize) -> Result<Self, WeightError> {
        let bias = |name: &str| Ok(scope.tensor(name, [heads, width / heads])?.reshape([width]));
        Ok(Self {
            input: Linear::load_joined(scope, &["linear_q", "linear_k", "linear_v"], width, width)?,
            position: Linear::load_unbiased(&scope.at("linear_pos"), width, width)?,
            out: Linear::load(&scope.at("linear_out"), width, width)?,
            content_bias: bias("pos_bias_u")?,
            position_bias: bias("pos_bias_v")?,
            heads,
        })
    }

    /// # Shapes
    /// `x` `[1, n, width]`, `positions` `[1, 2n − 1, width]` ([`position_table`]), `mask` `[1, 1, 1, n]` added to the
    /// scores → `[1, n, width]`
    pub(super) fn forward(&self, x: Tensor<3>, positions: Tensor<3>, mask: Option<Tensor<4>>) -> Tensor<3> {
        let joined = self.input.forward(x);
        let table = self.position.forward(positions);
        let attended = match mask {
            None => {
                attention_by_distance(joined, self.heads, &table, [&self.content_bias, &self.position_bias])
                    .unwrap_or_else(|joined| self.attend(&joined, table, None))
            }
            Some(mask) => self.attend(&joined, table, Some(mask)),
        };
        self.out.forward(attended)
    }

    /// The same for a stretch behind others, with a table of [`Self::distances`].
    pub(super) fn forward_behind(
        &self,
        x: Tensor<3>,
        table: &Distances,
        recall: &mut Recall<'_>,
    ) -> Tensor<3> {
        let by_distance = ByDistance {
            table: &table.rows,
            largest: table.largest,
            content_bias: &self.content_bias,
            position_bias: &self.position_bias,
        };
        self.out.forward(recall.attend(self.input.forward(x), self.heads, Some(by_distance)))
    }

    /// What this layer makes of the distances from `largest` down to `−nearest`.
    ///
    /// # Errors
    /// The device's, in its words.
    pub(super) fn distances(
        &self,
        largest: usize,
        nearest: usize,
        device: &Device,
    ) -> Result<Distances, String> {
        let width = self.content_bias.dims()[0];
        let rows = read(self.position.forward(sinusoids(largest, largest + nearest + 1, width, device)))?;
        Ok(Distances { rows, largest })
    }

    /// The same with tensor operations.
    fn attend(&self, joined: &Tensor<3>, table: Tensor<3>, mask: Option<Tensor<4>>) -> Tensor<3> {
        let [_, length, triple] = joined.dims();
        let width = triple / 3;
        let head_width = width / self.heads;
        // [1, m, width] → [1, heads, m, head_width]
        let split = |x: Tensor<3>| {
            let length = x.dims()[1];
            x.reshape([1, length, self.heads, head_width]).swap_dims(1, 2)
        };
        let [q, k, v] = [0, 1, 2].map(|part| split(joined.clone().narrow(2, part * width, width)));
        let bias = |bias: &Tensor<1>| bias.clone().reshape([1, self.heads, 1, head_width]);
        let content = (q.clone() + bias(&self.content_bias)).matmul(k.swap_dims(2, 3));
        let distance = (q + bias(&self.position_bias)).matmul(split(table).swap_dims(2, 3));
        let mut scores = (content + shift(distance)) * (1.0 / (head_width as f64).sqrt());
        if let Some(mask) = mask {
            scores = scores + mask;
        }
        activation::softmax(scores, 3).matmul(v).swap_dims(1, 2).reshape([1, length, width])
    }
}

/// The projected table of one layer, `[distances, width]`, a row for each distance from `largest` down.
#[derive(Clone, Debug)]
pub(super) struct Distances {
    rows: Vec<f32>,
    largest: usize,
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
    sinusoids(n - 1, 2 * n - 1, width, device)
}

/// Sinusoids of `rows` distances from `largest` down.
fn sinusoids(largest: usize, rows: usize, width: usize, device: &Device) -> Tensor<3> {
    let rates: Vec<f32> =
        (0..width / 2).map(|i| (-(2.0 * i as f32) * (10_000_f32.ln() / width as f32)).exp()).collect();
    let mut values = Vec::with_capacity(rows * width);
    for row in 0..rows {
        let distance = largest as f32 - row as f32;
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
