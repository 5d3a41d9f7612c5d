//! What the reference computed, read from the fixtures of the networks that these features feed.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

/// One file of named tensors.
pub(crate) struct Fixture {
    bytes: Vec<u8>,
}

impl Fixture {
    /// Opens `<fixtures>/<name>.safetensors` where the crate `chatterbox` keeps them, or where `DECLAIM_FIXTURES` says.
    pub(crate) fn open(name: &str) -> Self {
        let folder = std::env::var_os("DECLAIM_FIXTURES").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../chatterbox/tests/fixtures"),
            PathBuf::from,
        );
        let path = folder.join(format!("{name}.safetensors"));
        Self { bytes: std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) }
    }

    fn numbers(&self, tensor: &str) -> (Vec<usize>, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(tensor).unwrap();
        let data = view.data();
        let eights = || data.chunks_exact(8).map(|bytes| <[u8; 8]>::try_from(bytes).unwrap());
        let fours = || data.chunks_exact(4).map(|bytes| <[u8; 4]>::try_from(bytes).unwrap());
        let values = match view.dtype() {
            Dtype::F32 => fours().map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
            Dtype::F64 => eights().map(f64::from_le_bytes).collect(),
            Dtype::I64 => eights().map(|bytes| i64::from_le_bytes(bytes) as f64).collect(),
            other => panic!("{tensor} holds {other:?}"),
        };
        (view.shape().to_vec(), values)
    }

    pub(crate) fn shape(&self, tensor: &str) -> Vec<usize> {
        self.numbers(tensor).0
    }

    /// Row-major values.
    pub(crate) fn floats(&self, tensor: &str) -> Vec<f32> {
        self.doubles(tensor).into_iter().map(|value| value as f32).collect()
    }

    pub(crate) fn doubles(&self, tensor: &str) -> Vec<f64> {
        self.numbers(tensor).1
    }
}

/// The largest absolute difference; infinite where either side is not a number or the lengths differ.
pub(crate) fn max_abs_error(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() != expected.len() {
        return f32::INFINITY;
    }
    found.iter().zip(expected).fold(0.0, |largest, (a, b)| {
        let error = (a - b).abs();
        if error.is_nan() { f32::INFINITY } else { largest.max(error) }
    })
}
