//! A machine in trouble: a disk without room, a folder that is removed or cannot be written, a database that another process
//! holds, a clock that is set. Nothing that was accepted is lost, and what cannot be done is told.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::client::{Answer, request};
use crate::disk::{Call, read_record};
use crate::ledger::Ledger;
use crate::server::Server;
use crate::{Dice, client, layers, load, number_from_env, seed, side_by_side, witness};

/// Two chunks.
const TEXT: &str = "The wind told the stone about the river behind the old house. \
    The lantern told the harbour about the winter behind the old house.";

/// Of a single wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// Of every run: neither the bound on free space, which has a test of its own, nor retries help.
const PLAIN: [(&str, &str); 2] =
    [("DECLAIM_LIMITS__MIN_FREE_DISK_MB", "0"), ("DECLAIM_JOB_QUEUE__MAX_RETRIES", "0")];

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().canonicalize().unwrap().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    witness::prepare(&data_dir);
    (folder, data_dir)
}

fn enqueue(port: u16, text: &str) -> Option<Answer> {
    let body = json!({ "text": text, "chunk_size": 80, "seed": 7 });
    request(port, "POST", "/tts/enqueue", Some(&body))
}

fn accepted(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["job_id"].as_str().unwrap().to_owned()
}

/// Waits until a job has one of these states.
fn wait_for(port: u16, id: &str, wanted: &[&str]) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = request(port, "GET", &format!("/tts/{id}/status"), None).expect("the server runs");
        if answer.status == 200 && wanted.contains(&answer.json()["status"].as_str().unwrap()) {
            return answer.json();
        }
        assert!(Instant::now() < deadline, "never {wanted:?}: {}", answer.json());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Stops the server, lets another clean up, and looks at what is there.
fn check_the_end(server: Server, data_dir: &Path, ids: &[String]) {
    server.stop();
    Server::start(data_dir).stop_when_ready();
    let mut ledger = Ledger::default();
    ledger.accepted.extend(ids.iter().map(|id| (id.clone(), TEXT.to_owned())));
    ledger.check_the_end(data_dir);
}

/// The disk is full at a call that needs room, and at some more behind it, at ten places spread over the run of a server that
/// speaks a job; at more of them with `DECLAIM_FULL_PLACES=…`.
#[test]
fn a_disk_that_is_full_at_any_write_loses_nothing() {
    let places = number_from_env("DECLAIM_FULL_PLACES").unwrap_or(10);
    let mut dice = Dice(seed());
    let library = layers::disk();
    let calls = calls_that_need_room(&library);
    let stride = calls.div_ceil(places);
    // From which call on, and at how many.
    let full: Vec<(u64, u64)> = (dice.below(stride)..calls)
        .step_by(stride as usize)
        .map(|first| (first, 1 + dice.below(6)))
        .collect();
    let runs = side_by_side(&full, |full| fill_up(&library, *full));
    let sum = |count: fn(&Troubles) -> u64| runs.iter().map(count).sum::<u64>();
    println!(
        "{} of {calls} places: {} wishes refused, {} jobs waited for room, {} starts failed",
        runs.len(),
        sum(|run| run.refused),
        sum(|run| run.waited),
        sum(|run| run.died),
    );
}

/// What a client met.
#[derive(Debug, Default)]
struct Troubles {
    refused: u64,
    waited: u64,
    died: u64,
}

/// One run of a server on a disk that is full at so many calls from the first one on.
fn fill_up(library: &str, (first, count): (u64, u64)) -> Troubles {
    let mut met = Troubles::default();
    let (_folder, data_dir) = folder();
    let full = format!("{first} {count}");
    let mut environment = PLAIN.to_vec();
    environment.extend([
        ("LD_PRELOAD", library),
        ("DISK_FOLDER", data_dir.to_str().unwrap()),
        ("DISK_FULL", &full),
    ]);
    let mut server = Server::start_with(&data_dir, &environment);
    let Some(mut port) = server.port_unless_it_ends() else {
        // It said why, and somebody made room.
        met.died += 1;
        server = Server::start(&data_dir);
        let port = server.port();
        let id = accepted(&enqueue(port, TEXT).unwrap());
        wait_for(port, &id, &["completed"]);
        check_the_end(server, &data_dir, &[id]);
        return met;
    };
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        match enqueue(port, TEXT) {
            Some(answer) if answer.status == 202 => break answer,
            Some(answer) => {
                assert!([500, 507].contains(&answer.status), "{full}: {}", answer.json());
                met.refused += 1;
                assert!(Instant::now() < deadline, "{full}: it never gets well");
                std::thread::sleep(Duration::from_millis(50));
            }
            None => {
                met.died += 1;
                server = Server::start(&data_dir);
                port = server.port();
            }
        }
    };
    let id = accepted(&answer);
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        let status =
            request(port, "GET", &format!("/tts/{id}/status"), None).expect("the server runs").json();
        told |= status["waiting_for"].is_string() && status["status"] == "queued";
        match status["status"].as_str().unwrap() {
            "completed" => break,
            "failed" => panic!("{full}: {status}"),
            _ => assert!(Instant::now() < deadline, "{full}: {status}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    met.waited += u64::from(told);
    check_the_end(server, &data_dir, &[id]);
    met
}

/// How often a server that speaks one job asks for room.
fn calls_that_need_room(library: &str) -> u64 {
    let (folder, data_dir) = folder();
    let record = folder.path().join("record");
    let mut environment = PLAIN.to_vec();
    environment.extend([
        ("LD_PRELOAD", library),
        ("DISK_FOLDER", data_dir.to_str().unwrap()),
        ("DISK_RECORD", record.to_str().unwrap()),
    ]);
    let mut server = Server::start_with(&data_dir, &environment);
    let port = server.port();
    let id = accepted(&enqueue(port, TEXT).unwrap());
    wait_for(port, &id, &["completed"]);
    server.stop();
    let calls = read_record(&std::fs::read(record).unwrap());
    let needs_room =
        |call: &&Call| matches!(call, Call::Create { .. } | Call::Write { .. } | Call::MakeFolder { .. });
    calls.iter().filter(needs_room).count() as u64
}

#[test]
fn a_folder_of_results_that_is_removed_is_made_again() {
    let (_folder, data_dir) = folder();
    let mut server = Server::start_with(&data_dir, &[("DECLAIM_TONE_MS_PER_TOKEN", "2")]);
    let port = server.port();
    let first = accepted(&enqueue(port, TEXT).unwrap());
    wait_for(port, &first, &["running"]);
    std::fs::remove_dir_all(data_dir.join("outputs")).unwrap();
    // Both the one that is being spoken and one that comes now.
    let second = accepted(&enqueue(port, TEXT).unwrap());
    for id in [&first, &second] {
        wait_for(port, id, &["completed"]);
        assert_eq!(request(port, "GET", &format!("/tts/{id}/result"), None).unwrap().status, 200);
    }
    // What was there is gone, and is told to be.
    std::fs::remove_dir_all(data_dir.join("outputs")).unwrap();
    let gone = request(port, "GET", &format!("/tts/{first}/result"), None).unwrap();
    assert!([404, 410].contains(&gone.status), "{}: {}", gone.status, gone.json());
    server.stop();
}

#[test]
fn a_folder_of_results_that_cannot_be_written_is_told_and_costs_no_chunk() {
    let (folder, data_dir) = folder();
    let (library, thaw) = (layers::disk(), folder.path().join("thaw"));
    let outputs = data_dir.join("outputs");
    let mut environment = PLAIN.to_vec();
    environment.extend([
        ("LD_PRELOAD", library.as_str()),
        ("DISK_FOLDER", data_dir.to_str().unwrap()),
        ("DISK_FROZEN", outputs.to_str().unwrap()),
        ("DISK_THAW", thaw.to_str().unwrap()),
    ]);
    let mut server = Server::start_with(&data_dir, &environment);
    let port = server.port();
    let id = accepted(&enqueue(port, TEXT).unwrap());
    let status = wait_for(port, &id, &["failed"]);
    let error = status["error"].as_str().unwrap();
    assert!(error.contains("Read-only") && error.contains("outputs"), "{error}");
    std::fs::write(&thaw, "").unwrap();
    let retried = request(port, "POST", &format!("/api/jobs/{id}/retry"), Some(&json!({}))).unwrap();
    assert_eq!(retried.status, 200, "{}", retried.json());
    wait_for(port, &id, &["completed"]);
    check_the_end(server, &data_dir, &[id]);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Holds the write lock for so long.
fn hold_the_database(data_dir: &Path, for_so_long: Duration, held: &mpsc::Sender<()>) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(data_dir.join("declaim.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute("begin immediate").await.unwrap();
        held.send(()).unwrap();
        std::thread::sleep(for_so_long);
        connection.execute("rollback").await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn a_database_that_another_process_holds_delays_and_fails_nothing() {
    let (_folder, data_dir) = folder();
    let mut environment = PLAIN.to_vec();
    environment.push(("DECLAIM_TONE_MS_PER_TOKEN", "4"));
    let mut server = Server::start_with(&data_dir, &environment);
    let port = server.port();
    let running = accepted(&enqueue(port, TEXT).unwrap());
    wait_for(port, &running, &["running"]);
    // Longer than anybody waits for it.
    let (held, is_held) = mpsc::channel();
    let holding = std::thread::spawn({
        let data_dir = data_dir.clone();
        move || hold_the_database(&data_dir, Duration::from_secs(14), &held)
    });
    is_held.recv().unwrap();
    // Reading goes on.
    let begun = Instant::now();
    wait_for(port, &running, &["running"]);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Who sends is told to come again.
    let refused = enqueue(port, TEXT).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.json());
    assert!(
        refused.json()["detail"].as_str().unwrap().contains("another process")
            || refused.json()["detail"].as_str().unwrap().contains("Another process")
    );
    // Who waits a little less gets through.
    let sent = accepted(&enqueue(port, TEXT).unwrap());
    holding.join().unwrap();
    for id in [&running, &sent] {
        wait_for(port, id, &["completed"]);
    }
    check_the_end(server, &data_dir, &[running, sent]);
}

/// A wall clock that the test sets.
struct Clock(std::path::PathBuf);

impl Clock {
    const HOUR: i64 = 3600;

    fn set(&self, ahead_sec: i64) {
        // In place: the server has it mapped.
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.0).unwrap();
        file.write_all(&(ahead_sec * 1_000_000_000).to_le_bytes()).unwrap();
    }
}

#[test]
fn a_clock_that_is_set_back_or_forward_delays_and_loses_nothing() {
    let (folder, data_dir) = folder();
    let clock = Clock(folder.path().join("clock"));
    clock.set(0);
    let library = layers::clock();
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("CLOCK_OFFSET", clock.0.to_str().unwrap()),
        ("DECLAIM_JOB_QUEUE__CLEANUP_INTERVAL_SEC", "4"),
        ("DECLAIM_JOB_QUEUE__MAX_RETRIES", "2"),
        ("DECLAIM_WEBHOOKS__ALLOW_PRIVATE", "true"),
    ];
    let mut server = Server::start_with(&data_dir, &environment);
    let port = server.port();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let callback = format!("http://{}/done", listener.local_addr().unwrap());
    let send = |text: &str| {
        let body = json!({ "text": text, "chunk_size": 80, "seed": 7, "callback_url": callback });
        accepted(&request(port, "POST", "/tts/enqueue", Some(&body)).unwrap())
    };
    let called_back = || {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            if let Ok((mut stream, _)) = listener.accept() {
                stream.set_nonblocking(false).unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .unwrap();
                return;
            }
            assert!(Instant::now() < deadline, "nobody was called back");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut ids = Vec::new();
    // Hours back, one forward of that, and so on; each time jobs wait, run and are owed a call.
    for (step, ahead) in [0, -20, -19, 2, -1, 0].into_iter().enumerate() {
        let (first, second) = (send(TEXT), send(TEXT));
        clock.set(ahead * Clock::HOUR);
        let begun = Instant::now();
        let third = send(TEXT);
        for id in [&first, &second, &third] {
            let status = wait_for(port, id, &["completed"]);
            assert!(status["elapsed_sec"].as_f64().is_none_or(|elapsed| elapsed >= 0.0), "{status}");
            called_back();
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "step {step} took {:?}", begun.elapsed());
        ids.extend([first, second, third]);
    }
    // A clean-up sees a clock at which all before is old, and does not believe it; put right, it costs nothing.
    clock.set(24 * Clock::HOUR);
    std::thread::sleep(Duration::from_secs(3));
    clock.set(0);
    std::thread::sleep(Duration::from_secs(5));
    // A failure that waits to be tried again does not wait for the clock to catch up.
    let doomed = send(&load::texts()[7]);
    let deadline = Instant::now() + PATIENCE;
    while request(port, "GET", &format!("/tts/{doomed}/status"), None).unwrap().json()["waiting_for"]
        .is_null()
    {
        assert!(Instant::now() < deadline, "it is not tried again");
        std::thread::sleep(Duration::from_millis(5));
    }
    clock.set(-48 * Clock::HOUR);
    let begun = Instant::now();
    wait_for(port, &doomed, &["failed"]);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // In the order in which they came, whatever the clock said.
    let listed = client::request(port, "GET", "/api/jobs?limit=100", None).unwrap().json();
    let listed: Vec<&str> =
        listed["jobs"].as_array().unwrap().iter().rev().map(|job| job["job_id"].as_str().unwrap()).collect();
    ids.push(doomed);
    assert_eq!(listed, ids);
    // And were taken up in that order.
    let facts = witness::facts(&data_dir).unwrap();
    let mut started: Vec<&str> = Vec::new();
    for (id, kind) in facts.events.values() {
        if kind == "started" && !started.contains(&id.as_str()) {
            started.push(id);
        }
    }
    assert_eq!(started, ids);
    let ledger = Mutex::new(Ledger::default());
    ledger.lock().unwrap().accepted.extend(ids.iter().map(|id| (id.clone(), TEXT.to_owned())));
    let doomed = ids.last().unwrap().clone();
    ledger.lock().unwrap().accepted.insert(doomed, load::texts()[7].clone());
    load::drain(port, &ledger);
    server.stop();
}
