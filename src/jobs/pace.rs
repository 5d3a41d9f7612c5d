//! How fast this machine speaks, learned from what it spoke last, and what that means for a job that waits.
//!
//! The measure is milliseconds for a character of text, for each model: chunks differ in length, and their texts are known
//! before they are spoken. Older chunks count less and less, so a machine that gets busy is believed after some chunks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Job, JobStatus, Jobs, QueueState, Shared, StoreError};

/// What a chunk counts after the next one; about twenty count.
const FADING: f64 = 0.95;

/// Chunks looked at when the server starts.
const FROM_HISTORY: u32 = 100;

/// Work that was done: a chunk with all that goes with it, or the joining of a job's chunks, which adds no characters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lap {
    pub(super) model: String,
    pub(super) characters: u64,
    pub(super) took_ms: u64,
    /// Of the sound that came of it.
    pub(super) audio_ms: u64,
}

/// Work that is left: characters by model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Left {
    /// `None` means the default model, which any known speed stands for.
    pub(super) model: Option<String>,
    pub(super) characters: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Speed {
    characters: f64,
    took_ms: f64,
    audio_ms: f64,
}

/// The speeds of this machine's models.
#[derive(Debug, Default)]
pub(super) struct Pace {
    models: Mutex<HashMap<String, Speed>>,
}

impl Pace {
    pub(super) fn learn(&self, lap: &Lap) {
        let mut models = self.models();
        let speed = models.entry(lap.model.clone()).or_default();
        speed.characters = speed.characters * FADING + lap.characters as f64;
        speed.took_ms = speed.took_ms * FADING + lap.took_ms as f64;
        speed.audio_ms = speed.audio_ms * FADING + lap.audio_ms as f64;
    }

    /// How long this work takes; `None` while a model of it was never heard.
    fn time_for(&self, work: &[Left]) -> Option<Duration> {
        let models = self.models();
        let mut total = 0.0;
        for left in work {
            let speed = match &left.model {
                Some(name) => models.get(name)?,
                None => models.values().next()?,
            };
            total += left.characters * speed.took_ms / speed.characters.max(1.0);
        }
        Some(Duration::from_secs_f64(total.clamp(0.0, 1e12) / 1000.0))
    }

    /// Seconds for a second of speech, of the models that were heard.
    fn real_time_factors(&self) -> HashMap<String, f64> {
        let models = self.models();
        let heard = models.iter().filter(|(_, speed)| speed.audio_ms > 0.0);
        heard.map(|(name, speed)| (name.clone(), speed.took_ms / speed.audio_ms)).collect()
    }

    fn models(&self) -> MutexGuard<'_, HashMap<String, Speed>> {
        // A map of sums has no state that a panic could leave half-made.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    pub(super) async fn learn_from_history(&self) -> Result<(), StoreError> {
        for lap in self.store.last_laps(FROM_HISTORY).await?.iter().rev() {
            self.pace.learn(lap);
        }
        Ok(())
    }

    /// Until the job in hand ends and so makes room in the queue.
    pub(super) async fn until_room(&self) -> Option<Duration> {
        let left = self.store.left_running().await.ok()?;
        self.pace.time_for(&left)
    }
}

impl Jobs {
    /// Seconds of work for a second of speech as this machine spoke lately, by model; those it never spoke with are missing.
    pub fn real_time_factors(&self) -> HashMap<String, f64> {
        self.shared.pace.real_time_factors()
    }

    /// When a job that has not ended will have, as this machine spoke lately; `None` where that is not known. What is more
    /// urgent and comes later, and the loading of models, come on top.
    pub async fn time_left(&self, job: &Job) -> Result<Option<Duration>, StoreError> {
        let work = match job.status {
            // Nobody knows until when.
            JobStatus::Queued if self.queue_state() == QueueState::Paused => return Ok(None),
            JobStatus::Running => self.shared.store.left_of(job.id).await?,
            JobStatus::Queued => self.shared.store.left_before_end_of(job.id).await?,
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => return Ok(None),
        };
        Ok(self.shared.pace.time_for(&work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(model: &str, characters: u64, took_ms: u64) -> Lap {
        Lap { model: model.to_owned(), characters, took_ms, audio_ms: 10 * characters }
    }

    fn left(model: Option<&str>, characters: f64) -> Left {
        Left { model: model.map(str::to_owned), characters }
    }

    #[test]
    fn time_is_the_sum_over_the_models_and_unknown_where_one_is() {
        let pace = Pace::default();
        assert_eq!(pace.time_for(&[left(None, 1.0)]), None);
        pace.learn(&lap("slow", 100, 1000));
        pace.learn(&lap("quick", 100, 100));
        let work = [left(Some("slow"), 50.0), left(Some("quick"), 500.0)];
        assert_eq!(pace.time_for(&work), Some(Duration::from_secs(1)));
        assert_eq!(pace.time_for(&[left(Some("new"), 1.0)]), None);
        assert_eq!(pace.real_time_factors(), [("slow".to_owned(), 1.0), ("quick".to_owned(), 0.1)].into());
        assert_eq!(pace.time_for(&[]), Some(Duration::ZERO));
    }

    #[test]
    fn a_machine_that_gets_slower_is_believed_after_some_chunks() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.learn(&lap("m", 100, 100));
        }
        for _ in 0..60 {
            pace.learn(&lap("m", 100, 300));
        }
        let time = pace.time_for(&[left(Some("m"), 1000.0)]).unwrap().as_secs_f64();
        assert!((2.85..3.0).contains(&time), "{time}");
    }
}
