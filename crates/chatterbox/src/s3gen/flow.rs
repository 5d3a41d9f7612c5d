//! Flow matching from tokens to mel: encode tokens, then solve from noise to mel under prompt and speaker.

use burn::tensor::{Device, Tensor, TensorData};

use super::Reference;
use super::encoder::{Encoder, key_mask};
use super::unet::UNet;
use crate::nn::{Embedding, Linear};
use crate::noise::Noise;
use crate::variant::{FRAMES_PER_TOKEN, MEL_BINS, S3GenConfig, Solver};
use crate::weights::{Scope, WeightError};

/// Tokens to mel.
#[derive(Debug)]
pub struct Flow {
    tokens: Embedding,
    speaker: Linear,
    encoder: Encoder,
    projection: Linear,
    estimator: UNet,
    solver: Solver,
    steps: usize,
    noise_scale: f32,
    granularity: usize,
    device: Device,
}

impl Flow {
    pub fn load(scope: &Scope, config: &S3GenConfig, granularity: usize) -> Result<Self, WeightError> {
        let width = config.encoder.width;
        Ok(Self {
            tokens: Embedding::load(&scope.at("input_embedding"), config.vocab, width)?,
            speaker: Linear::load(&scope.at("spk_embed_affine_layer"), config.speaker_width, MEL_BINS)?,
            encoder: Encoder::load(&scope.at("encoder"), &config.encoder)?,
            projection: Linear::load(&scope.at("encoder_proj"), width, MEL_BINS)?,
            estimator: UNet::load(&scope.at("decoder.estimator"), &config.estimator, config.solver)?,
            solver: config.solver,
            steps: config.steps,
            noise_scale: config.noise_scale,
            granularity,
            device: scope.device().clone(),
        })
    }

    /// The mel of `tokens`, which continue the reference's prompt.
    ///
    /// # Shapes
    /// → `[1, 80, 2·(prompt + tokens) − prompt frames]`
    pub fn mel(&self, tokens: &[u32], reference: &Reference, noise: &mut dyn Noise) -> Tensor<3> {
        let all: Vec<u32> = reference.prompt_tokens.iter().chain(tokens).copied().collect();
        let frames = FRAMES_PER_TOKEN * all.len();
        let prompt_frames = reference.prompt_mel.len() / MEL_BINS;
        let start = self.start(frames, FRAMES_PER_TOKEN * tokens.len(), noise);
        let encoded = self.encode(&all);
        let mel = self.solve(start, encoded, frames, reference);
        mel.narrow(1, prompt_frames, frames - prompt_frames).swap_dims(1, 2)
    }

    /// The encoder's output projected to mel, padded to this device's granularity: `[1, ≥ 2·tokens, 80]`.
    pub fn encode(&self, tokens: &[u32]) -> Tensor<3> {
        let mut padded = tokens.to_vec();
        padded.resize(tokens.len().next_multiple_of(self.granularity), 0);
        self.projection.forward(self.encoder.forward(self.tokens.forward(&padded), tokens.len()))
    }

    /// From `start` (`[frames, 80]`, row-major) to mel under the conditions: `[1, ≥ frames, 80]`.
    pub fn solve(
        &self,
        start: Vec<f32>,
        encoded: Tensor<3>,
        frames: usize,
        reference: &Reference,
    ) -> Tensor<3> {
        let padded = encoded.dims()[1];
        let rows = |mut values: Vec<f32>| {
            values.resize(padded * MEL_BINS, 0.0);
            Tensor::<3>::from_data(TensorData::new(values, [1, padded, MEL_BINS]), &self.device)
        };
        let speaker = self.speaker.forward(self.unit(&reference.speaker));
        let conditions = Tensor::cat(
            vec![encoded, speaker.expand([1, padded, MEL_BINS]), rows(reference.prompt_mel.clone())],
            2,
        );
        let mask = key_mask(frames, padded, &self.device);
        self.solver.solve(self.steps, &self.estimator, rows(start), conditions, mask.as_ref())
    }

    /// Where the solve starts, `[frames, 80]` row-major: noise. For meanflow the new tokens' share of it is drawn first and by
    /// itself, as the reference does. Draws are `[80, frames]`, as the fixtures store them.
    fn start(&self, frames: usize, new_frames: usize, noise: &mut dyn Noise) -> Vec<f32> {
        let mut start = vec![0.0; frames * MEL_BINS];
        if self.noise_scale == 0.0 {
            return start;
        }
        let (new_frames, new) = match self.solver {
            Solver::Meanflow => (new_frames, noise.normal("noised", MEL_BINS * new_frames)),
            Solver::Cfm { .. } => (0, Vec::new()),
        };
        let all = noise.normal("z", MEL_BINS * frames);
        let old_frames = frames - new_frames;
        for bin in 0..MEL_BINS {
            for frame in 0..frames {
                let value = if frame < old_frames {
                    all[bin * frames + frame]
                } else {
                    new[bin * new_frames + frame - old_frames]
                };
                start[frame * MEL_BINS + bin] = value * self.noise_scale;
            }
        }
        start
    }

    /// The x-vector at length 1: `[1, 1, 192]`.
    fn unit(&self, speaker: &[f32]) -> Tensor<3> {
        let norm = speaker.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
        let values: Vec<f32> = speaker.iter().map(|v| v / norm).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, speaker.len()]), &self.device)
    }
}
