//! Reads checkpoints strictly: a network asks for each tensor by its reference name and states the shape it expects.
//!
//! A missing or wrongly shaped tensor is an error that names tensor, expected and found; so is a tensor that nobody asked
//! for ([`Weights::finish`]), except where a network states which ones it leaves aside. f16 and bf16 are widened to f32.
//! Field paths are tensor names ([`Scope::at`]), so the module tree can be read off the checkpoint. The published files come
//! in two formats, safetensors and torch's pickles ([`torch`]); a network does not notice which.

pub mod formula;
pub mod precision;
mod stored;
pub(crate) mod torch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::Metadata;

pub use precision::Precision;
pub use torch::TorchError;

use stored::{Stored, Tensors};

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{name} is not a safetensors file: its header does not parse")]
    Format { name: String, source: serde_json::Error },
    #[error("{name} is not a torch file that can be used: {source}")]
    Torch { name: String, source: TorchError },
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
    /// What there is. Nothing for [`Source::Formula`], which has whatever is asked for.
    tensors: Tensors,
    source: Source,
    device: Device,
    /// Whether the matrices of linear layers are to be kept as f16.
    half: bool,
    asked: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
enum Source {
    /// Compiled into the binary.
    Bytes(&'static [u8]),
    /// Read tensor by tensor, so that a 2 GB file is never in memory twice.
    File { file: Mutex<File>, path: PathBuf },
    /// No file: values follow from names (see [`formula`]).
    Formula { key: String },
    /// No file: all values are zero.
    Zeros,
}

impl Weights {
    /// Opens a safetensors file.
    pub fn open(path: &Path, device: &Device) -> Result<Self, WeightError> {
        let io = |source| WeightError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let mut header = vec![0; u64::from_le_bytes(length).min(bytes) as usize];
        file.read_exact(&mut header).map_err(io)?;
        let tensors = parse_header(&file_name(path), &header, bytes)?;
        Ok(Self::of_file(path, file, tensors, device))
    }

    /// Opens a file that `torch.save` wrote: a state dict, or one that stands under `"model"` in a dictionary or a list of one,
    /// as training scripts keep it beside a step count. Nothing in it is executed.
    pub fn open_pickle(path: &Path, device: &Device) -> Result<Self, WeightError> {
        let io = |source| WeightError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let torch::Contents { tensors, .. } =
            torch::index(&file).map_err(|source| WeightError::Torch { name: file_name(path), source })?;
        let wrapped: Tensors = tensors
            .iter()
            .filter_map(|(name, stored)| Some((name.strip_prefix("model.")?.to_owned(), stored.clone())))
            .collect();
        Ok(Self::of_file(path, file, if wrapped.is_empty() { tensors } else { wrapped }, device))
    }

    /// Reads a checkpoint that is compiled into the program.
    pub fn embedded(name: &str, bytes: &'static [u8], device: &Device) -> Result<Self, WeightError> {
        let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
        let header = bytes.get(8..8 + length).unwrap_or_default();
        let tensors = parse_header(name, header, bytes.len() as u64)?;
        Ok(Self::new(name.to_owned(), tensors, Source::Bytes(bytes), device))
    }

    /// Weights made from their names alone, for speed measurements and full-size parity tests without a download.
    pub fn formula(key: &str, device: &Device) -> Self {
        Self::new(format!("{key} (formula)"), Tensors::new(), Source::Formula { key: key.to_owned() }, device)
    }

    /// A checkpoint of which only names and shapes are known, to hold a network to them. Every value is zero.
    pub fn listing(name: &str, shapes: BTreeMap<String, Vec<usize>>, device: &Device) -> Self {
        let tensors = shapes.into_iter().map(|(name, shape)| (name, Stored::placeless(shape))).collect();
        Self::new(format!("{name} (listing)"), tensors, Source::Zeros, device)
    }

    fn of_file(path: &Path, file: File, tensors: Tensors, device: &Device) -> Self {
        Self::new(
            file_name(path),
            tensors,
            Source::File { file: Mutex::new(file), path: path.to_owned() },
            device,
        )
    }

    fn new(name: String, tensors: Tensors, source: Source, device: &Device) -> Self {
        Self { name, tensors, source, device: device.clone(), half: false, asked: Mutex::default() }
    }

    /// The same, for a device on which linear layers may keep their matrices as f16.
    #[must_use]
    pub fn in_half(mut self, half: bool) -> Self {
        self.half = half;
        self
    }

    /// The top of the name tree.
    pub fn root(&self) -> Scope<'_> {
        Scope { weights: self, prefix: String::new(), decoding: None }
    }

    /// Ends the reading: whatever was not asked for and is not under one of `unused` (name prefixes; the caller says why
    /// beside each) is an error.
    pub fn finish(self, unused: &[&str]) -> Result<(), WeightError> {
        let asked = self.asked.into_inner().unwrap_or_default();
        let names: Vec<String> = self
            .tensors
            .into_keys()
            .filter(|name| !asked.contains(name) && !unused.iter().any(|prefix| name.starts_with(prefix)))
            .collect();
        if names.is_empty() { Ok(()) } else { Err(WeightError::Unknown { file: self.name, names }) }
    }

    fn note(&self, name: String) {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name);
    }

    fn values(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, WeightError> {
        self.note(name.to_owned());
        match &self.source {
            Source::Formula { key } => Ok(formula::values(key, name, expected)),
            Source::Zeros => {
                self.stored(name, expected)?;
                Ok(vec![0.0; expected.iter().product()])
            }
            Source::Bytes(bytes) => {
                let stored = self.stored(name, expected)?;
                let raw = bytes.get(stored.start as usize..).and_then(|rest| rest.get(..stored.length));
                stored.floats(raw.unwrap_or_default()).ok_or_else(|| self.no_floats(name, stored))
            }
            Source::File { file, path } => self.read(name, self.stored(name, expected)?, file, path),
        }
    }

    /// Hands over a matrix of `rows` × `columns` some rows at a time, so that a large one is never in memory as f32.
    fn each_rows(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<(), WeightError> {
        const VALUES_AT_ONCE: usize = 1 << 20;
        if let Source::File { file, path } = &self.source {
            let whole = self.stored(name, &[rows, columns])?;
            let at_once = (VALUES_AT_ONCE / columns).max(1);
            let parts = (0..rows).step_by(at_once).map(|first| whole.rows(first..rows.min(first + at_once)));
            if let Some(parts) = parts.collect::<Option<Vec<_>>>() {
                self.note(name.to_owned());
                for part in parts {
                    take(&self.read(name, &part, file, path)?);
                }
                return Ok(());
            }
        }
        take(&self.values(name, &[rows, columns])?);
        Ok(())
    }

    fn read(
        &self,
        name: &str,
        stored: &Stored,
        file: &Mutex<File>,
        path: &Path,
    ) -> Result<Vec<f32>, WeightError> {
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let values = stored
            .read_floats(&mut *file)
            .map_err(|source| WeightError::Read { path: path.to_owned(), source })?;
        values.ok_or_else(|| self.no_floats(name, stored))
    }

    fn no_floats(&self, name: &str, stored: &Stored) -> WeightError {
        WeightError::Type {
            file: self.name.clone(),
            tensor: name.to_owned(),
            found: format!("{:?}", stored.dtype),
        }
    }

    /// The place of a tensor that is there and has this shape.
    fn stored(&self, name: &str, expected: &[usize]) -> Result<&Stored, WeightError> {
        let stored = self.tensors.get(name).ok_or_else(|| WeightError::Missing {
            file: self.name.clone(),
            tensor: name.to_owned(),
            expected: expected.to_vec(),
        })?;
        if stored.shape != expected {
            return Err(WeightError::Shape {
                file: self.name.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                found: stored.shape.clone(),
            });
        }
        Ok(stored)
    }
}

/// A path's last part, for messages.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// A safetensors file is the header's length (little-endian u64), the header (JSON), the tensors. `bytes` is the length of
/// the whole file.
fn parse_header(name: &str, header: &[u8], bytes: u64) -> Result<Tensors, WeightError> {
    let metadata: Metadata = serde_json::from_slice(header)
        .map_err(|source| WeightError::Format { name: name.to_owned(), source })?;
    let start = 8 + header.len();
    let expected = (start + metadata.data_len()) as u64;
    if bytes == expected {
        Ok(stored::of_safetensors(&metadata, start))
    } else {
        Err(WeightError::Truncated { name: name.to_owned(), expected, found: bytes })
    }
}

/// A branch of the name tree: `scope.at("attn").tensor("weight", …)` reads `….attn.weight`.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    decoding: Option<Precision>,
}

impl Scope<'_> {
    /// The branch below `name`, which may be several levels (`"ff.net.0"`).
    #[must_use]
    pub fn at(&self, name: &str) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }

    /// The `index`-th entry of a list of modules.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.at(&index.to_string())
    }

    pub fn device(&self) -> &Device {
        &self.weights.device
    }

    /// The same branch, whose layers decode a row or a few at a time: on the CPU they keep their weights rounded to
    /// `precision`, in the order in which such products read them.
    #[must_use]
    pub fn decoding(&self, precision: Precision) -> Self {
        Self { decoding: Some(precision), ..self.clone() }
    }

    /// How this branch's layers keep their weights, if they decode.
    pub fn precision(&self) -> Option<Precision> {
        self.decoding
    }

    /// Whether linear layers keep their matrices as f16 here.
    pub fn is_half(&self) -> bool {
        self.weights.half
    }

    /// Whether the checkpoint has this tensor; always false for weights made by [`formula`].
    pub fn has(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(&format!("{}{name}", self.prefix))
    }

    /// The shape of a tensor, for a network of whatever size a checkpoint has; `None` where the checkpoint lacks it or was
    /// made by [`formula`].
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.tensors.get(&format!("{}{name}", self.prefix)).map(|stored| stored.shape.as_slice())
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

    /// The same of a matrix, `[rows, columns]`, some rows at a time: for what is kept in another form.
    pub fn each_rows(
        &self,
        name: &str,
        shape: [usize; 2],
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<(), WeightError> {
        self.weights.each_rows(&format!("{}{name}", self.prefix), shape, take)
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
