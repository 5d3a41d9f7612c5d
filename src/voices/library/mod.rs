//! The library of clips: those that came with the program and those that people added.
//!
//! An added voice is two files in `<data>/voices`: the clip as it was given, and `<id>.json` with what is known of it. The
//! record is written last and makes the voice exist, so a voice is there whole or not at all, and listing never decodes. The
//! folder may be changed by another process; what is read from it is read again when it changes.

mod change;
mod record;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::clip::ClipError;
use super::{UnknownVoice, name, named, predefined};
use crate::files::{self, FileError};
use change::MAX_NOTE;
pub use change::{Added, Upload};
pub use record::Clip;
pub(super) use record::Record;

/// The folder of voices that models computed from clips.
const COMPUTED: &str = "computed";
/// A folder that changed less than this ago is read again each time: it may change once more within one tick of its clock.
const TICK: Duration = Duration::from_secs(1);

/// What an added voice may cost; `voices` in config.yaml.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub max_clip_bytes: u64,
    pub max_clip_sec: f64,
    pub max_voices: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_clip_bytes: 25 << 20, max_clip_sec: 60.0, max_voices: 500 }
    }
}

/// Why the library did not do what was asked. Each message is a sentence for whoever asked.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("a voice's name must have 1 to {} visible characters", name::MAX_NAME)]
    Name,
    #[error("there is a voice called {0:?} already; choose another name")]
    NameTaken(String),
    #[error("language must be a code such as en or pt-BR, found {0:?}")]
    Language(String),
    #[error("the note about consent has more than {MAX_NOTE} characters")]
    Note,
    #[error(transparent)]
    Unknown(#[from] UnknownVoice),
    #[error("the voice {0:?} is part of the program and stays as it is")]
    Predefined(String),
    #[error("{limit} voices were added, which is the limit; remove one, or raise voices.max_voices")]
    Full { limit: usize },
    #[error("the clip cannot be used: {0}")]
    Clip(ClipError),
    #[error("the voice library cannot be read or written")]
    File(#[from] FileError),
    #[error("the record of a voice cannot be written")]
    Record(#[from] serde_json::Error),
}

impl From<ClipError> for LibraryError {
    fn from(error: ClipError) -> Self {
        Self::Clip(error)
    }
}

/// The library. Clones share it.
#[derive(Clone, Debug)]
pub struct Library {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    limits: Limits,
    index: Mutex<Option<Index>>,
}

/// What was read from the folder.
#[derive(Debug)]
struct Index {
    /// Of the folder, when it was read.
    changed: Option<SystemTime>,
    read: SystemTime,
    clips: Arc<Vec<Clip>>,
}

impl Library {
    /// The library of this data directory. Touches nothing; the folder is made with the first voice.
    pub fn open(data_dir: &Path, limits: Limits) -> Self {
        let folder = data_dir.join("voices");
        Self { shared: Arc::new(Shared { folder, limits, index: Mutex::default() }) }
    }

    pub fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// All clips, those of the program first, then by name.
    pub fn clips(&self) -> Arc<Vec<Clip>> {
        let folder = &self.shared.folder;
        let changed = fs::metadata(folder).and_then(|metadata| metadata.modified()).ok();
        let mut index = self.shared.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*index
            && known.changed == changed
            && changed.is_none_or(|changed| known.read > changed + TICK)
        {
            return Arc::clone(&known.clips);
        }
        let read = SystemTime::now();
        let mut added = record::read_all(folder);
        added.sort_by_cached_key(|clip| (clip.name.to_lowercase(), clip.id.clone()));
        let clips: Arc<Vec<Clip>> = Arc::new(predefined::clips().iter().cloned().chain(added).collect());
        *index = Some(Index { changed, read, clips: Arc::clone(&clips) });
        clips
    }

    /// The clip of this very id.
    pub fn clip(&self, id: &str) -> Option<Clip> {
        self.clips().iter().find(|clip| clip.id == id).cloned()
    }

    /// The clip that a name means, as [`super::find`] reads names.
    ///
    /// # Errors
    /// [`UnknownVoice`], which lists the clips there are.
    pub fn find(&self, wanted: &str) -> Result<Clip, UnknownVoice> {
        let clips = self.clips();
        let names = clips.iter().map(|clip| (clip.id.as_str(), clip.name.as_str()));
        let id = named(wanted.trim(), &names);
        id.and_then(|id| clips.iter().find(|clip| clip.id == id)).cloned().ok_or_else(|| UnknownVoice {
            wanted: wanted.to_owned(),
            available: clips.iter().map(|clip| clip.id.clone()).collect(),
        })
    }

    /// What a model computed from a clip, or computes now: kept beside the clips, so that it is done once.
    ///
    /// `kind` names what it is and for which models, such as `turbo.safetensors`. `read` makes it of the bytes that were
    /// kept; what it cannot read, because it is stale or damaged, is computed anew, and so is what could not be kept.
    ///
    /// # Errors
    /// Those of `compute` alone.
    pub fn computed<V, E>(
        &self,
        clip: &Clip,
        kind: &str,
        read: impl FnOnce(&[u8]) -> Option<V>,
        compute: impl FnOnce() -> Result<(V, Vec<u8>), E>,
    ) -> Result<V, E> {
        let folder = self.shared.folder.join(COMPUTED);
        let file_name = format!("{}-{kind}", clip.hash);
        let kept = fs::read(folder.join(&file_name)).ok();
        if let Some(known) = kept.and_then(|bytes| read(&bytes)) {
            return Ok(known);
        }
        let (computed, bytes) = compute()?;
        let kept = make_folder(&folder).and_then(|()| files::write_bytes(&folder, &file_name, &bytes));
        if let Err(error) = kept {
            tracing::warn!(%error, voice = clip.id, "a computed voice cannot be kept");
        }
        Ok(computed)
    }

    /// Keeps other writers out, of this process and of others, until it is dropped.
    fn lock(&self) -> Result<File, FileError> {
        let folder = &self.shared.folder;
        make_folder(folder)?;
        let path = folder.join("lock");
        let failed = |source| FileError::new("lock", &path, source);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        self.forget_index();
        Ok(file)
    }

    fn forget_index(&self) {
        *self.shared.index.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn make_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(|source| FileError::new("create", folder, source))
}
