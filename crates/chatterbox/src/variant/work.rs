//! What speaking takes, counted from a checkpoint's sizes: operations of matrix products, convolutions and attention, and
//! bytes of weights. Over what a processor does in a second it says how fast a model will speak there, before it is even
//! downloaded.

use super::{
    EncoderConfig, EstimatorConfig, FRAMES_PER_TOKEN, HiftConfig, MEL_BINS, ModelConfig, Solver, T3Config,
};
use crate::t3::T3;
use crate::weights::Precision;

/// Speech tokens of a second.
const TOKENS_PER_SECOND: usize = 25;

/// One sentence as the counts assume it: six seconds behind a cloned voice of ten.
const SENTENCE: usize = 6 * TOKENS_PER_SECOND;
const PROMPT: usize = 10 * TOKENS_PER_SECOND;

/// The work of one second of speech, of a sentence of usual length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Bytes of weights, keys and values that T3's steps read.
    pub read_bytes: f64,
    /// Operations, a multiplication and an addition counting as two, of everything that works on many rows at a time: the
    /// reading of the text, S3Gen and the vocoder.
    pub operations: f64,
}

impl ModelConfig {
    /// The work of a second of speech, T3's weights kept at `precision`.
    pub fn work(&self, precision: Precision) -> Work {
        let seconds = (SENTENCE / TOKENS_PER_SECOND) as f64;
        let prompt = if self.t3.prompt_tokens == 0 { 0 } else { PROMPT };
        let rows = T3::rows(&self.sampling);
        // About a token for three of speech.
        let text = SENTENCE / 3;
        let step = self.step_bytes(precision, self.t3.conditioning() + text + SENTENCE / 2);
        // What comes before the text is remembered from the last one.
        let reading = rows * text * 2 * self.t3.decoding_weights();
        let tokens = SENTENCE + prompt;
        let sound = self.flow_operations(tokens) + self.hift.operations(SENTENCE * FRAMES_PER_TOKEN);
        Work { read_bytes: (TOKENS_PER_SECOND * step) as f64, operations: (reading + sound) as f64 / seconds }
    }

    /// Bytes that a decoding step behind `context` positions reads.
    pub fn step_bytes(&self, precision: Precision, context: usize) -> usize {
        let keys_values = 2 * self.t3.layers * self.t3.width * context * T3::rows(&self.sampling);
        precision.bytes_for(self.t3.decoding_weights()) + keys_values * size_of::<f32>()
    }

    /// Bytes of the weights that speaking needs, T3's kept at `precision`: without the networks that embed clips, which are
    /// there only while they do.
    pub fn weight_bytes(&self, precision: Precision) -> usize {
        let t3 = &self.t3;
        let tables = t3.width * (t3.text_vocab + t3.speech_vocab);
        let positions = match t3.backbone {
            super::Backbone::Gpt2 => t3.positions * t3.width,
            super::Backbone::Llama(_) => 0,
        };
        precision.bytes_for(t3.decoding_weights())
            + size_of::<f32>() * (tables + positions + self.sound_weights())
    }

    /// Bytes of what is remembered of a voice, keys and values of every layer: by T3 of its conditioning, and by each step of the
    /// flow of a cloned one, to speak in blocks.
    pub fn remembered_bytes(&self) -> usize {
        let conditioning = 2 * self.t3.layers * self.t3.width * self.t3.conditioning();
        size_of::<f32>() * conditioning + self.remembered_by_flow()
    }

    fn remembered_by_flow(&self) -> usize {
        let estimator = &self.s3gen.estimator;
        let layers = estimator.inputs().count() * estimator.blocks;
        let width = estimator.heads * estimator.head_width;
        match self.s3gen.solver {
            Solver::Meanflow if self.t3.prompt_tokens > 0 => {
                let frames = PROMPT * FRAMES_PER_TOKEN;
                size_of::<f32>() * self.s3gen.steps * layers * 2 * width * frames
            }
            // A fixed voice has no prompt; guided steps do not speak in blocks.
            Solver::Meanflow | Solver::Cfm { .. } => 0,
        }
    }

    /// Weights of S3Gen and the vocoder: what each multiplies once for a row is two operations for it.
    fn sound_weights(&self) -> usize {
        let s3gen = &self.s3gen;
        let encoder = s3gen.encoder.weights();
        encoder + s3gen.vocab * s3gen.encoder.width + s3gen.estimator.weights() + self.hift.weights()
    }

    /// The flow over so many tokens, the prompt's included.
    fn flow_operations(&self, tokens: usize) -> usize {
        let s3gen = &self.s3gen;
        let guided = match s3gen.solver {
            Solver::Meanflow => 1,
            Solver::Cfm { .. } => 2,
        };
        let evaluations = s3gen.steps * guided;
        s3gen.encoder.operations(tokens) + evaluations * s3gen.estimator.operations(tokens * FRAMES_PER_TOKEN)
    }
}

impl T3Config {
    /// Positions before the text: the speaker, the prompt or what the perceiver makes of it, and the emotion.
    fn conditioning(&self) -> usize {
        match &self.backbone {
            super::Backbone::Gpt2 => 1 + self.prompt_tokens,
            super::Backbone::Llama(llama) => 1 + llama.perceiver_queries + 1,
        }
    }

    /// Weights that decoding a token reads.
    pub fn decoding_weights(&self) -> usize {
        let feed_forward = match &self.backbone {
            super::Backbone::Gpt2 => 8 * self.width,
            super::Backbone::Llama(llama) => 3 * llama.feed_forward,
        };
        self.width * (self.layers * (4 * self.width + feed_forward) + self.speech_vocab)
    }
}

/// Operations of a convolution over `length` rows.
fn conv(inputs: usize, outputs: usize, kernel: usize, length: usize) -> usize {
    2 * inputs * outputs * kernel * length
}

impl EncoderConfig {
    /// One layer: four projections, one of relative positions, and the feed-forward pair.
    fn layer_weights(&self) -> usize {
        self.width * (5 * self.width + 2 * self.feed_forward)
    }

    /// The input layers, the two convolutions that look around, the upsampling one, and the projection to mel.
    fn other_weights(&self) -> usize {
        self.width * (self.width * (1 + self.lookahead + 1 + 3 + 5 + 1) + MEL_BINS)
    }

    fn weights(&self) -> usize {
        (self.blocks + self.up_blocks) * self.layer_weights() + self.other_weights()
    }

    /// `[n tokens] → [2n frames]`
    fn operations(&self, n: usize) -> usize {
        let width = self.width;
        let layer = |rows: usize| {
            let distances = 2 * rows - 1;
            let projections =
                2 * rows * width * (4 * width + 2 * self.feed_forward) + 2 * distances * width * width;
            // Scores by content and by distance, then the weighted sum.
            let attention = 4 * rows * rows * width + 2 * rows * distances * width;
            projections + attention
        };
        let frames = FRAMES_PER_TOKEN * n;
        conv(width, width, 1 + self.lookahead + 1 + 3, n)
            + self.blocks * layer(n)
            + conv(width, width, 5 + 1, frames)
            + self.up_blocks * layer(frames)
            + conv(width, MEL_BINS, 1, frames)
    }
}

impl EstimatorConfig {
    /// Noise, mean, speaker and prompt, side by side.
    const SIGNALS: usize = 4;
    /// A block's feed-forward layer is so many times as wide as the block.
    const FEED_FORWARD: usize = 4;

    /// Residual blocks by their inputs: down, in the middle, up.
    fn inputs(&self) -> impl Iterator<Item = usize> {
        let width = self.width();
        let ends = [Self::SIGNALS * MEL_BINS, 2 * width];
        ends.into_iter().chain(std::iter::repeat_n(width, self.mid_blocks))
    }

    /// Weights, or operations of a row without attention: both are sums over the same products.
    fn products(&self) -> usize {
        let (width, inner) = (self.width(), self.heads * self.head_width);
        let block = width * (4 * inner + 2 * Self::FEED_FORWARD * width);
        let residual = |inputs: usize| width * (4 * inputs + 3 * width);
        let levels: usize = self.inputs().map(|inputs| residual(inputs) + self.blocks * block).sum();
        // Behind the way down, behind the way up, and at the end.
        levels + 3 * 3 * width * width + width * MEL_BINS
    }

    fn weights(&self) -> usize {
        self.products()
    }

    /// One evaluation over so many frames.
    fn operations(&self, frames: usize) -> usize {
        let attention = 4 * frames * frames * self.heads * self.head_width;
        2 * frames * self.products() + self.inputs().count() * self.blocks * attention
    }
}

impl HiftConfig {
    /// Convolutions as (inputs, outputs, kernel, rows for a frame of mel).
    fn convolutions(&self) -> Vec<[usize; 4]> {
        let f0 = self.f0_predictor.channels;
        let mut all = vec![[MEL_BINS, self.base_channels, 7, 1], [MEL_BINS, f0, 3, 1]];
        all.extend([[f0, f0, 3, 1]; 4]);
        let bins = self.istft_params.n_fft + 2;
        let (mut channels, mut rows) = (self.base_channels, 1);
        for (stage, (&rate, &kernel)) in
            self.upsample_rates.iter().zip(&self.upsample_kernel_sizes).enumerate()
        {
            let inputs = channels;
            channels /= 2;
            // A transposed convolution multiplies for each row that comes in.
            all.push([inputs, channels, kernel, rows]);
            rows *= rate;
            // The source comes down to this rate.
            let left: usize = self.upsample_rates.iter().skip(stage + 1).product();
            all.push([bins, channels, if left == 1 { 1 } else { 2 * left }, rows]);
            let source = self.source_resblock_kernel_sizes.get(stage).copied().unwrap_or_default();
            let blocks = self.resblock_kernel_sizes.iter().zip(&self.resblock_dilation_sizes);
            let source_dilations = self.source_resblock_dilation_sizes.get(stage).map_or(0, Vec::len);
            all.extend(std::iter::repeat_n([channels, channels, source, rows], 2 * source_dilations));
            for (&kernel, dilations) in blocks {
                all.extend(std::iter::repeat_n([channels, channels, kernel, rows], 2 * dilations.len()));
            }
        }
        all.push([channels, bins, 7, rows]);
        all
    }

    fn weights(&self) -> usize {
        self.convolutions().iter().map(|[inputs, outputs, kernel, _]| inputs * outputs * kernel).sum()
    }

    fn operations(&self, frames: usize) -> usize {
        let each = self.convolutions();
        each.iter().map(|&[inputs, outputs, kernel, rows]| conv(inputs, outputs, kernel, rows * frames)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gflop(operations: usize) -> f64 {
        operations as f64 / 1e9
    }

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 0.03, "{found} is not about {expected}");
    }

    /// The figures of PyTorch's own counter, run on the reference's networks.
    #[test]
    fn operations_are_those_that_the_reference_counts() {
        let (nano, original) = (ModelConfig::nano(), ModelConfig::original());
        close(gflop(nano.flow_operations(500)), 573.0);
        close(gflop(nano.flow_operations(350)), 348.0);
        close(gflop(nano.flow_operations(250)), 223.0);
        close(gflop(original.flow_operations(500)), 5016.0);
        close(gflop(nano.hift.operations(50)), 30.6);
    }

    #[test]
    fn a_step_reads_every_weight_of_t3() {
        for (config, gigabytes) in
            [(ModelConfig::nano(), 0.36), (ModelConfig::turbo(), 1.23), (ModelConfig::original(), 2.05)]
        {
            close(config.step_bytes(Precision::F32, 0) as f64 / 1e9, gigabytes);
        }
        let [f32, int8] =
            [Precision::F32, Precision::Int8].map(|kept| ModelConfig::nano().work(kept).read_bytes);
        assert!(int8 < f32 / 2.0);
    }

    #[test]
    fn larger_models_take_more_work_and_more_memory() {
        let all = [ModelConfig::nano(), ModelConfig::turbo(), ModelConfig::original()];
        let work = all.each_ref().map(|config| config.work(Precision::Int8));
        assert!(work[0].read_bytes < work[1].read_bytes && work[1].read_bytes < work[2].read_bytes);
        assert!(work[0].operations < work[1].operations && work[1].operations < work[2].operations);
        let bytes = all.each_ref().map(|config| config.weight_bytes(Precision::F32));
        assert!(bytes[0] < bytes[1] && bytes[1] < bytes[2]);
    }
}
