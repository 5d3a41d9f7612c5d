//! A stack of LSTM layers as PyTorch stores it: gates in the order input, forget, candidate, output, two biases each.

use burn::tensor::{Device, Tensor, activation};

use crate::nn::Linear;
use crate::weights::{Scope, WeightError};

/// Layers one above the other; the state begins at zero.
#[derive(Debug)]
pub(super) struct Lstm(Vec<Layer>);

#[derive(Debug)]
struct Layer {
    /// From the layer's input to its gates, with both biases.
    input: Linear,
    /// From its last output to its gates.
    recurrent: Linear,
    width: usize,
}

impl Lstm {
    /// Reads `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` … to `device`.
    pub(super) fn load(
        scope: &Scope,
        layers: usize,
        inputs: usize,
        width: usize,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let gates = 4 * width;
        let layer = |index: usize| {
            let inputs = if index == 0 { inputs } else { width };
            let bias = |name: &str| scope.values(&format!("bias_{name}_l{index}"), &[gates]);
            let bias = bias("ih")?.iter().zip(bias("hh")?).map(|(a, b)| a + b).collect();
            let rows = |name: &str, inputs: usize| {
                scope.values(&format!("weight_{name}_l{index}"), &[gates, inputs])
            };
            Ok(Layer {
                input: Linear::from_rows(&rows("ih", inputs)?, inputs, Some(bias), device),
                recurrent: Linear::from_rows(&rows("hh", width)?, width, None, device),
                width,
            })
        };
        Ok(Self((0..layers).map(layer).collect::<Result<_, _>>()?))
    }

    /// # Shapes
    /// `[batch, frames, inputs]` → `[batch, frames, width]`: the last layer's output at every frame
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.0.iter().fold(x, |x, layer| layer.forward(x))
    }
}

impl Layer {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, frames, _] = x.dims();
        let gates = self.input.forward(x); // [batch, frames, 4·width]
        let mut output = Tensor::<3>::zeros([batch, 1, self.width], &gates.device());
        let mut cell = output.clone();
        let outputs = (0..frames)
            .map(|frame| {
                let gates = gates.clone().narrow(1, frame, 1) + self.recurrent.forward(output.clone());
                let gate = |index: usize| gates.clone().narrow(2, index * self.width, self.width);
                let (enter, forget) = (activation::sigmoid(gate(0)), activation::sigmoid(gate(1)));
                cell = forget * cell.clone() + enter * gate(2).tanh();
                output = activation::sigmoid(gate(3)) * cell.clone().tanh();
                output.clone()
            })
            .collect();
        Tensor::cat(outputs, 1)
    }
}
