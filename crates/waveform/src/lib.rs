//! Sound without neural nets: decoding, resampling, the features that networks hear, levels and loudness, the quality of a
//! clip, time stretch, fades and encoding.
//!
//! Everything here works on mono `f32` samples in −1..1 and knows neither tensors nor threads, so that it builds in
//! seconds, is tested with measured decibels, and serves the networks and the server alike.

pub mod decode;
mod dot;
pub mod encode;
pub mod fade;
pub mod fbank;
pub mod levels;
pub mod loudness;
pub mod mel;
pub mod quality;
mod recording;
pub mod resample;
pub mod silence;
pub mod stft;
pub mod stretch;
pub mod trim;
pub mod wav;

pub use recording::Recording;

#[cfg(test)]
mod test_fixtures;
#[cfg(test)]
mod test_signals;
