//! Calls back that are owed. Their rows are written by a trigger, in the statement that ends the job.

use sqlx::Row;

use super::{Result, Store, read_id};
use crate::jobs::JobId;
use crate::jobs::webhooks::{Due, WebhookStatus};

impl Store {
    /// Those whose time has come, the longest owed first. A first call does not ask the clock, and a pause that ends after
    /// `latest`, later than any may, was counted by a clock that has been set back since.
    pub(in crate::jobs) async fn due_webhooks(&self, now: i64, latest: i64, limit: u32) -> Result<Vec<Due>> {
        sqlx::query(
            "select seq, job_id, url, event, attempts from webhooks
             where state = 'due' and (attempts = 0 or due_at <= ? or due_at > ?) order by due_at limit ?",
        )
        .bind(now)
        .bind(latest)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(|row| {
            Ok(Due {
                seq: row.try_get(0)?,
                job: read_id(row.try_get(1)?)?,
                url: row.try_get(2)?,
                event: row.try_get(3)?,
                attempts: row.try_get(4)?,
            })
        })
        .collect()
    }

    /// How many are owed.
    pub(in crate::jobs) async fn count_due_webhooks(&self) -> Result<u64> {
        let row =
            sqlx::query("select count(*) from webhooks where state = 'due'").fetch_one(&self.readers).await?;
        Ok(row.try_get::<i64, _>(0)?.cast_unsigned())
    }

    pub(in crate::jobs) async fn webhook_delivered(&self, seq: i64) -> Result<()> {
        sqlx::query(
            "update webhooks set state = 'delivered', attempts = attempts + 1, problem = null where seq = ?",
        )
        .bind(seq)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Notes why nobody took it; it is given up where it is not due again.
    pub(in crate::jobs) async fn webhook_failed(
        &self,
        seq: i64,
        problem: &str,
        due_at: Option<i64>,
    ) -> Result<()> {
        sqlx::query(
            "update webhooks
             set attempts = attempts + 1, problem = ?1, due_at = coalesce(?2, due_at),
                 state = case when ?2 is null then 'given up' else 'due' end
             where seq = ?3",
        )
        .bind(problem)
        .bind(due_at)
        .bind(seq)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Of one job, the oldest first.
    pub(in crate::jobs) async fn webhooks_of(&self, id: JobId) -> Result<Vec<WebhookStatus>> {
        sqlx::query("select url, event, state, attempts, problem from webhooks where job_id = ? order by seq")
            .bind(id.to_string())
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(WebhookStatus {
                    url: row.try_get(0)?,
                    event: row.try_get(1)?,
                    state: row.try_get(2)?,
                    attempts: row.try_get(3)?,
                    problem: row.try_get(4)?,
                })
            })
            .collect()
    }
}
