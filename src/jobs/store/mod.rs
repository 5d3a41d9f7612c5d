//! Every SQL statement of the program, one verb per method; one file for each purpose.
//!
//! A transition is one statement that names the state it leaves (`where id = ? and claim = ?`) and tells by the number
//! of rows whether it won. Final states therefore never change by themselves, and a worker that lost its claim writes
//! nothing, in whatever order things happen. All writes go through one connection: SQLite has one writer anyway, and a
//! queue in front of it is fairer than a lock. `synchronous=full`: what was acknowledged survives a loss of power.

mod adding;
mod batches;
mod checkpoints;
mod claims;
mod estimates;
mod feed;
mod gate;
mod history;
mod keys;
mod reading;
mod redo;
mod retention;
mod upkeep;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Executor, Row};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::{JobId, JobStatus};
use adding::Order;
pub(super) use adding::{Addition, Bounds, Refusal};
pub(super) use checkpoints::Checkpoint;
pub(super) use claims::{Again, Claim, Claimed, Next};
pub(super) use gate::Depth;
pub(super) use keys::{KeyAddition, KeyRow};
pub(super) use redo::{Adopted, Adoption, Redone};
pub(super) use upkeep::{Look, Promised};

/// In order; a database remembers in `user_version` how many it has. Only ever added to.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_jobs.sql"),
    include_str!("../../../migrations/0002_models.sql"),
    include_str!("../../../migrations/0003_queue.sql"),
    include_str!("../../../migrations/0004_keys.sql"),
    include_str!("../../../migrations/0005_operations.sql"),
    include_str!("../../../migrations/0006_redo.sql"),
    include_str!("../../../migrations/0007_history.sql"),
];

/// Another process, such as the command line, may hold the write lock for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const READERS: u32 = 4;

/// Searches of texts at one time; the other readers are for what is answered at once.
const SEARCHES: usize = 2;

/// Why the table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the job database failed")]
    Sqlite(#[from] sqlx::Error),
    #[error("a job's request cannot be stored or read back")]
    Request(#[from] serde_json::Error),
    #[error(
        "the job database was made by a newer declaim: its schema is {found}, this program knows {known}"
    )]
    Newer { found: i64, known: usize },
    #[error("the job database holds {0:?}, which this program does not know")]
    Unknown(String),
    #[error("the job database is closed")]
    Closed,
}

/// SQLite's primary result codes.
const BUSY: u32 = 5;
const IO_ERROR: u32 = 10;
const FULL: u32 = 13;

impl StoreError {
    /// Another process has held the write lock for longer than anybody waits here.
    pub fn is_busy(&self) -> bool {
        self.code() == Some(BUSY) || matches!(self, Self::Sqlite(sqlx::Error::PoolTimedOut))
    }

    /// The disk has no room for it.
    pub fn is_full(&self) -> bool {
        self.code() == Some(FULL)
    }

    /// Whether the same may succeed when the machine is well again: nothing is wrong with what was to be written.
    pub fn may_pass(&self) -> bool {
        self.is_busy()
            || self.is_full()
            || self.code() == Some(IO_ERROR)
            || matches!(self, Self::Sqlite(sqlx::Error::Io(_)))
    }

    fn code(&self) -> Option<u32> {
        let Self::Sqlite(error) = self else { return None };
        // Extended codes have the primary one in their lowest byte.
        let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
        Some(extended & 0xff)
    }
}

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Clone, Debug)]
pub(super) struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    /// A permit for each search of texts.
    searches: Arc<Semaphore>,
    /// To the task that adds jobs, many in one commit.
    orders: mpsc::Sender<Order>,
    /// Tells whoever reads events that there may be new ones.
    written: Arc<Notify>,
}

impl Store {
    /// Opens the database at `path`, making it where it is missing and bringing its schema up to date.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        // A file cannot lose its connection, so there is nothing to test and nothing to renew.
        let pool = SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        let writer = pool
            .clone()
            .max_connections(1)
            .after_release(|connection, _about| Box::pin(is_out_of_transactions(connection)));
        let writer = writer.connect_with(options.clone()).await?;
        migrate(&writer).await?;
        let readers = pool.max_connections(READERS).connect_lazy_with(options.pragma("query_only", "on"));
        let written = Arc::new(Notify::new());
        let orders = adding::start(writer.clone(), Arc::clone(&written));
        Ok(Self { writer, readers, searches: Arc::new(Semaphore::new(SEARCHES)), orders, written })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        // Last, so that SQLite folds its log into the database file.
        self.writer.close().await;
    }

    /// Runs an update whose last two parameters are the claim; whether it still stood.
    async fn fenced(
        &self,
        update: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        claim: &Claim,
    ) -> Result<bool> {
        let changed =
            update.bind(claim.id.to_string()).bind(claim.token.clone()).execute(&self.writer).await?;
        self.written.notify_one();
        Ok(changed.rows_affected() > 0)
    }
}

/// Whether a connection can begin a transaction. SQLite itself ends one when the disk is full or fails; the rollback that
/// follows then finds none, and the library goes on believing that there is one. Such a connection is closed, and the pool
/// opens another.
async fn is_out_of_transactions(connection: &mut SqliteConnection) -> std::result::Result<bool, sqlx::Error> {
    // A rollback may still be on its way.
    connection.ping().await?;
    match connection.begin_with("begin").await {
        Ok(transaction) => transaction.rollback().await.map(|()| true),
        Err(_still_in_one) => Ok(false),
    }
}

/// Applies what the database lacks, each step whole or not at all.
async fn migrate(writer: &SqlitePool) -> Result<()> {
    let mut transaction = writer.begin_with("begin immediate").await?;
    let found: i64 = sqlx::query("pragma user_version").fetch_one(&mut *transaction).await?.try_get(0)?;
    let known = MIGRATIONS.len();
    let missing = usize::try_from(found)
        .ok()
        .and_then(|applied| MIGRATIONS.get(applied..))
        .ok_or(StoreError::Newer { found, known })?;
    for migration in missing {
        transaction.execute(sqlx::raw_sql(*migration)).await?;
    }
    if !missing.is_empty() {
        // A pragma takes no parameters.
        transaction.execute(sqlx::AssertSqlSafe(format!("pragma user_version = {known}"))).await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn read_id(text: &str) -> Result<JobId> {
    text.parse().map_err(|_not_a_uuid| StoreError::Unknown(text.to_owned()))
}

fn read_status(text: &str) -> Result<JobStatus> {
    text.parse().map_err(|_unknown| StoreError::Unknown(text.to_owned()))
}

#[cfg(test)]
mod machine;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod tests;
