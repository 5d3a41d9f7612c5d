//! Where a tensor lies in its file and how its bytes become values: what safetensors and torch files have in common.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

/// The tensors of a file by name.
pub(crate) type Tensors = BTreeMap<String, Stored>;

/// One tensor in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Elements between neighbours along each axis where they do not simply follow each other: torch stores views.
    pub(crate) strides: Option<Vec<usize>>,
    /// Byte of the file at which the first element starts.
    pub(crate) start: u64,
    /// Bytes from there to the end of the last element.
    pub(crate) length: usize,
}

/// Every tensor of a safetensors file whose tensors begin at byte `start`.
pub(crate) fn of_safetensors(metadata: &Metadata, start: usize) -> Tensors {
    let stored = |info: &safetensors::tensor::TensorInfo| Stored {
        dtype: info.dtype,
        shape: info.shape.clone(),
        strides: None,
        start: (start + info.data_offsets.0) as u64,
        length: info.data_offsets.1 - info.data_offsets.0,
    };
    metadata.tensors().into_iter().map(|(name, info)| (name, stored(info))).collect()
}

impl Stored {
    /// A tensor of which only the shape is known.
    pub(crate) fn placeless(shape: Vec<usize>) -> Self {
        Self { dtype: Dtype::F32, shape, strides: None, start: 0, length: 0 }
    }

    /// The bytes of this tensor alone.
    pub(crate) fn read(&self, file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
        let mut raw = vec![0; self.length];
        file.seek(SeekFrom::Start(self.start))?;
        file.read_exact(&mut raw)?;
        Ok(raw)
    }

    /// Entries along the first axis, as a tensor of their own; `None` for a view, whose entries lie anywhere.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Option<Self> {
        let (count, rest) = self.shape.split_first()?;
        if self.strides.is_some() || rows.end > *count {
            return None;
        }
        let bytes = self.length / count;
        Some(Self {
            shape: [&[rows.len()], rest].concat(),
            start: self.start + (rows.start * bytes) as u64,
            length: rows.len() * bytes,
            ..self.clone()
        })
    }

    /// The values of [`Self::floats`], read through a buffer that stays in the cache: of a checkpoint's gigabytes only what is
    /// kept is ever written to memory.
    pub(crate) fn read_floats(&self, file: &mut (impl Read + Seek)) -> io::Result<Option<Vec<f32>>> {
        const PIECE: usize = 64 * 1024;
        let mut values = Vec::with_capacity(self.length * 8 / self.dtype.bitsize());
        let mut buffer = vec![0; PIECE.min(self.length)];
        let mut left = self.length;
        file.seek(SeekFrom::Start(self.start))?;
        while left > 0 {
            let piece = &mut buffer[..PIECE.min(left)];
            file.read_exact(piece)?;
            if !self.widen(piece, &mut values) {
                return Ok(None);
            }
            left -= piece.len();
        }
        Ok(Some(self.row_major(values)))
    }

    /// Floats of any width as f32, row-major; `None` for other types.
    pub(crate) fn floats(&self, raw: &[u8]) -> Option<Vec<f32>> {
        let mut values = Vec::new();
        self.widen(raw, &mut values).then(|| self.row_major(values))
    }

    /// Appends floats of any width as f32; false for other types.
    fn widen(&self, raw: &[u8], out: &mut Vec<f32>) -> bool {
        let halves = || raw.as_chunks::<2>().0.iter();
        match self.dtype {
            Dtype::F32 => out.extend(raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
            Dtype::F16 => out.extend(halves().map(|b| half::f16::from_le_bytes(*b).to_f32())),
            Dtype::BF16 => out.extend(halves().map(|b| half::bf16::from_le_bytes(*b).to_f32())),
            _ => return false,
        }
        true
    }

    /// Token ids, row-major; `None` where a value is none. Synthesis in the reference turns ids into f32 in place, so a file
    /// that was saved afterwards holds floats.
    pub(crate) fn ids(&self, raw: &[u8]) -> Option<Vec<u32>> {
        let values: Option<Vec<u32>> = match self.dtype {
            Dtype::I64 => {
                raw.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b).try_into().ok()).collect()
            }
            Dtype::I32 => {
                raw.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b).try_into().ok()).collect()
            }
            Dtype::F32 => raw.as_chunks::<4>().0.iter().map(|b| whole(f32::from_le_bytes(*b))).collect(),
            _ => None,
        };
        Some(self.row_major(values?))
    }

    /// Gathers a view's elements; anything else is row-major already.
    fn row_major<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        let Some(strides) = &self.strides else { return values };
        let mut places = vec![0];
        for (&size, &stride) in self.shape.iter().zip(strides) {
            places = places.iter().flat_map(|place| (0..size).map(move |i| place + i * stride)).collect();
        }
        places.into_iter().filter_map(|place| values.get(place).copied()).collect()
    }
}

/// A float that is a token id.
fn whole(value: f32) -> Option<u32> {
    // f32 counts exactly up to here, which is far above any vocabulary.
    const EXACT: f32 = 16_777_216.0;
    ((0.0..=EXACT).contains(&value) && value.fract() == 0.0).then_some(value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dtype: Dtype, shape: &[usize], strides: Option<&[usize]>) -> Stored {
        Stored { dtype, shape: shape.to_vec(), strides: strides.map(<[usize]>::to_vec), start: 0, length: 0 }
    }

    #[test]
    fn a_transposed_view_is_read_row_by_row() {
        let raw: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let plain = stored(Dtype::F32, &[2, 3], None);
        assert_eq!(plain.floats(&raw).unwrap(), [0., 1., 2., 3., 4., 5.]);
        let transposed = stored(Dtype::F32, &[3, 2], Some(&[1, 3]));
        assert_eq!(transposed.floats(&raw).unwrap(), [0., 3., 1., 4., 2., 5.]);
    }

    #[test]
    fn rows_are_read_by_themselves_but_not_those_of_a_view() {
        let raw: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let read = |rows: Range<usize>| {
            let whole = Stored { length: raw.len(), ..stored(Dtype::F32, &[3, 2], None) };
            let part = whole.rows(rows)?;
            part.read_floats(&mut io::Cursor::new(&raw)).unwrap()
        };
        assert_eq!(read(1..3), Some(vec![2., 3., 4., 5.]));
        assert_eq!(read(2..2), Some(Vec::new()));
        assert_eq!(read(2..4), None);
        assert_eq!(stored(Dtype::F32, &[3, 2], Some(&[1, 3])).rows(0..1), None);
    }

    #[test]
    fn halves_are_widened() {
        let f16: Vec<u8> =
            [1.5_f32, -0.25].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(stored(Dtype::F16, &[2], None).floats(&f16).unwrap(), [1.5, -0.25]);
        let bf16: Vec<u8> =
            [1.5_f32, -0.25].iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(stored(Dtype::BF16, &[2], None).floats(&bf16).unwrap(), [1.5, -0.25]);
    }

    #[test]
    fn ids_come_from_integers_and_from_whole_floats_only() {
        let longs: Vec<u8> = [7_i64, 6560].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(stored(Dtype::I64, &[1, 2], None).ids(&longs), Some(vec![7, 6560]));
        let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let ids = |values: &[f32]| stored(Dtype::F32, &[values.len()], None).ids(&floats(values));
        assert_eq!(ids(&[7.0, 6560.0]), Some(vec![7, 6560]));
        assert_eq!(ids(&[0.5]), None);
        assert_eq!(ids(&[-1.0]), None);
        assert_eq!(ids(&[f32::NAN]), None);
        let negative = (-1_i64).to_le_bytes();
        assert_eq!(stored(Dtype::I64, &[1], None).ids(&negative), None);
    }
}
