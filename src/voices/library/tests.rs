//! The library on a real folder: what is added is there, and what is not a clip, not safe or not new is not.

use super::*;
use crate::voices::testing::{library, upload, wav};

fn named_file(file_name: &str, bytes: Vec<u8>) -> Upload {
    Upload { bytes, file_name: Some(file_name.to_owned()), ..Upload::default() }
}

fn ids(library: &Library) -> Vec<String> {
    library.clips().iter().map(|clip| clip.id.clone()).collect()
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = files::entries(folder)
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_added_clip_is_kept_as_it_was_given_with_what_is_known_of_it() {
    let (folder, library) = library();
    let bytes = wav(2.5, 220.0);
    let upload = Upload {
        language: Some("de".to_owned()),
        consent: Some(" she  said yes ".to_owned()),
        ..upload("Emilie Noe\u{308}l", bytes.clone())
    };
    let added = library.add(upload, &[]).unwrap();
    assert!(added.is_new);
    let clip = added.clip;
    assert_eq!((clip.id.as_str(), clip.name.as_str()), ("emilie-noël", "Emilie Noël"));
    assert_eq!((clip.language.as_str(), clip.consent.as_deref()), ("de", Some("she said yes")));
    assert_eq!((clip.seconds, clip.sample_rate, clip.bytes), (2.5, 24_000, bytes.len() as u64));
    assert_eq!(clip.file_name, "emilie-noël.wav");
    assert_eq!(clip.read().unwrap(), bytes);
    assert_eq!(files_in(&folder.path().join("voices")), ["emilie-noël.json", "emilie-noël.wav", "lock"]);

    let again = Library::open(folder.path(), Limits::default());
    assert_eq!(again.clip("emilie-noël"), Some(clip.clone()));
    for wanted in ["Emilie Noël", "EMILIE_NOËL.mp3", "emilie-noe\u{308}l.wav"] {
        assert_eq!(again.find(wanted).unwrap().id, clip.id, "{wanted:?}");
    }
    assert!(again.find("Max").unwrap_err().to_string().contains("emilie-noël"));
}

#[test]
fn nothing_is_written_before_there_is_something_to_keep() {
    let (folder, library) = library();
    assert!(library.clips().is_empty());
    library.adopt(&[]).unwrap();
    assert!(library.add(upload("Emily", b"no sound".to_vec()), &[]).is_err());
    assert!(files_in(folder.path()).is_empty());
}

#[test]
fn the_content_decides_what_a_clip_is_and_not_its_name() {
    let (_folder, library) = library();
    let added = library.add(named_file("Emily.mp3", wav(2.5, 220.0)), &[]).unwrap().clip;
    assert_eq!(added.file_name, "emily.wav");
    for (bytes, expected) in [
        (b"just a text that was renamed".to_vec(), "the clip cannot be used: this is not a sound file"),
        (Vec::new(), "the clip cannot be used: the file is empty"),
        (wav(0.5, 220.0), "the clip cannot be used: it is 0.5 seconds long, and at least 1 are needed"),
        (wav(61.0, 220.0), "the clip cannot be used: it is longer than 60 seconds"),
    ] {
        let refused = library.add(named_file("Max.wav", bytes), &[]).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let tight = Limits { max_clip_bytes: 1 << 20, ..Limits::default() };
    let library = Library::open(Path::new("nowhere"), tight);
    let refused = library.add(named_file("Max.wav", vec![0; 2 << 20]), &[]).unwrap_err();
    assert!(matches!(refused, LibraryError::Clip(ClipError::TooLarge { .. })), "{refused:?}");
    assert_eq!(ids(&library), [""; 0]);
}

#[test]
fn two_clips_never_share_an_id_or_a_name() {
    let (_folder, library) = library();
    let add = |file: &str, pitch: f64| {
        let clip = library.add(named_file(file, wav(2.5, pitch)), &["hum".to_owned()]).unwrap().clip;
        (clip.id, clip.name)
    };
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(add("Emily.wav", 200.0), pair("emily", "Emily"));
    assert_eq!(add("EMILY.wav", 210.0), pair("emily-2", "EMILY 2"));
    assert_eq!(add("../emily.mp3", 220.0), pair("emily-3", "emily 3"));
    assert_eq!(add("🎉.wav", 230.0), pair("clip", "🎉"));
    assert_eq!(add("🎈.wav", 240.0), pair("clip-2", "🎈"));
    assert_eq!(add("Hum.wav", 250.0), pair("hum-2", "Hum"), "a model has a voice of that id");
    let taken = library.add(upload("emily", wav(2.5, 260.0)), &[]).unwrap_err();
    assert_eq!(taken.to_string(), "there is a voice called \"emily\" already; choose another name");
}

#[test]
fn the_very_same_clip_is_added_once() {
    let (_folder, library) = library();
    let first = library.add(named_file("Emily.wav", wav(2.5, 220.0)), &[]).unwrap().clip;
    let again = library.add(named_file("Max.wav", wav(2.5, 220.0)), &[]).unwrap();
    assert_eq!((again.is_new, again.clip.id), (false, first.id));
    assert_eq!(ids(&library), ["emily"]);
}

#[test]
fn a_library_has_a_bound() {
    let (folder, _) = library();
    let library = Library::open(folder.path(), Limits { max_voices: 1, ..Limits::default() });
    library.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap();
    let full = library.add(upload("Max", wav(2.5, 330.0)), &[]).unwrap_err();
    assert!(matches!(full, LibraryError::Full { limit: 1 }), "{full:?}");
}

#[test]
fn what_is_said_about_a_clip_is_checked() {
    let (_folder, library) = library();
    let add = |change: &dyn Fn(&mut Upload)| {
        let mut upload = upload("Emily", wav(2.5, 220.0));
        change(&mut upload);
        library.add(upload, &[]).unwrap_err().to_string()
    };
    assert!(add(&|upload| upload.name = Some(" \u{200e} ".to_owned())).contains("1 to 80 visible"));
    assert!(add(&|upload| upload.name = Some("x".repeat(81))).contains("1 to 80 visible"));
    assert!(add(&|upload| upload.language = Some("../de".to_owned())).contains("found \"../de\""));
    assert!(add(&|upload| upload.consent = Some("x".repeat(501))).contains("more than 500"));
}

#[test]
fn renaming_changes_the_name_and_nothing_else() {
    let (_folder, library) = library();
    let before = library.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap().clip;
    library.add(upload("Max", wav(2.5, 330.0)), &[]).unwrap();
    let renamed = library.rename("Emily.wav", " Émilie ").unwrap();
    assert_eq!(renamed, Clip { name: "Émilie".to_owned(), ..before });
    assert_eq!(library.find("émilie").unwrap(), renamed);
    assert_eq!(library.rename("emily", "ÉMILIE").unwrap().name, "ÉMILIE", "its own name is free for it");
    assert!(matches!(library.rename("emily", "max"), Err(LibraryError::NameTaken(_))));
    assert!(matches!(library.rename("emily", ""), Err(LibraryError::Name)));
    assert!(matches!(library.rename("nobody", "x"), Err(LibraryError::Unknown(_))));
}

#[test]
fn removing_takes_everything_of_a_voice_and_nothing_of_another() {
    let (folder, library) = library();
    let emily = library.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap().clip;
    let max = library.add(upload("Max", wav(2.5, 330.0)), &[]).unwrap().clip;
    for clip in [&emily, &max] {
        compute(&library, clip, "test.bin", 7).unwrap();
    }
    library.remove("EMILY").unwrap();
    assert_eq!(ids(&library), ["max"]);
    let voices = folder.path().join("voices");
    assert_eq!(files_in(&voices), ["computed", "lock", "max.json", "max.wav"]);
    assert_eq!(files_in(&voices.join("computed")), [format!("{}-test.bin", max.hash)]);
    assert!(matches!(library.remove("emily"), Err(LibraryError::Unknown(_))));
}

/// Keeps a byte for a clip, or reads the one that was kept.
fn compute(library: &Library, clip: &Clip, kind: &str, byte: u8) -> Result<u8, &'static str> {
    let read = |bytes: &[u8]| bytes.first().copied();
    library.computed(clip, kind, read, || if byte == 0 { Err("too short") } else { Ok((byte, vec![byte])) })
}

#[test]
fn what_a_model_computed_from_a_clip_is_kept_unless_it_failed_or_cannot_be_read() {
    let (folder, library) = library();
    let clip = library.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap().clip;
    assert_eq!(compute(&library, &clip, "a.bin", 0), Err("too short"));
    assert_eq!(compute(&library, &clip, "a.bin", 7), Ok(7));
    let again = Library::open(folder.path(), Limits::default());
    assert_eq!(compute(&again, &clip, "a.bin", 8), Ok(7), "it is computed once");
    assert_eq!(compute(&again, &clip, "b.bin", 8), Ok(8), "each kind for itself");
    let kept = folder.path().join(format!("voices/computed/{}-a.bin", clip.hash));
    fs::write(kept, "").unwrap();
    assert_eq!(compute(&again, &clip, "a.bin", 9), Ok(9), "what cannot be read is made anew");
}

#[test]
fn a_change_by_another_process_is_seen() {
    let (folder, library) = library();
    assert!(ids(&library).is_empty());
    let other = Library::open(folder.path(), Limits::default());
    other.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap();
    assert_eq!(ids(&library), ["emily"]);
    other.rename("emily", "Max").unwrap();
    assert_eq!(library.clip("emily").unwrap().name, "Max");
    other.remove("emily").unwrap();
    assert!(ids(&library).is_empty());
}

#[test]
fn clips_put_into_the_folder_by_hand_are_taken_up_under_a_safe_name() {
    let (folder, library) = library();
    let voices = folder.path().join("voices");
    fs::create_dir(&voices).unwrap();
    fs::write(voices.join("Gianna (1).wav"), wav(2.5, 220.0)).unwrap();
    fs::write(voices.join("notes.wav"), "no sound at all").unwrap();
    fs::write(voices.join("half.wav.part"), "RIFF").unwrap();
    fs::write(voices.join("README.txt"), "mine").unwrap();
    assert_eq!(library.adopt(&[]).unwrap(), 1);
    assert_eq!(ids(&library), ["gianna-1"]);
    assert_eq!(library.clip("gianna-1").unwrap().name, "Gianna (1)");
    let expected = ["README.txt", "gianna-1.json", "gianna-1.wav", "lock", "notes.wav"];
    assert_eq!(files_in(&voices), expected);
    assert_eq!(library.adopt(&[]).unwrap(), 0, "once");

    fs::remove_file(voices.join("gianna-1.wav")).unwrap();
    library.forget_index();
    assert!(ids(&library).is_empty(), "a record without its clip is no voice");
    library.adopt(&[]).unwrap();
    assert!(!voices.join("gianna-1.json").exists());
}

#[test]
fn records_that_are_broken_or_lead_out_of_the_folder_are_left_out() {
    let (folder, library) = library();
    library.add(upload("Emily", wav(2.5, 220.0)), &[]).unwrap();
    let voices = folder.path().join("voices");
    let record = fs::read_to_string(voices.join("emily.json")).unwrap();
    fs::write(folder.path().join("secret.wav"), "secret").unwrap();
    fs::write(voices.join("evil.json"), record.replace("emily.wav", "../secret.wav")).unwrap();
    fs::write(voices.join("broken.json"), "{").unwrap();
    library.forget_index();
    assert_eq!(ids(&library), ["emily"]);
}

#[test]
fn writers_wait_for_each_other() {
    let (folder, library) = library();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let library = Library::open(folder.path(), Limits::default());
            let upload = named_file("Same.wav", wav(1.5, 200.0 + f64::from(number)));
            scope.spawn(move || library.add(upload, &[]).unwrap());
        }
    });
    let mut found = ids(&library);
    found.sort();
    assert_eq!(found, ["same", "same-2", "same-3", "same-4", "same-5", "same-6"]);
}
