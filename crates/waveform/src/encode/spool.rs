//! A seekable destination in memory for an encoder that patches its own head: bytes leave in order while it writes, and
//! what it changes in bytes that have left is kept as [`Patch`]es.
//!
//! Shared, because the encoder swallows its writer.

use std::io::{Error, ErrorKind, Result, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Patch;

#[derive(Clone, Debug, Default)]
pub(super) struct Spool(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// Bytes that have not left yet, the first of them at `start`.
    waiting: Vec<u8>,
    start: u64,
    position: u64,
    patches: Vec<Patch>,
}

impl Spool {
    /// An encoder that panicked leaves bytes of unknown state, but the buffer itself stays usable.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what was written to `out`.
    pub(super) fn drain(&self, out: &mut Vec<u8>) {
        let mut contents = self.lock();
        contents.start += contents.waiting.len() as u64;
        out.append(&mut contents.waiting);
    }

    pub(super) fn patches(&self) -> Vec<Patch> {
        std::mem::take(&mut self.lock().patches)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut contents = self.lock();
        let contents = &mut *contents;
        let end = contents.start + contents.waiting.len() as u64;
        let written = if contents.position < contents.start {
            let room = (contents.start - contents.position).min(bytes.len() as u64) as usize;
            contents.patches.push(Patch { at: contents.position, bytes: bytes[..room].to_vec() });
            room
        } else if contents.position < end {
            let at = (contents.position - contents.start) as usize;
            let room = bytes.len().min(contents.waiting.len() - at);
            contents.waiting[at..at + room].copy_from_slice(&bytes[..room]);
            room
        } else {
            contents.waiting.extend_from_slice(bytes);
            bytes.len()
        };
        contents.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let mut contents = self.lock();
        let end = contents.start + contents.waiting.len() as u64;
        let wanted = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => end.checked_add_signed(offset),
            SeekFrom::Current(offset) => contents.position.checked_add_signed(offset),
        };
        contents.position = wanted
            .filter(|&position| position <= end)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "outside of what was written"))?;
        Ok(contents.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_after_it_left_becomes_a_patch_and_the_rest_is_changed_in_place() {
        let mut spool = Spool::default();
        let mut out = Vec::new();
        spool.write_all(b"head").unwrap();
        spool.drain(&mut out);
        spool.write_all(b"body").unwrap();
        spool.seek(SeekFrom::Start(2)).unwrap();
        spool.write_all(b"ADBO").unwrap();
        spool.seek(SeekFrom::End(0)).unwrap();
        spool.write_all(b"!").unwrap();
        spool.drain(&mut out);
        assert_eq!(out, b"headBOdy!");
        assert_eq!(spool.patches(), [Patch { at: 2, bytes: b"AD".to_vec() }]);
        assert!(spool.seek(SeekFrom::Current(1)).is_err());
    }
}
