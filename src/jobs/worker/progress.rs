//! How far a job is.

use std::sync::atomic::{AtomicU32, Ordering};

/// Shared between the model's thread, which raises it at every token, and the task that writes it down; never falls.
#[derive(Debug)]
pub(super) struct Progress {
    percent: AtomicU32,
    /// Counted from 1.
    chunk: AtomicU32,
}

impl Progress {
    pub(super) fn starting_at(percent: u8) -> Self {
        Self { percent: AtomicU32::new(percent.into()), chunk: AtomicU32::new(0) }
    }

    pub(super) fn raise(&self, percent: f32) {
        // Rounds down, so nothing is shown before it is done.
        self.percent.fetch_max(percent.clamp(0.0, 99.0) as u32, Ordering::Relaxed);
    }

    /// The chunk in hand, counted from 1.
    pub(super) fn begin(&self, chunk: u32) {
        self.chunk.store(chunk, Ordering::Relaxed);
    }

    /// Percent, and the chunk in hand counted from 1; 0 before the first.
    pub(super) fn read(&self) -> (u8, u32) {
        (self.percent.load(Ordering::Relaxed) as u8, self.chunk.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_falls_and_leaves_100_to_the_finished_row() {
        let progress = Progress::starting_at(40);
        progress.raise(10.0);
        assert_eq!(progress.read().0, 40);
        progress.raise(54.9);
        assert_eq!(progress.read().0, 54);
        progress.raise(100.0);
        assert_eq!(progress.read().0, 99);
    }
}
