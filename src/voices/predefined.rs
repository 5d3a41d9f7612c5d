//! The clips that come with the program: the repository's `voices/`, compiled in, in the same form as the clips that people
//! add. `declaim voices add` in an empty data directory makes both files of one.

use std::borrow::Cow;
use std::sync::LazyLock;

use rust_embed::RustEmbed;

use super::library::{Clip, Record};

#[derive(RustEmbed)]
#[folder = "voices/"]
#[exclude = "*.md"]
struct Folder;

/// By id.
pub(super) fn clips() -> &'static [Clip] {
    static CLIPS: LazyLock<Vec<Clip>> = LazyLock::new(|| {
        let files = Folder::iter().filter_map(|name| Some((name.clone(), Folder::get(&name)?.data)));
        clips_of(&files.collect::<Vec<_>>())
    });
    &CLIPS
}

fn clips_of(files: &[(Cow<'static, str>, Cow<'static, [u8]>)]) -> Vec<Clip> {
    let mut clips: Vec<Clip> = files
        .iter()
        .filter_map(|(name, bytes)| {
            let id = name.strip_suffix(".json")?;
            let record: Record = serde_json::from_slice(bytes)
                .inspect_err(|error| tracing::error!(id, %error, "a predefined voice is left out"))
                .ok()?;
            let (_, clip) = files.iter().find(|(name, _)| *name == record.file)?;
            Some(record.embedded(id, clip.clone()))
        })
        .collect();
    clips.sort_by(|a, b| a.id.cmp(&b.id));
    clips
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voices::testing::{library, upload, wav};

    #[test]
    fn what_was_added_to_a_library_can_be_compiled_in_as_it_is() {
        let (folder, library) = library();
        let added = library.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap().clip;
        let mut files = Vec::new();
        for name in ["emily.json", "emily.wav", "lock"] {
            let bytes = std::fs::read(folder.path().join("voices").join(name)).unwrap();
            files.push((Cow::from(name), Cow::from(bytes)));
        }
        let clips = clips_of(&files);
        assert_eq!(clips.len(), 1);
        assert_eq!((&clips[0].id, &clips[0].hash), (&added.id, &added.hash));
        assert!(clips[0].is_predefined() && !added.is_predefined());
        assert_eq!(clips[0].read().unwrap(), added.read().unwrap());
    }

    #[test]
    fn a_record_without_its_clip_and_a_broken_one_are_left_out() {
        let files =
            [("a.json", "{"), ("readme.txt", "")].map(|(n, b)| (Cow::from(n), Cow::from(b.as_bytes())));
        assert!(clips_of(&files).is_empty());
    }

    #[test]
    fn the_record_of_every_predefined_clip_tells_the_truth() {
        for clip in clips() {
            let bytes = clip.read().unwrap();
            let info = crate::voices::clip::inspect(&bytes, &crate::voices::Limits::default()).unwrap();
            assert_eq!((clip.seconds, clip.sample_rate), (info.seconds, info.sample_rate), "{}", clip.id);
            assert_eq!(clip.bytes, bytes.len() as u64, "{}", clip.id);
        }
    }
}
