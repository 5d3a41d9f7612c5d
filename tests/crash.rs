//! The real server, killed with SIGKILL at random moments under load, round after round on one data directory.
//!
//! Clients write down what the server promised them: a 202 read to its end is a promise, a request that got no answer
//! is none. After each kill and after the last round the promises are compared with the disk: no accepted job is
//! missing, none completed twice, no finished chunk was redone, no partial file is served, nothing is left over.
//!
//! A run is repeated, as far as a random moment can be, with the seed it prints: `DECLAIM_CRASH_SEED=… cargo test
//! --test crash`; `DECLAIM_CRASH_ROUNDS=1000` is for a quiet night.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test; what the server complains of is shown beside it"
)]

#[path = "crash/breaking.rs"]
mod breaking;
#[path = "crash/client.rs"]
mod client;
#[path = "crash/server.rs"]
mod server;
#[path = "crash/witness.rs"]
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use server::Server;

const ROUNDS: u64 = 50;
const CLIENTS: u64 = 3;
/// Accepted jobs that are not known to have ended; beyond it clients only ask. Keeps the last drain short.
const OUTSTANDING: usize = 40;
const DRAIN_BOUND: Duration = Duration::from_secs(90);
/// The test model's: 80 ms at 24 kHz for each character.
const SAMPLES_PER_CHARACTER: usize = 1920;

/// What clients were promised.
#[derive(Debug, Default)]
struct Promises {
    /// Texts by id, from answers 202.
    accepted: BTreeMap<String, String>,
    /// From answers 200 to DELETE and 410 to a fetch.
    cancelled: BTreeSet<String>,
    /// Asked to cancel without an answer: either way is right.
    perhaps_cancelled: BTreeSet<String>,
    /// The bytes of a result, from the first time it was served.
    served: BTreeMap<String, Vec<u8>>,
}

impl Promises {
    fn outstanding(&self) -> usize {
        self.accepted.len() - self.served.len() - self.cancelled.len()
    }
}

/// xorshift64*: a few lines, and the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.roll() >> 11) % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound * 1000))
    }
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn nothing_accepted_is_lost_or_done_twice_however_often_the_server_is_killed() {
    let from_clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    let seed = number_from_env("DECLAIM_CRASH_SEED").unwrap_or_else(from_clock);
    let rounds = number_from_env("DECLAIM_CRASH_ROUNDS").unwrap_or(ROUNDS);
    println!("repeat with DECLAIM_CRASH_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    witness::prepare(data_dir);

    let promises = Mutex::new(Promises::default());
    let mut results = BTreeMap::new();
    for round in 0..rounds {
        play_round(data_dir, round, &mut dice, &promises);
        check_after_kill(data_dir, &promises.lock().unwrap(), &mut results);
    }
    let promises = promises.into_inner().unwrap();
    println!(
        "{rounds} kills: {} accepted, {} cancelled, {} results served meanwhile",
        promises.accepted.len(),
        promises.cancelled.len(),
        promises.served.len()
    );
    // Every second life gets as far as serving.
    assert!(promises.accepted.len() as u64 >= rounds / 2, "hardly any load; the rounds prove little");

    let mut server = Server::start(data_dir);
    drain(server.port(), &promises);
    server.stop();
    // The start cleans up what the kills left over.
    let mut server = Server::start(data_dir);
    let answer = client::request(server.port(), "GET", "/healthz", None).expect("the server runs");
    assert_eq!(answer.status, 200);
    server.stop();
    check_the_end(data_dir, &promises);
}

/// One life of the server, under load, up to its kill.
fn play_round(data_dir: &Path, round: u64, dice: &mut Dice, promises: &Mutex<Promises>) {
    let mut server = Server::start(data_dir);
    if round % 2 == 1 {
        // Into the start and the recovery, and what is just behind.
        std::thread::sleep(dice.millis(150));
        server.kill();
        return;
    }
    let port = server.port();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let seed = dice.roll() | 1;
            let stop = &stop;
            scope.spawn(move || load(port, Dice(seed), stop, promises));
        }
        // Every other life gets so far that no job has an unpardoned death left: the third in a row without a finished
        // chunk would rightly fail it.
        let deadline = Instant::now() + DRAIN_BOUND;
        while witness::has_unpardoned_deaths(data_dir) {
            assert!(Instant::now() < deadline, "the server lives and finishes no chunk");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(50) + dice.millis(450));
        server.kill();
        stop.store(true, Ordering::Relaxed);
    });
}

type Files = BTreeMap<PathBuf, (u64, SystemTime)>;

/// A client: enqueues, asks, fetches and cancels until the server is gone.
fn load(port: u16, mut dice: Dice, stop: &AtomicBool, promises: &Mutex<Promises>) {
    let mut shown: BTreeMap<String, u64> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let (outstanding, known) = {
            let promises = promises.lock().unwrap();
            // The oldest whose end is not known yet, and some that were fetched before.
            let is_open =
                |id: &&String| !promises.served.contains_key(*id) && !promises.cancelled.contains(*id);
            let open = promises.accepted.keys().filter(is_open).take(OUTSTANDING);
            let known: Vec<String> = open.chain(promises.served.keys().rev().take(4)).cloned().collect();
            (promises.outstanding(), known)
        };
        let alive = match dice.below(10) {
            0..=3 if outstanding < OUTSTANDING => enqueue(port, &mut dice, promises),
            4 if dice.below(30) == 0 => pick(&known, &mut dice).is_none_or(|id| cancel(port, id, promises)),
            5..=6 => pick(&known, &mut dice).is_none_or(|id| fetch(port, id, promises).is_some()),
            _ => pick(&known, &mut dice).is_none_or(|id| ask(port, id, &mut shown)),
        };
        if !alive {
            return;
        }
        std::thread::sleep(dice.millis(8));
    }
}

fn pick<'a>(ids: &'a [String], dice: &mut Dice) -> Option<&'a String> {
    if ids.is_empty() { None } else { ids.get(dice.below(ids.len() as u64) as usize) }
}

/// Each function below is false, or `None`, when the server died on the way.
fn enqueue(port: u16, dice: &mut Dice, promises: &Mutex<Promises>) -> bool {
    let words = ["wind", "stone", "river", "lantern", "harbour", "winter", "garden", "thunder"];
    let mut sentences = Vec::new();
    for _ in 0..=dice.below(4) {
        let mut word = || words[dice.below(words.len() as u64) as usize];
        let (first, second, third) = (word(), word(), word());
        sentences.push(format!("The {first} told the {second} about the {third} behind the old house."));
    }
    let text = sentences.join(" ");
    let body = json!({ "text": text, "voice_mode": "predefined", "predefined_voice_id": "voice.wav",
                       "split_text": true, "chunk_size": 80 });
    let Some(answer) = client::request(port, "POST", "/tts/enqueue", Some(&body)) else { return false };
    assert_eq!(answer.status, 202, "{}", answer.json());
    let id = answer.json()["job_id"].as_str().unwrap().to_owned();
    promises.lock().unwrap().accepted.insert(id, text);
    true
}

fn ask(port: u16, id: &str, shown: &mut BTreeMap<String, u64>) -> bool {
    let Some(answer) = client::request(port, "GET", &format!("/tts/{id}/status"), None) else { return false };
    assert_eq!(answer.status, 200, "an accepted job is missing: {id}");
    let status = answer.json();
    let progress = status["progress"].as_u64().unwrap();
    let before = shown.insert(id.to_owned(), progress).unwrap_or(0);
    assert!(progress >= before, "{id} fell from {before} to {progress} percent");
    assert_eq!(progress == 100, status["status"] == "completed", "{status}");
    true
}

fn cancel(port: u16, id: &str, promises: &Mutex<Promises>) -> bool {
    promises.lock().unwrap().perhaps_cancelled.insert(id.to_owned());
    let Some(answer) = client::request(port, "DELETE", &format!("/tts/{id}"), None) else { return false };
    match answer.status {
        200 => promises.lock().unwrap().cancelled.insert(id.to_owned()),
        409 => true,
        other => panic!("cancelling {id}: {other} {}", answer.json()),
    };
    true
}

/// The status of the answer. A result that is served is whole, and is the same ever after.
fn fetch(port: u16, id: &str, promises: &Mutex<Promises>) -> Option<u16> {
    let answer = client::request(port, "GET", &format!("/tts/{id}/result"), None)?;
    match answer.status {
        200 => {
            frames(id, &answer.body);
            let mut promises = promises.lock().unwrap();
            assert!(!promises.cancelled.contains(id), "{id} was cancelled and is served");
            let first = promises.served.entry(id.to_owned()).or_insert_with(|| answer.body.clone());
            assert!(*first == answer.body, "the result of {id} changed");
        }
        410 => {
            let mut promises = promises.lock().unwrap();
            assert!(promises.perhaps_cancelled.contains(id), "{id} is gone and nobody cancelled it");
            promises.cancelled.insert(id.to_owned());
        }
        425 => {}
        other => panic!("fetching {id}: {other} {}", answer.json()),
    }
    Some(answer.status)
}

/// The samples of a wav file that decodes to its end.
fn frames(id: &str, bytes: &[u8]) -> usize {
    let mut wav = hound::WavReader::new(Cursor::new(bytes)).unwrap_or_else(|error| panic!("{id}: {error}"));
    let told = wav.len() as usize;
    let mut read = 0;
    for sample in wav.samples::<i16>() {
        sample.unwrap_or_else(|error| panic!("{id}: {error}"));
        read += 1;
    }
    assert_eq!(read, told, "{id} is cut off");
    read
}

fn check_after_kill(data_dir: &Path, promises: &Promises, results: &mut Files) {
    let jobs = witness::jobs(data_dir);
    for id in promises.accepted.keys() {
        assert!(jobs.contains_key(id), "accepted and missing: {id}");
    }
    for id in &promises.cancelled {
        assert_eq!(jobs[id].status, "cancelled", "{id}");
    }
    let files = witness::files(data_dir);
    for (id, job) in &jobs {
        assert_ne!(job.status, "failed", "{id}: {:?}", job.error);
        assert!(job.completions <= 1, "completed twice: {id}");
        assert_eq!(job.chunks_redone, 0, "{id}");
        if job.status == "completed" {
            let path = data_dir.join("outputs").join(job.output_file.as_ref().unwrap());
            let now = *files.get(&path).unwrap_or_else(|| panic!("a row without its file: {id}"));
            assert_eq!(now.0 as i64, job.output_bytes.unwrap(), "{id}");
            let then = *results.entry(path).or_insert(now);
            assert_eq!(now, then, "the result of {id} was written again");
        }
    }
}

/// Waits until everything accepted has ended, and fetches it.
fn drain(port: u16, promises: &Promises) {
    let deadline = Instant::now() + DRAIN_BOUND;
    let promises = Mutex::new(Promises {
        accepted: promises.accepted.clone(),
        cancelled: promises.cancelled.clone(),
        perhaps_cancelled: promises.perhaps_cancelled.clone(),
        served: promises.served.clone(),
    });
    let ids: Vec<String> = promises.lock().unwrap().accepted.keys().cloned().collect();
    for id in ids {
        while fetch(port, &id, &promises).expect("the server runs") == 425 {
            assert!(Instant::now() < deadline, "not done after {DRAIN_BOUND:?}: {id}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn check_the_end(data_dir: &Path, promises: &Promises) {
    let jobs = witness::jobs(data_dir);
    let mut expected = BTreeSet::new();
    for (id, job) in &jobs {
        match job.status.as_str() {
            "completed" => {
                assert_eq!((job.completions, job.chunks_redone), (1, 0), "{id}");
                let path = data_dir.join("outputs").join(job.output_file.as_ref().unwrap());
                // Spoken whole, and joined whole with pauses between.
                let spoken = job.chunk_samples as usize;
                let characters: usize = job.chunk_texts.iter().map(|text| text.trim().chars().count()).sum();
                assert_eq!(spoken, characters * SAMPLES_PER_CHARACTER, "{id}");
                if let Some(text) = promises.accepted.get(id) {
                    assert_eq!(job.chunk_texts.join(" "), *text, "{id}");
                }
                let frames = frames(id, &std::fs::read(&path).unwrap());
                let pauses = job.chunk_texts.len() * 24_000;
                assert!(
                    (spoken * 98 / 100..=spoken + pauses).contains(&frames),
                    "{id}: {frames} for {spoken}"
                );
                expected.insert(path.with_extension("json"));
                expected.insert(path);
            }
            "cancelled" => assert!(promises.perhaps_cancelled.contains(id), "{id}"),
            other => panic!("{id} is {other} in the end: {:?}", job.error),
        }
    }
    let left: BTreeSet<PathBuf> = witness::files(data_dir).into_keys().collect();
    assert_eq!(left, expected, "files that no completed job speaks of, or the other way round");
    assert_eq!(witness::chunk_folders(data_dir), BTreeSet::new());
}
