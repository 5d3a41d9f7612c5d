//! Sums for estimates: what was spoken last, and what is left to speak.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Result, Store};
use crate::jobs::JobId;
use crate::jobs::pace::{Lap, Left};

impl Store {
    /// The chunks that were spoken last, the latest first.
    pub(in crate::jobs) async fn last_laps(&self, limit: u32) -> Result<Vec<Lap>> {
        sqlx::query(
            "select data ->> 'model', data ->> 'characters', data ->> 'took_ms', data ->> 'duration_ms' from events
             where kind = 'chunk' and data ->> 'took_ms' is not null order by seq desc limit ?",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| {
            Ok(Lap {
                model: row.try_get(0)?,
                characters: row.try_get::<i64, _>(1)?.cast_unsigned(),
                took_ms: row.try_get::<i64, _>(2)?.cast_unsigned(),
                audio_ms: row.try_get::<i64, _>(3)?.cast_unsigned(),
            })
        })
        .collect()
    }

    /// What is left of a job.
    pub(in crate::jobs) async fn left_of(&self, id: JobId) -> Result<Vec<Left>> {
        let row = sqlx::query("select model, cost * (100 - progress) / 100.0 from jobs where id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?;
        row.iter().map(read_left).collect()
    }

    /// What is left of the jobs in hand.
    pub(in crate::jobs) async fn left_running(&self) -> Result<Vec<Left>> {
        sqlx::query("select model, cost * (100 - progress) / 100.0 from jobs where status = 'running'")
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(read_left)
            .collect()
    }

    /// What is left until a queued job has ended: of those in hand, of those before it, and of itself. A job in hand that
    /// is less urgent gives way, and so is not waited for.
    pub(in crate::jobs) async fn left_before_end_of(&self, id: JobId) -> Result<Vec<Left>> {
        sqlx::query(
            "select ahead.model, sum(ahead.cost * (100 - ahead.progress) / 100.0)
             from jobs as this join jobs as ahead on
                 (ahead.status = 'running' and ahead.priority >= this.priority)
                 or (ahead.status = 'queued'
                     and (ahead.priority > this.priority
                          or (ahead.priority = this.priority and (ahead.turn, ahead.seq) <= (this.turn, this.seq))))
             where this.id = ? group by ahead.model",
        )
        .bind(id.to_string())
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(read_left)
        .collect()
    }
}

fn read_left(row: &SqliteRow) -> Result<Left> {
    Ok(Left { model: row.try_get(0)?, characters: row.try_get(1)? })
}
