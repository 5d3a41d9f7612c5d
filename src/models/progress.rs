//! How far a pull is, as values: phase, bytes, files, speed, time left. Whoever watches gets one now and then and answers
//! whether to go on; those who work write into one place and ask it whether they should stop.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// What a pull is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Asking the hub what the files are.
    #[default]
    Resolving,
    /// Reading what is on this machine already: an earlier try, another model, the hub's cache.
    Checking,
    Downloading,
    /// Everything is here; it is being put in place.
    Publishing,
}

/// A snapshot of a pull.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    pub phase: Phase,
    /// Bytes that are here, those of earlier tries included.
    pub bytes_done: u64,
    /// 0 until the hub has told all sizes.
    pub bytes_total: u64,
    pub files_done: usize,
    pub files_total: usize,
    /// The file that was worked on last.
    pub file: Option<String>,
    /// Over the last seconds, of what is downloaded; `None` while that says nothing yet.
    pub bytes_per_second: Option<f64>,
    pub seconds_left: Option<f64>,
    /// Why nothing moves at the moment, as a sentence.
    pub waiting: Option<String>,
}

impl Progress {
    /// The finished share, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.bytes_total == 0 { 0.0 } else { self.bytes_done as f64 / self.bytes_total as f64 }
    }
}

/// What the threads of a pull share: its progress so far, and whether it should stop.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    /// Bytes that came over the network, repeated ones included.
    downloaded: u64,
    meter: Meter,
    stop: bool,
}

impl Shared {
    /// A snapshot, with speed and time left worked out.
    pub(super) fn snapshot(&self, now: Instant) -> Progress {
        let mut state = self.state();
        let State { progress, downloaded, meter, .. } = &mut *state;
        let mut snapshot = progress.clone();
        if progress.phase == Phase::Downloading {
            let left = progress.bytes_total.saturating_sub(progress.bytes_done);
            snapshot.bytes_per_second = meter.speed(now, *downloaded);
            snapshot.seconds_left =
                snapshot.bytes_per_second.filter(|speed| *speed > 0.0).map(|speed| left as f64 / speed);
        }
        snapshot
    }

    pub(super) fn stop(&self) {
        self.state().stop = true;
        self.stopped.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state().stop
    }

    /// Waits, unless it is told to stop meanwhile. `why` is shown to whoever watches.
    pub(super) fn wait(&self, duration: Duration, why: &str) {
        let mut state = self.state();
        state.progress.waiting = Some(why.to_owned());
        let waited = self.stopped.wait_timeout_while(state, duration, |state| !state.stop);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.progress.waiting = None;
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.state().progress.phase = phase;
    }

    pub(super) fn expect(&self, files: usize, bytes: u64) {
        let mut state = self.state();
        state.progress.files_total = files;
        state.progress.bytes_total = bytes;
    }

    pub(super) fn begin_file(&self, file: &str) {
        self.state().progress.file = Some(file.to_owned());
    }

    pub(super) fn finish_file(&self) {
        self.state().progress.files_done += 1;
    }

    /// Bytes were found here.
    pub(super) fn found(&self, bytes: u64) -> ControlFlow<()> {
        let mut state = self.state();
        state.progress.bytes_done += bytes;
        if state.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Bytes came over the network.
    pub(super) fn received(&self, bytes: u64) -> ControlFlow<()> {
        self.state().downloaded += bytes;
        self.found(bytes)
    }

    /// Bytes turned out to be worth nothing.
    pub(super) fn lost(&self, bytes: u64) {
        let mut state = self.state();
        state.progress.bytes_done = state.progress.bytes_done.saturating_sub(bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain numbers; a panic elsewhere leaves them as true as they were.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the speed looks back.
const WINDOW: Duration = Duration::from_secs(10);

/// Works out a speed from "so many bytes were downloaded by now".
#[derive(Debug, Default)]
pub(super) struct Meter {
    readings: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// Bytes per second over the window; `None` before half a second has passed.
    pub(super) fn speed(&mut self, now: Instant, downloaded: u64) -> Option<f64> {
        // The oldest reading may be as old as the window, not older.
        while self.readings.front().is_some_and(|(then, _)| now.duration_since(*then) > WINDOW) {
            self.readings.pop_front();
        }
        self.readings.push_back((now, downloaded));
        let (then, before) = *self.readings.front()?;
        let elapsed = now.duration_since(then);
        (elapsed >= Duration::from_millis(500))
            .then(|| downloaded.saturating_sub(before) as f64 / elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_last_seconds_and_not_of_the_whole() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        assert_eq!(meter.speed(at(0.0), 0), None);
        assert_eq!(meter.speed(at(0.2), 100), None, "too early to tell");
        assert_eq!(meter.speed(at(1.0), 1000), Some(1000.0));
        // Fourteen seconds in which nobody asked.
        assert_eq!(meter.speed(at(15.0), 1000), None);
        assert_eq!(meter.speed(at(20.0), 1000), Some(0.0));
        assert_eq!(meter.speed(at(21.0), 7000), Some(1000.0));
    }

    #[test]
    fn a_snapshot_tells_the_share_the_speed_and_the_time_left() {
        let shared = Shared::default();
        let start = Instant::now();
        assert!(shared.snapshot(start).share().abs() < f64::EPSILON, "a share of nothing is nothing");
        shared.expect(2, 4000);
        assert!(shared.found(1000).is_continue());
        shared.enter(Phase::Downloading);
        shared.snapshot(start);
        assert!(shared.received(2000).is_continue());
        let snapshot = shared.snapshot(start + Duration::from_secs(1));
        assert!((snapshot.share() - 0.75).abs() < f64::EPSILON);
        assert_eq!((snapshot.bytes_per_second, snapshot.seconds_left), (Some(2000.0), Some(0.5)));
    }

    #[test]
    fn a_wait_ends_at_once_when_it_is_told_to_stop() {
        let shared = Shared::default();
        let started = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| shared.wait(Duration::from_mins(1), "the hub is busy"));
            while shared.snapshot(started).waiting.is_none() {
                std::thread::yield_now();
            }
            shared.stop();
        });
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(shared.found(1).is_break() && shared.snapshot(started).waiting.is_none());
    }
}
