//! What T3 hears before the text: who speaks, how the reference clip began, and with how much emotion.

use burn::tensor::{Device, Tensor, TensorData};

use super::perceiver::Perceiver;
use crate::nn::Linear;
use crate::variant::{Backbone, T3Config};
use crate::weights::{Scope, WeightError};

/// Turns a speaker embedding and prompt tokens into the first positions of the sequence.
#[derive(Debug)]
pub struct Conditioning {
    speaker: Linear,
    style: Option<Style>,
}

/// What Llama has beside the speaker.
#[derive(Debug)]
struct Style {
    perceiver: Perceiver,
    emotion: Linear,
}

impl Conditioning {
    pub fn load(scope: &Scope, config: &T3Config) -> Result<Self, WeightError> {
        let style = match &config.backbone {
            Backbone::Gpt2 => None,
            Backbone::Llama(llama) => Some(Style {
                perceiver: Perceiver::load(&scope.at("perceiver"), llama, config.width)?,
                emotion: Linear::load_unbiased(&scope.at("emotion_adv_fc"), 1, config.width)?,
            }),
        };
        Ok(Self { speaker: Linear::load(&scope.at("spkr_enc"), config.speaker_width, config.width)?, style })
    }

    /// The projected speaker embedding; the prompt's embeddings, as they are or through the perceiver; the emotion.
    ///
    /// # Shapes
    /// `speaker` `[speaker_width]`, `prompt` `[1, n, width]` → `[1, 1 + (n or queries) + (0 or 1), width]`
    pub fn forward(
        &self,
        speaker: &[f32],
        prompt: Option<Tensor<3>>,
        exaggeration: f32,
        device: &Device,
    ) -> Tensor<3> {
        let input = |values: &[f32]| {
            Tensor::<3>::from_data(TensorData::new(values.to_vec(), [1, 1, values.len()]), device)
        };
        let mut parts = vec![self.speaker.forward(input(speaker))];
        match &self.style {
            None => parts.extend(prompt),
            Some(style) => {
                parts.extend(prompt.map(|prompt| style.perceiver.forward(prompt)));
                parts.push(style.emotion.forward(input(&[exaggeration])));
            }
        }
        Tensor::cat(parts, 1)
    }
}
