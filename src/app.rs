//! Opens the parts, starts them, and stops them in order.
//!
//! Everything that runs behind the web server hangs here: the lock on the data directory, the job table, the model's
//! thread, the worker and the clean-up. `App` is a value: tests open one beside another on two directories.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::jobs::cleanup::Cleaner;
use crate::jobs::worker::Worker;
use crate::jobs::{Jobs, OpenError, QueueSettings, RecoverError};
use crate::speech::engine::{Engine, LoadModel};

/// What a server is made of. `load` is called on the model's thread.
pub struct AppSettings {
    pub data_dir: PathBuf,
    pub queue: QueueSettings,
    pub load: LoadModel,
}

impl std::fmt::Debug for AppSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AppSettings")
            .field("data_dir", &self.data_dir)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
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
    #[error("cannot start the model's thread")]
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
    /// before the model is loaded; jobs are accepted from here on.
    pub async fn open(settings: AppSettings) -> Result<Self, AppError> {
        let AppSettings { data_dir, queue, load } = settings;
        std::fs::create_dir_all(&data_dir)
            .map_err(|source| AppError::DataDir { path: data_dir.clone(), source })?;
        let lock = lock_data_dir(&data_dir)?;
        let jobs = Jobs::open(&data_dir, queue).await?;
        jobs.recover().await?;
        let engine = Engine::start(load).map_err(AppError::Thread)?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(Worker::new(&jobs, engine.clone()).run(stop.clone()));
        tasks.spawn(Cleaner::new(&jobs).run(stop.clone()));
        tasks.close();
        Ok(Self { jobs, engine, stop, tasks, lock })
    }

    /// Stops at the next token: the running job goes back to the queue with its finished chunks, the clean-up ends, the
    /// model's thread is joined, the database closed. Gives up waiting after `bound`, which loses nothing: what was not
    /// put back is taken up by the next start as after a crash.
    pub async fn shutdown(self, bound: Duration) {
        let Self { jobs, engine, stop, tasks, lock } = self;
        stop.cancel();
        let orderly = async {
            tasks.wait().await;
            if !engine.stop(bound).await {
                tracing::warn!("the model's thread did not end in time");
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
