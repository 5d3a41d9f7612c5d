//! Whether the queue takes jobs and speaks them: one row.

use sqlx::Row;

use super::{Result, Store, StoreError};
use crate::jobs::{Priority, QueueState};

/// What waits and what is spoken, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::jobs) struct Depth {
    /// By priority; what is not there is none.
    pub(in crate::jobs) queued: Vec<(Priority, u64)>,
    pub(in crate::jobs) running: Vec<(Priority, u64)>,
    /// Arrival of the job that waits for longest, in milliseconds since the Unix epoch.
    pub(in crate::jobs) oldest: Option<i64>,
}

impl Store {
    /// The state, and since when in milliseconds since the Unix epoch.
    pub(in crate::jobs) async fn queue_state(&self) -> Result<(QueueState, i64)> {
        let row = sqlx::query("select state, since from queue").fetch_one(&self.readers).await?;
        Ok((read_state(row.try_get(0)?)?, row.try_get(1)?))
    }

    /// Once this returns no job is begun that the state forbids. Setting what is set already changes nothing.
    pub(in crate::jobs) async fn set_queue_state(&self, state: QueueState, now: i64) -> Result<()> {
        sqlx::query("update queue set state = ?1, since = ?2 where state <> ?1")
            .bind(state.as_str())
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// How many jobs wait and are spoken. Costs what is in the queue, however long the history is.
    pub(in crate::jobs) async fn depth(&self) -> Result<Depth> {
        let rows = sqlx::query(
            "select 'queued', priority, count(*) from jobs where status = 'queued' group by priority
             union all
             select 'running', priority, count(*) from jobs where status = 'running' group by priority",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut depth = Depth::default();
        for row in &rows {
            let priority = Priority::from_number(row.try_get(1)?);
            let count = row.try_get::<i64, _>(2)?.cast_unsigned();
            let of_state =
                if row.try_get::<&str, _>(0)? == "queued" { &mut depth.queued } else { &mut depth.running };
            of_state.push((priority, count));
        }
        let oldest = sqlx::query("select created_at from jobs where status = 'queued' order by seq limit 1")
            .fetch_optional(&self.readers)
            .await?;
        depth.oldest = oldest.map(|row| row.try_get(0)).transpose()?;
        Ok(depth)
    }
}

pub(super) fn read_state(text: &str) -> Result<QueueState> {
    QueueState::from_word(text).ok_or_else(|| StoreError::Unknown(text.to_owned()))
}
