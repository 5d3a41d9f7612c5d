//! Files that were brought by hand into the store: names are checked first, then every byte is hashed, and only a whole
//! model is published. The source stays as it is.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::copy::{copy, link};
use super::digest::{self, Digest};
use super::error::ModelsError;
use super::hub::HubSettings;
use super::manifest::{FileEntry, Manifest};
use super::plan::prepare;
use super::progress::{Phase, Progress};
use super::pull::Observe;
use super::registry::{Candidate, Model, Origin, Wanted};
use super::store::Store;

pub(super) fn import(
    store: &Store,
    settings: &HubSettings,
    model: &Model,
    from: &Path,
    observe: &mut Observe<'_>,
) -> Result<Manifest, ModelsError> {
    if let Origin::Folder(folder) = &model.origin {
        return Err(ModelsError::OwnFolder { name: model.name.clone(), folder: folder.clone() });
    }
    let from = from.canonicalize().map_err(|source| ModelsError::file("read", from, source))?;
    let found = find(model, &from)?;
    let _lock = store.lock(&model.name)?;
    let partial = store.partial(&model.name);
    prepare(&partial, &[])?;
    let mut progress = Progress {
        phase: Phase::Checking,
        files_total: found.len(),
        bytes_total: found.iter().map(|file| file.size).sum(),
        ..Progress::default()
    };
    let mut files = Vec::new();
    for file in &found {
        progress.file = Some(file.candidate.file().to_owned());
        match take(file, &partial, settings, &mut progress, observe) {
            Ok(sha256) => files.push(FileEntry {
                role: file.wanted.role,
                file: file.candidate.file().to_owned(),
                size: file.size,
                sha256,
                origin: from.display().to_string(),
                revision: None,
            }),
            Err(error) => {
                // Everything is still where it came from.
                let _ = fs::remove_dir_all(&partial);
                return Err(error);
            }
        }
        progress.files_done += 1;
    }
    let manifest = Manifest {
        name: model.name.clone(),
        architecture: model.architecture,
        languages: model.languages.clone(),
        files,
    };
    store.publish(&manifest)?;
    Ok(manifest)
}

/// A file of the folder that the model wants.
struct Found<'a> {
    wanted: &'a Wanted,
    candidate: &'a Candidate,
    path: PathBuf,
    /// Bytes.
    size: u64,
}

/// What the folder has of a model; an error that names everything it lacks.
fn find<'a>(model: &'a Model, folder: &Path) -> Result<Vec<Found<'a>>, ModelsError> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for wanted in &model.files {
        let here = wanted.candidates.iter().find_map(|candidate| {
            let paths = [folder.join(&candidate.name), folder.join(candidate.file())];
            let (path, metadata) =
                paths.into_iter().find_map(|path| Some((path.clone(), fs::metadata(&path).ok()?)))?;
            metadata.is_file().then_some(Found { wanted, candidate, path, size: metadata.len() })
        });
        match here {
            Some(file) => found.push(file),
            None if wanted.role.is_required() => {
                let mut names: Vec<&str> = Vec::new();
                for name in wanted.candidates.iter().map(Candidate::file) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                missing.push(names.join(" or "));
            }
            None => {}
        }
    }
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(ModelsError::Lacks { folder: folder.to_owned(), missing })
    }
}

/// Links or copies one file and returns its hash, which must be the published one where that is known.
fn take(
    file: &Found<'_>,
    partial: &Path,
    settings: &HubSettings,
    progress: &mut Progress,
    observe: &mut Observe<'_>,
) -> Result<String, ModelsError> {
    let to = partial.join(file.candidate.file());
    let linked = link(&file.path, &to, file.size);
    if !linked {
        let free = (settings.free_space)(partial).unwrap_or(u64::MAX);
        if free < file.size {
            return Err(ModelsError::DiskFull { needed: file.size, free, folder: partial.to_owned() });
        }
        copy(&file.path, &to, file.size).map_err(|source| ModelsError::file("copy", &file.path, source))?;
    }
    let expected = file.candidate.sha256.clone().map(Digest::Sha256);
    let hashed = digest::of_file(&to, expected.as_ref(), &mut |bytes| {
        progress.bytes_done += bytes;
        observe(progress)
    });
    let hashed = hashed.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => ModelsError::Cancelled,
        _ => ModelsError::file("read", &to, error),
    })?;
    if !hashed.is_expected {
        return Err(ModelsError::Foreign {
            file: file.path.display().to_string(),
            expected: file.candidate.sha256.clone().unwrap_or_default(),
            found: hashed.sha256,
        });
    }
    if !linked {
        let synced = fs::File::open(&to).and_then(|copied| copied.sync_all());
        synced.map_err(|source| ModelsError::file("sync", &to, source))?;
    }
    // The last piece of a file may be the last of all; whoever watches should see the end.
    match observe(progress) {
        ControlFlow::Continue(()) => Ok(hashed.sha256),
        ControlFlow::Break(()) => Err(ModelsError::Cancelled),
    }
}
