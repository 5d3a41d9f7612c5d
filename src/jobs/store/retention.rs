//! Which ended jobs go, and whether the files are there that rows promise.

use sqlx::Row;

use super::{Result, Store, read_id};
use crate::jobs::JobId;

/// A row with a file, as the clean-up reads the table.
#[derive(Clone, Debug)]
pub(in crate::jobs) struct FinishedFile {
    pub(in crate::jobs) seq: i64,
    pub(in crate::jobs) id: JobId,
    pub(in crate::jobs) file_name: String,
}

impl Store {
    /// Jobs that ended before `cutoff` and are nobody's favourites, the oldest first.
    pub(in crate::jobs) async fn ended_before(&self, cutoff: i64, limit: u32) -> Result<Vec<JobId>> {
        sqlx::query(
            "select id from jobs where finished_at < ? and favourite = 0 order by finished_at limit ?",
        )
        .bind(cutoff)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| read_id(row.try_get(0)?))
        .collect()
    }

    /// Forgets an ended job and its chunks.
    pub(in crate::jobs) async fn delete(&self, id: JobId) -> Result<bool> {
        let deleted = sqlx::query("delete from jobs where id = ? and finished_at is not null")
            .bind(id.to_string())
            .execute(&self.writer)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Completed jobs after `seq` in order of arrival, to be compared with the files page by page.
    pub(in crate::jobs) async fn completed_after(&self, seq: i64, limit: u32) -> Result<Vec<FinishedFile>> {
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
    pub(in crate::jobs) async fn lose_result(&self, id: JobId) -> Result<bool> {
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
}
