//! What happened to jobs, in order. The rows are written by the database's triggers, in the statements that make things
//! happen; here they are read.

use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Result, Store, StoreError, read_id};
use crate::jobs::{Event, EventKind, JobId, Priority};

impl Store {
    /// The number of the last event of all, 0 before the first.
    pub(in crate::jobs) async fn last_event(&self) -> Result<i64> {
        let row = sqlx::query("select coalesce(max(seq), 0) from events").fetch_one(&self.readers).await?;
        Ok(row.try_get(0)?)
    }

    /// The events of all jobs after `seq`, the oldest first.
    pub(in crate::jobs) async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<Event>> {
        sqlx::query(
            "select events.seq, job_id, at, kind, data, owner from events join jobs on jobs.id = job_id
             where events.seq > ? order by events.seq limit ?",
        )
        .bind(seq)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(read_event)
        .collect()
    }

    /// The events of one job after `seq`, the oldest first.
    pub(in crate::jobs) async fn events_of(&self, id: JobId, seq: i64, limit: u32) -> Result<Vec<Event>> {
        sqlx::query(
            "select events.seq, job_id, at, kind, data, owner from events join jobs on jobs.id = job_id
             where job_id = ? and events.seq > ? order by events.seq limit ?",
        )
        .bind(id.to_string())
        .bind(seq)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(read_event)
        .collect()
    }

    /// Resolves when something was written since it was asked for last; ask before reading.
    pub(in crate::jobs) fn written(&self) -> tokio::sync::futures::Notified<'_> {
        self.written.notified()
    }
}

fn read_event(row: &SqliteRow) -> Result<Event> {
    let kind: &str = row.try_get("kind")?;
    let mut data: Map<String, Value> = serde_json::from_str(row.try_get("data")?)?;
    // The triggers write the column's number.
    if let Some(number) = data.get("priority").and_then(Value::as_i64) {
        data.insert("priority".to_owned(), Priority::from_number(number).as_str().into());
    }
    Ok(Event {
        seq: Some(row.try_get("seq")?),
        job: read_id(row.try_get("job_id")?)?,
        owner: row.try_get("owner")?,
        at: row.try_get("at")?,
        kind: EventKind::from_word(kind).ok_or_else(|| StoreError::Unknown(kind.to_owned()))?,
        data,
    })
}
