//! The real server process, started and killed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Generous: a debug build on a busy machine.
const START_BOUND: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: mpsc::Receiver<u16>,
}

impl Server {
    /// Starts the server on a free port, with a model that hums a chunk in some tens of milliseconds.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// With more in its environment.
    pub(crate) fn start_with(data_dir: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_declaim"))
            .args(["serve", "--model", "tone", "--port", "0", "--data"])
            .arg(data_dir)
            .env("DECLAIM_TONE_MS_PER_TOKEN", "0.2")
            // What is left on the disk is counted.
            .env("DECLAIM_JOB_QUEUE__MAX_CHUNK_MB", "0")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (found, port) = mpsc::channel();
        read_lines(child.stdout.take().unwrap(), found.clone());
        read_lines(child.stderr.take().unwrap(), found);
        Self { child, port }
    }

    /// Waits until the server accepts connections and returns its port.
    pub(crate) fn port(&mut self) -> u16 {
        self.port
            .recv_timeout(START_BOUND)
            .unwrap_or_else(|_| panic!("no server after {START_BOUND:?}: see above"))
    }

    /// Its port, or nothing where it ends without having one.
    pub(crate) fn port_unless_it_ends(&mut self) -> Option<u16> {
        let deadline = Instant::now() + START_BOUND;
        loop {
            if let Ok(port) = self.port.recv_timeout(Duration::from_millis(20)) {
                return Some(port);
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "no server after {START_BOUND:?}: see above");
        }
    }

    /// Lets it take up what the one before left, then stops it.
    pub(crate) fn stop_when_ready(mut self) {
        let port = self.port();
        // Whoever answers also listens to signals.
        assert_eq!(crate::client::request(port, "GET", "/healthz", None).unwrap().status, 200);
        self.stop();
    }

    /// Waits until it has died by itself.
    pub(crate) fn wait_for_death(mut self) {
        let deadline = Instant::now() + START_BOUND;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the server did not die");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has in memory.
    pub(crate) fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Kills it as a loss of power would end it: no handler runs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and expects that it does, in good order.
    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        let deadline = Instant::now() + START_BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "the server ended with {status}");
                return;
            }
            assert!(Instant::now() < deadline, "the server does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only a failing test leaves one running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, so that the server never blocks on a full pipe; shows the lines when the test fails.
fn read_lines(pipe: impl Read + Send + 'static, found: mpsc::Sender<u16>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("http://127.0.0.1:") {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if let Ok(port) = digits.parse() {
                    let _ = found.send(port);
                }
            }
            // What cannot be spoken is told as an error to whoever fetches it, which is meant.
            let is_meant = line.contains("asked the test model to fail") || line.contains("response failed");
            if is_meant {
                continue;
            }
            if line.contains("ERROR") || line.contains("panicked") || line.starts_with("error") {
                println!("server: {line}");
            }
        }
    });
}
