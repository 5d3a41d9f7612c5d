//! Typed values out of the merged tree. What has another type, or is out of range, is an error that names layer, key and what
//! was expected.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::ConfigError;

/// Blames the layer that was laid on last.
pub(super) struct Reader<'a> {
    pub(super) layer: &'a str,
    pub(super) merged: &'a Value,
}

impl Reader<'_> {
    pub(super) fn value(&self, key: &str) -> &Value {
        // Every key stands in the compiled-in file; a section that was replaced by a scalar reads as null.
        key.split('.').try_fold(self.merged, |value, part| value.get(part)).unwrap_or(&Value::Null)
    }

    pub(super) fn error(&self, key: &str, expected: &str, found: &Value) -> ConfigError {
        ConfigError::Value {
            layer: self.layer.to_owned(),
            key: key.to_owned(),
            problem: format!("expected {expected}, found {found}"),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<String, ConfigError> {
        let value = self.value(key);
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(self.error(key, "text", value)),
        }
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let value = self.value(key);
        let texts = value.as_array().and_then(|entries| {
            entries.iter().map(|entry| entry.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| self.error(key, "a list of texts", value))
    }

    pub(super) fn names(&self, key: &str) -> Result<BTreeMap<String, String>, ConfigError> {
        let value = self.value(key);
        let pair = |(name, meaning): (&String, &Value)| {
            Some((name.to_lowercase(), meaning.as_str()?.trim().to_owned()))
        };
        let names = value.as_object().and_then(|entries| entries.iter().map(pair).collect());
        names.ok_or_else(|| self.error(key, "names and what they mean, as in `{ nova: Emily }`", value))
    }

    /// Unknown keys in an entry are errors: nothing else would show that, say, `file` was meant to be `files`.
    pub(super) fn entries<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        what: &str,
    ) -> Result<Vec<T>, ConfigError> {
        let value = self.value(key);
        let entries = value.as_array().ok_or_else(|| self.error(key, what, value))?;
        let read = |(index, entry): (usize, &Value)| {
            T::deserialize(entry).map_err(|error| self.entry_error(key, index, error.to_string()))
        };
        entries.iter().enumerate().map(read).collect()
    }

    pub(super) fn entry_error(&self, key: &str, index: usize, problem: String) -> ConfigError {
        let key = format!("{key}, number {}", index + 1);
        ConfigError::Value { layer: self.layer.to_owned(), key, problem }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let value = self.value(key);
        value.as_bool().ok_or_else(|| self.error(key, "true or false", value))
    }

    pub(super) fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<i64, ConfigError> {
        let value = self.value(key);
        let whole = format!("a whole number from {} to {}", range.start(), range.end());
        value.as_i64().filter(|number| range.contains(number)).ok_or_else(|| self.error(key, &whole, value))
    }

    pub(super) fn size(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, ConfigError> {
        Ok(self.integer(key, *range.start() as i64..=*range.end() as i64)? as usize)
    }

    pub(super) fn whole(&self, key: &str, range: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        Ok(self.integer(key, i64::from(*range.start())..=i64::from(*range.end()))? as u32)
    }

    pub(super) fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<f64, ConfigError> {
        let value = self.value(key);
        let expected = format!("a number from {} to {}", range.start(), range.end());
        value
            .as_f64()
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.error(key, &expected, value))
    }

    pub(super) fn seconds(&self, key: &str, range: RangeInclusive<f64>) -> Result<Duration, ConfigError> {
        self.number(key, range).map(Duration::from_secs_f64)
    }

    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl Fn(&Self, &str) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        if self.value(key).is_null() { Ok(None) } else { read(self, key).map(Some) }
    }

    pub(super) fn optional_number(
        &self,
        key: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f32>, ConfigError> {
        self.optional(key, |reader, key| reader.number(key, range.clone()).map(|number| number as f32))
    }
}
