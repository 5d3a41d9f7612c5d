//! Pulls that end well, some of them after a few mishaps.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use declaim::models::{Architecture, ModelsError, Phase, Pulled, Role};

use crate::hub::{COMMIT, FakeHub, Fault, sha256};
use crate::scene::{NAME, REPOSITORY, S3GEN, Scene, T3, content, length, noise, own};

#[test]
fn a_model_comes_whole_and_its_files_are_found_by_their_role() {
    let mut scene = Scene::new();
    scene.hub.require_token("hf_secret");
    scene.settings.token = Some("hf_secret".to_owned());
    let manifest = scene.pull_whole();
    assert!(!scene.hub.leaked(), "the token left the hub");
    assert_eq!(manifest.architecture, Architecture::Turbo);
    for (name, bytes) in content() {
        let entry = manifest.files.iter().find(|entry| entry.file == name).unwrap();
        assert_eq!((entry.size, &entry.sha256), (bytes.len() as u64, &sha256(&bytes)), "{name}");
        assert_eq!((entry.origin.as_str(), entry.revision.as_deref()), (REPOSITORY, Some(COMMIT)));
    }
    let files = scene.models().files(NAME).unwrap();
    assert_eq!(
        (files.architecture, files.languages.as_slice()),
        (Architecture::Turbo, &["en".to_owned()][..])
    );
    assert_eq!(files.path(Role::T3), Some(scene.folder().join(T3).as_path()));
    assert_eq!(files.path(Role::VoiceEncoder), Some(scene.folder().join("ve.safetensors").as_path()));
    assert_eq!(files.path(Role::Cangjie), None);
    assert_eq!(files.files.len(), 8);
}

#[test]
fn what_is_installed_is_not_asked_for_again() {
    let scene = Scene::new();
    scene.pull_whole();
    scene.hub.take_log();
    assert!(matches!(scene.pull().unwrap(), Pulled::Already(_)));
    assert_eq!(scene.hub.take_log(), []);
}

#[test]
fn all_files_are_taken_at_the_commit_that_the_branch_stood_at() {
    let scene = Scene::new();
    scene.pull_whole();
    let log = scene.hub.take_log();
    let revisions = |method: &str| -> Vec<String> {
        let asked = log.iter().filter(|asked| asked.method == method);
        asked.map(|asked| asked.revision.clone()).collect()
    };
    let mut heads = revisions("HEAD");
    assert_eq!(heads.remove(0), "main");
    assert!(heads.iter().chain(&revisions("GET")).all(|revision| revision == COMMIT), "{log:?}");
}

#[test]
fn a_line_that_breaks_is_taken_up_where_it_broke() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::BreakAfter(100_000), Fault::BreakAfter(150_000)]);
    scene.pull_whole();
    let log = scene.hub.take_log();
    assert_eq!(FakeHub::parts(&log, T3), [0, 100_000, 250_000]);
    let size: usize = content().iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(FakeHub::sent(&log), size, "something came twice");
}

#[test]
fn a_line_that_breaks_more_often_than_there_are_tries_still_gets_there() {
    let scene = Scene::new();
    // Thirty breaks with three tries: each brings something, so none counts against the next.
    scene.hub.faults(T3, &[const { Fault::BreakAfter(9_000) }; 30]);
    scene.pull_whole();
}

#[test]
fn a_server_that_does_not_do_parts_sends_the_whole_again() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::BreakAfter(100_000), Fault::IgnoreRange]);
    scene.pull_whole();
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0, 100_000]);
}

#[test]
fn a_busy_hub_is_asked_again_when_it_wishes() {
    let scene = Scene::new();
    let busy = Fault::Status(429, "Retry-After: 1\r\n");
    scene.hub.head_faults(T3, std::slice::from_ref(&busy));
    scene.hub.faults(S3GEN, &[busy, Fault::Status(503, ""), Fault::Status(500, "")]);
    let started = Instant::now();
    scene.pull_whole();
    assert!(started.elapsed() >= Duration::from_secs(2), "it was asked too early");
}

#[test]
fn wrong_bytes_are_thrown_away_and_fetched_again() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::WrongBytes]);
    scene.hub.faults("vocab.json", &[Fault::WrongBytes]);
    scene.pull_whole();
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0, 0]);
}

#[test]
fn a_beginning_of_wrong_bytes_is_found_out_at_the_end() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::BreakAfter(100_000), Fault::WrongBytes]);
    scene.pull_whole();
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0, 100_000, 0]);
}

#[test]
fn a_pull_that_was_stopped_goes_on_from_there() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(200_000)]);
    let error = scene.pull_until(|_| length(&scene.partial().join(T3)) == 200_000);
    assert!(matches!(error, ModelsError::Cancelled), "{error}");
    scene.hub.take_log();
    let mut last = None;
    let pulled = scene.models().pull(NAME, false, &mut |progress| {
        last = Some(progress.clone());
        ControlFlow::Continue(())
    });
    pulled.unwrap();
    scene.assert_whole(&content());
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [200_000]);
}

#[test]
fn a_silent_line_does_not_hold_up_who_wants_to_stop() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(50_000)]);
    let started = Instant::now();
    scene.pull_until(|_| length(&scene.partial().join(T3)) == 50_000);
    // The line may be silent for twenty seconds before it counts as broken.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_silent_line_counts_as_broken_after_a_while() {
    let mut scene = Scene::new();
    scene.settings.stall = Duration::from_millis(300);
    scene.hub.faults(T3, &[Fault::StallAfter(50_000)]);
    scene.pull_whole();
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0, 50_000]);
}

#[test]
fn a_file_that_changed_between_two_tries_is_not_mixed() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(200_000)]);
    scene.pull_until(|_| length(&scene.partial().join(T3)) == 200_000);
    let other = "fedcba9876543210fedcba9876543210fedcba98";
    let mut expected = content();
    expected[0].1 = noise(99, 310_000);
    for (name, bytes) in &expected {
        scene.hub.put_at(REPOSITORY, name, bytes, other);
    }
    scene.hub.take_log();
    scene.pull().unwrap();
    scene.assert_whole(&expected);
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0]);
}

#[test]
fn progress_counts_what_was_here_and_never_more_than_all() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(200_000)]);
    scene.pull_until(|_| length(&scene.partial().join(T3)) == 200_000);
    scene.hub.pace(T3, Duration::from_millis(40));
    let total: u64 = content().iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let mut seen = Vec::new();
    let pulled = scene.models().pull(NAME, false, &mut |progress| {
        seen.push(progress.clone());
        ControlFlow::Continue(())
    });
    pulled.unwrap();
    let moving: Vec<_> = seen.iter().filter(|progress| progress.phase == Phase::Downloading).collect();
    assert!(moving.len() > 3, "{seen:?}");
    assert!(moving.iter().all(|progress| progress.bytes_total == total && progress.files_total == 8));
    assert!(moving.iter().all(|progress| (200_000..=total).contains(&progress.bytes_done)), "{moving:?}");
    assert!(moving.is_sorted_by_key(|progress| progress.bytes_done));
    assert!(moving.iter().any(|progress| progress.bytes_per_second.is_some_and(|speed| speed > 1000.0)));
    assert!(moving.iter().any(|progress| progress.seconds_left.is_some()));
}

#[test]
fn parts_that_a_model_can_do_without_may_be_missing_and_pickles_stand_in() {
    let scene = Scene::new();
    // Only in this repository: what it lacks is looked for in the published one, which is not on this hub.
    for name in ["conds.pt", "tokenizer_config.json", "ve.safetensors"] {
        scene.hub.remove(REPOSITORY, name);
        scene.hub.put("ResembleAI/chatterbox-turbo", "README.md", b"x");
    }
    scene.hub.put(REPOSITORY, "ve.pt", &noise(5, 20_001));
    scene.pull().unwrap();
    let files = scene.models().files(NAME).unwrap();
    assert_eq!(files.path(Role::VoiceEncoder), Some(scene.folder().join("ve.pt").as_path()));
    assert_eq!((files.path(Role::Conds), files.path(Role::TokenizerConfig)), (None, None));
}

#[test]
fn a_file_in_a_folder_with_blanks_in_its_name_is_found() {
    let mut scene = Scene::new();
    scene.own = vec![own(NAME, REPOSITORY)];
    scene.own[0].files.insert("t3".to_owned(), "best run/t3 final.safetensors".to_owned());
    let bytes = noise(7, 30_000);
    scene.hub.put(REPOSITORY, "best%20run/t3%20final.safetensors", &bytes);
    scene.pull().unwrap();
    assert_eq!(std::fs::read(scene.folder().join("t3 final.safetensors")).unwrap(), bytes);
}

#[test]
fn refreshing_fetches_what_is_damaged_and_only_that() {
    let scene = Scene::new();
    scene.pull_whole();
    let mut damaged = std::fs::read(scene.folder().join(S3GEN)).unwrap();
    damaged[1000] ^= 1;
    std::fs::write(scene.folder().join(S3GEN), &damaged).unwrap();
    let models = scene.models();
    let damages = models.verify(NAME, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(damages.len(), 1);
    assert_eq!(
        (damages[0].file.as_str(), damages[0].problem.as_str()),
        (S3GEN, "holds other bytes than it should")
    );
    scene.hub.take_log();
    assert!(matches!(scene.pull().unwrap(), Pulled::Already(_)), "sizes alone do not show it");
    scene.refresh().unwrap();
    scene.assert_whole(&content());
    let fetched: Vec<String> =
        scene.hub.take_log().into_iter().filter(|asked| asked.sent > 0).map(|asked| asked.file).collect();
    assert_eq!(fetched, [S3GEN]);
}

#[test]
fn a_pull_mends_a_model_that_lost_a_file() {
    let scene = Scene::new();
    scene.pull_whole();
    std::fs::remove_file(scene.folder().join("vocab.json")).unwrap();
    assert!(matches!(scene.models().files(NAME), Err(ModelsError::Damaged { .. })));
    scene.hub.take_log();
    scene.pull_whole();
    assert_eq!(FakeHub::sent(&scene.hub.take_log()), content()[4].1.len());
}

#[test]
fn refreshing_brings_a_newer_revision_and_takes_over_what_did_not_change() {
    let scene = Scene::new();
    scene.pull_whole();
    let newer = "fedcba9876543210fedcba9876543210fedcba98";
    let mut expected = content();
    expected[4].1 = b"{\"b\": 0}".to_vec();
    for (name, bytes) in &expected {
        scene.hub.put_at(REPOSITORY, name, bytes, newer);
    }
    scene.hub.take_log();
    let Pulled::Installed(manifest) = scene.refresh().unwrap() else { panic!() };
    scene.assert_whole(&expected);
    assert!(manifest.files.iter().all(|entry| entry.revision.as_deref() == Some(newer)));
    assert_eq!(FakeHub::sent(&scene.hub.take_log()), expected[4].1.len());
}

#[test]
fn where_there_is_only_an_entity_tag_a_broken_line_is_taken_up_on_its_condition() {
    let scene = Scene::new();
    scene.hub.be_plain("");
    scene.hub.faults(T3, &[Fault::BreakAfter(100_000)]);
    let manifest = scene.pull_whole();
    assert!(manifest.files.iter().all(|entry| entry.revision.is_none()));
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0, 100_000]);
}

#[test]
fn where_there_is_only_an_entity_tag_a_file_that_changes_meanwhile_is_not_mixed() {
    let mut scene = Scene::new();
    scene.settings.stall = Duration::from_millis(500);
    scene.hub.be_plain("");
    scene.hub.faults(T3, &[Fault::StallAfter(100_000)]);
    let mut expected = content();
    expected[0].1 = noise(99, 300_000);
    let mut changed = false;
    let pulled = scene.models().pull(NAME, false, &mut |_progress| {
        if !changed && length(&scene.partial().join(T3)) == 100_000 {
            scene.hub.put(REPOSITORY, T3, &expected[0].1);
            changed = true;
        }
        ControlFlow::Continue(())
    });
    pulled.unwrap();
    assert!(changed);
    scene.assert_whole(&expected);
    let log = scene.hub.take_log();
    assert_eq!(FakeHub::parts(&log, T3), [0, 100_000]);
    let sent: Vec<usize> = log.iter().filter(|asked| asked.file == T3).map(|asked| asked.sent).collect();
    assert_eq!(sent, [100_000, 300_000], "the second answer is the whole, since the condition failed");
}

#[test]
fn where_nothing_tells_versions_apart_the_whole_is_fetched_again() {
    let scene = Scene::new();
    scene.hub.be_plain("W/");
    scene.hub.faults(T3, &[Fault::BreakAfter(100_000)]);
    scene.pull_whole();
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [0, 0]);
}

#[test]
fn the_watermark_is_asked_of_github_without_a_token_and_held_to_its_published_size() {
    const REPOSITORY: &str = "resemble-ai/Perth";
    const FILE: &str = "perth/perth_net/pretrained/implicit/perth_net_250000.pth.tar";
    let mut scene = Scene::new();
    let github = FakeHub::start();
    github.put_at(REPOSITORY, FILE, &noise(9, 20_000), "f369a01967960ac4fdf5f0741935756f8ae54e12");
    github.be_plain("");
    // By a name of its own, since the hub's token is for the hub alone.
    scene.settings.github = github.url.replace("127.0.0.1", "localhost");
    scene.settings.token = Some("secret".to_owned());
    let pulled = scene.models().pull("watermark", false, &mut |_| ControlFlow::Continue(()));
    let error = pulled.unwrap_err().to_string();
    assert!(error.contains("37429684") && error.contains("20000"), "{error}");
    assert!(!github.leaked(), "the token was shown to GitHub");
    assert!(scene.hub.take_log().is_empty(), "the hub has nothing to do with it");
    assert!(!scene.data.path().join("models/watermark").exists());
}
