//! Flow matching from tokens to mel: encode tokens, then solve from noise to mel under prompt and speaker.

use burn::tensor::{Device, Tensor, TensorData};

use super::Reference;
use super::encoder::{Encoder, Tables, key_mask};
use super::solver::solve_behind;
use super::unet::UNet;
use crate::nn::past::{Memory, Recall, can_remember};
use crate::nn::{Embedding, Linear};
use crate::noise::{Noise, Placed};
use crate::variant::{FRAMES_PER_TOKEN, MEL_BINS, S3GenConfig, Solver};
use crate::weights::{Scope, WeightError};

/// Frames of the speech so far, besides the prompt, that new ones attend to: 20 seconds, which hardly a sentence exceeds.
/// Nano remembers 0.46 MB for each.
const CONTEXT: usize = 1000;

/// What the flow has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct FlowMemory {
    encoder: Memory,
    /// One for each step of the solver, which sees another signal in each.
    steps: Vec<Memory>,
    /// Tokens seen, those of the prompt included.
    pub(super) tokens: usize,
}

impl FlowMemory {
    /// From here on, clones share what is remembered by now.
    pub(super) fn share(&mut self) {
        self.encoder.share();
        self.steps.iter_mut().for_each(Memory::share);
    }

    pub(super) fn bytes(&self) -> usize {
        self.encoder.bytes() + self.steps.iter().map(Memory::bytes).sum::<usize>()
    }
}

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

    /// Whether [`Self::extend`] works: on the CPU, and for meanflow's few steps, each of which has a memory of its own. Ten
    /// guided ones would remember 5 MB for each frame.
    pub(super) fn can_extend(&self) -> bool {
        can_remember(&self.device) && matches!(self.solver, Solver::Meanflow)
    }

    pub(super) fn tables(&self, tokens: usize, stretch: usize) -> Result<Tables, String> {
        self.encoder.tables(tokens, stretch, &self.device)
    }

    /// Tokens behind the last one whose frames can be made.
    pub(super) fn ahead(&self) -> usize {
        self.encoder.ahead()
    }

    /// The frames of `tokens`, which follow those of `memory`; the first `kept` of them join it. What lies behind the last
    /// one is not known yet, unless `is_last`: so the last [`Self::ahead`] tokens give no frames.
    ///
    /// # Shapes
    /// → `[1, 2·(tokens − ahead), 80]`
    pub(super) fn extend(
        &self,
        memory: &mut FlowMemory,
        tokens: &[u32],
        (kept, is_last): (usize, bool),
        reference: &Reference,
        (tables, noise): (&Tables, &Placed),
    ) -> Tensor<3> {
        if memory.steps.is_empty() {
            memory.steps.resize(self.steps, Memory::default());
        }
        let ahead = if is_last { 0 } else { self.ahead() };
        let recall = Recall::new(&mut memory.encoder, kept, usize::MAX);
        let encoded = self.encoder.forward_behind(self.tokens.forward(tokens), ahead, tables, recall);
        let encoded = self.projection.forward(encoded);

        let frames = encoded.dims()[1];
        let first = FRAMES_PER_TOKEN * memory.tokens;
        let rows = |values: Vec<f32>| {
            Tensor::<3>::from_data(TensorData::new(values, [1, frames, MEL_BINS]), &self.device)
        };
        let prompted: Vec<f32> = reference.prompt_mel.iter().skip(first * MEL_BINS).copied().collect();
        let prompted = prompted.into_iter().chain(std::iter::repeat(0.0)).take(frames * MEL_BINS).collect();
        let speaker = self.speaker.forward(self.unit(&reference.speaker));
        let conditions = Tensor::cat(vec![encoded, speaker.expand([1, frames, MEL_BINS]), rows(prompted)], 2);

        let old = FRAMES_PER_TOKEN * reference.prompt_tokens.len();
        let start = if self.noise_scale == 0.0 {
            vec![0.0; frames * MEL_BINS]
        } else {
            let (from, to) = (first.max(old) - old, (first + frames).max(old) - old);
            let mut start = noise.prompt_mel(first.min(old)..(first + frames).min(old));
            start.extend(noise.mel(from..to));
            start.iter().map(|value| value * self.noise_scale).collect()
        };
        memory.tokens += kept;
        let reach = (FRAMES_PER_TOKEN * kept, CONTEXT);
        solve_behind(self.steps, &self.estimator, rows(start), &conditions, &mut memory.steps, reach)
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
