//! Reads what `torch.save` writes (`.pt`, `.pth.tar`): a zip of one pickle, which names tensors, and their values.
//!
//! A pickle is a program and PyTorch's own reader has been made to run foreign code with it. Here nothing is executed: a small
//! machine ([`pickle`]) knows the dozen instructions and the few names that dictionaries of tensors need, and everything else
//! is an error that says what was asked for. Sizes are checked against the file before anything is reserved, so that a small
//! file cannot ask for much memory. Values are read later, tensor by tensor.

mod pickle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Seek, SeekFrom};

use safetensors::Dtype;
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

pub(crate) use super::stored::Stored;
use super::stored::Tensors;
use pickle::{Pickle, TensorView, Value};

/// Longest pickle that is looked at, in bytes; S3Gen's, with 2490 tensors, has about 400 000.
const LONGEST_PICKLE: u64 = 2 << 20;
/// Dictionaries inside dictionaries.
const DEEPEST: usize = 8;

/// Why a torch file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("it is not a zip archive, as torch.save has written since version 1.6: {0}")]
    Zip(#[from] ZipError),
    #[error("its archive has no {0}")]
    Entry(String),
    #[error("{0} is compressed or encrypted in its archive, or larger than the file; torch stores plainly")]
    Storage(String),
    #[error("its numbers are big-endian")]
    ByteOrder,
    #[error("its pickle asks for {module}.{name}, which no dictionary of tensors needs; it was not run")]
    Global { module: String, name: String },
    #[error(
        "its pickle has instruction {opcode:#04x} at byte {position}, which no dictionary of tensors needs"
    )]
    Opcode { opcode: u8, position: usize },
    #[error("its pickle is broken at byte {position}: {problem}")]
    Pickle { position: usize, problem: &'static str },
    #[error("its pickle is longer than {LONGEST_PICKLE} bytes")]
    Long,
    #[error("its dictionaries are nested deeper than {DEEPEST}")]
    Deep,
    #[error("its tensor {tensor} has an impossible shape or lies outside its storage")]
    Shape { tensor: String },
    #[error("it names {0} twice")]
    Twice(String),
}

/// What a file holds, under names such as `t3.speaker_emb`: keys of nested dictionaries joined by dots. A list of one thing
/// counts as that thing; text and `None` are left out.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) tensors: Tensors,
    pub(crate) numbers: BTreeMap<String, f64>,
}

/// Reads the pickle of `file` and finds every tensor's place.
pub(crate) fn index(mut file: impl Read + Seek) -> Result<Contents, TorchError> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut archive = Archive::open(file, length)?;
    let bytes = archive.pickle()?;
    let (root, pickle) = Pickle::run(&bytes)?;
    let mut collector =
        Collector { pickle: &pickle, archive, seen: HashSet::new(), contents: Contents::default() };
    collector.collect(String::new(), &root, 0)?;
    Ok(collector.contents)
}

struct Collector<'a, R> {
    pickle: &'a Pickle,
    archive: Archive<R>,
    /// Dictionaries visited: one that contains itself, or the same one many times over, would never end.
    seen: HashSet<usize>,
    contents: Contents,
}

impl<R: Read + Seek> Collector<'_, R> {
    fn collect(&mut self, name: String, value: &Value, depth: usize) -> Result<(), TorchError> {
        if depth > DEEPEST {
            return Err(TorchError::Deep);
        }
        let pickle = self.pickle;
        let new = match value {
            Value::None | Value::Text(_) | Value::Global(_) | Value::Storage(_) => true,
            Value::Number(number) => self.contents.numbers.insert(name.clone(), *number).is_none(),
            Value::Tensor(view) => {
                let stored = self.archive.place(&name, view)?;
                self.contents.tensors.insert(name.clone(), stored).is_none()
            }
            Value::Sequence(id) => {
                if let [only] = pickle.sequence(*id) {
                    self.collect(name.clone(), only, depth + 1)?;
                }
                true
            }
            Value::Dictionary(id) => {
                let new = self.seen.insert(*id);
                let entries = if new { pickle.dictionary(*id) } else { &[] };
                for (key, value) in entries {
                    let name = if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
                    self.collect(name, value, depth + 1)?;
                }
                new
            }
        };
        if new { Ok(()) } else { Err(TorchError::Twice(name)) }
    }
}

/// The zip around pickle and storages, `<root>/data.pkl` and `<root>/data/<key>`.
struct Archive<R> {
    zip: ZipArchive<R>,
    /// Bytes of the whole file.
    length: u64,
    /// `<root>/`, or nothing.
    root: String,
}

/// An entry's bytes, in the file.
struct Extent {
    start: u64,
    length: u64,
}

impl<R: Read + Seek> Archive<R> {
    fn open(file: R, length: u64) -> Result<Self, TorchError> {
        // Not searched for: torch writes records that are not needed at this size, and the search takes their length for that
        // of a first entry with a name of 30 letters.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, file)?;
        let mut root = None;
        for name in zip.file_names() {
            if let Some(before) = name?.strip_suffix("data.pkl")
                && (before.is_empty() || before.ends_with('/'))
            {
                root = Some(before.to_owned());
                break;
            }
        }
        let root = root.ok_or_else(|| TorchError::Entry("data.pkl".to_owned()))?;
        Ok(Self { zip, length, root })
    }

    /// Where an entry's bytes are: inside the file, and as they are.
    fn extent(&mut self, entry: &str) -> Result<Extent, TorchError> {
        let name = format!("{}{entry}", self.root);
        let index = self.zip.index_for_name(&name).ok_or_else(|| TorchError::Entry(name.clone()))?;
        let entry = self.zip.by_index_raw(index)?;
        let plain = entry.compression() == zip::CompressionMethod::Stored && !entry.encrypted();
        let (start, length) = (entry.data_start().unwrap_or(u64::MAX), entry.size());
        let inside = start.checked_add(length).is_some_and(|end| end <= self.length);
        if plain && inside { Ok(Extent { start, length }) } else { Err(TorchError::Storage(name)) }
    }

    fn bytes(&mut self, entry: &str, longest: u64) -> Result<Option<Vec<u8>>, TorchError> {
        if self.extent(entry)?.length > longest {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.zip.by_name(&format!("{}{entry}", self.root))?.take(longest).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn pickle(&mut self) -> Result<Vec<u8>, TorchError> {
        match self.bytes("byteorder", 16) {
            // Files from before torch 2.1 do not say; they come from machines of this order.
            Err(TorchError::Entry(_)) => {}
            Ok(Some(order)) if order == b"little" => {}
            Ok(_) => return Err(TorchError::ByteOrder),
            Err(error) => return Err(error),
        }
        self.bytes("data.pkl", LONGEST_PICKLE)?.ok_or(TorchError::Long)
    }

    /// A tensor's bytes within its storage, once its shape is seen to fit there.
    fn place(&mut self, tensor: &str, view: &TensorView) -> Result<Stored, TorchError> {
        let storage = &view.storage;
        let extent = self.extent(&format!("data/{}", storage.key))?;
        let width = width_of(storage.dtype);
        let available = extent.length / width;
        let (first, span) = view
            .span()
            // A view may leave out or reorder elements. It may not repeat them, which would let a small file ask for any
            // amount of memory.
            .filter(|_| view.elements().is_some_and(|elements| elements as u64 <= available))
            .filter(|(first, span)| first.checked_add(*span).is_some_and(|end| end as u64 <= available))
            .ok_or_else(|| TorchError::Shape { tensor: tensor.to_owned() })?;
        Ok(Stored {
            dtype: storage.dtype,
            shape: view.shape.clone(),
            strides: (!view.is_row_major()).then(|| view.strides.clone()),
            start: extent.start + first as u64 * width,
            length: span * width as usize,
        })
    }
}

/// Bytes of an element.
fn width_of(dtype: Dtype) -> u64 {
    dtype.bitsize() as u64 / 8
}
