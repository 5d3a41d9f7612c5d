//! What every parity test needs: fixtures by name, the device under test, and one measure of error.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its fixture ends there")]
#![allow(dead_code, reason = "each test file is its own crate and uses a part of this")]

use std::collections::HashMap;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use chatterbox::reference_clip::ClipEncoder;
use chatterbox::s3gen::S3Gen;
use chatterbox::s3tokenizer::{S3Tokenizer, S3TokenizerConfig};
use chatterbox::speaker::campplus::{CampPlus, CampPlusConfig};
use chatterbox::speaker::voice_encoder::{VoiceEncoder, VoiceEncoderConfig};
use chatterbox::t3::T3;
use chatterbox::variant::{
    Backbone, EncoderConfig, EstimatorConfig, F0Config, HiftConfig, LlamaConfig, ModelConfig, S3GenConfig,
    T3Config,
};
use chatterbox::weights::Weights;
use safetensors::{Dtype, SafeTensors};

/// `tests/fixtures`, or the directory of the same layout that `DECLAIM_FIXTURES` names.
pub(crate) fn fixtures() -> PathBuf {
    std::env::var_os("DECLAIM_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from)
}

/// The device that the networks run on: the CPU, or the one that `DECLAIM_TEST_DEVICE` names (`vulkan`: any adapter,
/// software included).
pub(crate) fn device() -> Device {
    match std::env::var("DECLAIM_TEST_DEVICE").as_deref() {
        Err(_) | Ok("" | "cpu") => Device::flex(),
        #[cfg(feature = "gpu")]
        Ok("vulkan") => chatterbox::device::choose("vulkan".parse().unwrap()).unwrap().device,
        Ok(other) => panic!(
            "DECLAIM_TEST_DEVICE={other}: this build of the tests knows only cpu, and vulkan with the gpu feature"
        ),
    }
}

/// One fixture file: named tensors, as floats or as ids.
pub(crate) struct Fixture {
    name: String,
    floats: HashMap<String, Vec<f32>>,
    ids: HashMap<String, Vec<u32>>,
    shapes: HashMap<String, Vec<usize>>,
}

impl Fixture {
    /// Opens `<fixtures>/<name>.safetensors`.
    pub(crate) fn open(name: &str) -> Self {
        let path = fixtures().join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (mut floats, mut ids, mut shapes) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (name, view) in file.tensors() {
            let data = view.data();
            let eights = || data.chunks_exact(8).map(|b| <[u8; 8]>::try_from(b).unwrap());
            let fours = || data.chunks_exact(4).map(|b| <[u8; 4]>::try_from(b).unwrap());
            match view.dtype() {
                Dtype::F32 => drop(floats.insert(name.clone(), fours().map(f32::from_le_bytes).collect())),
                Dtype::F64 => {
                    floats.insert(name.clone(), eights().map(|b| f64::from_le_bytes(b) as f32).collect());
                }
                Dtype::I64 => {
                    ids.insert(
                        name.clone(),
                        eights().map(|b| u32::try_from(i64::from_le_bytes(b)).unwrap()).collect(),
                    );
                }
                Dtype::I32 => {
                    ids.insert(
                        name.clone(),
                        fours().map(|b| u32::try_from(i32::from_le_bytes(b)).unwrap()).collect(),
                    );
                }
                other => panic!("{name} holds {other:?}"),
            }
            shapes.insert(name, view.shape().to_vec());
        }
        Self { name: name.to_owned(), floats, ids, shapes }
    }

    pub(crate) fn has(&self, tensor: &str) -> bool {
        self.shapes.contains_key(tensor)
    }

    pub(crate) fn shape(&self, tensor: &str) -> &[usize] {
        self.shapes.get(tensor).unwrap_or_else(|| panic!("{} has no tensor {tensor}", self.name))
    }

    /// Row-major values.
    pub(crate) fn floats(&self, tensor: &str) -> Vec<f32> {
        self.floats.get(tensor).unwrap_or_else(|| panic!("{} has no floats {tensor}", self.name)).clone()
    }

    pub(crate) fn ids(&self, tensor: &str) -> Vec<u32> {
        self.ids.get(tensor).unwrap_or_else(|| panic!("{} has no ids {tensor}", self.name)).clone()
    }

    /// The tensor on `device`, in its stored shape.
    pub(crate) fn tensor<const D: usize>(&self, tensor: &str, device: &Device) -> Tensor<D> {
        let shape: [usize; D] = self.shape(tensor).try_into().unwrap();
        Tensor::from_data(burn::tensor::TensorData::new(self.floats(tensor), shape), device)
    }
}

/// A tensor's values on the host.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The largest absolute difference; infinite where either side is not a number or the lengths differ.
pub(crate) fn max_abs_error(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    found.iter().zip(expected).fold(0.0, |largest, (a, b)| {
        let error = (a - b).abs();
        if error.is_nan() { f32::INFINITY } else { largest.max(error) }
    })
}

/// Turbo's architecture at the fixtures' tiny sizes.
pub(crate) fn tiny_config() -> ModelConfig {
    let mut config = ModelConfig::nano();
    config.t3 = T3Config { layers: 2, heads: 2, width: 32, positions: 1200, text_vocab: 320, ..config.t3 };
    config.s3gen = tiny(&config.s3gen);
    config.hift = HiftConfig { base_channels: 32, f0_predictor: F0Config { channels: 32 }, ..config.hift };
    config
}

/// The original's architecture at the fixtures' tiny sizes.
pub(crate) fn tiny_original_config() -> ModelConfig {
    let mut config = ModelConfig::original();
    let Backbone::Llama(llama) = config.t3.backbone else { panic!("the original is a Llama") };
    let llama = LlamaConfig { feed_forward: 64, aligned_heads: vec![(0, 1), (1, 0)], ..llama };
    config.t3 = T3Config { backbone: Backbone::Llama(llama), layers: 2, heads: 2, width: 32, ..config.t3 };
    config.s3gen = tiny(&config.s3gen);
    config.hift = tiny_config().hift;
    config
}

fn tiny(config: &S3GenConfig) -> S3GenConfig {
    S3GenConfig {
        encoder: EncoderConfig {
            width: 32,
            heads: 4,
            feed_forward: 64,
            blocks: 2,
            up_blocks: 4,
            lookahead: 3,
        },
        estimator: EstimatorConfig { channels: vec![32], heads: 4, head_width: 8, blocks: 2, mid_blocks: 2 },
        ..config.clone()
    }
}

/// The fixtures' tiny T3 with GPT-2 inside.
pub(crate) fn tiny_t3(granularity: usize) -> T3 {
    load_t3("t3_gpt2_tiny", &tiny_config(), granularity)
}

/// The fixtures' tiny T3 with Llama inside.
pub(crate) fn tiny_llama(granularity: usize) -> T3 {
    load_t3("t3_llama_tiny", &tiny_original_config(), granularity)
}

/// The fixtures' tiny meanflow S3Gen.
pub(crate) fn tiny_s3gen(granularity: usize) -> S3Gen {
    load_s3gen("s3gen_meanflow_tiny", &tiny_config(), granularity)
}

/// The fixtures' tiny CFM S3Gen.
pub(crate) fn tiny_cfm(granularity: usize) -> S3Gen {
    load_s3gen("s3gen_tiny", &tiny_original_config(), granularity)
}

fn load_t3(name: &str, config: &ModelConfig, granularity: usize) -> T3 {
    let weights = open_weights(name);
    let t3 = T3::load(&weights.root(), &config.t3, granularity).unwrap();
    weights.finish(&chatterbox::t3::UNUSED).unwrap();
    t3
}

fn load_s3gen(name: &str, config: &ModelConfig, granularity: usize) -> S3Gen {
    let weights = open_weights(name);
    let s3gen = S3Gen::load(&weights.root(), &config.s3gen, &config.hift, granularity).unwrap();
    weights.finish(&chatterbox::s3gen::UNUSED).unwrap();
    s3gen
}

/// The tiny tokenizer of one of the fixtures' S3Gen files.
pub(crate) fn tiny_tokenizer(file: &str, granularity: usize) -> S3Tokenizer {
    let weights = Weights::open(&fixtures().join(format!("weights/{file}.safetensors")), &device()).unwrap();
    let config = S3TokenizerConfig { width: 64, heads: 1, layers: 2 };
    let tokenizer = S3Tokenizer::load(&weights.root().at("tokenizer"), &config, granularity).unwrap();
    let others = ["speaker_encoder.", "flow.", "mel2wav."];
    weights.finish(&[&others[..], &chatterbox::s3tokenizer::UNUSED[..]].concat()).unwrap();
    tokenizer
}

/// The tiny CAMPPlus of one of the fixtures' S3Gen files.
pub(crate) fn tiny_campplus(file: &str) -> CampPlus {
    let weights = Weights::open(&fixtures().join(format!("weights/{file}.safetensors")), &device()).unwrap();
    let config = CampPlusConfig { initial: 16, growth: 8, bottleneck: 16, embedding: 192 };
    let network = CampPlus::load(&weights.root().at("speaker_encoder"), &config).unwrap();
    weights.finish(&["tokenizer.", "flow.", "mel2wav."]).unwrap();
    network
}

/// The fixtures' tiny voice encoder.
pub(crate) fn tiny_voice_encoder() -> VoiceEncoder {
    let weights = Weights::open(&fixtures().join("weights/ve_tiny.safetensors"), &device()).unwrap();
    let config = VoiceEncoderConfig { width: 32, embedding: 256 };
    let encoder = VoiceEncoder::load(&weights.root(), &config).unwrap();
    weights.finish(&chatterbox::speaker::voice_encoder::UNUSED).unwrap();
    encoder
}

/// All that embeds a clip, with one of the fixtures' S3Gen files.
pub(crate) fn tiny_clip_encoder(file: &str) -> ClipEncoder {
    ClipEncoder {
        tokenizer: tiny_tokenizer(file, 1),
        speaker: tiny_campplus(file),
        voice_encoder: tiny_voice_encoder(),
    }
}

fn open_weights(name: &str) -> Weights {
    Weights::open(&fixtures().join(format!("weights/{name}.safetensors")), &device()).unwrap()
}
