//! The Chatterbox speech networks in burn: text to speech tokens (T3), tokens to mel (S3Gen), mel to sound (HiFT).
//!
//! One architecture for every checkpoint, sizes from a [`variant`]; the same code on the CPU and on any GPU, because a
//! burn tensor takes its backend from its device at run time. Weights are read once and never change; whatever decoding
//! changes is a state handed in as `&mut`, and randomness is an argument ([`noise`]), so a run of the reference can be
//! replayed number by number.

pub mod bench;
pub mod conversion;
pub mod device;
pub mod nn;
pub mod noise;
pub mod pico;
pub mod pipeline;
pub mod reference_clip;
pub mod s3gen;
pub mod s3tokenizer;
pub mod speaker;
pub mod t3;
pub mod text;
pub mod variant;
pub mod voice;
pub mod watermark;
pub mod weights;
