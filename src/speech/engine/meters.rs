//! What the models' thread counts for whoever watches the server.

use super::{Engine, ModelState};
use crate::metrics::page::Page;
use crate::metrics::{Counter, Counters, Histogram};

/// Seconds: from the embedded model to gigabytes from a slow disk.
const LOADS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];

#[derive(Debug)]
pub(super) struct Meters {
    pub(super) loads: Counters,
    pub(super) load_time: Histogram,
    pub(super) unloads: Counter,
    pub(super) crashes: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            loads: Counters::new("outcome", &["loaded", "failed"]),
            load_time: Histogram::new(LOADS),
            unloads: Counter::default(),
            crashes: Counter::default(),
        }
    }
}

impl Engine {
    /// Tells what the models' thread counts, and which models are in memory.
    pub fn tell(&self, page: &mut Page) {
        let meters = &self.thread.meters;
        page.counters("declaim_model_loads_total", "Tries to load a model.", &meters.loads);
        page.histogram("declaim_model_load_seconds", "Time that loading a model took.", &meters.load_time);
        page.counter("declaim_model_unloads_total", "Models that were taken out of memory.", &meters.unloads);
        page.counter("declaim_model_crashes_total", "Times that a model panicked.", &meters.crashes);
        let states = self.states().borrow().clone();
        let resident = states.iter().filter_map(|(name, status)| match &status.state {
            ModelState::Ready { loaded, .. } => Some(([("model", name)], loaded.resident_bytes as f64)),
            ModelState::Unloaded { .. } | ModelState::Loading | ModelState::Failed { .. } => None,
        });
        page.gauges("declaim_model_memory_bytes", "Memory of the models that are loaded.", resident);
    }
}
