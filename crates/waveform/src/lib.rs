//! Sound without neural nets: reading, resampling, time stretch, levels, fades and encoding.
//!
//! Everything here works on mono `f32` samples in −1..1 and knows neither tensors nor threads, so that it builds in
//! seconds, is tested with measured decibels, and serves the networks and the server alike.

mod dot;
pub mod encode;
pub mod fade;
pub mod levels;
pub mod resample;
pub mod stretch;
pub mod wav;

#[cfg(test)]
mod test_signals;
