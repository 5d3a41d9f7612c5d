//! `<data>/models`: one folder per installed model, each with its manifest.
//!
//! A name in this folder always stands for a whole model: files gather in `.partial/<name>`, and the folder is renamed into
//! place when everything is in it and on the disk. A process that dies on the way leaves only a partial folder, which the
//! next pull goes on with.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::ModelsError;
use super::lock::Lock;
use super::manifest::{MANIFEST, Manifest};
use super::plan::PLAN;
use super::registry::{Model, Origin, is_name};
use super::{Architecture, Role};

/// Whether a model can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    Missing,
    /// A pull was begun; so many bytes are here.
    Partial {
        partial_bytes: u64,
    },
    Installed,
    /// It was whole once.
    Damaged {
        problem: String,
    },
}

/// The files of a model that can be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledModel {
    pub name: String,
    pub architecture: Architecture,
    /// Codes.
    pub languages: Vec<String>,
    /// From the user's configuration, so its networks may be others than the published ones.
    pub is_own: bool,
    /// Every required role of the architecture, and what there is of the others.
    pub files: BTreeMap<Role, PathBuf>,
}

impl InstalledModel {
    /// `None` for a part that this model does without.
    pub fn path(&self, role: Role) -> Option<&Path> {
        self.files.get(&role).map(PathBuf::as_path)
    }
}

/// The folder of models.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Nothing is made on the disk before it is needed.
    pub fn new(data_dir: &Path) -> Self {
        Self { root: data_dir.join("models") }
    }

    /// Where a model is, or would be.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where a model gathers.
    pub(super) fn partial(&self, name: &str) -> PathBuf {
        self.root.join(".partial").join(name)
    }

    pub(super) fn lock(&self, name: &str) -> Result<Lock, ModelsError> {
        Lock::take(&self.root.join(".locks"), name)
    }

    /// Looks at names and sizes; what the bytes are worth, only [`Store::verify`] tells.
    pub fn state(&self, model: &Model) -> State {
        match self.files(model) {
            Ok(_) => State::Installed,
            Err(ModelsError::NotInstalled(_)) => match folder_size(&self.partial(&model.name)) {
                0 => State::Missing,
                partial_bytes => State::Partial { partial_bytes },
            },
            Err(ModelsError::Damaged { problem, .. }) => State::Damaged { problem },
            Err(other) => State::Damaged { problem: other.to_string() },
        }
    }

    /// The paths of a model's files by their role, and its architecture.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`], [`ModelsError::Damaged`], or [`ModelsError::Lacks`] for a folder of the user's own.
    pub fn files(&self, model: &Model) -> Result<InstalledModel, ModelsError> {
        match &model.origin {
            Origin::Hub { .. } => self.installed_files(&model.name, model.is_own),
            Origin::Folder(folder) => self.own_files(model, folder),
        }
    }

    fn installed_files(&self, name: &str, is_own: bool) -> Result<InstalledModel, ModelsError> {
        let manifest = self.manifest(name)?;
        let folder = self.folder(name);
        for entry in &manifest.files {
            let problem = match fs::metadata(folder.join(&entry.file)) {
                Ok(metadata) if metadata.len() == entry.size => continue,
                Ok(metadata) => {
                    format!("{} has {} bytes instead of {}", entry.file, metadata.len(), entry.size)
                }
                Err(error) => format!("{}: {error}", entry.file),
            };
            return Err(ModelsError::Damaged { name: name.to_owned(), problem });
        }
        let files = manifest.files.iter().map(|entry| (entry.role, folder.join(&entry.file))).collect();
        Ok(InstalledModel {
            name: manifest.name,
            architecture: manifest.architecture,
            languages: manifest.languages,
            is_own,
            files,
        })
    }

    /// A folder of the user's: what it lacks is taken from the installed base model, if there is one.
    fn own_files(&self, model: &Model, folder: &Path) -> Result<InstalledModel, ModelsError> {
        let lent = self.installed();
        let mut files = BTreeMap::new();
        let mut missing = Vec::new();
        for wanted in &model.files {
            let here = wanted.candidates.iter().filter(|candidate| candidate.repository.is_empty());
            let here = here.map(|candidate| folder.join(&candidate.name)).find(|path| path.is_file());
            let elsewhere = || {
                let hashes: Vec<&str> =
                    wanted.candidates.iter().filter_map(|candidate| candidate.sha256.as_deref()).collect();
                lent.iter().find_map(|(folder, manifest)| {
                    let entry =
                        manifest.files.iter().find(|entry| hashes.contains(&entry.sha256.as_str()))?;
                    Some(folder.join(&entry.file)).filter(|path| path.is_file())
                })
            };
            match here.or_else(elsewhere) {
                Some(path) => _ = files.insert(wanted.role, path),
                None if wanted.role.is_required() => {
                    missing.extend(wanted.candidates.first().map(|first| first.name.clone()));
                }
                None => {}
            }
        }
        if missing.is_empty() {
            Ok(InstalledModel {
                name: model.name.clone(),
                architecture: model.architecture,
                languages: model.languages.clone(),
                is_own: model.is_own,
                files,
            })
        } else {
            Err(ModelsError::Lacks { folder: folder.to_owned(), missing })
        }
    }

    /// What is written beside an installed model.
    pub fn manifest(&self, name: &str) -> Result<Manifest, ModelsError> {
        let damaged = |problem| ModelsError::Damaged { name: name.to_owned(), problem };
        match Manifest::read(&self.folder(name)) {
            // The names in it become paths.
            Ok(manifest) if manifest.files.iter().any(|entry| entry.file.contains(['/', '\\'])) => {
                Err(damaged(format!("{MANIFEST} names files outside")))
            }
            Ok(manifest) => Ok(manifest),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.folder(name).exists() => {
                Err(ModelsError::NotInstalled(name.to_owned()))
            }
            Err(error) => Err(damaged(format!("{MANIFEST}: {error}"))),
        }
    }

    /// Every model in the store that has a readable manifest, with its folder.
    pub fn installed(&self) -> Vec<(PathBuf, Manifest)> {
        let names = fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok().filter(|name| is_name(name)));
        let mut names: Vec<String> = names.collect();
        names.sort();
        let found =
            names.into_iter().filter_map(|name| Some((self.folder(&name), self.manifest(&name).ok()?)));
        found.collect()
    }

    /// Puts a gathered model in place: manifest, sync, rename. The folder of an earlier version goes.
    pub(super) fn publish(&self, manifest: &Manifest) -> Result<(), ModelsError> {
        let (partial, folder) = (self.partial(&manifest.name), self.folder(&manifest.name));
        manifest
            .write(&partial)
            .map_err(|source| ModelsError::file("write", partial.join(MANIFEST), source))?;
        sync_folder(&partial)?;
        let earlier = self.set_aside(&manifest.name)?;
        if let Err(source) = fs::rename(&partial, &folder) {
            if let Some(earlier) = earlier {
                // Better the earlier version than none.
                let _ = fs::rename(earlier, &folder);
            }
            return Err(ModelsError::file("put in place", folder, source));
        }
        sync_folder(&self.root)?;
        // Nobody reads these any more; failing to remove them costs only space.
        let _ = fs::remove_file(folder.join(PLAN));
        if let Some(earlier) = earlier {
            let _ = fs::remove_dir_all(earlier);
        }
        Ok(())
    }

    /// Removes a model and what was begun of it. Says how many bytes were freed.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`] when there is nothing of it.
    pub fn remove(&self, name: &str) -> Result<u64, ModelsError> {
        if !is_name(name) {
            return Err(ModelsError::NotInstalled(name.to_owned()));
        }
        let partial = self.partial(name);
        if !self.folder(name).exists() && !partial.exists() {
            return Err(ModelsError::NotInstalled(name.to_owned()));
        }
        let _lock = self.lock(name)?;
        let bytes = folder_size(&self.folder(name)) + folder_size(&partial);
        // The name goes first, in one step: nobody must find half a model under it.
        let aside = self.set_aside(name)?;
        for folder in aside.iter().chain([&partial]) {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ModelsError::file("remove", folder, error));
                }
                _ => {}
            }
        }
        Ok(bytes)
    }

    /// Renames a model's folder out of the way, if there is one.
    fn set_aside(&self, name: &str) -> Result<Option<PathBuf>, ModelsError> {
        let (folder, aside) = (self.folder(name), self.root.join(".partial").join(format!(".{name}.old")));
        // What a process that died left.
        let _ = fs::remove_dir_all(&aside);
        if !folder.exists() {
            return Ok(None);
        }
        let made = self.root.join(".partial");
        fs::create_dir_all(&made).map_err(|source| ModelsError::file("create", made, source))?;
        fs::rename(&folder, &aside).map_err(|source| ModelsError::file("move", folder, source))?;
        Ok(Some(aside))
    }
}

/// Bytes of the files in a folder; 0 where there is none.
fn folder_size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// A rename is only durable once its folder is synced. Windows cannot sync folders and does not need it.
fn sync_folder(folder: &Path) -> Result<(), ModelsError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|opened| opened.sync_all())
            .map_err(|source| ModelsError::file("sync", folder, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::manifest::FileEntry;

    fn manifest(name: &str, content: &str) -> Manifest {
        let entry = FileEntry {
            role: Role::T3,
            file: "t3.safetensors".to_owned(),
            size: content.len() as u64,
            sha256: String::new(),
            origin: "me/voice".to_owned(),
            revision: None,
        };
        let (architecture, languages) = (Architecture::Turbo, vec!["en".to_owned()]);
        Manifest { name: name.to_owned(), architecture, languages, files: vec![entry] }
    }

    fn gather(store: &Store, name: &str, content: &str) {
        fs::create_dir_all(store.partial(name)).unwrap();
        fs::write(store.partial(name).join("t3.safetensors"), content).unwrap();
    }

    #[test]
    fn a_model_appears_when_it_is_published_and_its_earlier_version_goes() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::new(data.path());
        for content in ["one", "another"] {
            gather(&store, "mine", content);
            store.publish(&manifest("mine", content)).unwrap();
            let files = store.installed_files("mine", true).unwrap();
            assert_eq!(fs::read_to_string(files.path(Role::T3).unwrap()).unwrap(), content);
            assert_eq!(files.path(Role::Conds), None);
            assert!(!store.partial("mine").exists());
        }
        let left = fs::read_dir(data.path().join("models/.partial")).unwrap().count();
        assert_eq!(left, 0, "the earlier version is still there");
    }

    #[test]
    fn a_file_that_shrank_or_went_is_told_by_name() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::new(data.path());
        gather(&store, "mine", "whole");
        store.publish(&manifest("mine", "whole")).unwrap();
        fs::write(store.folder("mine").join("t3.safetensors"), "who").unwrap();
        let error = store.installed_files("mine", true).unwrap_err().to_string();
        assert!(error.contains("t3.safetensors has 3 bytes instead of 5"), "{error}");
        fs::remove_file(store.folder("mine").join(MANIFEST)).unwrap();
        let error = store.installed_files("mine", true).unwrap_err();
        assert!(matches!(error, ModelsError::Damaged { .. }), "{error}");
    }

    #[test]
    fn removing_takes_the_model_and_what_was_begun_of_it() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::new(data.path());
        assert!(matches!(store.remove("mine"), Err(ModelsError::NotInstalled(_))));
        gather(&store, "mine", "whole");
        store.publish(&manifest("mine", "whole")).unwrap();
        gather(&store, "mine", "hal");
        assert!(store.remove("mine").unwrap() > 8);
        assert!(!store.folder("mine").exists() && !store.partial("mine").exists());
        for outside in ["..", "../models", ".partial", ""] {
            assert!(matches!(store.remove(outside), Err(ModelsError::NotInstalled(_))), "{outside}");
        }
        assert!(data.path().join("models").exists());
    }

    #[test]
    fn a_manifest_cannot_lead_outside_its_folder() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::new(data.path());
        let mut evil = manifest("mine", "x");
        evil.files[0].file = "../../secret".to_owned();
        fs::create_dir_all(store.folder("mine")).unwrap();
        evil.write(&store.folder("mine")).unwrap();
        assert!(matches!(store.installed_files("mine", true), Err(ModelsError::Damaged { .. })));
    }
}
