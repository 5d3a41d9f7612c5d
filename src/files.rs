//! Files that are there whole or not at all, for every part that keeps something on disk.
//!
//! A file is written aside, synced, renamed, and its folder synced, so a name always stands for whole, durable bytes. A
//! process that dies on the way leaves only a `.part` file.

pub mod network;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::breakpoints::reach;

/// The ending of a file that is still being written.
pub const PART: &str = ".part";

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct FileError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl FileError {
    /// `doing` completes "cannot …".
    pub fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self { doing, path: path.to_owned(), source }
    }
}

/// Whether an error comes, at whatever depth, from a disk that has no room left.
pub fn is_for_lack_of_room(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return true;
            }
            // What it was made of, which it does not name as its source.
            next = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        }
    }
    false
}

/// Writes `folder/name` so that it either is there whole and synced, or not at all. Returns its size in bytes beside what
/// `write` returned; `write` gets a file open for reading and writing and says itself how its own failure reads.
pub fn write_aside<T, E: From<FileError>>(
    folder: &Path,
    name: &str,
    write: impl FnOnce(File) -> Result<T, E>,
) -> Result<(u64, T), E> {
    let path = folder.join(name);
    let aside = Aside(folder.join(format!("{name}{PART}")));
    let open = File::options().read(true).write(true).create(true).truncate(true).open(&aside.0);
    let file = open.map_err(|source| FileError::new("create", &aside.0, source))?;
    let handle = file.try_clone().map_err(|source| FileError::new("open", &aside.0, source))?;
    let written = write(handle)?;
    reach("before sync").map_err(|source| FileError::new("sync", &aside.0, source))?;
    file.sync_all().map_err(|source| FileError::new("sync", &aside.0, source))?;
    reach("after sync").map_err(|source| FileError::new("put in place", &path, source))?;
    let bytes = file.metadata().map_err(|source| FileError::new("measure", &aside.0, source))?.len();
    fs::rename(&aside.0, &path).map_err(|source| FileError::new("put in place", &path, source))?;
    reach("after rename").map_err(|source| FileError::new("sync", folder, source))?;
    sync_folder(folder)?;
    reach("after folder sync").map_err(|source| FileError::new("sync", folder, source))?;
    Ok((bytes, written))
}

/// [`write_aside`] for bytes that are all there.
pub fn write_bytes(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FileError> {
    let write = |mut file: File| {
        file.write_all(bytes).map_err(|source| FileError::new("write", &folder.join(name), source))
    };
    write_aside(folder, name, write).map(|(_bytes, ())| ())
}

/// Removes the half-written file when writing fails or panics; after the rename there is nothing left to remove.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A rename is only durable once its folder is synced. Windows cannot sync folders and does not need it.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|opened| opened.sync_all())
            .map_err(|source| FileError::new("sync", folder, source))?;
    }
    Ok(())
}

/// Nothing to remove is fine.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::new("remove", path, error)),
    }
}

/// Removes a folder with everything in it. Nothing to remove is fine.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::new("remove", path, error)),
    }
}

/// The paths in a folder; none where the folder itself is gone.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|source| FileError::new("read", folder, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        entries(folder).unwrap().iter().map(name).collect()
    }

    #[test]
    fn a_file_appears_under_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let (bytes, ()) = write_aside::<_, FileError>(folder.path(), "a.wav", |mut file| {
            file.write_all(b"half").unwrap();
            assert!(!path.exists());
            file.write_all(b"whole").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(bytes, 9);
        assert_eq!(fs::read(&path).unwrap(), b"halfwhole");
        assert_eq!(names(folder.path()), ["a.wav"]);
    }

    #[test]
    fn a_file_that_fails_half_way_leaves_nothing_and_what_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        write_bytes(folder.path(), "a.wav", b"before").unwrap();
        let result = write_aside::<(), _>(folder.path(), "a.wav", |mut file| {
            file.write_all(b"half").unwrap();
            Err(FileError::new("imagine", Path::new("x"), io::Error::other("disk full")))
        });
        assert!(result.is_err());
        assert_eq!(names(folder.path()), ["a.wav"]);
        assert_eq!(fs::read(folder.path().join("a.wav")).unwrap(), b"before");
    }

    #[test]
    fn a_full_disk_is_recognised_at_any_depth() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert!(is_for_lack_of_room(&FileError::new("write", Path::new("x"), full())));
        assert!(is_for_lack_of_room(&FileError::new("write", Path::new("x"), io::Error::other(full()))));
        assert!(!is_for_lack_of_room(&FileError::new("write", Path::new("x"), io::Error::other("full"))));
    }

    #[test]
    fn removing_and_reading_what_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = folder.path().join("nothing");
        remove_file(&nothing).unwrap();
        remove_folder(&nothing).unwrap();
        assert!(entries(&nothing).unwrap().is_empty());
    }
}
