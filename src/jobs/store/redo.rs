//! A chunk of a completed job that was spoken again: the rows that say so, in one commit.

use sqlx::Row;

use super::claims::FINISH;
use super::{Checkpoint, Claim, Result, Store, read_id};
use crate::breakpoints::{pass, reach};
use crate::jobs::{JobId, Output};

/// What a job that spoke a chunk again has made for the job whose chunk it is. The files are in place and synced.
#[derive(Clone, Debug)]
pub(in crate::jobs) struct Adoption {
    pub(in crate::jobs) job: JobId,
    /// The file of the result that this one replaces.
    pub(in crate::jobs) was: String,
    pub(in crate::jobs) output: Output,
    pub(in crate::jobs) chunk: Checkpoint,
    /// Milliseconds to join, encode and sync it.
    pub(in crate::jobs) encode_ms: u64,
}

/// What became of the wish to end such a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jobs) enum Adopted {
    Done,
    /// The claim is lost.
    Lost,
    /// The other job was deleted meanwhile, or its result is another one; nothing was changed.
    Refused,
}

/// A completed job that spoke a chunk of another one again.
#[derive(Clone, Debug)]
pub(in crate::jobs) struct Redone {
    pub(in crate::jobs) job: JobId,
    /// The chunk that it replaced: whose, where, and in which version it was before. `None` where that job is gone.
    pub(in crate::jobs) replaced: Option<(JobId, u32, u32)>,
}

impl Store {
    /// The completed jobs that spoke chunks of others again.
    pub(in crate::jobs) async fn redone(&self) -> Result<Vec<Redone>> {
        sqlx::query(
            "select jobs.id, chunks.job_id, chunks.position, chunks.version - 1
             from jobs left join chunks
                 on chunks.job_id = redo_of and chunks.position = redo_chunk and chunks.version > 0
             where redo_of is not null and status = 'completed'",
        )
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| {
            let replaced = match row.try_get::<Option<&str>, _>(1)? {
                Some(of) => Some((read_id(of)?, row.try_get(2)?, row.try_get(3)?)),
                None => None,
            };
            Ok(Redone { job: read_id(row.try_get(0)?)?, replaced })
        })
        .collect()
    }

    /// Ends the job with its own file, and gives the other one its new chunk and its new result: both or nothing.
    pub(in crate::jobs) async fn finish_redo(
        &self,
        claim: &Claim,
        output: &Output,
        encode_ms: u64,
        adoption: &Adoption,
        now: i64,
    ) -> Result<Adopted> {
        reach("before finish").map_err(sqlx::Error::Io)?;
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let finished = sqlx::query(FINISH)
            .bind(now)
            .bind(&output.file_name)
            .bind(output.bytes.cast_signed())
            .bind(output.duration_ms.cast_signed())
            .bind(encode_ms.cast_signed())
            .bind(claim.id.to_string())
            .bind(&claim.token)
            .execute(&mut *transaction)
            .await?;
        if finished.rows_affected() == 0 {
            return Ok(Adopted::Lost);
        }
        let replaced = sqlx::query(
            "update jobs
             set output_file = ?, output_bytes = ?, output_duration_ms = ?, encode_ms = ?, revision = revision + 1
             where id = ? and status = 'completed' and output_file = ?",
        )
        .bind(&adoption.output.file_name)
        .bind(adoption.output.bytes.cast_signed())
        .bind(adoption.output.duration_ms.cast_signed())
        .bind(adoption.encode_ms.cast_signed())
        .bind(adoption.job.to_string())
        .bind(&adoption.was)
        .execute(&mut *transaction)
        .await?;
        let chunk = &adoption.chunk;
        let spoken = sqlx::query(
            "update chunks
             set text = ?, samples = ?, spoken_at = ?, took_ms = ?, digest = ?, version = ?, takes = takes + 1
             where job_id = ? and position = ? and version = ? - 1",
        )
        .bind(&chunk.text)
        .bind(chunk.samples.cast_signed())
        .bind(now)
        .bind(chunk.took_ms.cast_signed())
        .bind(&chunk.digest)
        .bind(chunk.version)
        .bind(adoption.job.to_string())
        .bind(chunk.position)
        .bind(chunk.version)
        .execute(&mut *transaction)
        .await?;
        if replaced.rows_affected() == 0 || spoken.rows_affected() == 0 {
            return Ok(Adopted::Refused);
        }
        transaction.commit().await?;
        self.written.notify_one();
        pass("after finish");
        Ok(Adopted::Done)
    }
}
