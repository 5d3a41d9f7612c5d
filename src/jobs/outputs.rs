//! The files of jobs: finished results and chunk checkpoints.
//!
//! A name in these folders always stands for whole, synced bytes ([`crate::files`]). A process that dies on the way leaves
//! only a `.part` file, which the next start removes. Rows are written after files and deleted after files, so a row
//! never promises what the disk does not have.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use waveform::wav;

use super::{JobId, log_span, with_causes};
use crate::files::{
    FileError, PART, entries, remove_file, remove_folder, sync_folder, write_aside, write_bytes,
};
use crate::speech::AudioFormat;
use crate::speech::takes::Report;
use crate::speech::timeline::Timeline;

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

    /// On the disk.
    pub(super) fn bytes(&self) -> u64 {
        if self.is_chunks {
            folder_bytes(&self.path)
        } else {
            fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
        }
    }

    /// Whether this is a result of this name, or what is kept beside it.
    pub(super) fn belongs_to(&self, file_name: &str) -> bool {
        !self.is_chunks && self.path.file_stem() == Path::new(file_name).file_stem()
    }

    pub(super) fn remove(&self) -> Result<(), FileError> {
        if self.is_chunks { remove_folder(&self.path) } else { remove_file(&self.path) }
    }
}

/// A file without a name.
#[derive(Debug)]
pub struct Scratch {
    /// Open for reading and writing.
    pub file: File,
}

impl Scratch {
    /// To be read from its beginning.
    pub fn rewound(mut self) -> io::Result<File> {
        self.file.rewind()?;
        Ok(self.file)
    }
}

/// Where a chunk stands in its job, and how often it was replaced there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Counted from 0.
    position: u32,
    version: u32,
}

impl From<u32> for Place {
    /// The first version.
    fn from(position: u32) -> Self {
        Self { position, version: 0 }
    }
}

impl From<(u32, u32)> for Place {
    fn from((position, version): (u32, u32)) -> Self {
        Self { position, version }
    }
}

impl Place {
    fn name(self, extension: &str) -> String {
        match self.version {
            0 => format!("{}.{extension}", self.position),
            version => format!("{}.{version}.{extension}", self.position),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Outputs {
    results: PathBuf,
    chunks: PathBuf,
}

impl Outputs {
    /// Makes the folders where they are missing.
    pub(super) fn open(data_dir: &Path) -> Result<Self, FileError> {
        let outputs = Self { results: data_dir.join("outputs"), chunks: data_dir.join("chunks") };
        ensure(&outputs.results)?;
        ensure(&outputs.chunks)?;
        Ok(outputs)
    }

    pub(super) fn result_path(&self, file_name: &str) -> PathBuf {
        self.results.join(file_name)
    }

    pub(super) fn result_name(id: JobId, format: AudioFormat) -> String {
        format!("{id}.{format}")
    }

    /// The name of the result that replaces `was`. Two names take turns, so that the new one never overwrites the one that is
    /// served, and no more than two are to be looked for.
    pub(super) fn next_result_name(id: JobId, format: AudioFormat, was: &str) -> String {
        let first = Self::result_name(id, format);
        if was == first { format!("{id}.b.{format}") } else { first }
    }

    /// Puts a finished result in place and returns its size in bytes beside what `write` returned. `write` gets a file
    /// open for reading and writing and says itself how its own failure reads.
    pub(super) fn publish<T, E: From<FileError>>(
        &self,
        file_name: &str,
        write: impl FnOnce(File) -> Result<T, E>,
    ) -> Result<(u64, T), E> {
        ensure(&self.results)?;
        write_aside(&self.results, file_name, write)
    }

    /// On the disk of the results.
    pub(super) fn free_bytes(&self) -> Result<u64, FileError> {
        ensure(&self.results)?;
        fs4::available_space(&self.results).map_err(|source| FileError::new("measure", &self.results, source))
    }

    pub(super) fn scratch(&self) -> Result<Scratch, FileError> {
        ensure(&self.results)?;
        let path = self.results.join(format!("{}{PART}", uuid::Uuid::new_v4()));
        let open = File::options().read(true).write(true).create_new(true).open(&path);
        let file = open.map_err(|source| FileError::new("create", &path, source))?;
        // Elsewhere an open file keeps its name, and the next start removes it.
        if cfg!(unix) {
            remove_file(&path)?;
        }
        Ok(Scratch { file })
    }

    pub(super) fn chunk_path(&self, id: JobId, place: impl Into<Place>) -> PathBuf {
        self.chunk_folder(id).join(place.into().name("wav"))
    }

    /// Whether a job has chunks on the disk.
    pub(super) fn has_chunks(&self, id: JobId) -> bool {
        self.chunk_folder(id).is_dir()
    }

    /// Bytes of a job's chunks.
    pub(super) fn chunk_bytes(&self, id: JobId) -> u64 {
        folder_bytes(&self.chunk_folder(id))
    }

    /// Puts a finished chunk in place: mono, 32-bit float, so that joining chunks later loses nothing. Returns the digest
    /// by which [`Self::has_chunk`] knows it again.
    pub(super) fn write_chunk(
        &self,
        id: JobId,
        place: impl Into<Place>,
        sample_rate: u32,
        samples: &[f32],
    ) -> Result<String, FileError> {
        let folder = self.make_chunk_folder(id)?;
        let name = place.into().name("wav");
        let write = |mut file: File| {
            wav::write_f32(&mut file, samples, sample_rate)
                .map_err(|error| FileError::new("write", &folder.join(&name), error.into_io()))
        };
        write_aside(&folder, &name, write).map(|(_bytes, ())| digest(samples))
    }

    /// Keeps how a chunk was spoken beside it.
    pub(super) fn write_report(
        &self,
        id: JobId,
        place: impl Into<Place>,
        report: &Report,
    ) -> Result<(), FileError> {
        let folder = self.make_chunk_folder(id)?;
        write_json(&folder, &place.into().name("json"), report)
    }

    /// How a chunk was spoken; nothing for one of an older program.
    pub(super) fn report(&self, id: JobId, place: impl Into<Place>) -> Option<Report> {
        let text = fs::read(self.chunk_folder(id).join(place.into().name("json"))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps when what is heard beside the result.
    pub(super) fn write_timeline(&self, file_name: &str, timeline: &Timeline) -> Result<(), FileError> {
        write_json(&self.results, &timeline_name(file_name), timeline)
    }

    /// `None` where there is none: the job has not ended, or an older program spoke it.
    pub(super) fn timeline(&self, file_name: &str) -> Option<Timeline> {
        serde_json::from_slice(&fs::read(self.results.join(timeline_name(file_name))).ok()?).ok()
    }

    /// Removes a result that another one has replaced.
    pub(super) fn remove_result(&self, file_name: &str) -> Result<(), FileError> {
        remove_file(&self.result_path(file_name))?;
        remove_file(&self.results.join(timeline_name(file_name)))
    }

    /// Removes a chunk that another one has replaced.
    pub(super) fn remove_chunk(&self, id: JobId, place: impl Into<Place>) -> Result<(), FileError> {
        let place = place.into();
        remove_file(&self.chunk_folder(id).join(place.name("wav")))?;
        remove_file(&self.chunk_folder(id).join(place.name("json")))
    }

    /// Whether the chunk's file is there with exactly these samples: this many, with this digest. Chunks of older programs
    /// have an empty one, and are known by their length.
    pub(super) fn has_chunk(&self, id: JobId, place: impl Into<Place>, samples: u64, known: &str) -> bool {
        let path = self.chunk_path(id, place);
        if known.is_empty() {
            return wav::frames(path).is_ok_and(|frames| frames == samples);
        }
        wav::read(path)
            .is_ok_and(|chunk| chunk.samples.len() as u64 == samples && digest(&chunk.samples) == known)
    }

    /// Removes a job's chunks; its result stays. Nothing to remove is fine.
    pub(super) fn remove_chunks(&self, id: JobId) -> Result<(), FileError> {
        remove_folder(&self.chunk_folder(id))
    }

    /// Removes everything a job has on disk.
    pub(super) fn remove(&self, id: JobId) -> Result<(), FileError> {
        for format in AudioFormat::ALL {
            let name = Self::result_name(id, format);
            self.remove_result(&name)?;
            self.remove_result(&Self::next_result_name(id, format, &name))?;
        }
        self.remove_chunks(id)
    }

    /// [`Self::remove`] for async callers that have nobody to tell: what stays is an orphan, which the clean-up finds.
    pub(super) async fn forget(&self, id: JobId) {
        let outputs = self.clone();
        let removed = tokio::task::spawn_blocking(move || outputs.remove(id)).await;
        if let Ok(Err(error)) = removed {
            let _entered = log_span(id).entered();
            tracing::warn!(error = with_causes(&error), "a job's files stay until the next clean-up");
        }
    }

    /// Removes what a dead process was writing; only for whoever holds the lock of the data directory. Returns how many
    /// files that were.
    pub(super) fn remove_parts(&self) -> Result<usize, FileError> {
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
    pub(super) fn found(&self) -> Result<Vec<Found>, FileError> {
        let read = |path: PathBuf, is_chunks| {
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| name.split('.').next()).and_then(|stem| stem.parse().ok());
            Found { path, id, is_chunks }
        };
        let results = entries(&self.results)?.into_iter().map(|path| read(path, false));
        let chunks = entries(&self.chunks)?.into_iter().map(|path| read(path, true));
        Ok(results.chain(chunks).collect())
    }

    fn chunk_folder(&self, id: JobId) -> PathBuf {
        self.chunks.join(id.to_string())
    }

    fn make_chunk_folder(&self, id: JobId) -> Result<PathBuf, FileError> {
        let folder = self.chunk_folder(id);
        ensure(&self.chunks)?;
        match fs::create_dir(&folder) {
            Ok(()) => sync_folder(&self.chunks)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::new("create", &folder, error)),
        }
        Ok(folder)
    }
}

/// Makes a folder that is missing: at the first start, or because somebody removed it under a running server.
fn ensure(folder: &Path) -> Result<(), FileError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|source| FileError::new("create", folder, source))?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Beside its result: `….wav` → `….json`.
fn timeline_name(file_name: &str) -> String {
    Path::new(file_name).with_extension("json").to_string_lossy().into_owned()
}

/// Of the files in a folder; what cannot be read counts as nothing.
fn folder_bytes(folder: &Path) -> u64 {
    let files = entries(folder).unwrap_or_default();
    files.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

fn write_json(folder: &Path, name: &str, value: &impl serde::Serialize) -> Result<(), FileError> {
    let text = serde_json::to_vec(value);
    let text = text.map_err(|error| FileError::new("write", &folder.join(name), error.into()))?;
    write_bytes(folder, name, &text)
}

/// SHA-256 of the samples' bytes, in hexadecimal.
fn digest(samples: &[f32]) -> String {
    let mut hasher = Sha256::new();
    for sample in samples {
        hasher.update(sample.to_le_bytes());
    }
    format!("{:x}", hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_chunk_reads_back_sample_for_sample() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        let samples = [0.0, 0.125, -1.5, f32::MIN_POSITIVE];
        let digest = outputs.write_chunk(id, 3, 24_000, &samples).unwrap();
        assert_eq!(wav::read(outputs.chunk_path(id, 3)).unwrap().samples, samples);
        for known in [digest.as_str(), ""] {
            assert!(outputs.has_chunk(id, 3, 4, known));
            assert!(!outputs.has_chunk(id, 3, 5, known));
            assert!(!outputs.has_chunk(id, 2, 4, known));
        }
    }

    #[test]
    fn a_chunk_of_which_one_bit_has_changed_is_not_the_chunk() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        let digest = outputs.write_chunk(id, 0, 24_000, &[0.25; 100]).unwrap();
        let path = outputs.chunk_path(id, 0);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(!outputs.has_chunk(id, 0, 100, &digest));
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
    fn what_is_told_of_a_job_reads_back_and_goes_with_it() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        let report = Report { seed: 9, takes: 2, faults: Vec::new() };
        outputs.write_report(id, 1, &report).unwrap();
        outputs.write_timeline(&format!("{id}.wav"), &Timeline::default()).unwrap();
        assert_eq!((outputs.report(id, 1), outputs.report(id, 0)), (Some(report), None));
        assert_eq!(outputs.timeline(&format!("{id}.wav")), Some(Timeline::default()));
        assert!(outputs.found().unwrap().iter().all(|found| found.id == Some(id)));
        outputs.remove(id).unwrap();
        assert_eq!((outputs.report(id, 1), outputs.timeline(&format!("{id}.wav"))), (None, None));
        assert!(outputs.found().unwrap().is_empty());
    }

    #[test]
    fn removing_a_job_removes_its_result_and_chunks_and_is_repeatable() {
        let (_folder, outputs) = outputs();
        let id = JobId::new();
        outputs.write_chunk(id, 0, 24_000, &[0.0]).unwrap();
        let name = Outputs::result_name(id, AudioFormat::Flac);
        outputs.publish::<(), FileError>(&name, |_| Ok(())).unwrap();
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
