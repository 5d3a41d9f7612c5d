//! Pulls that fail: each says what to do, and leaves nothing that looks like a model.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use declaim::models::{HubError, ModelsError};

use crate::hub::{FakeHub, Fault};
use crate::scene::{NAME, REPOSITORY, S3GEN, Scene, T3, content, length, own};

#[test]
fn a_missing_file_is_named_with_its_repository() {
    let scene = Scene::new();
    scene.hub.remove(REPOSITORY, T3);
    let error = scene.hub_failure();
    assert!(matches!(error, HubError::NotFound { .. }));
    assert_eq!(error.to_string(), format!("me/voice has no file {T3} at revision main"));
}

#[test]
fn a_revision_that_does_not_exist_is_named() {
    let mut scene = Scene::new();
    scene.own[0].revision = Some("dev".to_owned());
    let error = scene.hub_failure().to_string();
    assert_eq!(error, "the hub does not know me/voice at revision dev");
}

#[test]
fn a_repository_that_is_private_or_does_not_exist_asks_for_a_token() {
    let mut scene = Scene::new();
    scene.own = vec![own(NAME, "me/nothing")];
    let error = scene.hub_failure().to_string();
    assert!(error.contains("me/nothing") && error.contains("set HF_TOKEN"), "{error}");
    scene.settings.token = Some("wrong".to_owned());
    let error = scene.hub_failure().to_string();
    assert!(error.ends_with("check HF_TOKEN"), "{error}");
}

#[test]
fn a_gated_repository_is_answered_with_where_to_accept_its_terms() {
    let scene = Scene::new();
    scene.hub.head_faults(T3, &[Fault::Status(403, "X-Error-Code: GatedRepo\r\n")]);
    let error = scene.hub_failure();
    assert!(matches!(error, HubError::Gated { .. }));
    assert!(
        error.to_string().contains(&format!("accept its terms on {}/me/voice", scene.hub.url)),
        "{error}"
    );
}

#[test]
fn a_forbidden_download_repeats_the_hubs_reason() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::Status(403, "X-Error-Message: Access to this resource is disabled.\r\n")]);
    let error = scene.hub_failure().to_string();
    assert_eq!(error, "the hub forbids access to me/voice: Access to this resource is disabled.");
}

#[test]
fn a_hub_that_stays_broken_is_given_up_after_the_tries_and_what_came_is_kept() {
    let scene = Scene::new();
    let mut faults = vec![Fault::BreakAfter(100_000)];
    faults.extend([const { Fault::Status(500, "") }; 10]);
    scene.hub.faults(T3, &faults);
    let error = scene.hub_failure();
    let HubError::GaveUp { tries, source, .. } = &error else { panic!("{error:?}") };
    // The break brought something and counts as the first in a row of its own.
    assert_eq!(*tries, 4);
    assert!(matches!(**source, HubError::Busy { status: 500, .. }));
    assert_eq!(length(&scene.partial().join(T3)), 100_000);
    scene.hub.faults(T3, &[]);
    scene.hub.take_log();
    scene.pull_whole();
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [100_000]);
}

#[test]
fn a_hub_that_is_not_there_is_named_with_what_may_help() {
    let mut scene = Scene::new();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    scene.settings.endpoint = format!("http://127.0.0.1:{port}");
    let HubError::GaveUp { source, .. } = scene.hub_failure() else { panic!() };
    let error = source.to_string();
    assert_eq!(error, "127.0.0.1 cannot be reached; is this machine online, or does it need HTTPS_PROXY?");
}

#[test]
fn a_hub_that_wants_an_hour_is_not_waited_for() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::Status(429, "Retry-After: 3600\r\n")]);
    let started = Instant::now();
    let error = scene.hub_failure().to_string();
    assert_eq!(error, "the hub asks to come back in 3600 s; try again then");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_wait_for_the_hub_can_be_stopped() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::Status(429, "Retry-After: 300\r\n")]);
    let started = Instant::now();
    let error = scene.pull_until(|progress| progress.waiting.is_some());
    assert!(matches!(error, ModelsError::Cancelled));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_size_that_is_not_true_is_found_out_either_way() {
    for lie in [-1000, 1000] {
        let scene = Scene::new();
        scene.hub.lie(T3, lie);
        let error = scene.hub_failure();
        let HubError::WrongSize { expected, found, .. } = error else { panic!("{error:?}") };
        assert_eq!((expected, found), ((300_000 + lie) as u64, 300_000));
    }
}

#[test]
fn a_sign_in_page_is_no_model() {
    let scene = Scene::new();
    // As a file of nine bytes, "Not found", once was elsewhere.
    scene.hub.faults(T3, &[Fault::Page(9)]);
    let error = scene.hub_failure().to_string();
    assert!(error.contains("should have 300000 bytes, but 9 came"), "{error}");
    // Of the right size, too.
    scene.hub.faults(T3, &[Fault::Page(300_000), Fault::Page(300_000)]);
    assert!(matches!(scene.hub_failure(), HubError::WrongBytes { .. }));
}

#[test]
fn wrong_bytes_twice_are_an_error_and_are_not_kept() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::WrongBytes, Fault::WrongBytes]);
    let error = scene.hub_failure();
    assert!(matches!(error, HubError::WrongBytes { .. }), "{error}");
    assert_eq!(length(&scene.partial().join(T3)), 0);
    // What is right was kept: only this one is fetched.
    scene.hub.take_log();
    scene.pull_whole();
}

#[test]
fn a_hub_that_serves_another_file_than_the_published_one_is_not_believed() {
    let scene = Scene::new();
    let models = scene.models();
    let revision = "749d1c1a46eb10492095d68fbcf55691ccf137cd";
    scene.hub.put_at("ResembleAI/chatterbox-turbo", T3, &content()[0].1, revision);
    let error = models.pull("turbo", false, &mut |_| ControlFlow::Continue(())).unwrap_err();
    let ModelsError::Hub(HubError::Disagrees { what, expected, found, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((what, expected.as_str(), found.as_str()), ("its size", "1915480052", "300000"));
    assert!(!models.store().folder("turbo").exists());
}

#[test]
fn a_full_disk_is_told_before_the_first_byte_comes() {
    let mut scene = Scene::new();
    scene.settings.free_space = |_folder| Ok(64 << 20);
    let error = scene.failure();
    let ModelsError::DiskFull { needed, free, .. } = error else { panic!("{error:?}") };
    let size: u64 = content().iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!((needed, free), (size + (64 << 20), 64 << 20));
    assert_eq!(FakeHub::sent(&scene.hub.take_log()), 0);
    // What is here already needs no room.
    scene.settings.free_space = |_folder| Ok((64 << 20) + 200_000);
    scene.hub.faults(T3, &[Fault::StallAfter(280_000)]);
    assert!(matches!(scene.failure(), ModelsError::DiskFull { .. }));
    scene.settings.free_space = |_folder| Ok(u64::MAX);
    scene.pull_until(|_| length(&scene.partial().join(T3)) == 280_000);
    scene.settings.free_space = |_folder| Ok((64 << 20) + 200_000);
    scene.pull_whole();
}

#[test]
fn of_two_pulls_at_once_the_second_is_refused() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(50_000)]);
    let mut second = None;
    scene.pull_until(|_| {
        if length(&scene.partial().join(T3)) == 50_000 {
            second = Some(scene.pull());
        }
        second.is_some()
    });
    let error = second.unwrap().unwrap_err().to_string();
    assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    // The lock went with the first.
    scene.pull_whole();
}

#[test]
fn the_first_failure_stops_the_other_files_and_is_the_one_that_is_told() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(50_000)]);
    scene.hub.faults(S3GEN, &[Fault::Status(403, "")]);
    let started = Instant::now();
    let error = scene.hub_failure();
    assert!(matches!(error, HubError::Forbidden { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "the other file held it up");
}

#[test]
fn nothing_is_asked_of_the_hub_when_it_is_to_be_left_alone() {
    let mut scene = Scene::new();
    scene.settings.offline = true;
    let error = scene.hub_failure().to_string();
    assert_eq!(error, format!("HF_HUB_OFFLINE is set, and {T3} of me/voice is not on this machine"));
    assert_eq!(scene.hub.take_log(), []);
}
