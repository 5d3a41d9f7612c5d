//! Bodies and ids, with our words for what is wrong with them.
//!
//! A body is read as a JSON object first and field by field after that, so that a syntax error is told with line and
//! column, and a wrong field with its name and what it must be, rather than in the vocabulary of a parser.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Context;
use super::error::ApiError;
use crate::jobs::JobId;
use crate::speech::request::DraftError;

/// Longest piece of a wrong value that an error repeats, in characters.
const MAX_ECHO: usize = 60;

/// A JSON object whose fields are taken one by one. Fields that nobody takes are ignored; `null` is "not said".
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// As it was sent.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, DraftError> {
        self.read(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A text, or an object whose `id` is one.
    pub(super) fn text_or_id(&self, name: &'static str) -> Result<Option<String>, DraftError> {
        self.read(name, "a text, or an object with a text in id", |value| {
            value.as_str().or_else(|| value.get("id")?.as_str()).map(str::to_owned)
        })
    }

    pub(super) fn object(&self, name: &'static str) -> Result<Option<Self>, DraftError> {
        self.read(name, "an object", |value| value.as_object().cloned().map(Self))
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, DraftError> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<f64>, DraftError> {
        self.read(name, "a number", Value::as_f64)
    }

    /// Accepts `3.0`, as clients in languages without integers send it.
    pub(super) fn whole(&self, name: &'static str) -> Result<Option<i64>, DraftError> {
        /// Up to 2^53 a float is exactly the integer that was meant.
        const EXACT: f64 = 9_007_199_254_740_992.0;

        let from_float = |float: f64| (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64);
        self.read(name, "a whole number", |value| {
            value.as_i64().or_else(|| value.as_f64().and_then(from_float))
        })
    }

    /// The same with another field.
    pub(super) fn with(&self, name: &str, value: Value) -> Self {
        let mut fields = self.0.clone();
        fields.insert(name.to_owned(), value);
        Self(fields)
    }

    /// By which the same body is known again: SHA-256 of its fields, in hexadecimal. Spaces and line breaks do not matter,
    /// nor what a WebSocket's message says about itself.
    pub(super) fn digest(&self) -> String {
        const ABOUT_ITSELF: [&str; 3] = ["type", "ref", "idempotency_key"];
        let said: BTreeMap<&String, &Value> =
            self.0.iter().filter(|(name, _)| !ABOUT_ITSELF.contains(&name.as_str())).collect();
        // Values that were read from JSON can be written as JSON.
        format!("{:x}", Sha256::digest(serde_json::to_vec(&said).unwrap_or_default()))
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Option<Vec<String>>, DraftError> {
        self.read(name, "a list of texts", |value| {
            value.as_array()?.iter().map(|entry| entry.as_str().map(str::to_owned)).collect()
        })
    }

    /// With these fields, which go before those that are there.
    pub(super) fn with_all(&self, own: &Map<String, Value>) -> Self {
        let mut fields = self.0.clone();
        fields.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self(fields)
    }

    pub(super) fn without(&self, names: &[&str]) -> Self {
        let mut fields = self.0.clone();
        fields.retain(|name, _| !names.contains(&name.as_str()));
        Self(fields)
    }

    /// A field as it is.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn read<T>(
        &self,
        name: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, DraftError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                read(value).map(Some).ok_or_else(|| DraftError::field(name, expected, echo(value)))
            }
        }
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl FromRequest<Context> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Context) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        parse(&read_body(request, context).await?)
    }
}

/// A body within the bound, received in time.
pub(super) async fn read_body(request: Request, context: &Context) -> Result<Bytes, ApiError> {
    let limit = context.settings.limits.max_body_bytes;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Err(ApiError::BodyTooLarge { limit });
    }
    let body = axum::body::to_bytes(request.into_body(), limit);
    tokio::time::timeout(context.settings.limits.request_timeout, body)
        .await
        .map_err(|_elapsed| ApiError::TooSlow)?
        .map_err(|error| {
            let too_large = std::error::Error::source(&error)
                .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
            if too_large { ApiError::BodyTooLarge { limit } } else { ApiError::BodyUnreadable(error) }
        })
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let found = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if is_json(headers) {
        Ok(())
    } else {
        Err(ApiError::NotJson { found: found.map(std::borrow::Cow::into_owned) })
    }
}

/// Whether the headers announce a JSON body.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let essence = media_type(headers);
    essence == "application/json" || essence.len() > 5 && essence.ends_with("+json")
}

/// The media type of the body in small letters, without parameters; empty where it is not told.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    value.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn parse(bytes: &[u8]) -> Result<Fields, ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // The place is a part of the sentence already.
        let problem = text.split(" at line ").next().unwrap_or_default().to_owned();
        ApiError::Json { line: error.line(), column: error.column(), problem }
    })?;
    match value {
        Value::Object(fields) => Ok(Fields(fields)),
        Value::Array(_) => Err(ApiError::NotAnObject("a list")),
        Value::String(_) => Err(ApiError::NotAnObject("a text")),
        Value::Number(_) => Err(ApiError::NotAnObject("a number")),
        Value::Bool(_) => Err(ApiError::NotAnObject("true or false")),
        Value::Null => Err(ApiError::NotAnObject("null")),
    }
}

fn echo(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_ECHO) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The `{id}` of a path. What is no UUID is no job either.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id(pub(super) JobId);

impl FromRequestParts<Context> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, context).await else {
            // Not even UTF-8.
            return Err(ApiError::UnknownJob(parts.uri.path().to_owned()));
        };
        text.parse().map(Self).map_err(|_no_uuid| ApiError::UnknownJob(text))
    }
}

/// The `{id}` and `{chunk}` of a path; chunks are counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) id: JobId,
    pub(super) number: usize,
}

impl FromRequestParts<Context> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let nowhere = || ApiError::NoRoute(parts.uri.path().to_owned());
        let path = Path::<(String, String)>::from_request_parts(&mut parts.clone(), context).await;
        let Ok(Path((id, number))) = path else { return Err(nowhere()) };
        let number = number.parse().map_err(|_no_number| nowhere())?;
        id.parse().map(|id| Self { id, number }).map_err(|_no_uuid| ApiError::UnknownJob(id))
    }
}

/// A `{name}` of a path: a voice or a model. What is no text names nothing.
#[derive(Clone, Debug)]
pub(super) struct Named(pub(super) String);

impl FromRequestParts<Context> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, context).await;
        path.map(|Path(text)| Self(text)).map_err(|_not_utf8| ApiError::NoRoute(parts.uri.path().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn null_and_absent_fields_are_not_said() {
        let fields = fields(r#"{"text": null}"#);
        assert_eq!(fields.text("text"), Ok(None));
        assert_eq!(fields.whole("seed"), Ok(None));
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats_but_not_have_fractions() {
        let fields = fields(r#"{"a": 3, "b": 3.0, "c": 3.5, "d": "3", "e": 1e300}"#);
        assert_eq!(fields.whole("a"), Ok(Some(3)));
        assert_eq!(fields.whole("b"), Ok(Some(3)));
        for name in ["c", "d", "e"] {
            let error = fields.whole(name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} must be a whole number, found")), "{error}");
        }
    }

    #[test]
    fn a_syntax_error_is_told_with_line_and_column_and_said_once() {
        let error = parse(b"{\"text\":\n  oops}").unwrap_err().to_string();
        assert_eq!(error, "The body is not valid JSON: line 2, column 3: expected value");
    }

    #[test]
    fn long_wrong_values_are_not_repeated_whole() {
        let fields = fields(&format!(r#"{{"seed": "{}"}}"#, "ä".repeat(5000)));
        let error = fields.whole("seed").unwrap_err().to_string();
        assert!(error.chars().count() < 150, "{error}");
    }

    #[test]
    fn content_types_other_than_json_are_refused_by_name() {
        for (value, ok) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(require_json(&headers).is_ok(), ok, "{value:?}");
        }
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}
