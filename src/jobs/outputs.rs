//! The files of jobs: finished results and chunk checkpoints.
//!
//! A name in these folders always stands for whole, synced bytes: a file is written aside, synced, renamed, and its
//! folder synced. A process that dies on the way leaves only a `.part` file, which the next start removes. Rows are
//! written after files and deleted after files, so a row never promises what the disk does not have.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{JobId, with_causes};
use waveform::wav;

use crate::speech::AudioFormat;

const PART: &str = ".part";

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct OutputsError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A file or folder named after a job, as the clean-up finds it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// `None` for a name that no job could have.
    pub(super) id: Option<JobId>,
    /// A folder of chunks, not a result.
    pub(super) is_chunks: bool,
}

impl Found {
    /// Since the last change; zero where the clock or the file system does not tell.
    pub(super) fn age(&self) -> Duration {
        let changed = fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok();
        changed.and_then(|changed| SystemTime::now().duration_since(changed).ok()).unwrap_or_default()
    }

    pub(super) fn remove(&self) -> Result<(), OutputsError> {
        if self.is_chunks { remove_folder(&self.path) } else { remove_file(&self.path) }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Outputs {
    results: PathBuf,
    chunks: PathBuf,
}

impl Outputs {
    /// Makes the folders where they are missing.
    pub(super) fn open(data_dir: &Path) -> Result<Self, OutputsError> {
        let outputs = Self { results: data_dir.join("outputs"), chunks: data_dir.join("chunks") };
        for folder in [&outputs.results, &outputs.chunks] {
            fs::create_dir_all(folder).map_err(|source| failed("create", folder, source))?;
        }
        sync_folder(data_dir)?;
        Ok(outputs)
    }

    pub(super) fn result_path(&self, file_name: &str) -> PathBuf {
        self.results.join(file_name)
    }

    pub(super) fn result_name(id: JobId, format: AudioFormat) -> String {
        let extension = match format {
            AudioFormat::Wav => "wav",
            AudioFormat::Flac => "flac",
        };
        format!("{id}.{extension}")
    }

    /// Puts a finished result in place and returns its size in bytes beside what `write` returned. `write` gets a file
    /// open for reading and writing and says itself how its own failure reads.
    pub(super) fn publish<T, E: From<OutputsError>>(
        &self,
        file_name: &str,
        write: impl FnOnce(File) -> Result<T, E>,
    ) -> Result<(u64, T), E> {
        write_aside(&self.results, file_name, write)
    }

    pub(super) fn chunk_path(&self, id: JobId, position: u32) -> PathBuf {
        self.chunk_folder(id).join(format!("{position}.wav"))
    }

    /// Puts a finished chunk in place: mono, 32-bit float, so that joining chunks later loses nothing.
    pub(super) fn write_chunk(
        &self,
        id: JobId,
        position: u32,
        sample_rate: u32,
        samples: &[f32],
    ) -> Result<(), OutputsError> {
        let folder = self.chunk_folder(id);
        match fs::create_dir(&folder) {
            Ok(()) => sync_folder(&self.chunks)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &folder, error)),
        }
        let name = format!("{position}.wav");
        let write = |mut file: File| {
            wav::write_f32(&mut file, samples, sample_rate)
                .map_err(|error| failed("write", &folder.join(&name), io::Error::other(error)))
        };
        write_aside(&folder, &name, write).map(|(_bytes, ())| ())
    }

    /// Whether the chunk's file is there with exactly this many samples.
    pub(super) fn has_chunk(&self, id: JobId, position: u32, samples: u64) -> bool {
        wav::frames(self.chunk_path(id, position)).is_ok_and(|frames| frames == samples)
    }

    /// Removes a job's chunks; its result stays. Nothing to remove is fine.
    pub(super) fn remove_chunks(&self, id: JobId) -> Result<(), OutputsError> {
        remove_folder(&self.chunk_folder(id))
    }

    /// Removes everything a job has on disk.
    pub(super) fn remove(&self, id: JobId) -> Result<(), OutputsError> {
        for format in [AudioFormat::Wav, AudioFormat::Flac] {
            remove_file(&self.result_path(&Self::result_name(id, format)))?;
        }
        self.remove_chunks(id)
    }

    /// [`Self::remove`] for async callers that have nobody to tell: what stays is an orphan, which the clean-up finds.
    pub(super) async fn forget(&self, id: JobId) {
        let outputs = self.clone();
        let removed = tokio::task::spawn_blocking(move || outputs.remove(id)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(job = %id, error = with_causes(&error), "a job's files stay until the next clean-up");
        }
    }

    /// Removes what a dead process was writing; only for whoever holds the lock of the data directory. Returns how many
    /// files that were.
    pub(super) fn remove_parts(&self) -> Result<usize, OutputsError> {
        let mut removed = 0;
        let mut folders = vec![self.results.clone()];
        folders.extend(entries(&self.chunks)?.into_iter().filter(|path| path.is_dir()));
        for folder in folders {
            for path in entries(&folder)? {
                if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(PART)) {
                    remove_file(&path)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// All results and chunk folders, in no order.
    pub(super) fn found(&self) -> Result<Vec<Found>, OutputsError> {
        let read = |path: PathBuf, is_chunks| {
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            Found { path, id, is_chunks }
        };
        let results = entries(&self.results)?.into_iter().map(|path| read(path, false));
        let chunks = entries(&self.chunks)?.into_iter().map(|path| read(path, true));
        Ok(results.chain(chunks).collect())
    }

    fn chunk_folder(&self, id: JobId) -> PathBuf {
        self.chunks.join(id.to_string())
    }
}

/// Writes `folder/name` so that it either is there whole and synced, or not at all.
fn write_aside<T, E: From<OutputsError>>(
    folder: &Path,
    name: &str,
    write: impl FnOnce(File) -> Result<T, E>,
) -> Result<(u64, T), E> {
    let path = folder.join(name);
    let aside = Aside(folder.join(format!("{name}{PART}")));
    let open = File::options().read(true).write(true).create(true).truncate(true).open(&aside.0);
    let file = open.map_err(|source| failed("create", &aside.0, source))?;
    let handle = file.try_clone().map_err(|source| failed("open", &aside.0, source))?;
    let written = write(handle)?;
    file.sync_all().map_err(|source| failed("sync", &aside.0, source))?;
    let bytes = file.metadata().map_err(|source| failed("measure", &aside.0, source))?.len();
    fs::rename(&aside.0, &path).map_err(|source| failed("put in place", &path, source))?;
    sync_folder(folder)?;
    Ok((bytes, written))
}

/// Removes the half-written file when writing fails or panics; after the rename there is nothing left to remove.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A rename is only durable once its folder is synced. Windows cannot sync folders and does not need it.
fn sync_folder(folder: &Path) -> Result<(), OutputsError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|opened| opened.sync_all())
            .map_err(|source| failed("sync", folder, source))?;
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), OutputsError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path, error)),
    }
}

fn remove_folder(path: &Path) -> Result<(), OutputsError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path, error)),
    }
}

/// The paths in a folder; none where the folder itself is gone.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, OutputsError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|source| failed("read", folder, source)),
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> OutputsError {
    OutputsError { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn outputs() -> (tempfile::TempDir, Outputs) {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::open(folder.path()).unwrap();
        (folder, outputs)
    }

    fn names(folder: &Path) -> Vec<String> {
        entries(folder)
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into())
            .collect()
    }

    #[test]
    fn a_result_appears_under_its_name_only_when_it_is_whole() {
        let (_folder, outputs) = outputs();
        let path = outputs.result_path("a.wav");
        let (bytes, ()) = outputs
            .publish::<_, OutputsError>("a.wav", |mut file| {
                file.write_all(b"half").unwrap();
                assert!(!path.exists());
                file.write_all(b"whole").unwrap();
                Ok(())
            })
            .unwrap();
        assert_eq!(bytes, 9);
        assert_eq!(fs::read(&path).unwrap(), b"halfwhole");
        assert_eq!(names(&outputs.results), ["a.wav"]);
    }

    #[test]
    fn a_result_that_fails_half_way_leaves_nothing() {
        let (_folder, outputs) = outputs();
        let result = outputs.publish::<(), _>("a.wav", |mut file| {
            file.write_all(b"half").unwrap();
            Err(failed("imagine", Path::new("x"), io::Error::other("disk full")))
        });
        assert!(result.is_err());
        assert!(names(&outputs.results).is_empty());
    }

    #[test]
    fn a_chunk_reads_back_sample_for_sample() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        let samples = [0.0, 0.125, -1.5, f32::MIN_POSITIVE];
        outputs.write_chunk(id, 3, 24_000, &samples).unwrap();
        assert_eq!(wav::read(outputs.chunk_path(id, 3)).unwrap().samples, samples);
        assert!(outputs.has_chunk(id, 3, 4));
        assert!(!outputs.has_chunk(id, 3, 5));
        assert!(!outputs.has_chunk(id, 2, 4));
    }

    #[test]
    fn the_start_removes_parts_and_nothing_else() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        outputs.write_chunk(id, 0, 24_000, &[0.0]).unwrap();
        fs::write(outputs.chunk_folder(id).join("1.wav.part"), "half").unwrap();
        fs::write(outputs.results.join("b.wav.part"), "half").unwrap();
        fs::write(outputs.results.join("a.wav"), "whole").unwrap();
        assert_eq!(outputs.remove_parts().unwrap(), 2);
        assert_eq!(names(&outputs.results), ["a.wav"]);
        assert_eq!(names(&outputs.chunk_folder(id)), ["0.wav"]);
    }

    #[test]
    fn removing_a_job_removes_its_result_and_chunks_and_is_repeatable() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        outputs.write_chunk(id, 0, 24_000, &[0.0]).unwrap();
        let name = Outputs::result_name(id, AudioFormat::Flac);
        outputs.publish::<(), OutputsError>(&name, |_| Ok(())).unwrap();
        outputs.remove(id).unwrap();
        outputs.remove(id).unwrap();
        assert!(names(&outputs.results).is_empty() && names(&outputs.chunks).is_empty());
    }

    #[test]
    fn what_is_found_names_its_job() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        outputs.write_chunk(id, 0, 24_000, &[0.0]).unwrap();
        fs::write(outputs.results.join("holiday.jpg"), "").unwrap();
        let found = outputs.found().unwrap();
        assert_eq!(found.iter().filter(|file| file.id == Some(id)).count(), 1);
        assert_eq!(found.iter().filter(|file| file.id.is_none()).count(), 1);
    }
}
