//! A data directory with tiny models of the family in it, laid out as people lay out theirs, and the real server on it.
//!
//! Their weights are the parity fixtures', random but whole: every network that a full model has is there, so what they say
//! is noise of the right length. Each brings a file that says which sizes differ from its architecture's.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than anything here may take; a debug build on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/chatterbox/tests/fixtures")
}

/// A tiny model's files: where each comes from among the fixtures, and its published name.
pub(crate) struct Tiny {
    pub(crate) architecture: &'static str,
    files: &'static [(&'static str, &'static str)],
}

pub(crate) const TURBO: Tiny = Tiny {
    architecture: "turbo",
    files: &[
        ("weights/t3_gpt2_tiny.safetensors", "t3_turbo_v1.safetensors"),
        ("weights/s3gen_meanflow_tiny.safetensors", "s3gen_meanflow.safetensors"),
        ("weights/ve_tiny.safetensors", "ve.safetensors"),
        ("e2e_turbo_conds.pt", "conds.pt"),
        ("tokenizers/gpt2/vocab.json", "vocab.json"),
        ("tokenizers/gpt2/merges.txt", "merges.txt"),
        ("tokenizers/gpt2/added_tokens.json", "added_tokens.json"),
        ("tokenizers/gpt2/tokenizer_config.json", "tokenizer_config.json"),
    ],
};

pub(crate) const ORIGINAL: Tiny = Tiny {
    architecture: "original",
    files: &[
        ("weights/t3_llama_tiny.safetensors", "t3_cfg.safetensors"),
        ("weights/s3gen_tiny.safetensors", "s3gen.safetensors"),
        ("weights/ve_tiny.safetensors", "ve.safetensors"),
        ("e2e_original_conds.pt", "conds.pt"),
        ("tokenizers/en_tokenizer_tiny.json", "tokenizer.json"),
    ],
};

impl Tiny {
    /// Every file with its bytes, `config.json` among them.
    pub(crate) fn content(&self) -> Vec<(&'static str, Vec<u8>)> {
        let read = |&(from, to): &(&str, &'static str)| (to, fs::read(fixtures().join(from)).unwrap());
        let mut content: Vec<_> = self.files.iter().map(read).collect();
        content.push(("config.json", self.changes().to_string().into_bytes()));
        content
    }

    /// What differs from the architecture's sizes; and a model of noise seldom stops by itself, so it is made to.
    fn changes(&self) -> Value {
        let mut t3 = json!({ "n_layer": 2, "n_head": 2, "n_embd": 32 });
        let more = match self.architecture {
            "original" => {
                json!({ "backbone": { "llama": { "feed_forward": 64, "aligned_heads": [[0, 1]] } } })
            }
            _ => json!({ "n_positions": 1200, "text_vocab_size": 320 }),
        };
        t3.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "t3": t3,
            "s3gen": {
                "encoder": { "output_size": 32, "attention_heads": 4, "linear_units": 64, "num_blocks": 2 },
                "estimator": {
                    "channels": [32], "num_heads": 4, "attention_head_dim": 8, "n_blocks": 2, "num_mid_blocks": 2,
                },
            },
            "mel2wav": { "base_channels": 32, "f0_predictor": { "cond_channels": 32 } },
            "clip": {
                "tokenizer": { "width": 64, "heads": 1, "layers": 2 },
                "speaker": { "initial": 16, "growth": 8, "bottleneck": 16 },
                "voice_encoder": { "width": 32 },
            },
            "sampling": { "max_new_tokens": 12 },
        })
    }

    /// Writes the files and returns the entry of `models:` that offers them under `name`.
    pub(crate) fn lay_out(&self, folder: &Path, name: &str) -> Value {
        fs::create_dir_all(folder).unwrap();
        for (file, bytes) in self.content() {
            fs::write(folder.join(file), bytes).unwrap();
        }
        json!({
            "name": name,
            "architecture": self.architecture,
            "folder": folder,
            "files": { "config": "config.json" },
        })
    }
}

/// The server's own process. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    url: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// On the CPU, with these settings as `config.yaml` (JSON is YAML).
    pub(crate) fn start(data: &Path, settings: &Value) -> Self {
        fs::write(data.join("config.yaml"), settings.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_declaim"))
            .args(["serve", "--port", "0", "--device", "cpu", "--data"])
            .arg(data)
            .env("HF_HUB_CACHE", data.join("no-cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, port) = mpsc::channel();
        read_lines(child.stdout.take().unwrap(), &log, found.clone());
        read_lines(child.stderr.take().unwrap(), &log, found);
        let port = port.recv_timeout(PATIENCE).unwrap();
        Self { child, url: format!("http://127.0.0.1:{port}"), log }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.url)).call().unwrap();
        answer.body_mut().read_json().unwrap()
    }

    /// Status and body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Vec<u8>) {
        self.post_as(path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn post_as(&self, path: &str, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let request = ureq::post(format!("{}{path}", self.url)).header("Content-Type", content_type);
        let mut answer = request.config().http_status_as_error(false).build().send(body).unwrap();
        let mut bytes = Vec::new();
        answer.body_mut().as_reader().read_to_end(&mut bytes).unwrap();
        (answer.status().as_u16(), bytes)
    }

    /// What `/api/model-info` says of a model; `None` while it is not offered.
    pub(crate) fn model(&self, name: &str) -> Option<Value> {
        let info = self.get("/api/model-info");
        info["models"].as_array().unwrap().iter().find(|model| model["name"] == name).cloned()
    }

    /// Lines of the log that hold this.
    pub(crate) fn logged(&self, what: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }

    /// Bytes of this process in memory.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the server's log:\n{}", self.log.lock().unwrap().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(pipe: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>, found: mpsc::Sender<u16>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("http://127.0.0.1:") {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let _ = digits.parse().map(|port| found.send(port));
            }
            log.lock().unwrap().push(line);
        }
    });
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
