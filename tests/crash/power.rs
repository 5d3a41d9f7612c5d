//! Loss of power: what was not synced is forgotten, in the database and in the files of chunks and results.
//!
//! One run of the server is cut at every one of its calls; then servers under load are cut at random moments, each taking
//! up what the disk has left of the one before.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use declaim::jobs::{Jobs, QueueSettings};
use serde_json::{Value, json};

use crate::client::request;
use crate::disk::{Call, Disk, Lie, Luck, promise, read_record};
use crate::ledger::{Ledger, digest};
use crate::server::Server;
use crate::witness::Facts;
use crate::{Dice, layers, load, number_from_env, play_round, seed, witness};

/// A data directory whose every call is recorded.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn new() -> Self {
        let recorded = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(recorded.data_dir()).unwrap();
        recorded
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("data")
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", layers::disk()),
            ("DISK_FOLDER", self.data_dir().to_str().unwrap().to_owned()),
            ("DISK_RECORD", self.record().to_str().unwrap().to_owned()),
        ]
    }

    fn start(&self) -> Server {
        Server::start_with(&self.data_dir(), &borrowed(&self.environment()))
    }

    /// Notes in the record that a client was promised something.
    fn promise(&self, words: &str) {
        let mut record = std::fs::OpenOptions::new().append(true).open(self.record()).unwrap();
        record.write_all(&promise(words)).unwrap();
    }

    fn calls(&self) -> Vec<Call> {
        read_record(&std::fs::read(self.record()).unwrap())
    }
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Every file of a folder, but for what processes share in memory.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_str().unwrap().ends_with("-shm") {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Chunks are spoken one after the other and each is noted before the next is begun; so of those that the record shows in
/// place, all but the last must have their rows, unless their job has ended or is gone.
fn lost_chunks(calls: &[Call], facts: &Facts) -> Vec<String> {
    let mut spoken = calls.iter().filter_map(|call| match call {
        Call::Rename { to, .. } if to.extension().is_some_and(|ending| ending == "wav") => {
            let folder = to.parent()?;
            let is_chunk = folder.parent()?.file_name()? == "chunks";
            is_chunk.then(|| {
                (folder.file_name().unwrap().to_str().unwrap(), to.file_stem().unwrap().to_str().unwrap())
            })
        }
        _ => None,
    });
    let mut spoken: Vec<(&str, &str)> = spoken.by_ref().collect();
    spoken.pop();
    let is_lost = |(id, position): &(&str, &str)| {
        let position: i64 = position.parse().unwrap();
        facts.jobs.get(*id).is_some_and(|job| {
            matches!(job.status.as_str(), "queued" | "running")
                && job.chunk_digests.iter().all(|(known, _)| *known != position)
        })
    };
    spoken
        .into_iter()
        .filter(is_lost)
        .map(|(id, position)| format!("chunk {position} of {id} is lost"))
        .collect()
}

/// What is wrong with what a loss of power has left.
fn damage(left: &Path, ledger: &Ledger, calls: &[Call]) -> Vec<String> {
    match witness::facts(left) {
        Ok(facts) => {
            let mut damage = ledger.broken(left, &facts);
            damage.extend(lost_chunks(calls, &facts));
            damage
        }
        Err(error) => vec![error],
    }
}

/// A client's day, noting in the record what it was promised.
fn use_everything(recorded: &Recorded, port: u16) {
    let texts = load::texts();
    let post = |path: &str, body: &Value| request(port, "POST", path, Some(body)).unwrap();
    let enqueue = |text: &str| {
        let body = json!({ "text": text, "chunk_size": 80, "seed": 7 });
        let id = post("/tts/enqueue", &body).json()["job_id"].as_str().unwrap().to_owned();
        recorded.promise(&format!("accepted {id} {text}"));
        id
    };
    let status = |id: &str| request(port, "GET", &format!("/tts/{id}/status"), None).unwrap().json();
    let wait = |id: &str, wanted: &str| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while status(id)["status"] != wanted {
            assert!(Instant::now() < deadline, "{}", status(id));
            std::thread::sleep(Duration::from_millis(5));
        }
        recorded.promise(&format!("{wanted} {id}"));
    };
    let long = enqueue(&texts[2]);
    let short = enqueue(&texts[0]);
    let unwanted = enqueue(&texts[3]);
    recorded.promise(&format!("cancelling {unwanted}"));
    assert_eq!(request(port, "DELETE", &format!("/tts/{unwanted}"), None).unwrap().status, 200);
    recorded.promise(&format!("cancelled {unwanted}"));
    let batch = json!({ "items": [texts[0], texts[0]], "chunk_size": 80, "seed": 7 });
    let batch = post("/api/batches", &batch).json()["batch_id"].as_str().unwrap().to_owned();
    recorded.promise(&format!("batch {batch}"));
    wait(&long, "completed");
    wait(&short, "completed");
    let again = post(&format!("/api/jobs/{short}/rerun"), &json!({ "seed": "same" }));
    let again = again.json()["job_id"].as_str().unwrap().to_owned();
    recorded.promise(&format!("accepted {again} {}", texts[0]));
    // Its files go before its row, so from here on it may have none.
    recorded.promise(&format!("deleting {short}"));
    assert_eq!(request(port, "DELETE", &format!("/api/jobs/{short}"), None).unwrap().status, 200);
    recorded.promise(&format!("deleted {short}"));
    wait(&again, "completed");
    let state = || request(port, "GET", &format!("/api/batches/{batch}"), None).unwrap().json();
    while state()["status"] != "completed" {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes a promise from the record into the ledger.
fn keep(ledger: &mut Ledger, words: &str) {
    let (what, rest) = words.split_once(' ').unwrap();
    let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let id = id.to_owned();
    match what {
        "accepted" => drop(ledger.accepted.insert(id, text.to_owned())),
        "batch" => drop(ledger.batches.insert(id)),
        "cancelling" => drop(ledger.perhaps_cancelled.insert(id)),
        "cancelled" => drop(ledger.cancelled.insert(id)),
        "completed" => drop(ledger.served.insert(id, (String::new(), String::new()))),
        "deleting" => drop(ledger.perhaps_deleted.insert(id)),
        "deleted" => drop(ledger.deleted.insert(id)),
        other => panic!("a promise of {other}"),
    }
}

/// Every call of a run is a moment at which the power may go. What clients were promised until then must be found, whatever
/// of the unsynced the disk has kept; and it must be found missing where the disk lies about syncs.
#[test]
fn power_may_go_at_any_call_and_every_promise_is_kept() {
    let mut dice = Dice(seed());
    let recorded = Recorded::new();
    let data_dir = recorded.data_dir();
    witness::prepare(&data_dir);
    let lies = [Lie::Database, Lie::Files, Lie::Folders];
    let mut honest = Disk::of(&data_dir, Lie::None);
    let mut lying = lies.map(|lie| (Disk::of(&data_dir, lie), 0_usize));
    let mut server = recorded.start();
    use_everything(&recorded, server.port());
    let reference = data_dir.join("outputs");
    let mut ledger = Ledger::default();
    let facts = witness::facts(&data_dir).unwrap();
    for job in facts.jobs.values().filter(|job| job.status == "completed") {
        let sound = std::fs::read(reference.join(job.output_file.as_ref().unwrap())).unwrap();
        ledger.sounds.insert(job.text.clone(), digest(&sound));
    }
    server.stop();

    let calls = recorded.calls();
    let left = recorded.folder.path().join("left");
    let leave = |disk: &Disk, luck: &mut Luck, check: &dyn Fn(&Path) -> Vec<String>| {
        disk.leave(&left, luck);
        let damage = check(&left);
        std::fs::remove_dir_all(&left).unwrap();
        damage
    };
    let (mut cuts, mut lied, mut writes) = (0, 0, 0);
    for number in 0..calls.len() {
        // Within a run of writes to one file every eighth will do.
        let is_write = matches!(calls[number], Call::Write { .. });
        writes = if is_write { writes + 1 } else { 0 };
        if writes % 8 == 0 {
            let check = |left: &Path| damage(left, &ledger, &calls[..number]);
            for luck in [&mut Luck::Nothing, &mut Luck::Some(&mut dice)] {
                cuts += 1;
                assert_eq!(
                    leave(&honest, luck, &check),
                    Vec::<String>::new(),
                    "before call {number} of {}: {:?}, {luck:?}",
                    calls.len(),
                    calls[number],
                );
            }
            if number % 16 == 0 {
                assert_eq!(leave(&honest, &mut Luck::Everything, &check), Vec::<String>::new());
                lied += 1;
                for (disk, damaged) in &mut lying {
                    *damaged += usize::from(!leave(disk, &mut Luck::Nothing, &check).is_empty());
                }
            }
        }
        honest.play(&calls[number]);
        for (disk, _) in &mut lying {
            disk.play(&calls[number]);
        }
        if let Call::Promise { words } = &calls[number] {
            keep(&mut ledger, words);
        }
    }
    // Nothing has passed the layer by.
    honest.leave(&left, &mut Luck::Everything);
    let (played, real) = (files(&left), files(&data_dir));
    assert!(played.keys().eq(real.keys()), "{:?} instead of {:?}", played.keys(), real.keys());
    for (name, bytes) in real {
        assert!(played[&name] == bytes, "{} differs from the record", name.display());
    }
    println!(
        "{cuts} losses of power at {} calls; by lies, damage at {:?} of {lied}",
        calls.len(),
        lying.each_ref().map(|(_, n)| n)
    );
    for (lie, (_, damaged)) in lies.iter().zip(&lying) {
        assert!(*damaged > 0, "{lie:?}: a disk that lies would not be noticed");
    }
}

/// The very first start, before anything was promised: whatever is left of it, the next start is one.
#[test]
fn power_may_go_at_any_call_of_the_first_start() {
    let mut dice = Dice(seed());
    let recorded = Recorded::new();
    let mut disk = Disk::of(&recorded.data_dir(), Lie::None);
    recorded.start().stop_when_ready();
    let left = recorded.folder.path().join("left");
    let calls = recorded.calls();
    for (number, call) in calls.iter().enumerate() {
        for luck in [&mut Luck::Nothing, &mut Luck::Some(&mut dice)] {
            disk.leave(&left, luck);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let opened = runtime.block_on(async {
                let jobs = Jobs::open(&left, QueueSettings::default()).await?;
                jobs.recover().await.unwrap();
                jobs.close().await;
                Ok::<_, declaim::jobs::OpenError>(())
            });
            assert!(opened.is_ok(), "before call {number}, {call:?}: {opened:?}");
            std::fs::remove_dir_all(&left).unwrap();
        }
        disk.play(call);
    }
    println!("{} losses of power", 2 * calls.len());
}

const ROUNDS: u64 = 60;
/// On one directory; then a new one, so that copying stays quick.
const ROUNDS_TOGETHER: u64 = 12;

#[test]
fn nothing_accepted_is_lost_however_often_the_power_goes() {
    let rounds = number_from_env("DECLAIM_POWER_ROUNDS").unwrap_or(ROUNDS);
    let mut dice = Dice(seed());
    let begun = Instant::now();
    let (mut accepted, mut served) = (0, 0);
    let mut sounds = BTreeMap::new();
    for epoch in 0..rounds.div_ceil(ROUNDS_TOGETHER) {
        let recorded = Recorded::new();
        let data_dir = recorded.data_dir();
        witness::prepare(&data_dir);
        let ledger = Mutex::new(Ledger::default());
        ledger.lock().unwrap().sounds = sounds;
        if epoch == 0 {
            let mut server = Server::start(&data_dir);
            load::learn_sounds(server.port(), &ledger);
            server.stop();
        }
        for round in 0..ROUNDS_TOGETHER.min(rounds - epoch * ROUNDS_TOGETHER) {
            let mut disk = Disk::of(&data_dir, Lie::None);
            play_round(&data_dir, round, &mut dice, &ledger, &borrowed(&recorded.environment()));
            let calls = if recorded.record().exists() { recorded.calls() } else { Vec::new() };
            let _ = std::fs::remove_file(recorded.record());
            for call in &calls {
                disk.play(call);
            }
            let mut luck = if round % 3 == 0 { Luck::Nothing } else { Luck::Some(&mut dice) };
            std::fs::remove_dir_all(&data_dir).unwrap();
            disk.leave(&data_dir, &mut luck);
            let damage = damage(&data_dir, &ledger.lock().unwrap(), &calls);
            assert_eq!(damage, Vec::<String>::new(), "epoch {epoch}, round {round}");
        }
        let mut server = Server::start(&data_dir);
        load::drain(server.port(), &ledger);
        server.stop();
        Server::start(&data_dir).stop_when_ready();
        let ledger = ledger.into_inner().unwrap();
        ledger.check_the_end(&data_dir);
        accepted += ledger.accepted.len();
        served += ledger.served.len();
        sounds = ledger.sounds;
    }
    println!(
        "{rounds} losses of power in {:.0?}: {accepted} jobs accepted, {served} results served",
        begun.elapsed()
    );
    assert!(accepted as u64 >= rounds / 2, "hardly any load; the rounds prove little");
}
