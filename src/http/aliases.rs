//! Names that clients of other services send, and what they mean here; `aliases` in config.yaml.

use super::Context;
use crate::speech::request::{self, DraftError};

/// The model that a client of another service means.
pub(super) fn model(name: String, context: &Context) -> String {
    if context.catalog().find(&name).is_ok() {
        return name;
    }
    context.settings.aliases.models.get(&name.trim().to_lowercase()).cloned().unwrap_or(name)
}

/// The voice that a client of another service means for the model that is to speak.
///
/// # Errors
/// When there is no such model.
pub(super) fn voice(name: String, model: Option<&str>, context: &Context) -> Result<String, DraftError> {
    let model = request::model(model, context.catalog())?;
    if request::voice_id(&name, &model).is_ok() || context.catalog().library().find(&name).is_ok() {
        return Ok(name);
    }
    Ok(context.settings.aliases.voices.get(&name.trim().to_lowercase()).cloned().unwrap_or(name))
}
