//! What clients were promised, and whether it was kept.
//!
//! An answer that was read to its end is a promise. A request that got none may have done its work or not: either is right,
//! and only that.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::witness::{self, Facts, JobRow};

/// The test model's: 80 ms at 24 kHz for each character.
const SAMPLES_PER_CHARACTER: usize = 1920;

/// In a text that the test model fails on.
pub(crate) const DOOMED: &str = "[fail]";

/// A request to add something, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) path: &'static str,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Texts by id, from answers 202.
    pub(crate) accepted: BTreeMap<String, String>,
    /// Ids of batches that were accepted.
    pub(crate) batches: BTreeSet<String>,
    /// Ids of their jobs.
    pub(crate) of_batches: BTreeSet<String>,
    /// Wishes to run a job again that got no answer.
    pub(crate) perhaps_rerun: usize,
    /// By their keys, those that got no answer yet. They are sent again until they get one.
    pub(crate) unanswered: BTreeMap<String, Wish>,
    /// From answers 200 to DELETE and 410 to a fetch.
    pub(crate) cancelled: BTreeSet<String>,
    /// Asked to cancel without an answer.
    pub(crate) perhaps_cancelled: BTreeSet<String>,
    /// Told to have failed; a wish to try again ends that.
    pub(crate) failed: BTreeSet<String>,
    /// Wishes to try a failed job again.
    tries: BTreeMap<String, usize>,
    /// The digest of a result and of its samples alone, from the first time it was served.
    pub(crate) served: BTreeMap<String, (String, String)>,
    /// The digest of samples that were streamed to their end, and how many bytes they were.
    pub(crate) streamed: BTreeMap<String, (String, usize)>,
    pub(crate) deleted: BTreeSet<String>,
    pub(crate) perhaps_deleted: BTreeSet<String>,
    /// Events by number.
    pub(crate) heard: BTreeMap<i64, (String, String)>,
    /// The digest of what each text sounds like; every request has the same seed, so the bytes are the same.
    pub(crate) sounds: BTreeMap<String, String>,
    /// Results that were read and found right, as they were then.
    checked: RefCell<Seen>,
    /// Answers of each kind of request, to see that there was a mixture.
    pub(crate) answers: BTreeMap<&'static str, usize>,
}

impl Ledger {
    /// Accepted, and not known to have ended.
    pub(crate) fn open(&self) -> impl Iterator<Item = &String> {
        self.accepted.keys().filter(|id| {
            !self.served.contains_key(*id)
                && !self.cancelled.contains(*id)
                && !self.failed.contains(*id)
                && !self.perhaps_deleted.contains(*id)
        })
    }

    pub(crate) fn tries(&self, id: &str) -> usize {
        self.tries.get(id).copied().unwrap_or_default()
    }

    /// Notes that a job was told to have failed, by an answer to a question asked after so many tries.
    pub(crate) fn fail(&mut self, id: &str, tries: usize) {
        if self.tries(id) == tries {
            self.failed.insert(id.to_owned());
        }
    }

    /// From here on it may be in the queue again.
    pub(crate) fn try_again(&mut self, id: &str) {
        self.failed.remove(id);
        *self.tries.entry(id.to_owned()).or_default() += 1;
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.answers.entry(what).or_default() += 1;
    }

    /// A result that is served is whole, and is the same ever after; and what was streamed is what is served.
    pub(crate) fn serve(&mut self, id: &str, body: &[u8]) {
        frames(id, body);
        assert!(!self.cancelled.contains(id), "{id} was cancelled and is served");
        assert!(!self.accepted[id].contains(DOOMED), "{id} cannot be spoken and is served");
        let digests = (digest(body), digest(samples(body)));
        let sound = self.sounds.entry(self.accepted[id].clone()).or_insert_with(|| digests.0.clone());
        assert_eq!(*sound, digests.0, "{id} does not sound like its text");
        let first = self.served.entry(id.to_owned()).or_insert_with(|| digests.clone());
        assert_eq!(*first, digests, "the result of {id} changed");
        if let Some(streamed) = self.streamed.get(id) {
            let served = (digests.1, samples(body).len());
            assert_eq!(*streamed, served, "{id} was streamed otherwise than it is served");
        }
    }

    /// What of the promises the database and the files do not keep, after whatever ended the server. Empty is right.
    pub(crate) fn broken(&self, data_dir: &Path, facts: &Facts) -> Vec<String> {
        let mut broken = Vec::new();
        for id in self.accepted.keys() {
            match facts.jobs.get(id) {
                None if self.perhaps_deleted.contains(id) => {}
                None => broken.push(format!("accepted and missing: {id}")),
                Some(_) if self.deleted.contains(id) => broken.push(format!("deleted and back: {id}")),
                // Its files go first, so a deletion that was cut off may have left a row that says so.
                Some(job) if self.perhaps_deleted.contains(id) && has_lost_its_file(job) => {}
                Some(job) => self.broken_for(id, job, &mut broken),
            }
        }
        for (id, job) in &facts.jobs {
            if job.completions > 1 {
                broken.push(format!("completed twice: {id}"));
            }
            if job.chunks_redone > 0 {
                broken.push(format!("{} finished chunks were spoken again: {id}", job.chunks_redone));
            }
            if !self.perhaps_deleted.contains(id)
                && let Some(problem) = self.broken_files(data_dir, id, job)
            {
                broken.push(problem);
            }
        }
        for id in &self.batches {
            if !facts.batches.contains_key(id) {
                broken.push(format!("accepted and missing: batch {id}"));
            }
        }
        // No client deletes from batches here.
        for (id, (total, there)) in &facts.batches {
            if total != there {
                broken.push(format!("{there} of {total} jobs of batch {id}"));
            }
        }
        for (seq, (id, kind)) in &self.heard {
            let there = facts.events.get(seq);
            if there != Some(&(id.clone(), kind.clone())) && !self.perhaps_deleted.contains(id) {
                broken.push(format!("event {seq} of {id} was {kind} and is {there:?}"));
            }
        }
        broken
    }

    fn broken_for(&self, id: &str, job: &JobRow, broken: &mut Vec<String>) {
        let is_doomed = job.text.contains(DOOMED);
        let is_right = match job.status.as_str() {
            "queued" | "running" => {
                !self.cancelled.contains(id) && !self.failed.contains(id) && !self.served.contains_key(id)
            }
            "completed" => !self.cancelled.contains(id) && !is_doomed,
            "failed" => !self.cancelled.contains(id) && is_doomed,
            "cancelled" => self.perhaps_cancelled.contains(id) && !self.served.contains_key(id),
            _ => false,
        };
        if !is_right {
            broken.push(format!("{id} is {}: {:?}", job.status, job.error));
        }
        if job.text != self.accepted[id] {
            broken.push(format!("{id} says something else: {}", job.text));
        }
    }

    /// What a row promises and its files do not hold.
    fn broken_files(&self, data_dir: &Path, id: &str, job: &JobRow) -> Option<String> {
        match job.status.as_str() {
            "completed" => {
                let path = result_path(data_dir, job);
                // Reading thousands of results after each kill would take hours; one that has not changed is still right.
                let state =
                    std::fs::metadata(&path).and_then(|about| Ok((about.len(), about.modified()?))).ok();
                if state.is_some() && self.checked.borrow().get(&path) == state.as_ref() {
                    return None;
                }
                let Ok(bytes) = std::fs::read(&path) else {
                    return Some(format!("a row without its file: {id}"));
                };
                if bytes.len() as i64 != job.output_bytes.unwrap() {
                    return Some(format!("{} bytes instead of {:?}: {id}", bytes.len(), job.output_bytes));
                }
                let timeline = std::fs::read(path.with_extension("json")).unwrap_or_default();
                if serde_json::from_slice::<Value>(&timeline).is_err() {
                    return Some(format!("captions that cannot be read: {id}"));
                }
                if self.sounds.get(&job.text).is_some_and(|sound| *sound != digest(&bytes)) {
                    return Some(format!("it does not sound like its text: {id}"));
                }
                self.checked.borrow_mut().extend(state.map(|state| (path, state)));
                None
            }
            "cancelled" => None,
            _ => job.chunk_digests.iter().find_map(|(position, known)| {
                let path = data_dir.join("chunks").join(id).join(format!("{position}.wav"));
                let read = || {
                    let mut wav = hound::WavReader::open(&path)?;
                    wav.samples::<f32>().collect::<Result<Vec<f32>, _>>()
                };
                let samples = read().unwrap_or_default();
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                (digest(&bytes) != *known).then(|| format!("chunk {position} is noted and not there: {id}"))
            }),
        }
    }

    /// When all has ended and every wish was answered: nothing is there but what was asked for, each whole, and no file
    /// that no job speaks of.
    pub(crate) fn check_the_end(&self, data_dir: &Path) {
        let facts = witness::facts(data_dir).unwrap();
        assert_eq!(self.broken(data_dir, &facts), Vec::<String>::new());
        assert!(self.unanswered.is_empty());
        let mut expected = BTreeSet::new();
        let strange = facts.jobs.keys().filter(|id| !self.accepted.contains_key(*id)).count();
        assert!(strange <= self.perhaps_rerun, "{strange} jobs that nobody asked for");
        for (id, job) in &facts.jobs {
            match job.status.as_str() {
                "completed" => {
                    assert_eq!((job.completions, job.chunks_redone), (1, 0), "{id}");
                    let path = result_path(data_dir, job);
                    // Spoken whole, and joined whole with pauses between.
                    let spoken = job.chunk_samples as usize;
                    let characters: usize =
                        job.chunk_texts.iter().map(|text| text.trim().chars().count()).sum();
                    assert_eq!(spoken, characters * SAMPLES_PER_CHARACTER, "{id}");
                    assert_eq!(job.chunk_texts.join(" "), job.text, "{id}");
                    let frames = frames(id, &std::fs::read(&path).unwrap());
                    let pauses = job.chunk_texts.len() * 24_000;
                    assert!(
                        (spoken * 98 / 100..=spoken + pauses).contains(&frames),
                        "{id}: {frames} for {spoken}"
                    );
                    expected.insert(path.with_extension("json"));
                    expected.insert(path);
                }
                "cancelled" => assert!(self.perhaps_cancelled.contains(id), "{id}"),
                "failed" if self.perhaps_deleted.contains(id) && has_lost_its_file(job) => {}
                "failed" => assert!(job.text.contains(DOOMED), "{id}: {:?}", job.error),
                other => panic!("{id} is {other} in the end: {:?}", job.error),
            }
        }
        // Failed jobs keep their chunks, since they may be tried again.
        let is_kept = |path: &PathBuf| {
            let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            facts.jobs.get(folder).is_some_and(|job| job.status == "failed")
        };
        let left: BTreeSet<PathBuf> =
            witness::files(data_dir).into_keys().filter(|path| !is_kept(path)).collect();
        assert_eq!(left, expected, "files that no completed job speaks of, or the other way round");
        for folder in witness::chunk_folders(data_dir) {
            assert!(is_kept(&folder.join("0.wav")), "{} is left", folder.display());
        }
    }
}

fn has_lost_its_file(job: &JobRow) -> bool {
    job.error.as_deref() == Some("the result file is gone")
}

/// Results that were seen, with what changes when they are written anew.
pub(crate) type Seen = BTreeMap<PathBuf, (u64, SystemTime)>;

/// No result is written a second time.
pub(crate) fn check_written_once(data_dir: &Path, facts: &Facts, seen: &mut Seen) {
    let files = witness::files(data_dir);
    for (id, job) in facts.jobs.iter().filter(|(_, job)| job.status == "completed") {
        let path = result_path(data_dir, job);
        // One that is being deleted is gone before its row.
        let Some(now) = files.get(&path) else { continue };
        let then = *seen.entry(path).or_insert(*now);
        assert_eq!(*now, then, "the result of {id} was written again");
    }
}

fn result_path(data_dir: &Path, job: &JobRow) -> PathBuf {
    data_dir.join("outputs").join(job.output_file.as_ref().unwrap())
}

/// Of a wav file with the shortest head; tags may follow. A stream does not know its length and has none.
fn samples(bytes: &[u8]) -> &[u8] {
    let Some((head, rest)) = bytes.split_at_checked(44) else { return &[] };
    let told = u32::from_le_bytes(head[40..].try_into().unwrap()) as usize;
    &rest[..told.min(rest.len())]
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The digest of the samples of a stream, and how many bytes they are.
pub(crate) fn digest_of_stream(body: &[u8]) -> (String, usize) {
    (digest(samples(body)), samples(body).len())
}

/// The samples of a wav file that decodes to its end.
pub(crate) fn frames(id: &str, bytes: &[u8]) -> usize {
    let mut wav = hound::WavReader::new(Cursor::new(bytes)).unwrap_or_else(|error| panic!("{id}: {error}"));
    let told = wav.len() as usize;
    let mut read = 0;
    for sample in wav.samples::<i16>() {
        sample.unwrap_or_else(|error| panic!("{id}: {error}"));
        read += 1;
    }
    assert_eq!(read, told, "{id} is cut off");
    read
}
