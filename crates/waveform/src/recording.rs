//! A sound in memory with the rate that it was taken at.

use std::time::Duration;

/// A mono recording in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Mono, −1..1.
    pub samples: Vec<f32>,
    /// Hz.
    pub sample_rate: u32,
}

impl Recording {
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.sample_rate.max(1)))
    }
}
