//! The real server, killed with SIGKILL at random moments under load, and cut off from its power, round after round on one
//! data directory.
//!
//! Clients write down what the server promised them: a 202 read to its end is a promise, a request that got no answer
//! is none. After each kill and after the last round the promises are compared with the disk: no accepted job is
//! missing, none completed twice, no finished chunk was redone, no partial file is served, nothing is left over.
//!
//! A run is repeated, as far as a random moment can be, with the seed it prints: `DECLAIM_CRASH_SEED=… cargo test
//! --test crash`; `scripts/torture` runs a thousand rounds.

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
#[cfg(target_os = "linux")]
#[path = "crash/disk.rs"]
mod disk;
#[cfg(target_os = "linux")]
#[path = "crash/layers.rs"]
mod layers;
#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/load.rs"]
mod load;
#[cfg(target_os = "linux")]
#[path = "crash/long.rs"]
mod long;
#[cfg(target_os = "linux")]
#[path = "crash/power.rs"]
mod power;
#[path = "crash/redo.rs"]
mod redo;
#[path = "crash/server.rs"]
mod server;
#[cfg(target_os = "linux")]
#[path = "crash/trouble.rs"]
mod trouble;
#[path = "crash/witness.rs"]
mod witness;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ledger::{Ledger, Seen, check_written_once};
use server::Server;

const ROUNDS: u64 = 100;
const CLIENTS: u64 = 4;
const DRAIN_BOUND: Duration = Duration::from_mins(2);

/// xorshift64*: a few lines, and the same numbers everywhere.
#[derive(Debug)]
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

/// Of this run: from the environment, else from the clock.
fn seed() -> u64 {
    let from_clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    let seed = number_from_env("DECLAIM_CRASH_SEED").unwrap_or_else(from_clock);
    println!("repeat with DECLAIM_CRASH_SEED={seed}");
    seed | 1
}

/// Does the same with each, two at a time for each processor, since servers wait for the disk and for their clients. What came
/// of each, in order.
fn side_by_side<T: Sync, R: Send>(each: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let lanes = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..lanes.min(each.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = each.get(index) else { break };
                    let result = work(one);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn nothing_accepted_is_lost_or_done_twice_however_often_the_server_is_killed() {
    let rounds = number_from_env("DECLAIM_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let mut dice = Dice(seed());
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    witness::prepare(data_dir);

    let ledger = Mutex::new(Ledger::default());
    let mut server = Server::start(data_dir);
    load::learn_sounds(server.port(), &ledger);
    server.stop();
    let mut seen = Seen::new();
    let begun = Instant::now();
    for round in 0..rounds {
        play_round(data_dir, round, &mut dice, &ledger, &[]);
        let facts = witness::facts(data_dir).unwrap();
        assert_eq!(ledger.lock().unwrap().broken(data_dir, &facts), Vec::<String>::new());
        check_written_once(data_dir, &facts, &mut seen);
        if round % 100 == 99 {
            let accepted = ledger.lock().unwrap().accepted.len();
            println!("{} kills, {accepted} jobs accepted, {:.0?}", round + 1, begun.elapsed());
        }
    }

    let mut server = Server::start(data_dir);
    load::drain(server.port(), &ledger);
    server.stop();
    // The start cleans up what the kills left over.
    Server::start(data_dir).stop_when_ready();
    let ledger = ledger.into_inner().unwrap();
    ledger.check_the_end(data_dir);
    println!(
        "{rounds} kills in {:.0?}: {} jobs accepted, {} cancelled, {} deleted, {} events heard; answers: {:?}",
        begun.elapsed(),
        ledger.accepted.len(),
        ledger.cancelled.len(),
        ledger.deleted.len(),
        ledger.heard.len(),
        ledger.answers,
    );
    // Every second life gets as far as serving.
    assert!(ledger.accepted.len() as u64 >= rounds / 2, "hardly any load; the rounds prove little");
}

/// One life of the server, under load, up to its kill.
fn play_round(
    data_dir: &Path,
    round: u64,
    dice: &mut Dice,
    ledger: &Mutex<Ledger>,
    environment: &[(&str, &str)],
) {
    let mut server = Server::start_with(data_dir, environment);
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
            scope.spawn(move || load::load(port, Dice(seed), stop, ledger));
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
