//! `declaim bench`: measures each stage of a model by itself, on the shapes that the reference's benchmark uses, so that the two can be put
//! side by side: a prefix of 400 positions, single steps behind it, and whole utterances of 100 and 250 tokens.
//!
//! Weights may be random ([`crate::weights::formula`]): what a stage costs depends on shapes alone. The number of tokens is
//! therefore fixed instead of ending at a stop token.

pub mod machine;

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use crate::device::Choice;
use crate::noise::{Noise as _, Seeded};
use crate::pipeline::{LoadError, load_networks};
use crate::s3gen::{Cut, Reference, S3Gen};
use crate::t3::{Speaker, T3, T3Error, sampling};
use crate::variant::{MEL_BINS, ModelConfig};
use crate::weights::{Precision, Weights};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    pub model: Model,
    /// Tokens of the reference clip in S3Gen; ignored for `pico`, which has none.
    pub prompt_tokens: usize,
    /// Lengths of the utterances, in speech tokens.
    pub utterances: Vec<usize>,
    /// Sequences that decode together in the measurement of batches; 0 leaves it out.
    pub batch: usize,
    /// Repetitions; the best one counts, since everything else on a machine only adds time.
    pub repetitions: usize,
}

/// Which sizes, and whose weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The embedded voice with its own weights.
    Pico,
    /// Full sizes with weights from the formula.
    RandomNano,
    RandomTurbo,
    RandomOriginal,
}

/// Seconds throughout.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub model: String,
    pub weights: String,
    pub device: String,
    pub device_reason: String,
    /// Of T3's weights.
    pub precision: String,
    /// The CPU's rates; `None` when a GPU was measured.
    pub machine: Option<machine::Machine>,
    pub load_s: f64,
    pub prefill: Prefill,
    pub step: StepReport,
    pub batch: Option<BatchReport>,
    pub utterances: Vec<UtteranceReport>,
    /// Time until the first sample of the shortest utterance: until its first block, where it can be spoken in blocks.
    pub first_audio_s: f64,
    /// The shortest utterance in blocks; nothing where this model speaks only whole on this device.
    pub blocks: Option<BlocksReport>,
    /// Largest resident size of the process, where the system tells.
    pub peak_memory_mb: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Prefill {
    pub positions: usize,
    pub best_s: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Positions in the cache when the first step starts.
    pub context: usize,
    pub best_s: f64,
    pub median_s: f64,
    pub tokens_per_s: f64,
    /// Bytes of weights, keys and values that a step reads.
    pub bytes: usize,
}

/// One step of several sequences together.
#[derive(Clone, Debug, Serialize)]
pub struct BatchReport {
    pub sequences: usize,
    pub best_s: f64,
    pub best_per_token_s: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct UtteranceReport {
    pub tokens: usize,
    pub prompt_tokens: usize,
    pub audio_s: f64,
    /// Prefill, then one step, read-back and draw for each token.
    pub t3_s: f64,
    pub s3gen_s: f64,
    pub hift_s: f64,
    pub total_s: f64,
    /// Total over audio: below 1 is faster than real time.
    pub rtf: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    T3(#[from] T3Error),
    #[error("the device did not return the samples: {0}")]
    Device(String),
}

/// Loads the model and measures it; `progress` is told what is being measured.
pub fn run(options: &Options, choice: &Choice, progress: &mut dyn FnMut(&str)) -> Result<Report, BenchError> {
    progress("loading weights");
    let started = Instant::now();
    let (name, weights, bench) = Bench::load(options, choice)?;
    sync(&choice.device);
    let load_s = started.elapsed().as_secs_f64();

    progress("T3: prefix");
    let positions = 400.min(bench.config.t3.positions / 2);
    let mut prefill = Duration::MAX;
    for _ in 0..=options.repetitions {
        prefill = prefill.min(bench.prefill(positions)?);
    }
    progress("T3: single steps");
    let mut steps = bench.steps(positions, 40)?;
    steps.drain(..2);
    steps.sort_unstable();
    let (best, median) = (steps[0].as_secs_f64(), steps[steps.len() / 2].as_secs_f64());

    let batch = if options.batch == 0 {
        None
    } else {
        progress("T3: steps of a batch");
        let mut steps = bench.batch_steps(positions, options.batch, 20)?;
        steps.sort_unstable();
        let best_s = steps[0].as_secs_f64();
        Some(BatchReport {
            sequences: options.batch,
            best_s,
            best_per_token_s: best_s / options.batch as f64,
        })
    };

    let mut utterances = Vec::new();
    for &tokens in &options.utterances {
        progress(&format!("utterance of {tokens} tokens"));
        let mut best: Option<UtteranceReport> = None;
        for _ in 0..=options.repetitions {
            let report = bench.utterance(tokens)?;
            if best.as_ref().is_none_or(|best| report.total_s < best.total_s) {
                best = Some(report);
            }
        }
        utterances.extend(best);
    }
    let whole_s = utterances.iter().map(|u| u.total_s).fold(f64::INFINITY, f64::min);
    // Before what takes memory of its own.
    let peak_memory_mb = peak_memory_mb();
    progress("the shortest in blocks");
    let blocks = bench.blocks(options)?;
    progress("what the processor can do");
    let machine = (!choice.is_gpu).then(machine::measure);
    Ok(Report {
        model: name,
        weights,
        device: choice.name.clone(),
        device_reason: choice.reason.clone(),
        precision: bench.precision.to_string(),
        machine,
        load_s,
        batch,
        prefill: Prefill { positions, best_s: prefill.as_secs_f64() },
        step: StepReport {
            context: positions,
            best_s: best,
            median_s: median,
            tokens_per_s: 1.0 / median,
            bytes: bench.config.step_bytes(bench.precision, positions),
        },
        first_audio_s: blocks.as_ref().map_or(whole_s, |blocks| blocks.first_audio_s),
        blocks,
        utterances,
        peak_memory_mb,
    })
}

/// One utterance in blocks.
#[derive(Clone, Debug, Serialize)]
pub struct BlocksReport {
    pub tokens: usize,
    /// What is done once for a voice.
    pub voice_s: f64,
    pub first_audio_s: f64,
    /// Until the last sample.
    pub total_s: f64,
}

struct Bench {
    precision: Precision,
    t3: T3,
    s3gen: S3Gen,
    config: ModelConfig,
    speaker: Speaker,
    reference: Reference,
    device: Device,
}

impl Bench {
    fn load(options: &Options, choice: &Choice) -> Result<(String, String, Self), LoadError> {
        let device = &choice.device;
        let (name, kind, config, t3, s3gen) = match options.model {
            Model::Pico => {
                let checkpoint = crate::pico::checkpoint(device)?;
                ("pico", "embedded", checkpoint.config, checkpoint.t3, checkpoint.s3gen)
            }
            Model::RandomNano => {
                let weights = ["t3_nano_v1", "s3gen_meanflow"].map(|key| Weights::formula(key, device));
                let [t3, s3gen] = weights;
                ("nano", "random", ModelConfig::nano(), t3, s3gen)
            }
            Model::RandomTurbo => {
                let weights = ["t3_turbo_v1", "s3gen_meanflow"].map(|key| Weights::formula(key, device));
                let [t3, s3gen] = weights;
                ("turbo", "random", ModelConfig::turbo(), t3, s3gen)
            }
            Model::RandomOriginal => {
                let weights = ["t3_cfg", "s3gen"].map(|key| Weights::formula(key, device));
                let [t3, s3gen] = weights;
                ("original", "random", ModelConfig::original(), t3, s3gen)
            }
        };
        let precision = choice.rounding_for(&config.t3);
        let (t3, s3gen) = load_networks(&config, t3, s3gen, choice)?;
        let mut noise = Seeded::new(1);
        let prompt_tokens = if config.t3.prompt_tokens == 0 { 0 } else { options.prompt_tokens };
        let bench = Self {
            precision,
            t3,
            s3gen,
            speaker: Speaker {
                embedding: noise.normal("speaker", config.t3.speaker_width),
                prompt: some_tokens(config.t3.prompt_tokens, config.s3gen.vocab),
                ..Speaker::default()
            },
            reference: Reference {
                prompt_tokens: some_tokens(prompt_tokens, config.s3gen.vocab),
                prompt_mel: noise
                    .normal("mel", 2 * prompt_tokens * MEL_BINS)
                    .iter()
                    .map(|v| v - 4.0)
                    .collect(),
                speaker: noise.normal("x-vector", config.s3gen.speaker_width),
            },
            config,
            device: device.clone(),
        };
        Ok((name.to_owned(), kind.to_owned(), bench))
    }

    /// As many sequences as this model decodes side by side.
    fn embeddings(&self, positions: usize) -> Tensor<3> {
        let shape = [T3::rows(&self.config.sampling), positions, self.config.t3.width];
        let values = Seeded::new(2).normal("embeddings", shape.iter().product());
        Tensor::<3>::from_data(TensorData::new(values, shape), &self.device) * 0.3
    }

    fn prefill(&self, positions: usize) -> Result<Duration, T3Error> {
        let embeddings = self.embeddings(positions);
        let mut cache = self.t3.cache(embeddings.dims()[0], positions);
        sync(&self.device);
        let started = Instant::now();
        crate::t3::read(self.t3.prefill(embeddings, &mut cache))?;
        Ok(started.elapsed())
    }

    fn steps(&self, context: usize, count: usize) -> Result<Vec<Duration>, T3Error> {
        let embeddings = self.embeddings(context);
        let mut cache = self.t3.cache(embeddings.dims()[0], context + count);
        crate::t3::read(self.t3.prefill(embeddings, &mut cache))?;
        (0..count)
            .map(|index| {
                let started = Instant::now();
                crate::t3::read(self.t3.step(index as u32, &mut cache))?;
                Ok(started.elapsed())
            })
            .collect()
    }

    /// Each sequence stands at a context of its own, as chunks of a text do: up to a tenth shorter.
    fn batch_steps(&self, context: usize, sequences: usize, count: usize) -> Result<Vec<Duration>, T3Error> {
        let mut caches = (0..sequences)
            .map(|index| {
                let context = context - context / 10 * index / sequences;
                let embeddings = self.embeddings(context);
                let mut cache = self.t3.cache(embeddings.dims()[0], context + count);
                crate::t3::read(self.t3.prefill(embeddings, &mut cache))?;
                Ok(cache)
            })
            .collect::<Result<Vec<_>, T3Error>>()?;
        let tokens = some_tokens(sequences, self.config.s3gen.vocab);
        (0..count)
            .map(|_| {
                let mut caches: Vec<_> = caches.iter_mut().collect();
                let started = Instant::now();
                crate::t3::read(self.t3.step_together(&tokens, &mut caches))?;
                Ok(started.elapsed())
            })
            .collect()
    }

    /// The shortest utterance in blocks.
    fn blocks(&self, options: &Options) -> Result<Option<BlocksReport>, BenchError> {
        let Some(&tokens) = options.utterances.iter().min() else { return Ok(None) };
        let started = Instant::now();
        let prepared = self.s3gen.prepare(&self.reference).map_err(BenchError::Device)?;
        let Some(prepared) = prepared else { return Ok(None) };
        let mut best = BlocksReport {
            tokens,
            voice_s: started.elapsed().as_secs_f64(),
            first_audio_s: f64::INFINITY,
            total_s: f64::INFINITY,
        };
        for _ in 0..=options.repetitions {
            let started = Instant::now();
            let mut blocks = self.s3gen.blocks(&prepared, Cut::default(), 3);
            let mut first = None;
            self.tokens(tokens, &mut Seeded::new(3), &mut |token| {
                if blocks.push(token).map_err(BenchError::Device)?.is_some() {
                    first.get_or_insert_with(|| started.elapsed().as_secs_f64());
                }
                Ok(())
            })?;
            blocks.finish().map_err(BenchError::Device)?;
            let total = started.elapsed().as_secs_f64();
            best.first_audio_s = best.first_audio_s.min(first.unwrap_or(total));
            best.total_s = best.total_s.min(total);
        }
        Ok(Some(best))
    }

    /// Speaks as many tokens, and gives each to `hear`.
    fn tokens(
        &self,
        tokens: usize,
        noise: &mut Seeded,
        hear: &mut dyn FnMut(u32) -> Result<(), BenchError>,
    ) -> Result<Vec<u32>, BenchError> {
        let text = some_tokens(24, self.config.t3.text_vocab);
        let sampling = &self.config.sampling;
        let prefix = self.t3.prefix(&text, &self.speaker, sampling)?;
        let [rows, length, _] = prefix.dims();
        let mut cache = self.t3.cache(rows, length + tokens);
        let mut logits = crate::t3::read(self.t3.prefill(prefix, &mut cache))?;
        let mut spoken = Vec::with_capacity(tokens);
        while spoken.len() < tokens {
            sampling::guide(&mut logits, self.config.t3.speech_vocab, sampling.cfg_weight);
            let token = sampling::sample(&mut logits, &spoken, sampling, noise).unwrap_or(0);
            // A fixed count is measured, so control tokens are replaced instead of obeyed.
            let token = token % self.config.s3gen.vocab as u32;
            spoken.push(token);
            hear(token)?;
            logits = crate::t3::read(self.t3.step(token, &mut cache))?;
        }
        Ok(spoken)
    }

    fn utterance(&self, tokens: usize) -> Result<UtteranceReport, BenchError> {
        let mut noise = Seeded::new(3);
        let started = Instant::now();
        let spoken = self.tokens(tokens, &mut noise, &mut |_token| Ok(()))?;
        let t3_done = Instant::now();
        let mel = self.s3gen.mel(&spoken, &self.reference, &mut noise);
        sync(&self.device);
        let mel_done = Instant::now();
        let samples = self.s3gen.wave(mel, &mut noise).map_err(BenchError::Device)?;
        let done = Instant::now();

        let audio_s = samples.len() as f64 / f64::from(crate::variant::SAMPLE_RATE);
        let total_s = (done - started).as_secs_f64();
        Ok(UtteranceReport {
            tokens,
            prompt_tokens: self.reference.prompt_tokens.len(),
            audio_s,
            t3_s: (t3_done - started).as_secs_f64(),
            s3gen_s: (mel_done - t3_done).as_secs_f64(),
            hift_s: (done - mel_done).as_secs_f64(),
            total_s,
            rtf: total_s / audio_s,
        })
    }
}

/// Some ids below `vocabulary`, spread over it.
fn some_tokens(count: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 7919 + 13) % vocabulary) as u32).collect()
}

/// Waits until the device has done everything. A device that cannot will say so at the next read-back.
fn sync(device: &Device) {
    if let Err(error) = device.sync() {
        tracing::warn!(?error, "the device could not be synchronised");
    }
}

/// The high-water mark of this process's resident memory.
pub fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
