//! How far a job is, and the chunks that it has finished: what a crash does not take back.

use sqlx::Row;

use super::{Claim, Result, Store};
use crate::breakpoints::{pass, reach};
use crate::jobs::JobId;

/// A finished chunk and what it was spoken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct Checkpoint {
    /// Counted from 0.
    pub(in crate::jobs) position: u32,
    pub(in crate::jobs) text: String,
    pub(in crate::jobs) model: String,
    pub(in crate::jobs) sample_rate: u32,
    pub(in crate::jobs) samples: u64,
    /// Milliseconds that speaking it took.
    pub(in crate::jobs) took_ms: u64,
    /// SHA-256 of its file; empty for chunks of older programs.
    pub(in crate::jobs) digest: String,
    /// How often it was replaced since its job completed.
    pub(in crate::jobs) version: u32,
}

impl Store {
    /// Notes how many chunks the text makes. False when the claim is lost, here and below.
    pub(in crate::jobs) async fn plan(&self, claim: &Claim, total_chunks: u32) -> Result<bool> {
        self.fenced(
            sqlx::query("update jobs set total_chunks = ? where id = ? and claim = ?").bind(total_chunks),
            claim,
        )
        .await
    }

    /// Notes how far the work is; a smaller number than before changes nothing, and 100 is left to [`Store::finish`].
    pub(in crate::jobs) async fn progress(
        &self,
        claim: &Claim,
        progress: u8,
        current_chunk: u32,
    ) -> Result<bool> {
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

    /// Notes a finished chunk whose file is synced, that this start got somewhere, and that the job can be heard now, if
    /// it could not before.
    pub(in crate::jobs) async fn checkpoint(
        &self,
        claim: &Claim,
        chunk: &Checkpoint,
        now: i64,
    ) -> Result<bool> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let noted = sqlx::query(
            "insert into chunks (job_id, position, text, model, sample_rate, samples, spoken_at, took_ms, digest)
             select id, ?1, ?2, ?3, ?4, ?5, ?6, ?9, ?10 from jobs where id = ?7 and claim = ?8
             on conflict (job_id, position) do update
             set text = excluded.text, model = excluded.model, sample_rate = excluded.sample_rate,
                 samples = excluded.samples, spoken_at = excluded.spoken_at, took_ms = excluded.took_ms,
                 digest = excluded.digest, version = 0, takes = takes + 1",
        )
        .bind(chunk.position)
        .bind(&chunk.text)
        .bind(&chunk.model)
        .bind(chunk.sample_rate)
        .bind(chunk.samples.cast_signed())
        .bind(now)
        .bind(claim.id.to_string())
        .bind(&claim.token)
        .bind(chunk.took_ms.cast_signed())
        .bind(&chunk.digest)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "update jobs set crashes = 0, first_audio_at = coalesce(first_audio_at, ?) where id = ? and claim = ?",
        )
            .bind(now)
            .bind(claim.id.to_string())
            .bind(&claim.token)
            .execute(&mut *transaction)
            .await?;
        reach("before checkpoint").map_err(sqlx::Error::Io)?;
        transaction.commit().await?;
        self.written.notify_one();
        pass("after checkpoint");
        Ok(noted.rows_affected() > 0)
    }

    /// Notes that the first block of a job was heard before its first chunk was finished.
    pub(in crate::jobs) async fn heard(&self, claim: &Claim, at: i64) -> Result<bool> {
        self.fenced(
            sqlx::query(
                "update jobs set first_audio_at = coalesce(first_audio_at, ?) where id = ? and claim = ?",
            )
            .bind(at),
            claim,
        )
        .await
    }

    /// The finished chunks of a job, in order.
    pub(in crate::jobs) async fn checkpoints(&self, id: JobId) -> Result<Vec<Checkpoint>> {
        sqlx::query(
            "select position, text, model, sample_rate, samples, coalesce(took_ms, 0), coalesce(digest, ''),
                    version
             from chunks where job_id = ? order by position",
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
                took_ms: row.try_get::<i64, _>(5)?.cast_unsigned(),
                digest: row.try_get(6)?,
                version: row.try_get(7)?,
            })
        })
        .collect()
    }
}
