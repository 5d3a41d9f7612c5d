//! The cache that Hugging Face's Python library keeps: `models--owner--name/snapshots/<commit>/<file>`, each file a link to
//! a blob that is called by its entity tag. Who has used the reference implementation has the weights there already.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::hub::is_commit;
use super::registry::Candidate;

/// A file of the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) path: PathBuf,
    /// Bytes.
    pub(super) size: u64,
    pub(super) commit: String,
    /// What the blob's name says; `None` where the cache holds files instead of links (Windows without privileges).
    pub(super) digest: Option<Digest>,
}

/// Looks for a file at its revision. Only links inside the repository's own folder are followed.
pub(super) fn find(cache: &Path, file: &Candidate) -> Option<Cached> {
    let folder = cache.join(format!("models--{}", file.repository.replace('/', "--")));
    let commit = if is_commit(&file.revision) {
        file.revision.clone()
    } else {
        fs::read_to_string(folder.join("refs").join(&file.revision)).ok()?.trim().to_owned()
    };
    if !is_commit(&commit) {
        return None;
    }
    let path = folder.join("snapshots").join(&commit).join(&file.name).canonicalize().ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let inside = path.starts_with(folder.canonicalize().ok()?);
    if !metadata.is_file() || !inside {
        return None;
    }
    let digest = path.file_name().and_then(|name| name.to_str()).and_then(Digest::from_entity_tag);
    Some(Cached { size: metadata.len(), commit, digest, path })
}

#[cfg(test)]
#[cfg(unix)] // symbolic links
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    fn candidate(revision: &str, name: &str) -> Candidate {
        Candidate {
            repository: "me/voice".to_owned(),
            revision: revision.to_owned(),
            name: name.to_owned(),
            size: None,
            sha256: None,
        }
    }

    fn cache() -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--me--voice");
        let snapshot = folder.join("snapshots").join(COMMIT);
        for made in [&folder.join("blobs"), &folder.join("refs"), &snapshot] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(folder.join("blobs").join(SHA256), "hello\n").unwrap();
        fs::write(folder.join("refs/main"), COMMIT).unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, snapshot.join(name)).unwrap();
        link(&format!("../../blobs/{SHA256}"), "t3.safetensors");
        link("../../blobs/gone", "broken.json");
        link("/etc/hostname", "outside.json");
        cache
    }

    #[test]
    fn a_file_is_found_by_commit_and_by_branch_with_the_digest_that_its_blob_is_called_by() {
        let cache = cache();
        for revision in [COMMIT, "main"] {
            let found = find(cache.path(), &candidate(revision, "t3.safetensors")).unwrap();
            assert_eq!((found.size, found.commit.as_str()), (6, COMMIT));
            assert_eq!(found.digest, Some(Digest::Sha256(SHA256.to_owned())));
        }
    }

    #[test]
    fn what_is_missing_broken_or_outside_is_not_found() {
        let cache = cache();
        for (revision, name) in [
            (COMMIT, "other.json"),
            (COMMIT, "broken.json"),
            (COMMIT, "outside.json"),
            ("dev", "t3.safetensors"),
            ("../../x", "t3.safetensors"),
        ] {
            assert_eq!(find(cache.path(), &candidate(revision, name)), None, "{revision} {name}");
        }
    }
}
