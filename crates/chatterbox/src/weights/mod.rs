//! Reads checkpoints strictly: a network asks for each tensor by its reference name and states the shape it expects.
//!
//! A missing or wrongly shaped tensor is an error that names tensor, expected and found; so is a tensor that nobody asked
//! for ([`Weights::finish`]), except where a network states which ones it leaves aside. f16 and bf16 are widened to f32.
//! Field paths are tensor names ([`Scope::at`]), so the module tree can be read off the checkpoint.

pub mod formula;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, Metadata};

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{name} is not a safetensors file: its header does not parse")]
    Format { name: String, source: serde_json::Error },
    #[error("{name} is incomplete: {found} bytes, its header promises {expected}")]
    Truncated { name: String, expected: u64, found: u64 },
    #[error("{file}: tensor {tensor} is missing (expected shape {expected:?})")]
    Missing { file: String, tensor: String, expected: Vec<usize> },
    #[error("{file}: tensor {tensor} has shape {found:?}, expected {expected:?}")]
    Shape { file: String, tensor: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("{file}: tensor {tensor} holds {found}, expected f32, f16 or bf16")]
    Type { file: String, tensor: String, found: String },
    #[error("{file}: {} unknown tensor(s): {}", names.len(), listed(names))]
    Unknown { file: String, names: Vec<String> },
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown}, …") } else { shown }
}

/// One checkpoint file, opened; tensors are read when asked for, straight to `device`.
#[derive(Debug)]
pub struct Weights {
    /// For messages.
    name: String,
    source: Source,
    device: Device,
    asked: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
enum Source {
    /// Compiled into the binary.
    Bytes { bytes: &'static [u8], start: usize, metadata: Metadata },
    /// Read tensor by tensor, so that a 2 GB file is never in memory twice.
    File { file: Mutex<File>, path: PathBuf, start: usize, metadata: Metadata },
    /// No file: any tensor, its values from its name (see [`formula`]).
    Formula { key: String },
}

impl Weights {
    /// Opens a safetensors file.
    pub fn open(path: &Path, device: &Device) -> Result<Self, WeightError> {
        let io = |source| WeightError::Read { path: path.to_owned(), source };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let mut header = vec![0; u64::from_le_bytes(length).min(bytes) as usize];
        file.read_exact(&mut header).map_err(io)?;
        let (start, metadata) = parse_header(&name, &header, bytes)?;
        let source = Source::File { file: Mutex::new(file), path: path.to_owned(), start, metadata };
        Ok(Self { name, source, device: device.clone(), asked: Mutex::default() })
    }

    /// Reads a checkpoint that is compiled into the program.
    pub fn embedded(name: &str, bytes: &'static [u8], device: &Device) -> Result<Self, WeightError> {
        let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
        let header = bytes.get(8..8 + length).unwrap_or_default();
        let (start, metadata) = parse_header(name, header, bytes.len() as u64)?;
        let source = Source::Bytes { bytes, start, metadata };
        Ok(Self { name: name.to_owned(), source, device: device.clone(), asked: Mutex::default() })
    }

    /// Weights made from their names alone, for speed measurements and full-size parity tests without a download.
    pub fn formula(key: &str, device: &Device) -> Self {
        Self {
            name: format!("{key} (formula)"),
            source: Source::Formula { key: key.to_owned() },
            device: device.clone(),
            asked: Mutex::default(),
        }
    }

    /// The top of the name tree.
    pub fn root(&self) -> Scope<'_> {
        Scope { weights: self, prefix: String::new() }
    }

    /// Ends the reading: whatever was not asked for and is not under one of `unused` (name prefixes; the caller says why
    /// beside each) is an error.
    pub fn finish(self, unused: &[&str]) -> Result<(), WeightError> {
        let (Source::Bytes { metadata, .. } | Source::File { metadata, .. }) = &self.source else {
            return Ok(());
        };
        let asked = self.asked.into_inner().unwrap_or_default();
        let mut names: Vec<String> = metadata
            .tensors()
            .into_keys()
            .filter(|name| !asked.contains(name) && !unused.iter().any(|prefix| name.starts_with(prefix)))
            .collect();
        names.sort_unstable();
        if names.is_empty() { Ok(()) } else { Err(WeightError::Unknown { file: self.name, names }) }
    }

    fn shape_of(&self, name: &str) -> Option<Vec<usize>> {
        match &self.source {
            Source::Bytes { metadata, .. } | Source::File { metadata, .. } => {
                metadata.info(name).map(|info| info.shape.clone())
            }
            Source::Formula { .. } => None,
        }
    }

    fn note(&self, name: String) {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name);
    }

    fn values(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.note(name.to_owned());
        let (metadata, start) = match &self.source {
            Source::Formula { key } => return Ok(formula::values(key, name, expected)),
            Source::Bytes { metadata, start, .. } | Source::File { metadata, start, .. } => {
                (metadata, *start)
            }
        };
        let info = metadata.info(name).ok_or_else(|| WeightError::Missing {
            file: self.name.clone(),
            tensor: name.to_owned(),
            expected: expected.to_vec(),
        })?;
        if info.shape != expected {
            return Err(WeightError::Shape {
                file: self.name.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                found: info.shape.clone(),
            });
        }
        let (from, to) = info.data_offsets;
        let widened = match &self.source {
            Source::Bytes { bytes, .. } => {
                bytes.get(start + from..start + to).and_then(|raw| widen(raw, info.dtype))
            }
            Source::File { file, path, .. } => {
                let mut raw = vec![0; to - from];
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.seek(SeekFrom::Start((start + from) as u64))
                    .and_then(|_| file.read_exact(&mut raw))
                    .map_err(|source| WeightError::Read { path: path.clone(), source })?;
                widen(&raw, info.dtype)
            }
            Source::Formula { .. } => None,
        };
        widened.ok_or_else(|| WeightError::Type {
            file: self.name.clone(),
            tensor: name.to_owned(),
            found: format!("{:?}", info.dtype),
        })
    }
}

/// A safetensors file is the header's length (little-endian u64), the header (JSON), the tensors. Returns where the tensors
/// start and what they are; `bytes` is the length of the whole file.
fn parse_header(name: &str, header: &[u8], bytes: u64) -> Result<(usize, Metadata), WeightError> {
    let metadata: Metadata = serde_json::from_slice(header)
        .map_err(|source| WeightError::Format { name: name.to_owned(), source })?;
    let start = 8 + header.len();
    let expected = (start + metadata.data_len()) as u64;
    if bytes == expected {
        Ok((start, metadata))
    } else {
        Err(WeightError::Truncated { name: name.to_owned(), expected, found: bytes })
    }
}

/// Little-endian floats of any width as f32; `None` for other types.
fn widen(raw: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    let halves = || raw.as_chunks::<2>().0.iter();
    match dtype {
        Dtype::F32 => Some(raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::F16 => Some(halves().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()),
        Dtype::BF16 => Some(halves().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()),
        _ => None,
    }
}

/// A branch of the name tree: `scope.at("attn").tensor("weight", …)` reads `….attn.weight`.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl Scope<'_> {
    /// The branch below `name`, which may be several levels (`"ff.net.0"`).
    #[must_use]
    pub fn at(&self, name: &str) -> Self {
        Self { weights: self.weights, prefix: format!("{}{name}.", self.prefix) }
    }

    /// The `index`-th entry of a list of modules.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.at(&index.to_string())
    }

    pub fn device(&self) -> &Device {
        &self.weights.device
    }

    /// Whether the checkpoint has this tensor; always false for weights made by [`formula`].
    pub fn has(&self, name: &str) -> bool {
        self.weights.shape_of(&format!("{}{name}", self.prefix)).is_some()
    }

    /// Counts a tensor as known without reading it: for what a checkpoint stores beside each layer and inference never
    /// needs.
    pub fn leave_aside(&self, name: &str) {
        self.weights.note(format!("{}{name}", self.prefix));
    }

    /// The values of a tensor, row-major, on the host: for what is folded or transposed before it becomes a tensor.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.weights.values(&format!("{}{name}", self.prefix), shape)
    }

    /// A tensor exactly as stored.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, WeightError> {
        Ok(self.upload(self.values(name, &shape)?, shape))
    }

    /// Host values as a tensor on the checkpoint's device.
    pub fn upload<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device())
    }
}
