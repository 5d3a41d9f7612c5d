//! Whether an installed model still is what was published: every file there, every byte the same.

use std::io;
use std::ops::ControlFlow;

use serde::Serialize;

use super::digest::{self, Digest};
use super::error::ModelsError;
use super::progress::{Phase, Progress};
use super::pull::Observe;
use super::registry::Model;
use super::store::Store;

/// A file that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    pub file: String,
    /// As the rest of a sentence that begins with the file's name.
    pub problem: String,
}

impl Store {
    /// Reads every byte of a model. A folder of the user's own has no hashes to compare with; there it must only have
    /// all files.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`]; [`ModelsError::Damaged`] without a readable manifest; [`ModelsError::Cancelled`].
    pub fn verify(&self, model: &Model, observe: &mut Observe<'_>) -> Result<Vec<Damage>, ModelsError> {
        if let super::registry::Origin::Folder(_) = model.origin {
            return self.files(model).map(|_all_there| Vec::new());
        }
        let manifest = self.manifest(&model.name)?;
        let _lock = self.lock(&model.name)?;
        let folder = self.folder(&model.name);
        let mut progress = Progress {
            phase: Phase::Checking,
            files_total: manifest.files.len(),
            bytes_total: manifest.size(),
            ..Progress::default()
        };
        let mut damages = Vec::new();
        for entry in &manifest.files {
            progress.file = Some(entry.file.clone());
            let path = folder.join(&entry.file);
            let expected = Digest::Sha256(entry.sha256.clone());
            let size = std::fs::metadata(&path).map(|metadata| metadata.len());
            let hashed = digest::of_file(&path, Some(&expected), &mut |bytes| {
                progress.bytes_done += bytes;
                observe(&progress)
            });
            let problem = match (size, hashed) {
                (_, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                    return Err(ModelsError::Cancelled);
                }
                (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                    Some("is missing".to_owned())
                }
                (Err(error), _) | (_, Err(error)) => Some(format!("cannot be read: {error}")),
                (Ok(size), _) if size != entry.size => {
                    Some(format!("has {size} bytes instead of {}", entry.size))
                }
                (Ok(_), Ok(hashed)) if !hashed.is_expected => {
                    Some("holds other bytes than it should".to_owned())
                }
                (Ok(_), Ok(_)) => None,
            };
            damages.extend(problem.map(|problem| Damage { file: entry.file.clone(), problem }));
            progress.files_done += 1;
        }
        match observe(&progress) {
            ControlFlow::Continue(()) => Ok(damages),
            ControlFlow::Break(()) => Err(ModelsError::Cancelled),
        }
    }
}
