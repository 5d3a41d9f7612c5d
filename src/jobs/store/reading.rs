//! Rows as readers see them.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Result, Store, read_id, read_status};
use crate::jobs::{Client, Counts, Job, JobId, JobStatus, Output, Priority, Redo};
use crate::speech::SpeechRequest;

/// What [`read_job`] reads, but for `queue_position`: that is counted row by row, and so only told for one job.
macro_rules! columns {
    () => {
        "id, seq, status, priority, request, progress, current_chunk, total_chunks, created_at, started_at, finished_at,
         error, output_file, output_bytes, output_duration_ms, starts, waits_for, owner, client, favourite, rerun_of,
         callback_url, batch_id, batch_position, redo_of, redo_chunk, revision, first_audio_at"
    };
}

pub(super) const COLUMNS: &str = columns!();

impl Store {
    pub(in crate::jobs) async fn get(&self, id: JobId) -> Result<Option<Job>> {
        sqlx::query(concat!(
            "select ",
            columns!(),
            ", case status when 'queued' then (
                 select count(*) from jobs as ahead
                 where ahead.status = 'queued'
                   and (ahead.priority > jobs.priority
                        or (ahead.priority = jobs.priority and (ahead.turn, ahead.seq) <= (jobs.turn, jobs.seq)))
             ) end as queue_position
             from jobs where id = ?"
        ))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| read_job(&row))
            .transpose()
    }

    pub(in crate::jobs) async fn counts(&self) -> Result<Counts> {
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

    /// How many jobs wait to be spoken, or are, with this voice.
    pub(in crate::jobs) async fn needing_voice(&self, voice: &str) -> Result<u64> {
        let row = sqlx::query(
            "select count(*) from jobs
             where status in ('queued', 'running') and (
                 json_extract(request, '$.voice') = ?1
                 or exists (select 1 from json_each(request, '$.script_voices') where value = ?1)
             )",
        )
        .bind(voice)
        .fetch_one(&self.readers)
        .await?;
        Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
    }

    /// Where a job stands, and the file of its result.
    pub(in crate::jobs) async fn standing(&self, id: JobId) -> Result<Option<(JobStatus, Option<String>)>> {
        sqlx::query("select status, output_file from jobs where id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| Ok((read_status(row.try_get(0)?)?, row.try_get(1)?)))
            .transpose()
    }

    pub(in crate::jobs) async fn status(&self, id: JobId) -> Result<Option<JobStatus>> {
        sqlx::query("select status from jobs where id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| read_status(row.try_get(0)?))
            .transpose()
    }
}

pub(super) fn read_redo(row: &SqliteRow) -> Result<Option<Redo>> {
    let of = row.try_get::<Option<&str>, _>("redo_of")?.map(read_id).transpose()?;
    Ok(of.zip(row.try_get("redo_chunk")?).map(|(job, chunk)| Redo { job, chunk }))
}

pub(super) fn read_job(row: &SqliteRow) -> Result<Job> {
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
        seq: row.try_get("seq")?,
        status: read_status(row.try_get("status")?)?,
        priority: Priority::from_number(row.try_get("priority")?),
        client: Client { owner: row.try_get("owner")?, name: row.try_get("client")? },
        request,
        progress: row.try_get("progress")?,
        current_chunk: row.try_get("current_chunk")?,
        total_chunks: row.try_get("total_chunks")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        first_audio_at: row.try_get("first_audio_at")?,
        finished_at: row.try_get("finished_at")?,
        error: row.try_get("error")?,
        output,
        starts: row.try_get("starts")?,
        waits_for: row.try_get("waits_for")?,
        queue_position: row.try_get("queue_position")?,
        favourite: row.try_get("favourite")?,
        rerun_of: row.try_get("rerun_of")?,
        callback_url: row.try_get("callback_url")?,
        batch: row
            .try_get::<Option<String>, _>("batch_id")?
            .zip(row.try_get::<Option<u32>, _>("batch_position")?),
        redo: read_redo(row)?,
        revision: row.try_get("revision")?,
    })
}
