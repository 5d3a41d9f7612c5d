//! The real binary: what it prints, what it writes, how it ends.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/operations.rs"]
mod operations;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program on a directory of its own, untouched by this machine's environment, with the humming model.
fn declaim(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_declaim"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DECLAIM_")) {
        command.env_remove(name);
    }
    command.env("DECLAIM_DATA", data).env("DECLAIM_MODEL__NAME", "tone").current_dir(data);
    command.stdin(Stdio::null());
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    declaim(data).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running server; killed when dropped.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    url: String,
}

impl Server {
    fn start(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = declaim(data);
        command.args(["serve", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let url =
            first.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{first:?}")).to_owned();
        Self { child, lines, url }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the server did not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn enqueue(&self, text: &str) -> String {
        let mut answer =
            ureq::post(format!("{}/tts/enqueue", self.url)).send_json(json!({ "text": text })).unwrap();
        answer.body_mut().read_json::<Value>().unwrap()["job_id"].as_str().unwrap().to_owned()
    }

    fn wait_for(&self, id: &str, wanted: &str) {
        let started = Instant::now();
        loop {
            let mut answer = ureq::get(format!("{}/tts/{id}/status", self.url)).call().unwrap();
            let status: Value = answer.body_mut().read_json().unwrap();
            if status["status"] == wanted {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn say_writes_a_file_and_tells_its_duration_and_speed() {
    let data = tempfile::tempdir().unwrap();
    let output = run(data.path(), &["say", "Hello world", "-o", "out.wav", "--seed", "7"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let audio = std::fs::read(data.path().join("out.wav")).unwrap();
    assert_eq!(&audio[..4], b"RIFF");
    let told = err(&output);
    assert!(
        told.starts_with("out.wav: ") && told.contains("s of audio in") && told.contains("real-time factor")
    );
    assert!(told.contains("model tone, voice hum, seed 7"), "{told}");
    assert!(output.stdout.is_empty());
    let left: Vec<_> =
        std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["out.wav"], "nothing else is left behind");
}

#[test]
fn say_reads_standard_input_and_writes_standard_output() {
    let data = tempfile::tempdir().unwrap();
    let mut command = declaim(data.path());
    command.args(["say", "-", "-o", "-", "--seed", "7"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Hello world").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    run(data.path(), &["say", "Hello world", "-o", "file.wav", "--seed", "7"]);
    assert_eq!(output.stdout, std::fs::read(data.path().join("file.wav")).unwrap());
}

#[test]
fn say_refuses_what_it_cannot_do_in_one_sentence_and_leaves_no_file() {
    let data = tempfile::tempdir().unwrap();
    for (arguments, code, expected) in [
        (&["say", " "][..], 2, "text is empty"),
        (&["say", "hi", "-o", "x.ogg"], 2, "\"x.ogg\" has the extension of no audio format"),
        (&["say", "hi", "--format", "ogg"], 2, "output_format must be wav, flac, mp3"),
        (
            &["say", "hi", "--voice", "Emily"],
            2,
            "error: there is no voice \"Emily\"; the available voices are hum, whistle",
        ),
        (&["say", "hi", "--speed", "9"], 2, "speed_factor must be a number from 0.25 to 4, found 9"),
        (&["say", "hi", "--seed", "-2"], 2, "seed must be a whole number from -1"),
        (&["say", "hi", "--model", "choir"], 1, "there is no model \"choir\""),
        (
            &["say", "please [fail] now", "--no-normalize"],
            1,
            "the text could not be spoken: the device failed",
        ),
        (&["say", "hi", "-o", "no/such/folder/x.wav"], 1, "cannot write no/such/folder/x.wav"),
        (&["say"], 2, "required"),
        (&["sing"], 2, "sing"),
    ] {
        let output = run(data.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(expected), "{arguments:?}: {}", err(&output));
        assert!(!err(&output).contains("panicked"), "{}", err(&output));
    }
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn voices_are_listed_for_people_and_for_scripts() {
    let data = tempfile::tempdir().unwrap();
    let listed = out(&run(data.path(), &["voices"]));
    assert!(listed.starts_with("* hum      Hum (en)."), "{listed}");
    assert!(listed.contains("\n  whistle  Whistle (en)."), "{listed}");
    let voices: Value = serde_json::from_str(&out(&run(data.path(), &["voices", "--json"]))).unwrap();
    assert_eq!(voices[1]["id"], "whistle");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "looking leaves nothing behind");
}

/// A wav of a tone that swells and fades.
fn write_clip(path: &Path, seconds: u32, pitch: f64) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for index in 0..seconds * 24_000 {
        let time = f64::from(index) / 24_000.0;
        let swell = 0.5 - 0.5 * (std::f64::consts::TAU * 2.0 * time).cos();
        writer.write_sample((8000.0 * swell * (std::f64::consts::TAU * pitch * time).sin()) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

#[test]
fn a_clip_is_checked_added_spoken_with_renamed_and_removed() {
    let data = tempfile::tempdir().unwrap();
    let clips = tempfile::tempdir().unwrap();
    let clip = clips.path().join("Emily Noël.wav");
    write_clip(&clip, 3, 220.0);
    let clip = clip.to_str().unwrap();

    let checked = run(data.path(), &["voices", "check", clip]);
    assert!(
        out(&checked).starts_with("3.0 seconds of wav at 24000 Hz"),
        "{}{}",
        out(&checked),
        err(&checked)
    );
    let report = run(data.path(), &["voices", "check", clip, "--json"]);
    let report: Value = serde_json::from_str(&out(&report)).unwrap();
    assert_eq!((&report["duration_sec"], &report["format"]), (&json!(3.0), &json!("wav")));
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "checking adds nothing");

    let added = run(data.path(), &["voices", "add", clip, "--consent", "my own voice"]);
    assert_eq!(out(&added).trim(), "emily-noël (Emily Noël), 3.0 seconds, added", "{}", err(&added));
    let again = run(data.path(), &["voices", "add", clip]);
    assert!(out(&again).contains("was there already"), "{}", out(&again));
    let listed = out(&run(data.path(), &["voices"]));
    assert!(listed.contains("- emily-noël  Emily Noël. the model tone has fixed voices only"), "{listed}");
    let listed = out(&run(data.path(), &["voices", "list", "--model", "tone-low"]));
    assert!(listed.contains("  emily-noël  Emily Noël (en). a clip of 3.0 seconds"), "{listed}");
    assert!(listed.contains("Consent: my own voice"), "{listed}");

    let spoken = run(data.path(), &["say", "Hi", "--model", "tone-low", "--voice", "emily noël.wav"]);
    assert!(err(&spoken).contains("model tone-low, voice emily-noël"), "{}", err(&spoken));
    let refused = run(data.path(), &["say", "Hi", "--voice", "emily-noël"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("for this voice, send model tone-low"), "{}", err(&refused));

    let renamed = run(data.path(), &["voices", "rename", "emily-noël", "Max"]);
    assert_eq!(out(&renamed).trim(), "emily-noël is called Max", "{}", err(&renamed));
    let removed = run(data.path(), &["voices", "remove", "max"]);
    assert_eq!(out(&removed).trim(), "emily-noël removed", "{}", err(&removed));
    let gone = run(data.path(), &["voices", "remove", "max"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(err(&gone).contains("there is no voice \"max\""), "{}", err(&gone));
}

#[test]
fn what_upstream_had_is_brought_over_once_and_its_folder_is_only_read() {
    let data = tempfile::tempdir().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    for (folder, name, pitch) in [("voices", "Emily.wav", 220.0), ("reference_audio", "My Voice.wav", 110.0)]
    {
        std::fs::create_dir(theirs.path().join(folder)).unwrap();
        write_clip(&theirs.path().join(folder).join(name), 3, pitch);
    }
    std::fs::write(theirs.path().join("voices/readme.txt"), "no clip").unwrap();
    let config =
        "model: {repo_id: chatterbox-turbo}\ngeneration_defaults: {temperature: 0.65, speed_factor: 9}\n";
    std::fs::write(theirs.path().join("config.yaml"), config).unwrap();
    let folder = theirs.path().to_str().unwrap();

    let brought = out(&run(data.path(), &["import-upstream", folder]));
    for words in [
        "settings: 1 written to",
        "left out: generation_defaults.speed_factor: expected a number from 0.25 to 4, found 9",
        "`declaim models pull turbo`",
        "left out: readme.txt: the clip cannot be used",
    ] {
        assert!(brought.contains(words), "{words}: {brought}");
    }
    assert_eq!(brought.matches("voices: 1 added from").count(), 2, "{brought}");
    let ours = std::fs::read_to_string(data.path().join("config.yaml")).unwrap();
    assert!(ours.contains("generation_defaults:\n  temperature: 0.65\n"), "{ours}");
    let spoken = run(data.path(), &["say", "Hi", "--model", "tone-low", "--voice", "Emily.wav"]);
    assert!(err(&spoken).contains("voice emily"), "{}", err(&spoken));

    let again = out(&run(data.path(), &["import-upstream", folder]));
    assert!(
        again.contains("is there already and stays") && again.matches("voices: 0 added from").count() == 2,
        "{again}"
    );
    assert_eq!(std::fs::read_to_string(data.path().join("config.yaml")).unwrap(), ours);
    let nothing = run(data.path(), &["import-upstream", data.path().join("voices").to_str().unwrap()]);
    assert_eq!(nothing.status.code(), Some(2), "{}", err(&nothing));
}

#[test]
fn a_voice_stays_while_a_job_of_the_directory_needs_it_and_a_running_server_sees_changes() {
    let data = tempfile::tempdir().unwrap();
    let clip = data.path().join("clip.wav");
    write_clip(&clip, 3, 220.0);
    let server = Server::start(data.path(), |command| {
        command.env("DECLAIM_TONE_MS_PER_TOKEN", "20");
    });
    let added = run(data.path(), &["voices", "add", "clip.wav", "--name", "Emily"]);
    assert_eq!(added.status.code(), Some(0), "{}", err(&added));
    let text = "This sentence takes a while to be spoken by the slow model of this test.";
    let body = json!({ "text": text, "model": "tone-low", "predefined_voice_id": "emily" });
    let mut answer = ureq::post(format!("{}/tts/enqueue", server.url)).send_json(body).unwrap();
    let id = answer.body_mut().read_json::<Value>().unwrap()["job_id"].as_str().unwrap().to_owned();
    let refused = run(data.path(), &["voices", "remove", "emily"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("needed by 1 unfinished jobs"), "{}", err(&refused));
    assert!(err(&refused).contains("hint: "), "{}", err(&refused));
    server.wait_for(&id, "completed");
    assert_eq!(run(data.path(), &["voices", "remove", "emily"]).status.code(), Some(0));
}

#[test]
fn what_is_no_clip_is_refused_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("notes.wav"), "no sound").unwrap();
    for command in ["add", "check"] {
        let refused = run(data.path(), &["voices", command, "notes.wav"]);
        assert_eq!(refused.status.code(), Some(1), "{command}");
        assert!(
            err(&refused).contains("the clip cannot be used: this is not a sound file"),
            "{}",
            err(&refused)
        );
        let missing = run(data.path(), &["voices", command, "missing.wav"]);
        assert!(err(&missing).contains("cannot read missing.wav"), "{}", err(&missing));
    }
    let misplaced = run(data.path(), &["voices", "--json", "check", "notes.wav"]);
    assert_eq!(misplaced.status.code(), Some(2));
}

#[test]
fn bench_measures_pico_stage_by_stage_and_refuses_weights_that_are_not_there() {
    let data = tempfile::tempdir().unwrap();
    let short =
        ["bench", "--device", "cpu", "--tokens", "25", "--prompt-tokens", "0", "--runs", "1", "--json"];
    let output = run(data.path(), &short);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["model"], "pico");
    assert!(report["step"]["tokens_per_s"].as_f64().unwrap() > 0.0);
    let missing = run(data.path(), &["bench", "--model", "nano"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("add --random-weights"), "{}", err(&missing));
}

#[test]
fn doctor_is_content_where_all_is_well_and_names_what_is_not() {
    let data = tempfile::tempdir().unwrap();
    let port = ["--model", "tone"];
    let well =
        declaim(data.path()).env("DECLAIM_SERVER__PORT", "0").arg("doctor").args(port).output().unwrap();
    assert_eq!(well.status.code(), Some(0), "{}", out(&well));
    for line in ["* CPU", "data directory: ", "disk: ", "port: ", "model: tone on CPU (one sine)"] {
        assert!(out(&well).contains(line), "{line}: {}", out(&well));
    }
    let unwell = run(data.path(), &["doctor", "--model", "choir"]);
    assert_eq!(unwell.status.code(), Some(1));
    assert!(
        out(&unwell).contains("BAD   model: ") && err(&unwell).contains("1 of the checks failed"),
        "{}",
        out(&unwell)
    );
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let unwell = run(data.path(), &["doctor", "--data", file.to_str().unwrap()]);
    assert_eq!(unwell.status.code(), Some(1));
    assert!(out(&unwell).contains("BAD   data directory: "), "{}", out(&unwell));
}

#[test]
fn the_server_says_where_it_listens_and_that_it_is_ready() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path(), |_command| {});
    let ready = server.line();
    assert_eq!(ready, format!("declaim is ready: {} (model tone, CPU (one sine))", server.url));
    assert_eq!(ureq::get(format!("{}/healthz", server.url)).call().unwrap().status(), 200);
}

#[test]
fn no_command_means_serve() {
    let data = tempfile::tempdir().unwrap();
    let mut command = declaim(data.path());
    command.args(["--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.starts_with("listening on http://127.0.0.1:"), "{first}");
}

#[cfg(unix)]
#[test]
fn a_stop_signal_ends_the_server_in_order_and_keeps_its_jobs() {
    for name in ["TERM", "INT"] {
        let data = tempfile::tempdir().unwrap();
        let slow = |command: &mut Command| {
            command.env("DECLAIM_TONE_MS_PER_TOKEN", "20");
        };
        let mut server = Server::start(data.path(), slow);
        let text =
            "This sentence takes a while to be spoken by a slow model, so the signal meets it running.";
        let running = server.enqueue(text);
        let waiting = server.enqueue("Short.");
        server.wait_for(&running, "running");
        server.signal(name);
        assert!(server.wait().success(), "SIG{name}");
        let list = run(data.path(), &["jobs", "list", "--json"]);
        let jobs: Value = serde_json::from_str(&out(&list)).unwrap();
        assert_eq!((&jobs[0]["status"], &jobs[1]["status"]), (&json!("queued"), &json!("queued")), "{jobs}");
        let server = Server::start(data.path(), |_command| {});
        server.wait_for(&running, "completed");
        server.wait_for(&waiting, "completed");
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_the_server_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path(), |command| {
        command.env("DECLAIM_TONE_MS_PER_TOKEN", "50").env("DECLAIM_SERVER__SHUTDOWN_SEC", "3600");
    });
    let url = server.url.clone();
    let text = "This sentence takes several seconds to be spoken, and a client holds the line all the time.";
    let waiting =
        std::thread::spawn(move || ureq::post(format!("{url}/tts")).send_json(json!({ "text": text })));
    let started = Instant::now();
    while ureq::get(format!("{}/api/jobs", server.url)).call().unwrap().body_mut().read_to_string().unwrap()
        == r#"{"jobs":[],"next_cursor":null}"#
    {
        assert!(started.elapsed() < PATIENCE);
    }
    server.signal("TERM");
    // The first signal must have been taken before the second is sent, or the system merges them.
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.child.try_wait().unwrap().is_none(), "a client is still being served");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(130));
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn a_second_server_is_refused_by_port_and_by_data_directory() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), |_command| {});
    let same_data = run(data.path(), &["serve", "--port", "0"]);
    assert_eq!(same_data.status.code(), Some(1));
    assert!(err(&same_data).contains("is in use by another declaim server"), "{}", err(&same_data));
    let other = tempfile::tempdir().unwrap();
    let port = server.url.rsplit(':').next().unwrap();
    let same_port = run(other.path(), &["serve", "--port", port]);
    assert_eq!(same_port.status.code(), Some(1));
    assert!(
        err(&same_port).contains(&format!("the address 127.0.0.1:{port} is in use")),
        "{}",
        err(&same_port)
    );
    assert!(err(&same_port).contains("hint: "), "{}", err(&same_port));
}

#[test]
fn jobs_are_listed_shown_and_cancelled_at_the_server_and_in_its_directory() {
    let data = tempfile::tempdir().unwrap();
    let nothing = run(data.path(), &["jobs", "list"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(err(&nothing).contains("there are no jobs in"), "{}", err(&nothing));

    let server = Server::start(data.path(), |command| {
        command.env("DECLAIM_TONE_MS_PER_TOKEN", "20");
    });
    let url = server.url.clone();
    for door in [&["--server", url.as_str()][..], &[]] {
        let ask = |arguments: &[&str]| run(data.path(), &[&["jobs"], arguments, door].concat());
        let text = "This sentence takes several seconds to be spoken by the slow model of this test.";
        let id = server.enqueue(text);
        server.wait_for(&id, "running");
        let list = ask(&["list"]);
        assert!(
            out(&list).contains(&id) && out(&list).contains("This sentence takes"),
            "{}{}",
            out(&list),
            err(&list)
        );
        let shown: Value = serde_json::from_str(&out(&ask(&["show", &id, "--json"]))).unwrap();
        assert_eq!((&shown["job_id"], &shown["status"]), (&json!(id), &json!("running")));
        assert!(out(&ask(&["show", &id])).contains("status            running"));
        let cancelled = ask(&["cancel", &id]);
        assert_eq!(out(&cancelled).trim(), format!("Job {id} cancelled successfully"), "{}", err(&cancelled));
        server.wait_for(&id, "cancelled");
        let again = ask(&["cancel", &id]);
        assert_eq!(again.status.code(), Some(1));
        assert!(err(&again).contains("already ended as cancelled"), "{}", err(&again));
        let watched = ask(&["watch", &id]);
        assert!(out(&watched).starts_with("cancelled"), "{}{}", out(&watched), err(&watched));
        let retried = ask(&["retry", &id]);
        assert_eq!(retried.status.code(), Some(1));
        assert!(err(&retried).contains("only failed jobs can be retried"), "{}", err(&retried));
        let deleted = ask(&["delete", &id]);
        assert_eq!(out(&deleted).trim(), format!("Job {id} deleted"), "{}", err(&deleted));
        assert_eq!(ask(&["delete", &id]).status.code(), Some(1));
        let unknown = ask(&["show", "abc"]);
        assert_eq!(unknown.status.code(), Some(1));
        assert!(err(&unknown).contains("there is no job \"abc\""), "{}", err(&unknown));
    }
    let nobody = run(data.path(), &["jobs", "list", "--server", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(err(&nobody).contains("the server at http://127.0.0.1:1 cannot be reached"), "{}", err(&nobody));
}

#[test]
fn settings_come_from_file_environment_and_flags_in_this_order() {
    let data = tempfile::tempdir().unwrap();
    let settings = "model:\n  name: choir\ntts_engine:\n  default_voice_id: whistle\nserver:\n  prot: 1\n";
    std::fs::write(data.path().join("config.yaml"), settings).unwrap();
    let by_environment = run(data.path(), &["say", "hi"]);
    assert!(err(&by_environment).contains("model tone, voice whistle"), "{}", err(&by_environment));
    assert!(err(&by_environment).contains("unknown key `server.prot`; did you mean `server.port`?"));
    let by_flag = run(data.path(), &["say", "hi", "--model", "band"]);
    assert!(err(&by_flag).contains("there is no model \"band\""), "{}", err(&by_flag));
}

#[test]
fn a_broken_settings_file_is_an_error_with_its_place_and_stays_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("mine.yaml");
    let text = "server:\n  port: [\n";
    std::fs::write(&file, text).unwrap();
    let output = run(data.path(), &["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("mine.yaml") && err(&output).contains("line "), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let missing = run(data.path(), &["voices", "--config", "none.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    let wrong = declaim(data.path()).env("DECLAIM_SERVER__PORT", "lots").arg("serve").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        err(&wrong).contains("DECLAIM_SERVER__PORT: server.port: expected a whole number"),
        "{}",
        err(&wrong)
    );
}

#[test]
fn help_names_every_command_and_version_the_version() {
    let data = tempfile::tempdir().unwrap();
    let help = out(&run(data.path(), &["--help"]));
    for command in
        ["serve", "say", "voices", "jobs", "queue", "backup", "doctor", "bench", "mcp", "Exit codes"]
    {
        assert!(help.contains(command), "{command}: {help}");
    }
    assert_eq!(out(&run(data.path(), &["--version"])).trim(), concat!("declaim ", env!("CARGO_PKG_VERSION")));
    let misplaced = run(data.path(), &["--port", "1", "say", "hi"]);
    assert_eq!(misplaced.status.code(), Some(2));
    assert!(err(&misplaced).contains("go after the command"), "{}", err(&misplaced));
}

#[cfg(unix)]
#[test]
fn an_interrupted_say_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut command = declaim(data.path());
    command.env("DECLAIM_TONE_MS_PER_TOKEN", "50").env("TMPDIR", scratch.path());
    command.args(["say", "This sentence takes several seconds to be spoken by a slow model.", "-o", "x.wav"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while std::fs::read_dir(scratch.path()).unwrap().count() == 0 {
        assert!(started.elapsed() < PATIENCE);
    }
    // The handler is set right after the folder is made.
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("error: interrupted"), "{told}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}
