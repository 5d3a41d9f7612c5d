//! Every statement against a real database file, and the table's own checks.

use super::claims::Recovered;
use super::*;
use crate::jobs::{
    CancelOutcome, Client, Counts, Filter, Idempotency, Job, NewJob, Output, Priority, QueueState, Quota,
};
use crate::speech::{AudioFormat, Processing, Sampling, SpeechRequest};

pub(super) const BOUNDS: Bounds = Bounds { total: 100, per_client: 100, quota: Quota::NONE };

pub(super) struct Table {
    pub(super) store: Store,
    folder: tempfile::TempDir,
}

pub(super) async fn table() -> Table {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("declaim.db")).await.unwrap();
    Table { store, folder }
}

pub(super) fn request(text: &str) -> SpeechRequest {
    SpeechRequest {
        verbatim: false,
        script_voices: std::collections::BTreeMap::new(),
        text: text.to_owned(),
        model: Some("tone".to_owned()),
        voice: "hum".to_owned(),
        normalize: true,
        split_text: true,
        chunk_size: 120,
        sampling: Sampling { temperature: Some(0.7), ..Sampling::default() },
        seed: u64::MAX,
        speed: 1.25,
        language: Some("en".to_owned()),
        format: AudioFormat::Flac,
        sample_rate: 24_000,
        bitrate_kbps: None,
        processing: Processing { loudness_lufs: Some(-16.0), ..Processing::default() },
        pronunciations: Vec::new(),
        retakes: 0,
        title: None,
    }
}

pub(super) fn output(id: JobId) -> Output {
    Output { file_name: format!("{id}.flac"), format: AudioFormat::Flac, bytes: 1234, duration_ms: 567 }
}

pub(super) fn checkpoint(position: u32) -> Checkpoint {
    Checkpoint {
        version: 0,
        position,
        text: format!("chunk {position}"),
        model: "tone".to_owned(),
        sample_rate: 24_000,
        samples: 9,
        took_ms: 40,
        digest: "0123".to_owned(),
    }
}

pub(super) fn again(due_at: i64) -> Again<'static> {
    Again { due_at, why: "the device failed", by_device: true }
}

/// Takes up the job whose turn it is, as a worker does.
async fn claim(store: &Store, now: i64) -> Result<Option<Claimed>> {
    match store.next(now, None).await? {
        Some(next) => store.claim(&next, 0, now).await,
        None => Ok(None),
    }
}

impl Table {
    async fn add(&self, text: &str, priority: Priority) -> Job {
        self.add_of("", text, priority).await
    }

    async fn add_of(&self, client: &str, text: &str, priority: Priority) -> Job {
        let id = JobId::new();
        let client = Client { owner: String::new(), name: client.to_owned() };
        let job = NewJob { client, ..NewJob::new(request(text), priority) };
        assert_eq!(self.store.add(vec![(id, job)], 1000, BOUNDS).await.unwrap(), Addition::Added);
        self.job(id).await
    }

    async fn take(&self) -> Claimed {
        claim(&self.store, 2000).await.unwrap().unwrap()
    }

    async fn job(&self, id: JobId) -> Job {
        self.store.get(id).await.unwrap().unwrap()
    }

    /// A job in each state, in the order of `JobStatus`.
    async fn one_of_each(&self) -> Vec<JobId> {
        let mut ids = Vec::new();
        for text in ["completed", "failed", "cancelled", "running", "queued"] {
            ids.push(self.add(text, Priority::Normal).await.id);
        }
        let (completed, failed) = (self.take().await, self.take().await);
        assert!(self.store.finish(&completed.claim, &output(completed.claim.id), 5, 3000).await.unwrap());
        assert!(self.store.fail(&failed.claim, "no device", 3000).await.unwrap());
        assert_eq!(self.store.cancel(ids[2], 3000).await.unwrap(), CancelOutcome::Cancelled);
        assert_eq!(self.take().await.claim.id, ids[3]);
        ids.reverse();
        ids[2..].reverse();
        ids
    }

    async fn run_sql(&self, sql: &'static str) -> std::result::Result<u64, sqlx::Error> {
        Ok(sqlx::query(sql).execute(&self.store.writer).await?.rows_affected())
    }
}

#[tokio::test]
async fn what_is_enqueued_is_what_is_read_back() {
    let table = table().await;
    let job = table.add("hello", Priority::Interactive).await;
    assert_eq!(job.request, request("hello"));
    assert_eq!(
        (job.status, job.priority, job.progress, job.created_at, job.starts, job.queue_position),
        (JobStatus::Queued, Priority::Interactive, 0, 1000, 0, Some(1))
    );
    assert_eq!(table.job(job.id).await, job);
    assert_eq!(table.store.get(JobId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn the_database_syncs_every_commit() {
    let table = table().await;
    let pragma = async |sql: &'static str| sqlx::query(sql).fetch_one(&table.store.writer).await;
    // 2 is `full`.
    assert_eq!(pragma("pragma synchronous").await.unwrap().get::<i64, _>(0), 2);
    assert_eq!(pragma("pragma journal_mode").await.unwrap().get::<String, _>(0), "wal");
    assert_eq!(pragma("pragma foreign_keys").await.unwrap().get::<i64, _>(0), 1);
}

#[tokio::test]
async fn a_job_beyond_the_bound_is_refused_until_one_is_taken() {
    let table = table().await;
    let bounds = Bounds { total: 2, per_client: 100, quota: Quota::NONE };
    let new = || vec![(JobId::new(), NewJob::new(request("x"), Priority::Normal))];
    let add = async || table.store.add(new(), 1000, bounds).await.unwrap();
    assert_eq!(add().await, Addition::Added);
    assert_eq!(add().await, Addition::Added);
    assert_eq!(add().await, Addition::Refused(Refusal::QueueFull));
    table.take().await;
    assert_eq!(add().await, Addition::Added);
}

#[tokio::test]
async fn interactive_jobs_are_claimed_first_and_equals_in_order_of_arrival() {
    let table = table().await;
    let (a, b) = (table.add("a", Priority::Normal).await, table.add("b", Priority::Normal).await);
    let (c, d) = (table.add("c", Priority::Interactive).await, table.add("d", Priority::Interactive).await);
    let positions = async |id| table.job(id).await.queue_position;
    assert_eq!((positions(a.id).await, positions(d.id).await), (Some(3), Some(2)));
    for expected in [c, d, a, b] {
        assert_eq!(table.take().await.claim.id, expected.id);
    }
    assert!(claim(&table.store, 2000).await.unwrap().is_none());
}

#[tokio::test]
async fn the_next_job_names_its_model_and_stays_queued_until_it_is_claimed() {
    let table = table().await;
    let job = table.add("a", Priority::Normal).await;
    let next = table.store.next(2000, None).await.unwrap();
    let (model, is_overdue) = (Some("tone".to_owned()), false);
    assert_eq!(next, Some(Next { id: job.id, model, is_overdue, device_failures: 0 }));
    assert_eq!(table.job(job.id).await, job);
    table.run_sql("update jobs set request = json_remove(request, '$.model')").await.unwrap();
    assert_eq!(table.store.next(2000, None).await.unwrap().unwrap().model, None);
    assert_eq!(table.take().await.request.model, None, "rows from before there were models can be read");
}

#[tokio::test]
async fn a_claim_steps_back_for_a_more_urgent_job_and_for_a_cancellation() {
    let table = table().await;
    let normal = table.add("a", Priority::Normal).await.id;
    let next = table.store.next(2000, None).await.unwrap().unwrap();
    let urgent = table.add("b", Priority::Interactive).await.id;
    assert!(table.store.claim(&next, 0, 2000).await.unwrap().is_none());
    assert_eq!(table.take().await.claim.id, urgent);
    assert_eq!(table.store.cancel(normal, 3000).await.unwrap(), CancelOutcome::Cancelled);
    assert!(table.store.claim(&next, 0, 2000).await.unwrap().is_none());
}

#[tokio::test]
async fn a_postponed_job_says_why_it_waits_and_lets_others_pass() {
    let table = table().await;
    let first = table.add("a", Priority::Normal).await;
    let second = table.add("b", Priority::Normal).await.id;
    table.store.postpone(first.id, 9000, "the model is missing").await.unwrap();
    let job = table.job(first.id).await;
    assert_eq!(job.waits_for.as_deref(), Some("the model is missing"));
    assert_eq!((job.status, job.starts), (JobStatus::Queued, 0));
    assert_eq!(table.take().await.claim.id, second);
    assert!(table.store.next(8999, None).await.unwrap().is_none());
    let claimed = claim(&table.store, 9000).await.unwrap().unwrap();
    assert_eq!((claimed.claim.id, claimed.retries), (first.id, 0));
    assert_eq!(table.job(first.id).await.waits_for, None);
    table.store.postpone(first.id, 9999, "too late").await.unwrap();
    assert_eq!(table.job(first.id).await.waits_for, None, "a running job does not wait");
}

#[tokio::test]
async fn a_postponed_job_can_be_cancelled() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    table.store.postpone(id, 9000, "the model is missing").await.unwrap();
    assert_eq!(table.store.cancel(id, 3000).await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(table.job(id).await.waits_for, None);
}

#[tokio::test]
async fn only_jobs_that_have_not_ended_need_their_voice() {
    let table = table().await;
    table.one_of_each().await;
    assert_eq!(table.store.needing_voice("hum").await.unwrap(), 2);
    assert_eq!(table.store.needing_voice("emily").await.unwrap(), 0);
}

#[tokio::test]
async fn a_database_from_before_there_were_models_is_brought_up_to_date_with_its_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("declaim.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let old = SqlitePoolOptions::new().connect_with(options).await.unwrap();
    old.execute(MIGRATIONS[0]).await.unwrap();
    let request = r#"{"text": "old", "voice": "hum", "normalize": true, "split_text": true, "chunk_size": 120,
        "sampling": {}, "seed": 1, "speed": 1.0, "language": null, "format": "wav", "sample_rate": 24000}"#;
    sqlx::query("insert into jobs (id, priority, request, created_at, due_at) values (?, 0, ?, 1, 1)")
        .bind(JobId::new().to_string())
        .bind(request)
        .execute(&old)
        .await
        .unwrap();
    old.execute("pragma user_version = 1").await.unwrap();
    old.close().await;
    let store = Store::open(&path).await.unwrap();
    let claimed = claim(&store, 2000).await.unwrap().unwrap();
    assert_eq!((claimed.request.text.as_str(), claimed.request.model), ("old", None));
}

#[tokio::test]
async fn a_claim_starts_the_job_and_keeps_its_first_start() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    let first = table.take().await;
    assert_eq!(first.request, request("a"));
    let job = table.job(id).await;
    assert_eq!((job.status, job.starts, job.started_at), (JobStatus::Running, 1, Some(2000)));
    assert!(table.store.requeue(&first.claim).await.unwrap());
    let second = claim(&table.store, 5000).await.unwrap().unwrap();
    let job = table.job(id).await;
    assert_eq!((job.starts, job.started_at), (2, Some(2000)));
    assert!(!table.store.holds(&first.claim).await.unwrap());
    assert!(table.store.holds(&second.claim).await.unwrap());
}

#[tokio::test]
async fn a_request_that_cannot_be_read_fails_its_job_and_not_the_queue() {
    let table = table().await;
    let (strange, next) = (table.add("a", Priority::Normal).await, table.add("b", Priority::Normal).await);
    table
        .run_sql("update jobs set request = json_set(request, '$.format', 'hologram') where seq = 1")
        .await
        .unwrap();
    assert!(matches!(claim(&table.store, 2000).await, Err(StoreError::Request(_))));
    assert_eq!(table.store.status(strange.id).await.unwrap(), Some(JobStatus::Failed));
    assert_eq!(table.take().await.claim.id, next.id);
    assert_eq!(
        table.store.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap(),
        [table.job(next.id).await]
    );
}

#[tokio::test]
async fn progress_only_rises_and_stops_at_99() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    let claim = table.take().await.claim;
    for (told, shown) in [(30, 30), (20, 30), (100, 99)] {
        assert!(table.store.progress(&claim, told, 2).await.unwrap());
        assert_eq!(table.job(id).await.progress, shown);
    }
    assert!(table.store.progress(&claim, 0, 1).await.unwrap());
    assert_eq!(table.job(id).await.current_chunk, 2);
}

#[tokio::test]
async fn finishing_tells_the_file_and_shows_100() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    let claim = table.take().await.claim;
    assert!(table.store.plan(&claim, 4).await.unwrap());
    assert!(table.store.finish(&claim, &output(id), 5, 3000).await.unwrap());
    let job = table.job(id).await;
    assert_eq!((job.status, job.progress, job.finished_at), (JobStatus::Completed, 100, Some(3000)));
    assert_eq!((job.current_chunk, job.total_chunks), (4, Some(4)));
    assert_eq!(job.output, Some(output(id)));
}

#[tokio::test]
async fn a_lost_claim_writes_nothing() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    let claim = table.take().await.claim;
    assert_eq!(table.store.cancel(id, 3000).await.unwrap(), CancelOutcome::Cancelled);
    let cancelled = table.job(id).await;
    assert_eq!((cancelled.status, cancelled.finished_at), (JobStatus::Cancelled, Some(3000)));

    let store = &table.store;
    assert!(!store.holds(&claim).await.unwrap());
    assert!(!store.plan(&claim, 1).await.unwrap());
    assert!(!store.progress(&claim, 50, 1).await.unwrap());
    assert!(!store.checkpoint(&claim, &checkpoint(0), 4000).await.unwrap());
    assert!(!store.finish(&claim, &output(id), 5, 4000).await.unwrap());
    assert!(!store.fail(&claim, "too late", 4000).await.unwrap());
    assert!(!store.requeue(&claim).await.unwrap());
    assert!(!store.retry(&claim, again(4000)).await.unwrap());
    assert_eq!(table.job(id).await, cancelled);
    assert!(store.checkpoints(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn cancelling_tells_unknown_from_finished() {
    let table = table().await;
    let [queued, running, completed, failed, cancelled] = table.one_of_each().await[..] else { panic!() };
    let store = &table.store;
    assert_eq!(store.cancel(JobId::new(), 1).await.unwrap(), CancelOutcome::Unknown);
    for (id, status) in
        [(completed, JobStatus::Completed), (failed, JobStatus::Failed), (cancelled, JobStatus::Cancelled)]
    {
        assert_eq!(store.cancel(id, 1).await.unwrap(), CancelOutcome::AlreadyFinished(status));
    }
    for id in [queued, running] {
        assert_eq!(store.cancel(id, 1).await.unwrap(), CancelOutcome::Cancelled);
    }
}

#[tokio::test]
async fn a_retry_waits_until_it_is_due_and_is_counted() {
    let table = table().await;
    table.add("a", Priority::Normal).await;
    let claimed = table.take().await;
    assert_eq!(claimed.retries, 0);
    assert!(table.store.retry(&claimed.claim, again(9000)).await.unwrap());
    assert!(claim(&table.store, 8999).await.unwrap().is_none());
    let claimed = claim(&table.store, 9000).await.unwrap().unwrap();
    assert_eq!((claimed.retries, claimed.device_failures), (1, 1));
    let by_disk = Again { by_device: false, ..again(9000) };
    assert!(table.store.retry(&claimed.claim, by_disk).await.unwrap());
    let claimed = claim(&table.store, 9000).await.unwrap().unwrap();
    assert_eq!((claimed.retries, claimed.device_failures), (2, 1));
    // A retry by hand forgets what went before.
    assert!(table.store.fail(&claimed.claim, "no device", 9000).await.unwrap());
    let again = table.store.retry_by_hand(claimed.claim.id, 9000, BOUNDS).await.unwrap();
    assert_eq!(again, Some(Addition::Added));
    let claimed = claim(&table.store, 9000).await.unwrap().unwrap();
    assert_eq!((claimed.retries, claimed.device_failures), (0, 0));
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_and_a_draining_one_takes_nothing() {
    let table = table().await;
    let (store, set) = (&table.store, async |state| table.store.set_queue_state(state, 1500).await.unwrap());
    table.add("a", Priority::Normal).await;
    // Looked at before the pause, claimed after it.
    let next = store.next(2000, None).await.unwrap().unwrap();
    set(QueueState::Paused).await;
    assert_eq!(store.queue_state().await.unwrap(), (QueueState::Paused, 1500));
    assert!(store.claim(&next, 0, 2000).await.unwrap().is_none());
    assert!(store.next(2000, None).await.unwrap().is_none());
    assert!(store.next(2000, Some(9000)).await.unwrap().is_none());
    let urgent = table.add("b", Priority::Interactive).await.id;
    // Setting what is set keeps since when it is.
    table.store.set_queue_state(QueueState::Paused, 9999).await.unwrap();
    assert_eq!(store.queue_state().await.unwrap().1, 1500);

    set(QueueState::Draining).await;
    let (id, job) = (JobId::new(), NewJob::new(request("c"), Priority::Normal));
    let refused = store.add(vec![(id, job)], 1000, BOUNDS).await.unwrap();
    assert_eq!(refused, Addition::Refused(Refusal::Draining));
    let claimed = table.take().await;
    assert_eq!(claimed.claim.id, urgent);
    let depth = store.depth().await.unwrap();
    assert_eq!(depth.queued, [(Priority::Normal, 1)]);
    assert_eq!(depth.running, [(Priority::Interactive, 1)]);
    assert_eq!(depth.oldest, Some(1000));
}

#[tokio::test]
async fn at_a_pause_all_give_way_but_what_somebody_holds_the_line_for() {
    let table = table().await;
    let pause = async |state| table.store.set_queue_state(state, 1500).await.unwrap();
    for (priority, gives_way) in
        [(Priority::Low, true), (Priority::Normal, true), (Priority::Interactive, false)]
    {
        table.add("a", priority).await;
        let claimed = table.take().await;
        assert!(!table.store.must_give_way(&claimed.claim, 2000).await.unwrap());
        pause(QueueState::Paused).await;
        assert_eq!(table.store.must_give_way(&claimed.claim, 2000).await.unwrap(), gives_way);
        pause(QueueState::Running).await;
        table.store.cancel(claimed.claim.id, 3000).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_is_first_heard_once() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    let claimed = table.take().await;
    assert!(claimed.is_first && !claimed.was_heard);
    assert_eq!((claimed.created_at, claimed.started_at), (1000, 2000));
    assert!(table.store.heard(&claimed.claim, 2100).await.unwrap());
    assert!(table.store.checkpoint(&claimed.claim, &checkpoint(0), 3000).await.unwrap());
    assert_eq!(table.job(id).await.first_audio_at, Some(2100));
    assert!(table.store.give_way(&claimed.claim).await.unwrap());
    let again = claim(&table.store, 4000).await.unwrap().unwrap();
    assert!(!again.is_first && again.was_heard);
}

#[tokio::test]
async fn checkpoints_are_read_back_in_order_and_a_second_take_is_counted() {
    let table = table().await;
    let id = table.add("a", Priority::Normal).await.id;
    let claim = table.take().await.claim;
    for position in [1, 0] {
        assert!(table.store.checkpoint(&claim, &checkpoint(position), 3000).await.unwrap());
    }
    assert_eq!(table.store.checkpoints(id).await.unwrap(), [checkpoint(0), checkpoint(1)]);
    let longer = Checkpoint { samples: 10, ..checkpoint(0) };
    assert!(table.store.checkpoint(&claim, &longer, 4000).await.unwrap());
    assert_eq!(table.store.checkpoints(id).await.unwrap(), [longer, checkpoint(1)]);
    assert_eq!(table.run_sql("update chunks set takes = takes where takes = 2").await.unwrap(), 1);
}

#[tokio::test]
async fn recovery_requeues_what_was_running_and_keeps_what_it_had() {
    let table = table().await;
    let ids = table.one_of_each().await;
    let running = ids[1];
    let before = table.job(running).await;
    let recovered = table.store.recover(9000).await.unwrap();
    assert_eq!(recovered, Recovered { requeued: 1, failed: 0 });
    let job = table.job(running).await;
    assert_eq!((job.status, job.starts, job.started_at), (JobStatus::Queued, 1, before.started_at));
    // It arrived first and is first again.
    assert_eq!(table.take().await.claim.id, running);
}

#[tokio::test]
async fn a_job_that_kills_the_process_three_times_in_a_row_fails() {
    let table = table().await;
    let id = table.add("poison", Priority::Normal).await.id;
    for _ in 0..2 {
        table.take().await;
        assert_eq!(table.store.recover(9000).await.unwrap(), Recovered { requeued: 1, failed: 0 });
    }
    table.take().await;
    assert_eq!(table.store.recover(9000).await.unwrap(), Recovered { requeued: 0, failed: 1 });
    let job = table.job(id).await;
    assert_eq!(job.status, JobStatus::Failed);
    assert!(job.error.unwrap().contains("3 times in a row"));
}

#[tokio::test]
async fn a_finished_chunk_pardons_earlier_deaths() {
    let table = table().await;
    let id = table.add("long", Priority::Normal).await.id;
    for position in 0..5 {
        let claim = table.take().await.claim;
        assert!(table.store.checkpoint(&claim, &checkpoint(position), 3000).await.unwrap());
        table.store.recover(9000).await.unwrap();
    }
    assert_eq!(table.job(id).await.status, JobStatus::Queued);
}

#[tokio::test]
async fn counts_and_statuses_tell_where_jobs_stand() {
    let table = table().await;
    let ids = table.one_of_each().await;
    let counts = table.store.counts().await.unwrap();
    assert_eq!(counts, Counts { queued: 1, running: 1, completed: 1, failed: 1, cancelled: 1 });
    let mut statuses = Vec::new();
    for id in ids {
        statuses.push(table.store.status(id).await.unwrap().unwrap());
    }
    assert_eq!(
        statuses,
        [
            JobStatus::Queued,
            JobStatus::Running,
            JobStatus::Completed,
            JobStatus::Failed,
            JobStatus::Cancelled
        ]
    );
    assert_eq!(table.store.status(JobId::new()).await.unwrap(), None);
}

#[tokio::test]
async fn the_list_is_newest_first_and_bounded() {
    let table = table().await;
    for text in ["a", "b", "c"] {
        table.add(text, Priority::Normal).await;
    }
    let texts: Vec<String> = table
        .store
        .list(&Filter { limit: 2, ..Filter::default() })
        .await
        .unwrap()
        .into_iter()
        .map(|job| job.request.text)
        .collect();
    assert_eq!(texts, ["c", "b"]);
}

#[tokio::test]
async fn only_ended_jobs_expire_and_their_chunks_go_with_them() {
    let table = table().await;
    let [queued, running, completed, failed, cancelled] = table.one_of_each().await[..] else { panic!() };
    let mut expired = table.store.ended_before(3001, 10).await.unwrap();
    expired.sort_by_key(ToString::to_string);
    let mut ended = [completed, failed, cancelled];
    ended.sort_by_key(ToString::to_string);
    assert_eq!(expired, ended);
    assert!(table.store.ended_before(3000, 10).await.unwrap().is_empty());
    assert_eq!(table.store.ended_before(3001, 2).await.unwrap().len(), 2);

    for id in [queued, running] {
        assert!(!table.store.delete(id).await.unwrap());
    }
    table
        .run_sql("insert into chunks select id, 0, '', 'tone', 1, 1, 1, 1, null, null, 0 from jobs")
        .await
        .unwrap();
    assert!(table.store.delete(completed).await.unwrap());
    assert_eq!(table.store.get(completed).await.unwrap(), None);
    assert!(table.store.checkpoints(completed).await.unwrap().is_empty());
    assert_eq!(table.store.checkpoints(failed).await.unwrap().len(), 1);
}

#[tokio::test]
async fn completed_jobs_are_paged_and_a_lost_result_fails() {
    let table = table().await;
    let completed = table.one_of_each().await[2];
    let page = table.store.completed_after(0, 10).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!((page[0].id, page[0].file_name.as_str()), (completed, output(completed).file_name.as_str()));
    assert!(table.store.completed_after(page[0].seq, 10).await.unwrap().is_empty());

    assert!(table.store.lose_result(completed).await.unwrap());
    let job = table.job(completed).await;
    assert_eq!((job.status, job.progress, job.output), (JobStatus::Failed, 99, None));
    assert!(!table.store.lose_result(completed).await.unwrap());
}

#[tokio::test]
async fn the_table_itself_refuses_states_that_make_no_sense() {
    let table = table().await;
    table.one_of_each().await;
    for nonsense in [
        "update jobs set status = 'paused'",
        "update jobs set progress = 100 where status = 'running'",
        "update jobs set progress = 50 where status = 'completed'",
        "update jobs set claim = null where status = 'running'",
        "update jobs set finished_at = null where status = 'failed'",
        "update jobs set error = null where status = 'failed'",
        "update jobs set output_file = null where status = 'completed'",
        "update jobs set created_at = 'yesterday'",
        "update jobs set waits_for = 'Godot' where status = 'running'",
        "insert into chunks select 'nobody', 0, '', 'tone', 1, 1, 1, 1, null, null, 0",
    ] {
        assert!(table.run_sql(nonsense).await.is_err(), "{nonsense}");
    }
}

#[tokio::test]
async fn reopening_keeps_everything_and_a_newer_schema_is_refused() {
    let table = table().await;
    let job = table.add("kept", Priority::Normal).await;
    let path = table.folder.path().join("declaim.db");
    table.store.close().await;
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.get(job.id).await.unwrap().as_ref(), Some(&job));

    sqlx::query("pragma user_version = 99").execute(&store.writer).await.unwrap();
    store.close().await;
    let refused = Store::open(&path).await;
    let is_newer =
        matches!(refused, Err(StoreError::Newer { found: 99, known }) if known == MIGRATIONS.len());
    assert!(is_newer, "{refused:?}");
}

#[tokio::test]
async fn two_stores_on_one_file_never_claim_the_same_job() {
    let table = table().await;
    let other = Store::open(&table.folder.path().join("declaim.db")).await.unwrap();
    for _ in 0..40 {
        table.add("x", Priority::Normal).await;
    }
    let drain = async |store: &Store| {
        let (mut ids, mut lost) = (Vec::new(), 0);
        while let Some(next) = store.next(2000, None).await.unwrap() {
            match store.claim(&next, 0, 2000).await.unwrap() {
                Some(claimed) => ids.push(claimed.claim.id),
                None => lost += 1,
            }
        }
        (ids, lost)
    };
    let ((mut ids, lost), (others, lost_too)) = tokio::join!(drain(&table.store), drain(&other));
    assert!(lost + lost_too > 0, "both never wanted the same job");
    ids.extend(others);
    assert_eq!(ids.len(), 40);
    assert_eq!(ids.into_iter().collect::<std::collections::HashSet<_>>().len(), 40);
}

#[tokio::test]
async fn a_wish_sent_twice_is_one_job_and_its_key_with_another_body_is_refused() {
    let table = table().await;
    let wish = |owner: &str, digest: &str| {
        let job = NewJob {
            client: Client { owner: owner.to_owned(), name: owner.to_owned() },
            idempotency: Some(Idempotency { key: "k".to_owned(), digest: digest.to_owned() }),
            ..NewJob::new(request("once"), Priority::Normal)
        };
        (JobId::new(), job)
    };
    let add = async |wish| table.store.add(vec![wish], 1000, BOUNDS).await.unwrap();
    let first = wish("ada", "a");
    let id = first.0;
    assert_eq!(add(first).await, Addition::Added);
    assert_eq!(add(wish("ada", "a")).await, Addition::Known(id.to_string()));
    assert_eq!(add(wish("ada", "b")).await, Addition::Refused(Refusal::KeyReused));
    assert_eq!(add(wish("max", "b")).await, Addition::Added, "keys are their owner's");
    let known: Vec<_> = (0..8).map(|_| table.store.add(vec![wish("eve", "e")], 1000, BOUNDS)).collect();
    let known = futures_util::future::join_all(known).await;
    let added = known.iter().filter(|added| matches!(added, Ok(Addition::Added))).count();
    assert_eq!(added, 1, "whoever comes at the same time is known too: {known:?}");
    // Known for as long as the job is kept, also when it has ended.
    table.store.cancel(id, 2000).await.unwrap();
    assert_eq!(add(wish("ada", "a")).await, Addition::Known(id.to_string()));
    table.store.delete(id).await.unwrap();
    assert_eq!(add(wish("ada", "b")).await, Addition::Added);
}

#[tokio::test]
async fn many_wishes_at_once_are_all_kept_and_bounded_by_their_client() {
    let table = table().await;
    let new = |client: &str| {
        let client = Client { owner: String::new(), name: client.to_owned() };
        vec![(JobId::new(), NewJob { client, ..NewJob::new(request("x"), Priority::Normal) })]
    };
    let bounds = Bounds { total: 70, per_client: 40, quota: Quota::NONE };
    let adds = (0..50).map(|_| table.store.add(new("a"), 1000, bounds));
    let added = futures_util::future::join_all(adds).await;
    let count = |wanted: Addition| added.iter().filter(|added| added.as_ref().unwrap() == &wanted).count();
    assert_eq!((count(Addition::Added), count(Addition::Refused(Refusal::ClientFull))), (40, 10));
    assert_eq!(table.store.counts().await.unwrap().queued, 40);
    let several = |number| (0..number).flat_map(|_| new("b")).collect::<Vec<_>>();
    assert_eq!(
        table.store.add(several(31), 1000, bounds).await.unwrap(),
        Addition::Refused(Refusal::QueueFull)
    );
    assert_eq!(table.store.counts().await.unwrap().queued, 40, "all or none");
    assert_eq!(table.store.add(several(30), 1000, bounds).await.unwrap(), Addition::Added);
}

#[tokio::test]
async fn clients_share_the_queue_by_the_length_of_their_texts() {
    let table = table().await;
    let long = "x".repeat(100);
    for number in 0..4 {
        table.add_of("library", &format!("{number}{long}"), Priority::Normal).await;
    }
    let text = async || {
        let claimed = table.take().await;
        let text = claimed.request.text.chars().take(2).collect::<String>();
        table.store.fail(&claimed.claim, "enough", 3000).await.unwrap();
        text
    };
    assert_eq!(text().await, "0x");
    for text in ["a1", "a2", "a3"] {
        table.add_of("sentences", text, Priority::Normal).await;
    }
    // One job of the client who was there first, then all the short ones until they have had as much.
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(text().await);
    }
    assert_eq!(order, ["1x", "a1", "a2", "a3", "2x", "3x"]);
}

#[tokio::test]
async fn a_client_with_one_job_at_a_time_does_not_starve_the_one_with_many() {
    let table = table().await;
    for number in 0..4 {
        table.add_of("many", &format!("m{number}"), Priority::Normal).await;
    }
    let mut order = Vec::new();
    for number in 0..4 {
        table.add_of("one", &format!("o{number}"), Priority::Normal).await;
        for _ in 0..2 {
            let claimed = table.take().await;
            order.push(claimed.request.text.clone());
            table.store.fail(&claimed.claim, "enough", 3000).await.unwrap();
        }
    }
    assert_eq!(order, ["m0", "o0", "m1", "o1", "m2", "o2", "m3", "o3"]);
    assert_eq!(table.run_sql("update shares set client = client").await.unwrap(), 2);
    table.add_of("late", "l", Priority::Normal).await;
    assert_eq!(
        table.run_sql("update shares set client = client").await.unwrap(),
        0,
        "an empty queue forgets"
    );
}

#[tokio::test]
async fn an_overdue_job_goes_before_what_is_more_urgent_when_it_is_asked_for() {
    let table = table().await;
    let low = table.add("low", Priority::Low).await.id;
    let normal = table.add("normal", Priority::Normal).await.id;
    let urgent = table.add("urgent", Priority::Interactive).await.id;
    let next = async |before| table.store.next(2000, before).await.unwrap().unwrap();
    assert_eq!(next(None).await.id, urgent);
    assert_eq!(next(Some(1000)).await.id, urgent, "nothing has waited for so long");
    let overdue = next(Some(1001)).await;
    assert_eq!((overdue.id, overdue.is_overdue), (low, true));
    let claimed = table.store.claim(&overdue, 0, 2000).await.unwrap().unwrap();
    assert!(table.store.must_give_way(&claimed.claim, 2000).await.unwrap());
    assert!(table.store.give_way(&claimed.claim).await.unwrap());
    assert_eq!((table.job(low).await.starts, table.job(low).await.status), (0, JobStatus::Queued));
    for expected in [urgent, normal, low] {
        assert_eq!(table.take().await.claim.id, expected);
    }
}

#[tokio::test]
async fn a_failed_job_is_tried_again_by_hand_with_its_chunks_and_others_are_not() {
    let table = table().await;
    let [queued, running, completed, failed, cancelled] = table.one_of_each().await[..] else { panic!() };
    table
        .run_sql("insert into chunks select id, 0, '', 'tone', 1, 1, 1, 1, null, null, 0 from jobs")
        .await
        .unwrap();
    for id in [queued, running, completed, cancelled, JobId::new()] {
        assert_eq!(table.store.retry_by_hand(id, 9000, BOUNDS).await.unwrap(), None);
    }
    let full = Bounds { total: 1, ..BOUNDS };
    let refused = table.store.retry_by_hand(failed, 9000, full).await.unwrap();
    assert_eq!(refused, Some(Addition::Refused(Refusal::QueueFull)));
    table.store.set_queue_state(QueueState::Draining, 9000).await.unwrap();
    let refused = table.store.retry_by_hand(failed, 9000, BOUNDS).await.unwrap();
    assert_eq!(refused, Some(Addition::Refused(Refusal::Draining)));
    assert_eq!(table.job(failed).await.status, JobStatus::Failed, "what was refused changed nothing");
    table.store.set_queue_state(QueueState::Running, 9000).await.unwrap();
    let again = table.store.retry_by_hand(failed, 9000, BOUNDS).await.unwrap();
    assert_eq!(again, Some(Addition::Added));
    let job = table.job(failed).await;
    assert_eq!((job.status, job.error, job.finished_at, job.progress), (JobStatus::Queued, None, None, 0));
    assert_eq!(job.queue_position, Some(2), "behind what waits already");
    assert_eq!(table.store.checkpoints(failed).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_job_waiting() {
    let table = table().await;
    // Added at 1000.
    let job = table.add("now", Priority::Normal).await.id;
    assert_eq!(table.store.next(10, None).await.unwrap().map(|next| next.id), Some(job));
    table.store.postpone(job, 200_000, "no model").await.unwrap();
    assert_eq!(table.store.next(1000, None).await.unwrap(), None);
    // No pause is that long: the clock that counted it was ahead.
    table.store.postpone(job, 86_400_000, "no model").await.unwrap();
    assert_eq!(table.store.next(1000, None).await.unwrap().map(|next| next.id), Some(job));
    // What has arrived in the future has waited since before.
    let low = table.add("low", Priority::Low).await.id;
    assert_eq!(table.store.next(2000, Some(500)).await.unwrap().map(|next| next.id), Some(job));
    assert_eq!(table.store.next(900, Some(500)).await.unwrap().map(|next| next.id), Some(low));
    assert!(
        table
            .store
            .claim(&table.store.next(10, None).await.unwrap().unwrap(), 0, 10)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_end_the_store() {
    let table = table().await;
    // As a full disk does: the transaction is gone before anybody rolls it back.
    table
        .run_sql("create trigger full before insert on jobs begin select raise(rollback, 'no room'); end")
        .await
        .unwrap();
    let add =
        || table.store.add(vec![(JobId::new(), NewJob::new(request("x"), Priority::Normal))], 1, BOUNDS);
    for _ in 0..3 {
        assert!(add().await.unwrap_err().to_string().contains("the job database failed"));
    }
    table.run_sql("drop trigger full").await.unwrap();
    assert_eq!(add().await.unwrap(), Addition::Added);
    assert_eq!(
        table.take().await.claim.id,
        table.store.list(&Filter { limit: 1, ..Filter::default() }).await.unwrap()[0].id
    );
}
