//! What T3 hears before the text: who speaks, and how the reference clip began.

use burn::tensor::{Tensor, TensorData};

use crate::nn::{Embedding, Linear};
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

    /// `[1, 1 + prompt, width]`: the projected speaker embedding, then the prompt's speech embeddings as they are.
    pub fn forward(
        &self,
        speaker: &[f32],
        prompt: &[u32],
        speech: &Embedding,
        device: &burn::tensor::Device,
    ) -> Tensor<3> {
        let speaker =
            Tensor::<3>::from_data(TensorData::new(speaker.to_vec(), [1, 1, speaker.len()]), device);
        let speaker = self.speaker.forward(speaker);
        if prompt.is_empty() { speaker } else { Tensor::cat(vec![speaker, speech.forward(prompt)], 1) }
    }
}
