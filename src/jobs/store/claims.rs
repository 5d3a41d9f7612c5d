//! Taking jobs up, and letting go of them.
//!
//! The order of turns: the most urgent priority, in it the earliest turn, in it the first to arrive. A job that has waited
//! for long is picked out of that order now and then ([`Store::next`]), so that nothing waits for ever.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::reading::read_redo;
use super::{Result, Store, read_id};
use crate::breakpoints::{pass, reach};
use crate::jobs::{CancelOutcome, JobId, Output, Priority, Redo};
use crate::speech::SpeechRequest;

/// The third start in a row that kills the process before a new chunk is finished is the last one.
const CRASHES_ALLOWED: i64 = 3;

/// Ends a job with its file.
pub(super) const FINISH: &str = "update jobs
     set status = 'completed', progress = 100, claim = null, finished_at = ?,
         current_chunk = coalesce(total_chunks, current_chunk),
         output_file = ?, output_bytes = ?, output_duration_ms = ?, encode_ms = ?
     where id = ? and claim = ?";

/// Whether a row waits for nothing but its turn. A pause that ends later than any pause may (five minutes) was counted by a
/// clock that has been set back since, and is over; what waits for no moment does not ask the clock.
macro_rules! due {
    ($row:literal, $now:literal) => {
        concat!(
            "(",
            $row,
            "waits_for is null or ",
            $row,
            "due_at <= ",
            $now,
            " or ",
            $row,
            "due_at > ",
            $now,
            " + 300000)"
        )
    };
}

/// The right to work on one job, from one claim until it is given back or lost.
#[derive(Clone, Debug)]
pub(in crate::jobs) struct Claim {
    pub(in crate::jobs) id: JobId,
    pub(super) token: String,
}

/// The job whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct Next {
    pub(in crate::jobs) id: JobId,
    /// What it is to be spoken with; `None` means the default model.
    pub(in crate::jobs) model: Option<String>,
    /// It has waited for so long that it goes before what is more urgent.
    pub(in crate::jobs) is_overdue: bool,
    /// How often the device has failed it; what it needs for the next try hangs on that.
    pub(in crate::jobs) device_failures: u32,
}

/// A job that was just taken up.
#[derive(Clone, Debug)]
pub(in crate::jobs) struct Claimed {
    pub(in crate::jobs) claim: Claim,
    pub(in crate::jobs) request: SpeechRequest,
    /// Whose job it is.
    pub(in crate::jobs) owner: String,
    /// What the client was told before an interruption.
    pub(in crate::jobs) progress: u8,
    /// Tries already spent on failures that may pass.
    pub(in crate::jobs) retries: u32,
    /// Failures of the device among them.
    pub(in crate::jobs) device_failures: u32,
    pub(in crate::jobs) priority: Priority,
    /// Arrival and first start, in milliseconds since the Unix epoch.
    pub(in crate::jobs) created_at: i64,
    pub(in crate::jobs) started_at: i64,
    /// It is the first start.
    pub(in crate::jobs) is_first: bool,
    /// Something of it was heard before.
    pub(in crate::jobs) was_heard: bool,
    /// What it speaks is to be a part of another job.
    pub(in crate::jobs) redo: Option<Redo>,
}

/// How a job comes to another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct Again<'a> {
    /// Not before, in milliseconds since the Unix epoch.
    pub(in crate::jobs) due_at: i64,
    /// As a sentence.
    pub(in crate::jobs) why: &'a str,
    /// The device failed, so the next try should be more careful with it.
    pub(in crate::jobs) by_device: bool,
}

/// What became of the jobs that a dead process left running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::jobs) struct Recovered {
    pub(in crate::jobs) requeued: u64,
    pub(in crate::jobs) failed: u64,
}

impl Store {
    /// The job whose turn it is, if any. It stays queued, so that whatever it needs can be made ready first. With
    /// `overdue_before`, the first of those that arrived before that time goes before what is more urgent.
    pub(in crate::jobs) async fn next(&self, now: i64, overdue_before: Option<i64>) -> Result<Option<Next>> {
        if let Some(before) = overdue_before
            && let Some(next) = self.next_overdue(now, before).await?
        {
            return Ok(Some(next));
        }
        let row = sqlx::query(concat!(
            "select id, json_extract(request, '$.model') as model, device_failures from jobs
             where status = 'queued' and (select state from queue) <> 'paused' and ",
            due!("", "?1"),
            " order by priority desc, turn, seq limit 1",
        ))
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| read_next(&row, false)).transpose()
    }

    async fn next_overdue(&self, now: i64, before: i64) -> Result<Option<Next>> {
        // What has arrived in the future has waited since before the clock was set back.
        let row = sqlx::query(concat!(
            "select id, json_extract(request, '$.model') as model, device_failures from jobs
             where status = 'queued' and (select state from queue) <> 'paused' and ",
            due!("", "?1"),
            " and (created_at < ?2 or created_at > ?1) and priority < (
                 select max(priority) from jobs where status = 'queued' and ",
            due!("", "?1"),
            ") order by seq limit 1",
        ))
        .bind(now)
        .bind(before)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| read_next(&row, true)).transpose()
    }

    /// Takes a job up, unless it is no longer queued, a more urgent one has come, or the queue was paused. A request that this program cannot
    /// read, because a newer one stored it, fails its job. `model_wait_ms` is for the record.
    pub(in crate::jobs) async fn claim(
        &self,
        next: &Next,
        model_wait_ms: u64,
        now: i64,
    ) -> Result<Option<Claimed>> {
        let token = uuid::Uuid::new_v4().to_string();
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let row = sqlx::query(concat!(
            "update jobs
             set status = 'running', claim = ?1, starts = starts + 1, started_at = coalesce(started_at, ?2),
                 waits_for = null, model_wait_ms = ?5
             where id = ?3 and status = 'queued' and (select state from queue) <> 'paused' and (?4 or not exists (
                 select 1 from jobs as ahead
                 where ahead.status = 'queued' and ahead.priority > jobs.priority and ",
            due!("ahead.", "?2"),
            "))
             returning id, request, owner, progress, retries, device_failures, priority, client, turn,
                       turn + cost as turn_end, created_at, started_at, starts = 1 and started_at = ?2 as is_first,
                       first_audio_at is not null as was_heard, redo_of, redo_chunk",
        ))
        .bind(&token)
        .bind(now)
        .bind(next.id.to_string())
        .bind(next.is_overdue)
        .bind(model_wait_ms.cast_signed())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        // What its client has had from now on; and those that the queue has passed are even with everybody.
        sqlx::query(
            "insert into shares (priority, client, turn_end) values (?, ?, ?)
             on conflict do update set turn_end = max(turn_end, excluded.turn_end)",
        )
        .bind(row.try_get::<i64, _>("priority")?)
        .bind(row.try_get::<&str, _>("client")?)
        .bind(row.try_get::<i64, _>("turn_end")?)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("delete from shares where priority = ? and turn_end <= ?")
            .bind(row.try_get::<i64, _>("priority")?)
            .bind(row.try_get::<i64, _>("turn")?)
            .execute(&mut *transaction)
            .await?;
        reach("before claim").map_err(sqlx::Error::Io)?;
        transaction.commit().await?;
        self.written.notify_one();
        pass("after claim");
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
            owner: row.try_get("owner")?,
            progress: row.try_get("progress")?,
            retries: row.try_get("retries")?,
            device_failures: row.try_get("device_failures")?,
            priority: Priority::from_number(row.try_get("priority")?),
            created_at: row.try_get("created_at")?,
            started_at: row.try_get("started_at")?,
            is_first: row.try_get("is_first")?,
            was_heard: row.try_get("was_heard")?,
            redo: read_redo(&row)?,
        }))
    }

    /// Whether something more urgent waits for this job to give way, or the queue was paused and nobody holds the line.
    pub(in crate::jobs) async fn must_give_way(&self, claim: &Claim, now: i64) -> Result<bool> {
        let row = sqlx::query(concat!(
            "select exists (
                 select 1 from jobs as ahead
                 where ahead.status = 'queued' and ahead.priority > (select priority from jobs where id = ?2)
                   and (select state from queue) <> 'paused' and ",
            due!("ahead.", "?1"),
            ") or exists (
                 select 1 from jobs where id = ?2 and priority < ?3 and (select state from queue) = 'paused'
             )",
        ))
        .bind(now)
        .bind(claim.id.to_string())
        .bind(Priority::Interactive.as_number())
        .fetch_one(&self.readers)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Lets a more urgent job pass, or a pause begin. It goes on where it was, and that it does so is not counted as a start.
    pub(in crate::jobs) async fn give_way(&self, claim: &Claim) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs set status = 'queued', claim = null, starts = starts - 1 where id = ? and claim = ?",
            ),
            claim,
        )
        .await
    }

    /// Whether the claim still stands: the job was not cancelled meanwhile, here or by another process.
    pub(in crate::jobs) async fn holds(&self, claim: &Claim) -> Result<bool> {
        let row = sqlx::query("select 1 from jobs where id = ? and claim = ?")
            .bind(claim.id.to_string())
            .bind(&claim.token)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    /// Ends the job with its file, which is in place and synced. `encode_ms` is for the record. False when the claim is lost, here
    /// and below.
    pub(in crate::jobs) async fn finish(
        &self,
        claim: &Claim,
        output: &Output,
        encode_ms: u64,
        now: i64,
    ) -> Result<bool> {
        reach("before finish").map_err(sqlx::Error::Io)?;
        let mine = self
            .fenced(
                sqlx::query(FINISH)
                    .bind(now)
                    .bind(&output.file_name)
                    .bind(output.bytes.cast_signed())
                    .bind(output.duration_ms.cast_signed())
                    .bind(encode_ms.cast_signed()),
                claim,
            )
            .await?;
        pass("after finish");
        Ok(mine)
    }

    /// Ends the job with a reason.
    pub(in crate::jobs) async fn fail(&self, claim: &Claim, error: &str, now: i64) -> Result<bool> {
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
    pub(in crate::jobs) async fn requeue(&self, claim: &Claim) -> Result<bool> {
        self.fenced(
            sqlx::query("update jobs set status = 'queued', claim = null where id = ? and claim = ?"),
            claim,
        )
        .await
    }

    /// Lets a queued job wait until `due_at`, for this reason; nothing is counted against it.
    pub(in crate::jobs) async fn postpone(&self, id: JobId, due_at: i64, why: &str) -> Result<()> {
        sqlx::query("update jobs set due_at = ?, waits_for = ? where id = ? and status = 'queued'")
            .bind(due_at)
            .bind(why)
            .bind(id.to_string())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Puts a job back until `due_at`, for a reason that is none of its own: nothing is counted against it.
    pub(in crate::jobs) async fn put_back(&self, claim: &Claim, due_at: i64, why: &str) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs set status = 'queued', claim = null, due_at = ?, waits_for = ? where id = ? and claim = ?",
            )
            .bind(due_at)
            .bind(why),
            claim,
        )
        .await
    }

    /// Puts a job back to be tried again from `due_at` on, says why, and counts the try.
    pub(in crate::jobs) async fn retry(&self, claim: &Claim, again: Again<'_>) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs
                 set status = 'queued', claim = null, retries = retries + 1, due_at = ?, waits_for = ?,
                     device_failures = device_failures + ?
                 where id = ? and claim = ?",
            )
            .bind(again.due_at)
            .bind(again.why)
            .bind(again.by_device),
            claim,
        )
        .await
    }

    /// Ends a queued or running job as cancelled, whoever works on it.
    pub(in crate::jobs) async fn cancel(&self, id: JobId, now: i64) -> Result<CancelOutcome> {
        let cancelled = sqlx::query(
            "update jobs set status = 'cancelled', claim = null, waits_for = null, finished_at = ?
             where id = ? and status in ('queued', 'running')",
        )
        .bind(now)
        .bind(id.to_string())
        .execute(&self.writer)
        .await?;
        if cancelled.rows_affected() > 0 {
            self.written.notify_one();
            return Ok(CancelOutcome::Cancelled);
        }
        Ok(self.status(id).await?.map_or(CancelOutcome::Unknown, CancelOutcome::AlreadyFinished))
    }

    /// Takes care of the jobs that a dead process left running: back to the queue with their finished chunks, or failed
    /// when they have killed it once too often. Only for whoever holds the lock of the data directory.
    pub(in crate::jobs) async fn recover(&self, now: i64) -> Result<Recovered> {
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
}

fn read_next(row: &SqliteRow, is_overdue: bool) -> Result<Next> {
    Ok(Next {
        id: read_id(row.try_get("id")?)?,
        model: row.try_get("model")?,
        is_overdue,
        device_failures: row.try_get("device_failures")?,
    })
}
