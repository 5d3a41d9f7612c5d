//! A hub with a tiny fine-tune on it, and a data directory to pull it into.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use declaim::config::{OwnModel, Settings};
use declaim::models::{HubError, HubSettings, Manifest, Models, ModelsError, Progress, Pulled, State};

use super::hub::FakeHub;

pub(crate) const REPOSITORY: &str = "me/voice";
pub(crate) const NAME: &str = "my-voice";
pub(crate) const T3: &str = "t3_turbo_v1.safetensors";
pub(crate) const S3GEN: &str = "s3gen_meanflow.safetensors";

/// The tiny model: every part of a Turbo, with sizes that are large and small to the hub.
pub(crate) fn content() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (T3, noise(1, 300_000)),
        (S3GEN, noise(2, 120_000)),
        ("ve.safetensors", noise(3, 20_000)),
        ("conds.pt", noise(4, 15_000)),
        ("vocab.json", b"{\"a\": 0}".to_vec()),
        ("merges.txt", b"#version: 0.2\na b\n".to_vec()),
        ("added_tokens.json", b"{\"[laugh]\": 1}".to_vec()),
        ("tokenizer_config.json", b"{\"model_max_length\": 1024}".to_vec()),
    ]
}

pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn own(name: &str, repository: &str) -> OwnModel {
    OwnModel {
        name: name.to_owned(),
        architecture: "turbo".to_owned(),
        repository: Some(repository.to_owned()),
        ..OwnModel::default()
    }
}

pub(crate) struct Scene {
    pub(crate) hub: FakeHub,
    pub(crate) data: tempfile::TempDir,
    pub(crate) settings: HubSettings,
    pub(crate) own: Vec<OwnModel>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let hub = FakeHub::start();
        for (name, bytes) in content() {
            hub.put(REPOSITORY, name, &bytes);
        }
        let settings = HubSettings {
            endpoint: hub.url.clone(),
            retries: 3,
            retry_wait: Duration::from_millis(5),
            stall: Duration::from_secs(20),
            ..HubSettings::new(&Settings::default().hub, &|_name| None)
        };
        Self { hub, data: tempfile::tempdir().unwrap(), settings, own: vec![own(NAME, REPOSITORY)] }
    }

    pub(crate) fn models(&self) -> Models {
        Models::new(self.data.path(), &self.own, self.settings.clone()).unwrap()
    }

    pub(crate) fn pull(&self) -> Result<Pulled, ModelsError> {
        self.models().pull(NAME, false, &mut |_| ControlFlow::Continue(()))
    }

    pub(crate) fn refresh(&self) -> Result<Pulled, ModelsError> {
        self.models().pull(NAME, true, &mut |_| ControlFlow::Continue(()))
    }

    /// Pulls what must arrive, and looks at every byte of it.
    pub(crate) fn pull_whole(&self) -> Manifest {
        let Pulled::Installed(manifest) = self.pull().unwrap() else { panic!("it was there already") };
        self.assert_whole(&content());
        manifest
    }

    pub(crate) fn assert_whole(&self, expected: &[(&str, Vec<u8>)]) {
        let folder = self.folder();
        for (name, bytes) in expected {
            let found = std::fs::read(folder.join(name)).unwrap();
            assert!(found == *bytes, "{name} has other bytes");
        }
        assert!(!self.partial().exists(), "the partial folder was left");
        assert_eq!(self.models().verify(NAME, &mut |_| ControlFlow::Continue(())).unwrap(), []);
    }

    /// The error of a pull, which must leave nothing that looks like a model.
    pub(crate) fn failure(&self) -> ModelsError {
        let error = self.pull().unwrap_err();
        self.assert_not_published();
        error
    }

    pub(crate) fn hub_failure(&self) -> HubError {
        match self.failure() {
            ModelsError::Hub(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn assert_not_published(&self) {
        assert!(!self.folder().exists(), "half a model was published");
        let models = self.models();
        let state = models.store().state(models.registry().find(NAME).unwrap());
        assert!(matches!(state, State::Missing | State::Partial { .. }), "{state:?}");
        assert!(models.files(NAME).is_err());
    }

    /// Pulls and stops as soon as `enough` says so.
    pub(crate) fn pull_until(&self, mut enough: impl FnMut(&Progress) -> bool) -> ModelsError {
        let error = self.models().pull(NAME, false, &mut |progress| {
            if enough(progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.assert_not_published();
        error.unwrap_err()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.data.path().join("models").join(NAME)
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.data.path().join("models/.partial").join(NAME)
    }
}

/// Bytes of a file, 0 where there is none.
pub(crate) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
