//! What the processor could do at best, measured with the very kernels that the networks use: how fast it reads weights, and
//! how fast it multiplies. A stage that takes its bytes or its operations over these figures cannot become quicker by
//! better code, only by less work.

use std::time::Instant;

use serde::Serialize;

use crate::nn::kernels::compact::Compact;
use crate::nn::kernels::linear;
use crate::variant::Work;
use crate::weights::Precision;

/// Rates with all threads.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    /// 10⁹ bytes of weights, read for a product with one row.
    pub read_gb_per_s: f64,
    /// 10⁹ f32 operations of a matrix product, a multiplication and an addition counting as two.
    pub product_gflop_per_s: f64,
}

impl Machine {
    /// Seconds for a second of speech, about. The shares are those that Nano reaches (docs/PERFORMANCE.md): the networks do
    /// more than read weights and multiply.
    pub fn real_time_factor(&self, work: &Work) -> f64 {
        const READ: f64 = 0.8;
        const PRODUCT: f64 = 0.55;
        let reading = work.read_bytes / (READ * self.read_gb_per_s);
        let multiplying = work.operations / (PRODUCT * self.product_gflop_per_s);
        (reading + multiplying) / 1e9
    }
}

/// Measures the CPU; takes half a second.
pub fn measure() -> Machine {
    Machine { read_gb_per_s: read_rate(), product_gflop_per_s: product_rate() }
}

/// The best of a few goes, in seconds: everything else on a machine only adds time.
fn best_of(goes: usize, mut work: impl FnMut()) -> f64 {
    let go = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    (0..goes).map(go).fold(f64::INFINITY, f64::min)
}

fn read_rate() -> f64 {
    // 96 MB as f32: beyond what a core's own caches hold.
    const INPUTS: usize = 1024;
    const OUTPUTS: usize = 24 * 1024;
    let weights = Compact::of_rows(&vec![0.5; INPUTS * OUTPUTS], INPUTS, Precision::F32);
    let x = vec![1.0; INPUTS];
    let seconds = best_of(8, || {
        std::hint::black_box(rayon::scope(|_| weights.multiply(&x, None)));
    });
    (size_of::<f32>() * INPUTS * OUTPUTS) as f64 / seconds / 1e9
}

fn product_rate() -> f64 {
    const SIZE: usize = 1024;
    let values = vec![0.5; SIZE * SIZE];
    let seconds = best_of(8, || {
        std::hint::black_box(linear::apply(&values, &values, None, SIZE, SIZE));
    });
    2.0 * (SIZE as f64).powi(3) / seconds / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_reads_and_multiplies_at_rates_that_processors_have() {
        let Machine { read_gb_per_s, product_gflop_per_s } = measure();
        assert!((0.1..10_000.0).contains(&read_gb_per_s), "{read_gb_per_s}");
        assert!((0.1..1_000_000.0).contains(&product_gflop_per_s), "{product_gflop_per_s}");
    }
}
