//! One file from the hub into a model's partial folder. What is there already is hashed and gone on from; a file counts
//! only once its size and its digest are right, and it is on the disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::digest::{self, Hashing, READ_SIZE};
use super::error::{HubError, ModelsError};
use super::hub::{Hub, HubSettings};
use super::plan::Planned;
use super::progress::{Phase, Shared};
use super::retry::Tries;

/// Brings a file to `path` and returns its SHA-256.
///
/// # Errors
/// What cannot be helped by trying again; what came is kept, unless it was wrong.
pub(super) fn fetch(
    hub: &Hub,
    settings: &HubSettings,
    planned: &Planned,
    path: &Path,
    shared: &Shared,
) -> Result<String, ModelsError> {
    let name = &planned.candidate.name;
    shared.begin_file(&planned.file);
    let mut part = Part::open(path, planned, shared)?;
    let mut tries = Tries::new(settings, shared, name);
    let mut best = part.length();
    let mut thrown_away = false;
    loop {
        match go_on(hub, planned, &mut part, shared) {
            Ok(()) => {
                let hashed = part.hashing.clone().finish();
                if hashed.is_expected {
                    part.file.sync_all().map_err(|source| ModelsError::file("sync", path, source))?;
                    shared.finish_file();
                    return Ok(hashed.sha256);
                }
                part.restart(shared)?;
                // What an earlier try left may be to blame, or a cache on the way; a second time it is the hub.
                if thrown_away {
                    let expected = planned.announced.digest.as_ref().map(ToString::to_string);
                    let expected = expected.unwrap_or_default();
                    return Err(HubError::WrongBytes { file: name.clone(), expected }.into());
                }
                tracing::warn!(file = name, "wrong bytes; fetching them again");
                thrown_away = true;
            }
            Err(ModelsError::Hub(error)) => {
                if part.length() > best {
                    best = part.length();
                    tries.progressed();
                }
                tries.after(error)?;
            }
            Err(other) => return Err(other),
        }
    }
}

/// Asks for what is missing and appends it; `Ok` once the size is right.
fn go_on(hub: &Hub, planned: &Planned, part: &mut Part, shared: &Shared) -> Result<(), ModelsError> {
    let size = planned.announced.size;
    if part.length() == size {
        return Ok(());
    }
    if shared.is_stopped() {
        return Err(ModelsError::Cancelled);
    }
    shared.enter(Phase::Downloading);
    let commit = planned.commit.as_deref().unwrap_or(&planned.candidate.revision);
    let incoming = hub.open(&planned.candidate, commit, &planned.announced, part.length())?;
    if incoming.from != part.length() {
        // It does not do parts, or it has another version by now.
        part.restart(shared)?;
    }
    let file = || planned.candidate.name.clone();
    let mut body = incoming.body;
    let mut piece = vec![0; READ_SIZE];
    loop {
        let count = match body.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(HubError::Broken { file: file(), received: part.length(), source }.into());
            }
        };
        if count == 0 {
            break;
        }
        let found = part.length() + count as u64;
        if found > size {
            return Err(HubError::WrongSize { file: file(), expected: size, found }.into());
        }
        part.append(&piece[..count])?;
        if shared.received(count as u64).is_break() {
            return Err(ModelsError::Cancelled);
        }
    }
    if part.length() < size {
        let source = io::ErrorKind::UnexpectedEof.into();
        return Err(HubError::Broken { file: file(), received: part.length(), source }.into());
    }
    Ok(())
}

/// A file that grows, and the hash of what it holds.
struct Part<'a> {
    path: PathBuf,
    planned: &'a Planned,
    file: File,
    hashing: Hashing,
}

impl<'a> Part<'a> {
    /// Takes up what an earlier try left.
    fn open(path: &Path, planned: &'a Planned, shared: &Shared) -> Result<Self, ModelsError> {
        let failed = |source| ModelsError::file("open", path, source);
        let hashing = Hashing::new(planned.announced.digest.as_ref(), planned.announced.size);
        let options = File::options().read(true).append(true).create(true).clone();
        let file = options.open(path).map_err(failed)?;
        let mut part = Self { path: path.to_owned(), planned, file, hashing };
        if part.file.metadata().map_err(failed)?.len() > planned.announced.size {
            part.restart(shared)?;
        }
        let Self { file, hashing, .. } = &mut part;
        match digest::feed(file, u64::MAX, hashing, &mut |bytes| shared.found(bytes)) {
            Ok(()) => Ok(part),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(ModelsError::Cancelled),
            Err(source) => Err(ModelsError::file("read", path, source)),
        }
    }

    /// Bytes so far.
    fn length(&self) -> u64 {
        self.hashing.length()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ModelsError> {
        self.file.write_all(bytes).map_err(|source| ModelsError::file("write", &self.path, source))?;
        self.hashing.update(bytes);
        Ok(())
    }

    /// Begins anew with a new file. The old one is not cut: it may be a link to somebody else's bytes.
    fn restart(&mut self, shared: &Shared) -> Result<(), ModelsError> {
        shared.lost(self.length());
        let announced = &self.planned.announced;
        self.hashing = Hashing::new(announced.digest.as_ref(), announced.size);
        fs::remove_file(&self.path).map_err(|source| ModelsError::file("remove", &self.path, source))?;
        let options = File::options().read(true).append(true).create_new(true).clone();
        self.file =
            options.open(&self.path).map_err(|source| ModelsError::file("create", &self.path, source))?;
        Ok(())
    }
}
