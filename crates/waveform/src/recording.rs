//! A sound in memory with the rate that it was taken at.

use std::time::Duration;

use crate::resample::resample;

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

    /// The same sound at another rate.
    ///
    /// # Panics
    /// If a rate is 0.
    #[must_use]
    pub fn resampled(self, sample_rate: u32) -> Self {
        if self.sample_rate == sample_rate {
            return self;
        }
        Self { samples: resample(&self.samples, self.sample_rate, sample_rate), sample_rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_keeps_the_duration() {
        let recording = Recording { samples: vec![0.1; 44_100], sample_rate: 44_100 };
        assert_eq!(recording.duration(), Duration::from_secs(1));
        assert_eq!(recording.clone().resampled(44_100), recording);
        let other = recording.resampled(24_000);
        assert_eq!(
            (other.samples.len(), other.sample_rate, other.duration()),
            (24_000, 24_000, Duration::from_secs(1))
        );
    }
}
