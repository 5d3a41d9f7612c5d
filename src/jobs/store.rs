//! Every SQL statement of the program, one verb per method.
//!
//! A transition is one statement that names the state it leaves (`where id = ? and claim = ?`) and tells by the number
//! of rows whether it won. Final states therefore never change, and a worker that lost its claim writes nothing, in
//! whatever order things happen. All writes go through one connection: SQLite has one writer anyway, and a queue in
//! front of it is fairer than a lock. `synchronous=full`: what was acknowledged survives a loss of power.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Executor, Row};

use super::{CancelOutcome, Counts, Job, JobId, JobStatus, Output, Priority, with_causes};
use crate::speech::SpeechRequest;

/// In order; a database remembers in `user_version` how many it has. Only ever added to.
const MIGRATIONS: &[&str] =
    &[include_str!("../../migrations/0001_jobs.sql"), include_str!("../../migrations/0002_models.sql")];

/// The third start in a row that kills the process before a new chunk is finished is the last one.
const CRASHES_ALLOWED: i64 = 3;

/// Another process, such as the command line, may hold the write lock for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const READERS: u32 = 4;

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
}

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Clone, Debug)]
pub(super) struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// The right to work on one job, from one claim until it is given back or lost.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) id: JobId,
    token: String,
}

/// The job whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) id: JobId,
    /// What it is to be spoken with; `None` means the default model.
    pub(super) model: Option<String>,
}

/// A job that was just taken up.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) claim: Claim,
    pub(super) request: SpeechRequest,
    /// What the client was told before an interruption.
    pub(super) progress: u8,
    /// Tries already spent on failures of the device.
    pub(super) retries: u32,
}

/// A finished chunk and what it was spoken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Counted from 0.
    pub(super) position: u32,
    pub(super) text: String,
    pub(super) model: String,
    pub(super) sample_rate: u32,
    pub(super) samples: u64,
}

/// What became of the jobs that a dead process left running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) requeued: u64,
    pub(super) failed: u64,
}

/// A row with a file, as the clean-up reads the table.
#[derive(Clone, Debug)]
pub(super) struct FinishedFile {
    pub(super) seq: i64,
    pub(super) id: JobId,
    pub(super) file_name: String,
}

/// `select` with the columns of [`read_job`], ending as given.
macro_rules! select_jobs {
    ($ending:literal) => {
        concat!(
            "select id, status, priority, request, progress, current_chunk, total_chunks, created_at, started_at,
                    finished_at, error, output_file, output_bytes, output_duration_ms, starts, waits_for,
                    case status when 'queued' then (
                        select count(*) from jobs as ahead
                        where ahead.status = 'queued'
                          and (ahead.priority > jobs.priority
                               or (ahead.priority = jobs.priority and ahead.seq <= jobs.seq))
                    ) end as queue_position
             from jobs ",
            $ending
        )
    };
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
        let writer = pool.clone().max_connections(1).connect_with(options.clone()).await?;
        migrate(&writer).await?;
        let readers = pool.max_connections(READERS).connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self { writer, readers })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        // Last, so that SQLite folds its log into the database file.
        self.writer.close().await;
    }

    /// Adds a job. `None` when `max_queued` jobs are waiting already.
    pub(super) async fn enqueue(
        &self,
        id: JobId,
        request: &SpeechRequest,
        priority: Priority,
        now: i64,
        max_queued: u32,
    ) -> Result<Option<Job>> {
        let added = sqlx::query(
            "insert into jobs (id, priority, request, created_at, due_at)
             select ?1, ?2, ?3, ?4, ?4
             where (select count(*) from jobs where status = 'queued') < ?5",
        )
        .bind(id.to_string())
        .bind(priority.as_number())
        .bind(serde_json::to_string(request)?)
        .bind(now)
        .bind(max_queued)
        .execute(&self.writer)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(None);
        }
        self.get(id).await
    }

    pub(super) async fn get(&self, id: JobId) -> Result<Option<Job>> {
        sqlx::query(select_jobs!("where id = ?"))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| read_job(&row))
            .transpose()
    }

    /// The newest first. A row that this program cannot read, because a newer one wrote it, does not hide the others.
    pub(super) async fn list(&self, limit: u32) -> Result<Vec<Job>> {
        let rows = sqlx::query(select_jobs!("order by seq desc limit ?"))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        let readable = |row: &SqliteRow| {
            read_job(row)
                .inspect_err(|error| tracing::warn!(error = with_causes(error), "left a job out"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    pub(super) async fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        let rows =
            sqlx::query("select status, count(*) from jobs group by status").fetch_all(&self.readers).await?;
        for row in &rows {
            let count: u64 = row.try_get::<i64, _>(1)?.cast_unsigned();
            match read_status(row.try_get(0)?)? {
                JobStatus::Queued => counts.queued = count,
                JobStatus::Running => counts.running = count,
                JobStatus::Completed => counts.completed = count,
                JobStatus::Failed => counts.failed = count,
                JobStatus::Cancelled => counts.cancelled = count,
            }
        }
        Ok(counts)
    }

    /// The job whose turn it is, if any. It stays queued, so that whatever it needs can be made ready first.
    pub(super) async fn next(&self, now: i64) -> Result<Option<Next>> {
        let row = sqlx::query(
            "select id, json_extract(request, '$.model') as model from jobs
             where status = 'queued' and due_at <= ? order by priority desc, seq limit 1",
        )
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| Ok(Next { id: read_id(row.try_get("id")?)?, model: row.try_get("model")? })).transpose()
    }

    /// Takes a job up, unless it is no longer queued, or a more urgent one has come. A request that this program cannot
    /// read, because a newer one stored it, fails its job.
    pub(super) async fn claim(&self, id: JobId, now: i64) -> Result<Option<Claimed>> {
        let token = uuid::Uuid::new_v4().to_string();
        let row = sqlx::query(
            "update jobs
             set status = 'running', claim = ?1, starts = starts + 1, started_at = coalesce(started_at, ?2),
                 waits_for = null
             where id = ?3 and status = 'queued' and not exists (
                 select 1 from jobs as ahead
                 where ahead.status = 'queued' and ahead.due_at <= ?2 and ahead.priority > jobs.priority
             )
             returning id, request, progress, retries",
        )
        .bind(&token)
        .bind(now)
        .bind(id.to_string())
        .fetch_optional(&self.writer)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let claim = Claim { id: read_id(row.try_get("id")?)?, token };
        let request = match serde_json::from_str(row.try_get("request")?) {
            Ok(request) => request,
            Err(error) => {
                // Nobody could ever speak it; left running it would wait for ever.
                self.fail(&claim, "this version of declaim cannot read the request", now).await?;
                return Err(error.into());
            }
        };
        Ok(Some(Claimed {
            claim,
            request,
            progress: row.try_get("progress")?,
            retries: row.try_get("retries")?,
        }))
    }

    /// Whether the claim still stands: the job was not cancelled meanwhile, here or by another process.
    pub(super) async fn holds(&self, claim: &Claim) -> Result<bool> {
        let row = sqlx::query("select 1 from jobs where id = ? and claim = ?")
            .bind(claim.id.to_string())
            .bind(&claim.token)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    /// Notes how many chunks the text makes. False when the claim is lost, here and below.
    pub(super) async fn plan(&self, claim: &Claim, total_chunks: u32) -> Result<bool> {
        self.fenced(
            sqlx::query("update jobs set total_chunks = ? where id = ? and claim = ?").bind(total_chunks),
            claim,
        )
        .await
    }

    /// Notes how far the work is; a smaller number than before changes nothing, and 100 is left to [`Self::finish`].
    pub(super) async fn progress(&self, claim: &Claim, progress: u8, current_chunk: u32) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs
                 set progress = max(progress, min(?, 99)), current_chunk = max(current_chunk, ?)
                 where id = ? and claim = ?",
            )
            .bind(progress)
            .bind(current_chunk),
            claim,
        )
        .await
    }

    /// Notes a finished chunk whose file is synced, and that this start got somewhere.
    pub(super) async fn checkpoint(&self, claim: &Claim, chunk: &Checkpoint, now: i64) -> Result<bool> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let noted = sqlx::query(
            "insert into chunks (job_id, position, text, model, sample_rate, samples, spoken_at)
             select id, ?1, ?2, ?3, ?4, ?5, ?6 from jobs where id = ?7 and claim = ?8
             on conflict (job_id, position) do update
             set text = excluded.text, model = excluded.model, sample_rate = excluded.sample_rate,
                 samples = excluded.samples, spoken_at = excluded.spoken_at, takes = takes + 1",
        )
        .bind(chunk.position)
        .bind(&chunk.text)
        .bind(&chunk.model)
        .bind(chunk.sample_rate)
        .bind(chunk.samples.cast_signed())
        .bind(now)
        .bind(claim.id.to_string())
        .bind(&claim.token)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("update jobs set crashes = 0 where id = ? and claim = ?")
            .bind(claim.id.to_string())
            .bind(&claim.token)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(noted.rows_affected() > 0)
    }

    /// The finished chunks of a job, in order.
    pub(super) async fn checkpoints(&self, id: JobId) -> Result<Vec<Checkpoint>> {
        sqlx::query(
            "select position, text, model, sample_rate, samples from chunks where job_id = ? order by position",
        )
        .bind(id.to_string())
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| {
            Ok(Checkpoint {
                position: row.try_get(0)?,
                text: row.try_get(1)?,
                model: row.try_get(2)?,
                sample_rate: row.try_get(3)?,
                samples: row.try_get::<i64, _>(4)?.cast_unsigned(),
            })
        })
        .collect()
    }

    /// Ends the job with its file, which is in place and synced.
    pub(super) async fn finish(&self, claim: &Claim, output: &Output, now: i64) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs
                 set status = 'completed', progress = 100, claim = null, finished_at = ?,
                     current_chunk = coalesce(total_chunks, current_chunk),
                     output_file = ?, output_bytes = ?, output_duration_ms = ?
                 where id = ? and claim = ?",
            )
            .bind(now)
            .bind(&output.file_name)
            .bind(output.bytes.cast_signed())
            .bind(output.duration_ms.cast_signed()),
            claim,
        )
        .await
    }

    /// Ends the job with a reason.
    pub(super) async fn fail(&self, claim: &Claim, error: &str, now: i64) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs set status = 'failed', claim = null, finished_at = ?, error = ?
                 where id = ? and claim = ?",
            )
            .bind(now)
            .bind(error),
            claim,
        )
        .await
    }

    /// Puts an interrupted job back where it stood; its finished chunks and its progress stay.
    pub(super) async fn requeue(&self, claim: &Claim) -> Result<bool> {
        self.fenced(
            sqlx::query("update jobs set status = 'queued', claim = null where id = ? and claim = ?"),
            claim,
        )
        .await
    }

    /// Lets a queued job wait until `due_at`, for this reason; nothing is counted against it.
    pub(super) async fn postpone(&self, id: JobId, due_at: i64, why: &str) -> Result<()> {
        sqlx::query("update jobs set due_at = ?, waits_for = ? where id = ? and status = 'queued'")
            .bind(due_at)
            .bind(why)
            .bind(id.to_string())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// How many jobs wait to be spoken, or are, with this voice.
    pub(super) async fn needing_voice(&self, voice: &str) -> Result<u64> {
        let row = sqlx::query(
            "select count(*) from jobs
             where status in ('queued', 'running') and json_extract(request, '$.voice') = ?",
        )
        .bind(voice)
        .fetch_one(&self.readers)
        .await?;
        Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
    }

    /// Puts a job back to be tried again from `due_at` on, and counts the try.
    pub(super) async fn retry(&self, claim: &Claim, due_at: i64) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs set status = 'queued', claim = null, retries = retries + 1, due_at = ?
                 where id = ? and claim = ?",
            )
            .bind(due_at),
            claim,
        )
        .await
    }

    /// Ends a queued or running job as cancelled, whoever works on it.
    pub(super) async fn cancel(&self, id: JobId, now: i64) -> Result<CancelOutcome> {
        let cancelled = sqlx::query(
            "update jobs set status = 'cancelled', claim = null, waits_for = null, finished_at = ?
             where id = ? and status in ('queued', 'running')",
        )
        .bind(now)
        .bind(id.to_string())
        .execute(&self.writer)
        .await?;
        if cancelled.rows_affected() > 0 {
            return Ok(CancelOutcome::Cancelled);
        }
        Ok(self.status(id).await?.map_or(CancelOutcome::Unknown, CancelOutcome::AlreadyFinished))
    }

    /// Takes care of the jobs that a dead process left running: back to the queue with their finished chunks, or failed
    /// when they have killed it once too often. Only for whoever holds the lock of the data directory.
    pub(super) async fn recover(&self, now: i64) -> Result<Recovered> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let requeued = sqlx::query(
            "update jobs set status = 'queued', claim = null, crashes = crashes + 1
             where status = 'running' and crashes + 1 < ?",
        )
        .bind(CRASHES_ALLOWED)
        .execute(&mut *transaction)
        .await?;
        let failed = sqlx::query(
            "update jobs
             set status = 'failed', claim = null, crashes = crashes + 1, finished_at = ?,
                 error = 'the server died each time it worked on this text, ' || (crashes + 1) || ' times in a row'
             where status = 'running'",
        )
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Recovered { requeued: requeued.rows_affected(), failed: failed.rows_affected() })
    }

    pub(super) async fn status(&self, id: JobId) -> Result<Option<JobStatus>> {
        sqlx::query("select status from jobs where id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| read_status(row.try_get(0)?))
            .transpose()
    }

    /// Jobs that ended before `cutoff`, the oldest first.
    pub(super) async fn ended_before(&self, cutoff: i64, limit: u32) -> Result<Vec<JobId>> {
        sqlx::query("select id from jobs where finished_at < ? order by finished_at limit ?")
            .bind(cutoff)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| read_id(row.try_get(0)?))
            .collect()
    }

    /// Forgets an ended job and its chunks.
    pub(super) async fn delete(&self, id: JobId) -> Result<bool> {
        let deleted = sqlx::query("delete from jobs where id = ? and finished_at is not null")
            .bind(id.to_string())
            .execute(&self.writer)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Completed jobs after `seq` in order of arrival, to be compared with the files page by page.
    pub(super) async fn completed_after(&self, seq: i64, limit: u32) -> Result<Vec<FinishedFile>> {
        sqlx::query(
            "select seq, id, output_file from jobs where seq > ? and status = 'completed' order by seq limit ?",
        )
        .bind(seq)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| {
            Ok(FinishedFile {
                seq: row.try_get(0)?,
                id: read_id(row.try_get(1)?)?,
                file_name: row.try_get(2)?,
            })
        })
        .collect()
    }

    /// A completed job whose file vanished: the one way out of `completed`, since it promises a file.
    pub(super) async fn lose_result(&self, id: JobId) -> Result<bool> {
        let lost = sqlx::query(
            "update jobs
             set status = 'failed', progress = 99, error = 'the result file is gone',
                 output_file = null, output_bytes = null, output_duration_ms = null
             where id = ? and status = 'completed'",
        )
        .bind(id.to_string())
        .execute(&self.writer)
        .await?;
        Ok(lost.rows_affected() > 0)
    }

    /// Runs an update whose last two parameters are the claim; whether it still stood.
    async fn fenced(
        &self,
        update: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        claim: &Claim,
    ) -> Result<bool> {
        let changed =
            update.bind(claim.id.to_string()).bind(claim.token.clone()).execute(&self.writer).await?;
        Ok(changed.rows_affected() > 0)
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

fn read_job(row: &SqliteRow) -> Result<Job> {
    let request: SpeechRequest = serde_json::from_str(row.try_get("request")?)?;
    let output = match row.try_get::<Option<String>, _>("output_file")? {
        Some(file_name) => Some(Output {
            file_name,
            format: request.format,
            bytes: row.try_get::<i64, _>("output_bytes")?.cast_unsigned(),
            duration_ms: row.try_get::<i64, _>("output_duration_ms")?.cast_unsigned(),
        }),
        None => None,
    };
    Ok(Job {
        id: read_id(row.try_get("id")?)?,
        status: read_status(row.try_get("status")?)?,
        priority: Priority::from_number(row.try_get("priority")?),
        request,
        progress: row.try_get("progress")?,
        current_chunk: row.try_get("current_chunk")?,
        total_chunks: row.try_get("total_chunks")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        error: row.try_get("error")?,
        output,
        starts: row.try_get("starts")?,
        waits_for: row.try_get("waits_for")?,
        queue_position: row.try_get("queue_position")?,
    })
}

fn read_id(text: &str) -> Result<JobId> {
    text.parse().map_err(|_not_a_uuid| StoreError::Unknown(text.to_owned()))
}

fn read_status(text: &str) -> Result<JobStatus> {
    text.parse().map_err(|_unknown| StoreError::Unknown(text.to_owned()))
}

#[cfg(test)]
mod tests;
