//! Copying and checking a data directory, beside a running server or without one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::outputs::{Found, Outputs};
use super::store::{Look, Promised};
use super::{JobStatus, StoreError};
use crate::files::{FileError, PART, remove_file, sync_folder};

/// The database within a data directory.
pub const DATABASE: &str = "declaim.db";

/// Rows compared with files at a time.
const PAGE: u32 = 1000;

/// Chunks compared at most.
const MOST_CHUNKS: u32 = 1_000_000;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no job database in {}", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error("the name {} is no file's, or not in Unicode", .0.display())]
    Name(PathBuf),
    #[error("the database cannot be copied")]
    Store(#[from] StoreError),
    #[error("the copy is damaged ({}); it was not kept", .0.join("; "))]
    Damaged(Vec<String>),
    #[error(transparent)]
    File(#[from] FileError),
}

/// A copy that was made and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    pub jobs: u64,
    pub bytes: u64,
    pub took: Duration,
}

/// Copies the database of a data directory into a file: as it is at one moment, while whoever writes goes on. The file is
/// checked before it gets its name, and replaces another one only by `force`.
pub async fn backup(data_dir: &Path, file: &Path, force: bool) -> Result<Backup, BackupError> {
    let begun = Instant::now();
    let database = data_dir.join(DATABASE);
    if !database.is_file() {
        return Err(BackupError::NoDatabase(data_dir.to_owned()));
    }
    if !force && file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let named = file.file_name().and_then(|name| name.to_str());
    let name = named.ok_or_else(|| BackupError::Name(file.to_owned()))?;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let aside = Aside(folder.join(format!(".{name}.{}{PART}", uuid::Uuid::new_v4())));
    let path = aside.0.to_str().ok_or_else(|| BackupError::Name(file.to_owned()))?;
    // For an error that says what is wrong with the folder.
    File::create_new(&aside.0).map_err(|source| FileError::new("create", &aside.0, source))?;

    let mut look = Look::at(&database).await?;
    look.copy_to(path).await?;
    look.close().await?;
    let mut copy = Look::at(&aside.0).await?;
    let findings = copy.findings(true).await?;
    let jobs = copy.jobs().await?;
    copy.close().await?;
    if !findings.is_empty() {
        return Err(BackupError::Damaged(findings));
    }
    let bytes = File::open(&aside.0)
        .and_then(|opened| {
            opened.sync_all()?;
            Ok(opened.metadata()?.len())
        })
        .map_err(|source| FileError::new("sync", &aside.0, source))?;
    put_in_place(&aside.0, file, force)?;
    sync_folder(folder)?;
    Ok(Backup { jobs, bytes, took: begun.elapsed() })
}

/// Without force, never over a file that has come meanwhile.
fn put_in_place(from: &Path, to: &Path, force: bool) -> Result<(), BackupError> {
    let failed = |source| FileError::new("put in place", to, source);
    if !force {
        match fs::hard_link(from, to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(to.to_owned()));
            }
            // This file system has no links.
            Err(_) if to.exists() => return Err(BackupError::Exists(to.to_owned())),
            Err(_) => {}
        }
    }
    Ok(fs::rename(from, to).map_err(failed)?)
}

/// Removes what was written aside, where it has not become the file.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = remove_file(&self.0);
    }
}

/// What was found in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    pub jobs: u64,
    /// What SQLite finds wrong with its file, at most some twenty sentences.
    pub damage: Vec<String>,
    /// The schema of the file and of this program, where they differ; then nothing else was looked at.
    pub schema: Option<(i64, usize)>,
    /// Completed jobs whose audio is gone, or has another size than it had.
    pub lost: u64,
    /// Chunks of jobs that are not at their end, whose file is gone: they will be spoken again.
    pub lost_chunks: u64,
    /// Files and folders that no row speaks of: the clean-up removes them.
    pub orphans: u64,
}

/// Checks the database of a data directory, and compares its rows with the files in both directions. `None` where there is
/// no database yet. Beside a running server a job may end between two looks, and so be counted wrongly.
pub async fn inspect(data_dir: &Path) -> Result<Option<Inspection>, BackupError> {
    let database = data_dir.join(DATABASE);
    if !database.is_file() {
        return Ok(None);
    }
    let outputs = Outputs::open(data_dir)?;
    let mut look = Look::at(&database).await?;
    let mut found = Inspection { damage: look.findings(false).await?, ..Inspection::default() };
    let (schema, known) = look.schema().await?;
    if usize::try_from(schema).ok() != Some(known) {
        found.schema = Some((schema, known));
        return Ok(Some(found));
    }
    found.jobs = look.jobs().await?;
    // Files first: what a job writes meanwhile is then not taken for an orphan.
    let files = outputs.found()?;
    let mut after = 0;
    loop {
        let page = look.promised(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        let is_lost = |promised: &&Promised| {
            let there = fs::metadata(outputs.result_path(&promised.file_name));
            !there.is_ok_and(|there| there.len() == promised.bytes)
        };
        found.lost += page.iter().filter(is_lost).count() as u64;
    }
    for (id, position) in look.kept_chunks(MOST_CHUNKS).await? {
        found.lost_chunks += u64::from(!outputs.chunk_path(id, position).is_file());
    }
    for file in files {
        let Some(id) = file.id else { continue };
        found.orphans += u64::from(is_orphan(&file, look.standing(id).await?.as_ref()));
    }
    look.close().await?;
    Ok(Some(found))
}

/// Whether no job needs the file, by where its job stands and the name of its result: results belong to completed jobs,
/// chunks to those that are not at their end, to failed ones, which may be tried again, and to completed ones, of which a
/// chunk may be spoken again. How many of the last are kept is bounded elsewhere.
pub(super) fn is_orphan(file: &Found, standing: Option<&(JobStatus, Option<String>)>) -> bool {
    match standing {
        None | Some((JobStatus::Cancelled, _)) => true,
        Some((JobStatus::Failed, _)) => !file.is_chunks,
        Some((JobStatus::Completed, output)) => {
            !file.is_chunks && !output.as_ref().is_some_and(|name| file.belongs_to(name))
        }
        Some((JobStatus::Queued | JobStatus::Running, _)) => false,
    }
}
