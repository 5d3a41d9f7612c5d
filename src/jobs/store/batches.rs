//! Batches: jobs that were sent as one, counted from the rows of their jobs.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::reading::{COLUMNS, read_job};
use super::{Result, Store, read_id, read_status};
use crate::jobs::batches::Batch;
use crate::jobs::{Counts, Job, JobId, JobStatus};

const BATCH: &str = "
    select batches.id, title, batches.owner, batches.created_at, total,
           coalesce(sum(jobs.status = 'queued'), 0), coalesce(sum(jobs.status = 'running'), 0),
           coalesce(sum(jobs.status = 'completed'), 0), coalesce(sum(jobs.status = 'failed'), 0),
           coalesce(sum(jobs.status = 'cancelled'), 0),
           coalesce(sum(jobs.cost * case when jobs.finished_at is null then jobs.progress else 100 end)
                    / sum(jobs.cost), 100)
    from batches left join jobs on jobs.batch_id = batches.id ";

impl Store {
    pub(in crate::jobs) async fn batch(&self, id: &str) -> Result<Option<Batch>> {
        let query = format!("{BATCH} where batches.id = ? group by batches.id");
        sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(id)
            .fetch_optional(&self.readers)
            .await?
            .map(|row| read_batch(&row))
            .transpose()
    }

    /// The newest of an owner, or of all, first.
    pub(in crate::jobs) async fn batches(&self, owner: Option<&str>, limit: u32) -> Result<Vec<Batch>> {
        let query = format!(
            "{BATCH} where batches.id in (
                 select id from batches where ?1 is null or owner = ?1 order by created_at desc, id desc limit ?2
             )
             group by batches.id order by batches.created_at desc, batches.id desc"
        );
        sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(owner)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(read_batch)
            .collect()
    }

    /// All jobs of a batch, in its order.
    pub(in crate::jobs) async fn jobs_of_batch(&self, id: &str) -> Result<Vec<Job>> {
        let query = format!(
            "select {COLUMNS}, null as queue_position from jobs where batch_id = ? order by batch_position"
        );
        sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(id)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(read_job)
            .collect()
    }

    /// The jobs of a batch in a state, in its order.
    pub(in crate::jobs) async fn ids_of_batch(&self, id: &str) -> Result<Vec<(JobId, JobStatus)>> {
        sqlx::query("select id, status from jobs where batch_id = ? order by batch_position")
            .bind(id)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| Ok((read_id(row.try_get(0)?)?, read_status(row.try_get(1)?)?)))
            .collect()
    }

    /// Forgets batches whose jobs are all gone.
    pub(in crate::jobs) async fn delete_empty_batches(&self) -> Result<()> {
        sqlx::query("delete from batches where not exists (select 1 from jobs where batch_id = batches.id)")
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

fn read_batch(row: &SqliteRow) -> Result<Batch> {
    let count = |index: usize| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(index)?.cast_unsigned());
    Ok(Batch {
        id: row.try_get(0)?,
        title: row.try_get(1)?,
        owner: row.try_get(2)?,
        created_at: row.try_get(3)?,
        total: row.try_get(4)?,
        counts: Counts {
            queued: count(5)?,
            running: count(6)?,
            completed: count(7)?,
            failed: count(8)?,
            cancelled: count(9)?,
        },
        progress: row.try_get(10)?,
    })
}
