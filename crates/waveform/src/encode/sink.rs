//! A buffered destination that a codec and its owner share.
//!
//! The codec crates swallow their writer and flush it, errors ignored, when they are dropped. Sharing it lets the owner
//! flush where errors are seen and have the file back for syncing.

use std::io::{BufWriter, Result, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::EncodeError;

#[derive(Debug)]
pub(super) struct Sink<W: Write + Seek>(Arc<Mutex<BufWriter<W>>>);

impl<W: Write + Seek> Sink<W> {
    pub(super) fn new(destination: W) -> Self {
        Self(Arc::new(Mutex::new(BufWriter::new(destination))))
    }

    /// A writer that panicked leaves bytes of unknown state, but the buffer itself stays usable.
    fn lock(&self) -> MutexGuard<'_, BufWriter<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flushes and returns the destination. The codec must be gone by now.
    pub(super) fn into_inner(self) -> std::result::Result<W, EncodeError> {
        let shared =
            Arc::into_inner(self.0).ok_or_else(|| std::io::Error::other("the codec still holds the file"))?;
        let buffer = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(buffer.into_inner().map_err(std::io::IntoInnerError::into_error)?)
    }
}

impl<W: Write + Seek> Clone for Sink<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write + Seek> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.lock().flush()
    }
}

impl<W: Write + Seek> Seek for Sink<W> {
    fn seek(&mut self, position: SeekFrom) -> Result<u64> {
        self.lock().seek(position)
    }
}
