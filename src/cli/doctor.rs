//! `declaim doctor`: looks at everything a server needs and says, line by line, what is well and what is not.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use super::place::Place;
use super::serve::{library, model_flags};
use super::{CliError, say_line};
use crate::config::Settings;
use crate::files::network::{Foreign, foreign};
use crate::jobs::upkeep::{Inspection, inspect};
use crate::jobs::with_causes;
use crate::speech::Cancel;
use crate::speech::catalog::Catalog;
use crate::speech::chatterbox::devices;
use crate::speech::model::ChunkRequest;
use crate::speech::request::{default_voice, voice_id};

/// An hour of 16-bit audio at 24 kHz takes 173 MB, and twice that again while its chunks are kept.
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Model to check [default: the configured one]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Device to check it on [default: the configured one]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// What a check found.
enum Finding {
    Well(String),
    /// Works, but somebody should know.
    Note(String),
    Bad(String),
}

pub(super) fn run(place: &Place, arguments: &DoctorArgs) -> Result<(), CliError> {
    place.start_log("error")?;
    let settings = place.settings(model_flags(arguments.model.clone(), arguments.device.clone(), None))?;
    let data_dir = place.data_dir()?;
    say_line(&format!("declaim {}\n", env!("CARGO_PKG_VERSION")));
    match devices(&(&settings).into()) {
        Ok(found) => {
            for device in found {
                let mark = if device.chosen { "*" } else { " " };
                say_line(&format!("{mark} {} ({}): {}", device.name, device.kind, device.reason));
                if let Some(self_test) = device.self_test {
                    say_line(&format!("    self-test: {self_test}"));
                }
            }
        }
        Err(error) => say_line(&format!("! no device for {:?}: {error}", settings.tts_engine.device)),
    }
    say_line("");
    let (database, files) = check_jobs(&data_dir)?;
    let checks = [
        ("data directory", check_data_dir(&data_dir)),
        ("server", check_lock(&data_dir)),
        ("disk", check_disk(&data_dir)),
        ("file system", check_file_system(&data_dir, settings.job_queue.allow_network_disk)),
        ("database", database),
        ("files", files),
        ("port", check_port(&settings)),
        ("model", check_model(place, &settings, &data_dir)),
    ];
    let mut problems = 0;
    for (name, finding) in checks {
        let (mark, text) = match finding {
            Finding::Well(text) => ("ok  ", text),
            Finding::Note(text) => ("note", text),
            Finding::Bad(text) => {
                problems += 1;
                ("BAD ", text)
            }
        };
        say_line(&format!("{mark}  {name}: {text}"));
    }
    if problems == 0 { Ok(()) } else { Err(CliError::Unwell { problems }) }
}

fn check_data_dir(folder: &Path) -> Finding {
    let probe = folder.join("doctor.probe");
    let tried = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&probe, "x"))
        .and_then(|()| fs::remove_file(&probe));
    match tried {
        Ok(()) => Finding::Well(format!("{} can be written", folder.display())),
        Err(error) => Finding::Bad(format!("{} cannot be written: {error}", folder.display())),
    }
}

fn check_lock(folder: &Path) -> Finding {
    let Ok(lock) = File::open(folder.join("lock")) else {
        return Finding::Well("none has run on this data directory yet".to_owned());
    };
    match lock.try_lock() {
        Ok(()) => Finding::Well("none is running on this data directory".to_owned()),
        Err(TryLockError::WouldBlock) => Finding::Note("one is running on this data directory".to_owned()),
        Err(TryLockError::Error(error)) => Finding::Bad(format!("the lock file cannot be used: {error}")),
    }
}

fn check_disk(folder: &Path) -> Finding {
    match fs4::available_space(folder) {
        Ok(bytes) if bytes < NO_SPACE => Finding::Bad(format!("only {} MB are free", bytes >> 20)),
        Ok(bytes) if bytes < LITTLE_SPACE => Finding::Note(format!("only {} MB are free", bytes >> 20)),
        Ok(bytes) => Finding::Well(format!("{} GB are free", bytes >> 30)),
        Err(error) => Finding::Note(format!("its free space is unknown: {error}")),
    }
}

fn check_file_system(folder: &Path, is_allowed: bool) -> Finding {
    match foreign(folder) {
        None => Finding::Well("nothing is known against it".to_owned()),
        Some(Foreign { kind, is_shared: true }) if !is_allowed => Finding::Bad(format!(
            "{} is on another machine's disk ({kind}), where the job database is not safe; the server will not start",
            folder.display()
        )),
        Some(Foreign { kind, .. }) => Finding::Note(format!(
            "{} is not on a disk of this machine ({kind}); locks may fail, and what was synced may be lost",
            folder.display()
        )),
    }
}

/// The database by itself, and against the files.
fn check_jobs(data_dir: &Path) -> Result<(Finding, Finding), CliError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let inspected = match runtime.block_on(inspect(data_dir)) {
        Ok(inspected) => inspected,
        Err(error) => {
            let said = with_causes(&error);
            return Ok((Finding::Bad(said), Finding::Note("not compared with the database".to_owned())));
        }
    };
    let Some(Inspection { jobs, damage, schema, lost, lost_chunks, orphans }) = inspected else {
        return Ok((
            Finding::Well("there is none yet".to_owned()),
            Finding::Well("there is nothing to compare them with yet".to_owned()),
        ));
    };
    if !damage.is_empty() {
        let said = format!("damaged: {}; restore a backup (docs/OPERATIONS.md)", damage.join("; "));
        return Ok((Finding::Bad(said), Finding::Note("not compared with a damaged database".to_owned())));
    }
    if let Some((found, known)) = schema {
        let said = format!("its schema is {found}, this program has {known}");
        let not_compared = Finding::Note("not compared with a database of another version".to_owned());
        let is_newer = usize::try_from(found).is_ok_and(|found| found > known);
        return Ok(if is_newer {
            (Finding::Bad(format!("{said}: it was made by a newer declaim")), not_compared)
        } else {
            (Finding::Note(format!("{said}: the next start brings it up to date")), not_compared)
        });
    }
    let database = Finding::Well(format!("{jobs} jobs, sound"));
    let files = match (lost, lost_chunks, orphans) {
        (0, 0, 0) => Finding::Well("as the database says".to_owned()),
        (0, 0, orphans) => Finding::Note(format!("{orphans} that no job needs; the clean-up removes them")),
        (0, chunks, orphans) => Finding::Note(format!(
            "{chunks} chunks are gone and will be spoken again; {orphans} files that no job needs"
        )),
        (lost, chunks, orphans) => Finding::Bad(format!(
            "the audio of {lost} completed jobs is gone or damaged; {chunks} chunks are gone; {orphans} files that no job \
             needs"
        )),
    };
    Ok((database, files))
}

fn check_port(settings: &Settings) -> Finding {
    let server = &settings.server;
    match TcpListener::bind((server.host.as_str(), server.port)) {
        Ok(_listener) => Finding::Well(format!("{}:{} is free", server.host, server.port)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Finding::Note(format!("{}:{} is in use, perhaps by a running declaim", server.host, server.port))
        }
        Err(error) => Finding::Bad(format!("cannot listen on {}:{}: {error}", server.host, server.port)),
    }
}

fn check_model(place: &Place, settings: &Settings, data_dir: &Path) -> Finding {
    let models = match place.models(settings) {
        Ok(models) => models,
        Err(error) => return Finding::Bad(error.to_string()),
    };
    let catalog = Catalog::installed(settings, &models, library(settings, data_dir));
    let info = match catalog.default_model() {
        Ok(info) => info,
        Err(unknown) => return Finding::Bad(unknown.to_string()),
    };
    let started = Instant::now();
    let mut model = match catalog.load(&info.name) {
        Ok(model) => model,
        Err(error) => return Finding::Bad(error.to_string()),
    };
    let loading = started.elapsed();
    let loaded = model.loaded();
    let voice = default_voice(settings, &info).to_owned();
    let chunk = ChunkRequest {
        text: "One, two, three.".to_owned(),
        voice: voice.clone(),
        language: None,
        sampling: <_>::default(),
        seed: 1,
    };
    let spoken = model.speak(&chunk, &Cancel::default(), &mut |_share| {});
    let summary =
        format!("{} on {} ({}), loaded in {loading:.1?}", info.name, loaded.device, loaded.device_reason);
    let configured = settings.tts_engine.default_voice_id.as_deref();
    match spoken {
        Ok(take) if take.samples.iter().all(|sample| *sample == 0.0) => {
            Finding::Bad(format!("{summary}, but it is silent"))
        }
        Ok(_) if configured.is_some_and(|wanted| voice_id(wanted, &info).is_err()) => Finding::Note(format!(
            "{summary}, speaks; but it has no voice {:?} (tts_engine.default_voice_id), so {voice} stands in",
            configured.unwrap_or_default(),
        )),
        Ok(_) => Finding::Well(format!("{summary}, speaks")),
        Err(error) => Finding::Bad(format!("{summary}, but it cannot speak: {error}")),
    }
}
