//! Numbers for whoever watches the server: what grows is counted here, how it is told stands in [`page`].
//!
//! Everything counts from the start of the process and never falls, which is what Prometheus expects of a counter: it
//! knows a restart by the number that begins anew. Labels have a fixed set of values, so that no request can make a
//! monitor keep one more series. The few lines that this takes are ours: a registry in a crate would know series by
//! name at run time, where here a field is one.

pub mod page;
pub mod process;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each value of a label.
#[derive(Debug)]
pub struct Counters {
    label: &'static str,
    counts: Vec<(&'static str, Counter)>,
}

impl Counters {
    /// All series are there from the beginning, at 0: a rate is then known with the first event.
    pub fn new(label: &'static str, values: &[&'static str]) -> Self {
        Self { label, counts: values.iter().map(|&value| (value, Counter::default())).collect() }
    }

    /// Counts one more. A value that was not named at the beginning is a mistake of this program, and is not counted.
    pub fn add(&self, value: &str) {
        let found = self.counts.iter().find(|(known, _)| *known == value);
        debug_assert!(found.is_some(), "{} has no value {value:?}", self.label);
        if let Some((_, counter)) = found {
            counter.add(1);
        }
    }
}

/// How often values were how large.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, rising; what is above the last one is counted too.
    bounds: &'static [f64],
    tally: Mutex<Tally>,
}

#[derive(Clone, Debug, PartialEq)]
struct Tally {
    /// One more than bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        debug_assert!(bounds.is_sorted());
        let tally = Tally { counts: vec![0; bounds.len() + 1], sum: 0.0 };
        Self { bounds, tally: Mutex::new(tally) }
    }

    /// Counts a value; what is no number is left out, since it would spoil the sum for ever.
    pub fn observe(&self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let place = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        // Both numbers are changed at once, so a panic elsewhere leaves nothing half-made.
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.counts[place] += 1;
        tally.sum += value;
    }

    fn read(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A histogram for each value of a label.
#[derive(Debug)]
pub struct Histograms {
    label: &'static str,
    all: Vec<(&'static str, Histogram)>,
}

impl Histograms {
    pub fn new(label: &'static str, values: &[&'static str], bounds: &'static [f64]) -> Self {
        Self { label, all: values.iter().map(|&value| (value, Histogram::new(bounds))).collect() }
    }

    /// Counts a value for one of the label's values, which must be one of those that were named at the beginning.
    pub fn observe(&self, label: &str, value: f64) {
        let found = self.all.iter().find(|(known, _)| *known == label);
        debug_assert!(found.is_some(), "{} has no value {label:?}", self.label);
        if let Some((_, histogram)) = found {
            histogram.observe(value);
        }
    }
}
