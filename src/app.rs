//! Opens the parts, starts them, and stops them in order.
//!
//! Everything that runs behind the web server hangs here: the lock on the data directory, the job table, the models'
//! thread, the worker and the clean-up. `App` is a value: tests open one beside another on two directories.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::files::FileError;
use crate::jobs::cleanup::Cleaner;
use crate::jobs::webhooks::{WebhookSettings, Webhooks};
use crate::jobs::worker::Worker;
use crate::jobs::{Jobs, OpenError, QueueSettings, RecoverError, StoreError, Tail, with_causes};
use crate::speech::catalog::Catalog;
use crate::speech::engine::{Engine, EngineSettings};

/// What a server is made of.
#[derive(Debug)]
pub struct AppSettings {
    pub data_dir: PathBuf,
    pub queue: QueueSettings,
    pub webhooks: WebhookSettings,
    pub engine: EngineSettings,
    /// The models, and the library of this data directory.
    pub catalog: Catalog,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("cannot use the data directory {}", path.display())]
    DataDir {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the data directory {} is in use by another declaim server{}; stop it, or choose another directory with --data",
        path.display(),
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { path: PathBuf, holder: Option<u32> },
    #[error(transparent)]
    Jobs(#[from] OpenError),
    #[error("cannot take up the jobs of the last run")]
    Recover(#[from] RecoverError),
    #[error("cannot prepare calls back")]
    Webhooks(#[from] FileError),
    #[error("cannot read what happened to jobs")]
    Events(#[from] StoreError),
    #[error("cannot start the models' thread")]
    Thread(#[source] io::Error),
}

/// A running server without its doors. Stop it with [`App::shutdown`]; dropping it leaves what is running to the next
/// start, as a crash does.
#[derive(Debug)]
pub struct App {
    pub jobs: Jobs,
    pub engine: Engine,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Held until the very end; the system releases it when the process dies.
    lock: File,
}

impl App {
    /// Opens the data directory for this process alone, takes up what the last run left, and starts working. Returns
    /// before any model is loaded; jobs are accepted from here on.
    pub async fn open(settings: AppSettings) -> Result<Self, AppError> {
        let AppSettings { data_dir, queue, webhooks, engine, catalog } = settings;
        std::fs::create_dir_all(&data_dir)
            .map_err(|source| AppError::DataDir { path: data_dir.clone(), source })?;
        let lock = lock_data_dir(&data_dir)?;
        let jobs = Jobs::open(&data_dir, queue).await?;
        // Before anything happens, so that what the recovery does to jobs is counted too.
        let tail = Tail::from_now(&jobs).await?;
        jobs.recover().await?;
        let webhooks = Webhooks::open(&jobs, &data_dir, &webhooks)?;
        let engine = Engine::start(catalog.clone(), engine).map_err(AppError::Thread)?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(Worker::new(&jobs, engine.clone()).run(stop.clone()));
        tasks.spawn(tail.run(stop.clone()));
        tasks.spawn(webhooks.run(stop.clone()));
        tasks.spawn(Cleaner::new(&jobs).run(stop.clone()));
        // Decoding takes its time; nothing waits for it.
        tasks.spawn_blocking(move || match catalog.library().adopt(&catalog.own_voice_ids()) {
            Ok(0) => {}
            Ok(voices) => tracing::info!(voices, "took up clips from the folder of voices"),
            Err(error) => {
                tracing::warn!(error = with_causes(&error), "the folder of voices was not looked through");
            }
        });
        tasks.close();
        Ok(Self { jobs, engine, stop, tasks, lock })
    }

    /// Stops at the next token: the running job goes back to the queue with its finished chunks, the clean-up ends, the
    /// models' thread is joined, the database closed. Gives up waiting after `bound`, which loses nothing: what was not
    /// put back is taken up by the next start as after a crash.
    pub async fn shutdown(self, bound: Duration) {
        let Self { jobs, engine, stop, tasks, lock } = self;
        stop.cancel();
        let orderly = async {
            tasks.wait().await;
            if !engine.stop(bound).await {
                tracing::warn!("the models' thread did not end in time");
            }
            jobs.close().await;
        };
        if tokio::time::timeout(bound, orderly).await.is_err() {
            tracing::warn!(?bound, "stopping took too long; the next start takes up what is left");
        }
        drop(lock);
    }
}

/// One server per directory: two would speak every job's chunks twice and clean up each other's files.
fn lock_data_dir(data_dir: &Path) -> Result<File, AppError> {
    let broken = |source| AppError::DataDir { path: data_dir.to_owned(), source };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(data_dir.join("lock"))
        .map_err(broken)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            // Some systems also forbid reading a locked file; then the message has no number.
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(AppError::InUse { path: data_dir.to_owned(), holder: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(broken(source)),
    }
    // For whoever is refused; nothing relies on it.
    let write_pid = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write_pid(&mut file).map_err(broken)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_server_on_a_directory_is_refused_with_the_first_ones_number() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_data_dir(folder.path()).unwrap();
        let refused = lock_data_dir(folder.path()).unwrap_err();
        let AppError::InUse { holder, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(refused.to_string().contains(&folder.path().display().to_string()));
        drop(first);
        lock_data_dir(folder.path()).unwrap();
    }
}
