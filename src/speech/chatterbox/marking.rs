//! Perth's watermark as the server uses it: whose speech carries it, and one copy of its networks for all models.
//!
//! Each chunk is marked as it is spoken, as the reference marks what each of its calls returns, so that a chunk which is
//! streamed or taken up after a crash carries the mark like any other. The pauses between chunks are silent and carry none.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chatterbox::device::{Request, choose};
use chatterbox::watermark::{UNUSED, Watermark};
use waveform::decode::{self, DecodeError};

use super::installed::open_weights;
use super::not_loaded;
use crate::config::WatermarkUse;
use crate::models::{Models, ModelsError, Role};
use crate::speech::model::ModelError;

/// What the model manager calls it.
const NAME: &str = "watermark";
/// Seconds that are listened to at once; longer recordings are heard piece by piece, which bounds the memory.
const PIECE: usize = 60;
/// From here on, a mark is there.
pub const BORDER: f32 = 0.5;

/// Marks speech, or not, as the setting says. Clones share the networks.
#[derive(Clone, Debug)]
pub(super) struct Marking {
    wanted: WatermarkUse,
    /// `None` where it is not installed.
    weights: Option<PathBuf>,
    /// Alive as long as a loaded model marks with it.
    shared: Arc<Mutex<Weak<Watermark>>>,
}

impl Marking {
    pub(super) fn new(wanted: WatermarkUse, models: &Models) -> Self {
        Self { wanted, weights: weights(models).ok(), shared: Arc::default() }
    }

    /// Whether a model's speech is marked; `by_maker`: whether those who made the model mark it.
    pub(super) fn applies(&self, by_maker: bool) -> bool {
        match self.wanted {
            WatermarkUse::Auto => by_maker && self.weights.is_some(),
            WatermarkUse::On => true,
            WatermarkUse::Off => false,
        }
    }

    /// The networks, if they are to be used.
    ///
    /// # Errors
    /// When they cannot be had: speech that should be marked is not spoken unmarked.
    pub(super) fn load(&self, by_maker: bool) -> Result<Option<Arc<Watermark>>, ModelError> {
        if !self.applies(by_maker) {
            return Ok(None);
        }
        let Some(weights) = &self.weights else {
            return Err(ModelError::NotLoaded(
                "model.watermark is on, but the watermark is not installed; `declaim models pull watermark` gets it"
                    .to_owned(),
            ));
        };
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = shared.upgrade() {
            return Ok(Some(loaded));
        }
        let loaded = Arc::new(read(weights)?);
        *shared = Arc::downgrade(&loaded);
        Ok(Some(loaded))
    }
}

fn weights(models: &Models) -> Result<PathBuf, ModelsError> {
    let installed = models.files(NAME)?;
    let missing = || ModelsError::NotInstalled(NAME.to_owned());
    installed.path(Role::Watermark).map(Path::to_owned).ok_or_else(missing)
}

/// To the CPU, whatever device speaks: its networks are small.
fn read(path: &Path) -> Result<Watermark, ModelError> {
    let device = choose(Request::Cpu).map_err(not_loaded)?.device;
    let weights = open_weights(path, &device).map_err(not_loaded)?;
    let watermark = Watermark::load(&weights.root()).map_err(not_loaded)?;
    weights.finish(&UNUSED).map_err(not_loaded)?;
    Ok(watermark)
}

/// What was found in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// About 1 where the mark is, about 0 where it is not; [`BORDER`] is between.
    pub confidence: f32,
    /// Where in the recording the detector was surest, from its beginning. Pieces are a minute long.
    pub at: Duration,
    pub length: Duration,
}

impl Detection {
    pub fn is_marked(&self) -> bool {
        self.confidence >= BORDER
    }
}

/// Why a recording was not looked through.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error("the watermark's networks cannot be used")]
    Network(#[source] ModelError),
    #[error("the file cannot be listened to")]
    Decode(#[from] DecodeError),
    #[error("the file has no sound in it")]
    Empty,
}

/// Listens for the mark in a recording of any format that clips may have, at most ten minutes.
pub fn detect(models: &Models, file: Vec<u8>) -> Result<Detection, DetectError> {
    let watermark = read(&weights(models)?).map_err(DetectError::Network)?;
    let recording = decode::read_from(Cursor::new(file), &decode::Limits::default())?;
    let (rate, length) = (recording.sample_rate, recording.duration());
    let mut best: Option<Detection> = None;
    for (index, piece) in recording.samples.chunks(PIECE * rate as usize).enumerate() {
        let failed = |reason| DetectError::Network(ModelError::Device(reason));
        let confidence = watermark.detect(piece, rate).map_err(failed)?;
        if best.is_none_or(|best| confidence > best.confidence) {
            best = Some(Detection { confidence, at: Duration::from_secs((index * PIECE) as u64), length });
        }
    }
    best.ok_or(DetectError::Empty)
}
