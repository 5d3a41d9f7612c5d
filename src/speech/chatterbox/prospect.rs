//! What a model would take on this machine, installed or not: memory, and time for a second of speech.

use std::sync::{Mutex, PoisonError};

use chatterbox::bench::machine::{self, Machine};
use chatterbox::variant::{ModelConfig, T3Config};
use chatterbox::weights;
use serde::Serialize;

use super::{Placement, installed};
use crate::models::Architecture;

/// What to expect of a model here.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prospect {
    /// While it is loaded, about.
    pub memory_bytes: u64,
    /// Whether it can be loaded at all within the budget, others making room.
    pub fits_memory: bool,
    /// Seconds of work for a second of speech; `None` where nothing is known: on a GPU before it has spoken.
    pub real_time_factor: Option<f64>,
    /// Where that figure is from.
    pub real_time_factor_is: Option<Basis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// It has spoken here.
    Measured,
    /// Its sizes over what the processor can do: about.
    Estimated,
}

/// What is known of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    pub placement: &'a Placement,
    /// Bytes that all models together may take.
    pub budget_bytes: u64,
    /// The processor's rates, where they are known.
    pub machine: Option<Machine>,
}

/// `None` for what does not speak. `spoken` is the real-time factor of its last speech here.
pub fn prospect(
    architecture: Architecture,
    here: &Surroundings<'_>,
    spoken: Option<f64>,
) -> Option<Prospect> {
    let config = installed::published(architecture)?;
    let work = config.work(here.placement.kept(&config.t3));
    let estimated = || {
        let machine = if here.placement.expects_gpu() { None } else { here.machine };
        machine.map(|machine| (machine.real_time_factor(&work), Basis::Estimated))
    };
    let known = spoken.map(|factor| (factor, Basis::Measured)).or_else(estimated);
    let memory_bytes = here.placement.memory_bytes(&config);
    Some(Prospect {
        memory_bytes,
        fits_memory: memory_bytes <= here.budget_bytes,
        real_time_factor: known.map(|(factor, _)| factor),
        real_time_factor_is: known.map(|(_, basis)| basis),
    })
}

/// What this processor can do. Measured once in a process, for half a second with all threads, and only where `is_idle`:
/// beside other work the figures would be wrong from then on.
pub fn machine(is_idle: bool) -> Option<Machine> {
    static MACHINE: Mutex<Option<Machine>> = Mutex::new(None);
    let mut known = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    if known.is_none() && is_idle {
        *known = Some(machine::measure());
    }
    *known
}

impl Placement {
    pub(super) fn expects_gpu(&self) -> bool {
        self.device.parse().is_ok_and(chatterbox::device::expects_gpu)
    }

    /// How T3's weights will be kept, as far as that is known before a device is started.
    fn kept(&self, t3: &T3Config) -> weights::Precision {
        match self.precision {
            _ if self.expects_gpu() => weights::Precision::F32,
            Some(precision) => super::precision(precision),
            None => weights::Precision::for_weights(t3.decoding_weights()),
        }
    }

    /// What a model of this configuration takes while it is loaded, about: its weights, and what it remembers of a voice to
    /// speak in blocks.
    pub(super) fn memory_bytes(&self, config: &ModelConfig) -> u64 {
        let remembered = if self.expects_gpu() { 0 } else { config.remembered_bytes() };
        (config.weight_bytes(self.kept(&config.t3)) + remembered) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Precision;

    fn on_the_cpu(precision: Option<Precision>) -> Placement {
        Placement { device: "cpu".to_owned(), precision, chunks_together: 1, falls_back: false }
    }

    const SPEAKING: [Architecture; 4] =
        [Architecture::Nano, Architecture::Turbo, Architecture::Original, Architecture::Multilingual];

    fn expected(architecture: Architecture, placement: &Placement, machine: Option<Machine>) -> Prospect {
        let here = Surroundings { placement, budget_bytes: 2 << 30, machine };
        prospect(architecture, &here, None).expect("it speaks")
    }

    const SLOW: Machine = Machine { read_gb_per_s: 20.0, product_gflop_per_s: 200.0 };

    #[test]
    fn larger_models_take_more_time_and_memory() {
        let prospects = SPEAKING.map(|model| expected(model, &on_the_cpu(None), Some(SLOW)));
        for pair in prospects.windows(2) {
            assert!(pair[0].real_time_factor <= pair[1].real_time_factor, "{pair:?}");
        }
        assert!(prospects[0].memory_bytes < prospects[1].memory_bytes);
        let here = Surroundings { placement: &on_the_cpu(None), budget_bytes: 0, machine: None };
        assert_eq!(prospect(Architecture::Watermark, &here, None), None);
        assert!(!prospect(Architecture::Nano, &here, None).unwrap().fits_memory);
    }

    #[test]
    fn exact_weights_take_more_of_everything() {
        let with = |precision| expected(Architecture::Turbo, &on_the_cpu(Some(precision)), Some(SLOW));
        let (exact, small) = (with(Precision::F32), with(Precision::Int8));
        assert!(exact.memory_bytes > small.memory_bytes);
        assert!(exact.real_time_factor > small.real_time_factor);
    }

    #[test]
    fn what_was_heard_counts_for_more_than_what_was_reckoned() {
        let placement = on_the_cpu(None);
        let here = Surroundings { placement: &placement, budget_bytes: 2 << 30, machine: Some(SLOW) };
        let heard = prospect(Architecture::Nano, &here, Some(0.5)).unwrap();
        assert_eq!((heard.real_time_factor, heard.real_time_factor_is), (Some(0.5), Some(Basis::Measured)));
        let unknown = prospect(Architecture::Nano, &Surroundings { machine: None, ..here }, None).unwrap();
        assert_eq!((unknown.real_time_factor, unknown.real_time_factor_is), (None, None));
    }
}
