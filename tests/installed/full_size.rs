//! Full-size models from files laid out as they are published, through the same path as downloaded ones: `declaim say` speaks
//! with the built-in voice, and with the voice of a clip, which is computed once.
//!
//! Their weights are random (made by formula), so what they say is noise, and they stop by a bound that is set here; that it
//! has the right length, that nothing is missing and how long it takes is what is seen here. Ignored, since each takes gigabytes:
//! `cargo test --workspace --test installed -- --ignored --nocapture`; `DECLAIM_KEEP_MODELS=DIR` keeps the files, one folder
//! for each architecture, for `declaim --data` and `bench_reference.py --weights-dir`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use chatterbox::weights::formula;
use serde_json::json;

fn chatterbox_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/chatterbox/tests")
}

/// Writes a safetensors file of f32 tensors with the names and shapes of a listing, values by formula, one at a time.
fn write_weights(path: &Path, listing: &str, key: &str) {
    let listing = chatterbox_tests().join(format!("state_dicts/{listing}.json"));
    let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_slice(&fs::read(listing).unwrap()).unwrap();
    let mut end = 0;
    let header: BTreeMap<&String, serde_json::Value> = shapes
        .iter()
        .map(|(name, shape)| {
            let start = end;
            end += 4 * shape.iter().product::<usize>();
            (name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }))
        })
        .collect();
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    for (name, shape) in &shapes {
        for value in formula::values(key, name, shape) {
            file.write_all(&value.to_le_bytes()).unwrap();
        }
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

/// What is published of a model: its T3 and S3Gen (listing, formula key and file name each), tokenizer files and a voice.
struct Published {
    architecture: &'static str,
    t3: (&'static str, &'static str, &'static str),
    s3gen: (&'static str, &'static str, &'static str),
    tokenizer: &'static [(&'static str, &'static str)],
    conds: &'static str,
}

/// Speech tokens at most: 4 s. A published model stops by itself, noise does not.
const TOKENS: usize = 100;

const GPT2: &[(&str, &str)] = &[
    ("gpt2/vocab.json", "vocab.json"),
    ("gpt2/merges.txt", "merges.txt"),
    ("gpt2/added_tokens.json", "added_tokens.json"),
    ("gpt2/tokenizer_config.json", "tokenizer_config.json"),
];

fn speaks(published: &Published) {
    let data = tempfile::tempdir().unwrap();
    // Kept where somebody wants to measure more than this does; gigabytes otherwise.
    let kept = std::env::var_os("DECLAIM_KEEP_MODELS").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(data.path()).join(published.architecture);
    fs::create_dir_all(&folder).unwrap();
    for (listing, key, name) in [published.t3, published.s3gen, ("ve", "ve", "ve.safetensors")] {
        write_weights(&folder.join(name), listing, key);
    }
    let fixtures = chatterbox_tests().join("fixtures");
    for (from, to) in published.tokenizer {
        fs::copy(fixtures.join("tokenizers").join(from), folder.join(to)).unwrap();
    }
    fs::copy(fixtures.join(published.conds), folder.join("conds.pt")).unwrap();
    let changes = json!({ "sampling": { "max_new_tokens": TOKENS } });
    fs::write(folder.join("config.json"), changes.to_string()).unwrap();
    let entry = json!({ "models": [{
        "name": "mine",
        "architecture": published.architecture,
        "folder": folder,
        "files": { "config": "config.json" },
    }], "model": { "name": "mine" }, "generation_defaults": { "retakes": 0 } });
    fs::write(data.path().join("config.yaml"), entry.to_string()).unwrap();

    let declaim = |arguments: &[&str]| {
        let started = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_declaim"));
        let output = command.arg("--data").arg(data.path()).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        println!(
            "{}: {arguments:?}: {:.1} s\n{said}",
            published.architecture,
            started.elapsed().as_secs_f32()
        );
        said
    };
    let out = data.path().join("out.wav");
    let say = |voice: &[&str]| {
        let out = out.to_str().unwrap();
        declaim(&[&["say", "Hello.", "--device", "cpu", "--seed", "7", "-o", out], voice].concat());
        let mut wav = hound::WavReader::open(out).unwrap();
        assert_eq!(wav.spec().sample_rate, 24_000);
        let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
        assert!(samples.iter().any(|sample| sample.unsigned_abs() > 100), "it is silent");
        // Silence at both ends is trimmed.
        let seconds = samples.len() as f32 / 24_000.0;
        let bound = TOKENS as f32 / 25.0;
        assert!((0.5 * bound..1.1 * bound).contains(&seconds), "{seconds} s of at most {bound}");
        samples
    };
    let own = say(&[]);
    declaim(&["voices", "add", fixtures.join("e2e_ref.wav").to_str().unwrap(), "--name", "Reference"]);
    let cloned = say(&["--voice", "Reference"]);
    assert_ne!(own, cloned, "another voice says it otherwise");
    assert_eq!(
        cloned,
        say(&["--voice", "Reference"]),
        "the voice that was kept is the one that was computed"
    );
    let kept = fs::read_dir(data.path().join("voices/computed")).unwrap().count();
    assert_eq!(kept, 1, "computed once");
}

#[test]
#[ignore = "two gigabytes of weights and minutes"]
fn nano_speaks_and_clones() {
    speaks(&Published {
        architecture: "nano",
        t3: ("t3_nano", "t3_nano_v1", "t3_nano_v1.safetensors"),
        s3gen: ("s3gen_meanflow", "s3gen_meanflow", "s3gen_meanflow.safetensors"),
        tokenizer: GPT2,
        conds: "e2e_turbo_conds.pt",
    });
}

#[test]
#[ignore = "three gigabytes of weights and minutes"]
fn turbo_speaks_and_clones() {
    speaks(&Published {
        architecture: "turbo",
        t3: ("t3_turbo", "t3_turbo_v1", "t3_turbo_v1.safetensors"),
        s3gen: ("s3gen_meanflow", "s3gen_meanflow", "s3gen_meanflow.safetensors"),
        tokenizer: GPT2,
        conds: "e2e_turbo_conds.pt",
    });
}

#[test]
#[ignore = "three gigabytes of weights and many minutes"]
fn original_speaks_and_clones() {
    speaks(&Published {
        architecture: "original",
        t3: ("t3_cfg", "t3_cfg", "t3_cfg.safetensors"),
        s3gen: ("s3gen", "s3gen", "s3gen.safetensors"),
        tokenizer: &[("en_tokenizer_tiny.json", "tokenizer.json")],
        conds: "e2e_original_conds.pt",
    });
}
