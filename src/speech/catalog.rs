//! Which models there are, described without loading any, and which one a name means.
//!
//! Requests are checked against these descriptions at once, however long loading takes. The catalog also knows the library
//! of clips, so a model's voices are always its own and those clips that it can speak with now. Offers may come and go
//! while the program runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::model::{ModelError, ModelInfo, SpeechModel, VoiceInfo};
use super::tone::{self, ToneSettings};
use crate::config::Settings;
use crate::models::Models;
use crate::voices::{Clip, Library};

/// The name that leaves the choice to the catalog: the best model there is.
pub const AUTO: &str = "auto";

/// Behind a model's name, the one on its fallback device; no model is called so, as names have no brackets.
const FALLBACK: &str = " (fallback)";

/// Makes a model ready to speak; blocks while it reads and uploads weights. Called on the thread that will use the model.
type Load = dyn Fn() -> Result<Box<dyn SpeechModel>, ModelError> + Send + Sync;

/// A model that can be loaded.
#[derive(Clone)]
pub struct Offer {
    info: Arc<ModelInfo>,
    load: Arc<Load>,
    /// Makes it ready on the device that is left when its own has failed.
    fallback: Option<Arc<Load>>,
}

impl Offer {
    /// `info` without clips; the catalog adds them.
    pub fn new(
        info: ModelInfo,
        load: impl Fn() -> Result<Box<dyn SpeechModel>, ModelError> + Send + Sync + 'static,
    ) -> Self {
        Self { info: Arc::new(info), load: Arc::new(load), fallback: None }
    }

    /// With a second way to load it, on the device that is left when its own has failed a job more than once.
    #[must_use]
    pub fn with_fallback(
        self,
        load: impl Fn() -> Result<Box<dyn SpeechModel>, ModelError> + Send + Sync + 'static,
    ) -> Self {
        Self { fallback: Some(Arc::new(load)), ..self }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Offer").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Every model of this installation, best first. Test models are offered only where one of them is configured.
pub fn offers(settings: &Settings, models: &Models, library: &Library) -> Vec<Offer> {
    let mut offers = super::chatterbox::offers(&settings.into(), settings.model.watermark, models, library);
    if tone::NAMES.contains(&settings.model.name.as_str()) {
        offers.extend(tone::offers(ToneSettings::from_env(), library));
    }
    offers
}

/// A model that somebody named and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {wanted:?}; the models are {}", available.join(", "))]
pub struct UnknownModel {
    pub wanted: String,
    pub available: Vec<String>,
}

/// All models and all clips. Clones share everything.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The best first.
    offers: Arc<RwLock<Vec<Offer>>>,
    /// What requests without a model get: a name, or [`AUTO`].
    default: Arc<str>,
    library: Library,
}

impl Catalog {
    /// `offers` stand best first; `default` is the name of one of them or [`AUTO`].
    pub fn new(default: &str, library: Library, offers: Vec<Offer>) -> Self {
        Self { offers: Arc::new(RwLock::new(offers)), default: default.into(), library }
    }

    /// The models of this installation under these settings.
    pub fn installed(settings: &Settings, models: &Models, library: Library) -> Self {
        let offers = offers(settings, models, &library);
        Self::new(&settings.model.name, library, offers)
    }

    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The model of requests that name none.
    ///
    /// # Errors
    /// When the configured model is not there.
    pub fn default_model(&self) -> Result<ModelInfo, UnknownModel> {
        self.find(&self.default)
    }

    /// The model that `name` means, in any case, with the voices it has now. [`AUTO`] is the best one there is.
    ///
    /// # Errors
    /// [`UnknownModel`], which lists what there is.
    pub fn find(&self, name: &str) -> Result<ModelInfo, UnknownModel> {
        self.offer(name).map(|offer| self.with_clips(&offer.info))
    }

    /// Every model, best first, with the voices it has now.
    pub fn all(&self) -> Vec<ModelInfo> {
        self.read().iter().map(|offer| self.with_clips(&offer.info)).collect()
    }

    /// Takes these models, best first, in place of what there was: one was installed or removed. A model that is loaded
    /// and no longer offered speaks until it is unloaded.
    pub fn replace(&self, offers: Vec<Offer>) {
        *self.offers.write().unwrap_or_else(PoisonError::into_inner) = offers;
    }

    /// Makes a model ready to speak, on the thread that will use it. `name` may be that of a fallback.
    ///
    /// # Errors
    /// [`ModelError::NotLoaded`] with the reason, for an unknown name too.
    pub fn load(&self, name: &str) -> Result<Box<dyn SpeechModel>, ModelError> {
        let offer = |name| self.offer(name).map_err(|unknown| ModelError::NotLoaded(unknown.to_string()));
        match name.strip_suffix(FALLBACK) {
            None => (offer(name)?.load)(),
            Some(base) => {
                let offer = offer(base)?;
                (offer.fallback.unwrap_or(offer.load))()
            }
        }
    }

    /// The name under which a model is kept in memory on its fallback device; `None` where it has none.
    pub(super) fn fallback_of(&self, name: &str) -> Option<String> {
        let offer = self.offer(name).ok()?;
        offer.fallback.is_some().then(|| format!("{}{FALLBACK}", offer.info.name))
    }

    /// What is known of a model in memory, by the name under which it is kept there.
    pub(super) fn resident(&self, name: &str) -> Result<ModelInfo, UnknownModel> {
        self.find(name.strip_suffix(FALLBACK).unwrap_or(name))
    }

    /// The ids of all models' own voices, which no clip may take.
    pub fn own_voice_ids(&self) -> Vec<String> {
        let offers = self.read();
        offers.iter().flat_map(|offer| &offer.info.voices).map(|voice| voice.id.clone()).collect()
    }

    /// The names of the models that can speak with this clip.
    pub fn models_for(&self, clip: &Clip) -> Vec<String> {
        let offers = self.read();
        let able = offers.iter().filter(|offer| offer.info.why_not(clip).is_none());
        able.map(|offer| offer.info.name.clone()).collect()
    }

    fn offer(&self, name: &str) -> Result<Offer, UnknownModel> {
        let offers = self.read();
        let name = name.trim();
        let found = if name.eq_ignore_ascii_case(AUTO) {
            offers.first()
        } else {
            offers.iter().find(|offer| offer.info.name.eq_ignore_ascii_case(name))
        };
        found.cloned().ok_or_else(|| UnknownModel {
            wanted: name.to_owned(),
            available: offers.iter().map(|offer| offer.info.name.clone()).collect(),
        })
    }

    fn with_clips(&self, info: &ModelInfo) -> ModelInfo {
        let mut info = info.clone();
        if info.cloning.is_some() {
            let clips = self.library.clips();
            let usable = clips.iter().filter(|clip| info.why_not(clip).is_none());
            let voices: Vec<VoiceInfo> = usable.map(VoiceInfo::from).collect();
            info.voices.extend(voices);
        }
        info
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Offer>> {
        // Offers are put in and taken out whole, so a panic elsewhere leaves nothing half-made.
        self.offers.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::HubSettings;
    use crate::voices::testing::{library, upload, wav};

    fn humming(default: &str, library: Library) -> Catalog {
        let offers = tone::offers(ToneSettings::default(), &library);
        Catalog::new(default, library, offers)
    }

    fn names(catalog: &Catalog) -> Vec<String> {
        catalog.all().into_iter().map(|info| info.name).collect()
    }

    #[test]
    fn auto_means_the_best_model_and_a_name_means_itself_in_any_case() {
        let (_folder, library) = library();
        let catalog = humming("auto", library);
        assert_eq!(catalog.default_model().unwrap().name, "tone");
        assert_eq!(catalog.find("AUTO").unwrap().name, "tone");
        assert_eq!(catalog.find(" Tone-Low ").unwrap().name, "tone-low");
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_models_there_are() {
        let (_folder, library) = library();
        let catalog = humming("choir", library);
        let unknown = catalog.default_model().unwrap_err();
        assert_eq!(unknown.to_string(), "there is no model \"choir\"; the models are tone, tone-low");
        let refused = catalog.load("choir").map(|_model| ()).unwrap_err();
        assert!(refused.to_string().contains("there is no model"), "{refused}");
    }

    #[test]
    fn a_clip_is_a_voice_of_the_models_that_can_use_it_from_the_moment_it_is_added() {
        let (_folder, library) = library();
        let catalog = humming("tone", library);
        let has = |model: &str| catalog.find(model).unwrap().voices.iter().any(|voice| voice.id == "emily");
        assert!(!has("tone-low"));
        let upload = upload("Emily", wav(2.5, 220.0));
        let clip = catalog.library().add(upload, &catalog.own_voice_ids()).unwrap().clip;
        assert!(has("tone-low") && !has("tone"));
        assert_eq!(catalog.models_for(&clip), ["tone-low"]);
        assert_eq!(
            catalog.find("tone").unwrap().why_not(&clip).unwrap(),
            "the model tone has fixed voices only"
        );
    }

    #[test]
    fn models_may_be_installed_and_removed_while_the_program_runs() {
        let (_folder, library) = library();
        let catalog = Catalog::new(AUTO, library.clone(), Vec::new());
        assert!(catalog.default_model().is_err());
        catalog.replace(tone::offers(ToneSettings::default(), &library));
        assert_eq!(names(&catalog), ["tone", "tone-low"]);
        catalog.replace(Vec::new());
        assert!(names(&catalog).is_empty());
    }

    #[test]
    fn test_models_are_offered_only_where_one_is_configured() {
        let (_folder, library) = library();
        let mut settings = Settings::default();
        let empty = tempfile::tempdir().unwrap();
        let hub = HubSettings::new(&settings.hub, &|_name| None);
        let models = Models::new(empty.path(), &[], hub).unwrap();
        assert_eq!(names(&Catalog::installed(&settings, &models, library.clone())), ["pico"]);
        settings.model.name = "tone-low".to_owned();
        let catalog = Catalog::installed(&settings, &models, library);
        assert_eq!(names(&catalog), ["pico", "tone", "tone-low"]);
        assert_eq!(catalog.default_model().unwrap().name, "tone-low");
    }
}
