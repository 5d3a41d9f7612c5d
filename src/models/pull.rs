//! A model from the hub into the store: plan, gather, publish. Blocks; the work happens on threads of its own, so that it
//! can be watched and stopped at any moment, even while a line is silent.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::copy::{copy, link};
use super::digest;
use super::download::fetch;
use super::error::ModelsError;
use super::hub::{Hub, HubSettings};
use super::manifest::{FileEntry, Manifest};
use super::plan::{Planned, Sources, prepare};
use super::progress::{Phase, Progress, Shared};
use super::registry::{Model, Origin};
use super::store::{State, Store};

/// Between two looks at the progress.
const TICK: Duration = Duration::from_millis(100);
/// Left free on the disk for everybody else.
const RESERVE: u64 = 64 << 20;

/// How a pull ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    Installed(Manifest),
    /// Nothing was to be done.
    Already(Manifest),
}

/// Watches a pull; `Break` stops it.
pub type Observe<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// `refresh` looks at every byte of an installed model and replaces what is damaged or outdated.
pub(super) fn pull(
    store: &Store,
    settings: &HubSettings,
    model: &Model,
    refresh: bool,
    observe: &mut Observe<'_>,
) -> Result<Pulled, ModelsError> {
    let _lock = store.lock(&model.name)?;
    if let Some(manifest) = is_installed(store, model)?.filter(|_| !refresh) {
        return Ok(Pulled::Already(manifest));
    }
    let hub = Hub::new(settings)?;
    let shared = Shared::default();
    let work = Work { store, settings, model, hub: &hub, shared: &shared };
    thread::scope(|scope| {
        let (ended, end) = mpsc::channel();
        let worker = thread::Builder::new().name("pull".to_owned()).spawn_scoped(scope, move || {
            // A receiver that is gone has nothing to learn.
            let _ = ended.send(work.run());
        });
        let worker = worker.map_err(ModelsError::Thread)?;
        let outcome = loop {
            match end.recv_timeout(TICK) {
                Ok(outcome) => break outcome.map(Pulled::Installed),
                Err(mpsc::RecvTimeoutError::Disconnected) => break Err(ModelsError::Crashed),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if observe(&shared.snapshot(Instant::now())).is_break() && !shared.is_stopped() {
                shared.stop();
                hub.interrupt();
            }
        };
        // Joined here, a panic there is an error and none here.
        worker.join().map_err(|_panic| ModelsError::Crashed).and(outcome)
    })
}

/// The manifest of a model that is installed as the registry means it now.
pub(super) fn is_installed(store: &Store, model: &Model) -> Result<Option<Manifest>, ModelsError> {
    if let Origin::Folder(folder) = &model.origin {
        return Err(ModelsError::OwnFolder { name: model.name.clone(), folder: folder.clone() });
    }
    if store.state(model) != State::Installed {
        return Ok(None);
    }
    store.manifest(&model.name).map(|manifest| Some(manifest).filter(|manifest| is_current(model, manifest)))
}

fn is_current(model: &Model, manifest: &Manifest) -> bool {
    model.files.iter().all(|wanted| {
        let Some(entry) = manifest.files.iter().find(|entry| entry.role == wanted.role) else {
            return !wanted.role.is_required();
        };
        wanted.candidates.iter().any(|candidate| match &candidate.sha256 {
            Some(sha256) => *sha256 == entry.sha256,
            None => {
                entry.revision.is_none()
                    || !super::hub::is_commit(&candidate.revision)
                    || entry.revision.as_ref() == Some(&candidate.revision)
            }
        })
    })
}

/// What the threads of one pull need.
struct Work<'a> {
    store: &'a Store,
    settings: &'a HubSettings,
    model: &'a Model,
    hub: &'a Hub,
    shared: &'a Shared,
}

/// A file to gather.
struct Job<'a> {
    planned: &'a Planned,
    path: PathBuf,
    /// It was linked to a file of this machine and needs only be checked.
    linked: bool,
    /// Bytes that an earlier try left.
    here: u64,
}

impl Work<'_> {
    fn run(&self) -> Result<Manifest, ModelsError> {
        let installed = self.store.installed();
        let Self { hub, settings, shared, .. } = *self;
        let planned = Sources { hub, settings, installed: &installed, shared }.plan(self.model)?;
        self.refuse_double_names(&planned)?;
        shared.expect(planned.len(), planned.iter().map(|file| file.announced.size).sum());
        shared.enter(Phase::Checking);
        let partial = self.store.partial(&self.model.name);
        prepare(&partial, &planned)?;
        let mut jobs: Vec<Job<'_>> = planned.iter().map(|file| Self::job(file, &partial)).collect();
        self.require_space(&jobs, &partial)?;
        // The largest first: it decides when the whole is done.
        jobs.sort_by_key(|job| std::cmp::Reverse(job.planned.announced.size));
        let mut entries = self.gather(jobs.into())?;
        shared.enter(Phase::Publishing);
        entries.sort_by_key(|entry| entry.role);
        let manifest = Manifest {
            name: self.model.name.clone(),
            architecture: self.model.architecture,
            languages: self.model.languages.clone(),
            files: entries,
        };
        self.store.publish(&manifest)?;
        Ok(manifest)
    }

    /// A model's folder is flat.
    fn refuse_double_names(&self, planned: &[Planned]) -> Result<(), ModelsError> {
        let mut names: Vec<&str> = planned.iter().map(|file| file.file.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ModelsError::Entry {
                entry: self.model.name.clone(),
                problem: format!("files: two of them are called {:?}", pair[0]),
            }),
            None => Ok(()),
        }
    }

    fn job<'p>(planned: &'p Planned, partial: &Path) -> Job<'p> {
        let path = partial.join(&planned.file);
        let here = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let mut job = Job { planned, path, linked: false, here };
        if here < planned.announced.size {
            job.linked = planned.local.iter().any(|local| link(local, &job.path, planned.announced.size));
        }
        job
    }

    /// Before the first byte comes, not after the last one that fits.
    fn require_space(&self, jobs: &[Job<'_>], folder: &Path) -> Result<(), ModelsError> {
        let missing = jobs.iter().filter(|job| !job.linked);
        let missing: u64 = missing.map(|job| job.planned.announced.size.saturating_sub(job.here)).sum();
        let free = (self.settings.free_space)(folder)
            .map_err(|source| ModelsError::file("ask for the free space of", folder, source))?;
        if missing > 0 && missing.saturating_add(RESERVE) > free {
            return Err(ModelsError::DiskFull {
                needed: missing.saturating_add(RESERVE),
                free,
                folder: folder.to_owned(),
            });
        }
        Ok(())
    }

    /// Works the jobs off on a few threads. The first failure stops the others; what came is kept.
    fn gather(&self, jobs: VecDeque<Job<'_>>) -> Result<Vec<FileEntry>, ModelsError> {
        let threads = self.settings.parallel.clamp(1, jobs.len().max(1));
        let jobs = Mutex::new(jobs);
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let work = || {
            let mut entries = Vec::new();
            while let Some(job) = next() {
                match self.obtain(&job) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => {
                        self.shared.stop();
                        self.hub.interrupt();
                        return Err(error);
                    }
                }
            }
            Ok(entries)
        };
        let outcomes: Vec<Result<Vec<FileEntry>, ModelsError>> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(Err(ModelsError::Crashed))).collect()
        });
        // Those that were stopped by the failure say so; the failure itself is what matters.
        let (mut entries, mut failure) = (Vec::new(), None);
        for outcome in outcomes {
            match (outcome, &failure) {
                (Ok(more), _) => entries.extend(more),
                (Err(error), None | Some(ModelsError::Cancelled)) => failure = Some(error),
                (Err(_), Some(_)) => {}
            }
        }
        failure.map_or(Ok(entries), Err)
    }

    /// One file, from this machine if it is there, else from the hub.
    fn obtain(&self, job: &Job<'_>) -> Result<FileEntry, ModelsError> {
        let Job { planned, path, .. } = job;
        let sha256 = match self.found_here(job)? {
            Some(sha256) => sha256,
            None => fetch(self.hub, self.settings, planned, path, self.shared)?,
        };
        Ok(FileEntry {
            role: planned.role,
            file: planned.file.clone(),
            size: planned.announced.size,
            sha256,
            origin: planned.candidate.repository.clone(),
            revision: planned.commit.clone(),
        })
    }

    /// The hash of a file that was linked or copied from this machine; `None` if there was none, or not the right one.
    fn found_here(&self, job: &Job<'_>) -> Result<Option<String>, ModelsError> {
        let Job { planned, path, .. } = job;
        let size = planned.announced.size;
        if !job.linked && (planned.local.is_empty() || job.here == size) {
            return Ok(None);
        }
        self.shared.begin_file(&planned.file);
        // Bytes that were not seen to be whole are not worth going on with when the whole is at hand.
        let sources: &[PathBuf] = if job.linked { &[] } else { &planned.local };
        for source in sources {
            match copy(source, path, size) {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(path = %source.display(), %error, "cannot copy; fetching instead");
                }
            }
        }
        if fs::metadata(path).map_or(0, |metadata| metadata.len()) != size {
            return Ok(None);
        }
        let mut counted = 0;
        let hashed = digest::of_file(path, planned.announced.digest.as_ref(), &mut |bytes| {
            counted += bytes;
            self.shared.found(bytes)
        });
        match hashed {
            Ok(hashed) if hashed.is_expected => {
                if !job.linked {
                    File::open(path)
                        .and_then(|file| file.sync_all())
                        .map_err(|source| ModelsError::file("sync", path, source))?;
                }
                self.shared.finish_file();
                return Ok(Some(hashed.sha256));
            }
            Ok(_) => tracing::warn!(file = planned.file, "the copy on this machine is damaged; fetching it"),
            Err(_) if self.shared.is_stopped() => return Err(ModelsError::Cancelled),
            Err(error) => tracing::warn!(file = planned.file, %error, "cannot read the copy; fetching it"),
        }
        self.shared.lost(counted);
        fs::remove_file(path).map_err(|source| ModelsError::file("remove", path, source))?;
        Ok(None)
    }
}
