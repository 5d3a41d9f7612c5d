//! Who speaks in a reference clip, as vectors: the voice encoder's embedding conditions T3, CAMPPlus' x-vector S3Gen.

pub mod campplus;
mod lstm;
pub mod voice_encoder;
