//! How a job's turn ends: spoken to its end, or stopped, and by what.

use std::time::Duration;

use super::STORE_PAUSE;
use crate::files::{FileError, is_for_lack_of_room};
use crate::jobs::store::Adoption;
use crate::jobs::{Output, StoreError};
use crate::speech::assemble::AssembleError;
use crate::speech::catalog::UnknownModel;
use crate::speech::model::{Failure, ModelError};

/// The wait of a job whose sound did not fit on the disk; each try speaks a chunk.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(5);

/// Why a job did not get to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("the claim is lost: the job was cancelled or is gone")]
    Lost,
    #[error("the server is stopping")]
    Interrupted,
    #[error("a more urgent job waits, or the queue was paused")]
    Overtaken,
    #[error(transparent)]
    Model(ModelError),
    #[error(transparent)]
    NoModel(UnknownModel),
    #[error("the audio could not be put together")]
    Stitch(#[source] AssembleError),
    #[error("the audio could not be stored")]
    Outputs(#[from] FileError),
    #[error("the job could not be kept up to date")]
    Store(#[from] StoreError),
    #[error("the job whose chunk was to be replaced is gone, or has another result by now")]
    NothingToRedo,
    #[error("the other chunks of the job are no longer kept; speak the whole of it again")]
    ChunksGone,
    #[error("the job crashed; this is a bug")]
    Crashed(#[from] tokio::task::JoinError),
}

impl Stopped {
    /// What failed, where the same job could succeed another time: what the user caused never does, what the machine did
    /// may.
    pub(super) fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Model(error) => error.failure().map(Failure::as_str),
            Self::Outputs(_) => Some("disk"),
            Self::Crashed(_) => Some(Failure::Crash.as_str()),
            Self::Stitch(_) | Self::Store(_) => Some("other"),
            Self::Lost
            | Self::Interrupted
            | Self::Overtaken
            | Self::NoModel(_)
            | Self::NothingToRedo
            | Self::ChunksGone => None,
        }
    }

    /// The pause after which to go on, where neither the job nor the model is to blame and somebody else will see to it.
    pub(super) fn passes_by_itself(&self) -> Option<Duration> {
        match self {
            Self::Store(error) if error.may_pass() => Some(STORE_PAUSE),
            Self::Outputs(_) | Self::Stitch(_) if is_for_lack_of_room(self) => Some(NO_ROOM_PAUSE),
            _ => None,
        }
    }

    /// Whether the next try should be more careful with the device.
    pub(super) fn is_by_device(&self) -> bool {
        matches!(self, Self::Model(error) if error.failure().is_some())
    }
}

/// A job that was spoken to its end.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) output: Output,
    /// Milliseconds to join, encode and sync it.
    pub(super) encode_ms: u64,
    /// What it is to another job.
    pub(super) adoption: Option<Adoption>,
}

impl From<AssembleError> for Stopped {
    fn from(error: AssembleError) -> Self {
        match error {
            // Whoever cancelled knows why; `Speaking::why_cancelled` asks.
            AssembleError::Cancelled => Self::Model(ModelError::Cancelled),
            broken @ AssembleError::Stitch(_) => Self::Stitch(broken),
        }
    }
}
