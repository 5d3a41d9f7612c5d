//! `declaim models` as people run it: the real program, its words, its exit codes, and its death in the middle.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hub::{FakeHub, Fault};
use crate::scene::{NAME, Scene, T3, content, length};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program on the scene's data and hub, untouched by this machine's environment.
pub(crate) fn declaim(scene: &Scene, arguments: &[&str]) -> Command {
    let config = format!(
        "models:\n  - {{ name: {NAME}, architecture: turbo, repository: me/voice }}\nhub:\n  endpoint: {}\n  retry_wait_sec: 0.01\n",
        scene.settings.endpoint
    );
    std::fs::write(scene.data.path().join("config.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_declaim"));
    let ours = |name: &str| {
        ["DECLAIM_", "HF_", "HUGGING"].iter().any(|prefix| name.starts_with(prefix))
            || name.to_lowercase().ends_with("_proxy")
            || name == "SSL_CERT_FILE"
    };
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.env("DECLAIM_DATA", scene.data.path()).env("HOME", scene.data.path()).args(arguments);
    command.stdin(Stdio::null());
    command
}

fn run(scene: &Scene, arguments: &[&str]) -> Output {
    declaim(scene, arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn begin_pull(scene: &Scene) -> Child {
    let mut command = declaim(scene, &["models", "pull", NAME]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for_bytes(path: &Path, at_least: u64) {
    let started = Instant::now();
    while length(path) < at_least {
        assert!(started.elapsed() < PATIENCE, "{} bytes came", length(path));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_installed_is_answered_with_what_to_do() {
    let scene = Scene::new();
    let output = run(&scene, &["models", "list"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("declaim models pull nano"), "{text}");
    let turbo = text.lines().find(|line| line.starts_with("turbo ")).unwrap();
    assert!(turbo.contains("2.99 GB") && turbo.contains("English, fast on a GPU"), "{turbo}");
    assert!(text.starts_with("name ") && text.contains("speed: seconds of speech in a second"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("my-voice ") && line.contains(" ? ")), "{text}");
}

#[test]
fn pull_list_verify_and_remove_say_what_they_did() {
    let scene = Scene::new();
    let pulled = run(&scene, &["models", "pull", NAME]);
    assert_eq!(pulled.status.code(), Some(0), "{}", err(&pulled));
    assert!(out(&pulled).starts_with("my-voice: installed, 455 KB in "), "{}", out(&pulled));
    scene.assert_whole(&content());
    let again = run(&scene, &["models", "pull", NAME]);
    assert_eq!(out(&again), "my-voice: already installed; --refresh checks every byte\n");
    let listed = run(&scene, &["models", "list", "--json"]);
    let list: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let model = list.as_array().unwrap().iter().find(|model| model["name"] == NAME).unwrap();
    assert_eq!(model["state"], "installed");
    assert_eq!(model["size_bytes"], 455_066);
    let well = run(&scene, &["models", "verify"]);
    assert_eq!(
        (well.status.code(), out(&well).as_str()),
        (Some(0), "my-voice: every byte is as it should be\n")
    );
    std::fs::remove_file(scene.folder().join("vocab.json")).unwrap();
    let damaged = run(&scene, &["models", "verify", NAME]);
    assert_eq!(damaged.status.code(), Some(1));
    assert_eq!(out(&damaged), "my-voice: vocab.json is missing\n");
    assert!(err(&damaged).contains("--refresh"), "{}", err(&damaged));
    let removed = run(&scene, &["models", "remove", NAME]);
    assert_eq!(removed.status.code(), Some(0), "{}", err(&removed));
    assert!(out(&removed).starts_with("my-voice: removed, 45"), "{}", out(&removed));
    assert!(!scene.folder().exists());
}

#[test]
fn an_import_works_without_a_hub() {
    let scene = Scene::new();
    let folder = scene.data.path().join("stick");
    std::fs::create_dir(&folder).unwrap();
    for (name, bytes) in content() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let imported = run(&scene, &["models", "import", NAME, folder.to_str().unwrap()]);
    assert_eq!(imported.status.code(), Some(0), "{}", err(&imported));
    scene.assert_whole(&content());
    assert_eq!(scene.hub.take_log(), []);
    let lacking = run(&scene, &["models", "import", "nano", folder.to_str().unwrap()]);
    assert_eq!(lacking.status.code(), Some(1));
    assert!(err(&lacking).contains("lacks t3_nano_v1.safetensors"), "{}", err(&lacking));
}

#[test]
fn wrong_names_and_wrong_entries_are_wrong_use() {
    let scene = Scene::new();
    let unknown = run(&scene, &["models", "pull", NAME, "tubro"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        err(&unknown).contains("there is no model \"tubro\"; the models are nano, turbo,"),
        "{}",
        err(&unknown)
    );
    assert_eq!(scene.hub.take_log(), [], "the first was begun though the second is wrong");
    let file = scene.data.path().join("own.yaml");
    std::fs::write(&file, "models:\n  - { name: a, architecture: turbo, repository: me/a, file: x }\n")
        .unwrap();
    let wrong = run(&scene, &["models", "list", "--config", file.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("models, number 1: unknown field `file`"), "{}", err(&wrong));
    std::fs::write(&file, "models:\n  - { name: a, architecture: tarbo, repository: me/a }\n").unwrap();
    let wrong = run(&scene, &["models", "list", "--config", file.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("did you mean \"turbo\"?"), "{}", err(&wrong));
}

#[test]
fn a_pull_that_is_killed_in_the_middle_publishes_nothing_and_is_taken_up() {
    let scene = Scene::new();
    for round in 1..=3_u64 {
        scene.hub.faults(T3, &[Fault::StallAfter(90_000)]);
        let mut child = begin_pull(&scene);
        wait_for_bytes(&scene.partial().join(T3), 90_000 * round);
        // SIGKILL: nobody tidies up.
        child.kill().unwrap();
        child.wait().unwrap();
        scene.assert_not_published();
    }
    // A request is logged when its line is dead, which the hub learns a little later.
    let (started, mut log) = (Instant::now(), Vec::new());
    while FakeHub::parts(&log, T3).len() < 3 && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
        log.append(&mut scene.hub.take_log());
    }
    assert_eq!(FakeHub::parts(&log, T3), [0, 90_000, 180_000]);
    let pulled = run(&scene, &["models", "pull", NAME]);
    assert_eq!(pulled.status.code(), Some(0), "{}", err(&pulled));
    scene.assert_whole(&content());
    assert_eq!(FakeHub::parts(&scene.hub.take_log(), T3), [270_000]);
}

#[test]
fn of_two_programs_that_pull_the_same_model_the_second_is_refused() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(90_000)]);
    let mut first = begin_pull(&scene);
    wait_for_bytes(&scene.partial().join(T3), 90_000);
    for arguments in [&["models", "pull", NAME][..], &["models", "remove", NAME]] {
        let second = run(&scene, arguments);
        assert_eq!(second.status.code(), Some(1));
        assert!(err(&second).contains(&format!("(process {})", first.id())), "{}", err(&second));
    }
    first.kill().unwrap();
    first.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_pull_and_says_that_it_goes_on_later() {
    let scene = Scene::new();
    scene.hub.faults(T3, &[Fault::StallAfter(90_000)]);
    let mut child = begin_pull(&scene);
    wait_for_bytes(&scene.partial().join(T3), 90_000);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(told.contains("the next pull goes on from there"), "{told}");
    scene.assert_not_published();
    assert_eq!(length(&scene.partial().join(T3)), 90_000);
}

#[test]
fn the_cache_and_the_token_of_hugging_faces_programs_are_found_by_their_variables() {
    let scene = Scene::new();
    scene.hub.require_token("hf_secret");
    let refused = run(&scene, &["models", "pull", NAME]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("set HF_TOKEN"), "{}", err(&refused));
    // Where `hf auth login` leaves it.
    let home = scene.data.path().join(".cache/huggingface");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("token"), "hf_secret\n").unwrap();
    let pulled = run(&scene, &["models", "pull", NAME]);
    assert_eq!(pulled.status.code(), Some(0), "{}", err(&pulled));
    assert!(!scene.hub.leaked());
    let offline = declaim(&scene, &["models", "pull", "nano"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(err(&offline).contains("HF_HUB_OFFLINE is set"), "{}", err(&offline));
}
