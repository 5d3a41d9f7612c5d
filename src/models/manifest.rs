//! `manifest.json` beside a model's files: what they are, where they came from, what their bytes add up to. A folder with
//! a manifest is whole, because it is written last and the folder is renamed into place after that.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Architecture, Role};

pub(super) const MANIFEST: &str = "manifest.json";

/// What an installed model consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub architecture: Architecture,
    pub languages: Vec<String>,
    pub files: Vec<FileEntry>,
}

/// One file of an installed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub role: Role,
    /// In the model's folder.
    pub file: String,
    /// Bytes.
    pub size: u64,
    pub sha256: String,
    /// `owner/name` on the hub, or the folder that it was copied from.
    pub origin: String,
    /// The commit; `None` where files were copied by hand.
    pub revision: Option<String>,
}

impl Manifest {
    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|entry| entry.size).sum()
    }

    /// The manifest of a folder.
    ///
    /// # Errors
    /// What the file system says; [`io::ErrorKind::InvalidData`] for a file that is no manifest.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(folder.join(MANIFEST))?)?)
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write_json(&folder.join(MANIFEST), self)
    }
}

/// Writes a small file so that it is there whole or not at all, and stays.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let mut file = File::create(&aside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}
