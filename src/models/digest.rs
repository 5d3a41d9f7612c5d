//! What a file's bytes must add up to. The hub names large files by their SHA-256 and small ones as git does, by the
//! SHA-1 of a blob; both are checked while the bytes come in, so nothing is read twice.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Bytes read at once.
pub(super) const READ_SIZE: usize = 256 * 1024;

/// A hash of a file's content, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha256(String),
    /// `sha1("blob <size>\0" + content)`, git's name of a file.
    GitBlob(String),
}

impl Digest {
    /// The digest that a hub's entity tag is: 64 digits for files in its large-file storage, 40 for the others.
    pub(super) fn from_entity_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        if !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match tag.len() {
            64 => Some(Self::Sha256(tag)),
            40 => Some(Self::GitBlob(tag)),
            _ => None,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hex) => write!(formatter, "sha256:{hex}"),
            Self::GitBlob(hex) => write!(formatter, "git:{hex}"),
        }
    }
}

/// Hashes a file of known size piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Hashing {
    sha256: Sha256,
    /// Only where it is asked for: hashing gigabytes twice would be felt.
    git: Option<Sha1>,
    expected: Option<Digest>,
    /// Bytes so far.
    length: u64,
}

/// What the bytes that came add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) sha256: String,
    /// Whether these are the bytes that were expected; no expectation means any bytes.
    pub(super) is_expected: bool,
}

impl Hashing {
    /// `size` is part of git's hash.
    pub(super) fn new(expected: Option<&Digest>, size: u64) -> Self {
        let git = matches!(expected, Some(Digest::GitBlob(_)))
            .then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
        Self { sha256: Sha256::new(), git, expected: expected.cloned(), length: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
        self.length += bytes.len() as u64;
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn finish(self) -> Hashed {
        let sha256 = hex(&self.sha256.finalize());
        let is_expected = match &self.expected {
            None => true,
            Some(Digest::Sha256(expected)) => *expected == sha256,
            Some(Digest::GitBlob(expected)) => self.git.is_some_and(|git| hex(&git.finalize()) == *expected),
        };
        Hashed { sha256, is_expected }
    }
}

/// Hashes a file that is there whole. `each` is told the size of every piece and may break off.
///
/// # Errors
/// What the file system says; [`io::ErrorKind::Interrupted`] when `each` broke off.
pub(super) fn of_file(
    path: &Path,
    expected: Option<&Digest>,
    each: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<Hashed> {
    let mut file = File::open(path)?;
    let mut hashing = Hashing::new(expected, file.metadata()?.len());
    feed(&mut file, u64::MAX, &mut hashing, each)?;
    Ok(hashing.finish())
}

/// Hashes up to `limit` bytes from where `source` stands.
pub(super) fn feed(
    source: &mut dyn Read,
    limit: u64,
    hashing: &mut Hashing,
    each: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut piece = vec![0; READ_SIZE];
    let mut source = source.take(limit);
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                hashing.update(&piece[..count]);
                if each(count as u64).is_break() {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | sha256sum` and `printf 'hello\n' | git hash-object --stdin`.
    const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn both_hashes_are_those_of_sha256sum_and_of_git() {
        let hashed = |expected: Option<Digest>| {
            let mut hashing = Hashing::new(expected.as_ref(), 6);
            hashing.update(b"hel");
            hashing.update(b"lo\n");
            assert_eq!(hashing.length(), 6);
            hashing.finish()
        };
        for expected in [None, Some(Digest::Sha256(SHA256.to_owned())), Some(Digest::GitBlob(GIT.to_owned()))]
        {
            assert_eq!(hashed(expected), Hashed { sha256: SHA256.to_owned(), is_expected: true });
        }
        for wrong in [Digest::Sha256(SHA256.replace('5', "6")), Digest::GitBlob(GIT.replace('c', "d"))] {
            assert!(!hashed(Some(wrong)).is_expected);
        }
    }

    #[test]
    fn entity_tags_of_a_hub_are_digests_and_others_are_none() {
        let quoted = format!("\"{}\"", SHA256.to_uppercase());
        assert_eq!(Digest::from_entity_tag(&quoted), Some(Digest::Sha256(SHA256.to_owned())));
        assert_eq!(Digest::from_entity_tag(&format!("W/\"{GIT}\"")), Some(Digest::GitBlob(GIT.to_owned())));
        for other in ["", "\"\"", "\"d41d8cd98f00b204e9800998ecf8427e\"", "\"5f3e-62a\"", "W/\"abc\""] {
            assert_eq!(Digest::from_entity_tag(other), None, "{other}");
        }
    }
}
