//! What the queue counts for whoever watches the server.
//!
//! What happens to jobs is counted from their events, so that a cancellation by another process or a job given up by a
//! start is counted like any other; what only the worker knows is counted by it.

use super::{Event, EventKind, Jobs, Priority, StoreError};
use crate::metrics::page::Page;
use crate::metrics::{Counter, Counters, Histogram, Histograms};

/// Seconds: from a sentence on an idle machine to a library before it.
const WAITS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0];

/// Seconds of work on one job: from a word to a book.
const RUNS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0];

/// Seconds of work for a second of speech; below 1 it can be heard while it is made.
const FACTORS: &[f64] = &[0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

const PRIORITIES: [&str; 3] =
    [Priority::Low.as_str(), Priority::Normal.as_str(), Priority::Interactive.as_str()];

/// How a chunk turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkOutcome {
    /// As it should be.
    Clean,
    /// Every take had a fault; the best one was kept.
    Faulty,
    /// The model failed.
    Failed,
}

impl ChunkOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Faulty => "faulty",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug)]
pub(super) struct Meters {
    accepted: Counters,
    ended: Counters,
    put_back: Counters,
    retries: Counters,
    chunks: Counters,
    takes: Counter,
    /// Milliseconds of speech, and of the work that it took.
    spoken_ms: Counter,
    speaking_ms: Counter,
    wait: Histograms,
    first_audio: Histograms,
    run: Histogram,
    factor: Histogram,
    calls: Counters,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            accepted: Counters::new("priority", &PRIORITIES),
            ended: Counters::new("status", &["completed", "failed", "cancelled"]),
            put_back: Counters::new("reason", &["yielded", "interrupted"]),
            retries: Counters::new("cause", &["device", "memory", "crash", "disk", "other", "by_hand"]),
            chunks: Counters::new("outcome", &["clean", "faulty", "failed"]),
            takes: Counter::default(),
            spoken_ms: Counter::default(),
            speaking_ms: Counter::default(),
            wait: Histograms::new("priority", &PRIORITIES, WAITS),
            first_audio: Histograms::new("priority", &PRIORITIES, WAITS),
            run: Histogram::new(RUNS),
            factor: Histogram::new(FACTORS),
            calls: Counters::new("outcome", &["delivered", "failed", "given_up"]),
        }
    }
}

impl Meters {
    /// Counts what has happened to a job.
    pub(super) fn saw(&self, event: &Event) {
        match event.kind {
            EventKind::Queued => {
                let priority = event.data.get("priority").and_then(serde_json::Value::as_str);
                self.accepted
                    .add(priority.and_then(Priority::from_word).unwrap_or(Priority::Normal).as_str());
            }
            EventKind::Completed | EventKind::Failed | EventKind::Cancelled => {
                self.ended.add(event.kind.as_str());
            }
            EventKind::Yielded | EventKind::Interrupted => self.put_back.add(event.kind.as_str()),
            EventKind::Retried => self.retries.add("by_hand"),
            EventKind::Started
            | EventKind::Planned
            | EventKind::Chunk
            | EventKind::Retrying
            | EventKind::Progress => {}
        }
    }

    /// A job was taken up for the first time, so long after it was accepted.
    pub(super) fn waited(&self, priority: Priority, ms: i64) {
        self.wait.observe(priority.as_str(), seconds(ms));
    }

    /// Something of a job could be heard for the first time, so long after it was accepted.
    pub(super) fn heard(&self, priority: Priority, ms: i64) {
        self.first_audio.observe(priority.as_str(), seconds(ms));
    }

    /// A job was completed, so long after its first start.
    pub(super) fn ran(&self, ms: i64) {
        self.run.observe(seconds(ms));
    }

    pub(super) fn will_retry(&self, cause: &str) {
        self.retries.add(cause);
    }

    /// A chunk was spoken or not, in so many takes.
    pub(super) fn chunk(&self, outcome: ChunkOutcome, takes: u32) {
        self.chunks.add(outcome.as_str());
        self.takes.add(takes.into());
    }

    /// So much speech took so long to make.
    pub(super) fn spoke(&self, audio_ms: u64, took_ms: u64) {
        self.spoken_ms.add(audio_ms);
        self.speaking_ms.add(took_ms);
        if audio_ms > 0 {
            self.factor.observe(took_ms as f64 / audio_ms as f64);
        }
    }

    /// A call back was made, with this outcome.
    pub(super) fn called(&self, outcome: &str) {
        self.calls.add(outcome);
    }
}

/// A clock that was set back waits for nothing.
fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1000.0
}

impl Jobs {
    /// Tells what the queue counts, and how it is now.
    pub async fn tell(&self, page: &mut Page) -> Result<(), StoreError> {
        let queue = self.queue().await?;
        let due = self.shared.store.count_due_webhooks().await?;
        let free = self.shared.outputs.free_bytes().ok();
        let meters = &self.shared.meters;

        let depth = Priority::ALL.iter().flat_map(|&priority| {
            let labels = |state| [("state", state), ("priority", priority.as_str())];
            [
                (labels("queued"), queue.queued(priority) as f64),
                (labels("running"), queue.running(priority) as f64),
            ]
        });
        page.gauges("declaim_queue_jobs", "Jobs that have not ended.", depth);
        page.gauge(
            "declaim_queue_longest_wait_seconds",
            "How long the job waits that waits for longest; 0 where none does.",
            queue.longest_wait().unwrap_or_default().as_secs_f64(),
        );
        let states = ["running", "paused", "draining"];
        page.gauges(
            "declaim_queue_state",
            "1 for what the queue does, 0 for the others.",
            states.map(|state| ([("state", state)], f64::from(u8::from(queue.state.as_str() == state)))),
        );
        page.counters("declaim_jobs_accepted_total", "Jobs that were accepted.", &meters.accepted);
        page.counters("declaim_jobs_ended_total", "Jobs that have ended.", &meters.ended);
        page.counters(
            "declaim_jobs_put_back_total",
            "Times that a running job gave way to a more urgent one or to a pause (yielded), or was interrupted by a stop.",
            &meters.put_back,
        );
        page.counters(
            "declaim_job_retries_total",
            "Times that a job is tried again, by cause.",
            &meters.retries,
        );
        page.histograms(
            "declaim_job_wait_seconds",
            "From a job's acceptance to its first start.",
            &meters.wait,
        );
        page.histograms(
            "declaim_job_first_audio_seconds",
            "From a job's acceptance to its first sound: its first chunk, or its first block where somebody listens.",
            &meters.first_audio,
        );
        page.histogram(
            "declaim_job_run_seconds",
            "From the first start of a completed job to its end, with what it gave way to.",
            &meters.run,
        );
        page.counters("declaim_chunks_total", "Chunks by how they turned out.", &meters.chunks);
        page.counter(
            "declaim_chunk_takes_total",
            "Takes of chunks; more than chunks where some came out wrong and were spoken again.",
            &meters.takes,
        );
        page.total(
            "declaim_speech_seconds_total",
            "Speech that was made.",
            meters.spoken_ms.get() as f64 / 1000.0,
        );
        page.total(
            "declaim_speaking_seconds_total",
            "Time that speaking took; divided by declaim_speech_seconds_total it is the real-time factor.",
            meters.speaking_ms.get() as f64 / 1000.0,
        );
        page.histogram(
            "declaim_chunk_realtime_factor",
            "Seconds of work for a second of speech, chunk by chunk.",
            &meters.factor,
        );
        page.counters("declaim_webhook_calls_total", "Calls back that were made.", &meters.calls);
        page.gauge("declaim_webhooks_due", "Calls back that are owed.", due as f64);
        if let Some(free) = free {
            page.gauge("declaim_disk_free_bytes", "Free on the disk of the results.", free as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::JobId;

    #[test]
    fn every_kind_of_event_and_of_outcome_has_its_series() {
        let meters = Meters::default();
        for kind in EventKind::ALL {
            let (job, owner) = (JobId::new(), String::new());
            meters.saw(&Event { seq: None, job, owner, at: 0, kind, data: <_>::default() });
        }
        for outcome in [ChunkOutcome::Clean, ChunkOutcome::Faulty, ChunkOutcome::Failed] {
            meters.chunk(outcome, 1);
        }
        for priority in Priority::ALL {
            meters.waited(priority, 1);
            meters.heard(priority, -1);
        }
        // Nothing was heard, so there is no factor.
        meters.spoke(0, 5);
        meters.spoke(100, 5);
        let mut page = Page::default();
        page.histogram("factor", "", &meters.factor);
        assert!(page.finish().contains("factor_count 1\n"));
    }
}
