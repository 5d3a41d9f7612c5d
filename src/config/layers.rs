//! YAML into layers: parsing, merging, and finding the keys that nobody reads.
//!
//! Layers are plain JSON values until they are merged, so that "this key is missing" and "this key is the default" stay
//! different things, and so that the tree of the defaults is the list of known keys.

use std::fmt;

use serde_json::{Map, Value};

use super::ConfigError;

/// Sections to which layers may add keys of their own.
const OPEN: [&str; 2] = ["aliases.models", "aliases.voices"];

/// A key that a layer sets and nothing reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The file or variable that sets it.
    pub layer: String,
    /// `section.key`.
    pub path: String,
    /// The known key that looks most like it.
    pub suggestion: Option<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: unknown key `{}`", self.layer, self.path)?;
        match &self.suggestion {
            Some(known) => write!(f, "; did you mean `{known}`?"),
            None => write!(f, "; it is ignored"),
        }
    }
}

/// Reads one YAML document. An empty one is an empty layer.
pub(super) fn parse(layer: &str, text: &str) -> Result<Value, ConfigError> {
    let value: Option<Value> = serde_saphyr::from_str(text)
        .map_err(|source| ConfigError::Syntax { layer: layer.to_owned(), source: Box::new(source) })?;
    match value {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(Value::Object(sections)) => Ok(Value::Object(sections)),
        Some(other) => Err(ConfigError::NotSections { layer: layer.to_owned(), found: other.to_string() }),
    }
}

/// `DECLAIM_SERVER__PORT=9000` as `{server: {port: 9000}}`; `None` for variables that are no settings.
pub(super) fn from_variable(variable: &str, text: &str) -> Option<Result<Value, ConfigError>> {
    let (section, key) = variable.strip_prefix("DECLAIM_")?.split_once("__")?;
    let value = match serde_saphyr::from_str::<Option<Value>>(text) {
        Ok(value) => value.unwrap_or(Value::Null),
        Err(source) => {
            let layer = format!("the environment variable {variable}");
            return Some(Err(ConfigError::Syntax { layer, source: Box::new(source) }));
        }
    };
    Some(Ok(nest([section.to_lowercase().as_str(), key.to_lowercase().as_str()].into_iter(), value)))
}

/// `["a", "b"]`, 1 → `{a: {b: 1}}`.
pub(super) fn nest<'a>(path: impl DoubleEndedIterator<Item = &'a str>, value: Value) -> Value {
    path.rev().fold(value, |inner, key| Value::Object(Map::from_iter([(key.to_owned(), inner)])))
}

/// Lays `layer` over `below`, returning the keys that `known` (the defaults) does not have.
///
/// `null` says nothing, unless the default is `null` too: a section with every line commented out is no mistake.
pub(super) fn merge(name: &str, below: &mut Value, layer: Value, known: &Value) -> Vec<Unknown> {
    let mut unknown = Vec::new();
    merge_at(name, "", below, layer, known, known, &mut unknown);
    unknown
}

fn merge_at(
    name: &str,
    path: &str,
    below: &mut Value,
    layer: Value,
    known: &Value,
    root: &Value,
    unknown: &mut Vec<Unknown>,
) {
    match (below, layer, known) {
        (Value::Object(below), Value::Object(layer), Value::Object(known)) => {
            let is_open = OPEN.contains(&path);
            for (key, value) in layer {
                // Names of other services are told apart by their letters alone.
                let key = if is_open { key.to_lowercase() } else { key };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (below.get_mut(&key), known.get(&key)) {
                    (Some(below), Some(known)) => merge_at(name, &path, below, value, known, root, unknown),
                    _ if is_open => {
                        below.insert(key, value);
                    }
                    _ => unknown.push(Unknown {
                        layer: name.to_owned(),
                        suggestion: suggestion(&path, root),
                        path,
                    }),
                }
            }
        }
        (_, Value::Null, known) if !known.is_null() => {}
        (below, value, _) => *below = value,
    }
}

/// The known path most like `path`, if one is alike enough to be a slip.
fn suggestion(path: &str, root: &Value) -> Option<String> {
    let mut known = Vec::new();
    collect_paths("", root, &mut known);
    known
        .into_iter()
        // The first of equals is taken, which is the more general one.
        .rev()
        .map(|candidate| {
            // The right key in the wrong section, or at the top level, is as likely a slip as a wrong letter.
            let same_key = candidate.rsplit('.').next() == path.rsplit('.').next();
            let likeness = strsim::jaro_winkler(path, &candidate);
            (if same_key { likeness.max(0.9) } else { likeness }, candidate)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= 0.9)
        .map(|(_, candidate)| candidate)
}

fn collect_paths(path: &str, value: &Value, into: &mut Vec<String>) {
    if !path.is_empty() {
        into.push(path.to_owned());
    }
    if let Value::Object(entries) = value {
        for (key, value) in entries {
            collect_paths(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, into);
        }
    }
}
