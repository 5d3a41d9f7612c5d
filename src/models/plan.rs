//! From what a model wants to what will be fetched: each file settled to one place, size and digest, before any byte of it
//! comes. All files of a repository are taken at one commit.
//!
//! The plan is written beside what it fetches. A later pull takes up a file only if both plans mean the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Role;
use super::cache;
use super::digest::Digest;
use super::error::{HubError, ModelsError};
use super::hub::{Announced, Hub, HubSettings, is_commit};
use super::manifest::{FileEntry, Manifest, write_json};
use super::progress::Shared;
use super::registry::{Candidate, Model, Wanted};
use super::retry::{Tries, persist};

/// The plan's own file, in the partial folder.
pub(super) const PLAN: &str = "plan.json";

/// A file that was settled.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) role: Role,
    /// Its name in the model's folder.
    pub(super) file: String,
    pub(super) candidate: Candidate,
    pub(super) commit: Option<String>,
    pub(super) announced: Announced,
    /// Files on this machine that should be it, best first.
    pub(super) local: Vec<PathBuf>,
}

impl Planned {
    /// What tells these bytes from others; `None` where nothing does.
    fn identity(&self) -> Option<String> {
        let bytes = match (&self.announced.digest, &self.announced.entity_tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => format!("{}/{}/{tag}", self.candidate.repository, self.candidate.name),
            (None, None) => return None,
        };
        Some(format!("{bytes}/{}", self.announced.size))
    }
}

/// Where files may come from.
pub(super) struct Sources<'a> {
    pub(super) hub: &'a Hub,
    pub(super) settings: &'a HubSettings,
    /// Folder and manifest of every installed model.
    pub(super) installed: &'a [(PathBuf, Manifest)],
    pub(super) shared: &'a Shared,
}

impl Sources<'_> {
    /// Settles all files of a model. Parts that it can do without may be missing.
    pub(super) fn plan(&self, model: &Model) -> Result<Vec<Planned>, ModelsError> {
        let mut commits = BTreeMap::new();
        let mut planned: Vec<Planned> = Vec::new();
        for wanted in &model.files {
            if let Some(file) = self.settle(wanted, &mut commits)? {
                planned.push(file);
            }
        }
        Ok(planned)
    }

    /// The first candidate that exists.
    fn settle(
        &self,
        wanted: &Wanted,
        commits: &mut BTreeMap<(String, String), String>,
    ) -> Result<Option<Planned>, ModelsError> {
        let mut missing = None;
        for candidate in &wanted.candidates {
            // A branch may move between two files; a commit does not.
            let at = (candidate.repository.clone(), candidate.revision.clone());
            let revision = commits.get(&at).cloned().unwrap_or_else(|| candidate.revision.clone());
            let candidate = Candidate { revision, ..candidate.clone() };
            match self.place(wanted.role, &candidate) {
                Ok(planned) => {
                    if let Some(commit) = &planned.commit {
                        commits.insert(at, commit.clone());
                    }
                    return Ok(Some(planned));
                }
                Err(ModelsError::Hub(error @ (HubError::NotFound { .. } | HubError::Offline(_)))) => {
                    // The best name is the one to complain of.
                    missing.get_or_insert(error);
                }
                Err(other) => return Err(other),
            }
        }
        match missing {
            Some(error) if wanted.role.is_required() => Err(error.into()),
            Some(error) => {
                tracing::warn!(part = wanted.role.name(), %error, "the model does without this part");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// A candidate with what is known of it: by the registry, by the cache, by the hub, in this order.
    fn place(&self, role: Role, candidate: &Candidate) -> Result<Planned, ModelsError> {
        let cached = self.settings.cache.as_deref().and_then(|cache| cache::find(cache, candidate));
        let known = match (&candidate.sha256, candidate.size) {
            (Some(sha256), Some(size)) => Some((Digest::Sha256(sha256.clone()), size)),
            _ => None,
        };
        let mut local: Vec<PathBuf> = Vec::new();
        if let Some((digest, size)) = &known {
            local.extend(self.installed_copies(candidate, digest, *size));
        }
        // A branch in the cache may be an old one, so it counts only where the hub cannot be asked.
        let usable = cached.as_ref().filter(|_| is_commit(&candidate.revision) || self.settings.offline);
        local.extend(usable.map(|cached| cached.path.clone()));
        let at_rest =
            known.clone().or_else(|| usable.and_then(|cached| Some((cached.digest.clone()?, cached.size))));
        let (announced, commit) = match at_rest {
            Some((digest, size)) if !local.is_empty() => {
                let commit = usable.map(|cached| cached.commit.clone());
                (Announced { size, digest: Some(digest), entity_tag: None, commit: None }, commit)
            }
            _ => {
                let announced = self.ask(candidate, known.as_ref())?;
                if let Some(digest) = &announced.digest {
                    local.extend(self.installed_copies(candidate, digest, announced.size));
                }
                let same = |cached: &&cache::Cached| Some(&cached.commit) == announced.commit.as_ref();
                local.extend(cached.as_ref().filter(same).map(|cached| cached.path.clone()));
                let commit = announced.commit.clone();
                (announced, commit)
            }
        };
        let commit =
            commit.or_else(|| Some(candidate.revision.clone()).filter(|revision| is_commit(revision)));
        Ok(Planned {
            role,
            file: candidate.file().to_owned(),
            candidate: candidate.clone(),
            commit,
            announced,
            local,
        })
    }

    /// What the hub says of a file, which must not contradict what is known.
    fn ask(&self, candidate: &Candidate, known: Option<&(Digest, u64)>) -> Result<Announced, ModelsError> {
        let tries = Tries::new(self.settings, self.shared, &candidate.name);
        let mut announced = persist(tries, || self.hub.look_up(candidate))?;
        if let Some((digest, size)) = known {
            let disagrees = |what, expected: &dyn ToString, found: &dyn ToString| HubError::Disagrees {
                file: format!("{} of {}", candidate.name, candidate.repository),
                what,
                expected: expected.to_string(),
                found: found.to_string(),
            };
            if announced.size != *size {
                return Err(disagrees("its size", size, &announced.size).into());
            }
            match &announced.digest {
                Some(found @ Digest::Sha256(_)) if found != digest => {
                    return Err(disagrees("its digest", digest, found).into());
                }
                // Git's hash says less than the one that is known.
                _ => announced.digest = Some(digest.clone()),
            }
        }
        Ok(announced)
    }

    /// Files of installed models that should have this content: Turbo and Nano share a gigabyte.
    fn installed_copies(&self, candidate: &Candidate, digest: &Digest, size: u64) -> Vec<PathBuf> {
        let is_it = |entry: &&FileEntry| match digest {
            Digest::Sha256(sha256) => entry.sha256 == *sha256,
            // Manifests do not keep git's hash; what has the name and the size is looked at more closely later.
            Digest::GitBlob(_) => entry.size == size && entry.file == candidate.file(),
        };
        let of = |(folder, manifest): &(PathBuf, Manifest)| -> Vec<PathBuf> {
            manifest.files.iter().filter(is_it).map(|entry| folder.join(&entry.file)).collect()
        };
        self.installed.iter().flat_map(of).collect()
    }
}

/// Makes the partial folder ready for a plan: what an earlier one left stays only where it is the beginning of the same
/// bytes. The new plan is on the disk before any of them change.
pub(super) fn prepare(folder: &Path, planned: &[Planned]) -> Result<(), ModelsError> {
    fs::create_dir_all(folder).map_err(|source| ModelsError::file("create", folder, source))?;
    let path = folder.join(PLAN);
    let earlier: BTreeMap<String, String> =
        fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let now: BTreeMap<&str, String> =
        planned.iter().filter_map(|file| Some((file.file.as_str(), file.identity()?))).collect();
    let entries = fs::read_dir(folder).map_err(|source| ModelsError::file("read", folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| ModelsError::file("read", folder, source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let same = earlier.get(&name).is_some_and(|identity| now.get(name.as_str()) == Some(identity));
        if name != PLAN && !same {
            fs::remove_file(entry.path())
                .map_err(|source| ModelsError::file("remove", entry.path(), source))?;
        }
    }
    write_json(&path, &now).map_err(|source| ModelsError::file("write", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(file: &str, digest: &str) -> Planned {
        Planned {
            role: Role::T3,
            file: file.to_owned(),
            candidate: Candidate {
                repository: "me/voice".to_owned(),
                revision: "main".to_owned(),
                name: file.to_owned(),
                size: None,
                sha256: None,
            },
            commit: None,
            announced: Announced {
                size: 10,
                digest: Some(Digest::Sha256(digest.to_owned())),
                entity_tag: None,
                commit: None,
            },
            local: Vec::new(),
        }
    }

    #[test]
    fn only_the_beginnings_of_the_same_bytes_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        prepare(folder.path(), &[planned("same", "aa"), planned("changed", "bb")]).unwrap();
        for name in ["same", "changed", "stranger", "manifest.json"] {
            fs::write(path(name), "half").unwrap();
        }
        prepare(folder.path(), &[planned("same", "aa"), planned("changed", "cc")]).unwrap();
        assert!(path("same").exists());
        for name in ["changed", "stranger", "manifest.json"] {
            assert!(!path(name).exists(), "{name}");
        }
    }

    #[test]
    fn what_nothing_identifies_is_never_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let mut nameless = planned("file", "");
        nameless.announced.digest = None;
        prepare(folder.path(), std::slice::from_ref(&nameless)).unwrap();
        fs::write(folder.path().join("file"), "half").unwrap();
        prepare(folder.path(), &[nameless]).unwrap();
        assert!(!folder.path().join("file").exists());
    }
}
