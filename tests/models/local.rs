//! Models from what is on this machine already: the hub's cache, other models, folders.

#![cfg_attr(not(unix), expect(unused_imports, reason = "links are made as on Unix"))]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use declaim::models::{ModelsError, Pulled, Role, State};

use crate::hub::{COMMIT, FakeHub, git_blob, sha256};
use crate::scene::{NAME, REPOSITORY, S3GEN, Scene, T3, content, length, noise, own};

/// Lays content out as Hugging Face's library does; returns the blob of a file.
#[cfg(unix)]
fn fill_cache(cache: &Path, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let folder = cache.join(format!("models--{}", REPOSITORY.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(COMMIT);
    for made in [folder.join("blobs"), folder.join("refs"), snapshot.clone()] {
        fs::create_dir_all(made).unwrap();
    }
    fs::write(folder.join("refs/main"), COMMIT).unwrap();
    for (name, bytes) in files {
        let blob = if bytes.len() > 10_000 { sha256(bytes) } else { git_blob(bytes) };
        fs::write(folder.join("blobs").join(&blob), bytes).unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    folder.join("blobs").join(sha256(&files[0].1))
}

#[cfg(unix)]
#[test]
fn what_hugging_faces_library_has_downloaded_is_linked_not_fetched() {
    use std::os::unix::fs::MetadataExt;

    let mut scene = Scene::new();
    let cache = scene.data.path().join("cache");
    let blob = fill_cache(&cache, &content());
    scene.settings.cache = Some(cache);
    let manifest = scene.pull_whole();
    assert_eq!(FakeHub::sent(&scene.hub.take_log()), 0);
    assert!(manifest.files.iter().all(|entry| entry.revision.as_deref() == Some(COMMIT)));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&scene.folder().join(T3)), inode(&blob), "it was copied");
}

#[cfg(unix)]
#[test]
fn the_cache_is_enough_without_a_network() {
    let mut scene = Scene::new();
    let cache = scene.data.path().join("cache");
    fill_cache(&cache, &content());
    scene.settings.cache = Some(cache);
    scene.settings.offline = true;
    scene.pull_whole();
    assert_eq!(scene.hub.take_log(), []);
}

#[cfg(unix)]
#[test]
fn a_damaged_file_of_the_cache_is_fetched_instead_and_left_as_it_is() {
    let mut scene = Scene::new();
    let cache = scene.data.path().join("cache");
    let blob = fill_cache(&cache, &content());
    let damaged = noise(66, content()[0].1.len());
    fs::write(&blob, &damaged).unwrap();
    scene.settings.cache = Some(cache);
    scene.pull_whole();
    let log = scene.hub.take_log();
    assert_eq!(FakeHub::sent(&log), damaged.len());
    assert_eq!(FakeHub::parts(&log, T3), [0]);
    assert!(fs::read(&blob).unwrap() == damaged, "the cache was written to");
}

#[test]
fn models_share_files_of_the_same_bytes() {
    let mut scene = Scene::new();
    scene.own.push(own("other", "me/other"));
    for (name, bytes) in content() {
        scene.hub.put("me/other", name, &bytes);
    }
    let other = noise(77, 250_000);
    scene.hub.put("me/other", T3, &other);
    scene.pull_whole();
    scene.hub.take_log();
    let models = scene.models();
    models.pull("other", false, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(FakeHub::sent(&scene.hub.take_log()), other.len());
    models.remove(NAME).unwrap();
    assert_eq!(models.verify("other", &mut |_| ControlFlow::Continue(())).unwrap(), []);
}

#[test]
fn a_model_that_was_removed_is_gone_with_what_was_begun_of_it() {
    let scene = Scene::new();
    scene.pull_whole();
    let models = scene.models();
    assert!(models.remove(NAME).unwrap() > 400_000);
    scene.assert_not_published();
    let error = models.remove(NAME).unwrap_err();
    assert!(matches!(error, ModelsError::NotInstalled(_)), "{error}");
    assert!(error.to_string().contains("declaim models pull my-voice"), "{error}");
}

/// A folder with the model's files under their published names.
fn folder_of_files(scene: &Scene) -> PathBuf {
    let folder = scene.data.path().join("by-hand");
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in content() {
        fs::write(folder.join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn files_that_were_brought_by_hand_become_a_model() {
    let scene = Scene::new();
    let folder = folder_of_files(&scene);
    fs::write(folder.join("README.md"), "about").unwrap();
    let mut last = None;
    let manifest = scene.models().import(NAME, &folder, &mut |progress| {
        last = Some(progress.clone());
        ControlFlow::Continue(())
    });
    let manifest = manifest.unwrap();
    scene.assert_whole(&content());
    assert_eq!(manifest.files.len(), 8);
    assert!(manifest.files.iter().all(|entry| entry.revision.is_none()));
    let last = last.unwrap();
    assert_eq!((last.bytes_done, last.files_total), (last.bytes_total, 8));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 9, "the folder changed");
    assert_eq!(scene.hub.take_log(), []);
    assert!(matches!(scene.pull().unwrap(), Pulled::Already(_)));
}

#[test]
fn an_import_that_lacks_files_names_them_all() {
    let scene = Scene::new();
    let folder = folder_of_files(&scene);
    for name in ["ve.safetensors", "vocab.json", "conds.pt"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let error = scene.models().import(NAME, &folder, &mut |_| ControlFlow::Continue(())).unwrap_err();
    let ModelsError::Lacks { missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*missing, ["ve.safetensors or ve.pt", "vocab.json"]);
    scene.assert_not_published();
}

#[test]
fn an_import_of_other_files_than_the_published_ones_is_refused() {
    let scene = Scene::new();
    let folder = folder_of_files(&scene);
    let models = scene.models();
    let error = models.import("turbo", &folder, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ModelsError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains(T3), "{error}");
    assert!(!models.store().folder("turbo").exists());
    assert_eq!(length(&folder.join(T3)), 300_000);
}

#[test]
fn an_import_that_is_stopped_leaves_nothing() {
    let scene = Scene::new();
    let folder = folder_of_files(&scene);
    let error = scene.models().import(NAME, &folder, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(error, ModelsError::Cancelled));
    scene.assert_not_published();
    assert!(!scene.partial().exists());
    assert_eq!(length(&folder.join(S3GEN)), 120_000);
}

#[test]
fn a_folder_of_the_users_own_is_used_where_it_is() {
    let mut scene = Scene::new();
    let folder = folder_of_files(&scene);
    scene.own[0].repository = None;
    scene.own[0].folder = Some(folder.clone());
    let models = scene.models();
    let files = models.files(NAME).unwrap();
    assert_eq!(files.path(Role::T3), Some(folder.join(T3).as_path()));
    for error in [
        scene.pull().unwrap_err(),
        models.remove(NAME).unwrap_err(),
        models.import(NAME, &folder, &mut |_| ControlFlow::Continue(())).unwrap_err(),
    ] {
        assert!(matches!(error, ModelsError::OwnFolder { .. }), "{error}");
    }
    fs::remove_file(folder.join("merges.txt")).unwrap();
    let error = models.files(NAME).unwrap_err().to_string();
    assert!(error.ends_with("lacks merges.txt"), "{error}");
    let model = models.registry().find(NAME).unwrap();
    assert!(matches!(models.store().state(model), State::Damaged { .. }));
}
