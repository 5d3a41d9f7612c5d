//! What T3 hears before the text: who speaks, and how the reference clip began.

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::Linear;
use crate::variant::T3Config;
use crate::weights::{Scope, WeightError};

/// Turns a speaker embedding and prompt tokens into the first positions of the sequence.
#[derive(Debug)]
pub struct Conditioning {
    speaker: Linear,
}

impl Conditioning {
    pub fn load(scope: &Scope, config: &T3Config) -> Result<Self, WeightError> {
        Ok(Self { speaker: Linear::load(&scope.at("spkr_enc"), config.speaker_width, config.width)? })
    }

    /// `[1, 1 + n, width]`: the projected speaker embedding, then the prompt's embeddings `[1, n, width]` as they are.
    pub fn forward(&self, speaker: &[f32], prompt: Option<Tensor<3>>, device: &Device) -> Tensor<3> {
        let speaker =
            Tensor::<3>::from_data(TensorData::new(speaker.to_vec(), [1, 1, speaker.len()]), device);
        let mut parts = vec![self.speaker.forward(speaker)];
        parts.extend(prompt);
        Tensor::cat(parts, 1)
    }
}
