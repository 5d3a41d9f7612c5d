//! What changes the library: adding, renaming, removing, and taking up what was put into its folder by hand.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::record::{self, Clip, Record, Source};
use super::{COMPUTED, Library, LibraryError};
use crate::files::{self, FileError};
use crate::voices::clip::{self, ClipError};
use crate::voices::name;

/// Characters of a note about consent.
pub(super) const MAX_NOTE: usize = 500;

/// A clip that somebody wants to add.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    pub bytes: Vec<u8>,
    /// What to call the voice; taken from the file's name where it is not said.
    pub name: Option<String>,
    pub file_name: Option<String>,
    /// `en` where it is not said.
    pub language: Option<String>,
    pub consent: Option<String>,
}

/// What became of an [`Upload`].
#[derive(Clone, Debug)]
pub struct Added {
    pub clip: Clip,
    /// False when the very same clip was there already.
    pub is_new: bool,
}

impl Library {
    /// Checks a clip by its content and adds it; the very clip that is there already is left as it is. `taken` are ids that
    /// it must not get. Blocks for as long as decoding takes.
    pub fn add(&self, upload: Upload, taken: &[String]) -> Result<Added, LibraryError> {
        self.take_up(upload, taken, |bytes, path| {
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            files::write_bytes(&self.shared.folder, &file_name, bytes)
        })
    }

    /// [`Self::add`], where `place` puts the clip's bytes at its path.
    fn take_up(
        &self,
        upload: Upload,
        taken: &[String],
        place: impl FnOnce(&[u8], &Path) -> Result<(), FileError>,
    ) -> Result<Added, LibraryError> {
        let Upload { bytes, name: wanted, file_name, language, consent } = upload;
        let wanted = wanted.map(|wanted| name::display(&wanted).ok_or(LibraryError::Name)).transpose()?;
        let language = checked_language(language)?;
        let consent = consent.and_then(|note| checked_note(&note).transpose()).transpose()?;
        let info = clip::inspect(&bytes, &self.shared.limits)?;
        let hash = hash(&bytes);

        let _lock = self.lock()?;
        let clips = self.clips();
        if let Some(known) = clips.iter().find(|clip| clip.hash == hash) {
            return Ok(Added { clip: known.clone(), is_new: false });
        }
        let limit = self.shared.limits.max_voices;
        if clips.iter().filter(|clip| !clip.is_predefined()).count() >= limit {
            return Err(LibraryError::Full { limit });
        }
        let is_explicit = wanted.is_some();
        let from_file = || file_name.as_deref().and_then(name::from_file);
        let name = wanted.or_else(from_file).unwrap_or_else(|| "Voice".to_owned());
        if is_explicit && has_name(&clips, &name, None) {
            return Err(LibraryError::NameTaken(name));
        }
        let plain = name::id(&name);
        let id = name::unique(&plain, |id| {
            taken.iter().any(|taken| taken == id) || clips.iter().any(|clip| clip.id == id)
        });
        // A name that a file brought along need not be new; a number tells the two apart.
        let name = match id.strip_prefix(&plain) {
            Some(number) if !number.is_empty() && has_name(&clips, &name, None) => {
                format!("{name} {}", number.trim_start_matches('-'))
            }
            _ => name,
        };
        let file_name = format!("{id}.{}", info.extension);
        let path = self.shared.folder.join(&file_name);
        place(&bytes, &path)?;
        let clip = Clip {
            source: Source::File(path),
            file_name,
            id,
            name,
            language,
            consent,
            hash,
            bytes: bytes.len() as u64,
            seconds: info.seconds,
            sample_rate: info.sample_rate,
            quality: info.quality,
            added: now_ms(),
        };
        self.write_record(&clip)?;
        tracing::info!(voice = clip.id, seconds = clip.seconds, "voice added");
        Ok(Added { clip, is_new: true })
    }

    /// Gives a voice another name for people; its id stays, so requests and jobs that name it are not disturbed.
    pub fn rename(&self, id: &str, to: &str) -> Result<Clip, LibraryError> {
        let name = name::display(to).ok_or(LibraryError::Name)?;
        let _lock = self.lock()?;
        let mut clip = self.added(id)?;
        if has_name(&self.clips(), &name, Some(&clip.id)) {
            return Err(LibraryError::NameTaken(name));
        }
        clip.name = name;
        self.write_record(&clip)?;
        Ok(clip)
    }

    /// Removes an added voice with everything that was computed from it.
    pub fn remove(&self, id: &str) -> Result<Clip, LibraryError> {
        let _lock = self.lock()?;
        let clip = self.added(id)?;
        let folder = &self.shared.folder;
        // The clip first: a record without its clip is no voice, but a clip without a record would be taken for a new one.
        files::remove_file(&folder.join(&clip.file_name))?;
        files::remove_file(&folder.join(format!("{}.json", clip.id)))?;
        for path in files::entries(&folder.join(COMPUTED))? {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&clip.hash)) {
                files::remove_file(&path)?;
            }
        }
        self.forget_index();
        tracing::info!(voice = clip.id, "voice removed");
        Ok(clip)
    }

    /// Takes up clips that somebody put into the folder by hand, and tidies up after a process that died: each clip without
    /// a record is checked like any other and gets one. Returns how many voices that made. Blocks.
    pub fn adopt(&self, taken: &[String]) -> Result<usize, LibraryError> {
        if !self.shared.folder.is_dir() {
            return Ok(0);
        }
        let lock = self.lock()?;
        let mut strays = Vec::new();
        let known: Vec<String> = self.clips().iter().map(|clip| clip.file_name.clone()).collect();
        for path in files::entries(&self.shared.folder)? {
            let Some(file_name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            let has_lost_its_clip =
                || extension == "json" && record::read(&path).is_some_and(|clip| !record::is_there(&clip));
            if file_name.ends_with(files::PART) || has_lost_its_clip() {
                files::remove_file(&path)?;
            } else if name::is_audio_extension(extension) && !known.contains(&file_name) {
                strays.push((path, file_name));
            }
        }
        drop(lock);
        let mut adopted = 0;
        for (path, file_name) in strays {
            match self.adopt_one(&path, &file_name, taken) {
                Ok(is_new) => adopted += usize::from(is_new),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a file in the folder of voices is left alone");
                }
            }
        }
        Ok(adopted)
    }

    fn adopt_one(&self, path: &Path, file_name: &str, taken: &[String]) -> Result<bool, LibraryError> {
        let read = |source| FileError::new("read", path, source);
        let most = self.shared.limits.max_clip_bytes;
        if fs::metadata(path).map_err(read)?.len() > most {
            return Err(ClipError::TooLarge { most }.into());
        }
        let bytes = fs::read(path).map_err(read)?;
        let upload = Upload { bytes, file_name: Some(file_name.to_owned()), ..Upload::default() };
        // Renamed and not copied: where `Emily.wav` and `emily.wav` are one file, a copy would overwrite its original.
        let rename = |_bytes: &[u8], to: &Path| {
            fs::rename(path, to).map_err(|source| FileError::new("rename", path, source))?;
            files::sync_folder(&self.shared.folder)
        };
        let added = self.take_up(upload, taken, rename)?;
        Ok(added.is_new)
    }

    /// The clip, if it is one that was added.
    fn added(&self, id: &str) -> Result<Clip, LibraryError> {
        let clip = self.find(id)?;
        if clip.is_predefined() { Err(LibraryError::Predefined(clip.id)) } else { Ok(clip) }
    }

    fn write_record(&self, clip: &Clip) -> Result<(), LibraryError> {
        let record = serde_json::to_vec_pretty(&Record::of(clip))?;
        files::write_bytes(&self.shared.folder, &format!("{}.json", clip.id), &record)?;
        self.forget_index();
        Ok(())
    }
}

fn has_name(clips: &[Clip], name: &str, except: Option<&str>) -> bool {
    let key = name::key(name);
    clips.iter().any(|clip| name::key(&clip.name) == key && except != Some(clip.id.as_str()))
}

fn checked_language(language: Option<String>) -> Result<String, LibraryError> {
    let Some(code) = language.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()) else {
        return Ok("en".to_owned());
    };
    let is_code = (2..=16).contains(&code.len())
        && code
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_code { Ok(code) } else { Err(LibraryError::Language(code)) }
}

/// `None` for a note that says nothing.
fn checked_note(note: &str) -> Result<Option<String>, LibraryError> {
    let note = note.split_whitespace().collect::<Vec<_>>().join(" ");
    if note.chars().count() > MAX_NOTE {
        return Err(LibraryError::Note);
    }
    Ok((!note.is_empty()).then_some(note))
}

fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Milliseconds since the Unix epoch; a clock before 1970 reads as 0.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
