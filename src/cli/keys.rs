//! `declaim keys`: who may ask a server, for what, and how much. Works on the data directory, so whoever may write there may
//! make keys; a running server obeys at once.

use std::str::FromStr;

use clap::Subcommand;
use serde_json::{Value, json};

use super::place::Place;
use super::{CliError, say_line, tell};
use crate::jobs::{Jobs, Key, NewKey, OwnQuota, QueueSettings, Scope, Scopes, UnknownScope, Usage};

#[derive(Debug, clap::Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key. It is printed once, on standard output.
    Create {
        /// What to call it: who or what has it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it is for: speak (speech and its own jobs), voices (adding and removing them), admin (everything)
        #[arg(long, value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
        scope: Vec<Scope>,
        /// A limit of its own: characters_per_minute=NUMBER or audio_seconds_per_day=NUMBER; none for no limit
        #[arg(long, value_name = "LIMIT=NUMBER", value_delimiter = ',')]
        quota: Vec<OneQuota>,
    },
    /// List the keys, without the keys themselves.
    List {
        /// The revoked ones too
        #[arg(long)]
        all: bool,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key by its name or id. Its jobs stay.
    Revoke { key: String },
}

fn scope(text: &str) -> Result<Scope, UnknownScope> {
    text.parse()
}

/// One limit of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OneQuota {
    Characters(u32),
    Audio(u32),
}

impl FromStr for OneQuota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let value = match value.trim() {
            "none" => 0,
            number => number.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                format!("{name} must be a whole number from 1 on, or none, found {number:?}")
            })?,
        };
        match name.trim().replace('-', "_").as_str() {
            "characters_per_minute" => Ok(Self::Characters(value)),
            "audio_seconds_per_day" => Ok(Self::Audio(value)),
            other => Err(format!("a limit is characters_per_minute or audio_seconds_per_day, not {other:?}")),
        }
    }
}

pub(super) fn run(place: &Place, arguments: KeysArgs) -> Result<(), CliError> {
    place.start_log("warn")?;
    let settings = place.settings(Vec::new())?;
    let data_dir = place.data_dir()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    runtime.block_on(async {
        let jobs = Jobs::open(&data_dir, QueueSettings::from(&settings)).await?;
        let done = obey(&jobs, arguments.command).await;
        jobs.close().await;
        done
    })
}

async fn obey(jobs: &Jobs, command: KeysCommand) -> Result<(), CliError> {
    match command {
        KeysCommand::Create { name, scope, quota } => {
            // There is at least one: the flag is required.
            let scopes = Scopes::new(scope).unwrap_or_else(Scopes::all);
            let mut own = OwnQuota::default();
            for limit in quota {
                match limit {
                    OneQuota::Characters(number) => own.characters_per_minute = Some(number),
                    OneQuota::Audio(number) => own.audio_seconds_per_day = Some(number),
                }
            }
            let (key, secret) = jobs.create_key(NewKey { name, scopes, quota: own }).await?;
            say_line(&secret.0);
            tell(&format!(
                "The key {:?} for {} is shown this once: keep it now. Only its hash is stored.",
                key.name, key.scopes
            ));
            Ok(())
        }
        KeysCommand::List { all, json } => {
            print_list(&jobs.keys(all).await?, json);
            Ok(())
        }
        KeysCommand::Revoke { key } => match jobs.revoke_key(&key).await? {
            Some(key) => {
                say_line(&format!("The key {} ({}…) is revoked", key.name, key.hint));
                Ok(())
            }
            None => Err(CliError::NoKey(key)),
        },
    }
}

fn print_list(keys: &[(Key, Usage)], as_json: bool) {
    if as_json {
        let keys: Vec<Value> = keys.iter().map(|(key, usage)| described(key, *usage)).collect();
        return say_line(&serde_json::to_string_pretty(&keys).unwrap_or_default());
    }
    if keys.is_empty() {
        return say_line("No keys.");
    }
    let limit = |limit: Option<u32>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    say_line(&format!(
        "{:20}  {:9}  {:12}  {:>12}  {:>17}  {:16}",
        "name", "key", "scopes", "chars/min", "audio s/day", "last used"
    ));
    for (key, usage) in keys {
        let used = match (key.revoked_at, key.last_used_at) {
            (Some(_), _) => "revoked".to_owned(),
            (None, None) => "never".to_owned(),
            (None, Some(at)) => local_time(at),
        };
        say_line(&format!(
            "{:20}  {:9}  {:12}  {:>12}  {:>17}  {:16}",
            key.name,
            format!("{}…", key.hint),
            key.scopes.to_string(),
            limit(key.quota.characters_per_minute),
            format!("{} of {}", usage.audio_ms / 1000, limit(key.quota.audio_seconds_per_day)),
            used,
        ));
    }
}

/// As `GET /api/keys` tells it, and when it was revoked.
fn described(key: &Key, usage: Usage) -> Value {
    let mut told = crate::http::key_described(key, usage);
    told["revoked_at"] = json!(key.revoked_at.map(|at| at as f64 / 1000.0));
    told
}

fn local_time(unix_ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    moment.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_name_and_a_number_or_none() {
        assert_eq!("characters-per-minute=500".parse(), Ok(OneQuota::Characters(500)));
        assert_eq!("audio_seconds_per_day=none".parse(), Ok(OneQuota::Audio(0)));
        for wrong in
            ["audio_seconds_per_day", "audio_seconds_per_day=0", "pages=3", "characters_per_minute=-1"]
        {
            assert!(wrong.parse::<OneQuota>().is_err(), "{wrong}");
        }
    }
}
