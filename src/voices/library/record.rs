//! A clip and its record on disk.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::voices::clip::Quality;

/// A clip whose voice models can speak with.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Stable and file-name-safe; names may change.
    pub id: String,
    pub name: String,
    pub language: String,
    /// What the giver said about the speaker's consent.
    pub consent: Option<String>,
    /// Of the clip as it was given: SHA-256, lower-case hexadecimal.
    pub hash: String,
    pub bytes: u64,
    pub seconds: f64,
    /// Hz.
    pub sample_rate: u32,
    pub quality: Quality,
    /// Milliseconds since the Unix epoch.
    pub added: i64,
    /// With the extension that fits the content.
    pub file_name: String,
    pub(super) source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// In the data directory.
    File(PathBuf),
    /// Compiled into the program.
    Embedded(Cow<'static, [u8]>),
}

impl Clip {
    pub fn is_predefined(&self) -> bool {
        matches!(self.source, Source::Embedded(_))
    }

    /// Where the voice comes from, in a sentence.
    pub fn origin(&self) -> String {
        let how = if self.is_predefined() { "came with declaim" } else { "was added here" };
        let consent = self.consent.as_ref().map(|note| format!(". Consent: {note}")).unwrap_or_default();
        format!("a clip of {:.1} seconds that {how}{consent}", self.seconds)
    }

    /// The clip as it was given.
    pub fn read(&self) -> Result<Cow<'static, [u8]>, FileError> {
        match &self.source {
            Source::Embedded(bytes) => Ok(bytes.clone()),
            Source::File(path) => {
                fs::read(path).map(Cow::Owned).map_err(|source| FileError::new("read", path, source))
            }
        }
    }
}

/// What `<id>.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    name: String,
    language: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent: Option<String>,
    /// The clip, in the same folder.
    pub(crate) file: String,
    sha256: String,
    bytes: u64,
    seconds: f64,
    sample_rate: u32,
    quality: Quality,
    added: i64,
}

impl Record {
    pub(crate) fn embedded(self, id: &str, bytes: Cow<'static, [u8]>) -> Clip {
        self.clip(id, Source::Embedded(bytes))
    }

    fn clip(self, id: &str, source: Source) -> Clip {
        Clip {
            id: id.to_owned(),
            name: self.name,
            language: self.language,
            consent: self.consent,
            hash: self.sha256,
            bytes: self.bytes,
            seconds: self.seconds,
            sample_rate: self.sample_rate,
            quality: self.quality,
            added: self.added,
            file_name: self.file,
            source,
        }
    }

    pub(super) fn of(clip: &Clip) -> Self {
        Self {
            name: clip.name.clone(),
            language: clip.language.clone(),
            consent: clip.consent.clone(),
            file: clip.file_name.clone(),
            sha256: clip.hash.clone(),
            bytes: clip.bytes,
            seconds: clip.seconds,
            sample_rate: clip.sample_rate,
            quality: clip.quality.clone(),
            added: clip.added,
        }
    }
}

/// Every voice in the folder. A record that cannot be read, or whose clip is gone, is no voice.
pub(super) fn read_all(folder: &Path) -> Vec<Clip> {
    let entries = files::entries(folder).unwrap_or_else(|error| {
        tracing::warn!(%error, "the voice library cannot be read");
        Vec::new()
    });
    let records = entries.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    records.filter_map(|path| read(path)).filter(is_there).collect()
}

pub(super) fn read(path: &Path) -> Option<Clip> {
    let id = path.file_stem()?.to_str()?;
    let record: Record = fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        .inspect_err(|error| tracing::warn!(record = %path.display(), error, "a voice was left out"))
        .ok()?;
    // A record is ours, but its folder is everybody's: it must not lead out of it.
    let is_plain = Path::new(&record.file).file_name().is_some_and(|name| name == record.file.as_str());
    let clip = is_plain.then(|| path.with_file_name(&record.file))?;
    Some(record.clip(id, Source::File(clip)))
}

pub(super) fn is_there(clip: &Clip) -> bool {
    match &clip.source {
        Source::File(path) => path.is_file(),
        Source::Embedded(_) => true,
    }
}
