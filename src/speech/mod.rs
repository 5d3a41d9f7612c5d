//! From a valid request to one waveform. Knows nothing of jobs, files or HTTP.
//!
//! The journey of a text: `request` checks it against the models that `catalog` describes, `normalize` reads numbers and
//! symbols out, `chunk` cuts it into pieces a model can speak, `engine` (the models' own thread) speaks each piece, `stitch`
//! joins them with pauses, `assemble` makes the file. Progress and cancellation are values handed in by the caller.

pub mod assemble;
pub mod catalog;
pub mod chatterbox;
pub mod chunk;
pub mod conversion;
pub mod direct;
pub mod engine;
pub mod model;
pub mod normalize;
pub mod request;
pub mod stitch;
pub mod tone;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// One thing to say, already checked: a request that exists is valid. Stored with its job as JSON, so fields are only
/// ever added, with a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeechRequest {
    /// As the client sent it; normalisation happens when it is spoken.
    pub text: String,
    /// The name of the model that speaks it; rows from before there were several have none, which means the default one.
    #[serde(default)]
    pub model: Option<String>,
    /// The id of a voice that the model has.
    pub voice: String,
    /// Read numbers, dates, symbols … out in words first.
    pub normalize: bool,
    /// Cut long texts into chunks of about `chunk_size` characters; the hard cap of the model holds either way.
    pub split_text: bool,
    pub chunk_size: usize,
    pub sampling: Sampling,
    /// Never 0 or negative here: "random" was replaced by the number drawn, so that every take can be repeated.
    pub seed: u64,
    /// Tempo with the pitch kept; 1.0 is the model's own.
    pub speed: f32,
    /// BCP 47-like code; models of one language ignore it.
    pub language: Option<String>,
    pub format: AudioFormat,
    /// Hz of the result.
    pub sample_rate: u32,
}

/// What steers the model's choice of speech tokens. `None` means the model's own default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    pub temperature: Option<f32>,
    pub exaggeration: Option<f32>,
    pub cfg_weight: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
}

/// The container and codec of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioFormat {
    Wav,
    Flac,
}

/// Set once by whoever wants the work to stop, asked by the model at every token. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the model will be given, in order: the request's text read out in words and cut to the model's measure.
///
/// The same request and model always give the same plan; a restart relies on it to recognise finished chunks.
pub fn plan(request: &SpeechRequest, info: &model::ModelInfo) -> Vec<chunk::Chunk> {
    let limits =
        chunk::Limits { target: request.chunk_size, cap: info.max_chunk_chars, split: request.split_text };
    if request.normalize {
        chunk::split(&normalize::normalize(&request.text), limits)
    } else {
        chunk::split(&request.text, limits)
    }
}
