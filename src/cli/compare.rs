//! `declaim bench --compare`: today's figures beside those of an earlier `--json` report.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CliError, say_line};

/// The figures that are compared, as they stand in the report, each with what it is called. All are times.
const STAGES: [(&str, &str); 6] = [
    ("load", "/load_s"),
    ("text", "/text/best_s"),
    ("T3 prefix", "/prefill/best_s"),
    ("T3 step", "/step/best_s"),
    ("T3 batch, per token", "/batch/best_per_token_s"),
    ("first audio", "/first_audio_s"),
];
const UTTERANCE: [(&str, &str); 4] =
    [("T3", "t3_s"), ("S3Gen", "s3gen_s"), ("HiFT", "hift_s"), ("total", "total_s")];

/// Reads an earlier report.
pub(super) fn read(path: &Path) -> Result<Value, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        doing: "read",
        path: PathBuf::from(path),
        source,
    })?;
    serde_json::from_str(&text).ok().filter(|report: &Value| report.get("step").is_some()).ok_or_else(|| {
        CliError::Usage(format!("{} is not a report of `declaim bench --json`", path.display()))
    })
}

/// Prints each time of both reports and how many times as fast the new one is. Reports of different models or weights are
/// not compared.
pub(super) fn print(before: &Value, now: &Value) -> Result<(), CliError> {
    for what in ["model", "weights", "device"] {
        if before.get(what) != now.get(what) {
            let told =
                |report: &Value| report.get(what).map_or_else(|| "nothing".to_owned(), Value::to_string);
            return Err(CliError::Usage(format!(
                "the reports are not of the same {what}: {} before, {} now",
                told(before),
                told(now)
            )));
        }
    }
    say_line(&format!("{:<24} {:>11} {:>11} {:>7}", "", "before", "now", "ratio"));
    for (name, before, now) in pairs(before, now) {
        say_line(&format!("{name:<24} {:>8.2} ms {:>8.2} ms {:>7.2}", before * 1e3, now * 1e3, before / now));
    }
    Ok(())
}

/// The times that both reports have.
fn pairs(before: &Value, now: &Value) -> Vec<(String, f64, f64)> {
    let mut found = Vec::new();
    let mut add = |name: String, before: Option<&Value>, now: Option<&Value>| {
        if let (Some(before), Some(now)) = (before.and_then(Value::as_f64), now.and_then(Value::as_f64)) {
            found.push((name, before, now));
        }
    };
    for (name, place) in STAGES {
        add(name.to_owned(), before.pointer(place), now.pointer(place));
    }
    let utterances = |report: &Value| report["utterances"].as_array().cloned().unwrap_or_default();
    let earlier = utterances(before);
    for now in utterances(now) {
        let Some(before) = earlier.iter().find(|before| before["tokens"] == now["tokens"]) else { continue };
        for (name, key) in UTTERANCE {
            add(format!("{} tokens: {name}", now["tokens"]), before.get(key), now.get(key));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(step: f64, tokens: u32) -> Value {
        json!({
            "model": "pico", "weights": "embedded", "device": "CPU",
            "step": { "best_s": step }, "batch": null,
            "utterances": [{ "tokens": tokens, "t3_s": 4.0 * step, "total_s": 9.0 * step }],
        })
    }

    #[test]
    fn times_are_paired_by_stage_and_length_and_what_one_report_lacks_is_left_out() {
        let names = |pairs: Vec<(String, f64, f64)>| -> Vec<String> {
            pairs.into_iter().map(|(name, before, now)| format!("{name} {}", before / now)).collect()
        };
        let all = names(pairs(&report(0.5, 100), &report(0.25, 100)));
        assert_eq!(all, ["T3 step 2", "100 tokens: T3 2", "100 tokens: total 2"]);
        assert_eq!(names(pairs(&report(0.5, 100), &report(0.5, 250))), ["T3 step 1"]);
    }

    #[test]
    fn reports_of_different_models_are_not_compared_and_other_files_are_no_reports() {
        let other = json!({ "model": "nano", "weights": "random", "device": "CPU", "step": {} });
        let message = print(&report(1.0, 100), &other).unwrap_err().to_string();
        assert!(
            message.contains("model") && message.contains("pico") && message.contains("nano"),
            "{message}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"a\": 1}").unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("not a report"));
    }
}
