//! One worker per model: a lock file that the system releases when its holder dies, so a killed pull blocks nobody.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::error::ModelsError;

/// Held while a model's files are changed or read as a whole.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// # Errors
    /// [`ModelsError::Busy`] with the holder's process id, where the system lets it be read.
    pub(super) fn take(folder: &Path, name: &str) -> Result<Self, ModelsError> {
        fs::create_dir_all(folder).map_err(|source| ModelsError::file("create", folder, source))?;
        // Never removed: two processes could otherwise hold locks on two files of one name.
        let path = folder.join(format!("{name}.lock"));
        let broken = |source| ModelsError::file("use the lock file", &path, source);
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(&path).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(ModelsError::Busy { name: name.to_owned(), holder: holder.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(broken(source)),
        }
        // For whoever is refused; nothing relies on it.
        let mut tell = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        tell().map_err(broken)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_firsts_number_and_another_model_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), "turbo").unwrap();
        let refused = Lock::take(folder.path(), "turbo").unwrap_err();
        assert!(refused.to_string().contains(&format!("(process {})", std::process::id())), "{refused}");
        Lock::take(folder.path(), "nano").unwrap();
        drop(first);
        Lock::take(folder.path(), "turbo").unwrap();
    }
}
