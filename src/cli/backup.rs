//! `declaim backup`: a copy of the job database that was checked, while the server runs or without one.

use std::path::PathBuf;

use super::place::Place;
use super::{CliError, say_line};
use crate::jobs::upkeep::backup;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The copy has every job, its events and its calls back. Audio and voices are files in DATA, which never change once they
are there: copy DATA/outputs, DATA/chunks and DATA/voices with any tool, after the backup. docs/OPERATIONS.md says how to restore.")]
pub(super) struct BackupArgs {
    /// Where to write the copy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
}

pub(super) fn run(place: &Place, arguments: &BackupArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let made = runtime.block_on(backup(&place.data_dir()?, &arguments.file, arguments.force))?;
    say_line(&format!(
        "{}: {} jobs, {:.1} MB, copied and checked in {:.1} s",
        arguments.file.display(),
        made.jobs,
        made.bytes as f64 / f64::from(1 << 20),
        made.took.as_secs_f64(),
    ));
    Ok(())
}
