//! New rows: many in one synced commit, each in its client's turn.
//!
//! Whoever adds a job waits for a task that takes all wishes that came while the last commit was synced, and commits them
//! together: a disk that syncs a hundred times a second still takes many hundred jobs. A wish is refused or kept whole.
//!
//! Turns are those of start-time fair queueing: a job stands behind the last one of its client, or where the queue is
//! now, whichever is later, and takes as much room as it has characters. So a client with one sentence stands behind one
//! job of a client who has sent a library, and whoever was not there before gets nothing for it afterwards.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::{Notify, mpsc, oneshot};

use super::gate::read_state;
use super::keys::spend;
use super::{Result, Store, StoreError, read_id};
use crate::breakpoints::{pass, reach};
use crate::jobs::{Idempotency, JobId, NewBatch, NewJob, Overdrawn, QueueState, Quota};

/// Wishes that may wait for the commit before them; more wait at the door.
const ORDERS_WAITING: usize = 1024;

/// Wishes in one commit: bounds how long the first one waits for the last.
const ORDERS_TOGETHER: usize = 256;

/// How many jobs may wait, and how much a key may send where it has no quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jobs) struct Bounds {
    pub(in crate::jobs) total: u32,
    pub(in crate::jobs) per_client: u32,
    pub(in crate::jobs) quota: Quota,
}

/// What became of a wish to add jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::jobs) enum Addition {
    Added,
    /// The same key came with the same body before, and made this.
    Known(String),
    Refused(Refusal),
}

/// Why jobs were not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jobs) enum Refusal {
    /// The key came with another body before.
    KeyReused,
    QueueFull,
    ClientFull,
    /// The queue takes no jobs at the moment.
    Draining,
    Overdrawn(Overdrawn),
}

#[derive(Debug)]
pub(super) struct Order {
    /// The batch that the jobs make.
    batch: Option<NewRow>,
    jobs: Vec<(JobId, NewJob, String)>,
    now: i64,
    bounds: Bounds,
    reply: oneshot::Sender<Result<Addition>>,
}

/// Starts the task that adds; it ends when the last handle to the store is gone.
pub(super) fn start(writer: SqlitePool, written: Arc<Notify>) -> mpsc::Sender<Order> {
    let (orders, mut inbox) = mpsc::channel(ORDERS_WAITING);
    tokio::spawn(async move {
        let mut together = Vec::new();
        while inbox.recv_many(&mut together, ORDERS_TOGETHER).await > 0 {
            add_together(&writer, std::mem::take(&mut together)).await;
            written.notify_one();
        }
    });
    orders
}

/// One commit for all; where that fails, one for each, so that nobody fails by another's wish.
async fn add_together(writer: &SqlitePool, orders: Vec<Order>) {
    let mut added = add_all(writer, &orders).await.map(|all| all.into_iter().map(Ok).collect::<Vec<_>>());
    if added.is_err() && orders.len() > 1 {
        let mut each = Vec::new();
        for order in &orders {
            let one = add_all(writer, std::slice::from_ref(order)).await;
            each.push(one.and_then(|mut one| one.pop().ok_or(StoreError::Closed)));
        }
        added = Ok(each);
    }
    match added {
        Ok(all) => {
            for (order, added) in orders.into_iter().zip(all) {
                // Whoever left without waiting has a job all the same, as after any lost answer.
                let _ = order.reply.send(added);
            }
        }
        Err(error) => {
            // There is exactly one.
            if let Some(order) = orders.into_iter().next() {
                let _ = order.reply.send(Err(error));
            }
        }
    }
}

async fn add_all(writer: &SqlitePool, orders: &[Order]) -> Result<Vec<Addition>> {
    let mut transaction = writer.begin_with("begin immediate").await?;
    let mut added = Vec::with_capacity(orders.len());
    for order in orders {
        added.push(add(&mut transaction, order).await?);
    }
    reach("before adding").map_err(sqlx::Error::Io)?;
    transaction.commit().await?;
    pass("after adding");
    Ok(added)
}

/// A batch without its jobs.
#[derive(Debug)]
struct NewRow {
    id: String,
    title: String,
    idempotency: Option<Idempotency>,
}

async fn add(connection: &mut SqliteConnection, order: &Order) -> Result<Addition> {
    let Some((_, first, _)) = order.jobs.first() else { return Ok(Addition::Added) };
    let (wish, look_up) = match &order.batch {
        Some(batch) => (
            &batch.idempotency,
            "select id, body_digest from batches where owner = ? and idempotency_key = ?",
        ),
        None => {
            (&first.idempotency, "select id, body_digest from jobs where owner = ? and idempotency_key = ?")
        }
    };
    if let Some(wish) = wish {
        let known = sqlx::query(look_up)
            .bind(&first.client.owner)
            .bind(&wish.key)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(known) = known {
            let is_same = known.try_get::<&str, _>(1)? == wish.digest;
            return Ok(if is_same {
                Addition::Known(known.try_get(0)?)
            } else {
                Addition::Refused(Refusal::KeyReused)
            });
        }
    }
    if let Some(refusal) = closed_to(connection, &first.client.name, order.jobs.len(), order.bounds).await? {
        return Ok(Addition::Refused(refusal));
    }
    let characters = order.jobs.iter().map(|(_, job, _)| cost(job).cast_unsigned()).sum();
    let owner = &first.client.owner;
    if let Some(overdrawn) = spend(connection, owner, characters, order.bounds.quota, order.now).await? {
        return Ok(Addition::Refused(Refusal::Overdrawn(overdrawn)));
    }
    if let Some(batch) = &order.batch {
        sqlx::query(
            "insert into batches (id, title, total, owner, created_at, idempotency_key, body_digest)
             values (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&batch.id)
        .bind(&batch.title)
        .bind(order.jobs.len() as i64)
        .bind(&first.client.owner)
        .bind(order.now)
        .bind(batch.idempotency.as_ref().map(|wish| &wish.key))
        .bind(batch.idempotency.as_ref().map(|wish| &wish.digest))
        .execute(&mut *connection)
        .await?;
    }
    for (position, (id, job, request)) in (0_u32..).zip(&order.jobs) {
        let place = order.batch.as_ref().map(|batch| (batch.id.as_str(), position));
        insert(connection, *id, job, request, order.now, place).await?;
    }
    Ok(Addition::Added)
}

/// Why so many more jobs of this client may not wait now, if that is so.
async fn closed_to(
    connection: &mut SqliteConnection,
    client: &str,
    more: usize,
    bounds: Bounds,
) -> Result<Option<Refusal>> {
    let waiting = sqlx::query(
        "select (select count(*) from jobs where status = 'queued'),
                (select count(*) from jobs where status = 'queued' and client = ?),
                (select state from queue)",
    )
    .bind(client)
    .fetch_one(connection)
    .await?;
    if read_state(waiting.try_get(2)?)? == QueueState::Draining {
        return Ok(Some(Refusal::Draining));
    }
    let more = more as u64;
    if waiting.try_get::<i64, _>(0)?.cast_unsigned() + more > bounds.total.into() {
        return Ok(Some(Refusal::QueueFull));
    }
    if waiting.try_get::<i64, _>(1)?.cast_unsigned() + more > bounds.per_client.into() {
        return Ok(Some(Refusal::ClientFull));
    }
    Ok(None)
}

async fn insert(
    connection: &mut SqliteConnection,
    id: JobId,
    job: &NewJob,
    request: &str,
    now: i64,
    place: Option<(&str, u32)>,
) -> Result<()> {
    let priority = job.priority.as_number();
    let turn = next_turn(connection, priority, &job.client.name).await?;
    sqlx::query(
        "insert into jobs (id, priority, request, created_at, due_at, owner, client, cost, turn, model,
                           idempotency_key, body_digest, rerun_of, callback_url, batch_id, batch_position,
                           redo_of, redo_chunk)
         values (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )
    .bind(id.to_string())
    .bind(priority)
    .bind(request)
    .bind(now)
    .bind(&job.client.owner)
    .bind(&job.client.name)
    .bind(cost(job))
    .bind(turn)
    .bind(&job.request.model)
    .bind(job.idempotency.as_ref().map(|wish| &wish.key))
    .bind(job.idempotency.as_ref().map(|wish| &wish.digest))
    .bind(job.rerun_of.map(|id| id.to_string()))
    .bind(&job.callback_url)
    .bind(place.map(|(batch, _)| batch))
    .bind(place.map(|(_, position)| position))
    .bind(job.redo.map(|redo| redo.job.to_string()))
    .bind(job.redo.map(|redo| redo.chunk))
    .execute(connection)
    .await?;
    Ok(())
}

fn cost(job: &NewJob) -> i64 {
    (job.request.text.chars().count() as i64).max(1)
}

/// Where the next job of this client stands within its priority.
pub(super) async fn next_turn(connection: &mut SqliteConnection, priority: i64, client: &str) -> Result<i64> {
    let row = sqlx::query(
        "select min(
             coalesce((select min(turn) from jobs where status = 'running' and priority = ?1), 9223372036854775807),
             coalesce((select turn from jobs where status = 'queued' and priority = ?1 order by turn, seq limit 1),
                      9223372036854775807)
         ) as queue_is_at,
         max(
             coalesce((select turn_end from shares where priority = ?1 and client = ?2), 0),
             coalesce((select max(turn + cost) from jobs
                       where status = 'queued' and priority = ?1 and client = ?2), 0)
         ) as client_is_at",
    )
    .bind(priority)
    .bind(client)
    .fetch_one(&mut *connection)
    .await?;
    let queue_is_at: i64 = row.try_get(0)?;
    if queue_is_at == i64::MAX {
        // Nobody is waiting, so nobody owes anybody anything.
        sqlx::query("delete from shares where priority = ?").bind(priority).execute(connection).await?;
        return Ok(0);
    }
    Ok(queue_is_at.max(row.try_get(1)?))
}

impl Store {
    /// Adds jobs, all or none. The first one's client and idempotency stand for all of them.
    pub(in crate::jobs) async fn add(
        &self,
        jobs: Vec<(JobId, NewJob)>,
        now: i64,
        bounds: Bounds,
    ) -> Result<Addition> {
        self.order(None, jobs, now, bounds).await
    }

    /// Adds a batch with all of its jobs, or nothing.
    pub(in crate::jobs) async fn add_batch(
        &self,
        id: &str,
        new: NewBatch,
        now: i64,
        bounds: Bounds,
    ) -> Result<Addition> {
        let row = NewRow { id: id.to_owned(), title: new.title, idempotency: new.idempotency };
        let jobs = new.jobs.into_iter().map(|job| (JobId::new(), job)).collect();
        self.order(Some(row), jobs, now, bounds).await
    }

    async fn order(
        &self,
        batch: Option<NewRow>,
        jobs: Vec<(JobId, NewJob)>,
        now: i64,
        bounds: Bounds,
    ) -> Result<Addition> {
        let jobs = jobs
            .into_iter()
            .map(|(id, job)| {
                let request = serde_json::to_string(&job.request)?;
                Ok((id, job, request))
            })
            .collect::<Result<Vec<_>>>()?;
        let (reply, answer) = oneshot::channel();
        let order = Order { batch, jobs, now, bounds, reply };
        self.orders.send(order).await.map_err(|_task_ended| StoreError::Closed)?;
        answer.await.map_err(|_task_ended| StoreError::Closed)?
    }

    /// The job that a known key means.
    pub(in crate::jobs) fn known_id(id: &str) -> Result<JobId> {
        read_id(id)
    }

    /// Puts a failed job back into the queue as its client's newest, with its finished chunks, where a new one would be
    /// taken. `None` where it had not failed.
    pub(in crate::jobs) async fn retry_by_hand(
        &self,
        id: JobId,
        now: i64,
        bounds: Bounds,
    ) -> Result<Option<Addition>> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let failed = sqlx::query("select priority, client from jobs where id = ? and status = 'failed'")
            .bind(id.to_string())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(failed) = failed else { return Ok(None) };
        let client: &str = failed.try_get("client")?;
        if let Some(refusal) = closed_to(&mut transaction, client, 1, bounds).await? {
            return Ok(Some(Addition::Refused(refusal)));
        }
        let turn = next_turn(&mut transaction, failed.try_get("priority")?, client).await?;
        sqlx::query(
            "update jobs
             set status = 'queued', error = null, finished_at = null, progress = 0, current_chunk = 0,
                 retries = 0, device_failures = 0, crashes = 0, due_at = ?, turn = ?
             where id = ?",
        )
        .bind(now)
        .bind(turn)
        .bind(id.to_string())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.written.notify_one();
        Ok(Some(Addition::Added))
    }
}
