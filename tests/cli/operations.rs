//! What somebody who runs a server does beside it: copies, checks, holds and drains it, and reads its log.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{PATIENCE, Server, declaim, err, out, run};

/// Every file of a folder into another one.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_backup_of_a_running_server_is_restored_as_the_manual_says() {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("backup.db");
    let name = file.to_str().unwrap();
    let server = Server::start(data.path(), |_| {});
    let done = server.enqueue("This was said before the backup.");
    server.wait_for(&done, "completed");
    run(data.path(), &["queue", "pause"]);
    let waits = server.enqueue("This waited while the backup was made.");

    let made = run(data.path(), &["backup", name]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(
        out(&made).contains("2 jobs, ") && out(&made).contains("copied and checked in"),
        "{}",
        out(&made)
    );
    let kept = fs::read(&file).unwrap();
    let again = run(data.path(), &["backup", name]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("is there already") && err(&again).contains("--force"), "{}", err(&again));
    assert_eq!(fs::read(&file).unwrap(), kept, "what was there is as it was");
    let lost = server.enqueue("This came after the backup.");
    assert_eq!(run(data.path(), &["backup", "--force", name]).status.code(), Some(0));
    fs::write(&file, &kept).unwrap();
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "nothing half-made is left");
    drop(server);

    // Another machine: the database, and the files beside it.
    let restored = tempfile::tempdir().unwrap();
    fs::copy(&file, restored.path().join("declaim.db")).unwrap();
    copy_folder(&data.path().join("outputs"), &restored.path().join("outputs"));
    let server = Server::start(restored.path(), |_| {});
    let (queue, json) = (run(restored.path(), &["queue", "status"]), ["jobs", "list", "--json"]);
    assert!(out(&queue).starts_with("paused: 1 queued, 0 running"), "{}", out(&queue));
    let listed: Value = serde_json::from_slice(&run(restored.path(), &json).stdout).unwrap();
    let ids: Vec<&str> =
        listed.as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [waits.as_str(), done.as_str()], "without {lost}");
    let mut audio = ureq::get(format!("{}/tts/{done}/result", server.url)).call().unwrap();
    assert!(audio.body_mut().read_to_vec().unwrap().len() > 1000);
    run(restored.path(), &["queue", "resume"]);
    server.wait_for(&waits, "completed");
}

#[test]
fn a_backup_says_what_it_cannot_do() {
    let data = tempfile::tempdir().unwrap();
    let nothing = run(data.path(), &["backup", "x.db"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(err(&nothing).contains("there is no job database in"), "{}", err(&nothing));
    drop(Server::start(data.path(), |_| {}));
    let nowhere = run(data.path(), &["backup", "not/there/x.db"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(err(&nowhere).contains("cannot create"), "{}", err(&nowhere));

    // A database that was damaged on the disk is not copied as if it were well. Listing folds SQLite's log into it.
    run(data.path(), &["jobs", "list"]);
    let path = data.path().join("declaim.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let damaged = run(data.path(), &["backup", "x.db"]);
    assert_eq!(damaged.status.code(), Some(1), "{}", out(&damaged));
    assert!(!data.path().join("x.db").exists());
}

#[test]
fn doctor_compares_the_database_with_the_files_in_both_directions() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), |_| {});
    let id = server.enqueue("Something to be lost.");
    server.wait_for(&id, "completed");
    drop(server);
    let well = out(&run(data.path(), &["doctor"]));
    assert!(well.contains("ok    database: 1 jobs, sound"), "{well}");
    assert!(well.contains("ok    files: as the database says"), "{well}");

    let outputs = data.path().join("outputs");
    let stranger = "01900000-0000-7000-8000-000000000000.wav";
    fs::write(outputs.join(stranger), "nobody's").unwrap();
    let orphaned = out(&run(data.path(), &["doctor"]));
    assert!(orphaned.contains("note  files: 1 that no job needs"), "{orphaned}");

    let result = outputs.join(format!("{id}.wav"));
    let audio = fs::read(&result).unwrap();
    fs::write(&result, &audio[..100]).unwrap();
    let lost = run(data.path(), &["doctor"]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(out(&lost).contains("BAD   files: the audio of 1 completed jobs is gone"), "{}", out(&lost));

    let path = data.path().join("declaim.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let damaged = run(data.path(), &["doctor"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(out(&damaged).contains("BAD   database: "), "{}", out(&damaged));
}

#[test]
fn draining_waits_for_what_is_there_and_its_exit_code_tells() {
    let data = tempfile::tempdir().unwrap();
    let nobody = run(data.path(), &["queue", "drain"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(err(&nobody).contains("there are no jobs in"), "{}", err(&nobody));

    let server = Server::start(data.path(), |command| {
        command.env("DECLAIM_TONE_MS_PER_TOKEN", "10");
    });
    let long = server.enqueue(&"This takes its time to be spoken. ".repeat(20));
    server.wait_for(&long, "running");
    let short = run(data.path(), &["queue", "drain", "--within", "0"]);
    assert_eq!(short.status.code(), Some(1));
    assert!(err(&short).contains("1 jobs are left; they are kept"), "{}", err(&short));
    let refused = ureq::post(format!("{}/tts/enqueue", server.url))
        .config()
        .http_status_as_error(false)
        .build()
        .send_json(serde_json::json!({ "text": "x" }))
        .unwrap();
    assert_eq!(refused.status().as_u16(), 503);
    // At the server this time, while it goes on.
    run(data.path(), &["jobs", "cancel", &long]);
    let drained = run(data.path(), &["queue", "drain", "--server", &server.url, "--json"]);
    assert_eq!(drained.status.code(), Some(0), "{}", err(&drained));
    let queue: Value = serde_json::from_slice(&drained.stdout).unwrap();
    assert_eq!((&queue["state"], &queue["queued"]), (&"draining".into(), &0.into()));
    drop(server);

    let stopped = run(data.path(), &["queue", "drain"]);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(err(&stopped).contains("no server is running on"), "{}", err(&stopped));
    let server = Server::start(data.path(), |_| {});
    let id = server.enqueue("The next start takes jobs again.");
    server.wait_for(&id, "completed");
}

#[test]
fn every_log_line_of_a_job_bears_its_id_as_json_too() {
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("log");
    let server = Server::start(data.path(), |command| {
        command.args(["--log-format", "json", "--log", "debug"]);
        command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    });
    let done = server.enqueue("One. Two.");
    server.wait_for(&done, "completed");
    let failed = server.enqueue("This [fail] fails.");
    server.wait_for(&failed, "failed");
    let begun = Instant::now();
    let lines = loop {
        let text = fs::read_to_string(&log).unwrap();
        if text.contains("job failed") && text.ends_with('\n') {
            break text;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| -> Vec<&str> {
        let is_its = |line: &&Value| {
            line["spans"]
                .as_array()
                .is_some_and(|spans| spans.iter().any(|span| span["name"] == "job" && span["id"] == id))
        };
        let said = lines.iter().filter(is_its).filter_map(|line| line["message"].as_str());
        said.filter(|message| message.starts_with("job ")).collect()
    };
    assert_eq!(of(&done), ["job started", "job completed"]);
    assert_eq!(of(&failed), ["job started", "job failed"]);
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        let says = line["message"].as_str().unwrap_or_default();
        let has_job =
            line["spans"].as_array().is_some_and(|spans| spans.iter().any(|span| span["name"] == "job"));
        assert!(!says.starts_with("job ") || has_job, "{line}");
    }
    let wrong = declaim(data.path()).args(["jobs", "list", "--log-format", "xml"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("text or json"), "{}", err(&wrong));
}

#[test]
fn warnings_of_a_job_bear_its_id_where_nothing_else_is_logged() {
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("log");
    let server = Server::start(data.path(), |command| {
        command.args(["--log", "warn"]);
        command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    });
    let failed = server.enqueue("This [fail] fails.");
    server.wait_for(&failed, "failed");
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(&log).unwrap();
        if let Some(line) = text.lines().find(|line| line.contains("job failed")) {
            assert!(line.contains(&failed), "{line}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
