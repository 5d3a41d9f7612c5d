//! Files of this machine into a model's folder: linked where that is possible, which costs no space, else copied.

use std::fs;
use std::io;
use std::path::Path;

/// Links a file of `size` bytes to `to`, replacing what is there. Says whether it did.
pub(super) fn link(from: &Path, to: &Path, size: u64) -> bool {
    let fits = fs::metadata(from).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size);
    // A link to a symbolic link would follow the link's fate, not the file's.
    let Some(from) = from.canonicalize().ok().filter(|_| fits) else { return false };
    let _ = fs::remove_file(to);
    fs::hard_link(from, to).is_ok()
}

/// Copies a file of `size` bytes to `to`, replacing what is there.
pub(super) fn copy(from: &Path, to: &Path, size: u64) -> io::Result<()> {
    if fs::metadata(from)?.len() != size {
        return Err(io::Error::other("it has another size"));
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::copy(from, to).map(|_bytes| ())
}
