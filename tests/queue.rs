//! What the queue promises, seen from outside: in one process, with a model on strings, without a network.
//!
//! Where a test must meet the model at a certain token, the model waits there for the test; nothing here relies on
//! how long something takes, except where a duration is the promise.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod puppet;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use declaim::app::{App, AppError, AppSettings};
use declaim::jobs::cleanup::{Cleaner, Swept};
use declaim::jobs::webhooks::WebhookSettings;
use declaim::jobs::worker::Worker;
use declaim::jobs::{
    CancelOutcome, EnqueueError, EventKind, Following, Job, JobId, JobStatus, Jobs, Priority, QueueSettings,
    QueueState, RetryOutcome,
};
use declaim::speech::SpeechRequest;
use declaim::speech::catalog::Offer;
use declaim::speech::engine::{Engine, EngineSettings};
use declaim::speech::model::ModelError;
use puppet::{OnToken, Puppet, Record, TOKENS, request, sentence};

const BOUND: Duration = Duration::from_secs(20);

async fn open(folder: &tempfile::TempDir, queue: QueueSettings, offers: Vec<Offer>) -> Result<App, AppError> {
    let (data_dir, engine) = (folder.path().to_owned(), EngineSettings::default());
    let webhooks = WebhookSettings::default();
    App::open(AppSettings { data_dir, queue, webhooks, engine, catalog: puppet::catalog(offers) }).await
}

/// A server without doors on a directory of its own.
struct Stage {
    app: App,
    folder: Arc<tempfile::TempDir>,
    record: Record,
}

impl Stage {
    async fn open(on_token: OnToken) -> Self {
        Self::open_on(Arc::new(tempfile::tempdir().unwrap()), QueueSettings::default(), on_token).await
    }

    async fn open_on(folder: Arc<tempfile::TempDir>, queue: QueueSettings, on_token: OnToken) -> Self {
        let record = Record::default();
        let offers = vec![Puppet::offer("puppet", &record, &on_token)];
        let app = open(&folder, queue, offers).await.unwrap();
        Self { app, folder, record }
    }

    async fn add(&self, text: impl Into<String>) -> JobId {
        self.app.jobs.enqueue(request(text), Priority::Normal).await.unwrap().id
    }

    async fn end_of(&self, id: JobId) -> Job {
        tokio::time::timeout(BOUND, self.app.jobs.wait(id)).await.unwrap().unwrap().unwrap()
    }

    async fn job(&self, id: JobId) -> Job {
        self.app.jobs.get(id).await.unwrap().unwrap()
    }

    /// Speaks another job to its end, so that the worker has surely left the one before.
    async fn let_the_worker_move_on(&self) {
        let id = self.add(sentence("after")).await;
        assert_eq!(self.end_of(id).await.status, JobStatus::Completed);
    }

    fn files(&self) -> Vec<PathBuf> {
        files(self.folder.path())
    }

    /// Stops the server and keeps its directory.
    async fn close(self) -> Arc<tempfile::TempDir> {
        self.app.shutdown(BOUND).await;
        self.folder
    }

    /// Stops the server while the model is held inside a chunk of this job: the worker lets go at once, the model's
    /// thread is joined when it comes to its next token.
    async fn close_while_held(self, id: JobId, meeting: &Meeting) -> Arc<tempfile::TempDir> {
        let jobs = self.app.jobs.clone();
        let closing = tokio::spawn(self.close());
        while jobs.get(id).await.unwrap().unwrap().status == JobStatus::Running {
            tokio::task::yield_now().await;
        }
        meeting.go_on();
        closing.await.unwrap()
    }
}

/// Every file under the folders of results and chunks.
fn files(data_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data_dir.join("outputs"), data_dir.join("chunks")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn freely() -> OnToken {
    Arc::new(|_, _| Ok(()))
}

/// A model that stops before one token of the first chunk whose text has a certain word, tells the test, and goes on
/// when the test says so (or has ended).
fn held_at(word: &'static str, token: usize) -> (OnToken, Meeting) {
    let (arrive, arrived) = tokio::sync::mpsc::unbounded_channel();
    let (go, gate) = mpsc::channel::<Result<(), ModelError>>();
    let gate = Mutex::new(Some(gate));
    let on_token: OnToken = Arc::new(move |text, at| {
        if at != token || !text.contains(word) {
            return Ok(());
        }
        let Some(gate) = gate.lock().unwrap().take() else { return Ok(()) };
        let _ = arrive.send(());
        gate.recv().unwrap_or(Ok(()))
    });
    (on_token, Meeting { arrived, go })
}

struct Meeting {
    arrived: tokio::sync::mpsc::UnboundedReceiver<()>,
    go: mpsc::Sender<Result<(), ModelError>>,
}

impl Meeting {
    async fn wait(&mut self) {
        tokio::time::timeout(BOUND, self.arrived.recv()).await.unwrap().unwrap();
    }

    fn go_on(&self) {
        self.go.send(Ok(())).unwrap();
    }
}

#[tokio::test]
async fn a_text_becomes_one_file_and_its_chunks_go() {
    let stage = Stage::open(freely()).await;
    let (one, two) = (sentence("one"), sentence("two"));
    let id = stage.add(format!("{one} {two}")).await;
    let job = stage.end_of(id).await;
    assert_eq!((job.status, job.progress, job.error.as_deref()), (JobStatus::Completed, 100, None));
    assert_eq!((job.current_chunk, job.total_chunks, job.starts), (2, Some(2), 1));
    assert_eq!(stage.record.finished(), [one, two]);

    let output = job.output.clone().unwrap();
    let path = stage.app.jobs.result_path(&job).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), output.bytes);
    let mut wav = hound::WavReader::open(&path).unwrap();
    let samples = wav.samples::<i16>().map(Result::unwrap).count() as u64;
    assert_eq!(samples * 1000 / u64::from(wav.spec().sample_rate), output.duration_ms);
    // Two chunks of ten tokens of 40 ms, and a pause.
    assert!((800..2500).contains(&output.duration_ms), "{} ms", output.duration_ms);

    stage.let_the_worker_move_on().await;
    let chunks = stage.folder.path().join("chunks");
    assert!(!chunks.join(id.to_string()).exists());
    stage.close().await;
}

#[tokio::test]
async fn progress_moves_within_a_chunk_and_stays_below_100_until_the_end() {
    let (on_token, mut meeting) = held_at("one", TOKENS / 2);
    let stage = Stage::open(on_token).await;
    let id = stage.add(sentence("one")).await;
    meeting.wait().await;
    let deadline = Instant::now() + BOUND;
    let job = loop {
        let job = stage.job(id).await;
        if job.progress >= 45 || Instant::now() > deadline {
            break job;
        }
        tokio::task::yield_now().await;
    };
    // Half of a single chunk.
    assert_eq!((job.status, job.progress), (JobStatus::Running, 49));
    assert_eq!((job.current_chunk, job.total_chunks, job.output), (1, Some(1), None));
    meeting.go_on();
    assert_eq!(stage.end_of(id).await.progress, 100);
    stage.close().await;
}

#[tokio::test]
async fn cancelling_a_running_job_ends_it_within_one_token_and_leaves_no_file() {
    let (on_token, mut meeting) = held_at("two", 3);
    let stage = Stage::open(on_token).await;
    let id = stage.add(format!("{} {} {}", sentence("one"), sentence("two"), sentence("three"))).await;
    meeting.wait().await;
    assert_eq!(stage.app.jobs.cancel(id).await.unwrap(), CancelOutcome::Cancelled);
    let job = stage.job(id).await;
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Cancelled, None));
    meeting.go_on();
    stage.let_the_worker_move_on().await;

    let take = &stage.record.takes()[1];
    assert_eq!((take.tokens, take.finished), (4, false), "only the token in the making was finished");
    assert_eq!(stage.job(id).await, job, "nothing touched the row after it was cancelled");
    let id = id.to_string();
    assert!(!stage.files().iter().any(|path| path.to_string_lossy().contains(&id)), "{:?}", stage.files());
    let again = stage.app.jobs.cancel(job.id).await.unwrap();
    assert_eq!(again, CancelOutcome::AlreadyFinished(JobStatus::Cancelled));
    stage.close().await;
}

#[tokio::test]
async fn a_model_that_fails_after_the_cancellation_does_not_make_the_job_failed() {
    let (on_token, mut meeting) = held_at("one", 3);
    let stage = Stage::open(on_token).await;
    let id = stage.add(sentence("one")).await;
    meeting.wait().await;
    stage.app.jobs.cancel(id).await.unwrap();
    meeting.go.send(Err(ModelError::Device("lost".to_owned()))).unwrap();
    stage.let_the_worker_move_on().await;
    assert_eq!(stage.job(id).await.status, JobStatus::Cancelled);
    stage.close().await;
}

#[tokio::test]
async fn cancelling_in_the_database_by_another_process_stops_the_model() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    // Each token is told and takes a moment; the job would take half a minute.
    let on_token: OnToken = Arc::new(move |text, token| {
        if text.contains("after") {
            return Ok(());
        }
        let _ = tell.send(token);
        std::thread::sleep(Duration::from_millis(20));
        Ok(())
    });
    let stage = Stage::open(on_token).await;
    let text: Vec<String> = (0..150).map(|number| sentence(&format!("number {number}"))).collect();
    let id = stage.add(text.join(" ")).await;
    told.recv().await.unwrap();
    let other = Jobs::open(stage.folder.path(), QueueSettings::default()).await.unwrap();
    let asked = Instant::now();
    assert_eq!(other.cancel(id).await.unwrap(), CancelOutcome::Cancelled);
    stage.let_the_worker_move_on().await;
    // 250 ms are promised; the rest is for a busy machine and for the job that ran after it.
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(stage.job(id).await.status, JobStatus::Cancelled);
    let id = id.to_string();
    assert!(!stage.files().iter().any(|path| path.to_string_lossy().contains(&id)));
    other.close().await;
    stage.close().await;
}

#[tokio::test]
async fn a_job_cancelled_while_queued_is_never_started() {
    let (on_token, mut meeting) = held_at("first", 0);
    let stage = Stage::open(on_token).await;
    let first = stage.add(sentence("first")).await;
    meeting.wait().await;
    let second = stage.add(sentence("second")).await;
    assert_eq!(stage.app.jobs.cancel(second).await.unwrap(), CancelOutcome::Cancelled);
    meeting.go_on();
    stage.end_of(first).await;
    stage.let_the_worker_move_on().await;
    let job = stage.job(second).await;
    assert_eq!((job.status, job.starts, job.started_at), (JobStatus::Cancelled, 0, None));
    assert_eq!(stage.record.finished(), [sentence("first"), sentence("after")]);
    stage.close().await;
}

#[tokio::test]
async fn interactive_jobs_overtake_normal_ones_that_wait() {
    let (on_token, mut meeting) = held_at("first", 0);
    let stage = Stage::open(on_token).await;
    stage.add(sentence("first")).await;
    meeting.wait().await;
    let normal = stage.add(sentence("normal")).await;
    let urgent = stage.app.jobs.enqueue(request(sentence("urgent")), Priority::Interactive).await.unwrap();
    assert_eq!(urgent.queue_position, Some(1));
    assert_eq!(stage.job(normal).await.queue_position, Some(2));
    meeting.go_on();
    stage.end_of(normal).await;
    assert_eq!(stage.record.finished(), ["first", "urgent", "normal"].map(sentence));
    stage.close().await;
}

#[tokio::test]
async fn an_urgent_job_passes_at_the_next_chunk_edge_and_the_long_one_goes_on() {
    let (on_token, mut meeting) = held_at("two", 0);
    let stage = Stage::open(on_token).await;
    let long = stage.add(["one", "two", "three", "four"].map(sentence).join(" ")).await;
    meeting.wait().await;
    let urgent = stage.app.jobs.enqueue(request(sentence("urgent")), Priority::Interactive).await.unwrap().id;
    meeting.go_on();
    assert_eq!(stage.end_of(urgent).await.status, JobStatus::Completed);
    let job = stage.end_of(long).await;
    assert_eq!((job.status, job.starts), (JobStatus::Completed, 1), "going on is no start");
    assert_eq!(stage.record.finished(), ["one", "two", "urgent", "three", "four"].map(sentence));
    stage.close().await;
}

#[tokio::test]
async fn a_low_job_gets_on_chunk_by_chunk_under_a_stream_of_urgent_ones() {
    let settings = QueueSettings { overdue_after: Duration::ZERO, ..QueueSettings::default() };
    let (on_token, mut meeting) = held_at("first", 0);
    let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, on_token).await;
    stage.add(sentence("first")).await;
    meeting.wait().await;
    let low = stage.app.jobs.enqueue(request(["one", "two"].map(sentence).join(" ")), Priority::Low).await;
    let low = low.unwrap().id;
    let mut urgent = Vec::new();
    for number in 0..12 {
        let text = request(sentence(&format!("urgent {number}")));
        urgent.push(stage.app.jobs.enqueue(text, Priority::Interactive).await.unwrap().id);
    }
    meeting.go_on();
    for id in urgent {
        stage.end_of(id).await;
    }
    let spoken = stage.record.finished();
    let place = |name: &str| spoken.iter().position(|text| *text == sentence(name));
    assert!(place("one") < place("urgent 11") && place("two") < place("urgent 11"), "{spoken:?}");
    assert!(place("one") > place("urgent 1"), "urgent ones are served first all the same: {spoken:?}");
    assert_eq!(stage.end_of(low).await.starts, 1);
    stage.close().await;
}

#[tokio::test]
async fn a_job_retried_by_hand_speaks_only_what_was_not_finished() {
    let is_broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let broken = Arc::clone(&is_broken);
    let on_token: OnToken = Arc::new(move |text, _| {
        let fails = text.contains("two") && broken.load(Ordering::Relaxed);
        if fails { Err(ModelError::Device("lost".to_owned())) } else { Ok(()) }
    });
    let stage = Stage::open(on_token).await;
    let id = stage.add(format!("{} {}", sentence("one"), sentence("two"))).await;
    assert_eq!(stage.end_of(id).await.status, JobStatus::Failed);
    // A clean-up in between spares what a retry needs.
    Cleaner::new(&stage.app.jobs).sweep(Duration::ZERO).await.unwrap();
    is_broken.store(false, Ordering::Relaxed);
    assert_eq!(stage.app.jobs.retry(id).await.unwrap(), RetryOutcome::Queued);
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    assert_eq!(stage.record.finished(), ["one", "two"].map(sentence));
    let again = stage.app.jobs.retry(id).await.unwrap();
    assert_eq!(again, RetryOutcome::NotFailed(JobStatus::Completed));
    stage.close().await;
}

#[tokio::test]
async fn a_chunk_file_that_was_damaged_is_spoken_again() {
    let (on_token, mut meeting) = held_at("two", 0);
    let stage = Stage::open(on_token).await;
    let id = stage.add(format!("{} {}", sentence("one"), sentence("two"))).await;
    meeting.wait().await;
    let folder = stage.close_while_held(id, &meeting).await;
    let path = folder.path().join("chunks").join(id.to_string()).join("0.wav");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
    let stage = Stage::open_on(folder, QueueSettings::default(), freely()).await;
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    assert_eq!(stage.record.finished()[0], sentence("one"));
    stage.close().await;
}

#[tokio::test]
async fn a_follower_that_does_not_listen_for_a_while_misses_nothing() {
    let stage = Stage::open(freely()).await;
    let mut follower = stage.app.jobs.follow(Following::Owner(String::new()), 0);
    // More than is kept for a follower: five events each.
    let mut ids = Vec::new();
    for number in 0..120 {
        ids.push(stage.add(sentence(&format!("number {number}"))).await);
    }
    for id in &ids {
        stage.end_of(*id).await;
    }
    let (mut last, mut ended) = (0, 0);
    while ended < ids.len() {
        let event = tokio::time::timeout(BOUND, follower.next()).await.unwrap().unwrap().unwrap();
        if let Some(seq) = event.seq {
            assert_eq!(seq, last + 1, "in order, each once");
            last = seq;
        }
        ended += usize::from(event.kind == EventKind::Completed);
    }
    // And it hears what comes after it has caught up.
    let id = stage.add(sentence("late")).await;
    loop {
        let event = tokio::time::timeout(BOUND, follower.next()).await.unwrap().unwrap().unwrap();
        if event.job == id && event.kind.is_end() {
            break;
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn a_device_that_fails_once_is_tried_again_without_redoing_finished_chunks() {
    let failures = AtomicUsize::new(1);
    let on_token: OnToken = Arc::new(move |text, token| {
        let fails = text.contains("two")
            && token == 5
            && failures
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok();
        if fails { Err(ModelError::Device("out of memory".to_owned())) } else { Ok(()) }
    });
    let settings = QueueSettings { max_retries: 1, ..QueueSettings::default() };
    let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, on_token).await;
    let id = stage.add(format!("{} {}", sentence("one"), sentence("two"))).await;
    let job = stage.end_of(id).await;
    assert_eq!((job.status, job.starts), (JobStatus::Completed, 2));
    let texts: Vec<String> = stage.record.takes().into_iter().map(|take| take.text).collect();
    assert_eq!(texts, ["one", "two", "two"].map(sentence));
    stage.close().await;
}

/// A model whose device fails so often before it comes to the end of a chunk with this word.
fn failing(word: &'static str, times: usize, how: fn() -> ModelError) -> OnToken {
    let failures = AtomicUsize::new(times);
    Arc::new(move |text, token| {
        let fails = text.contains(word)
            && token == 5
            && failures
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok();
        if fails { Err(how()) } else { Ok(()) }
    })
}

#[tokio::test]
async fn a_retry_after_the_device_failed_speaks_chunks_one_by_one() {
    let on_token = failing("three", 1, || ModelError::Device("out of memory".to_owned()));
    let settings = QueueSettings { max_retries: 1, ..QueueSettings::default() };
    let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, on_token).await;
    let id = stage.add(["one", "two", "three", "four", "five", "six"].map(sentence).join(" ")).await;
    let job = stage.end_of(id).await;
    assert_eq!((job.status, job.starts), (JobStatus::Completed, 2));
    let told =
        |before: &str| stage.record.foretold().iter().filter(|text| **text == sentence(before)).count();
    // Told beside "two" and "three"; the second try, which speaks "three" to "six", tells nothing.
    assert_eq!((told("three"), told("four"), told("six")), (1, 2, 2), "{:?}", stage.record.foretold());
    // The next job is not made to suffer for it.
    let next = stage.add(["seven", "eight", "nine"].map(sentence).join(" ")).await;
    stage.end_of(next).await;
    assert_eq!(told("nine"), 1);
    stage.close().await;
}

#[tokio::test]
async fn a_job_that_the_device_fails_twice_goes_on_where_it_is_told_to_fall_back() {
    let (gpu, cpu) = (Record::default(), Record::default());
    let on_gpu = failing("two", usize::MAX, || ModelError::Device("the device was lost".to_owned()));
    let (strings, on_cpu) = (cpu.clone(), freely());
    let offer = Puppet::offer("puppet", &gpu, &on_gpu)
        .with_fallback(move || Ok(Puppet::on_strings(&strings, &on_cpu)));
    let folder = tempfile::tempdir().unwrap();
    let settings = QueueSettings { max_retries: 2, ..QueueSettings::default() };
    let app = open(&folder, settings, vec![offer]).await.unwrap();
    let id = app.jobs.enqueue(request(["one", "two", "three"].map(sentence).join(" ")), Priority::Normal);
    let id = id.await.unwrap().id;
    let job = tokio::time::timeout(BOUND, app.jobs.wait(id)).await.unwrap().unwrap().unwrap();
    assert_eq!((job.status, job.starts), (JobStatus::Completed, 3));
    assert_eq!(gpu.finished(), [sentence("one")], "finished chunks are kept across devices");
    assert_eq!(cpu.finished(), ["two", "three"].map(sentence));
    // Others stay where they were.
    let next = app.jobs.enqueue(request(sentence("four")), Priority::Normal).await.unwrap().id;
    app.jobs.wait(next).await.unwrap();
    assert_eq!(gpu.finished().last(), Some(&sentence("four")));
    app.shutdown(BOUND).await;
}

#[tokio::test]
async fn without_a_fallback_the_device_is_tried_until_the_tries_are_spent() {
    let ways: [fn() -> ModelError; 3] = [
        || ModelError::Device("the device was lost".to_owned()),
        || ModelError::Device("out of memory".to_owned()),
        || panic!("the driver crashed"),
    ];
    // Side by side, since each waits for its pauses.
    let tries = ways.map(|how| async move {
        let on_token = failing("one", 2, how);
        let settings = QueueSettings { max_retries: 2, ..QueueSettings::default() };
        let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, on_token).await;
        let id = stage.add(sentence("one")).await;
        let job = stage.end_of(id).await;
        assert_eq!((job.status, job.starts), (JobStatus::Completed, 3));
        stage.close().await;
    });
    futures_util::future::join_all(tries).await;
}

#[tokio::test]
async fn a_paused_queue_gives_way_at_the_next_chunk_edge_and_stays_paused_over_a_restart() {
    let (on_token, mut meeting) = held_at("two", 0);
    let stage = Stage::open(on_token).await;
    let id = stage.add(["one", "two", "three"].map(sentence).join(" ")).await;
    meeting.wait().await;
    stage.app.jobs.pause().await.unwrap();
    meeting.go_on();
    let started = Instant::now();
    while stage.job(id).await.status == JobStatus::Running {
        assert!(started.elapsed() < BOUND);
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.record.finished(), ["one", "two"].map(sentence));
    let later = stage.add(sentence("later")).await;
    let folder = stage.close().await;

    let stage = Stage::open_on(folder, QueueSettings::default(), freely()).await;
    assert_eq!(stage.app.jobs.queue().await.unwrap().state, QueueState::Paused);
    // Longer than an idle worker sleeps.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(stage.record.takes(), []);
    assert_eq!((stage.job(id).await.starts, stage.job(later).await.starts), (0, 0), "giving way is no start");
    stage.app.jobs.resume().await.unwrap();
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    assert_eq!(stage.end_of(later).await.status, JobStatus::Completed);
    assert_eq!(stage.record.finished(), ["three", "later"].map(sentence));
    stage.close().await;
}

#[tokio::test]
async fn what_somebody_holds_the_line_for_is_finished_at_a_pause() {
    let (on_token, mut meeting) = held_at("one", 0);
    let stage = Stage::open(on_token).await;
    let urgent = request(["one", "two", "three"].map(sentence).join(" "));
    let urgent = stage.app.jobs.enqueue(urgent, Priority::Interactive).await.unwrap().id;
    meeting.wait().await;
    stage.app.jobs.pause().await.unwrap();
    meeting.go_on();
    assert_eq!(stage.end_of(urgent).await.status, JobStatus::Completed);
    stage.close().await;
}

#[tokio::test]
async fn a_pause_by_another_process_is_heeded_and_so_is_its_end() {
    let stage = Stage::open(freely()).await;
    let other = Jobs::open(stage.folder.path(), QueueSettings::default()).await.unwrap();
    other.pause().await.unwrap();
    let id = stage.add(sentence("one")).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(stage.job(id).await.status, JobStatus::Queued);
    assert_eq!(stage.app.jobs.queue_state(), QueueState::Paused, "the worker has looked");
    other.resume().await.unwrap();
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    other.close().await;
    stage.close().await;
}

#[tokio::test]
async fn a_draining_queue_takes_nothing_finishes_what_it_has_and_the_next_start_ends_it() {
    let (on_token, mut meeting) = held_at("one", 0);
    let stage = Stage::open(on_token).await;
    let (one, two) = (stage.add(sentence("one")).await, stage.add(sentence("two")).await);
    meeting.wait().await;
    stage.app.jobs.drain().await.unwrap();
    let refused = stage.app.jobs.enqueue(request("three"), Priority::Interactive).await;
    assert!(matches!(refused, Err(EnqueueError::Draining)), "{refused:?}");
    assert_eq!(stage.app.jobs.queue().await.unwrap().unfinished(), 2);
    meeting.go_on();
    for id in [one, two] {
        assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    }
    let queue = stage.app.jobs.queue().await.unwrap();
    assert_eq!((queue.state, queue.unfinished(), queue.longest_wait()), (QueueState::Draining, 0, None));
    let folder = stage.close().await;

    let stage = Stage::open_on(folder, QueueSettings::default(), freely()).await;
    let id = stage.add(sentence("three")).await;
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    stage.close().await;
}

#[tokio::test]
async fn without_retries_a_failing_device_fails_the_job_with_its_reason() {
    let stage = Stage::open(Arc::new(|text, _| {
        if text.contains("bad") { Err(ModelError::Device("out of memory".to_owned())) } else { Ok(()) }
    }))
    .await;
    let id = stage.add(format!("{} {}", sentence("fine"), sentence("bad"))).await;
    let job = stage.end_of(id).await;
    assert_eq!((job.status, job.starts), (JobStatus::Failed, 1));
    assert!(job.error.as_ref().unwrap().contains("out of memory"), "{:?}", job.error);
    assert!(job.progress < 100);
    stage.let_the_worker_move_on().await;
    let chunk = stage.folder.path().join("chunks").join(id.to_string()).join("0.wav");
    let id = id.to_string();
    let mut left: Vec<_> =
        stage.files().into_iter().filter(|path| path.to_string_lossy().contains(&id)).collect();
    left.sort();
    let report = chunk.with_extension("json");
    assert_eq!(left, [report, chunk], "what is finished is kept for a retry by hand");
    stage.close().await;
}

#[tokio::test]
async fn what_the_user_caused_is_never_tried_again() {
    let settings = QueueSettings { max_retries: 5, ..QueueSettings::default() };
    let on_token: OnToken = Arc::new(|_, _| Err(ModelError::NothingToSpeak));
    let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, on_token).await;
    let id = stage.add(sentence("mute")).await;
    let job = stage.end_of(id).await;
    assert_eq!((job.status, job.starts), (JobStatus::Failed, 1));
    assert_eq!(stage.record.takes().len(), 1);
    stage.close().await;
}

#[tokio::test]
async fn a_model_that_panics_fails_its_job_and_not_the_next() {
    let stage = Stage::open(Arc::new(|text, token| {
        assert!(!(text.contains("bomb") && token == 2), "boom");
        Ok(())
    }))
    .await;
    let bomb = stage.add(sentence("bomb")).await;
    let next = stage.add(sentence("next")).await;
    let job = stage.end_of(bomb).await;
    assert_eq!(job.status, JobStatus::Failed);
    assert!(job.error.unwrap().contains("boom"));
    assert_eq!(stage.end_of(next).await.status, JobStatus::Completed);
    stage.close().await;
}

#[tokio::test]
async fn stopping_puts_the_running_job_back_and_the_next_start_goes_on_where_it_was() {
    let (on_token, mut meeting) = held_at("two", 4);
    let stage = Stage::open(on_token).await;
    let id = stage.add(format!("{} {}", sentence("one"), sentence("two"))).await;
    meeting.wait().await;
    let shown = stage.job(id).await.progress;
    let folder = stage.close_while_held(id, &meeting).await;

    // As the command line would look at the directory of a stopped server.
    let jobs = Jobs::open(folder.path(), QueueSettings::default()).await.unwrap();
    let job = jobs.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.starts), (JobStatus::Queued, 1));
    assert!(job.progress >= shown);
    assert!(folder.path().join("chunks").join(id.to_string()).join("0.wav").exists());
    jobs.close().await;

    let (on_token, mut meeting) = held_at("two", 0);
    let stage = Stage::open_on(folder, QueueSettings::default(), on_token).await;
    meeting.wait().await;
    assert!(stage.job(id).await.progress >= job.progress, "progress never falls, also across a restart");
    meeting.go_on();
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    assert_eq!(stage.record.finished(), [sentence("two")]);
    stage.close().await;
}

#[test]
fn a_job_whose_process_died_is_taken_up_again_with_its_finished_chunks() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    // The tasks of a runtime that is shut down stop where they are, as in a process that is killed.
    let process = tokio::runtime::Runtime::new().unwrap();
    let (id, meeting) = process.block_on(async {
        let (on_token, mut meeting) = held_at("two", 4);
        let stage = Stage::open_on(Arc::clone(&folder), QueueSettings::default(), on_token).await;
        let id = stage.add(format!("{} {}", sentence("one"), sentence("two"))).await;
        meeting.wait().await;
        (id, meeting)
    });
    // The model is held inside a chunk, so that no task can move on before all of them are gone.
    process.shutdown_timeout(Duration::from_millis(200));
    drop(meeting);

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let stage = Stage::open_on(folder, QueueSettings::default(), freely()).await;
        let job = stage.end_of(id).await;
        assert_eq!((job.status, job.starts), (JobStatus::Completed, 2));
        assert_eq!(stage.record.finished(), [sentence("two")]);
        stage.close().await;
    });
}

#[tokio::test]
async fn a_chunk_whose_file_is_gone_is_spoken_again() {
    let (on_token, mut meeting) = held_at("two", 0);
    let stage = Stage::open(on_token).await;
    let id = stage.add(format!("{} {}", sentence("one"), sentence("two"))).await;
    meeting.wait().await;
    let folder = stage.close_while_held(id, &meeting).await;
    std::fs::remove_file(folder.path().join("chunks").join(id.to_string()).join("0.wav")).unwrap();
    let stage = Stage::open_on(folder, QueueSettings::default(), freely()).await;
    assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    assert_eq!(stage.record.finished()[0], sentence("one"));
    stage.close().await;
}

#[tokio::test]
async fn jobs_are_accepted_while_the_model_loads_and_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (let_go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let offer = Offer::new(puppet::info("puppet"), move || {
        gate.lock().unwrap().recv().unwrap();
        Ok(Puppet::on_strings(&Record::default(), &freely()))
    });
    let app = open(&folder, QueueSettings::default(), vec![offer]).await.unwrap();
    let id = app.jobs.enqueue(request(sentence("early")), Priority::Normal).await.unwrap().id;
    assert_eq!(app.jobs.get(id).await.unwrap().unwrap().status, JobStatus::Queued);
    let_go.send(()).unwrap();
    assert_eq!(app.jobs.wait(id).await.unwrap().unwrap().status, JobStatus::Completed);
    app.shutdown(BOUND).await;
}

#[tokio::test]
async fn a_job_whose_model_is_not_there_yet_waits_without_being_counted_as_tried() {
    let folder = tempfile::tempdir().unwrap();
    let (record, loads) = (Record::default(), AtomicUsize::new(0));
    let strings = record.clone();
    let late = Offer::new(puppet::info("late"), move || match loads.fetch_add(1, Ordering::Relaxed) {
        0 => Err(ModelError::Device("busy".to_owned())),
        _ => Ok(Puppet::on_strings(&strings, &freely())),
    });
    let offers = vec![Puppet::offer("puppet", &record, &freely()), late];
    let app = open(&folder, QueueSettings::default(), offers).await.unwrap();
    let for_late = SpeechRequest { model: Some("late".to_owned()), ..request(sentence("patient")) };
    let waiting = app.jobs.enqueue(for_late, Priority::Normal).await.unwrap().id;
    let passing = app.jobs.enqueue(request(sentence("quick")), Priority::Normal).await.unwrap().id;
    app.jobs.wait(passing).await.unwrap();
    let job = app.jobs.get(waiting).await.unwrap().unwrap();
    assert_eq!((job.status, job.starts), (JobStatus::Queued, 0));
    let why = job.waits_for.as_deref();
    assert_eq!(why, Some("the model late could not be loaded: the device failed: busy"));
    let job = tokio::time::timeout(BOUND, app.jobs.wait(waiting)).await.unwrap().unwrap().unwrap();
    assert_eq!((job.status, job.starts, job.waits_for), (JobStatus::Completed, 1, None));
    assert_eq!(record.finished(), ["quick", "patient"].map(sentence));
    app.shutdown(BOUND).await;
}

#[tokio::test]
async fn a_job_whose_model_is_gone_for_good_fails_with_the_reason_and_not_the_next() {
    let stage = Stage::open(freely()).await;
    let gone = SpeechRequest { model: Some("gone".to_owned()), ..request(sentence("left")) };
    let gone = stage.app.jobs.enqueue(gone, Priority::Normal).await.unwrap().id;
    let next = stage.add(sentence("next")).await;
    let job = stage.end_of(gone).await;
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.error.as_deref(), Some("there is no model \"gone\"; the models are puppet"));
    assert_eq!(stage.end_of(next).await.status, JobStatus::Completed);
    stage.close().await;
}

#[tokio::test]
async fn a_server_started_without_its_model_keeps_the_jobs_that_name_none() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let app = open(&folder, QueueSettings::default(), Vec::new()).await.unwrap();
    let id = app.jobs.enqueue(request(sentence("old")), Priority::Normal).await.unwrap().id;
    let deadline = Instant::now() + BOUND;
    loop {
        let job = app.jobs.get(id).await.unwrap().unwrap();
        assert_eq!(job.status, JobStatus::Queued);
        if job.waits_for.is_some() {
            break;
        }
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    app.shutdown(BOUND).await;
}

#[tokio::test]
async fn two_workers_speak_every_job_once() {
    let stage = Stage::open(freely()).await;
    let catalog = puppet::catalog(vec![Puppet::offer("puppet", &stage.record, &freely())]);
    let second = Engine::start(catalog, EngineSettings::default()).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(Worker::new(&stage.app.jobs, second).run(stop.clone()));
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(stage.add(sentence(&format!("number {number}"))).await);
    }
    for id in ids {
        let job = stage.end_of(id).await;
        assert_eq!((job.status, job.starts), (JobStatus::Completed, 1));
    }
    let mut spoken = stage.record.finished();
    spoken.sort();
    spoken.dedup();
    assert_eq!((spoken.len(), stage.record.takes().len()), (30, 30));
    stop.cancel();
    worker.await.unwrap();
    stage.close().await;
}

#[tokio::test]
async fn a_full_queue_refuses_with_its_bound() {
    let (on_token, mut meeting) = held_at("first", 0);
    let settings = QueueSettings { max_queued: 1, ..QueueSettings::default() };
    let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, on_token).await;
    stage.add(sentence("first")).await;
    meeting.wait().await;
    let second = stage.add(sentence("second")).await;
    let refused = stage.app.jobs.enqueue(request("third"), Priority::Normal).await;
    assert!(matches!(refused, Err(EnqueueError::QueueFull { limit: 1, .. })), "{refused:?}");
    meeting.go_on();
    stage.end_of(second).await;
    stage.close().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let stage = Stage::open(freely()).await;
    let second = open(&stage.folder, QueueSettings::default(), Vec::new()).await;
    assert!(matches!(second, Err(AppError::InUse { .. })), "{second:?}");
    let folder = stage.close().await;
    Stage::open_on(folder, QueueSettings::default(), freely()).await.close().await;
}

#[tokio::test]
async fn ended_jobs_are_forgotten_with_their_files_after_their_time() {
    let settings = QueueSettings { job_ttl: Duration::ZERO, ..QueueSettings::default() };
    let stage = Stage::open_on(Arc::new(tempfile::tempdir().unwrap()), settings, freely()).await;
    let id = stage.add(sentence("brief")).await;
    let job = stage.end_of(id).await;
    let path = stage.app.jobs.result_path(&job).unwrap();
    assert!(path.exists());
    // Its end lies in this very millisecond, or before.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let swept = Cleaner::new(&stage.app.jobs).sweep(Duration::from_hours(1)).await.unwrap();
    assert_eq!(swept.expired, 1);
    assert_eq!(stage.app.jobs.get(id).await.unwrap(), None);
    assert!(!path.exists());
    stage.close().await;
}

#[tokio::test]
async fn the_time_to_live_spares_fresh_and_waiting_jobs() {
    let (on_token, mut meeting) = held_at("second", 0);
    let stage = Stage::open(on_token).await;
    let first = stage.add(sentence("first")).await;
    stage.add(sentence("second")).await;
    let third = stage.add(sentence("third")).await;
    meeting.wait().await;
    let swept = Cleaner::new(&stage.app.jobs).sweep(Duration::ZERO).await.unwrap();
    assert_eq!(swept, Swept::default());
    meeting.go_on();
    for id in [first, third] {
        assert_eq!(stage.end_of(id).await.status, JobStatus::Completed);
    }
    stage.close().await;
}

#[tokio::test]
async fn files_without_a_job_go_after_their_grace_and_strange_files_stay() {
    let stage = Stage::open(freely()).await;
    let outputs = stage.folder.path().join("outputs");
    let orphan = outputs.join("0195d6a0-0000-7000-8000-000000000000.wav");
    let strange = outputs.join("holiday.wav");
    let chunks = stage.folder.path().join("chunks").join("0195d6a0-0000-7000-8000-000000000001");
    std::fs::create_dir(&chunks).unwrap();
    for path in [&orphan, &strange, &chunks.join("0.wav")] {
        std::fs::write(path, "bytes").unwrap();
    }
    let mut cleaner = Cleaner::new(&stage.app.jobs);
    assert_eq!(cleaner.sweep(Duration::from_hours(1)).await.unwrap(), Swept::default());
    assert_eq!(cleaner.sweep(Duration::ZERO).await.unwrap().orphans, 2);
    assert_eq!(stage.files(), [strange]);
    stage.close().await;
}

#[tokio::test]
async fn a_completed_job_whose_file_vanished_says_so() {
    let stage = Stage::open(freely()).await;
    let id = stage.add(sentence("one")).await;
    let job = stage.end_of(id).await;
    stage.let_the_worker_move_on().await;
    std::fs::remove_file(stage.app.jobs.result_path(&job).unwrap()).unwrap();
    assert_eq!(Cleaner::new(&stage.app.jobs).sweep(Duration::ZERO).await.unwrap().lost, 1);
    let job = stage.job(id).await;
    assert_eq!((job.status, job.error.as_deref()), (JobStatus::Failed, Some("the result file is gone")));
    stage.close().await;
}

#[tokio::test]
async fn waiting_for_an_unknown_job_ends_at_once() {
    let stage = Stage::open(freely()).await;
    let unknown: JobId = "0195d6a0-0000-7000-8000-000000000000".parse().unwrap();
    assert_eq!(stage.app.jobs.wait(unknown).await.unwrap(), None);
    stage.close().await;
}
