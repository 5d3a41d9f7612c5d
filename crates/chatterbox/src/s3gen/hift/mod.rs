//! HiFT: mel to samples. A source of sines at the predicted pitch is shaped by convolutions that upsample the mel 120 times;
//! they end in a spectrum, which an inverse STFT with hop 4 turns into samples.
//!
//! Pitch, source and both transforms run on the host: they are small, exact there (phases add up in f64), and the samples
//! have to come back anyway. The convolutions, which are all of the cost, run on the device.

mod blocks;
pub mod source;
pub mod spectrum;

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::{Before, Conv1d, ConvTranspose1d, Linear, Padding, Snake, elu, read};
use crate::noise::Noise;
use crate::variant::{HiftConfig, MEL_BINS, MEL_HOP};
use crate::weights::{Scope, WeightError};
pub use blocks::HiftMemory;
use source::Source;

/// Samples at the start that are silenced or faded in: what the vocoder makes of a hard start.
const FADE: usize = 960;

/// The vocoder.
#[derive(Debug)]
pub struct Hift {
    pitch: PitchPredictor,
    source: Source,
    conv_pre: Conv1d,
    stages: Vec<Stage>,
    conv_post: Conv1d,
    leaky_slope: f64,
    audio_limit: f32,
    granularity: usize,
    device: Device,
}

/// One upsampling: the signal is stretched, the source joins at that rate, and the mean of parallel residual blocks goes on.
#[derive(Debug)]
struct Stage {
    upsample: ConvTranspose1d,
    source_down: Conv1d,
    source_block: ResidualBlock,
    blocks: Vec<ResidualBlock>,
}

#[derive(Debug)]
struct ResidualBlock {
    layers: Vec<ResidualLayer>,
}

#[derive(Debug)]
struct ResidualLayer {
    snake_1: Snake,
    conv_1: Conv1d,
    snake_2: Snake,
    conv_2: Conv1d,
}

#[derive(Debug)]
struct PitchPredictor {
    convs: Vec<Conv1d>,
    classifier: Linear,
}

impl Hift {
    pub fn load(scope: &Scope, config: &HiftConfig, granularity: usize) -> Result<Self, WeightError> {
        let base = config.base_channels;
        let bins = spectrum::BINS;
        let last = config.upsample_rates.len() - 1;
        let stages = (0..=last).map(|i| Stage::load(scope, config, i)).collect::<Result<_, _>>()?;
        Ok(Self {
            pitch: PitchPredictor::load(&scope.at("f0_predictor"), config.f0_predictor.channels)?,
            source: Source::load(&scope.at("m_source"), config)?,
            conv_pre: Conv1d::load_normed(&scope.at("conv_pre"), [base, MEL_BINS, 7])?
                .with_padding(Padding::Both(3)),
            stages,
            conv_post: Conv1d::load_normed(&scope.at("conv_post"), [2 * bins, base >> (last + 1), 7])?
                .with_padding(Padding::Both(3)),
            leaky_slope: config.lrelu_slope,
            audio_limit: config.audio_limit,
            granularity,
            device: scope.device().clone(),
        })
    }

    /// `[1, 80, frames]` → 480 samples a frame, the first ones faded in.
    pub fn wave(&self, mel: Tensor<3>, noise: &mut dyn Noise) -> Result<Vec<f32>, String> {
        let frames = mel.dims()[2];
        // On devices where shapes are dear, the last frame (silence) is repeated; it only changes its own neighbourhood.
        let padded = frames.next_multiple_of(self.granularity);
        let mel = if padded > frames {
            let last = mel.clone().narrow(2, frames - 1, 1).repeat_dim(2, padded - frames);
            Tensor::cat(vec![mel, last], 2)
        } else {
            mel
        };
        let pitch = self.pitch(mel.clone())?;
        let source = self.source.forward(&pitch, noise, frames);
        let mut samples = self.vocode(mel, &source)?;
        samples.truncate(frames * MEL_HOP);
        fade_in(&mut samples);
        Ok(samples)
    }

    /// The fundamental and its overtones in the source.
    pub fn harmonics(&self) -> usize {
        self.source.harmonics()
    }

    /// Hz for each frame; below the voicing threshold it means unvoiced.
    pub fn pitch(&self, mel: Tensor<3>) -> Result<Vec<f32>, String> {
        read(self.pitch.forward(mel.swap_dims(1, 2)))
    }

    /// Mel and source to samples, without the fade.
    ///
    /// # Shapes
    /// `mel` `[1, 80, frames]`, `source` `[480·frames]` → `[480·frames]`
    pub fn vocode(&self, mel: Tensor<3>, source: &[f32]) -> Result<Vec<f32>, String> {
        let device = mel.device();
        let analysed = spectrum::analyse(source);
        let columns = analysed.len() / (2 * spectrum::BINS);
        let analysed =
            Tensor::<3>::from_data(TensorData::new(analysed, [1, columns, 2 * spectrum::BINS]), &device);

        let mut x = self.conv_pre.forward(mel.swap_dims(1, 2)); // [1, frames, channels]
        let last = self.stages.len() - 1;
        for (index, stage) in self.stages.iter().enumerate() {
            x = stage.upsample.forward_after(Before::LeakyRelu(self.leaky_slope), x);
            if index == last {
                // One more column, as a centred STFT has: the second is mirrored before the first.
                x = Tensor::cat(vec![x.clone().narrow(1, 1, 1), x], 1);
            }
            x = x + stage.source_block.forward(stage.source_down.forward(analysed.clone()));
            let count = stage.blocks.len() as f64;
            let mut sum: Option<Tensor<3>> = None;
            for block in &stage.blocks {
                let y = block.forward(x.clone());
                sum = Some(match sum {
                    Some(sum) => sum + y,
                    None => y,
                });
            }
            x = sum.map_or(x, |sum| sum / count);
        }
        // The last activation has PyTorch's default slope, not the configured one.
        let x = self.conv_post.forward_after(Before::LeakyRelu(0.01), x);
        Ok(spectrum::synthesise(&read(x)?, self.audio_limit))
    }
}

/// Half of the fade is silence, the other half a raised cosine.
fn fade_in(samples: &mut [f32]) {
    for (sample, gain) in samples.iter_mut().zip(fade_gains()) {
        *sample *= gain;
    }
}

/// The gains of the first samples.
pub fn fade_gains() -> [f32; FADE] {
    const HALF: usize = FADE / 2;
    std::array::from_fn(|i| {
        if i < HALF {
            0.0
        } else {
            // linspace(π, 0, HALF)
            let angle = std::f32::consts::PI * (1.0 - (i - HALF) as f32 / (HALF as f32 - 1.0));
            f32::midpoint(angle.cos(), 1.0)
        }
    })
}

impl Stage {
    fn load(scope: &Scope, config: &HiftConfig, index: usize) -> Result<Self, WeightError> {
        let (rate, kernel) = (config.upsample_rates[index], config.upsample_kernel_sizes[index]);
        let inputs = config.base_channels >> index;
        let channels = inputs / 2;
        // The source's spectrum has the rate behind the last upsampling; what the later ones still multiply is divided out.
        let stride: usize = config.upsample_rates[index + 1..].iter().product();
        let (down_kernel, down_padding) = if stride == 1 { (1, 0) } else { (2 * stride, stride / 2) };
        let parallel = config.resblock_kernel_sizes.len();
        Ok(Self {
            upsample: ConvTranspose1d::load_normed(
                &scope.at("ups").index(index),
                [inputs, channels, kernel],
                rate,
                (kernel - rate) / 2,
            )?,
            source_down: Conv1d::load(
                &scope.at("source_downs").index(index),
                [channels, 2 * spectrum::BINS, down_kernel],
            )?
            .with_stride(stride)
            .with_padding(Padding::Both(down_padding)),
            source_block: ResidualBlock::load(
                &scope.at("source_resblocks").index(index),
                channels,
                config.source_resblock_kernel_sizes[index],
                &config.source_resblock_dilation_sizes[index],
            )?,
            blocks: (0..parallel)
                .map(|j| {
                    ResidualBlock::load(
                        &scope.at("resblocks").index(parallel * index + j),
                        channels,
                        config.resblock_kernel_sizes[j],
                        &config.resblock_dilation_sizes[j],
                    )
                })
                .collect::<Result<_, _>>()?,
        })
    }
}

impl ResidualBlock {
    fn load(scope: &Scope, channels: usize, kernel: usize, dilations: &[usize]) -> Result<Self, WeightError> {
        let shape = [channels, channels, kernel];
        let layers = dilations
            .iter()
            .enumerate()
            .map(|(i, &dilation)| {
                Ok(ResidualLayer {
                    snake_1: Snake::load(&scope.at("activations1").index(i), channels)?,
                    conv_1: Conv1d::load_normed(&scope.at("convs1").index(i), shape)?
                        .with_dilation(dilation)
                        .with_padding(Padding::Both(dilation * (kernel - 1) / 2)),
                    snake_2: Snake::load(&scope.at("activations2").index(i), channels)?,
                    conv_2: Conv1d::load_normed(&scope.at("convs2").index(i), shape)?
                        .with_padding(Padding::Both((kernel - 1) / 2)),
                })
            })
            .collect::<Result<_, WeightError>>()?;
        Ok(Self { layers })
    }

    fn forward(&self, mut x: Tensor<3>) -> Tensor<3> {
        for layer in &self.layers {
            let y = layer.conv_1.forward_after(Before::Snake(&layer.snake_1), x.clone());
            x = layer.conv_2.add_forward_after(x, Before::Snake(&layer.snake_2), y);
        }
        x
    }
}

impl PitchPredictor {
    fn load(scope: &Scope, channels: usize) -> Result<Self, WeightError> {
        // The odd entries of the list are activations.
        let convs = [0, 2, 4, 6, 8]
            .into_iter()
            .map(|i| {
                let inputs = if i == 0 { MEL_BINS } else { channels };
                let conv = Conv1d::load_normed(&scope.at("condnet").index(i), [channels, inputs, 3])?;
                Ok(conv.with_padding(Padding::Both(1)))
            })
            .collect::<Result<_, WeightError>>()?;
        Ok(Self { convs, classifier: Linear::load(&scope.at("classifier"), channels, 1)? })
    }

    /// `[1, frames, 80]` → `[1, frames, 1]`
    fn forward(&self, mut x: Tensor<3>) -> Tensor<3> {
        for conv in &self.convs {
            x = elu(conv.forward(x));
        }
        self.classifier.forward(x).abs()
    }
}
